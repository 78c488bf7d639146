"""The connection over which lists are read.

redis-py opens the connection: address, TLS, login, protocol version, and the commands that must run before its use.
Then redis-py hands it over, because a read here takes a quarter of the time that redis-py spends on a command (a pool,
locks, streams, events). This module writes commands as they come and reads the answers in the same order. Everything
but reads goes through redis-py.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

from hiredis import HiredisError, Reader, ReplyError
from redis.asyncio.connection import AbstractConnection
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError
from redis.exceptions import TimeoutError as RedisTimeoutError

Answer = Any
"""Redis' answer to a command; a `Refusal` if Redis rejected the command."""
Refusal = ReplyError

_INCOMPLETE = object()


def range_command(key: str, last: int) -> bytes:
    """Return the packed command for the bytes of a value up to position `last` (-1: all of them).

    hiredis' `pack_command` takes three times as long. The key must be ASCII.
    """
    end = str(last)
    command = f"*4\r\n$8\r\nGETRANGE\r\n${len(key)}\r\n{key}\r\n$1\r\n0\r\n${len(end)}\r\n{end}\r\n"
    return command.encode("ascii")


class ReadConnection:
    """Asks one server over one connection, which is opened at its first use.

    Args:
        make_connection: makes a connection of redis-py, not connected yet.
        timeout: maximum wait for the answers, in seconds.
    """

    def __init__(self, make_connection: Callable[[], AbstractConnection], timeout: float) -> None:
        self._make_connection = make_connection
        self._timeout = timeout
        self._protocol: _ReadProtocol | None = None
        self._opening = asyncio.Lock()
        self._closed = False

    async def ask(self, commands: Sequence[bytes]) -> list[Answer]:
        """Send read-only commands (`range_command`) at once; return the answer to each, including refusals.

        Raises:
            RedisError: the server cannot be reached, or some answer did not arrive in time.
        """
        packed = b"".join(commands)
        try:
            return await self._ask(packed, len(commands))
        except RedisConnectionError:
            # The connection may have died long ago. A retry is safe because the commands change nothing.
            return await self._ask(packed, len(commands))

    def close(self) -> None:
        """Close the connection for good, and fail every command in flight."""
        self._closed = True
        if self._protocol:
            self._protocol.end("closed")

    async def _ask(self, packed: bytes, count: int) -> list[Answer]:
        protocol = self._protocol
        if protocol is None or protocol.has_ended:
            protocol = await self._open()
        return await protocol.ask(packed, count)

    async def _open(self) -> "_ReadProtocol":
        async with self._opening:
            self._refuse_if_closed()
            if self._protocol is None or self._protocol.has_ended:
                connection = self._make_connection()
                await connection.connect()  # type: ignore[no-untyped-call]
                self._protocol = _ReadProtocol(connection, self._timeout)
            protocol = self._protocol
        if self._closed:  # closed meanwhile
            protocol.end("closed")
        return protocol

    def _refuse_if_closed(self) -> None:
        if self._closed:
            raise RedisConnectionError("closed")


class _ReadProtocol(asyncio.Protocol):
    """Commands and answers on one connection, after redis-py has handed it over.

    Attributes:
        has_ended: whether the connection accepts no more commands.
    """

    def __init__(self, connection: AbstractConnection, timeout: float) -> None:
        self.has_ended = False
        self._timeout = timeout
        self._reader = Reader(notEnoughData=_INCOMPLETE)
        self._answers: list[Answer] = []
        self._asked: deque[tuple[int, asyncio.Future[list[Answer]], asyncio.TimerHandle]] = deque()
        self._streams = _take_streams(connection)  # the streams live as long as this object
        self._transport = self._streams[1].transport
        self._transport.set_protocol(self)

    def ask(self, packed: bytes, count: int) -> asyncio.Future[list[Answer]]:
        """Send `count` commands; return their answers, or a `RedisError` if the connection ends before."""
        loop = asyncio.get_running_loop()
        answered: asyncio.Future[list[Answer]] = loop.create_future()
        if self.has_ended:
            answered.set_exception(RedisConnectionError("closed"))
            return answered
        timer = loop.call_later(self._timeout, self._give_up)
        self._asked.append((count, answered, timer))
        self._transport.write(packed)
        return answered

    def end(self, reason: str, kind: type[RedisError] = RedisConnectionError) -> None:
        """End the connection at once. Every command in flight fails with an error of this type and reason."""
        self.has_ended = True
        self._transport.abort()
        while self._asked:
            _, answered, timer = self._asked.popleft()
            timer.cancel()
            if not answered.done():  # the caller may have been cancelled
                answered.set_exception(kind(reason))

    def _give_up(self) -> None:
        # A late answer would be mistaken for the answer to another command.
        self.end(f"no answer in {self._timeout:g} s", RedisTimeoutError)

    def data_received(self, data: bytes) -> None:
        """Process the next bytes of the answers."""
        try:
            self._reader.feed(data)
            while self._asked and self._has_answers():
                _, answered, timer = self._asked.popleft()
                timer.cancel()
                if not answered.done():
                    answered.set_result(self._answers)
                self._answers = []
            if not self._asked and self._reader.has_data():
                self.end("an answer without a command")
        except HiredisError as error:
            self.end(f"an invalid answer: {error}")

    def _has_answers(self) -> bool:
        """Parse more bytes; return whether all answers to the oldest call have arrived."""
        count, _, _ = self._asked[0]
        while len(self._answers) < count:
            answer = self._reader.gets()
            if answer is _INCOMPLETE:
                return False
            self._answers.append(answer)
        return True

    def connection_lost(self, error: Exception | None) -> None:
        """End the connection after the server closed it."""
        self.end(f"connection lost: {error or 'closed by the other side'}")


def _take_streams(connection: AbstractConnection) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Take the streams from a connection of redis-py, which then has nothing to close.

    Without it: redis-py can open a connection, but not hand it over. Its client sends one command at a time on each
    connection. The pool, locks and events around it take four times as long as a read here. Seen: redis-py 8.1.0.
    Upstream: https://github.com/redis/redis-py/issues/3767 (open) asks for commands that share a connection. Test:
    `tests/integration/test_redis_insides.py`.

    Raises:
        RedisConnectionError: the connection was closed as soon as it was opened.
    """
    reader, writer = connection._reader, connection._writer  # noqa: SLF001 - there is no other way to them
    connection._reader = connection._writer = None  # noqa: SLF001 - likewise
    if reader is None or writer is None:
        raise RedisConnectionError("closed as soon as it was opened")
    return reader, writer
