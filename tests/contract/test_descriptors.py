"""A process that runs out of file descriptors still serves its open connections, and logs why it accepts no others."""

import json
import resource
import socket
from contextlib import ExitStack

from devtools.service_process import Service
from devtools.waiting import wait_until
from tests.conftest import Serve
from tests.contract.conftest import PATIENCE, connect
from tests.contract.test_slow_clients import open_files
from tests.requirements import skip_or_fail

ROOM = 20


def complaints(service: Service) -> list[str]:
    messages = (json.loads(line).get("message", "") for line in service.log.read_text().splitlines())
    return [each for each in messages if "file descriptors are in use" in each]


def test_running_out_of_descriptors_is_logged_once_and_open_connections_are_served(serve: Serve) -> None:
    if not hasattr(resource, "prlimit"):
        skip_or_fail("only Linux limits another process")
    service = serve()
    with connect(service) as client, ExitStack() as others:
        assert client.get("/livez").status_code == 200
        limit = open_files(service) + ROOM
        resource.prlimit(service.process.pid, resource.RLIMIT_NOFILE, (limit, limit))
        assert complaints(service) == []
        for _ in range(3 * ROOM):
            others.enter_context(socket.create_connection(("127.0.0.1", service.port), timeout=PATIENCE))
        wait_until(lambda: bool(complaints(service)), within=PATIENCE)
        assert client.get("/livez").status_code == 200
    [complaint] = complaints(service)
    assert f"of {limit} file descriptors" in complaint


def test_nothing_is_logged_while_descriptors_are_free(serve: Serve) -> None:
    service = serve()
    limit = 2 * open_files(service)
    resource.prlimit(service.process.pid, resource.RLIMIT_NOFILE, (limit, limit))
    with connect(service) as client:
        assert client.get("/livez").status_code == 200
    assert complaints(service) == []
