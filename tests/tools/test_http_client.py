"""The HTTP client of the tests and tools: how it reads answers, and how it reports a missing one."""

import asyncio
import socket
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, suppress

import pytest

from devtools.http_client import (
    Answer,
    Client,
    Connection,
    NotAnsweredError,
    NotSentError,
    Pool,
    exchange,
    parse,
    request,
)
from devtools.ports import free_port
from tests.fake_http_server import FakeHttpHandler, fake_http_server

ONE = b"HTTP/1.1 200 OK\r\nX-Cache: hit\r\ncontent-length: 3\r\n\r\none"
CHUNKED = (
    b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\nx-cache: hit\r\n\r\n"
    b"3\r\none\r\nc\r\n\r\ntwo\r\nthree\r\n0\r\n\r\n"
)
UNCHANGED = b"HTTP/1.1 304 Not Modified\r\ncontent-length: 1000\r\netag: W/1\r\n\r\n"
CLOSING = b"HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n"

OF_ONE = Answer(200, {"x-cache": "hit", "content-length": "3"}, b"one")
OF_CHUNKED = Answer(200, {"transfer-encoding": "chunked", "x-cache": "hit"}, b"one\r\ntwo\r\nthree")
OF_UNCHANGED = Answer(304, {"content-length": "1000", "etag": "W/1"}, b"")
OF_CLOSING = Answer(204, {"connection": "close"}, b"")


class Peer:
    """A server that sends fixed bytes as the answer to each request, some at a time."""

    def __init__(self, sent: bytes, size: int, *, hangs_up: bool) -> None:
        self.url = ""
        self.connections = 0
        self._sent = sent
        self._size = size
        self._hangs_up = hangs_up
        self.serving: list[asyncio.Task[None] | None] = []

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self.serving.append(asyncio.current_task())
        with suppress(ConnectionError):
            while await reader.read(1000):
                for start in range(0, len(self._sent), self._size):
                    writer.write(self._sent[start : start + self._size])
                    await writer.drain()
                    await asyncio.sleep(0)
                if self._hangs_up:
                    break
            writer.close()
            await writer.wait_closed()


@asynccontextmanager
async def serving(sent: bytes, *, size: int = 1000, hangs_up: bool = False) -> AsyncIterator[Peer]:
    """Serve until the clients have left."""
    peer = Peer(sent, size, hangs_up=hangs_up)
    async with await asyncio.start_server(peer.serve, "127.0.0.1", 0) as server:
        peer.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        yield peer
        async with asyncio.timeout(10):
            await asyncio.gather(*filter(None, peer.serving))


async def ask_pool(url: str) -> list[Answer]:
    pool = Pool(url)
    try:
        return [await pool.ask(request("GET", "/")) for _ in range(2)]
    finally:
        pool.close()


async def ask_client(url: str) -> list[Answer]:
    def ask() -> list[Answer]:
        with Client(url) as client:
            return [client.ask(request("GET", "/")) for _ in range(2)]

    return await asyncio.to_thread(ask)


Ask = Callable[[str], Awaitable[list[Answer]]]
both = pytest.mark.parametrize("ask", [ask_client, ask_pool])


@both
@pytest.mark.parametrize("size", [1, 7, 1000])
@pytest.mark.parametrize(
    ("sent", "answer"), [(ONE, OF_ONE), (CHUNKED, OF_CHUNKED), (UNCHANGED, OF_UNCHANGED)], ids=["one", "chunks", "304"]
)
async def test_an_answer_is_assembled_from_its_parts(ask: Ask, sent: bytes, answer: Answer, size: int) -> None:
    async with serving(sent, size=size) as peer:
        assert await ask(peer.url) == [answer, answer]
    assert peer.connections == 1


@both
@pytest.mark.parametrize("missing", [1, 5, 8, len(CHUNKED) - 5])
async def test_an_answer_without_its_last_chunk_counts_as_not_answered(ask: Ask, missing: int) -> None:
    async with serving(CHUNKED[:-missing], hangs_up=True) as peer:
        with pytest.raises(NotAnsweredError, match="connection"):
            await ask(peer.url)


@both
async def test_an_answer_that_is_not_http_counts_as_not_answered(ask: Ask) -> None:
    async with serving(b"+PONG\r\n") as peer:
        with pytest.raises(NotAnsweredError, match="not HTTP"):
            await ask(peer.url)


