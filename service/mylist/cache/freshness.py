"""Freshness measured: a sample of what the cache served is compared with MongoDB, off the request path.

The sample is bounded: whatever the load, a process makes five such comparisons a second at most, one after the other.

A list that differs may just have been changed. It counts as stale only if it is still what Redis holds before and after
a second load that differs as well: a write in between would have left a fence there, or nothing.
"""

import asyncio
import logging
import random
import time
from collections.abc import Awaitable, Callable

from mylist import metrics
from mylist.errors import UnavailableError
from mylist.lists.value import ListValue
from mylist.tasks import start

_LEAST_INTERVAL = 0.2

_logger = logging.getLogger(__name__)


class FreshnessChecks:
    """Checks one hit in `every` on the average (0: none), as far as the bound allows.

    Args:
        load: loads a user's list from MongoDB.
        look: gives what Redis holds for a user.
        every: how many hits there are to a check.
        least_interval: seconds from the beginning of one to that of the next.
        clock: monotonic seconds.
    """

    def __init__(
        self,
        load: Callable[[str], Awaitable[ListValue]],
        look: Callable[[str], Awaitable[bytes | None]],
        *,
        every: int,
        least_interval: float = _LEAST_INTERVAL,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._load = load
        self._look = look
        self._every = every
        self._least_interval = least_interval
        self._clock = clock
        self._not_before = -float("inf")
        self._until_next = self._draw()
        self._under_way: asyncio.Task[None] | None = None

    def note(self, user_id: str, served: bytes) -> None:
        """Notes that a user was served a list from Redis, or its beginning; begins a check if it is time for one."""
        self._until_next -= 1
        if self._until_next > 0 or not self._every or (self._under_way and not self._under_way.done()):
            return
        if self._clock() < self._not_before:
            return
        self._not_before = self._clock() + self._least_interval
        self._until_next = self._draw()
        self._under_way = start(self._check(user_id, served))

    async def finish(self) -> None:
        """Waits until the check under way has ended."""
        if self._under_way:
            await asyncio.wait([self._under_way])

    def _draw(self) -> int:
        # At random, so that no rhythm of the clients hides anything.
        return random.randint(1, 2 * self._every - 1) if self._every else 0  # noqa: S311 - a sample

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
            _logger.error("The cached list of user %s is not what MongoDB has", user_id)

    async def _compare(self, user_id: str, served: bytes) -> str:
        if (await self._load(user_id)).data.startswith(served):
            return "fresh"
        before = await self._look(user_id)
        stored = (await self._load(user_id)).data
        if before == stored:
            return "fresh"
        is_what_was_served = before is not None and before.startswith(served)
        return "stale" if is_what_was_served and before == await self._look(user_id) else "undecided"
