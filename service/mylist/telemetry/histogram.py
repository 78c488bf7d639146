"""Histograms of durations for events of every request.

prometheus_client's histograms need a lock, a check and a loop over the buckets for each observation, because any thread
may observe. Here everything runs on the event loop, so counting is one search and two additions.
"""

import time
from bisect import bisect_left
from collections.abc import Iterable, Sequence

from prometheus_client.core import HistogramMetricFamily
from prometheus_client.samples import Exemplar
from prometheus_client.utils import floatToGoString

# Finer in the usual range of this service; 0.01, 0.1 and 0.25 are the bounds of its objectives. Each bound is a line of
# every scrape.
_BOUNDS_S = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
_LABELS = [floatToGoString(bound) for bound in (*_BOUNDS_S, float("inf"))]  # type: ignore[no-untyped-call]


class DurationHistogram:
    """The observations of one combination of labels; for one thread only.

    Attributes:
        counts: how many observations fell into each bucket.
        exemplars: the latest traced observation of each bucket, by the bucket's index.
        total: the sum of the observations, in seconds.
    """

    __slots__ = ("counts", "exemplars", "total")

    def __init__(self) -> None:
        self.counts = [0] * len(_LABELS)
        self.exemplars: dict[int, Exemplar] = {}
        self.total = 0.0

    def observe(self, seconds: float, trace_id: str | None = None) -> None:
        """Count an observation. Its trace, if any, becomes the exemplar of its bucket."""
        bucket = bisect_left(_BOUNDS_S, seconds)
        self.counts[bucket] += 1
        self.total += seconds
        if trace_id:
            self.exemplars[bucket] = Exemplar({"trace_id": trace_id}, seconds, time.time())

    def expose(self, family: HistogramMetricFamily, labels: Sequence[str]) -> None:
        """Add the observations to a metric family, whose buckets are cumulative."""
        buckets: list[tuple[str, float] | tuple[str, float, Exemplar]] = []
        count = 0
        for place, label in enumerate(_LABELS):
            count += self.counts[place]
            exemplar = self.exemplars.get(place)
            buckets.append((label, count, exemplar) if exemplar else (label, count))
        family.add_metric(labels, buckets, self.total)


def merge(observed: Iterable[DurationHistogram]) -> DurationHistogram:
    """Return the sum of the observations of several combinations."""
    together = DurationHistogram()
    for each in observed:
        together.counts = [count + more for count, more in zip(together.counts, each.counts, strict=True)]
        together.exemplars |= each.exemplars
        together.total += each.total
    return together