@both
async def test_a_refused_connection_counts_as_not_sent(ask: Ask) -> None:
    with pytest.raises(NotSentError):
        await ask(f"http://127.0.0.1:{free_port()}")


async def test_a_connection_with_the_header_connection_close_is_not_reused() -> None:
    async with serving(CLOSING) as peer:
        assert await ask_pool(peer.url) == [OF_CLOSING, OF_CLOSING]
    assert peer.connections == 2


async def test_concurrent_requests_use_separate_connections() -> None:
    async with serving(ONE) as peer:
        pool = Pool(peer.url)
        for _ in range(2):
            assert await asyncio.gather(*(pool.ask(request("GET", "/")) for _ in range(5))) == [OF_ONE] * 5
        pool.close()
    assert peer.connections == 5


async def test_a_timeout_counts_as_not_answered_and_closes_the_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("devtools.http_client._TIMEOUT_S", 0.1)
    async with serving(b"") as peer:
        connection = await Connection.open(peer.url)
        with pytest.raises(NotAnsweredError, match="timeout"):
            await connection.ask(request("GET", "/"))
        assert not connection.is_open


async def test_a_cancelled_request_closes_its_connection() -> None:
    async with serving(b"") as peer:
        connection = await Connection.open(peer.url)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.01):
                await connection.ask(request("GET", "/"))
        assert not connection.is_open


def test_a_timeout_of_the_blocking_client_counts_as_not_answered() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        url = f"http://127.0.0.1:{server.getsockname()[1]}"
        with Client(url, timeout_s=0.1) as client, pytest.raises(NotAnsweredError, match="timeout"):
            client.ask(request("GET", "/"))


def test_received_bytes_are_parsed_into_answers_without_interim_ones() -> None:
    received = ONE + b"HTTP/1.1 100 Continue\r\n\r\n" + CHUNKED + UNCHANGED + CLOSING
    assert parse(received) == [OF_ONE, OF_CHUNKED, OF_UNCHANGED, OF_CLOSING]
    assert parse(b"") == []


@pytest.mark.parametrize("received", [b"HTTP/1.1 2", ONE[:-1], ONE + CHUNKED[:-1], CLOSING + ONE, b"garbage\r\n\r\n"])
def test_incomplete_or_non_http_bytes_are_rejected(received: bytes) -> None:
    with pytest.raises(NotAnsweredError):
        parse(received)


def test_a_request_arrives_with_its_path_header_and_body() -> None:
    heard: list[tuple[str, str | None, bytes]] = []

    class Server(FakeHttpHandler):
        def do_POST(self) -> None:  # noqa: N802 - as http.server calls it
            body = self.rfile.read(int(self.headers["content-length"]))
            heard.append((self.path, self.headers["user-id"], body))
            self.answer(b'{"a": 1}', "application/json", 201)

    with fake_http_server(Server) as port, Client(f"http://127.0.0.1:{port}") as client:
        answer = client.ask(request("POST", "/add?a=b", {"user-id": "me"}, b"body"))
        assert (answer.status, answer.json()) == (201, {"a": 1})
    assert heard == [("/add?a=b", "me", b"body")]


async def test_exchange_returns_all_received_bytes() -> None:
    async with serving(ONE, hangs_up=True) as peer:
        assert await asyncio.to_thread(exchange, peer.url, b"\x00nonsense") == ONE


async def test_exchange_can_close_its_sending_side() -> None:
    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(await reader.read())
        writer.close()

    async with await asyncio.start_server(echo, "127.0.0.1", 0) as server:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        assert await asyncio.to_thread(exchange, url, b"all", closes_its_side=True) == b"all"


def test_exchange_treats_a_reset_as_the_end() -> None:
    def reset() -> None:
        connection, _ = server.accept()
        connection.recv(1)  # a reset before that may be one of connecting
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        connection.close()

    with socket.create_server(("127.0.0.1", 0)) as server, ThreadPoolExecutor() as peer:
        peer.submit(reset)
        assert exchange(f"http://127.0.0.1:{server.getsockname()[1]}", b"?") == b""


def test_exchange_times_out_if_the_peer_does_not_close() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        url = f"http://127.0.0.1:{server.getsockname()[1]}"
        with pytest.raises(TimeoutError):
            exchange(url, b"?", timeout_s=0.1)
