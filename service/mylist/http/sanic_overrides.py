"""Sanic's private insides: everything that this service overrides or reads of Sanic's HTTP/1.1, and why.

Each method here is one workaround. Its docstring says what goes wrong without it, where that was seen, whether Sanic's
developers know of it, and which test of `tests/integration/test_sanic_overrides.py` fails once Sanic does without it.

A request that one reader takes to end where another takes it to go on lets a client smuggle a second one past a proxy.
So whatever departs from the grammar (RFC 9112) is refused, and the connection is closed. And a client has a limited
time for a head, for a body and for taking the answer.
"""

import asyncio
import re
from collections.abc import Iterable
from time import monotonic, perf_counter
from typing import Any, cast

from sanic import HTTPResponse
from sanic.exceptions import BadRequest, NotFound, RequestCancelled
from sanic.http import Http, Stage
from sanic.router import Router
from sanic.server import HttpProtocol

_CONTENT_LENGTH = re.compile(r"[0-9]+[ \t]*", re.ASCII)
_CHUNK_SIZE = re.compile(r"[0-9A-Fa-f]+", re.ASCII)
_HEXADECIMAL = 16
_LINE_BREAK = b"\r\n"
_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


class StrictRouter(Router):
    """Finds the route of a path."""

    def _get(self, path: str, method: str, host: str | None) -> Any:  # noqa: ANN401 - as Sanic has it
        """Return the route of a path, and what goes with it; Sanic remembers it for each path and method.

        Without it: Sanic takes the target `*`, which is no path, for `/`: it drops the first character unseen.
        Seen: Sanic 25.12.1. Upstream: no issue known. Test: `TestGrammar.test_sanic_takes_an_asterisk_for_the_root`.

        Raises:
            NotFound: there is no such path.
            MethodNotAllowed: the path does not have the method.
        """
        if not path.startswith("/"):
            raise NotFound
        return super()._get(path, method, host)


