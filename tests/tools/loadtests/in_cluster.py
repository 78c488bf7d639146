"""The load test for Locust, in a simulated cluster.

ADDRESSES has the addresses of the name replicas.test. Each lookup returns them in another order, because a cluster
leads connections to different pods. ACCOUNT is the folder with the token of a pod.
"""

import os
import socket
from itertools import count
from pathlib import Path
from typing import Any

import gevent.socket

from loadtests import autoscaler
from loadtests.locustfile import Browse, CachedLatency, LoadShape, Mixed, Ramp, Soak, Spike

__all__ = ["Browse", "CachedLatency", "LoadShape", "Mixed", "Ramp", "Soak", "Spike"]

_ADDRESSES = os.environ.get("ADDRESSES", "").split()
_turns = count()
_resolve = socket.getaddrinfo


def _answer(host: str, port: int, *arguments: Any, **options: Any) -> Any:
    if host != "replicas.test":
        return _resolve(host, port, *arguments, **options)
    first = next(_turns) % len(_ADDRESSES)
    kind = (socket.AF_INET, socket.SOCK_STREAM, 6, "")
    return [(*kind, (address, port)) for address in _ADDRESSES[first:] + _ADDRESSES[:first]]


for module in (socket, gevent.socket):
    vars(module)["getaddrinfo"] = _answer
autoscaler.ACCOUNT = Path(os.environ.get("ACCOUNT", ""))
