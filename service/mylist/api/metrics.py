"""What Prometheus scrapes: `/metrics`. The metrics are in `mylist.metrics`; here are those that are states."""

import platform
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector
from sanic import Blueprint, HTTPResponse
from sanic.exceptions import NotFound

from mylist import __version__, metrics
from mylist.api.context import Context
from mylist.api.observation import route_of
from mylist.api.request import ApiRequest
from mylist.cache.link import MOST_OWED, LinkState
from mylist.errors import UnavailableError

blueprint = Blueprint("metrics")

_BREAKERS = {LinkState.UP: "closed", LinkState.RECOVERING: "half_open", LinkState.DOWN: "open"}


@blueprint.get("/metrics")
async def expose(request: ApiRequest) -> HTTPResponse:
    """Gives every metric, in the format that the scraper asks for."""
    if not request.app.ctx.settings.metrics:
        raise NotFound
    try:
        encode, content_type = choose_encoder(request.headers.getone("accept", ""))
    except (TypeError, ValueError):  # a version that is none
        encode, content_type = choose_encoder("")
    return HTTPResponse(
        encode(metrics.REGISTRY),
        content_type=content_type,
        headers={"x-request-id": request.id, "cache-control": "no-store", "x-content-type-options": "nosniff"},
    )


class State(Collector):
    """What is so at the moment."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def collect(self) -> Iterable[Metric]:
        """Reads it."""
        link, database = self._context.link, self._context.database
        yield self._active_requests()
        yield _gauge(
            "mylist_cache_invalidations_pending",
            "Lists whose invalidation is owed until Redis is back.",
            {(): link.owed},
        )
        yield _gauge(
            "mylist_dependency_up",
            "Whether it answered its last check.",
            {("mongodb",): database.available, ("redis",): link.sure},
            "dependency",
        )
        breakers = {"mongodb": "closed" if database.available else "open", "redis": _BREAKERS[link.state]}
        yield _gauge(
            "mylist_breaker_state",
            "The state in force.",
            {(name, state): state == now for name, now in breakers.items() for state in _BREAKERS.values()},
            *("dependency", "state"),
        )
        shed = CounterMetricFamily("mylist_shed", "Requests turned away with 503.", labels=["cause"])
        for error in _kinds_of(UnavailableError):
            shed.add_metric([error.code.lower()], self._context.turned_away[error.code])
        yield shed
        pages = self._context.pages
        used = CounterMetricFamily("mylist_pages", "Pages of lists that were given.", labels=["result"])
        used.add_metric(["reused"], pages.reused)
        used.add_metric(["rendered"], pages.rendered)
        yield used
        yield _gauge("mylist_page_memory_bytes", "What is kept of rendered pages.", {(): pages.size})
        admission = self._context.admission
        yield _gauge(
            "mylist_in_use",
            "What is in use.",
            {
                ("requests",): admission.under_way,
                ("mongodb_operations",): database.under_way,
                ("invalidations",): link.owed,
            },
            "resource",
        )
        yield _gauge(
            "mylist_capacity",
            "The limit of what may be in use.",
            {
                ("requests",): admission.limit,
                ("mongodb_operations",): database.pool_size,
                ("invalidations",): MOST_OWED,
            },
            "resource",
        )
        yield _gauge(
            "mylist_build_info",
            "What runs.",
            {(__version__, self._context.settings.revision, platform.python_version()): 1},
            *("version", "revision", "python"),
        )

    def _active_requests(self) -> Metric:
        counts: Counter[tuple[str, ...]] = Counter()
        for connection in self._context.connections:
            if request := connection.answering:
                counts[metrics.method_label(request.method), route_of(request)] += 1
        return _gauge("http_server_active_requests", "Requests under way.", counts, "http_request_method", "http_route")


def _gauge(name: str, meaning: str, values: Mapping[tuple[str, ...], float], *labels: str) -> Metric:
    family = GaugeMetricFamily(name, meaning, labels=labels)
    for of, value in values.items():
        family.add_metric(of, value)
    return family


def _kinds_of(error: type[UnavailableError]) -> Iterator[type[UnavailableError]]:
    for kind in error.__subclasses__():
        yield kind
        yield from _kinds_of(kind)
