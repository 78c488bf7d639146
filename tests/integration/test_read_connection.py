"""The connection over which lists are read: how it handles servers that die, stall, refuse or send invalid data."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest
from hiredis import pack_command
from redis.asyncio import Redis
from redis.asyncio.connection import Connection
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError
from redis.exceptions import TimeoutError as RedisTimeoutError

from mylist.cache.cached_value import EPOCH_BYTES
from mylist.cache.clients import connect
from mylist.cache.read_connection import ReadConnection, Refusal, range_command
from mylist.cache.topology.base import Primary
from mylist.config.settings import Settings

TIMEOUT = 1.0
"""Seconds until a silent server counts as lost, in the tests that wait so long."""
PATIENCE = 30.0
pytestmark = pytest.mark.usefixtures("raises_nothing")
Behave = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


async def ready(_: Connection) -> None:
    """Send nothing on a new connection: the server of these tests knows only one command."""


class Peer:
    """A server that behaves as the test says on its first connection, and answers every read with `v` on later ones."""

    def __init__(self, behave: Behave) -> None:
        self.connections = 0
        self._behave = behave
        self._open: list[asyncio.StreamWriter] = []

    async def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self._open.append(writer)
        await (self._behave if self.connections == 1 else answer)(reader, writer)

    def hang_up(self) -> None:
        for each in self._open:
            each.transport.abort()


async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while await reader.read(1000):
        writer.write(b"*1\r\n$1\r\nv\r\n")


@asynccontextmanager
async def asking(behave: Behave, deadline: float = PATIENCE) -> AsyncIterator[tuple[ReadConnection, Peer]]:
    peer = Peer(behave)
    server = await asyncio.start_server(peer.accept, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    channel = ReadConnection(lambda: Connection(host="127.0.0.1", port=port, redis_connect_func=ready), deadline)
    try:
        yield channel, peer
    finally:
        channel.close()
        peer.hang_up()
        server.close()


@pytest.fixture
def raises_nothing(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    yield
    # The event loop logs this if the protocol raises an exception.
    assert not [record for record in caplog.get_records("call") if "data_received" in record.getMessage()]


@pytest.fixture
async def primary(settings: Settings) -> AsyncIterator[Primary]:
    primaries = connect(replace(settings, redis_timeout=5.0))
    yield primaries.all[0]
    await primaries.close()


@pytest.fixture
def redis(primary: Primary) -> Redis:
    return primary.client


@pytest.fixture
def channel(primary: Primary) -> ReadConnection:
    return primary.read_connection


def command(*words: str) -> bytes:
    packed: bytes = pack_command(words)  # type: ignore[arg-type] # declared for a tuple of one
    return packed


@pytest.mark.parametrize("last", [-1, 0, 9, 443, 10_000_000])
def test_the_command_for_a_range_is_packed_as_by_hiredis(last: int) -> None:
    key = "mylist:{user-1}"
    assert range_command(key, last) == pack_command(("GETRANGE", key, 0, last))  # type: ignore[arg-type] # likewise


def test_the_command_for_a_key_that_is_not_ascii_is_refused() -> None:
    with pytest.raises(UnicodeEncodeError):
        range_command("mylist:{ü}", -1)


async def ask(channel: ReadConnection) -> list[bytes]:
    (answered,) = await channel.ask([command("MGET", "key")])
    return list(answered)


async def test_answers_come_in_the_order_of_the_commands(channel: ReadConnection, redis: Redis) -> None:
    await redis.mset({f"order-{number}": str(number) for number in range(200)})

    async def ask_for(number: int) -> list[list[bytes | None]]:
        return await channel.ask([command("MGET", f"order-{number}"), command("MGET", "absent", f"order-{number}")])

    answers = await asyncio.gather(*map(ask_for, range(200)))

    assert answers == [[[b"%d" % number], [None, b"%d" % number]] for number in range(200)]


async def test_an_answer_may_come_in_pieces(channel: ReadConnection, redis: Redis) -> None:
    large = b"x" * 3_000_000
    await redis.set("large", large)

    assert await channel.ask([command("MGET", "large"), command("MGET", "absent")]) == [[large], [None]]


async def test_an_error_reply_is_an_answer_and_does_not_fail_the_next_command(channel: ReadConnection) -> None:
    refused, answered = await channel.ask([command("MGET"), command("MGET", "absent")])

    assert isinstance(refused, Refusal)
    assert "wrong number of arguments" in str(refused)
    assert answered == [None]


async def test_the_read_connection_is_named_and_learns_the_epoch(channel: ReadConnection, primary: Primary) -> None:
    assert await channel.ask([command("CLIENT", "GETNAME")]) == [b"mylist"]
    assert primary.epoch != bytes(EPOCH_BYTES)


async def test_a_connection_that_died_while_idle_is_replaced() -> None:
    async def answer_once(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1000)
        writer.write(b"*1\r\n$1\r\nv\r\n")

    async with asking(answer_once) as (channel, peer):
        assert await ask(channel) == [b"v"]
        peer.hang_up()
        assert await ask(channel) == [b"v"]
        assert peer.connections == 2


async def test_a_read_on_a_connection_that_dies_is_retried_once() -> None:
    async def die(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1000)
        writer.write(b"*1\r\n$100\r\nhalf")
        writer.close()

    async with asking(die) as (channel, peer):
        assert await ask(channel) == [b"v"]
        assert peer.connections == 2


async def test_a_read_from_a_stalled_server_times_out_and_its_late_answer_is_ignored() -> None:
    late = asyncio.Event()

    async def stall(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1000)
        await late.wait()
        writer.write(b"*1\r\n$4\r\nlate\r\n")

    async with asking(stall, TIMEOUT) as (channel, peer):
        began = asyncio.get_running_loop().time()
        with pytest.raises(RedisTimeoutError, match="no answer in 1 s"):
            await ask(channel)
        took = asyncio.get_running_loop().time() - began
        assert TIMEOUT <= took < 5 * TIMEOUT
        assert peer.connections == 1  # a timeout is not retried
        late.set()
        assert await ask(channel) == [b"v"]


@pytest.mark.parametrize("nonsense", [b"HTTP/1.1 400 Bad Request\r\n\r\n", b"*1\r\n$1\r\nv\r\n*1\r\n$1\r\nw\r\n"])
async def test_a_connection_with_an_invalid_or_surplus_answer_is_replaced(nonsense: bytes) -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1000)
        writer.write(nonsense)
        await reader.read()

    async with asking(talk) as (channel, peer):
        await ask(channel)
        assert await ask(channel) == [b"v"]
        assert peer.connections == 2


async def test_a_read_fails_if_nobody_listens_or_the_connection_was_closed() -> None:
    async with asking(answer) as (channel, _):
        pass
    unused = ReadConnection(lambda: Connection(host="127.0.0.1", port=1, redis_connect_func=ready), PATIENCE)

    with pytest.raises(RedisError):
        await unused.ask([command("MGET", "key")])
    with pytest.raises(RedisConnectionError, match="closed"):
        await channel.ask([command("MGET", "key")])


async def test_closing_fails_the_reads_in_flight_and_opens_no_new_connection() -> None:
    async def stall(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
        await reader.read()

    async with asking(stall) as (channel, peer):
        asked = asyncio.create_task(ask(channel))
        while not peer.connections:
            await asyncio.sleep(0.01)
        channel.close()
        with pytest.raises(RedisConnectionError, match="closed"):
            await asked
        assert peer.connections == 1


async def test_a_cancelled_read_does_not_take_the_answer_of_the_next_read(
    channel: ReadConnection, redis: Redis
) -> None:
    await redis.mset({"gone": "1", "stays": "2"})
    await ask(channel)

    leaves = asyncio.create_task(channel.ask([command("MGET", "gone")]))
    stays = asyncio.create_task(channel.ask([command("MGET", "stays")]))
    await asyncio.sleep(0)
    leaves.cancel()

    assert await stays == [[b"2"]]
