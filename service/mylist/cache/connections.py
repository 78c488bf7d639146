"""Connections of redis-py that resolve the server's name before they connect to its addresses."""

import asyncio
from socket import SOCK_STREAM
from typing import Any

from redis.asyncio import Connection, SSLConnection


class _ResolvingConnection(Connection):
    """Resolves the name by itself, within the connect timeout.

    Without it: uvloop resolves names in `create_connection`, and abandons the lookup when a timeout cancels it. If the
    name then turns out to be unknown, asyncio logs "Future exception was never retrieved". Seen: uvloop 0.22.1.
    Upstream: https://github.com/MagicStack/uvloop/pull/590 (open). Test: `tests/integration/test_unknown_names.py`.
    """

    _resolved = ""

    async def _connect(self) -> None:
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(self.socket_connect_timeout):
            found = await loop.getaddrinfo(self.host, self.port, type=SOCK_STREAM)
            addresses = list(dict.fromkeys(str(address[0]) for *_, address in found))
            for each in addresses:
                self._resolved = each
                try:
                    await super()._connect()  # type: ignore[no-untyped-call]
                except OSError:
                    if each == addresses[-1]:
                        raise
                else:
                    return

    def _connection_arguments(self) -> dict[str, Any]:
        return {**super()._connection_arguments(), "host": self._resolved}


class ServerConnection(_ResolvingConnection):
    """A connection without TLS."""


class TlsServerConnection(_ResolvingConnection, SSLConnection):
    """A connection with TLS; the certificate must match the name, not the address."""

    def _connection_arguments(self) -> dict[str, Any]:
        return {**super()._connection_arguments(), "server_hostname": self.host}
