"""The stamps that a process owes for changes of unknown outcome, until MongoDB accepts them."""

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from mylist.background import spawn_for_process
from mylist.domain.errors import UnavailableError

MAX_OWED = 20_000
"""In content ids. Above this number, the oldest are dropped."""
_RETRY_INTERVAL_S = 0.5
_FINISH_TIMEOUT_S = 1.0

_logger = logging.getLogger(__name__)


class OwedStamps:
    """Makes stamps in the background, and retries while MongoDB is away.

    Args:
        make: makes the stamps of a user's content ids; raises an `UnavailableError` if it cannot.
    """

    def __init__(self, make: Callable[[str, Mapping[Any, Any], Any], Awaitable[None]]) -> None:
        self._make = make
        self._owed: deque[tuple[str, Mapping[Any, Any], Any]] = deque()
        self._count = 0
        self._delivery: asyncio.Task[None] | None = None

    def add(self, user_id: str, contents: Mapping[Any, Any], change: object) -> None:
        """Owe the stamps of a change."""
        self._owed.append((user_id, dict(contents), change))
        self._count += len(contents)
        while self._count > MAX_OWED:
            self._count -= len(self._owed.popleft()[1])
        if self._delivery is None:
            self._delivery = spawn_for_process(self._deliver())

    async def finish(self) -> None:
        """Wait for a moment until nothing is owed."""
        if self._delivery is None:
            return
        await asyncio.wait({self._delivery}, timeout=_FINISH_TIMEOUT_S)
        if self._delivery is not None:
            self._delivery.cancel()
            _logger.error(
                "MongoDB did not recover before the shutdown: devices may miss %d changes of unknown outcome; a "
                "device sees them once it requests /api/mylist/changes without the parameter `since`",
                self._count,
            )

    async def _deliver(self) -> None:
        try:
            while self._owed:
                owed = self._owed[0]
                try:
                    await self._make(*owed)
                except UnavailableError:
                    await asyncio.sleep(_RETRY_INTERVAL_S)
                else:
                    if self._owed and self._owed[0] is owed:
                        self._owed.popleft()
                        self._count -= len(owed[1])
        finally:
            self._delivery = None
