"""The private parts of redis-py that `mylist.cache.read_connection` uses. If a test fails, they have changed."""
# ruff: noqa: SLF001 - what is looked at is private

import asyncio
from asyncio import StreamReader, StreamWriter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from redis.asyncio.connection import Connection


async def ask_nothing(_: Connection) -> None:
    """The first commands of a connection: none, because the server does not answer."""


@asynccontextmanager
async def connected() -> AsyncIterator[tuple[Connection, list[bytes]]]:
    """A connection of redis-py to a server that never answers, and the data that this server received."""
    received: list[bytes] = []
    ended = asyncio.Event()

    async def listen(reader: StreamReader, writer: StreamWriter) -> None:
        while some := await reader.read(100):
            received.append(some)
        received.append(b"")
        writer.close()
        await writer.wait_closed()
        ended.set()

    server = await asyncio.start_server(listen, "127.0.0.1", 0)
    connection = Connection(port=server.sockets[0].getsockname()[1], redis_connect_func=ask_nothing)
    await connection.connect()  # type: ignore[no-untyped-call]
    try:
        yield connection, received
    finally:
        await connection.disconnect()
        server.close()
        async with asyncio.timeout(30):
            await ended.wait()


async def test_a_connection_has_two_streams_over_one_transport() -> None:
    async with connected() as (connection, _):
        assert isinstance(connection._reader, StreamReader)
        assert isinstance(connection._writer, StreamWriter)
        assert connection._reader._transport is connection._writer.transport  # type: ignore[attr-defined]


async def test_a_connection_does_not_close_streams_that_were_taken_from_it() -> None:
    async with connected() as (connection, received):
        reader, writer = connection._reader, connection._writer
        connection._reader = connection._writer = None
        assert not connection.is_connected
        await connection.disconnect()
        del connection

        assert reader is not None
        assert writer is not None
        writer.write(b"still there")
        async with asyncio.timeout(30):
            while not received:
                await asyncio.sleep(0.01)
        writer.close()
    assert received[0] == b"still there"
