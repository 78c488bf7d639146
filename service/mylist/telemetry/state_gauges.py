"""The metrics that show the state of the process. They are read at each scrape, not counted at each event."""

import platform
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from mylist import __version__
from mylist.domain.errors import ServiceError, TooManyImportsError, TooManyRequestsError, UnavailableError

BREAKER_STATES = ("closed", "half_open", "open")


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """A snapshot of the process.

    Attributes:
        active_requests: number of requests in flight, by method label and route template.
        pending_invalidations: number of lists whose invalidation is pending until Redis is back.
        cache_withheld: whether lists are not served from Redis, by the cause in the registry of processes.
        is_up: whether a dependency answered its last check, by name.
        breakers: the state of a dependency's circuit breaker, one of `BREAKER_STATES`, by name.
        index_is_missing: whether MongoDB lacks a wanted index, by collection and name.
        majority_lag_s: seconds since the oldest write that no majority of MongoDB has was seen; None if unknown.
        shed: number of refused requests, by error code.
        pages_reused, pages_rendered: numbers of reused and of rendered answers.
        page_bytes: memory of the cached answers, in bytes.
        catalogue_requests: number of movies and shows that were looked up, by result.
        in_use, capacity: current and maximum use, by resource.
        revision: the commit of the running code.
    """

    active_requests: Mapping[tuple[str, ...], int]
    pending_invalidations: int
    cache_withheld: Mapping[str, bool]
    is_up: Mapping[str, bool]
    breakers: Mapping[str, str]
    index_is_missing: Mapping[tuple[str, str], bool]
    majority_lag_s: float | None
    shed: Mapping[str, int]
    pages_reused: int
    pages_rendered: int
    page_bytes: int
    catalogue_requests: Mapping[str, int]
    in_use: Mapping[str, int]
    capacity: Mapping[str, int]
    revision: str


class StateCollector(Collector):
    """Exposes a new snapshot of the process at each scrape."""

    def __init__(self, snapshot: Callable[[], State]) -> None:
        self._snapshot = snapshot

    def collect(self) -> Iterable[Metric]:
        """Return the metrics of a new snapshot."""
        state = self._snapshot()
        yield _gauge(
            "http_server_active_requests",
            "Requests in flight.",
            state.active_requests,
            *("http_request_method", "http_route"),
        )
        yield _gauge(
            "mylist_cache_invalidations_pending",
            "Lists whose invalidation is pending until Redis is back.",
            {(): state.pending_invalidations},
        )
        yield _gauge(
            "mylist_cache_withheld",
            "Whether the registry of processes keeps this process from serving lists from Redis.",
            {(cause,): is_so for cause, is_so in state.cache_withheld.items()},
            "cause",
        )
        yield _gauge(
            "mylist_dependency_up",
            "Whether the dependency answered its last check.",
            {(name,): up for name, up in state.is_up.items()},
            "dependency",
        )
        yield _gauge(
            "mylist_breaker_state",
            "The current state of the circuit breaker.",
            {(name, each): each == now for name, now in state.breakers.items() for each in BREAKER_STATES},
            *("dependency", "state"),
        )
        yield _gauge(
            "mylist_index_missing",
            "Whether MongoDB lacks an index that the service needs.",
            {tuple(index): is_missing for index, is_missing in state.index_is_missing.items()},
            *("collection", "index"),
        )
        yield _gauge(
            "mylist_mongodb_majority_lag_seconds",
            "Time since the process first saw the oldest write that no majority of MongoDB has.",
            {} if state.majority_lag_s is None else {(): state.majority_lag_s},
        )
        shed = CounterMetricFamily("mylist_shed", "Requests rejected with 503 or 429.", labels=["cause"])
        causes: list[type[ServiceError]] = [
            *_subclasses_of(UnavailableError),
            TooManyRequestsError,
            TooManyImportsError,
        ]
        for error in causes:
            shed.add_metric([error.code.lower()], state.shed.get(error.code, 0))
        yield shed
        pages = CounterMetricFamily("mylist_pages", "Rendered answers, by whether they were reused.", labels=["result"])
        pages.add_metric(["reused"], state.pages_reused)
        pages.add_metric(["rendered"], state.pages_rendered)
        yield pages
        yield _gauge(
            "mylist_page_memory_bytes", "Memory of the rendered answers that are kept.", {(): state.page_bytes}
        )
        titles = CounterMetricFamily("mylist_catalogue_requests", "Movies and shows looked up.", labels=["result"])
        for result, number in state.catalogue_requests.items():
            titles.add_metric([result], number)
        yield titles
        for name, meaning, values in (
            ("mylist_in_use", "How much of the resource is in use.", state.in_use),
            ("mylist_capacity", "The limit of the resource.", state.capacity),
        ):
            yield _gauge(name, meaning, {(resource,): value for resource, value in values.items()}, "resource")
        yield _gauge(
            "mylist_build_info",
            "What runs.",
            {(__version__, state.revision, platform.python_version()): 1},
            *("version", "revision", "python"),
        )


def _gauge(name: str, meaning: str, values: Mapping[tuple[str, ...], float], *labels: str) -> Metric:
    family = GaugeMetricFamily(name, meaning, labels=labels)
    for label_values, value in values.items():
        family.add_metric(label_values, value)
    return family


def _subclasses_of(error: type[UnavailableError]) -> Iterator[type[UnavailableError]]:
    for kind in error.__subclasses__():
        yield kind
        yield from _subclasses_of(kind)
