"""The connections of a server that a test or a proxy runs. When the server ends, for any reason, they are closed."""

import asyncio
from collections.abc import Callable, Coroutine

_TURNS = 3
"""Turns of the event loop from the accept of a connection until asyncio's callback; an abort ends in no more."""


class ClientConnections:
    """Serves each connection in a task, and aborts it when the task ends. `accept` is for `asyncio.start_server`.

    Args:
        serve: serves one connection; returns when it is done with it. It needs not close the connection.
        failed: called with each exception that `serve` raises; without it, asyncio logs the exception.
    """

    def __init__(
        self,
        serve: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Coroutine[object, object, None]],
        failed: Callable[[BaseException], object] | None = None,
    ) -> None:
        self._serve = serve
        self._failed = failed
        self._writers: dict[asyncio.Task[None], asyncio.StreamWriter] = {}

    def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Begin to serve a connection. It is not a coroutine: asyncio would run one later, perhaps never."""
        connection = asyncio.ensure_future(self._serve(reader, writer))
        self._writers[connection] = writer
        connection.add_done_callback(self._end)

    async def close(self, server: asyncio.Server) -> None:
        """Accept no further connections, and close the open ones."""
        # asyncio would leak a connection that it has accepted but not yet reported when its server closes.
        for listening in server.sockets:
            asyncio.get_running_loop().remove_reader(listening.fileno())
        await _let_asyncio_finish()
        server.close()
        while self._writers:
            for connection in self._writers:
                connection.cancel()
            await asyncio.wait(self._writers)
        # asyncio closes the socket of an aborted connection in a later turn, which a loop that stops now never reaches.
        await _let_asyncio_finish()

    def _end(self, connection: asyncio.Task[None]) -> None:
        writer = self._writers.pop(connection)  # held on to: one that is dropped complains before it is aborted
        writer.transport.abort()
        if self._failed and not connection.cancelled() and (failure := connection.exception()):
            self._failed(failure)


async def _let_asyncio_finish() -> None:
    """Give asyncio the turns that it needs to report an accepted connection, or to close an aborted one."""
    for _ in range(_TURNS):
        await asyncio.sleep(0)
