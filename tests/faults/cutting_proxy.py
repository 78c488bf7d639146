"""A proxy to a server of this machine that closes connections at chosen messages."""

import asyncio
import socket
import struct
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Self

from devtools.client_connections import ClientConnections

_HOST = "127.0.0.1"
_READ_BYTES = 65_536
_RESET = struct.pack("ii", 1, 0)
"""For SO_LINGER: closing drops unsent bytes, and resets the connection."""


class CuttingProxy:
    """Forwards connections to a port, in a thread. Use it as a context manager.

    Args:
        behind: the port of the server.
        word: the bytes to look for in the clients' data.
        cuts: whether to end the connection over which the word comes for the n-th time, n from 1; the server does not
            receive the word then.
        resets: whether to reset the connection instead of closing it.

    Attributes:
        port: where it listens.
        seen: how often the word came.
        cut: how many connections were cut.
    """

    def __init__(self, behind: int, word: bytes, *, cuts: Callable[[int], bool], resets: bool = False) -> None:
        self.port = self.seen = self.cut = 0
        self._behind = behind
        self._word = word
        self._cuts = cuts
        self._resets = resets
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._connections = ClientConnections(self._forward)

    def __enter__(self) -> Self:
        self._thread.start()
        self._server = asyncio.run_coroutine_threadsafe(
            asyncio.start_server(self._connections.accept, _HOST, 0), self._loop
        ).result()
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    def __exit__(self, *_: object) -> None:
        asyncio.run_coroutine_threadsafe(self._connections.close(self._server), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _forward(self, from_client: asyncio.StreamReader, to_client: asyncio.StreamWriter) -> None:
        try:
            from_server, to_server = await asyncio.open_connection(_HOST, self._behind)
        except OSError:  # the server behind is down
            return
        answers = asyncio.create_task(_copy(from_server, to_client))
        try:
            with suppress(OSError):
                while (data := await from_client.read(_READ_BYTES)) and not self._ends_at(data):
                    to_server.write(data)
                    await to_server.drain()
        finally:
            answers.cancel()
            to_server.transport.abort()
            if self._resets and not to_client.is_closing():
                to_client.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)

    def _ends_at(self, data: bytes) -> bool:
        if self._word not in data:
            return False
        self.seen += 1
        ends = self._cuts(self.seen)
        self.cut += ends
        return ends


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while data := await reader.read(_READ_BYTES):
            writer.write(data)
            await writer.drain()
    writer.close()
