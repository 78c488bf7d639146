"""What the service measures; docs/metrics.md is the table of it.

Everything that happens often has its labels bound once: looking them up costs more than counting. What has a present
value only (gauges) is read when Prometheus asks, in `mylist.api.metrics`.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache

from prometheus_client import (
    CollectorRegistry,
    Counter,
    GCCollector,
    Histogram,
    PlatformCollector,
    ProcessCollector,
    disable_created_metrics,
)

from mylist.errors import ServiceError, UnavailableError

disable_created_metrics()  # type: ignore[no-untyped-call] # a series more for each one, which says when this process began

REGISTRY = CollectorRegistry()
"""All metrics of this process."""

# Finer where this service lives; 0.01, 0.1 and 0.25 are those of its objectives. Each bound is a line of every scrape.
_SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT"})

_requests = Histogram(
    "http_server_request_duration_seconds",
    "From a request's head to its response, ready to be sent.",
    ["http_request_method", "http_route", "http_response_status_code"],
    buckets=_SECONDS,
    registry=REGISTRY,
)
_reads = Histogram(
    "mylist_read_duration_seconds",
    "Reads of lists that succeeded, by how the cache took part.",
    ["result"],
    buckets=_SECONDS,
    registry=REGISTRY,
)
_operations = Histogram(
    "db_client_operation_duration_seconds",
    "Operations of MongoDB and Redis.",
    ["db_system_name", "db_operation_name", "outcome"],
    buckets=_SECONDS,
    registry=REGISTRY,
)
_cache_requests = Counter(
    "mylist_cache_requests", "Reads of lists by how the cache took part.", ["result"], registry=REGISTRY
)
_fills = Counter("mylist_cache_fills", "Loaded lists offered to Redis.", ["result"], registry=REGISTRY)
_freshness_checks = Counter(
    "mylist_cache_freshness_checks", "Sampled hits compared with MongoDB.", ["result"], registry=REGISTRY
)
_mutations = Counter(
    "mylist_list_mutations", "Changes of lists by outcome.", ["operation", "outcome"], registry=REGISTRY
)
_catalogue_requests = Counter("mylist_catalogue_requests", "Movies and shows looked up.", ["result"], registry=REGISTRY)

EVENT_LOOP_LAG = Histogram(
    "mylist_event_loop_lag_seconds",
    "How much later than asked the event loop wakes a task.",
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1),
    registry=REGISTRY,
)
READS = {result: _reads.labels(result) for result in ("hit", "miss", "fenced", "bypassed")}
CACHE_REQUESTS = {result: _cache_requests.labels(result) for result in READS}
FILLS = {result: _fills.labels(result) for result in ("stored", "refused", "failed")}
FRESHNESS_CHECKS = {result: _freshness_checks.labels(result) for result in ("fresh", "stale", "undecided")}
CATALOGUE_REQUESTS = {result: _catalogue_requests.labels(result) for result in ("hit", "miss", "absent")}

ProcessCollector(registry=REGISTRY)
PlatformCollector(registry=REGISTRY)
GCCollector(registry=REGISTRY)


def method_label(method: str) -> str:
    """Gives a request's method as a label: one of HTTP's, or that it is another."""
    return method if method in _METHODS else "_OTHER"


@lru_cache(maxsize=4096)
def requests(method: str, route: str, status: int) -> Histogram:
    """Gives the histogram of requests: of a method (`method_label`), a route template, answered with a status."""
    return _requests.labels(method, route, status)


@lru_cache(maxsize=256)
def _operation(system: str, name: str, outcome: str) -> Histogram:
    return _operations.labels(system, name, outcome)


@contextmanager
def operation(system: str, name: str) -> Iterator[None]:
    """Measures one operation of `mongodb` or `redis`."""
    began = time.perf_counter()
    outcome = "error"
    try:
        yield
        outcome = "ok"
    except ServiceError as error:
        # That an item is there already is an answer like any other.
        outcome = "error" if isinstance(error, UnavailableError) else "ok"
        raise
    finally:
        _operation(system, name, outcome).observe(time.perf_counter() - began)


@contextmanager
def mutation(name: str) -> Iterator[None]:
    """Counts one change of a list, `add` or `remove`, by how it ended."""
    try:
        yield
    except ServiceError as error:
        _mutations.labels(name, error.code.lower()).inc()
        raise
    _mutations.labels(name, "ok").inc()
