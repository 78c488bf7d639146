"""TLS in front of a server that has none: the Valkey from PyPI is built without it."""

import asyncio
import ssl
import threading
from contextlib import suppress
from typing import Self

from devtools.certificates import Certificates
from devtools.client_connections import ClientConnections

_HOST = "127.0.0.1"
_READ_BYTES = 65_536


class TlsFront:
    """Accepts TLS connections and forwards each to a port of this machine, in a thread. Use it as a context manager.

    Args:
        behind: the port of the server without TLS.
        certificates: the front's own certificate, and the authority of the clients that it accepts.
        asks_clients: whether a client must show a certificate of that authority.

    Attributes:
        port: where it listens.
    """

    def __init__(self, behind: int, certificates: Certificates, *, asks_clients: bool = True) -> None:
        self.port = 0
        self._behind = behind
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(certificates.certificate, certificates.key)
        if asks_clients:
            self._context.load_verify_locations(certificates.authority)
            self._context.verify_mode = ssl.CERT_REQUIRED
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._connections = ClientConnections(self._forward)

    def __enter__(self) -> Self:
        self._thread.start()
        self._server = asyncio.run_coroutine_threadsafe(self._open(), self._loop).result()
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    def __exit__(self, *_: object) -> None:
        asyncio.run_coroutine_threadsafe(self._connections.close(self._server), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _open(self) -> asyncio.Server:
        return await asyncio.start_server(self._connections.accept, _HOST, 0, ssl=self._context, ssl_shutdown_timeout=1)

    async def _forward(self, from_client: asyncio.StreamReader, to_client: asyncio.StreamWriter) -> None:
        try:
            from_server, to_server = await asyncio.open_connection(_HOST, self._behind)
        except OSError:  # the server behind is down
            return
        # Each closes the other side's connection when its own ends.
        try:
            await asyncio.gather(_copy(from_client, to_server), _copy(from_server, to_client))
        finally:
            to_server.transport.abort()


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while data := await reader.read(_READ_BYTES):
            writer.write(data)
            await writer.drain()
    writer.close()
    with suppress(OSError):
        await writer.wait_closed()
