"""HTTP as it goes over the wire, for what no HTTP library would send and for tests that send a lot."""

import asyncio
import json
import socket
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Self
from urllib.parse import urlsplit

from tests.contract.shapes import check_shape


@dataclass(frozen=True)
class Answer:
    """A response. Header names are lower-case."""

    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


def send(url: str, request: bytes, *, patience: float = 5.0) -> Answer:
    """Sends these very bytes on a connection of their own and gives the answer."""
    parts = urlsplit(url)
    with socket.create_connection((parts.hostname, parts.port), timeout=patience) as connection:
        connection.sendall(request)
        received = b""
        while (end := received.find(b"\r\n\r\n")) < 0 or len(received) < end + 4 + _length(received[:end]):
            more = connection.recv(65536)
            assert more, f"closed after {received!r}"
            received += more
    status, headers = _head(received[:end])
    return Answer(status, headers, received[end + 4 :])


def exchange(url: str, sent: bytes, *, closes_its_side: bool = False, patience: float = 5.0) -> bytes:
    """Sends these very bytes and gives all that comes back until the service closes, which it has to do."""
    parts = urlsplit(url)
    received = b""
    with (
        socket.create_connection((parts.hostname, parts.port), timeout=patience) as connection,
        # A connection that is closed while bytes are under way to it ends in a reset.
        suppress(ConnectionResetError, BrokenPipeError),
    ):
        connection.sendall(sent)
        if closes_its_side:
            connection.shutdown(socket.SHUT_WR)
        while more := connection.recv(65536):
            received += more
    return received


def answers(url: str, sent: bytes, *, patience: float = 5.0) -> list[Answer]:
    """Does as `exchange`, and gives the answers; none of the requests may be a HEAD."""
    return list(_apart(exchange(url, sent, patience=patience)))


class Connection:
    """A keep-alive connection: one request at a time, every answer held against its documented shape."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    @classmethod
    async def open(cls, url: str) -> Self:
        parts = urlsplit(url)
        return cls(*await asyncio.open_connection(parts.hostname, parts.port))

    async def request(
        self, method: str, target: str, headers: Mapping[str, str], body: Mapping[str, Any] | None = None
    ) -> Answer:
        content = b"" if body is None else json.dumps(body).encode()
        lines = [f"{method} {target} HTTP/1.1", "Host: test", f"Content-Length: {len(content)}"]
        if body is not None:
            lines.append("Content-Type: application/json")
        lines += (f"{name}: {value}" for name, value in headers.items())
        self._writer.write("\r\n".join(lines).encode() + b"\r\n\r\n" + content)
        head = (await self._reader.readuntil(b"\r\n\r\n"))[:-4]
        received = await self._reader.readexactly(_length(head))
        status, answered = _head(head)
        check_shape(method, target, status, received)
        return Answer(status, answered, received)

    async def close(self) -> None:
        self._writer.close()
        await self._writer.wait_closed()


def _head(head: bytes) -> tuple[int, dict[str, str]]:
    first, *lines = head.decode("latin-1").split("\r\n")
    pairs = (line.split(": ", 1) for line in lines)
    return int(first.split(" ")[1]), {name.lower(): value for name, value in pairs}


def _length(head: bytes) -> int:
    status, headers = _head(head)
    return 0 if status == HTTPStatus.NOT_MODIFIED else int(headers.get("content-length", 0))


def _apart(received: bytes) -> Iterator[Answer]:
    while received:
        head, end, rest = received.partition(b"\r\n\r\n")
        assert end, f"no whole answer: {received!r}"
        status, headers = _head(head)
        length = _length(head)
        assert len(rest) >= length, f"no whole answer: {received!r}"
        received = rest[length:]
        if status != HTTPStatus.CONTINUE:
            yield Answer(status, headers, rest[:length])