class StrictHttp(Http):
    """The requests of one connection, as they are read and answered: HTTP/1.1 by its grammar."""

    __slots__ = ()
    protocol: "TimeLimitedProtocol"

    def __init__(self, protocol: HttpProtocol) -> None:
        """Give a connection a body, which is none, from its first moment.

        Without it: `TimeLimitedProtocol.check_timeouts` fails on a connection that has sent nothing yet, because Sanic
        sets the attribute with the first request.
        Seen: Sanic 25.12.1. Upstream: no issue known. Test: `TestInsides.test_a_new_connection_has_no_body_yet`.
        """
        super().__init__(protocol)  # type: ignore[no-untyped-call]
        self.request_body = None

    @staticmethod
    def _safe_int(value: str, base: int = 10) -> int:
        """Return a Content-Length or a chunk size; digits only.

        Without it: Sanic leaves it to `int`, which also takes blanks, `0x` and the digits of every script.
        Seen: Sanic 25.12.1. Upstream: no issue known. Test: `TestGrammar.test_sanic_takes_odd_digits`.

        Raises:
            ValueError: it is no number.
        """
        if not (_CHUNK_SIZE if base == _HEXADECIMAL else _CONTENT_LENGTH).fullmatch(value):
            raise ValueError
        return int(value, base)

    async def read(self) -> bytes | None:
        """Return some of the body, or None at its end; refuse a chunk that does not end where its size says.

        Without it: Sanic skips two bytes after each chunk, whatever they are.
        Seen: Sanic 25.12.1, which refuses trailers (https://github.com/sanic-org/sanic/pull/3164). Upstream: no issue
        known. Test: `TestGrammar.test_sanic_takes_any_end_of_a_chunk`.

        Raises:
            BadRequest: the body is malformed.
        """
        kind: object = self.request_body  # Sanic declares it as bytes
        if kind == "chunked" and not self.request_bytes_left:
            while len(self.recv_buffer) < len(_LINE_BREAK):
                await self._receive_more()
            if not self.recv_buffer.startswith(_LINE_BREAK):
                self.keep_alive = False
                raise BadRequest("Bad chunked encoding")
        return await super().read()

    def create_empty_request(self) -> None:
        """Make the request that stands for one that cannot be parsed, without the URL.

        Without it: where the URL is what cannot be parsed, Sanic fails once more, and the client gets no answer.
        Seen: Sanic 25.12.1. Upstream: https://github.com/sanic-org/sanic/issues/2735 (open).
        Test: `TestGrammar.test_sanic_does_not_answer_a_bad_url`.
        """
        self.url = None
        super().create_empty_request()
        self._make_current()

    def _make_current(self) -> None:
        """Make the request the one of `Request.get_current`.

        Without it: log lines about a request that cannot be parsed name the request before it on the connection.
        Seen: Sanic 25.12.1. Upstream: no issue known. Test: `TestInsides.test_an_empty_request_is_not_current`.
        """
        self.protocol.request_class._current.set(self.request)  # noqa: SLF001 - as Sanic does with any other

    @property
    def seconds_since_head(self) -> float:
        """How long ago the head was read; 0 for a head that cannot be.

        Without it: nothing else tells when the request began.
        Seen: Sanic 25.12.1. Upstream: no issue known. Test: `TestInsides.test_the_attributes_are_there`.
        """
        return perf_counter() - self.perft0 if self.perft0 else 0.0

    @property
    def unparsed(self) -> bytearray:
        """What was received and not parsed yet.

        Without it: Sanic raises one error for a URL and for headers that are too long.
        Seen: Sanic 25.12.1. Upstream: no issue known. Test: `TestInsides.test_the_attributes_are_there`.
        """
        return cast("bytearray", self.recv_buffer)

    def leave_body(self) -> None:
        """Do without what has not arrived of the body, and close the connection after the answer.

        Without it: Sanic waits for the rest of the body before it closes the connection.
        Seen: Sanic 25.12.1. Upstream: no issue known. Test: `TestTimeouts.test_sanic_waits_for_a_body_without_end`.
        """
        if self.request_body:
            self.keep_alive = False
            self.request_body = None

    def send_at_once(self, response: bytes) -> bool:
        """Send a whole response that is formatted already, unless that must wait; return whether it was sent.

        Without it: Sanic sanitises and formats each header of each response; one costs a twentieth of an empty request.
        Seen: Sanic 25.12.1. Upstream: no issue known. Test: `TestResponse.test_sanic_formats_each_header`.
        """
        if self.expecting_continue or not self.protocol.send_at_once(response):
            return False
        self.response_func = None  # type: ignore[assignment] # as Sanic does
        self.stage = Stage.IDLE
        return True

    async def send_formatted(self, response: bytes, parts: Iterable[bytes] = ()) -> None:
        """Send a response that is formatted already, then parts of its body as they are made; see `send_at_once`."""
        self.response_func = None  # type: ignore[assignment] # as Sanic does
        if self.expecting_continue:  # nobody has read the body, and the client may wait with it
            self.expecting_continue = False
            response = _CONTINUE + response
        await self._send(response)
        self.stage = Stage.RESPONSE
        for part in parts:
            await self._send(part)
            await asyncio.sleep(0)  # others have their turn, also while the client takes all that it gets
        self.stage = Stage.IDLE


