"""Early answers, sent before the body is read: each arrives, and correctly says whether the connection stays open."""

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
# Requests whose head alone decides the answer: request line, headers, status.
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
    """Send everything before reading anything, and return everything received; a reset fails the test."""
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
def test_an_early_answer_to_a_large_body_arrives_and_closes_the_connection(  # noqa: PLR0913 - the parts of a request
    service: Service, framed: Framed, size: int, line: bytes, headers: bytes, status: int
) -> None:
    [answer] = parsed(exchange(service, framed(line, headers, size)))
    assert answer.status == status
    assert answer.headers["connection"] == "close"
    assert "keep-alive" not in answer.headers


@of_refused
def test_an_early_answer_to_a_small_body_keeps_the_connection_open(
    service: Service, line: bytes, headers: bytes, status: int
) -> None:
    first, second = parsed(exchange(service, sized(line, headers, 60_000) + NEXT))
    assert first.status == status
    assert first.headers["connection"] == "keep-alive"
    assert second.json() == {"status": "ok"}


def test_the_connection_stays_open_for_bodies_up_to_the_drain_limit(service: Service) -> None:
    kept = parsed(exchange(service, sized(b"POST /nope", b"", MAX_DRAINED_BYTES) + NEXT))
    closed = parsed(exchange(service, sized(b"POST /nope", b"", MAX_DRAINED_BYTES + 1) + NEXT))
    assert ([each.status for each in kept], [each.status for each in closed]) == ([404, 200], [404])


@pytest.mark.parametrize("size", [100_000, 3_000_000])
@pytest.mark.parametrize("framed", [sized, chunked])
def test_a_413_to_a_body_over_its_limit_arrives_and_closes_the_connection(
    service: Service, framed: Framed, size: int
) -> None:
    sent = framed(b"POST /api/mylist/add", USER + JSON, size)
    [answer] = parsed(exchange(service, sent))
    assert (answer.status, answer.headers["connection"]) == (413, "close")


@pytest.fixture
def full(service: Service) -> Iterator[Service]:
    """A service at which one user has as many imports in flight as the share allows."""
    head = b"POST /api/mylist/import HTTP/1.1\r\nHost: x\r\n" + USER + LINES + b"Content-Length: 9\r\n"
    with ExitStack() as waiting:
        for _ in range(USER_IMPORTS):
            connection = socket.create_connection(("127.0.0.1", service.port), timeout=PATIENCE)
            waiting.enter_context(closing(connection))
            connection.sendall(head + b"Expect: 100-continue\r\n\r\n")
            assert connection.recv(100) == CONTINUE  # the handler reads
        yield service


@pytest.mark.parametrize("framed", [sized, chunked])
def test_a_429_to_an_import_above_the_share_arrives_and_closes_the_connection(full: Service, framed: Framed) -> None:
    sent = framed(b"POST /api/mylist/import", USER + LINES, 100_000)
    [answer] = parsed(exchange(full, sent))
    assert (answer.status, answer.headers["connection"]) == (429, "close")


def test_a_400_to_a_malformed_head_arrives_and_closes_the_connection(service: Service) -> None:
    [answer] = parsed(exchange(service, b"POST /health\r\n\r\n" + filler(3_000_000)))
    assert (answer.status, answer.headers["connection"]) == (400, "close")


def test_the_service_soon_closes_the_connection_of_a_client_that_sends_nothing_more(service: Service) -> None:
    began = time.monotonic()
    exchange(service, sized(b"POST /nope", b"", 100_000))
    assert time.monotonic() - began < PATIENCE / 2


class TestContinue:
    """The service sends `100 Continue` if it wants the body, and only then."""

    EXPECT = b"Expect: 100-continue\r\n"

    @of_refused
    def test_is_not_sent_if_the_head_decides_the_answer(
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
    def test_is_not_sent_for_a_body_over_its_limit(
        self, service: Service, line: bytes, headers: bytes, size: int
    ) -> None:
        head = line + b" HTTP/1.1\r\nHost: x\r\n" + headers + self.EXPECT + b"Content-Length: %d\r\n\r\n" % size
        [answer] = parsed(exchange(service, head))
        assert answer.status == 413

    @pytest.mark.parametrize("framing", [b"Content-Length: 2\r\n\r\n", b"Transfer-Encoding: chunked\r\n\r\n"])
    @pytest.mark.parametrize(
        "expect", [EXPECT, b"Expect: 100-continue \t\r\n", b"Expect:100-Continue\r\n", b"eXPECT:  100-CONTINUE\r\n"]
    )
    def test_is_sent_once_to_a_client_that_expects_it(self, service: Service, expect: bytes, framing: bytes) -> None:
        head = b"POST /api/mylist/add HTTP/1.1\r\nHost: x\r\n" + USER + JSON + expect + framing
        body = b"{}" if b"Length" in framing else b"2\r\n{}\r\n0\r\n\r\n"
        with closing(socket.create_connection(("127.0.0.1", service.port), timeout=PATIENCE)) as connection:
            connection.sendall(head)
            assert connection.recv(1000) == CONTINUE
            connection.sendall(body)
            [answer] = parsed(connection.recv(65_536))
        assert answer.json()["code"] == "CONTENT_FIELDS_REQUIRED"

    @pytest.mark.parametrize("value", [b"100-continue", b"100-continue ", b"wonders"])
    def test_is_not_sent_to_an_http_1_0_client(self, service: Service, value: bytes) -> None:
        head = b"POST /api/mylist/add HTTP/1.0\r\n" + USER + JSON + b"Expect: " + value + b"\r\n"
        [answer] = parsed(exchange(service, head + b"Content-Length: 2\r\n\r\n{}"))
        assert answer.json()["code"] == "CONTENT_FIELDS_REQUIRED"
