"""An HTTP client for tests and tools: it sends prepared bytes, and one parser in C reads the answers.

`Client` sends one request at a time and waits for the answer, `Pool` does so for many at once on an event loop, and
`exchange` is for bytes that no HTTP library would send. The client's own time counts as latency and limits the load:
these functions spend about 10 µs on a request, a general-purpose client spends hundreds.

No request may be a HEAD: its answer has no body, but says how long the body would be.
"""

import asyncio
import json
import socket
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from http import HTTPStatus
from types import MappingProxyType
from typing import Any, Self, cast
from urllib.parse import urlsplit

from httptools import HttpParserError, HttpResponseParser

_READ_BYTES = 65_536
_NO_HEADERS: Mapping[str, str] = MappingProxyType({})
_TIMEOUT_S = 10.0
"""Seconds; longer than every deadline within the service."""


class NotSentError(Exception):
    """No connection could be made, so the request had no effect."""


class NotAnsweredError(Exception):
    """The request may have had an effect; the message says why there is no answer."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A response; `headers` are by lower-case name."""

    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        """Return the parsed body."""
        return json.loads(self.body)


def request(method: str, target: str, headers: Mapping[str, str] = _NO_HEADERS, body: bytes = b"") -> bytes:
    """Return the bytes of a request, with its Content-Length."""
    lines = [f"{method} {target} HTTP/1.1", "host: localhost", *(f"{name}: {value}" for name, value in headers.items())]
    if body:
        lines.append(f"content-length: {len(body)}")
    return "\r\n".join([*lines, "", ""]).encode() + body


def exchange(url: str, sent: bytes, *, closes_its_side: bool = False, timeout_s: float = 5.0) -> bytes:
    """Send exactly these bytes and return the whole reply until the service closes the connection, which it must.

    Args:
        url: of the service.
        sent: the bytes.
        closes_its_side: whether to half-close the connection after the bytes.
        timeout_s: seconds that the service may stay silent.
    """
    received = b""
    with (
        _connect(url, timeout_s) as connection,
        # A connection that is closed while bytes are in flight to it ends in a reset.
        suppress(ConnectionResetError, BrokenPipeError),
    ):
        connection.sendall(sent)
        if closes_its_side:
            connection.shutdown(socket.SHUT_WR)
        while more := connection.recv(_READ_BYTES):
            received += more
    return received


def parse(received: bytes) -> list[Answer]:
    """Return the answers that these bytes are, without interim ones (`100 Continue`).

    Raises:
        NotAnsweredError: the reply is not HTTP, or its last answer is incomplete.
    """
    answers: list[Answer] = []
    parser = _Parser(answers.append)
    parser.feed(received)
    if parser.is_midway:
        raise NotAnsweredError(f"no whole answer: {received!r}")
    return answers


class Client:
    """A connection to a service: one request at a time. Use it as a context manager, or close it.

    Args:
        url: of the service.
        timeout_s: seconds to wait for it to accept, and for more of an answer.

    Raises:
        NotSentError: it does not accept connections.
    """

    def __init__(self, url: str, *, timeout_s: float = _TIMEOUT_S) -> None:
        self._socket = _connect(url, timeout_s)
        self._answers: list[Answer] = []
        self._parser = _Parser(self._answers.append)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def ask(self, request: bytes) -> Answer:
        """Send a request once and return the answer.

        Raises:
            NotAnsweredError: the connection was lost, or there was no answer in time.
        """
        try:
            self._socket.sendall(request)
            while not self._answers:
                received = self._socket.recv(_READ_BYTES)
                if not received:
                    raise NotAnsweredError("connection closed")
                self._parser.feed(received)
        except TimeoutError:
            raise NotAnsweredError("timeout") from None
        except OSError as error:
            raise NotAnsweredError(str(error)) from None
        return self._answers.pop()

    def close(self) -> None:
        """Close the connection."""
        self._socket.close()


