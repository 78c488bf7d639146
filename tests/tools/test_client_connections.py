"""`ClientConnections` leaves no connection open, no matter when it arrived and how it ended."""

import asyncio
import gc
import socket
import warnings

import pytest

from devtools.client_connections import ClientConnections


def ended(client: socket.socket) -> bool:
    """Wait until the other side ends a connection; return whether it did in time."""
    client.settimeout(5)
    try:
        return client.recv(1) == b""
    except ConnectionResetError:
        return True
    except TimeoutError:
        return False


async def forever(_reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
    await asyncio.Event().wait()


async def stubborn(_reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
    try:
        await asyncio.Event().wait()
    finally:
        await asyncio.sleep(0.01)


@pytest.mark.parametrize("serve", [forever, stubborn])
@pytest.mark.parametrize("turns", range(6))
async def test_close_ends_a_connection_however_few_loop_turns_ago_it_arrived(serve: object, turns: int) -> None:
    connections = ClientConnections(serve)  # type: ignore[arg-type]
    server = await asyncio.start_server(connections.accept, "127.0.0.1", 0)
    with socket.create_connection(server.sockets[0].getsockname()) as client:
        for _ in range(turns):
            await asyncio.sleep(0)
        await connections.close(server)
        assert await asyncio.to_thread(ended, client)


async def test_served_connections_are_closed_and_failures_are_reported() -> None:
    failure, failures = "the byte x", list[BaseException]()

    async def serve(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
        if await reader.read(1) == b"x":
            raise RuntimeError(failure)

    connections = ClientConnections(serve, failures.append)
    server = await asyncio.start_server(connections.accept, "127.0.0.1", 0)
    for sent in (b"y", b"x"):
        with socket.create_connection(server.sockets[0].getsockname()) as client:
            client.sendall(sent)
            assert await asyncio.to_thread(ended, client)
    await connections.close(server)
    assert [str(each) for each in failures] == [failure]


async def test_a_connection_that_its_client_ends_is_closed_without_a_resource_warning() -> None:
    async def serve(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
        await reader.read()
        served.set()

    served = asyncio.Event()
    connections = ClientConnections(serve)
    server = await asyncio.start_server(connections.accept, "127.0.0.1", 0)
    address = server.sockets[0].getsockname()
    with warnings.catch_warnings(record=True) as complaints:
        warnings.simplefilter("always")
        with socket.create_connection(address):
            pass
        await served.wait()
        await connections.close(server)
        gc.collect()  # this also finds connections of earlier tests, which have other addresses
    assert [str(each.message) for each in complaints if str(address) in str(each.message)] == []
