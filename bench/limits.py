"""What has to come of it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Literal

import msgspec

from bench.groups import SELECTIONS
from bench.holding import READS, UNKNOWN
from bench.memory import OF_A_LIST
from bench.samples import Sample, quantity

_LEAST_CACHED = 0.99

Samples = Mapping[str, Sequence[Sample]]
"""The samples of a group, by row, one for each round."""


@dataclass(frozen=True, slots=True)
class Limit:
    """A bound of the median of a quantity, or of its ratio to that of another row in the same round.

    Attributes:
        says: in plain words.
        group: where.
        row: of which row.
        quantity: of a sample; `time` is what an operation takes at the rate.
        bound: what it has to keep.
        of: the other row; None for the quantity itself.
        least: whether the bound is the least that it may be, not the most.
    """

    says: str
    group: str
    row: str
    quantity: Literal["rate", "time", "p50", "p99", "memory", "held"]
    bound: float
    of: str | None = None
    least: bool = False

    def value(self, samples: Samples) -> float:
        """Gives what came of it."""
        values = [self._amount(each) for each in samples[self.row]]
        if self.of is None:
            return median(values)
        others = [self._amount(each) for each in samples[self.of]]
        return median(value / other for value, other in zip(values, others, strict=True))

    def _amount(self, sample: Sample) -> float:
        return 1 / quantity(sample, "rate") if self.quantity == "time" else quantity(sample, self.quantity)


class Verdict(msgspec.Struct, frozen=True):
    """What came of a limit.

    Attributes:
        says: the limit, in plain words.
        bound: with its direction.
        value: what was measured.
        kept: whether that is within it.
    """

    says: str
    bound: str
    value: float
    kept: bool


def judge(limit: Limit, samples: Samples) -> Verdict:
    """Holds the samples of a limit's group against it."""
    value = limit.value(samples)
    kept = value >= limit.bound if limit.least else value <= limit.bound
    return Verdict(limit.says, f"{'at least' if limit.least else 'at most'} {limit.bound:g}", value, kept)


def undisturbed(measured: Mapping[str, Samples]) -> list[Verdict]:
    """Holds what says that the machine was busy with something else against what a run needs.

    A service that is held up for long stops believing the cache, and then it is MongoDB that is measured.
    """
    shares = [
        median(quantity(sample, "cached") for sample in rounds)
        for samples in measured.values()
        for rounds in samples.values()
        if rounds[0].cached is not None
    ]
    if not shares:
        return []
    says = "reads that the cache answered, in the worst row; fewer, and the machine was too busy to measure"
    return [Verdict(says, f"at least {_LEAST_CACHED:g}", min(shares), min(shares) >= _LEAST_CACHED)]


def _least(says: str, group: str, row: str, of: str, bound: float) -> Limit:
    return Limit(says, group, row, "rate", bound, of, least=True)


_EMPTY = "empty route"
LIMITS = (
    _least("`items` of 20, of the empty route", "reads", "items, 20", _EMPTY, 0.50),
    Limit("`items` of 20 over 16 connections: p99, in ms", "reads", "items, 20", "p99", 3.0),
    _least("`stats`, of the empty route", "reads", "stats", _EMPTY, 0.60),
    _least("304, of the empty route", "reads", "items, 20, not modified (304)", _EMPTY, 0.60),
    _least("metrics on, of off", "observation", "metrics on", "metrics off", 0.92),
    _least("tracing at 1 %, of off", "observation", "tracing at 1 %", "tracing off", 0.95),
    Limit(
        "time of a page of 20 of a list of 5,000, of one of 25",
        "lengths",
        "items, 20 of 5,000",
        "time",
        1.3,
        "items, 20 of 25",
    ),
    *(
        Limit(f"time of {row}, of a cached page of the same size", "selections", row, "time", 1.5, page)
        for row, (_, page) in SELECTIONS.items()
    ),
    *(
        Limit(f"longest hold of the event loop by a list of 5,000, {row}, in ms", "selections", row, "held", 20.0)
        for row in (UNKNOWN, *READS)
    ),
    *(
        Limit(
            f"time of `{change}` with 1,000,000 others' lists in Redis, of that with 1,000",
            "others",
            f"{change}, 1,000,000 others",
            "p50",
            1.1,
            f"{change}, 1,000 others",
        )
        for change in ("add", "remove")
    ),
    Limit("Redis memory of a user with 25 items, in bytes", "others", OF_A_LIST, "memory", 1000),
)
