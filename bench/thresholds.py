"""The limits that the results must keep, and the goals beyond them that are not reached yet.

A limit is a guard: a run that misses it shows a change for the worse. A goal is what was aimed at; docs/performance.md
says why it is not reached.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Literal

import msgspec

from bench.beside_original import BY_ORIGINAL, BY_SERVICE
from bench.catalogue_import import BULK_WRITE, IMPORT, VALIDATED
from bench.first_read import CACHED_PAGE, LOADED_PAGE
from bench.groups import (
    ITEMS_AT_HALF,
    LIVEZ_AT_HALF,
    NOT_MODIFIED,
    ORIGINAL,
    RENDERED,
    RENDERED_100,
    RENDERED_BY_TITLE,
    RENDERED_OF_200,
    SELECTIONS,
    UNREMEMBERED_304,
    UNREMEMBERED_CONTAINS,
    over,
)
from bench.import_latency import LONG_IMPORT, LONGEST_IMPORT, SHORT_IMPORT
from bench.loop_blocking import READS, UNKNOWN
from bench.memory import OF_A_LIST
from bench.neighbours import ALONE, BESIDE_IMPORTS, BESIDE_SELECTIONS
from bench.samples import Sample, Spread, quantity
from bench.service_start import AT_ITS_START, EMPTY_SERVER

_ROOM = 0.03
"""The least distance of a result from its limit, as a share of the limit; with less, a run may miss it by chance."""
_MAX_UNCACHED_SHARE = 0.01

Samples = Mapping[str, Sequence[Sample]]
"""The samples of a group, by row, one for each round."""


@dataclass(frozen=True, slots=True)
class Threshold:
    """A bound of the median of a quantity, or of its ratio to that of another row in the same round; or of a quartile.

    Attributes:
        says: the threshold in plain words.
        group: the group that it is for.
        row: the row of the group.
        quantity: of a sample; `time` is the time of an operation at the rate.
        bound: the limit.
        of: the other row; None for the quantity itself.
        is_minimum: whether the bound is a minimum, not a maximum.
        statistic: of the rounds: the median, or the quartile below or above it.
        goal: a stricter bound that was aimed at; None if that is the limit itself.
    """

    says: str
    group: str
    row: str
    quantity: Literal["rate", "time", "p50", "p99", "processor", "memory", "late", "lost", "blocked"]
    bound: float
    of: str | None = None
    is_minimum: bool = False
    statistic: Literal["low", "middle", "high"] = "middle"
    goal: float | None = None

    def measured(self, samples: Samples) -> Spread:
        """Return the figure to compare with the bound."""
        values = [self._amount(each) for each in samples[self.row]]
        if self.of is None:
            return Spread.of(values)
        others = [self._amount(each) for each in samples[self.of]]
        return Spread.of([value / other for value, other in zip(values, others, strict=True)])

    def allows(self, value: float, bound: float) -> bool:
        """Return whether a value is within a bound of this kind."""
        return value >= bound if self.is_minimum else value <= bound

    def _amount(self, sample: Sample) -> float:
        return 1 / quantity(sample, "rate") if self.quantity == "time" else quantity(sample, self.quantity)


class Verdict(msgspec.Struct, frozen=True, omit_defaults=True):
    """The result of a threshold.

    Attributes:
        says: the threshold, in plain words.
        bound: with its direction.
        value: the measured value.
        kept: whether that is within it.
        has_room: whether a median is so by more than a run differs from the next.
        quartiles: around a median.
        goal: the goal, if it differs from the bound.
        reached: whether the value reaches the goal.
    """

    says: str
    bound: str
    value: float
    kept: bool
    has_room: bool = True
    quartiles: tuple[float, float] | None = None
    goal: float | None = None
    reached: bool = False

    @property
    def outcome(self) -> Literal["kept", "narrow", "missed"]:
        """The outcome of the threshold."""
        if not self.kept:
            return "missed"
        return "kept" if self.has_room else "narrow"


def judge(threshold: Threshold, samples: Samples) -> Verdict:
    """Hold the samples of a threshold's group against it."""
    measured = threshold.measured(samples)
    value: float = getattr(measured, threshold.statistic)
    is_median = threshold.statistic == "middle"
    return Verdict(
        threshold.says,
        f"{'at least' if threshold.is_minimum else 'at most'} {threshold.bound:g}",
        value,
        threshold.allows(value, threshold.bound),
        has_room=not is_median or abs(value - threshold.bound) > _ROOM * threshold.bound,
        quartiles=(measured.low, measured.high) if is_median else None,
        goal=threshold.goal,
        reached=threshold.goal is not None and threshold.allows(value, threshold.goal),
    )


def undisturbed(measured: Mapping[str, Samples]) -> list[Verdict]:
    """Return a verdict on whether the machine was idle enough for a valid run.

    A service that is held up for long stops trusting the cache, and then the run measures MongoDB.
    """
    shares = [
        1 - median(quantity(sample, "cached") for sample in rounds)
        for samples in measured.values()
        for rounds in samples.values()
        if rounds[0].cached is not None
    ]
    if not shares:
        return []
    says = "in the worst row, the share of reads not answered by the cache; above the limit, the machine was too busy"
    return [Verdict(says, f"at most {_MAX_UNCACHED_SHARE:g}", max(shares), max(shares) <= _MAX_UNCACHED_SHARE)]


def _minimum(says: str, group: str, row: str, of: str, bound: float, goal: float | None = None) -> Threshold:  # noqa: PLR0913 - as Threshold
    return Threshold(says, group, row, "rate", bound, of, is_minimum=True, goal=goal)


