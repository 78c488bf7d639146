"""The metrics of the service; docs/metrics.md has a table of them.

Frequent events have their labels bound once, because looking them up costs more than counting. Gauges are read when
Prometheus scrapes, in `mylist.telemetry.state_gauges`.
"""

import time
from collections import defaultdict
from collections.abc import Iterable
from types import TracebackType
from typing import Self

from prometheus_client import (
    CollectorRegistry,
    Counter,
    GCCollector,
    Histogram,
    PlatformCollector,
    ProcessCollector,
    disable_created_metrics,
)
from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from mylist.domain.errors import ServiceError, UnavailableError
from mylist.telemetry.histogram import DurationHistogram, merge

disable_created_metrics()  # type: ignore[no-untyped-call] # a series more for each one, which says when this process began

REGISTRY = CollectorRegistry()
"""All metrics of this process."""

_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT"})
_CACHE_RESULTS = ("hit", "miss", "fenced", "bypassed")

_Labels = tuple[str, ...]

_fills = Counter("mylist_cache_fills", "Loaded lists offered to Redis.", ["result"], registry=REGISTRY)
_freshness_checks = Counter(
    "mylist_cache_freshness_checks", "Sampled hits compared with MongoDB.", ["result"], registry=REGISTRY
)
MUTATIONS = Counter(
    "mylist_list_mutations", "Changes of lists by outcome.", ["operation", "outcome"], registry=REGISTRY
)

EVENT_LOOP_LAG = Histogram(
    "mylist_event_loop_lag_seconds",
    "How late the event loop wakes a task.",
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1),
    registry=REGISTRY,
)
FILLS = {result: _fills.labels(result) for result in ("stored", "refused", "failed")}
FRESHNESS_CHECKS = {result: _freshness_checks.labels(result) for result in ("fresh", "stale", "undecided")}

ProcessCollector(registry=REGISTRY)
PlatformCollector(registry=REGISTRY)
GCCollector(registry=REGISTRY)


def method_label(method: str) -> str:
    """Return a request's method as a label: one of HTTP's methods, or `_OTHER`."""
    return method if method in _METHODS else "_OTHER"


class Requests(Collector):
    """The answered requests; each read of a list is counted once and exposed in three metrics."""

    def __init__(self) -> None:
        self._answered: dict[tuple[str, str, str, int, str | None], DurationHistogram] = defaultdict(DurationHistogram)

    def of(self, method: str, route: tuple[str, str], status: int, cache: str | None) -> DurationHistogram:
        """Return the histogram of a method label, a route (its template and kind), a status and a cache result."""
        return self._answered[method, *route, status, cache]

    def collect(self) -> Iterable[Metric]:
        """Return the sums over all requests, and over the reads by cache result."""
        requests = HistogramMetricFamily(
            "http_server_request_duration_seconds",
            "Time from the head of a request until its response is ready.",
            labels=["http_request_method", "http_route", "kind", "http_response_status_code"],
        )
        by_request: dict[_Labels, list[DurationHistogram]] = defaultdict(list)
        by_cache: dict[str | None, list[DurationHistogram]] = defaultdict(list)
        for (method, template, kind, status, cache), durations in self._answered.items():
            by_request[method, template, kind, str(status)].append(durations)
            by_cache[cache].append(durations)
        for labels, observed in by_request.items():
            merge(observed).expose(requests, labels)
        yield requests
        reads = HistogramMetricFamily(
            "mylist_read_duration_seconds",
            "Successful reads of lists, by the cache's result.",
            labels=["result"],
        )
        cache_requests = CounterMetricFamily(
            "mylist_cache_requests", "Reads of lists, by the cache's result.", labels=["result"]
        )
        for result in _CACHE_RESULTS:
            of_result = merge(by_cache[result])
            of_result.expose(reads, [result])
            cache_requests.add_metric([result], sum(of_result.counts))
        yield reads
        yield cache_requests


class _Operations(Collector):
    """The operations of the stores that have ended."""

    def __init__(self) -> None:
        self._ended: dict[_Labels, DurationHistogram] = defaultdict(DurationHistogram)

    def of(self, system: str, name: str, *, succeeded: bool) -> DurationHistogram:
        """Return the histogram of an operation and its outcome."""
        return self._ended[system, name, "ok" if succeeded else "error"]

    def collect(self) -> Iterable[Metric]:
        """Return all histograms."""
        family = HistogramMetricFamily(
            "db_client_operation_duration_seconds",
            "Operations of MongoDB and Redis.",
            labels=["db_system_name", "db_operation_name", "outcome"],
        )
        for labels, durations in self._ended.items():
            durations.expose(family, labels)
        yield family


REQUESTS = Requests()
OPERATIONS = _Operations()
REGISTRY.register(REQUESTS)
REGISTRY.register(OPERATIONS)


class operation:  # noqa: N801 - used like a function
    """Measure the block as an operation of `mongodb` or `redis`."""

    __slots__ = ("_began", "_name", "_system")

    def __init__(self, system: str, name: str) -> None:
        self._system = system
        self._name = name

    def __enter__(self) -> Self:
        """Start the measurement."""
        self._began = time.perf_counter()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Count the operation. That an item already exists counts as a success."""
        answered = error is None or (isinstance(error, ServiceError) and not isinstance(error, UnavailableError))
        histogram = OPERATIONS.of(self._system, self._name, succeeded=answered)
        histogram.observe(time.perf_counter() - self._began)
