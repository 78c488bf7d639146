"""The connection that lists are read over.

redis-py makes it: address, TLS, login, protocol version, and what has to be asked before it is used. Then it hands it
over, because of what it spends on a command (a pool, locks, streams, events) a read needs a quarter: here commands are
written as they come, and answers taken in the same order. Everything but reads goes through redis-py.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

from hiredis import HiredisError, Reader, ReplyError, pack_command
from redis.asyncio.connection import AbstractConnection
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError
from redis.exceptions import TimeoutError as RedisTimeoutError

Answer = Any
"""What Redis answers to a command; a `Refusal` when it refuses it."""
Refusal = ReplyError

_INCOMPLETE = object()


class Channel:
    """Asks one server, over one connection that is opened when it is needed.

    Args:
        make_connection: makes a connection of redis-py, not connected yet.
        timeout: longest wait for the answers, in seconds.
    """

    def __init__(self, make_connection: Callable[[], AbstractConnection], timeout: float) -> None:
        self._make_connection = make_connection
        self._timeout = timeout
        self._conversation: _Conversation | None = None
        self._opening = asyncio.Lock()
        self._closed = False

    async def ask(self, commands: Sequence[tuple[str | int, ...]]) -> list[Answer]:
        """Sends commands that change nothing, in one go; gives the answer to each, refusals too.

        Raises:
            RedisError: there is no connection, or not every answer came in time.
        """
        packed = b"".join([pack_command(command) for command in commands])  # type: ignore[arg-type] # declared for a tuple of one
        try:
            return await self._ask(packed, len(commands))
        except RedisConnectionError:
            # It may have been dead for long. Asking again changes nothing.
            return await self._ask(packed, len(commands))

    def close(self) -> None:
        """Ends the connection, and what is still asked over it, for good."""
        self._closed = True
        if self._conversation:
            self._conversation.end("closed")

    async def _ask(self, packed: bytes, count: int) -> list[Answer]:
        conversation = self._conversation
        if conversation is None or conversation.has_ended:
            conversation = await self._open()
        return await conversation.ask(packed, count)

    async def _open(self) -> "_Conversation":
        async with self._opening:
            self._refuse_if_closed()
            if self._conversation is None or self._conversation.has_ended:
                connection = self._make_connection()
                await connection.connect()  # type: ignore[no-untyped-call]
                self._conversation = _Conversation(connection, self._timeout)
            conversation = self._conversation
        if self._closed:  # meanwhile
            conversation.end("closed")
        return conversation

    def _refuse_if_closed(self) -> None:
        if self._closed:
            raise RedisConnectionError("closed")


class _Conversation(asyncio.Protocol):
    """What is said over one connection from when redis-py hands it over.

    Attributes:
        has_ended: whether nothing can be said any more.
    """

    def __init__(self, connection: AbstractConnection, timeout: float) -> None:
        self.has_ended = False
        self._timeout = timeout
        self._loop = asyncio.get_running_loop()  # asked for once: up to Python 3.11 that is a system call
        self._reader = Reader(notEnoughData=_INCOMPLETE)
        self._answers: list[Answer] = []
        self._asked: deque[tuple[int, asyncio.Future[list[Answer]], asyncio.TimerHandle]] = deque()
        # There is no other way to them. Without its streams redis-py has nothing to close; they live as long as this.
        self._streams = connection._reader, connection._writer  # noqa: SLF001
        connection._reader = connection._writer = None  # noqa: SLF001
        _, writer = self._streams
        if writer is None:
            raise RedisConnectionError("closed as soon as it was opened")
        self._transport = writer.transport
        self._transport.set_protocol(self)

    def ask(self, packed: bytes, count: int) -> asyncio.Future[list[Answer]]:
        """Sends so many commands; gives their answers, or a `RedisError` if the connection ends before they come."""
        answered: asyncio.Future[list[Answer]] = self._loop.create_future()
        if self.has_ended:
            answered.set_exception(RedisConnectionError("closed"))
            return answered
        timer = self._loop.call_later(self._timeout, self._give_up)
        self._asked.append((count, answered, timer))
        self._transport.write(packed)
        return answered

    def end(self, reason: str, kind: type[RedisError] = RedisConnectionError) -> None:
        """Ends the connection at once, and tells everybody who waits why."""
        self.has_ended = True
        self._transport.abort()
        while self._asked:
            _, answered, timer = self._asked.popleft()
            timer.cancel()
            if not answered.done():  # who asked may have gone away
                answered.set_exception(kind(reason))

    def _give_up(self) -> None:
        # What still comes would be taken for the answer to something else.
        self.end(f"no answer in {self._timeout:g} s", RedisTimeoutError)

    def data_received(self, data: bytes) -> None:
        """Takes what has come of the answers."""
        try:
            self._reader.feed(data)
            while self._asked and self._has_answers():
                _, answered, timer = self._asked.popleft()
                timer.cancel()
                if not answered.done():
                    answered.set_result(self._answers)
                self._answers = []
            if not self._asked and self._reader.has_data():
                self.end("an answer to nothing")
        except HiredisError as error:
            self.end(f"not an answer: {error}")

    def _has_answers(self) -> bool:
        """Reads on; says whether all the answers to what was asked first are there."""
        count, _, _ = self._asked[0]
        while len(self._answers) < count:
            answer = self._reader.gets()
            if answer is _INCOMPLETE:
                return False
            self._answers.append(answer)
        return True

    def connection_lost(self, error: Exception | None) -> None:
        """Ends what was ended from the other side."""
        self.end(f"connection lost: {error or 'closed by the other side'}")
