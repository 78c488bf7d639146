"""Freshness measured: a sample of what the cache served is compared with MongoDB, off the request path.

The sample is bounded: whatever the load, a process makes at most five such comparisons a second, one after the other.

A list that differs may just have been changed. It counts as stale only if Redis holds it both before and after a second
load that differs as well: a write in between would have left a fence there, or nothing.
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
    """Checks one hit in `every` on average, as far as the bound allows.

    The caller counts the hits, so that an ordinary one costs no call.

    Args:
        load: loads a user's list from MongoDB.
        look: returns what Redis holds for a user.
        every: how many hits there are to a check; 0 for no checks.
        min_interval: seconds from the start of one check to that of the next.
        clock: monotonic seconds.
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
        """Draw after how many hits the next one is to be offered: the mean is `every`, and infinity for 0."""
        # At random, so that no rhythm of the clients hides anything.
        return random.randint(1, 2 * self._every - 1) if self._every else math.inf  # noqa: S311 - a sample

    def offer(self, user_id: str, served: bytes) -> float:
        """Begin to check a list, or its beginning, that a user was served from Redis, unless it is too early.

        Return after how many hits the next one is to be offered.
        """
        if (self._running and not self._running.done()) or self._clock() < self._not_before:
            return 1
        self._not_before = self._clock() + self._min_interval
        self._running = spawn(self._check(user_id, served))
        return self.draw()

    async def finish(self) -> None:
        """Wait until the running check has ended."""
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
            _logger.error("A cached list is not what MongoDB has")

    async def _compare(self, user_id: str, served: bytes) -> str:
        if (await self._load(user_id)).data.startswith(served):
            return "fresh"
        before = await self._look(user_id)
        stored = (await self._load(user_id)).data
        if before == stored:
            return "fresh"
        is_what_was_served = before is not None and before.startswith(served)
        return "stale" if is_what_was_served and before == await self._look(user_id) else "undecided"