class TimeLimitedProtocol(HttpProtocol):
    """One connection, in which no client takes longer than the timeouts of Sanic's configuration."""

    __slots__ = ("_arrival", "_max_buffered_bytes")
    HTTP_CLASS = StrictHttp

    def __init__(self, **arguments: Any) -> None:  # noqa: ANN401 - as Sanic has them
        super().__init__(**arguments)
        self._arrival: asyncio.Future[None] | None = None
        self._max_buffered_bytes: int = self.app.config.REQUEST_BUFFER_SIZE

    def data_received(self, data: bytes) -> None:
        """Take what the client sent; count the timeouts from the first byte of a request.

        Without it: Sanic counts them from the last byte, so a client that sends one a second has all the time in the
        world. Where a body is left over after its response, they count from the response.
        Seen: Sanic 25.12.1. Upstream: no issue known. Test: `TestTimeouts.test_sanic_counts_from_the_last_byte`.
        """
        http = self.http
        if http is None or (http.stage is Stage.IDLE and not http.request_body):
            self._time = monotonic()
        self.recv_buffer += data
        if len(self.recv_buffer) >= self._max_buffered_bytes and self.transport:
            self.transport.pause_reading()
        if self._arrival and not self._arrival.done():  # its request may have been cancelled
            self._arrival.set_result(None)

    async def receive_more(self) -> None:
        """Wait for more of a request.

        Without it: Sanic fails, and logs that, when the connection was aborted before its task was told. And it waits
        for an event, which costs a twentieth of an empty request; here it is a future.
        Seen: Sanic 25.12.1. Upstream: no issue known. Test: `TestTimeouts.test_sanic_reads_from_an_aborted_connection`.

        Raises:
            RequestCancelled: the connection was aborted.
        """
        if self.transport is None:
            raise RequestCancelled
        self.transport.resume_reading()
        self._arrival = self.loop.create_future()
        await self._arrival

    def send_at_once(self, data: bytes) -> bool:
        """Send a response, unless the client has to take more of what was sent before; return whether it was sent."""
        transport = self.transport
        if transport is None or transport.is_closing() or not self._can_write.is_set():
            return False
        transport.write(data)
        self._time = monotonic()
        return True

    async def send(self, data: bytes) -> None:
        """Send some of a response, as soon as the client has taken enough of what was sent before.

        Without it: Sanic fails, and logs that, when the connection is aborted while it waits.
        Seen: Sanic 25.12.1. Upstream: no issue known. Test: `TestTimeouts.test_sanic_writes_to_an_aborted_connection`.

        Raises:
            RequestCancelled: the connection is being closed.
        """
        # As Sanic does, without waiting for an event that is set.
        if not self._can_write.is_set():
            await self._can_write.wait()
        if self.transport is None or self.transport.is_closing():
            raise RequestCancelled
        self.transport.write(data)
        self._time = monotonic()

    def abort(self) -> None:
        """Close the connection at once.

        Without it: Sanic fails, and logs that, when a head has arrived in part: it notes the method of a request that
        is not there yet.
        Seen: Sanic 25.12.1. Upstream: no issue known. Test: `TestTimeouts.test_sanic_fails_to_abort_a_head`.
        """
        if self.http is not None and self.http.stage is Stage.REQUEST:
            self.http.create_empty_request()
        super().abort()  # type: ignore[no-untyped-call]

    def check_timeouts(self) -> None:
        """Run every few seconds: end what Sanic would wait for without end."""
        if self.http is not None:
            self._ignore_upgrade()
            is_waiting = self._waits_for_leftover_body() or self._waits_for_reader()
            if is_waiting and monotonic() - self._time > self.request_timeout:
                self.abort()
                return
        super().check_timeouts()  # type: ignore[no-untyped-call]

    def _ignore_upgrade(self) -> None:
        """Forget that the client asked for a web socket; this service has none.

        Without it: Sanic stops looking at the timeouts of a connection that asks for one.
        Seen: Sanic 25.12.1. Upstream: no issue known. Test: `TestTimeouts.test_sanic_has_no_timeout_for_an_upgrade`.
        """
        self.http.upgrade_websocket = False

    def _waits_for_leftover_body(self) -> bool:
        """Return whether a request is answered whose body has not arrived.

        Without it: Sanic waits for the body as long as for a next request (KEEP_ALIVE_TIMEOUT).
        Seen: Sanic 25.12.1. Upstream: no issue known. Test: `TestTimeouts.test_sanic_waits_for_a_body_without_end`.
        """
        return self.http.stage is Stage.IDLE and bool(self.http.request_body)

    def _waits_for_reader(self) -> bool:
        """Return whether the client does not take what was sent.

        Without it: Sanic cancels the response after RESPONSE_TIMEOUT, then waits to send that it did, without end.
        Seen: Sanic 25.12.1. Upstream: no issue known. Test: `TestTimeouts.test_sanic_waits_for_a_reader_without_end`.
        """
        return not self._can_write.is_set()


class FormattedResponse(HTTPResponse):
    """A response whose headers Sanic does not look at.

    Without it: Sanic's constructor makes an object of its own of the headers, which costs as much as formatting them.
    Seen: Sanic 25.12.1. Upstream: no issue known. Test: `TestResponse.test_what_sanics_constructor_sets`.
    """

    __slots__ = ()
    asgi = False
    content_type = None
    _cookies = None
    body: bytes

    def __init__(self, body: bytes, status: int, headers: dict[str, str]) -> None:
        self.body = body
        self.stream = None
        self.status = status
        self.headers = headers  # type: ignore[assignment] # Sanic's own kind is what costs
