"""What is noted of each request that was answered: its metrics, its span, and its log line if it was slow."""

import logging
import re
import time
from functools import lru_cache
from typing import TYPE_CHECKING

from sanic.response import BaseHTTPResponse

from mylist import metrics
from mylist.api.request import ApiRequest
from mylist.api.responses import ApiResponse
from mylist.durations import Durations

if TYPE_CHECKING:
    from mylist.spans import Span

_SERVER_ERROR = 500
_UNMATCHED = "unmatched"
_PARAMETER = re.compile(r"<(\w+)(?::[^>]*)?>")

_logger = logging.getLogger(__name__)


class _Limit:
    """So many lines in a second: when everything is slow, a line for each request makes it slower."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._second = 0
        self._written = 0

    def may_be_written(self) -> bool:
        """Says whether one more may be written now, and counts it."""
        second = int(time.monotonic())
        if second != self._second:
            self._second, self._written = second, 0
        self._written += 1
        return self._written <= self._most


_slow_lines = _Limit(10)


def note(request: ApiRequest, response: BaseHTTPResponse, seconds: float, span: "Span | None") -> None:
    """Notes a request that was answered, so many seconds after its head was read, on its span if it has one too."""
    settings = request.app.ctx.settings
    cache = response.cache if isinstance(response, ApiResponse) else None
    if settings.metrics:
        route = request.route.path if request.route else None
        _requests(request.method, route, response.status, cache).observe(seconds, span.trace_id if span else None)
    if span:
        _describe(span, request, response.status, cache)
    if seconds > settings.slow_request and _slow_lines.may_be_written():
        _log(logging.WARNING, "Slow request", request, response.status, seconds, cache)
    elif _logger.isEnabledFor(logging.DEBUG):
        _log(logging.DEBUG, "Request", request, response.status, seconds, cache)


def attributes_of(request: ApiRequest) -> dict[str, str | int]:
    """Gives what is known of a request before it is answered, for its span."""
    return {
        "http.request.method": metrics.method_label(request.method),
        "network.protocol.version": request.version,
        "url.path": request.path,
        "url.scheme": "http",
        "mylist.request_id": request.id,
    }


def route_of(request: ApiRequest) -> str:
    """Gives the template of a request's route, as the OpenAPI document writes it; never a client's own words."""
    return _template(request.route.path if request.route else None)


@lru_cache(maxsize=256)
def _template(path: str | None) -> str:
    return _UNMATCHED if path is None else "/" + _PARAMETER.sub(r"{\1}", path).lstrip("/")


@lru_cache(maxsize=4096)
def _requests(method: str, path: str | None, status: int, cache: str | None) -> Durations:
    return metrics.REQUESTS.of(metrics.method_label(method), _template(path), status, cache)


def _describe(span: "Span", request: ApiRequest, status: int, cache: str | None) -> None:
    route = route_of(request)
    method = metrics.method_label(request.method)
    span.name = f"{method} {route}" if route != _UNMATCHED else method
    span.attributes["http.route"] = route
    span.attributes["http.response.status_code"] = status
    if cache:
        span.attributes["mylist.cache.result"] = cache
    if status >= _SERVER_ERROR:
        span.fail(str(status))


def _log(level: int, what: str, request: ApiRequest, status: int, seconds: float, cache: str | None) -> None:  # noqa: PLR0913 - the parts of a line
    of_cache = f", cache {cache}" if cache else ""
    _logger.log(level, "%s: %s %s %d in %.3f s%s", what, request.method, route_of(request), status, seconds, of_cache)
