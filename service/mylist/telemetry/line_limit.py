"""A limit on log lines: a line for every request would fill the log and slow down the process."""

import math
import time
from collections.abc import Callable


class LineLimit:
    """A number of log lines in each period.

    Args:
        max_lines: maximum number of lines in a period.
        period_s: its length, in seconds; a period begins with its first line.
        clock: returns monotonic seconds.
    """

    def __init__(self, max_lines: int, *, period_s: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._max_lines = max_lines
        self._period_s = period_s
        self._clock = clock
        self._period_ends_at = -math.inf
        self._written = 0

    def allows(self) -> bool:
        """Count a line; return whether it may be written."""
        now = self._clock()
        if now >= self._period_ends_at:
            self._period_ends_at, self._written = now + self._period_s, 0
        self._written += 1
        return self._written <= self._max_lines
