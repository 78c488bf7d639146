"""A proxy to a Redis server that answers some commands itself, like other servers and services do."""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from typing import Any, Self

from hiredis import Reader

from devtools.client_connections import ClientConnections
from devtools.ports import free_port

_HOST = "127.0.0.1"
OTHER_HOST = "127.0.0.2"
"""This machine as well, by another address."""
_READ_BYTES = 65_536
_GLANCE_S = 0.01
_INCOMPLETE = object()
Command = Sequence[bytes]
Answer = Callable[[Command], bytes | None]
"""Returns the answer to a command, in the form of `error` and the others; None for that of the server behind."""


def error(text: str) -> bytes:
    """A refusal."""
    return f"-{text}\r\n".encode()


def bulk(text: str) -> bytes:
    """A text."""
    return b"$%d\r\n%b\r\n" % (len(text.encode()), text.encode())


def mapping(**fields: str) -> bytes:
    """A map of texts, as RESP3 writes it; a `_` stands for a `-` in the names."""
    pairs = [bulk(text) for name, value in fields.items() for text in (name.replace("_", "-"), value)]
    return b"%%%d\r\n%b" % (len(fields), b"".join(pairs))


def array(*items: object) -> bytes:
    """An array of texts, numbers, nothing (None), arrays (lists) and maps (dicts), as RESP3 writes it."""
    return b"*%d\r\n%b" % (len(items), b"".join(map(_encoded, items)))


def _encoded(item: object) -> bytes:
    match item:
        case None:
            return b"_\r\n"
        case int():
            return b":%d\r\n" % item
        case list():
            return array(*item)
        case dict():
            return mapping(**item)
        case _:
            return bulk(str(item))


class RedisFront:
    """Forwards commands to a server of this machine, one at a time for each connection. Use it as a context manager.

    Args:
        behind: the port of the server.
        answer: answers commands in its place.
        edit: changes what the server answers.

    Attributes:
        port: where it listens.
        is_away: whether it ends every connection that asks something.
        is_frozen: whether it answers nothing for now.
        seen: the commands that came, from the name on, in capitals.
    """

    def __init__(self, behind: int, answer: Answer, *, edit: Callable[[bytes], bytes] = bytes) -> None:
        self.port = free_port()
        self.is_away = self.is_frozen = False
        self.seen: list[Command] = []
        self._behind = behind
        self._answer = answer
        self._edit = edit
        self._connections = ClientConnections(self._serve)

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._connections.accept, [_HOST, OTHER_HOST], self.port)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._connections.close(self._server)

    async def _serve(self, from_client: asyncio.StreamReader, to_client: asyncio.StreamWriter) -> None:
        try:
            from_server, to_server = await asyncio.open_connection(_HOST, self._behind)
        except OSError:  # the server behind is down
            return
        commands = Reader(notEnoughData=_INCOMPLETE)
        try:
            with suppress(OSError):
                while data := await from_client.read(_READ_BYTES):
                    commands.feed(data)
                    for command in _all(commands):
                        while self.is_frozen:
                            await asyncio.sleep(_GLANCE_S)
                        if self.is_away:
                            return
                        self.seen.append([command[0].upper(), *command[1:]])
                        own = self._answer(self.seen[-1])
                        if own is None:
                            own = self._edit(await _ask(command, from_server, to_server))
                        to_client.write(own)
                    await to_client.drain()
        finally:
            to_server.transport.abort()


def _all(reader: Reader) -> Iterator[Any]:
    while (read := reader.gets()) is not _INCOMPLETE:
        yield read


async def _ask(command: Command, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bytes:
    """Return the exact answer of the server behind."""
    writer.write(b"*%d\r\n" % len(command) + b"".join(b"$%d\r\n%b\r\n" % (len(each), each) for each in command))
    answers, came = Reader(notEnoughData=_INCOMPLETE), b""
    while True:
        data = await reader.read(_READ_BYTES)
        if not data:
            raise ConnectionResetError
        came += data
        answers.feed(data)
        if answers.gets() is not _INCOMPLETE:
            return came
