"""Answers that are given before the body was read: each arrives, and says truly whether the connection goes on."""

import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing

import pytest

from devtools.service_process import Service
from mylist.domain.limits import MAX_BODY_BYTES, USER_IMPORTS
from mylist.http.sanic_overrides import MAX_DRAINED_BYTES
from tests.contract.conftest import PATIENCE
from tests.contract.raw_http import Answer, parse

pytestmark = pytest.mark.usefixtures("unharmed")

Framed = Callable[[bytes, bytes, int], bytes]
USER = b"user-id: left\r\n"
JSON, LINES = b"Content-Type: application/json\r\n", b"Content-Type: application/x-ndjson\r\n"
NEXT = b"GET /livez HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
# Requests that are refused by their head: request line, headers, status.
REFUSED = {
    "no route": (b"POST /nope", b"", 404),
    "no method": (b"PATCH /health", b"", 405),
    "preflight": (b"OPTIONS /health", b"", 204),
    "no user": (b"POST /api/mylist/add", JSON, 400),
    "no user of an import": (b"POST /api/mylist/import", LINES, 400),
    "wrong type": (b"POST /api/mylist/add", USER + b"Content-Type: text/plain\r\n", 400),
    "wrong type of an import": (b"POST /api/mylist/import", USER + b"Content-Type: text/plain\r\n", 400),
    "wrong mode of an import": (b"POST /api/mylist/import?mode=no", USER + LINES, 400),
    "unknown encoding": (b"PUT /api/mylist/items/x", USER + JSON + b"Content-Encoding: br\r\n", 415),
    "unknown encoding of an import": (b"POST /api/mylist/import", USER + LINES + b"Content-Encoding: br\r\n", 415),
    "body of a GET": (b"GET /health", b"", 200),
    "body of a DELETE": (b"DELETE /api/mylist/items/507f1f77bcf86cd799439012", USER, 204),
    "body of what is not for clients": (b"GET /metrics", b"", 200),
}
of_refused = pytest.mark.parametrize(("line", "headers", "status"), REFUSED.values(), ids=REFUSED.keys())


def sized(line: bytes, headers: bytes, size: int) -> bytes:
    return line + b" HTTP/1.1\r\nHost: x\r\n" + headers + b"Content-Length: %d\r\n\r\n" % size + filler(size)


