"""Measures freshness: compares a sample of the served cached lists with MongoDB, outside of the request path.

The sample is bounded: under any load, a process makes at most five comparisons a second, one after the other.

A list may differ because a client has just changed it. It counts as stale only if a second load differs as well and
Redis holds the same list before and after that load. A write in between would have left a fence, or nothing, in the
key.
"""

import asyncio
import logging
import math
import random
import time
from collections.abc import Awaitable, Callable

from mylist.background import spawn
from mylist.domain.errors import UnavailableError
from mylist.domain.packed_list import PackedList
from mylist.telemetry import metrics

_MIN_INTERVAL_S = 0.2

_logger = logging.getLogger(__name__)


class FreshnessAudit:
    """Checks one in `every` hits on average, within the bound.

    The caller counts the hits, so that a hit without a check costs no call.

    Args:
        load: loads a user's list from MongoDB.
        look: returns what Redis holds for a user.
        every: hits per check; 0 disables the checks.
        min_interval: minimum seconds from the start of one check to the start of the next.
        clock: returns monotonic seconds.
    """

    def __init__(
        self,
        load: Callable[[str], Awaitable[PackedList]],
        look: Callable[[str], Awaitable[bytes | None]],
        *,
        every: int,
        min_interval: float = _MIN_INTERVAL_S,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._load = load
        self._look = look
        self._every = every
        self._min_interval = min_interval
        self._clock = clock
        self._not_before = -math.inf
        self._running: asyncio.Task[None] | None = None

    def draw(self) -> float:
        """Return a random number of hits until the next check: `every` on average, infinity if `every` is 0."""
        # At random, so that no regular pattern of the clients can hide stale lists.
        return random.randint(1, 2 * self._every - 1) if self._every else math.inf  # noqa: S311 - a sample

    def offer(self, user_id: str, served: bytes) -> float:
        """Start to check a list that was served from Redis, in full or truncated, unless it is too early.

        Return the number of hits until the caller must offer the next one.
        """
        if (self._running and not self._running.done()) or self._clock() < self._not_before:
            return 1
        self._not_before = self._clock() + self._min_interval
        self._running = spawn(self._check(user_id, served))
        return self.draw()

    async def finish(self) -> None:
        """Wait until the check in flight has ended."""
        if self._running:
            await asyncio.wait([self._running])

    async def _check(self, user_id: str, served: bytes) -> None:
        try:
            result = await self._compare(user_id, served)
        except UnavailableError:
            result = "undecided"
        except Exception:
            _logger.exception("A freshness check failed")
            result = "undecided"
        metrics.FRESHNESS_CHECKS[result].inc()
        if result == "stale":
            _logger.error("A cached list differs from MongoDB: see the runbook MyListStaleReads")

    async def _compare(self, user_id: str, served: bytes) -> str:
        if (await self._load(user_id)).data.startswith(served):
            return "fresh"
        before = await self._look(user_id)
        stored = (await self._load(user_id)).data
        if before == stored:
            return "fresh"
        is_what_was_served = before is not None and before.startswith(served)
        return "stale" if is_what_was_served and before == await self._look(user_id) else "undecided"
