"""Batched reads: all reads that arrive during one round trip to Redis share the next one."""

import asyncio
import time
from collections.abc import Sequence
from contextvars import Context
from typing import TYPE_CHECKING

from mylist.cache.cached_value import EPOCH_BYTES
from mylist.cache.read_connection import Refusal, range_command
from mylist.cache.topology.base import REDIS_ERRORS, Primary
from mylist.cache.topology.command_router import Router
from mylist.domain.errors import CacheUnavailableError
from mylist.domain.packed_list import LIST_TAG
from mylist.telemetry import metrics, tracing

if TYPE_CHECKING:
    from opentelemetry.trace import Span

Wanted = tuple[str, int | None]
"""A key, and the minimum number of bytes that are wanted of its list (None: all). The list may be shorter."""

_MAX_KEYS_PER_ROUND_TRIP = 256


class ReadBatcher:
    """Reads keys, with at most one round trip in flight.

    A read is sent to Redis after its caller asked, never before. So sharing makes no answer older.
    """

    def __init__(self, router: Router) -> None:
        self._router = router
        self._topology = router.topology
        self._successes = metrics.OPERATIONS.of("redis", "get", succeeded=True)
        self._failures = metrics.OPERATIONS.of("redis", "get", succeeded=False)
        self._waiting: list[tuple[Wanted, asyncio.Future[bytes | None], Span | None]] = []
        self._sender: asyncio.Task[None] | None = None

    def get(self, key: str, size: int | None = None) -> "asyncio.Future[bytes | None]":
        """Return what a key holds, as `get_many` does. `size` bytes of a list are enough (None: the whole list).

        If Redis does not answer, the result of the future is a `CacheUnavailableError`.
        """
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[bytes | None] = loop.create_future()
        self._waiting.append(((key, size), answer, tracing.current() if tracing.in_flight else None))
        if self._sender is None:
            # In a context of its own, because it also serves requests other than the request that starts it.
            self._sender = loop.create_task(self._send(), context=Context())
        return answer

    async def get_many(self, wanted: Sequence[Wanted]) -> list[bytes | None]:
        """Return the wanted part of each key's value, in one round trip to each primary concerned.

        A list is returned without its epoch; a list of another epoch as None.

        Raises:
            CacheUnavailableError: Redis does not answer in time or rejects the command.
        """
        began = time.perf_counter()
        try:
            primary = self._topology.single
            values = await (self._get_from(primary, wanted) if primary else self._get_from_owners(wanted))
        except BaseException as error:
            self._failures.observe(time.perf_counter() - began)
            if isinstance(error, REDIS_ERRORS):
                raise CacheUnavailableError from error
            raise
        self._successes.observe(time.perf_counter() - began)
        return values

    async def _send(self) -> None:
        try:
            while self._waiting:
                batch = self._waiting[:_MAX_KEYS_PER_ROUND_TRIP]
                self._waiting = self._waiting[_MAX_KEYS_PER_ROUND_TRIP:]
                wanted = [each for each, _, _ in batch]
                spans = [span for _, _, span in batch if span] if tracing.in_flight else None
                try:
                    if spans:
                        with tracing.shared_operation("redis", "get", spans):
                            values = await self.get_many(wanted)
                    else:
                        values = await self.get_many(wanted)
                except Exception as error:  # noqa: BLE001 - whatever it is, no read may be left waiting
                    for _, answer, _ in batch:
                        if not answer.done():  # its request may have been cancelled
                            answer.set_exception(_copy(error))
                else:
                    for (_, answer, _), value in zip(batch, values, strict=True):
                        if not answer.done():
                            answer.set_result(value)
        finally:
            self._sender = None

    async def _get_from_owners(self, wanted: Sequence[Wanted]) -> list[bytes | None]:
        places_by_owner = await self._router.places_by_owner(key for key, _ in wanted)
        values: list[bytes | None] = [None] * len(wanted)

        async def get_from(primary: Primary, places: list[int]) -> None:
            answers = await self._get_from(primary, [wanted[place] for place in places])
            for place, answer in zip(places, answers, strict=True):
                values[place] = answer

        await asyncio.gather(*(get_from(primary, places) for primary, places in places_by_owner.items()))
        return values

    async def _get_from(self, primary: Primary, wanted: Sequence[Wanted]) -> list[bytes | None]:
        answers = await primary.read_connection.ask(
            [range_command(key, -1 if size is None else size + EPOCH_BYTES - 1) for key, size in wanted]
        )
        for place, answer in enumerate(answers):
            if isinstance(answer, Refusal):
                answers[place] = await self._get_refused(primary, *wanted[place])
        epoch = primary.epoch
        return [_without_epoch(answer, epoch) for answer in answers]

    async def _get_refused(self, primary: Primary, key: str, size: int | None) -> bytes | None:
        """Return the value of a key that is on another node or is not a string.

        MGET returns nothing for a key that is not a string.
        """
        value: bytes | None
        (value,) = await self._router.send(primary, key, "MGET", key)
        return value if value is None or size is None else value[: size + EPOCH_BYTES]


def _without_epoch(value: bytes | None, epoch: bytes) -> bytes | None:
    """Return a key's value, a list without its epoch; None for nothing and for a list of another epoch."""
    if not value:  # GETRANGE returns no bytes for a key that does not exist
        return None
    if value[:1] != LIST_TAG:
        return value
    return value[:1] + value[1 + EPOCH_BYTES :] if value.startswith(epoch, 1) else None


def _copy(error: Exception) -> CacheUnavailableError:
    # Create one exception per caller: an exception collects the traceback of each place that raises it.
    copy = CacheUnavailableError()
    copy.__cause__ = error.__cause__ if isinstance(error, CacheUnavailableError) else error
    return copy
