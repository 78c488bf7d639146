"""The TCP proxy, which delays the answers of a server, or cuts or stalls a link to it."""

import asyncio
import socket
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress

import pytest

from devtools.ports import free_port
from devtools.tcp_proxy import TcpProxy

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]
PATIENCE = 10


class Echo:
    """A server that answers with the bytes that it gets, and hangs up after `bye`."""

    def __init__(self) -> None:
        self.port = 0
        self.told = b""
        self.clients: list[asyncio.StreamWriter] = []
        self.ended = asyncio.Event()
        """Set when a connection that has sent bytes has ended or was reset."""

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.clients.append(writer)
        try:
            while data := await reader.read(65_536):
                self.told += data
                writer.write(data)
                if data == b"bye":
                    break
        except ConnectionResetError:
            pass
        writer.close()
        if self.told:
            self.ended.set()


@pytest.fixture
async def echo() -> AsyncIterator[Echo]:
    echo = Echo()
    server = await asyncio.start_server(echo.answer, "127.0.0.1", 0)
    echo.port = server.sockets[0].getsockname()[1]
    yield echo
    server.close()
    for client in echo.clients:
        await closed(client)


@asynccontextmanager
async def connected(proxy: TcpProxy, link: int = 0) -> AsyncIterator[Streams]:
    reader, writer = await asyncio.open_connection("127.0.0.1", proxy.ports[link])
    yield reader, writer
    await closed(writer)


async def closed(writer: asyncio.StreamWriter) -> None:
    writer.close()
    with suppress(ConnectionError):
        await writer.wait_closed()


async def ask(streams: Streams, question: bytes) -> None:
    reader, writer = streams
    writer.write(question)
    async with asyncio.timeout(PATIENCE):
        assert await reader.readexactly(len(question)) == question


@pytest.mark.parametrize("milliseconds", [0, 0.25, 20])
class TestDelay:
    @pytest.fixture
    @staticmethod
    def proxy(echo: Echo, milliseconds: float) -> Iterator[TcpProxy]:
        with TcpProxy(echo.port) as proxy:
            proxy.delay(0, milliseconds / 1000)
            yield proxy

    async def test_answers_are_delayed_by_the_given_time(self, proxy: TcpProxy, milliseconds: float) -> None:
        times = []
        async with connected(proxy) as client:
            for number in range(100):
                began = time.perf_counter()
                await ask(client, b"%03d" % number)
                times.append((time.perf_counter() - began) * 1000)

        # Only the fastest answer counts, because the others depend on the load of the machine.
        assert milliseconds <= min(times) < 2 * milliseconds + 1

    async def test_answers_arrive_complete_and_in_order(self, proxy: TcpProxy) -> None:
        sent = b"".join(b"%07d\n" % number for number in range(50_000))
        async with connected(proxy) as (reader, writer):
            for start in range(0, len(sent), 1000):
                writer.write(sent[start : start + 1000])
                if start % 10_000 == 0:
                    await writer.drain()
            assert await reader.readexactly(len(sent)) == sent

    async def test_the_last_bytes_arrive_before_the_end_when_the_server_closes(self, proxy: TcpProxy) -> None:
        async with connected(proxy) as (reader, writer), asyncio.timeout(PATIENCE):
            writer.write(b"bye")
            assert await reader.read() == b"bye"

    async def test_the_server_sees_the_end_when_the_client_closes(self, proxy: TcpProxy, echo: Echo) -> None:
        async with connected(proxy) as client:
            await ask(client, b"hello")
            assert not echo.ended.is_set()
        async with asyncio.timeout(PATIENCE):
            await echo.ended.wait()


async def test_an_answer_does_not_overtake_an_earlier_one_with_a_longer_delay(echo: Echo) -> None:
    with TcpProxy(echo.port, links=2) as proxy:
        async with connected(proxy, 1) as slow, connected(proxy) as other:
            proxy.delay(1, 0.3)
            slow[1].write(b"first ")
            while b"first" not in echo.told:
                await ask(other, b"?")
            await ask(other, b"?")  # the proxy has read the answer to the first before it reads this one
            proxy.delay(1, 0)
            slow[1].write(b"second")
            async with asyncio.timeout(PATIENCE):
                assert await slow[0].readexactly(12) == b"first second"


async def test_a_cut_link_resets_old_and_new_connections_until_it_is_healed(echo: Echo) -> None:
    with TcpProxy(echo.port, links=2) as proxy:
        async with connected(proxy, 1) as client, connected(proxy) as other:
            await ask(client, b"hello")
            await ask(other, b"hello")

            proxy.cut(1)
            async with asyncio.timeout(PATIENCE):
                with pytest.raises(ConnectionResetError):
                    await client[0].read()
                await echo.ended.wait()
            with socket.create_connection(("127.0.0.1", proxy.ports[1])) as late:
                late.settimeout(PATIENCE)
                with pytest.raises(ConnectionResetError):
                    late.recv(1)
            await ask(other, b"still here")

            proxy.heal(1)
            async with connected(proxy, 1) as again:
                await ask(again, b"hello again")


async def test_a_stalled_link_forwards_nothing_until_it_is_healed(echo: Echo) -> None:
    with TcpProxy(echo.port, links=2) as proxy:
        async with connected(proxy) as client:
            await ask(client, b"hello")
            [to_client] = echo.clients

            proxy.stall(0)
            client[1].write(b"question")
            to_client.write(b"news ")
            async with connected(proxy) as late, connected(proxy, 1) as other:
                late[1].write(b"me too")
                for _ in range(20):  # the proxy has read all available bytes meanwhile
                    await ask(other, b".")
                assert echo.told == b"hello" + b"." * 20

                proxy.heal(0)
                async with asyncio.timeout(PATIENCE):
                    assert await client[0].readexactly(13) == b"news question"
                    assert await late[0].readexactly(6) == b"me too"


async def test_bytes_sent_right_after_connecting_reach_the_server(echo: Echo) -> None:
    with TcpProxy(echo.port) as proxy:
        for _ in range(50):
            async with connected(proxy):
                pass
            async with connected(proxy) as client:
                await ask(client, b"hello")


def test_a_connection_is_closed_if_the_server_is_not_running() -> None:
    with TcpProxy(free_port()) as proxy, socket.create_connection(("127.0.0.1", proxy.ports[0])) as client:
        client.settimeout(PATIENCE)
        assert client.recv(1) == b""


def test_the_proxy_stops_listening_when_its_context_ends() -> None:
    with TcpProxy(free_port()) as proxy:
        socket.create_connection(("127.0.0.1", proxy.ports[0])).close()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", proxy.ports[0]))
