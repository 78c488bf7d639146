"""Which reasons of an outage deserve a line of the log: the present one, and not a line at each attempt."""

import math
import re
import time
from collections.abc import Callable

_CHANGING = re.compile(r"\b[0-9a-f]{8,}\b|\d+")
"""Ids, ports, addresses, times."""


class OutageReasons:
    """Compares the present reason of an outage with the one that was logged last.

    Two reasons are the same if they differ in numbers alone, or name several servers in another order. Another one is
    news once `period_s` has passed since the last line, so that two in turn do not fill the log.

    Args:
        period_s: seconds between two lines at least.
        clock: monotonic seconds.
    """

    def __init__(self, *, period_s: float = 30.0, clock: Callable[[], float] = time.monotonic) -> None:
        self._period_s = period_s
        self._clock = clock
        self._logged: frozenset[str] = frozenset()
        self._logged_at = -math.inf

    def note_logged(self, reason: str) -> None:
        """Take note of a reason that is logged in any case, as an outage begins with it."""
        self._logged, self._logged_at = _essence(reason), self._clock()

    def is_news(self, reason: str) -> bool:
        """Return whether a reason is to be logged, which then counts as done."""
        if _essence(reason) == self._logged or self._clock() - self._logged_at < self._period_s:
            return False
        self.note_logged(reason)
        return True


def _essence(reason: str) -> frozenset[str]:
    return frozenset(_CHANGING.sub("#", part).strip() for part in reason.split(","))
