"""Takes a request from its head to its handler, and the handler's answer back to the client.

`mylist.http.sanic_overrides` makes Sanic's HTTP strict and limits the time of its clients.

**Straight to the handler.** Sanic's own dispatch, `Sanic.handle_request`, looks for middleware, signals and other kinds
of handlers at each step. This service has none, and the lookups cost 5 % of a cached read. So the following would never
run, and the application refuses to start with it (`refuse_bypassed`):

- middleware of requests and of responses;
- signals of `http.*`, which report the steps of a request;
- handlers that stream (`stream=True`), serve web sockets, or are not coroutines;
- routes that are limited to one host.
"""

import inspect
import logging
from asyncio import BaseTransport
from collections.abc import Callable, Coroutine, Iterator
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, cast

from sanic import HTTPResponse, Request, Sanic
from sanic.config import Config
from sanic.http import Stage
from sanic.server import HttpProtocol

from mylist.domain.cache_result import CacheResult
from mylist.domain.errors import KeysUnavailableError, OverloadedError, UnknownKeyError
from mylist.http import descriptors
from mylist.http.request import ApiRequest
from mylist.http.responses import ApiResponse, LinesResponse
from mylist.http.sanic_overrides import StrictHttp, TimeLimitedProtocol
from mylist.http.services import Services
from mylist.telemetry import metrics, tracing
from mylist.telemetry.answered_request import (
    REQUEST_LOGGER,
    UNMATCHED,
    AnsweredRequest,
    RouteLabels,
    describe,
    log_request,
    request_histogram,
)

if TYPE_CHECKING:
    from opentelemetry.trace import Span