class Pool:
    """Keep-alive connections to a service, as many as requests are in flight.

    Args:
        url: of the service.
    """

    def __init__(self, url: str) -> None:
        self._url = url
        self._idle: list[Connection] = []

    async def ask(self, request: bytes) -> Answer:
        """Send a request once and return the answer.

        Raises:
            NotSentError: the service does not accept connections.
            NotAnsweredError: the connection was lost, or there was no answer in time.
        """
        connection = await self._connection()
        answer = await connection.ask(request)
        if connection.is_open:
            self._idle.append(connection)
        else:
            connection.close()
        return answer

    def close(self) -> None:
        """Close the connections that have no request in flight."""
        while self._idle:
            self._idle.pop().close()

    async def _connection(self) -> "Connection":
        while self._idle:
            connection = self._idle.pop()
            if connection.is_open:
                return connection
        return await Connection.open(self._url)


class Connection(asyncio.Protocol):
    """A keep-alive connection on an event loop: one request at a time."""

    def __init__(self) -> None:
        self._transport: asyncio.Transport | None = None
        self._waiting: asyncio.Future[Answer] | None = None
        self._parser = _Parser(self._answer)

    @classmethod
    async def open(cls, url: str) -> Self:
        """Return a connection to a service.

        Raises:
            NotSentError: it does not accept connections.
        """
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(_TIMEOUT_S):
                _, opened = await loop.create_connection(cls, *_address(url))
        except (OSError, TimeoutError):
            raise NotSentError from None
        return opened

    @property
    def is_open(self) -> bool:
        """Whether another request may be sent."""
        return self._transport is not None and not self._transport.is_closing() and self._parser.keeps_alive

    async def ask(self, request: bytes) -> Answer:
        """Send a request once and return the answer; without one the connection is closed.

        Raises:
            NotAnsweredError: the connection was lost, or there was no answer in time.
        """
        if self._transport is None:
            raise NotAnsweredError("connection lost")
        loop = asyncio.get_running_loop()
        self._waiting = loop.create_future()
        # A timer by hand: asyncio.timeout() would add 10 % to the time of a request.
        timeout_s = loop.call_later(_TIMEOUT_S, self._fail, "timeout")
        self._transport.write(request)
        try:
            return await self._waiting
        except BaseException:
            self.close()
            raise
        finally:
            timeout_s.cancel()

    def close(self) -> None:
        """Close the connection at once."""
        if self._transport is not None:
            self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def connection_lost(self, _: Exception | None) -> None:
        self._transport = None
        self._fail("connection lost")

    def data_received(self, data: bytes) -> None:
        try:
            self._parser.feed(data)
        except NotAnsweredError as error:
            self._fail(str(error))
            self.close()

    def _answer(self, answer: Answer) -> None:
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_result(answer)

    def _fail(self, reason: str) -> None:
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_exception(NotAnsweredError(reason))


class _Parser:
    """Parses what one connection receives.

    Args:
        deliver: takes each answer once it is whole, in order, but no interim one.

    Attributes:
        keeps_alive: whether the last answer leaves the connection open for another.
        is_midway: whether an answer has begun and is not whole.
    """

    def __init__(self, deliver: Callable[[Answer], None]) -> None:
        self.keeps_alive = True
        self.is_midway = False
        self._deliver = deliver
        self._headers: dict[str, str] = {}
        self._body: list[bytes] = []
        self.on_body = self._body.append
        self._parser = HttpResponseParser(self)

    def feed(self, data: bytes) -> None:
        """Parse the bytes that were received next.

        Raises:
            NotAnsweredError: this is not HTTP.
        """
        try:
            self._parser.feed_data(data)
        except HttpParserError as error:
            raise NotAnsweredError(f"not HTTP: {error}: {data!r}") from None

    def on_message_begin(self) -> None:
        self.is_midway = True

    def on_header(self, name: bytes, value: bytes) -> None:
        self._headers[_name(name)] = value.decode("latin-1")

    def on_message_complete(self) -> None:
        self.is_midway = False
        status = self._parser.get_status_code()
        answer = Answer(status, self._headers, b"".join(self._body))
        self._headers = {}
        self._body.clear()
        if status >= HTTPStatus.OK:
            self.keeps_alive = self._parser.should_keep_alive()
            self._deliver(answer)


@cache
def _name(name: bytes) -> str:
    return name.decode("latin-1").lower()


def _address(url: str) -> tuple[str, int]:
    parts = urlsplit(url)
    return parts.hostname or "", parts.port or 80


def _connect(url: str, timeout_s: float) -> socket.socket:
    try:
        connection = socket.create_connection(_address(url), timeout=timeout_s)
    except OSError as error:
        raise NotSentError(str(error)) from None
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connection
