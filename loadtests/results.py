"""The results of a run: the requests as Locust saw them, by route."""

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from loadtests.autoscaler import Scaling
from loadtests.histogram import Histogram, Route
from loadtests.thresholds import Kind

PERCENTILES = (50.0, 75.0, 90.0, 95.0, 99.0, 99.9)


@dataclass(frozen=True, slots=True)
class RequestStats:
    """Requests that Locust sent: how many, how many failed, and how many took so many milliseconds."""

    requests: int
    failures: int
    times: Mapping[float, int]

    def percentile(self, percent: float) -> float:
        """Return the least latency that so many percent of the requests did not exceed, in milliseconds.

        Raises:
            ValueError: there were no requests.
        """
        if not self.times:
            raise ValueError("there were no requests")
        rank = max(1, math.ceil(percent / 100 * sum(self.times.values())))
        passed = 0
        for time in sorted(self.times):
            passed += self.times[time]
            if passed >= rank:
                break
        return time


def merge(seen: Iterable[RequestStats]) -> RequestStats:
    """Return several routes' requests as one."""
    requests = failures = 0
    times: Counter[float] = Counter()
    for each in seen:
        requests += each.requests
        failures += each.failures
        times.update(each.times)
    return RequestStats(requests, failures, times)


@dataclass(frozen=True, slots=True)
class RunResult:
    """One run.

    Attributes:
        scenario: its name.
        users: how many there were at most.
        seconds: how long it was measured.
        seen: the requests that Locust counted.
        counted: the requests that the service counted meanwhile; empty if unknown.
        failures: how often which failure came about.
        remark: why that is not known, or is only a part.
        scaling: the replicas of the service's autoscaler; None if none was named.
        defects: the faults that invalidate the whole measurement.
    """

    scenario: str
    users: int
    seconds: float
    seen: Mapping[Route, RequestStats]
    counted: Mapping[Route, Histogram] = field(default_factory=dict)
    failures: Mapping[str, int] = field(default_factory=dict)
    remark: str = ""
    scaling: Scaling | None = None
    defects: tuple[str, ...] = ()

    def of(self, kind: Kind) -> RequestStats:
        """Return all reads or all writes."""
        return merge(seen for (method, _), seen in self.seen.items() if (method == "GET") == (kind == "reads"))
