"""Sanic itself, without the service: with its own HTTP protocol, or with the protocol under test."""

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from itertools import count
from typing import Any, cast

from sanic import HTTPResponse, Request, Sanic
from sanic.config import Config
from sanic.http import Stage
from sanic.response import text
from sanic.server import AsyncioServer, HttpProtocol

PATIENCE = 30.0
"""Seconds until something must have happened."""
# The start of a server changes the protocol's classes; only in test mode can this be done more than once.
Sanic.test_mode = True
_numbers = count(1)


class Server:
    """A server of this event loop, with one route for each thing that a handler can do."""

    def __init__(self, app: Sanic[Any, Any], port: int, connections: set[HttpProtocol]) -> None:
        self.app = app
        self.port = port
        self.connections = connections

    async def connection(self) -> HttpProtocol:
        """Wait for the only connection, and return it."""
        await until(lambda: bool(self.connections))
        [connection] = self.connections
        return connection

    async def connection_in(self, stage: Stage) -> HttpProtocol:
        """Wait until the only connection is in this stage, and return it."""
        connection = await self.connection()
        await until(lambda: connection.http is not None and connection.http.stage is stage)
        return connection

    async def exchange(self, sent: bytes) -> bytes:
        """Send this on a new connection; return everything that the server sends until it closes the connection."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        writer.write(sent)
        async with asyncio.timeout(PATIENCE):
            received = await reader.read()
        writer.close()
        await writer.wait_closed()
        return received


async def until(happened: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE):
        while not happened():
            await asyncio.sleep(0.01)


async def started(app: Sanic[Any, Any], **arguments: Any) -> AsyncioServer:
    """Return a server. The listeners before its start have already run."""
    port = socket.create_server(("127.0.0.1", 0))  # Sanic takes port 0 for its usual one
    server = await app.create_server(sock=port, return_asyncio_server=True, **arguments)
    assert server is not None
    try:
        await server.startup()  # type: ignore[no-untyped-call]
        await server.before_start()  # type: ignore[no-untyped-call]
    except BaseException:
        cast("asyncio.Server", server.server).close()
        raise
    return server


@asynccontextmanager
async def serving(protocol: type[HttpProtocol] = HttpProtocol, **config: Any) -> AsyncIterator[Server]:
    app = plain_app(**config)
    server = await started(app, protocol=protocol)
    await server.after_start()  # type: ignore[no-untyped-call]
    listening = cast("asyncio.Server", server.server)
    await listening.start_serving()
    connections: set[HttpProtocol] = server.connections
    try:
        yield Server(app, listening.sockets[0].getsockname()[1], connections)
    finally:
        for connection in list(connections):
            HttpProtocol.abort(connection)  # type: ignore[no-untyped-call]
        await until(lambda: not connections)
        listening.close()
        Sanic.unregister_app(app)


def plain_app(**config: Any) -> Sanic[Any, Any]:
    settings = {"AUTO_EXTEND": False, "ACCESS_LOG": False, "MOTD": False} | config
    app: Sanic[Any, Any] = Sanic(
        f"plain-{next(_numbers)}", config=Config(settings, env_prefix=""), configure_logging=False
    )

    @app.get("/")
    async def get(request: Request) -> HTTPResponse:
        return text("x" * int(request.args.get("bytes", "1")))

    @app.get("/never")
    async def never(_: Request) -> HTTPResponse:
        await asyncio.Event().wait()
        return text("")

    @app.post("/")
    async def echo(request: Request) -> HTTPResponse:
        return text(request.body.decode())

    @app.post("/unread", ignore_body=True)
    async def unread(_: Request) -> HTTPResponse:
        return text("not read")

    return app
