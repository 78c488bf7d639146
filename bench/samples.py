"""The figures of one round of one case."""

import math
from collections.abc import Sequence
from statistics import median, quantiles

import msgspec

MICROSECONDS = 1_000_000
"""In a second."""


class Sample(msgspec.Struct, frozen=True, omit_defaults=True):
    """Quantities; None if not measured.

    Attributes:
        rate: operations per second.
        p50: median latency, in milliseconds.
        p99: latency that one in a hundred exceeds, in milliseconds.
        size: bytes of an answer, with its head.
        generator: the share of a core that the load generator took.
        processor: processor time that an operation took of the process that is measured, in microseconds.
        memory: bytes of memory, Redis' or that of the process that is measured.
        cached: the share of the reads of lists that the cache answered.
        late: the share of the requests that were sent over a millisecond after they were due.
        lost: the share of the requests that were not answered with success.
        blocked: the longest time that the event loop was blocked, in milliseconds of processor time.
    """

    rate: float | None = None
    p50: float | None = None
    p99: float | None = None
    size: float | None = None
    generator: float | None = None
    processor: float | None = None
    memory: float | None = None
    cached: float | None = None
    late: float | None = None
    lost: float | None = None
    blocked: float | None = None


QUANTITIES = Sample.__struct_fields__


def quantity(sample: Sample, name: str) -> float:
    """Return a quantity that was measured.

    Raises:
        ValueError: it was not.
    """
    value: float | None = getattr(sample, name)
    if value is None:
        raise ValueError(f"{name} was not measured")
    return value


def of_operations(seconds: Sequence[float], elapsed: float, processor: float) -> Sample:
    """Sum up operations that took so many seconds each, so many together and so much processor time."""
    return Sample(
        rate=len(seconds) / elapsed,
        p50=percentile(seconds, 50) * 1000,
        p99=percentile(seconds, 99) * 1000,
        processor=processor / len(seconds) * MICROSECONDS,
    )


def percentile(values: Sequence[float], percent: float) -> float:
    """Return a percentile: the least value that this percentage of the values does not exceed."""
    return sorted(values)[max(0, math.ceil(len(values) * percent / 100) - 1)]


class Spread(msgspec.Struct, frozen=True):
    """A median and the quartiles around it."""

    middle: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Sequence[float]) -> "Spread":
        """Sum up values."""
        low, _, high = quantiles(values, n=4, method="inclusive") if len(values) > 1 else [values[0]] * 3
        return cls(median(values), low, high)