_App = Sanic[Config, Services]
Handler = Callable[..., Coroutine[Any, Any, HTTPResponse]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """The data that dispatch needs about a route.

    Attributes:
        handler: called with the request, then the user id, the parsed query and the parsed body, if the route has them.
            Path parameters are keyword arguments.
        labels: the labels of the route in metrics and logs.
        has_user: whether the request must name a user. Such a request counts against the limits of concurrent requests.
        is_import: whether it counts against the limits of imports instead (`Services.imports`).
        parse_query: parses the query string; None without parameters.
        parse_body: parses the body, given its bytes and its media type; None if the route has no body or the handler
            reads it.
        media_types: the media types that the body may have.
    """

    handler: Handler
    labels: RouteLabels
    has_user: bool = False
    is_import: bool = False
    parse_query: Callable[[ApiRequest], Any] | None = None
    parse_body: Callable[[bytes, str], Any] | None = None
    media_types: frozenset[str] = frozenset()


class BypassedError(Exception):
    """The application has something that would never run. The message names it."""


def refuse_bypassed(app: Sanic[Any, Any]) -> None:
    """Check that an application has nothing that only Sanic's own dispatch would run.

    Raises:
        BypassedError: it has something of that kind.
    """
    if found := sorted(_bypassed(app)):
        raise BypassedError(f"requests go straight to their handlers, so these would never run: {', '.join(found)}")


def _bypassed(app: Sanic[Any, Any]) -> Iterator[str]:
    named = (app.named_request_middleware, app.named_response_middleware)
    for middleware in (
        app.request_middleware,
        app.response_middleware,
        *(each for kind in named for each in kind.values()),
    ):
        yield from (f"middleware {each.func.__qualname__}" for each in middleware)
    yield from (f"signal {each.name}" for each in app.signal_router.routes if each.name.startswith("http."))
    for route in app.router.routes:
        if route.extra.stream:
            yield f"streaming to {route.path!r}"
        if getattr(route.extra, "websocket", False):
            yield f"web socket of {route.path!r}"
        elif not inspect.iscoroutinefunction(route.handler):
            yield f"handler of {route.path!r}, which is not a coroutine"
        if route.requirements:
            yield f"host of {route.path!r}"


class _ApiHttp(StrictHttp):
    """The requests of one connection. Each is recorded when it is answered."""

    __slots__ = ("_kept",)
    request: ApiRequest  # type: ignore[assignment] # Sanic declares it for a plain context

    def __init__(self, protocol: HttpProtocol) -> None:
        super().__init__(protocol)
        self._kept = protocol.app.ctx.kept_connection

    async def http1_response_header(self, data: bytes, end_stream: bool) -> None:
        """Send a response from any source, and record the request."""
        request, response = self.request, self.response
        seconds = self.seconds_since_head
        span = tracing.current() if tracing.in_flight else None
        if self.request_body:
            self.settle_body()
        if isinstance(response, ApiResponse):
            if span:
                response.lines += f"traceresponse: {tracing.traceparent_of(span)}\r\n"
            cache = response.cache
            connection = self._kept if self.keep_alive else "close"
            encoded = response.encode(connection=connection, head_only=bool(self.head_only))
            if isinstance(response, LinesResponse):
                await self.send_formatted(encoded, () if self.head_only else response.framed())
            elif not self.send_at_once(encoded):
                await self.send_formatted(encoded)
        else:
            if span:
                response.headers["traceresponse"] = tracing.traceparent_of(span)
            cache = None
            await super().http1_response_header(data, end_stream)
        _record(request, response.status, cache, seconds, span)


class HttpConnection(TimeLimitedProtocol):
    """One connection, from the first byte to the last."""

    __slots__ = ()
    HTTP_CLASS = _ApiHttp

    def __init__(self, **arguments: Any) -> None:  # noqa: ANN401 - as Sanic has them
        super().__init__(**arguments)
        self.request_handler = partial(_answer, self.app)

    @property
    def active_request(self) -> tuple[str, str] | None:
        """Method and route template of the request in flight, as in the labels of metrics."""
        if self.http is None or self.http.stage is not Stage.HANDLER:
            return None
        request: ApiRequest = self.http.request
        labels: RouteLabels = request.route.ctx.endpoint.labels if request.route else UNMATCHED
        return metrics.method_label(request.method), labels.template

    def connection_made(self, transport: BaseTransport) -> None:
        """Register the connection."""
        descriptors.warn_if_scarce(transport)
        self.app.ctx.state.connections.add(self)
        super().connection_made(transport)  # type: ignore[no-untyped-call]

    def connection_lost(self, error: Exception | None) -> None:
        """Unregister the connection."""
        self.app.ctx.state.connections.discard(self)
        super().connection_lost(error)  # type: ignore[no-untyped-call]


def _answer(app: _App, request: ApiRequest) -> Coroutine[Any, Any, None]:
    # Probes and scrapes are frequent and uninteresting.
    is_traced = tracing.is_on and tracing.is_sampled(request.headers) and request.path.startswith("/api/")
    return _trace(app, request) if is_traced else _handle(app, request)


async def _trace(app: _App, request: ApiRequest) -> None:
    attributes: dict[str, str | int] = {
        "http.request.method": metrics.method_label(request.method),
        "network.protocol.version": request.version,
        "url.path": request.path,
        "url.scheme": "http",
        "mylist.request_id": request.id,
    }
    with tracing.request_span(request.headers, attributes):
        await _handle(app, request)


async def _handle(app: _App, request: ApiRequest) -> None:  # noqa: C901, PLR0912 - a call costs a cached read
    """Route a request, run its handler and send the result; see "Straight to the handler" above."""
    http = request.stream
    try:
        route, _, path_parameters = app.router.get(request.path, request.method, None)
        request.route = route
        endpoint: Endpoint = route.ctx.endpoint
        handler = endpoint.handler
        if endpoint.has_user:
            # An invalid request fails here, before it counts against a limit. The body is parsed last.
            user_id = request.user_id
            arguments: list[Any] = [user_id]
            if endpoint.parse_query:
                arguments.append(endpoint.parse_query(request))
            if endpoint.parse_body:
                body = await request.receive(endpoint.media_types)
                arguments.append(endpoint.parse_body(body, request.media_type))
            limit, shares = app.ctx.imports if endpoint.is_import else app.ctx.requests
            if limit.in_flight >= limit.maximum:
                raise OverloadedError  # noqa: TRY301 - answered below, as what handlers raise
            # Inlined from `shares.enter` and `leave`: the calls would slow down a cached read.
            held = shares.held
            mine = held.get(user_id, 0)
            if mine < shares.at_once:
                held[user_id] = mine + 1
            else:
                await shares.enter(user_id)
                if limit.in_flight >= limit.maximum:  # others arrived while this request waited
                    shares.leave(user_id)
                    raise OverloadedError  # noqa: TRY301 - likewise
            limit.in_flight += 1
            try:
                response = await handler(request, *arguments, **path_parameters)
            finally:
                limit.in_flight -= 1
                if held[user_id] == 1:  # no request waits
                    del held[user_id]
                else:
                    shares.leave(user_id)
        else:
            response = await handler(request, **path_parameters)
        http.respond(response)
        await http.http1_response_header(response.body or b"", end_stream=True)
    except (UnknownKeyError, KeysUnavailableError) as error:
        # The user is identified before the handler is called, so nothing has been done yet.
        if await app.ctx.keys.renew():
            await _handle(app, request)
        else:
            await app.handle_exception(cast("Request", request), error)
    except Exception as error:  # noqa: BLE001 - the error handler knows them all
        await app.handle_exception(cast("Request", request), error)  # Sanic declares it for a plain context


def _record(request: ApiRequest, status: int, cache: CacheResult | None, seconds: float, span: "Span | None") -> None:
    """Record a request; its answer was sent `seconds` after its head was read."""
    route = request.route
    labels: RouteLabels = route.ctx.endpoint.labels if route else UNMATCHED
    request_histogram(request.method, labels, status, cache).observe(
        seconds, tracing.trace_id_of(span) if span else None
    )
    slow_after = request.app.ctx.settings.slow_request
    if span or seconds > slow_after or REQUEST_LOGGER.isEnabledFor(logging.DEBUG):
        answered = AnsweredRequest(request.method, labels, status, cache, seconds)
        if span:
            describe(span, answered)
        log_request(answered, slow_after=slow_after)
