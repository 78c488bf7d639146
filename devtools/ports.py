"""Ports of this process's own: tests that run side by side must not choose the same one at the same moment."""

import os

from mylist.development import servers
from mylist.development.servers import free_port

__all__ = ["divide", "free_port"]


def divide() -> None:
    """Keeps `free_port` and the embedded servers to this pytest-xdist worker's share of the ports."""
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    workers = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    servers.PORTS = range(servers.PORTS.start + worker, servers.PORTS.stop, workers)
