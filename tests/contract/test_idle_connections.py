"""Connections between two requests: how long the service keeps them open, and how the headers announce it."""

import socket
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager

import httpx
import pytest

from devtools.service_process import Service
from mylist.config.settings import Settings
from tests.conftest import Serve
from tests.contract.conftest import PATIENCE
from tests.contract.raw_http import Answer, parse

KEPT_S = 2
# With this timeout, the service looks for idle connections every 1.5 s, and later on a busy machine.
MAX_KEPT_S = 8
HEALTH = b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n"
ASKED = {
    "nothing": b"",
    "GET": HEALTH,
    "error": b"GET /nowhere HTTP/1.1\r\nHost: x\r\n\r\n",
    "change": b"DELETE /api/mylist/items/x HTTP/1.1\r\nHost: x\r\nuser-id: idle\r\n\r\n",
    "body": b"POST /api/mylist/add HTTP/1.1\r\nHost: x\r\nuser-id: idle\r\nContent-Length: 2\r\n\r\n{}",
    "longer asked for": b"GET /health HTTP/1.1\r\nHost: x\r\nKeep-Alive: timeout=600\r\n\r\n",
    "HTTP/1.0": b"GET /health HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
}


@pytest.fixture(scope="module")
def hasty(serve: Serve) -> Service:
    return serve(KEEP_ALIVE_TIMEOUT=str(KEPT_S))


@contextmanager
def connected(service: Service) -> Iterator[socket.socket]:
    with closing(socket.create_connection(("127.0.0.1", service.port), timeout=PATIENCE)) as connection:
        yield connection


def ask(connection: socket.socket, sent: bytes) -> Answer:
    connection.sendall(sent)
    [answer] = parse(connection.recv(65_536))
    return answer


@pytest.mark.parametrize("sent", ASKED.values(), ids=ASKED)
def test_an_idle_connection_is_closed_after_the_keep_alive_timeout(hasty: Service, sent: bytes) -> None:
    with connected(hasty) as connection:
        if sent:
            answer = ask(connection, sent)
            assert (answer.headers["connection"], answer.headers["keep-alive"]) == ("keep-alive", f"timeout={KEPT_S}")
        began = time.monotonic()
        assert connection.recv(1) == b"", "closed without a word"
        assert KEPT_S <= time.monotonic() - began <= MAX_KEPT_S


def test_a_connection_is_still_open_at_the_end_of_the_announced_timeout(hasty: Service) -> None:
    with connected(hasty) as connection:
        for _ in range(2):
            assert ask(connection, HEALTH).status == 200
            time.sleep(KEPT_S)


def test_an_answer_that_closes_the_connection_has_no_keep_alive_header(service: Service) -> None:
    with connected(service) as connection:
        answer = ask(connection, HEALTH.replace(b"Host", b"Connection: close\r\nHost"))
    assert answer.headers["connection"] == "close"
    assert "keep-alive" not in answer.headers


def test_the_default_timeout_is_longer_than_that_of_load_balancers(client: httpx.Client) -> None:
    of_google_s = 600
    assert Settings().keep_alive_timeout > of_google_s
    assert client.get("/health").headers["keep-alive"] == f"timeout={Settings().keep_alive_timeout}"


@pytest.mark.extended
def test_an_idle_connection_is_open_after_more_than_a_minute(service: Service) -> None:
    with connected(service) as connection:
        assert ask(connection, HEALTH).status == 200
        connection.settimeout(83)
        with pytest.raises(TimeoutError):
            connection.recv(1)
        assert ask(connection, HEALTH).status == 200
