"""A TCP proxy that holds back what the server answers, as a network would: so Redis is some milliseconds away.

python -m bench.proxy PORT TARGET_PORT MILLISECONDS
"""

import asyncio
import selectors
import sys
from collections import deque
from typing import cast

_HOST = "127.0.0.1"


class _ToServer(asyncio.Protocol):
    """The connection to the server; hands on what it says after a delay, in order."""

    def __init__(self, client: asyncio.Transport, seconds: float) -> None:
        self._client = client
        self._seconds = seconds
        self._held: deque[bytes] = deque()

    def data_received(self, data: bytes) -> None:
        if not self._seconds:
            self._client.write(data)
            return
        self._held.append(data)
        # Not bound to this data: timers that are due together may fire in any order.
        asyncio.get_running_loop().call_later(self._seconds, lambda: self._client.write(self._held.popleft()))

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's signature
        asyncio.get_running_loop().call_later(self._seconds, self._client.close)


class _ToClient(asyncio.Protocol):
    """The connection of a client; hands on what it says at once."""

    def __init__(self, target: int, seconds: float) -> None:
        self._target = target
        self._seconds = seconds
        self._server: asyncio.Transport | None = None
        self._early: list[bytes] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._connecting = asyncio.ensure_future(self._connect(cast("asyncio.Transport", transport)))

    def data_received(self, data: bytes) -> None:
        if self._server:
            self._server.write(data)
        else:
            self._early.append(data)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's signature
        self._connecting.cancel()
        if self._server:
            self._server.close()

    async def _connect(self, client: asyncio.Transport) -> None:
        loop = asyncio.get_running_loop()
        try:
            self._server, _ = await loop.create_connection(
                lambda: _ToServer(client, self._seconds), _HOST, self._target
            )
        except OSError:
            client.close()
            return
        self._server.writelines(self._early)


async def serve(port: int, target: int, milliseconds: float) -> None:
    """Serves until cancelled."""
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: _ToClient(target, milliseconds / 1000), _HOST, port)
    await server.serve_forever()


def loop() -> asyncio.AbstractEventLoop:
    """Makes an event loop whose timers are exact: with epoll, as with uvloop, they are a millisecond off."""
    return asyncio.SelectorEventLoop(selectors.SelectSelector())


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=loop) as runner:
        runner.run(serve(int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3])))
