"""Coalesced reads: all reads that arrive while one round trip is under way share the next one."""

import asyncio
from contextvars import Context
from typing import TYPE_CHECKING

from mylist import tracing
from mylist.cache.commands import CacheCommands, Wanted
from mylist.errors import CacheUnavailableError

if TYPE_CHECKING:
    from mylist.spans import Span

_MOST_KEYS = 256


class CoalescedReads:
    """Reads keys, with at most one round trip under way.

    A read is sent after it was asked for, never before, so sharing makes no answer older.
    """

    def __init__(self, commands: CacheCommands) -> None:
        self._commands = commands
        self._loop = asyncio.get_running_loop()  # asked for once: up to Python 3.11 that is a system call
        self._waiting: list[tuple[Wanted, asyncio.Future[bytes | None], Span | None]] = []
        self._sender: asyncio.Task[None] | None = None

    def get(self, key: str, size: int | None = None) -> "asyncio.Future[bytes | None]":
        """Gives what the key holds, or so many bytes of it if that is a list; see `CacheCommands.get_many`.

        It gives a `CacheUnavailableError` if Redis does not answer in time.
        """
        answer: asyncio.Future[bytes | None] = self._loop.create_future()
        self._waiting.append(((key, size), answer, tracing.current()))
        if self._sender is None:
            # In a context of its own: it serves others than the request that begins it.
            self._sender = self._loop.create_task(self._send(), context=Context())
        return answer

    async def _send(self) -> None:
        try:
            while self._waiting:
                batch, self._waiting = self._waiting[:_MOST_KEYS], self._waiting[_MOST_KEYS:]
                try:
                    with tracing.shared_operation("redis", "get", [span for _, _, span in batch if span]):
                        values = await self._commands.get_many([wanted for wanted, _, _ in batch])
                except Exception as error:  # noqa: BLE001 - whatever it is, nobody may be left waiting
                    for _, answer, _ in batch:
                        if not answer.done():  # its request may have been cancelled
                            answer.set_exception(_same(error))
                else:
                    for (_, answer, _), value in zip(batch, values, strict=True):
                        if not answer.done():
                            answer.set_result(value)
        finally:
            self._sender = None


def _same(error: Exception) -> CacheUnavailableError:
    # An exception collects the traceback of each place that raises it, so none is shared.
    again = CacheUnavailableError()
    again.__cause__ = error.__cause__ if isinstance(error, CacheUnavailableError) else error
    return again
