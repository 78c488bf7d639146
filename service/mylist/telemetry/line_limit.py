"""A limit on log lines: what happens at every request would otherwise fill the log, and slow the process down."""

import time
from collections.abc import Callable


class LineLimit:
    """A number of log lines in each period.

    Args:
        max_lines: how many may be written in a period.
        period_s: its length, in seconds; the first begins with the clock.
        clock: monotonic seconds.
    """

    def __init__(self, max_lines: int, *, period_s: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._max_lines = max_lines
        self._period_s = period_s
        self._clock = clock
        self._period = -1
        self._written = 0

    def allows(self) -> bool:
        """Count a line, and return whether it may be written."""
        period = int(self._clock() / self._period_s)
        if period != self._period:
            self._period, self._written = period, 0
        self._written += 1
        return self._written <= self._max_lines