def chunked(line: bytes, headers: bytes, size: int) -> bytes:
    body = b"".join(b"2710\r\n" + filler(10_000) + b"\r\n" for _ in range(size // 10_000))
    return line + b" HTTP/1.1\r\nHost: x\r\n" + headers + b"Transfer-Encoding: chunked\r\n\r\n" + body + b"0\r\n\r\n"


def filler(size: int) -> bytes:
    return (b"x\n" * (size // 2 + 1))[:size]


def exchange(service: Service, sent: bytes) -> bytes:
    """Send all of this before anything is read, and return all that comes; a reset fails."""
    with closing(socket.create_connection(("127.0.0.1", service.port), timeout=PATIENCE)) as connection:
        connection.sendall(sent)
        received = b""
        while more := connection.recv(65_536):
            received += more
    return received


def parsed(received: bytes) -> list[Answer]:
    assert CONTINUE not in received
    return parse(received)


@of_refused
@pytest.mark.parametrize("size", [100_000, 3_000_000])
@pytest.mark.parametrize("framed", [sized, chunked])
def test_of_a_large_body_arrives_and_closes(  # noqa: PLR0913 - what a request consists of
    service: Service, framed: Framed, size: int, line: bytes, headers: bytes, status: int
) -> None:
    [answer] = parsed(exchange(service, framed(line, headers, size)))
    assert answer.status == status
    assert answer.headers["connection"] == "close"
    assert "keep-alive" not in answer.headers


@of_refused
def test_of_a_small_body_keeps_the_connection(service: Service, line: bytes, headers: bytes, status: int) -> None:
    first, second = parsed(exchange(service, sized(line, headers, 60_000) + NEXT))
    assert first.status == status
    assert first.headers["connection"] == "keep-alive"
    assert second.json() == {"status": "ok"}


def test_of_a_body_is_kept_up_to_a_bound(service: Service) -> None:
    kept = parsed(exchange(service, sized(b"POST /nope", b"", MAX_DRAINED_BYTES) + NEXT))
    closed = parsed(exchange(service, sized(b"POST /nope", b"", MAX_DRAINED_BYTES + 1) + NEXT))
    assert ([each.status for each in kept], [each.status for each in closed]) == ([404, 200], [404])


@pytest.mark.parametrize("size", [100_000, 3_000_000])
@pytest.mark.parametrize("framed", [sized, chunked])
def test_of_a_body_over_its_limit_arrives_and_closes(service: Service, framed: Framed, size: int) -> None:
    sent = framed(b"POST /api/mylist/add", USER + JSON, size)
    [answer] = parsed(exchange(service, sent))
    assert (answer.status, answer.headers["connection"]) == (413, "close")


@pytest.fixture
def full(service: Service) -> Iterator[Service]:
    """A service at which one user has all the imports that it may have."""
    head = b"POST /api/mylist/import HTTP/1.1\r\nHost: x\r\n" + USER + LINES + b"Content-Length: 9\r\n"
    with ExitStack() as waiting:
        for _ in range(USER_IMPORTS):
            connection = socket.create_connection(("127.0.0.1", service.port), timeout=PATIENCE)
            waiting.enter_context(closing(connection))
            connection.sendall(head + b"Expect: 100-continue\r\n\r\n")
            assert connection.recv(100) == CONTINUE  # the handler reads
        yield service


@pytest.mark.parametrize("framed", [sized, chunked])
def test_to_a_user_who_has_no_room_arrives(full: Service, framed: Framed) -> None:
    sent = framed(b"POST /api/mylist/import", USER + LINES, 100_000)
    [answer] = parsed(exchange(full, sent))
    assert (answer.status, answer.headers["connection"]) == (429, "close")


def test_to_a_malformed_head_arrives(service: Service) -> None:
    [answer] = parsed(exchange(service, b"POST /health\r\n\r\n" + filler(3_000_000)))
    assert (answer.status, answer.headers["connection"]) == (400, "close")


def test_does_not_hold_the_connection_of_a_client_that_sends_no_more(service: Service) -> None:
    began = time.monotonic()
    exchange(service, sized(b"POST /nope", b"", 100_000))
    assert time.monotonic() - began < PATIENCE / 2


class TestContinue:
    """`100 Continue` comes when the body is wanted, and only then."""

    EXPECT = b"Expect: 100-continue\r\n"

    @of_refused
    def test_is_not_said_where_the_head_decides(
        self, service: Service, line: bytes, headers: bytes, status: int
    ) -> None:
        sent = line + b" HTTP/1.1\r\nHost: x\r\n" + headers + self.EXPECT + b"Content-Length: 9\r\n\r\n"
        [answer] = parsed(exchange(service, sent))
        assert (answer.status, answer.headers["connection"]) == (status, "close")

    @pytest.mark.parametrize(
        ("line", "headers", "size"),
        [
            (b"POST /api/mylist/add", USER + JSON, MAX_BODY_BYTES + 1),
            (b"POST /api/mylist/import", USER + LINES, 50_000_000),
        ],
    )
    def test_is_not_said_to_a_body_over_its_limit(
        self, service: Service, line: bytes, headers: bytes, size: int
    ) -> None:
        head = line + b" HTTP/1.1\r\nHost: x\r\n" + headers + self.EXPECT + b"Content-Length: %d\r\n\r\n" % size
        [answer] = parsed(exchange(service, head))
        assert answer.status == 413

    @pytest.mark.parametrize("framing", [b"Content-Length: 2\r\n\r\n", b"Transfer-Encoding: chunked\r\n\r\n"])
    @pytest.mark.parametrize(
        "expect", [EXPECT, b"Expect: 100-continue \t\r\n", b"Expect:100-Continue\r\n", b"eXPECT:  100-CONTINUE\r\n"]
    )
    def test_is_said_once_to_whom_waits_for_it(self, service: Service, expect: bytes, framing: bytes) -> None:
        head = b"POST /api/mylist/add HTTP/1.1\r\nHost: x\r\n" + USER + JSON + expect + framing
        body = b"{}" if b"Length" in framing else b"2\r\n{}\r\n0\r\n\r\n"
        with closing(socket.create_connection(("127.0.0.1", service.port), timeout=PATIENCE)) as connection:
            connection.sendall(head)
            assert connection.recv(1000) == CONTINUE
            connection.sendall(body)
            [answer] = parsed(connection.recv(65_536))
        assert answer.json()["code"] == "CONTENT_FIELDS_REQUIRED"

    @pytest.mark.parametrize("value", [b"100-continue", b"100-continue ", b"wonders"])
    def test_is_not_said_to_http_1_0(self, service: Service, value: bytes) -> None:
        head = b"POST /api/mylist/add HTTP/1.0\r\n" + USER + JSON + b"Expect: " + value + b"\r\n"
        [answer] = parsed(exchange(service, head + b"Content-Length: 2\r\n\r\n{}"))
        assert answer.json()["code"] == "CONTENT_FIELDS_REQUIRED"
