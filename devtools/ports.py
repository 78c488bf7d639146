"""Free ports, reserved for this process: parallel tests must not choose the same port."""

import os

from mylist.devserver import embedded_servers
from mylist.devserver.embedded_servers import free_port

__all__ = ["divide", "free_port"]


def divide() -> None:
    """Keep `free_port` and the embedded servers to this pytest-xdist worker's share of the ports."""
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    workers = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    embedded_servers.PORTS = range(embedded_servers.PORTS.start + worker, embedded_servers.PORTS.stop, workers)
