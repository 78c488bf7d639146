"""The proxy that Redis is some milliseconds away behind."""

import asyncio
import socket
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from subprocess import Popen

import pytest

from bench.samples import percentile
from devtools.ports import free_port
from devtools.waiting import wait_until


@pytest.fixture
def echo_ended() -> asyncio.Event:
    """Set when a connection that said something to the server has ended."""
    return asyncio.Event()


@pytest.fixture
async def echo(echo_ended: asyncio.Event) -> AsyncIterator[int]:
    """The port of a server that answers with what it is told, and hangs up after `bye`."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        told = False
        while data := await reader.read(65_536):
            told = True
            writer.write(data)
            if data == b"bye":
                break
        writer.close()
        if told:
            echo_ended.set()

    server = await asyncio.start_server(answer, "127.0.0.1", free_port())
    yield server.sockets[0].getsockname()[1]
    server.close()


@pytest.fixture(params=[0, 1, 20])
def milliseconds(request: pytest.FixtureRequest) -> int:
    return int(request.param)


@pytest.fixture
def proxy(echo: int, milliseconds: int) -> Iterator[int]:
    with _running(echo, milliseconds) as port:
        yield port


async def test_answers_are_held_back_for_so_long(proxy: int, milliseconds: int) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", proxy)
    times = []
    for number in range(100):
        began = time.perf_counter()
        writer.write(b"%03d" % number)
        assert await reader.readexactly(3) == b"%03d" % number
        times.append((time.perf_counter() - began) * 1000)
    writer.close()

    assert min(times) >= milliseconds
    # How much more it is says how busy the machine is, too.
    assert percentile(times, 10) < milliseconds + 0.9


async def test_answers_arrive_in_order_and_whole(proxy: int) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", proxy)
    sent = b"".join(b"%07d\n" % number for number in range(50_000))
    for start in range(0, len(sent), 1000):
        writer.write(sent[start : start + 1000])
        if start % 10_000 == 0:
            await writer.drain()
    assert await reader.readexactly(len(sent)) == sent
    writer.close()


async def test_when_the_server_hangs_up_its_last_words_arrive_before_the_end(proxy: int) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", proxy)
    writer.write(b"bye")
    async with asyncio.timeout(5):
        assert await reader.read() == b"bye"
    writer.close()


async def test_when_the_client_hangs_up_the_server_is_told(proxy: int, echo_ended: asyncio.Event) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", proxy)
    writer.write(b"hello")
    assert await reader.readexactly(5) == b"hello"
    assert not echo_ended.is_set()
    writer.close()
    async with asyncio.timeout(5):
        await echo_ended.wait()


def test_without_a_server_the_connection_is_closed() -> None:
    with _running(target=free_port(), milliseconds=0) as port, socket.create_connection(("127.0.0.1", port)) as client:
        client.settimeout(5)
        assert client.recv(1) == b""


@contextmanager
def _running(target: int, milliseconds: int) -> Iterator[int]:
    port = free_port()
    process = Popen([sys.executable, "-m", "bench.proxy", str(port), str(target), str(milliseconds)])
    try:
        wait_until(lambda: _accepts(port), within=10)
        yield port
    finally:
        process.terminate()
        process.wait()


def _accepts(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True
