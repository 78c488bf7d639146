"""Decides which reasons of an outage are logged: each new reason, but not every attempt."""

import math
import re
import time
from collections.abc import Callable

_CHANGING = re.compile(r"\b[0-9a-f]{8,}\b|\d+")
"""Ids, ports, addresses and times."""


class OutageReasons:
    """Compares the current reason of an outage with the last logged reason.

    Two reasons are equal if they differ only in numbers, or in the order of several servers. A different reason is
    logged only if `period_s` has passed since the last line, so that two alternating reasons do not fill the log.

    Args:
        period_s: minimum seconds between two lines.
        clock: monotonic seconds.
    """

    def __init__(self, *, period_s: float = 30.0, clock: Callable[[], float] = time.monotonic) -> None:
        self._period_s = period_s
        self._clock = clock
        self._logged: frozenset[str] = frozenset()
        self._logged_at = -math.inf

    def note_logged(self, reason: str) -> None:
        """Record a reason that is logged in any case, because an outage begins with it."""
        self._logged, self._logged_at = _essence(reason), self._clock()

    def is_news(self, reason: str) -> bool:
        """Return whether a reason must be logged; if so, record it as logged."""
        if _essence(reason) == self._logged or self._clock() - self._logged_at < self._period_s:
            return False
        self.note_logged(reason)
        return True


def _essence(reason: str) -> frozenset[str]:
    return frozenset(_CHANGING.sub("#", part).strip() for part in reason.split(","))
