"""HTTP/1.1 as this service takes it: stricter than Sanic does, and never for longer than its timeouts.

A head, a body, and room for an answer: each has to be there within REQUEST_TIMEOUT.

What one reader of a request takes for its end, and another for its middle, lets a request be smuggled past a proxy. So
whatever departs from the grammar (RFC 9112) is refused, and the connection closed.
"""

import asyncio
import re
from asyncio import BaseTransport
from collections.abc import Coroutine
from functools import partial
from time import monotonic, perf_counter
from typing import Any, cast

from sanic import Request, Sanic
from sanic.config import Config
from sanic.exceptions import BadRequest, RequestCancelled
from sanic.http import Http, Stage
from sanic.response import BaseHTTPResponse
from sanic.server import HttpProtocol

from mylist import tracing
from mylist.api.context import Context
from mylist.api.observation import attributes_of, note
from mylist.api.request import ApiRequest
from mylist.api.responses import ApiResponse, LinesResponse
from mylist.errors import UnknownKeyError

_LENGTH = re.compile(r"[0-9]+[ \t]*", re.ASCII)
_CHUNK_SIZE = re.compile(r"[0-9A-Fa-f]+", re.ASCII)
_LINE_BREAK = b"\r\n"
_HEXADECIMAL = 16
_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


class StrictHttp(Http):
    """The requests of one connection, as they are read."""

    __slots__ = ()

    def __init__(self, protocol: HttpProtocol) -> None:
        super().__init__(protocol)  # type: ignore[no-untyped-call]
        self.request_body = None  # the timeouts are looked at before the first request is

    async def read(self) -> bytes | None:
        """Reads some of the body; None at its end.

        Raises:
            BadRequest: a chunk does not end where its size says. Sanic skips two bytes there, whatever they are.
        """
        kind: object = self.request_body  # declared otherwise
        if kind == "chunked" and not self.request_bytes_left:
            while len(self.recv_buffer) < len(_LINE_BREAK):
                await self._receive_more()
            if not self.recv_buffer.startswith(_LINE_BREAK):
                self.keep_alive = False
                raise BadRequest("Bad chunked encoding")
        return await super().read()

    async def http1_response_header(self, data: bytes, end_stream: bool) -> None:
        """Sends a response, and notes it."""
        response = self.response
        span = tracing.current()
        if span:
            response.headers["traceresponse"] = span.traceparent
        # A head that cannot be read took no time to speak of.
        seconds = perf_counter() - self.perft0 if self.perft0 else 0.0
        if isinstance(response, ApiResponse):
            self.response_func = None  # type: ignore[assignment] # as Sanic does
            encoded = response.encode(keep_alive=self.keep_alive, head_only=bool(self.head_only))
            await self._send(self._continued(encoded) if self.expecting_continue else encoded)
            if isinstance(response, LinesResponse) and not self.head_only:
                await self._send_lines(response)
            self.stage = Stage.IDLE
        else:
            await super().http1_response_header(data, end_stream)
        note(cast("ApiRequest", self.request), response, seconds, span)

    async def _send_lines(self, response: LinesResponse) -> None:
        self.stage = Stage.RESPONSE
        for part in response.framed():
            await self._send(part)
            await asyncio.sleep(0)  # others have their turn, also while the client takes all that it gets

    def _continued(self, encoded: bytes) -> bytes:
        # Nobody has read the body, and the client may wait with it.
        self.expecting_continue = False
        return _CONTINUE + encoded

    def create_empty_request(self) -> None:
        """Makes the request that stands for one that cannot be parsed, of which the URL may be what is wrong."""
        self.url = None
        super().create_empty_request()
        self.protocol.request_class._current.set(self.request)  # noqa: SLF001 - as Sanic does with any other

    @staticmethod
    def _safe_int(value: str, base: int = 10) -> int:
        # Python's `int` also takes blanks, 0x, underscores and the digits of every script.
        if not (_CHUNK_SIZE if base == _HEXADECIMAL else _LENGTH).fullmatch(value):
            raise ValueError
        return int(value, base)


def _answer(app: Sanic[Config, Context], request: ApiRequest) -> Coroutine[Any, Any, None]:
    # Probes and scrapes come all the time and tell nothing.
    traced = tracing.is_sampled(request.headers) and request.path.startswith("/api/")
    return _trace(app, request) if traced else _handle(app, request)


