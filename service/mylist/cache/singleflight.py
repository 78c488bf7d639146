"""Single flight: many callers share one load of a user's list, but never a load that began too early."""

import asyncio
from collections.abc import Awaitable, Callable

from mylist.background import spawn
from mylist.domain.packed_list import PackedList


class SingleFlight:
    """Runs at most one load per user.

    A caller gets the result of a load that began after the caller asked. A load in flight may have read MongoDB before
    a write that was acknowledged since. So callers that find a load in flight share the next load. A load outlives
    the request that began it, because a database operation is never cancelled.
    """

    def __init__(self, load: Callable[[str], Awaitable[PackedList]]) -> None:
        self._load = load
        self._running: dict[str, asyncio.Task[PackedList]] = {}
        self._following: dict[str, asyncio.Task[PackedList]] = {}

    async def load(self, user_id: str) -> PackedList:
        """Return a user's list from a load that begins after this call; raise what the load raises."""
        task = self._following.get(user_id)
        if task is None:
            running = self._running.get(user_id)
            if running is None:
                task = self._running[user_id] = spawn(self._run(user_id))
            else:
                task = self._following[user_id] = spawn(self._follow(running, user_id))
        return await asyncio.shield(task)

    async def _run(self, user_id: str) -> PackedList:
        try:
            return await self._load(user_id)
        finally:
            del self._running[user_id]

    async def _follow(self, running: asyncio.Task[PackedList], user_id: str) -> PackedList:
        await asyncio.wait([running])
        # From here on it is too late to share this load. A caller that asks now shares the next load.
        self._running[user_id] = self._following.pop(user_id)
        return await self._run(user_id)
