"""A lean HTTP client for the service's own answers: what it spends is taken from the load it can make."""

import asyncio
from dataclasses import dataclass
from typing import cast

_PATIENCE = 10.0
"""Seconds; longer than every deadline within the service."""


class NotSentError(Exception):
    """No connection could be made, so the request had no effect."""


class NotAnsweredError(Exception):
    """The request may have had an effect; the message says why there is no answer."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A response; `cache` is its X-Cache header, empty when it has none."""

    status: int
    cache: str
    body: bytes


class Exchange:
    """Requests to one process over keep-alive connections, each of which has one request under way at a time."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._idle: list[_Connection] = []

    async def ask(self, request: bytes) -> Answer:
        """Sends a request once and gives the answer.

        Raises:
            NotSentError: the process does not accept connections.
            NotAnsweredError: the connection was lost, or there was no answer in time.
        """
        connection = await self._connection()
        try:
            async with asyncio.timeout(_PATIENCE):
                answer, keep = await connection.ask(request)
        except TimeoutError:
            connection.close()
            raise NotAnsweredError("timeout") from None
        except BaseException:
            connection.close()
            raise
        if keep:
            self._idle.append(connection)
        else:
            connection.close()
        return answer

    def close(self) -> None:
        """Closes the connections that have no request under way."""
        while self._idle:
            self._idle.pop().close()

    async def _connection(self) -> "_Connection":
        while self._idle:
            connection = self._idle.pop()
            if connection.is_open:
                return connection
        try:
            async with asyncio.timeout(_PATIENCE):
                _, opened = await asyncio.get_running_loop().create_connection(_Connection, "127.0.0.1", self._port)
        except (OSError, TimeoutError):
            raise NotSentError from None
        return opened


class _Connection(asyncio.Protocol):
    def __init__(self) -> None:
        self._transport: asyncio.Transport | None = None
        self._waiting: asyncio.Future[tuple[Answer, bool]] | None = None
        self._received = b""

    @property
    def is_open(self) -> bool:
        return self._transport is not None and not self._transport.is_closing()

    async def ask(self, request: bytes) -> tuple[Answer, bool]:
        """Gives the answer, and whether the connection may be used again."""
        if self._transport is None:
            raise NotAnsweredError("connection lost")
        self._waiting = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        return await self._waiting

    def close(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def connection_lost(self, _: Exception | None) -> None:
        self._transport = None
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_exception(NotAnsweredError("connection lost"))

    def data_received(self, data: bytes) -> None:
        received = self._received = self._received + data if self._received else data
        end = received.find(b"\r\n\r\n")
        if end < 0:
            return
        head = received[:end].lower()
        body = _body(head, received[end + 4 :])
        if body is None:
            return
        self._received = b""
        answer = Answer(int(received[9:12]), _header(head, b"x-cache").decode(), body)
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_result((answer, _header(head, b"connection") != b"close"))


def _body(head: bytes, received: bytes) -> bytes | None:
    """Gives the body; None while there is more to come."""
    if _header(head, b"transfer-encoding") != b"chunked":
        size = int(_header(head, b"content-length") or 0)
        return received[:size] if len(received) >= size else None
    body, rest = b"", received
    while True:
        digits, found, rest = rest.partition(b"\r\n")
        size = int(digits, 16) if found else 0
        if not found or len(rest) < size + 2:
            return None
        if not size:
            return body
        body, rest = body + rest[:size], rest[size + 2 :]


def _header(head: bytes, name: bytes) -> bytes:
    _, found, rest = head.partition(b"\r\n" + name + b": ")
    return rest.partition(b"\r\n")[0] if found else b""