_EMPTY = "empty route"
THRESHOLDS = (
    _minimum("throughput of `items` of 20, relative to the empty route", "reads", "items, 20", _EMPTY, 0.55, goal=0.75),
    _minimum(
        "throughput of `items` of 20, rendered each time, relative to the empty route",
        "reads",
        RENDERED.name,
        _EMPTY,
        0.42,
        goal=0.55,
    ),
    _minimum(
        "throughput of `items` of 100, rendered each time, relative to the empty route",
        "reads",
        RENDERED_100.name,
        _EMPTY,
        0.25,
        goal=0.32,
    ),
    Threshold("`items` of 20 over 16 connections: p99, in ms", "reads", "items, 20", "p99", 12.0, goal=3.0),
    *(
        Threshold(
            f"p99 of {items.name}, relative to the empty route",
            "connections",
            items.name,
            "p99",
            bound,
            empty.name,
            goal=goal,
        )
        for (empty, items), bound, goal in ((over(16), 3.2, 1.6), (over(256), 2.2, 1.5))
    ),
    Threshold(
        "p99 of items, 20, over 256 connections at half of capacity, relative to `/livez` at the same rate",
        "pace",
        ITEMS_AT_HALF.name,
        "p99",
        15.0,
        LIVEZ_AT_HALF.name,
        goal=1.5,
    ),
    _minimum("throughput of `stats`, relative to the empty route", "reads", "stats", _EMPTY, 0.60),
    _minimum("throughput of a 304, relative to the empty route", "reads", NOT_MODIFIED.name, _EMPTY, 0.60),
    *(
        Threshold(f"time of {row}, relative to {of}", "unremembered", row, "time", bound, of, goal=goal)
        for row, of, bound, goal in (
            (UNREMEMBERED_304, NOT_MODIFIED.name, 1.6, 1.1),
            (UNREMEMBERED_CONTAINS, RENDERED.name, 1.4, 1.2),
            (RENDERED_BY_TITLE, RENDERED_OF_200, 2.4, 2.0),
        )
    ),
    *(
        Threshold(f"time of an {row}, relative to one of 1,000", "imports", row, "p50", bound, SHORT_IMPORT)
        for row, bound in ((LONG_IMPORT, 5.0), (LONGEST_IMPORT, 6.0))
    ),
    Threshold(
        "processor time of a first read after a change, relative to a read of a cached list",
        "loads",
        LOADED_PAGE,
        "processor",
        7.0,
        CACHED_PAGE,
        goal=4.0,
    ),
    Threshold(
        "processor time until a process is ready, relative to an empty server",
        "start",
        AT_ITS_START,
        "processor",
        2.4,
        EMPTY_SERVER,
        goal=2.0,
    ),
    Threshold(
        "memory of a process after its start, relative to an empty server",
        "start",
        AT_ITS_START,
        "memory",
        1.2,
        EMPTY_SERVER,
        goal=1.1,
    ),
    _minimum("throughput of `items` of 20, relative to the original", ORIGINAL, BY_SERVICE, BY_ORIGINAL, 3.5, goal=6.0),
    Threshold("p99 of `items` of 20, relative to the original", ORIGINAL, BY_SERVICE, "p99", 0.5, BY_ORIGINAL),
    _minimum(
        "titles/s of an import of the catalogue, relative to bulk_write alone",
        "catalogue",
        IMPORT,
        BULK_WRITE,
        0.1,
        goal=0.6,
    ),
    *(Threshold(f"titles/s {row}", "catalogue", row, "rate", 20_000, is_minimum=True) for row in VALIDATED.values()),
    _minimum(
        "throughput with tracing at 1 %, relative to tracing off",
        "observation",
        "tracing at 1 %",
        "tracing off",
        0.8,
        goal=0.95,
    ),
    Threshold(
        "throughput with tracing at 1 %, relative to tracing off: the lower quartile",
        "observation",
        "tracing at 1 %",
        "rate",
        0.7,
        "tracing off",
        is_minimum=True,
        statistic="low",
        goal=0.95,
    ),
    Threshold(
        "time of a page of 20 of a list of 5,000, relative to a list of 25",
        "lengths",
        "items, 20 of 5,000",
        "time",
        1.3,
        "items, 20 of 25",
    ),
    *(
        Threshold(f"time of {row}, relative to a cached page of the same size", "selections", row, "time", 1.5, page)
        for row, (_, page) in SELECTIONS.items()
    ),
    *(
        Threshold(
            f"longest wait for the event loop during reads of a list of 5,000, {row}, in ms",
            "selections",
            row,
            "blocked",
            20.0,
        )
        for row in (UNKNOWN, *READS)
    ),
    *(
        Threshold(
            f"time of `{change}` with the lists of 1,000,000 others in Redis, relative to 1,000",
            "others",
            f"{change}, 1,000,000 others",
            "p50",
            1.1,
            f"{change}, 1,000 others",
        )
        for change in ("add", "remove")
    ),
    *(
        threshold
        for load in (BESIDE_SELECTIONS, BESIDE_IMPORTS)
        for threshold in (
            Threshold(
                f"p99 of others' reads {load}, relative to alone", "neighbours", load, "p99", 3.0, ALONE, goal=2.0
            ),
            Threshold(f"share of others' reads that are lost {load}", "neighbours", load, "lost", 0.01),
        )
    ),
    Threshold("Redis memory of a user with 25 items, in bytes", "others", OF_A_LIST, "memory", 1000),
)
