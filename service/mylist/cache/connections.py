"""Connections of redis-py that look the server's name up first, and then connect to its addresses."""

import asyncio
from socket import SOCK_STREAM
from typing import Any

from redis.asyncio import Connection, SSLConnection


class _ResolvingConnection(Connection):
    """Looks the name up by itself, within the time that connecting may take.

    Without it: uvloop looks names up in `create_connection`, and forgets that when a timeout cancels it. A name that is
    then found to be unknown is logged, as "Future exception was never retrieved".
    Seen: uvloop 0.22.1. Upstream: https://github.com/MagicStack/uvloop/pull/590 (open). Test:
    `tests/integration/test_unknown_names.py`.
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
    """A connection with TLS; the certificate is held against the name, not the address."""

    def _connection_arguments(self) -> dict[str, Any]:
        return {**super()._connection_arguments(), "server_hostname": self.host}
