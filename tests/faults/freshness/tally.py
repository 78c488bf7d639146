"""The counts of a run under load."""

import time
from collections import Counter
from dataclasses import dataclass

READS = ("items", "stats", "contains", "selection", "export", "changes")
WRITES = ("add", "put", "remove", "discard", "batch", "merge", "foreign", "replace", "clear")
KINDS = READS + WRITES
COMMANDS = ("erase", "move", "withdraw")
"""Those of operators that change lists."""
ANY, ANY_READ, ANY_CHANGE = "any", "any read", "any change"
"""Groups of kinds for the times without an answer; rare kinds have long times of their own."""
MIN_HITS = 1000
"""The run continues until it has so many reads from the cache; with fewer it shows nothing."""

_MIN_GAP_S = 0.2
"""Seconds; shorter times without an answer are not kept."""


@dataclass(frozen=True, slots=True)
class Gap:
    """A time in which no request of a kind, or group of kinds, was answered by anything but a 5xx."""

    kind: str
    began: float
    ended: float

    @property
    def seconds(self) -> float:
        """How long it was."""
        return self.ended - self.began


class Tally:
    """Counts requests, failures by cause and cache results, and keeps the times without an answer."""

    def __init__(self) -> None:
        self.requests: Counter[str] = Counter()
        """By kind."""
        self.failures: Counter[tuple[str, str]] = Counter()
        """By cause, an error code or what became of the connection, and kind."""
        self.caches: Counter[str] = Counter()
        """Reads by X-Cache."""
        self.commands: Counter[tuple[str, str]] = Counter()
        """By command, and whether it was done, refused, failed or killed."""
        self.command_errors: Counter[tuple[str, str]] = Counter()
        """By command and error message."""
        self.unexpected: list[str] = []
        """Answers that the service never gives to such requests."""
        self.gaps: list[Gap] = []
        self._last: dict[str, float] = {}

    def start(self) -> None:
        """Begin to look for times without an answer."""
        self._last = dict.fromkeys((*KINDS, ANY, ANY_READ, ANY_CHANGE), time.monotonic())

    def served(self, kind: str, moment: float, cache: str) -> None:
        """Count a request that was answered by anything but a 5xx."""
        self.requests[kind] += 1
        if cache:
            self.caches[cache] += 1
        for each in (kind, ANY, ANY_READ if kind in READS else ANY_CHANGE):
            self._close_gap(each, moment)

    def failed(self, kind: str, cause: str) -> None:
        """Count a request that was answered by a 5xx or not at all."""
        self.requests[kind] += 1
        self.failures[cause, kind] += 1

    def finish(self) -> None:
        """Close the times without an answer."""
        for kind in self._last:
            self._close_gap(kind, time.monotonic())
        self._last = {}

    def longest_gap(self, kind: str, began: float = 0.0, ended: float = float("inf")) -> float:
        """Return the longest time, in seconds, without an answer that overlaps a stretch of time."""
        overlapping = (gap for gap in self.gaps if gap.kind == kind and gap.began < ended and gap.ended > began)
        return max((gap.seconds for gap in overlapping), default=0.0)

    def _close_gap(self, kind: str, moment: float) -> None:
        began = self._last.get(kind)
        if began is None:
            return
        if moment - began > _MIN_GAP_S:
            self.gaps.append(Gap(kind, began, moment))
        self._last[kind] = moment
