"""Records each answered request, apart from its duration: its span, and a log line if it was slow."""

import logging
import re
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

from mylist.telemetry import metrics, tracing
from mylist.telemetry.histogram import DurationHistogram
from mylist.telemetry.line_limit import LineLimit

if TYPE_CHECKING:
    from opentelemetry.trace import Span

_SERVER_ERROR = 500
_MAX_SLOW_LINES_PER_S = 10
_PARAMETER = re.compile(r"<(\w+)(?::[^>]*)?>")

REQUEST_LOGGER = logging.getLogger(__name__)
"""Logs every request at the level DEBUG."""


class RouteLabels(NamedTuple):
    """How metrics, spans and log lines name a route: never by text from a client.

    Attributes:
        template: the path, with `{name}` for each parameter.
        kind: what the route does: `read`, `write`, `import` or `other`.
    """

    template: str
    kind: str


UNMATCHED = RouteLabels("unmatched", "other")
"""A request that has no route."""


class AnsweredRequest(NamedTuple):
    """The recorded data of a request.

    Attributes:
        method: as the client sent it.
        route: its route.
        status: HTTP status of the answer.
        cache: how the cache took part; None if it did not.
        seconds: time from the head of the request until its answer is ready to be sent.
    """

    method: str
    route: RouteLabels
    status: int
    cache: str | None
    seconds: float


_slow_lines = LineLimit(_MAX_SLOW_LINES_PER_S, period_s=1)


@lru_cache(maxsize=256)
def route_template(path: str) -> str:
    """Return the template of a path in Sanic's notation."""
    return "/" + _PARAMETER.sub(r"{\1}", path).lstrip("/")


@lru_cache(maxsize=4096)
def request_histogram(method: str, route: RouteLabels, status: int, cache: str | None) -> DurationHistogram:
    """Return the histogram for the duration of such a request."""
    return metrics.REQUESTS.of(metrics.method_label(method), route, status, cache)


def log_request(request: AnsweredRequest, *, slow_after: float) -> None:
    """Log a request: as a warning if it took longer than `slow_after` seconds, else for debugging."""
    if request.seconds > slow_after and _slow_lines.allows():
        _log(logging.WARNING, "Slow request", request)
    else:
        _log(logging.DEBUG, "Request", request)


def describe(span: "Span", request: AnsweredRequest) -> None:
    """Put the data of an answered request on its span."""
    method = metrics.method_label(request.method)
    template = request.route.template
    span.update_name(method if request.route is UNMATCHED else f"{method} {template}")
    span.set_attributes({"http.route": template, "http.response.status_code": request.status})
    if request.cache:
        span.set_attribute("mylist.cache.result", request.cache)
    if request.status >= _SERVER_ERROR:
        tracing.fail(span, str(request.status))


def _log(level: int, what: str, request: AnsweredRequest) -> None:
    cache = f", cache {request.cache}" if request.cache else ""
    REQUEST_LOGGER.log(
        level,
        "%s: %s %s %d in %.3f s%s",
        what,
        request.method,
        request.route.template,
        request.status,
        request.seconds,
        cache,
    )