async def _trace(app: Sanic[Config, Context], request: ApiRequest) -> None:
    with tracing.request_span(request.headers, attributes_of(request)):
        await _handle(app, request)


async def _handle(app: Sanic[Config, Context], request: ApiRequest) -> None:
    """Routes a request, runs its handler and sends what that gives.

    Sanic's own way, `Sanic.handle_request`, looks for middleware, signals and other kinds of handlers at each step.
    There are none here, and looking costs a twentieth of a cached read.
    """
    connection = cast("StrictHttp", request.stream)
    try:
        request.route, handler, arguments = app.router.get(request.path, request.method, None)
        if connection.request_body and not request.route.extra.ignore_body:
            await request.receive_body()
        response = cast("BaseHTTPResponse", await handler(request, **arguments))
        connection.respond(response)
        await connection.http1_response_header(response.body or b"", end_stream=True)
    except UnknownKeyError as error:
        # Handlers ask who asks before they do anything, so nothing was done yet.
        if await app.ctx.tokens.source.renew():
            await _handle(app, request)
        else:
            await app.handle_exception(cast("Request", request), error)
    except Exception as error:  # noqa: BLE001 - the error handler knows them all
        await app.handle_exception(cast("Request", request), error)  # declared for a plain context


class HttpConnection(HttpProtocol):
    """One connection, from its first byte to its last."""

    __slots__ = ("_arrival", "_most_buffered")
    HTTP_CLASS = StrictHttp

    def __init__(self, **arguments: Any) -> None:  # noqa: ANN401 - as Sanic has them
        super().__init__(**arguments)
        self._arrival: asyncio.Future[None] | None = None
        self._most_buffered: int = self.app.config.REQUEST_BUFFER_SIZE
        self.request_handler = partial(_answer, self.app)

    @property
    def answering(self) -> ApiRequest | None:
        """The request that is being answered."""
        return cast("ApiRequest", self.http.request) if self.http and self.http.stage is Stage.HANDLER else None

    def connection_made(self, transport: BaseTransport) -> None:
        """Notes the connection."""
        self.app.ctx.connections.add(self)
        super().connection_made(transport)  # type: ignore[no-untyped-call]

    def connection_lost(self, error: Exception | None) -> None:
        """Forgets the connection."""
        self.app.ctx.connections.discard(self)
        super().connection_lost(error)  # type: ignore[no-untyped-call]

    async def receive_more(self) -> None:
        """Waits for more of a request; for one future rather than Sanic's event, which asks for the loop each time."""
        if self.transport:
            self.transport.resume_reading()
        self._arrival = self.loop.create_future()
        await self._arrival

    def data_received(self, data: bytes) -> None:
        """Takes what the client sent.

        Sanic counts its timeouts from the last byte, so that a client that sends one a second has all the time in the
        world. Here they count from the first byte of a request, and from the response where a body is left over.
        """
        http = self.http
        if http is None or (http.stage is Stage.IDLE and not http.request_body):
            self._time = monotonic()
        self.recv_buffer += data
        if len(self.recv_buffer) >= self._most_buffered and self.transport:
            self.transport.pause_reading()
        if self._arrival and not self._arrival.done():  # its request may have been cancelled
            self._arrival.set_result(None)

    async def send(self, data: bytes) -> None:
        """Sends some of a response, as soon as the client has taken enough of what was sent before.

        Raises:
            RequestCancelled: the connection is being closed.
        """
        if not self._can_write.is_set():
            await self._can_write.wait()
        if self.transport is None or self.transport.is_closing():
            raise RequestCancelled
        self.transport.write(data)
        self._time = monotonic()

    def check_timeouts(self) -> None:
        """Runs every few seconds; ends what Sanic would wait for without end."""
        if self.http is not None:
            # There are no web sockets here. Sanic stops looking at a connection that asks for one.
            self.http.upgrade_websocket = False
            leaves_body = self.http.stage is Stage.IDLE and self.http.request_body
            does_not_read = not self._can_write.is_set()
            if (leaves_body or does_not_read) and monotonic() - self._time > self.request_timeout:
                self.abort()  # type: ignore[no-untyped-call]
                return
        super().check_timeouts()  # type: ignore[no-untyped-call]
