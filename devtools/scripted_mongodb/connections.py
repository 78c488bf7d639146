"""Connections of clients to a member, and of the proxy to the server that does the work."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress

from devtools.client_connections import ClientConnections
from devtools.ports import free_port
from devtools.scripted_mongodb.wire import ProtocolError, Request, parse_request, read_message

HOST = "127.0.0.1"


class HangUpError(Exception):
    """The client's connection ends without a reply."""


class ServerConnection:
    """One client's way to the server; it connects with the first command."""

    def __init__(self, host: str, port: int) -> None:
        self._server = host, port
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
        self._is_asking = False
        self._is_closed = False

    async def ask(self, message: bytes, *, wants_reply: bool) -> bytes | None:
        """Send a message; return the reply if there is one.

        Raises:
            HangUpError: the server is away.
        """
        self._is_asking = True
        try:
            if self._streams is None:
                self._streams = await asyncio.open_connection(*self._server)
            reader, writer = self._streams
            writer.write(message)
            await writer.drain()
            return await read_message(reader) if wants_reply else None
        except (OSError, asyncio.IncompleteReadError) as error:
            raise HangUpError from error
        finally:
            self._is_asking = False
            self._abort_if_closed()

    def close(self) -> None:
        """Close the connection after the pending replies."""
        self._is_closed = True
        self._abort_if_closed()

    def _abort_if_closed(self) -> None:
        if self._is_closed and not self._is_asking and self._streams is not None:
            self._streams[1].transport.abort()


Answer = Callable[[Request, ServerConnection], Awaitable[bytes | None]]
"""The handler that answers one request of a client."""


class Listener:
    """The address at which one member is reached from one site.

    Args:
        server: host and port of the server behind.
        answer: answers a request, or raises `HangUpError` to close the connection.

    Attributes:
        port: where it listens, from the first time that it is opened.
        failures: the faults of the proxy itself.
    """

    def __init__(self, server: tuple[str, int], answer: Answer) -> None:
        self.port = 0
        self._server = server
        self._answer = answer
        self._listening: asyncio.Server | None = None
        self._silenced_by: set[str] = set()
        self._passes = asyncio.Event()
        self._passes.set()
        self.failures: list[BaseException] = []
        self._clients = ClientConnections(self._serve, self.failures.append)

    async def open(self) -> None:
        """Accept connections."""
        while self._listening is None:
            port = self.port or free_port()
            try:
                self._listening = await asyncio.start_server(self._clients.accept, HOST, port)
            except OSError:
                if self.port:
                    raise
                continue  # another took it meanwhile
            self.port = port

    async def close(self) -> None:
        """End all connections, and refuse new ones."""
        if self._listening is not None:
            listening, self._listening = self._listening, None
            await self._clients.close(listening)

    def silence(self, reason: str) -> None:
        """Keep connections open, but neither read nor write, until `resume` is called for every reason given."""
        self._silenced_by.add(reason)
        self._passes.clear()

    def resume(self, reason: str) -> None:
        """Read and write again, from the bytes that came meanwhile, unless there is another reason to pause."""
        self._silenced_by.discard(reason)
        if not self._silenced_by:
            self._passes.set()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        server = ServerConnection(*self._server)
        try:
            with suppress(OSError, asyncio.IncompleteReadError, HangUpError, ProtocolError):
                while True:
                    message = await read_message(reader)
                    await self._passes.wait()
                    reply = await self._answer(parse_request(message), server)
                    await self._passes.wait()
                    if reply is not None:
                        writer.write(reply)
                        await writer.drain()
        finally:
            server.close()
