"""The service's own histogram of a window of time, from `/metrics` at its start and end."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import pairwise

from prometheus_client.parser import text_string_to_metric_families as parse

_DURATIONS = "http_server_request_duration_seconds"
_STARTED = "process_start_time_seconds"

Route = tuple[str, str]
"""A method and the template of a path, named as in the service's metrics and in Locust's statistics."""


class RestartedError(Exception):
    """The two ends of the window are not of the same process."""


@dataclass(frozen=True, slots=True)
class Histogram:
    """How many requests took at most so many seconds, by bound; the last bound is infinity."""

    buckets: Mapping[float, float]

    @property
    def count(self) -> float:
        """How many requests there were."""
        return max(self.buckets.values(), default=0.0)

    def percentile(self, percent: float) -> float:
        """Estimate a percentile in milliseconds, as Prometheus' `histogram_quantile` does.

        Requests are taken to be spread evenly over their bucket; one beyond the last finite bound counts as that.

        Raises:
            ValueError: there were no requests.
        """
        if not self.count:
            raise ValueError("there were no requests")
        rank = percent / 100 * self.count
        ends = [(0.0, 0.0), *sorted(self.buckets.items())]
        (lower, before), (upper, until) = next(bucket for bucket in pairwise(ends) if bucket[1][1] >= rank)
        if upper == float("inf"):
            return lower * 1000
        return (lower + (upper - lower) * (rank - before) / (until - before)) * 1000


@dataclass(frozen=True, slots=True)
class Scrape:
    """The figures of one process at a moment: the time of its start, and its histogram of each route."""

    started: float
    routes: Mapping[Route, Histogram]


def read(exposition: str) -> Scrape:
    """Read the text of `/metrics`; the statuses of a route are summed.

    Raises:
        ValueError: it is not what the service says.
    """
    started = 0.0
    routes: dict[Route, dict[float, float]] = defaultdict(lambda: defaultdict(float))
    for family in parse(exposition):
        for sample in family.samples:
            if sample.name == _STARTED:
                started = sample.value
            elif sample.name == f"{_DURATIONS}_bucket":
                labels = sample.labels
                route = labels["http_request_method"], labels["http_route"]
                routes[route][float(labels["le"])] += sample.value
    if not started:
        raise ValueError(f"no {_STARTED} in it")
    return Scrape(started, {route: Histogram(dict(buckets)) for route, buckets in routes.items()})


def between(before: Iterable[Scrape], after: Iterable[Scrape]) -> dict[Route, Histogram]:
    """Return what was added between two scrapes of each of the same processes, all of them together.

    Raises:
        RestartedError: they are not the same.
    """
    together: dict[Route, dict[float, float]] = defaultdict(lambda: defaultdict(float))
    for earlier, later in zip(before, after, strict=True):
        if earlier.started != later.started:
            raise RestartedError
        for route, histogram in later.routes.items():
            held = earlier.routes.get(route, Histogram({})).buckets
            for bound, count in histogram.buckets.items():
                together[route][bound] += count - held.get(bound, 0.0)
    return {route: found for route, buckets in together.items() if (found := Histogram(dict(buckets))).count}
