"""Sanic's private insides: everything that this service overrides or reads of Sanic's HTTP/1.1, and why.

Each method here is one workaround. Its docstring says what goes wrong without it, where that was seen, whether Sanic's
developers know of it, and which test of `tests/integration/test_sanic_overrides.py` fails once Sanic does without it.

A request that one reader takes to end where another takes it to go on lets a client smuggle a second one past a proxy.
So whatever departs from the grammar (RFC 9112) is refused, and the connection is closed. And a client has a limited
time for a head, for a body and for taking the answer.

An answer may be given before the body was read. What is left of a small body is read then, and the connection goes on;
otherwise the answer says that the connection is closed, and it is, once the client has had time to read that.
"""

import asyncio
import re
from asyncio import Transport
from collections.abc import Iterable
from time import monotonic, perf_counter
from typing import Any, cast

from multidict import istr
from sanic import HTTPResponse
from sanic.compat import Header
from sanic.exceptions import BadRequest, NotFound, PayloadTooLarge, RequestCancelled, RequestTimeout
from sanic.http import Http, Stage
from sanic.router import Router
from sanic.server import HttpProtocol

_CONTENT_LENGTH = re.compile(r"[0-9]+[ \t]*", re.ASCII)
_CHUNK_SIZE = re.compile(r"[0-9A-Fa-f]+", re.ASCII)
_HEXADECIMAL = 16
_LINE_BREAK = b"\r\n"
_HEAD_END = b"\r\n\r\n"
_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
_CHUNKED = "chunked"
_BLANKS = " \t"

_TOKEN = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]++"
_QUOTED = rb'"(?:[\t !#-\[\]-~\x80-\xff]|\\[\t -~\x80-\xff])*+"'
_EXTENSION = rb"[\t ]*+;[\t ]*+" + _TOKEN + rb"(?:[\t ]*+=[\t ]*+(?:" + _TOKEN + b"|" + _QUOTED + b"))?"
_CHUNK_LINE = re.compile(rb"([0-9A-Fa-f]++)((?:" + _EXTENSION + b")*)")
_MAX_CHUNK_LINE_BYTES = 256
_MAX_EXTENSION_BYTES = 16 * 1024
"""Of all chunks of a body together."""
_MAX_TRAILERS = 32
_MAX_TRAILER_BYTES = 4 * 1024
# What says where a message ends or whom it is for has no place after it (RFC 9110, section 6.5.1).
_TRAILER = rb"(?!(?i:content-length|transfer-encoding|host):)" + _TOKEN + rb":[\t -~\x80-\xff]*+"
_TRAILERS = re.compile(rb"(?:\r\n" + _TRAILER + rb"){0,%d}+" % _MAX_TRAILERS)
_EMPTY_LINES = re.compile(rb"(?:\r\n){1,4}+(?!\r\n)")
"""What may stand before a request line: some old clients send an empty line after a body (RFC 9112, section 2.2)."""

MAX_DRAINED_BYTES = 64 * 1024
"""What may be left of a body that nobody wants and still be read, so that the connection can go on."""
_LINGER_CHECK_S = 1.0
_LINGER_S = 10.0
"""Seconds that a client has to read an answer that closes the connection while it still sends."""
_MAX_LINGER_BYTES = 16 * 1024 * 1024

_EXPECT, _TRANSFER_ENCODING = map(istr, ("expect", "transfer-encoding"))


def normalize_framing(headers: Header, version: str) -> None:
    """Write the headers that say how a body comes as Sanic knows them: in small letters, without blanks after them.

    To be called as the request is made, because Sanic looks at them after that. An `Expect` of HTTP/1.0 is taken out.

    Without it: Sanic refuses `Transfer-Encoding: Chunked`, and both headers with a blank after the value; it sends
    `100 Continue` to HTTP/1.0, which RFC 9110, section 10.1.1, forbids.
    Seen: Sanic 25.12.1. Upstream: no issue known. Test: `TestFraming.test_sanic_knows_one_spelling`.
    """
    if _EXPECT in headers:
        if version == "1.0":
            del headers[_EXPECT]
        elif len(headers.getall(_EXPECT)) == 1:
            headers[_EXPECT] = headers[_EXPECT].strip(_BLANKS)
    encoding = headers.getone(_TRANSFER_ENCODING, "")
    if encoding.strip(_BLANKS).lower() == _CHUNKED:
        headers[_TRANSFER_ENCODING] = _CHUNKED


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

    __slots__ = ("_extension_bytes",)
    # While a request is under way; Sanic declares them as None, or as any protocol.
    protocol: "TimeLimitedProtocol"
    request_bytes: int
    request_bytes_left: int

    def __init__(self, protocol: HttpProtocol) -> None:
        """Give a connection a body, which is none, from its first moment.

        Without it: `TimeLimitedProtocol.check_timeouts` fails on a connection that has sent nothing yet, because Sanic
        sets the attribute with the first request.
        Seen: Sanic 25.12.1. Upstream: no issue known. Test: `TestInsides.test_a_new_connection_has_no_body_yet`.
        """
        super().__init__(protocol)  # type: ignore[no-untyped-call]
        self.request_body = None
        self._extension_bytes = 0

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
        """Return some of the body, or None at its end; the first time, tell a client that waits for it to go on.

        Without it: Sanic sends `100 Continue` in front of the refusal of a length that is over its limit.
        Seen: Sanic 25.12.1. Upstream: no issue known. Test: `TestContinue.test_sanic_wants_what_it_refuses`.

        Raises:
            BadRequest: the body is malformed.
            PayloadTooLarge: it is over its limit.
        """
        if self.expecting_continue and self.request_bytes <= self.request_max_size:
            self.expecting_continue = False
            await self._send(_CONTINUE)
        kind: object = self.request_body  # Sanic declares it as bytes
        if kind == _CHUNKED and not self.request_bytes_left:
            await self._begin_chunk()
            if not self.request_body:
                return None
        if self.request_bytes > self.request_max_size:
            self.keep_alive = False
            raise PayloadTooLarge("The body exceeds its limit")
        return await super().read()

    async def _begin_chunk(self) -> None:
        """Read the line before a chunk, or what comes after the last one; by the grammar, RFC 9112, section 7.1.

        Without it: Sanic skips two bytes after each chunk, whatever they are, and what follows a semicolon, whatever it
        is; it refuses trailers, and extensions of some length.
        Seen: Sanic 25.12.1 (https://github.com/sanic-org/sanic/pull/3164 for trailers). Upstream: no issue known.
        Tests: `TestGrammar.test_sanic_takes_any_end_of_a_chunk`, `TestGrammar.test_sanic_takes_any_extension`,
        `TestGrammar.test_sanic_refuses_trailers_and_empty_lines`.

        Raises:
            BadRequest: the body is malformed.
        """
        buffer = self.unparsed
        end = await self._find(_LINE_BREAK, len(_LINE_BREAK), _MAX_CHUNK_LINE_BYTES)
        line = _CHUNK_LINE.fullmatch(buffer, len(_LINE_BREAK), end)
        if not line or not buffer.startswith(_LINE_BREAK):
            raise self._bad_chunks()
        size, extensions = int(line[1], _HEXADECIMAL), len(line[2])
        self._extension_bytes = extensions + (self._extension_bytes if self.request_bytes else 0)
        if self._extension_bytes > _MAX_EXTENSION_BYTES:
            raise self._bad_chunks()
        if size:
            del buffer[: end + len(_LINE_BREAK)]
            self.request_bytes_left = size
            self.request_bytes += size
            return
        del buffer[:end]
        end = await self._find(_HEAD_END, 0, _MAX_TRAILER_BYTES)
        if not _TRAILERS.fullmatch(buffer, 0, end):
            raise self._bad_chunks()
        del buffer[: end + len(_HEAD_END)]
        self.request_body = None

    async def _find(self, what: bytes, start: int, max_bytes: int) -> int:
        """Return where some bytes stand in what was received, waiting for them.

        Raises:
            BadRequest: they are not among the first `max_bytes`.
        """
        while (found := self.unparsed.find(what, start)) < 0:
            if len(self.unparsed) > max_bytes:
                raise self._bad_chunks()
            await self._receive_more()
        if found > max_bytes:
            raise self._bad_chunks()
        return found

    def _bad_chunks(self) -> BadRequest:
        self.keep_alive = False
        return BadRequest("Bad chunked encoding")

    async def error_response(self, exception: Exception) -> None:
        """Answer a request that failed outside of its handler, unless it is one or some empty lines before a request.

        Without it: Sanic refuses a request that an empty line precedes (RFC 9112, section 2.2, asks for the contrary).
        Seen: Sanic 25.12.1. Upstream: no issue known. Test: `TestGrammar.test_sanic_refuses_trailers_and_empty_lines`.
        """
        if self.stage is Stage.REQUEST and (found := _EMPTY_LINES.match(self.recv_buffer)):
            if isinstance(exception, RequestTimeout) and found.end() == len(self.recv_buffer):
                self.recv_buffer.clear()  # nothing was asked, so there is nothing to answer
                return
            if isinstance(exception, BadRequest):
                del self.recv_buffer[: found.end()]
                self.stage = Stage.IDLE
                return
        await super().error_response(exception)

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

    @property
    def has_body(self) -> bool:
        """Whether the request has a body of which something may be to come.

        Without it: Sanic says so of `Content-Length: 0`, too.
        Seen: Sanic 25.12.1. Upstream: no issue known. Test: `TestInsides.test_the_attributes_are_there`.
        """
        kind: object = self.request_body
        return kind == _CHUNKED or (bool(kind) and bool(self.request_bytes_left))

    def leave_body(self) -> None:
        """Do without what has not arrived of the body, and close the connection after the answer.

        Without it: Sanic waits for the rest of the body before it closes the connection.
        Seen: Sanic 25.12.1. Upstream: no issue known. Test: `TestTimeouts.test_sanic_waits_for_a_body_without_end`.
        """
        if self.request_body:
            self.keep_alive = False
            self.request_body = None
            self.expecting_continue = False
            self.protocol.has_left_body = True

    def settle_body(self) -> None:
        """Decide, before the answer is sent, what becomes of a body that was not read: is it read, or left?

        It is read, after the answer, where the connection is to go on and the body is small and under way. The length
        of chunks is not known; and who asks before sending a body need not send it to whom did not want it.

        Without it: Sanic says `keep-alive`, and closes the connection when more than its limit is left.
        Seen: Sanic 25.12.1. Upstream: no issue known. Test: `TestLeftBodies.test_sanic_promises_to_go_on`.
        """
        kind: object = self.request_body
        is_small = kind != _CHUNKED and self.request_bytes_left <= MAX_DRAINED_BYTES
        if not self.keep_alive or self.expecting_continue or not is_small:
            self.leave_body()

    async def drain_body(self) -> None:
        """Read what is left of a body that nobody wants.

        Without it: Sanic does so too, and logs an error where the request succeeded.
        Seen: Sanic 25.12.1. Upstream: no issue known. Test: `TestLeftBodies.test_sanic_logs_a_body_that_is_not_read`.
        """
        self.request_max_size = self.request_bytes
        while self.request_body:
            await self.read()

    async def http1_response_header(self, data: bytes, end_stream: bool) -> None:
        """Send a response, and read or leave what is left of the body."""
        if self.request_body:
            self.settle_body()
        await super().http1_response_header(data, end_stream)
        if self.request_body and self.stage is Stage.IDLE:
            await self.drain_body()

    def send_at_once(self, response: bytes) -> bool:
        """Send a whole response that is formatted already; return False if that must wait, or a body be read after it.

        Without it: Sanic sanitises and formats each header of each response; one costs a twentieth of an empty request.
        Seen: Sanic 25.12.1. Upstream: no issue known. Test: `TestResponse.test_sanic_formats_each_header`.
        """
        if self.request_body or not self.protocol.send_at_once(response):
            return False
        self.response_func = None  # type: ignore[assignment] # as Sanic does
        self.stage = Stage.IDLE
        return True

    async def send_formatted(self, response: bytes, parts: Iterable[bytes] = ()) -> None:
        """Send a response that is formatted already, then parts of its body as they are made; see `send_at_once`."""
        self.response_func = None  # type: ignore[assignment] # as Sanic does
        await self._send(response)
        self.stage = Stage.RESPONSE
        for part in parts:
            await self._send(part)
            await asyncio.sleep(0)  # others have their turn, also while the client takes all that it gets
        self.stage = Stage.IDLE
        if self.request_body:
            await self.drain_body()


class TimeLimitedProtocol(HttpProtocol):
    """One connection, in which no client takes longer than the timeouts of Sanic's configuration.

    Attributes:
        has_left_body: whether a request was answered whose body was not read; the connection is to be closed then.
    """

    __slots__ = ("_arrival", "_linger_ends", "_lingered_bytes", "_max_buffered_bytes", "has_left_body")
    HTTP_CLASS = StrictHttp

    def __init__(self, **arguments: Any) -> None:  # noqa: ANN401 - as Sanic has them
        super().__init__(**arguments)
        self._arrival: asyncio.Future[None] | None = None
        self._max_buffered_bytes: int = self.app.config.REQUEST_BUFFER_SIZE
        self.has_left_body = False
        self._linger_ends = 0.0
        self._lingered_bytes = 0

    def data_received(self, data: bytes) -> None:
        """Take what the client sent; count the timeouts from the first byte of a request.

        Without it: Sanic counts them from the last byte, so a client that sends one a second has all the time in the
        world. Where a body is left over after its response, they count from the response.
        Seen: Sanic 25.12.1. Upstream: no issue known. Test: `TestTimeouts.test_sanic_counts_from_the_last_byte`.
        """
        http = self.http
        if http is None:
            if self._linger_ends:
                self._discard(data)
                return
            self._time = monotonic()
        elif http.stage is Stage.IDLE and not http.request_body:
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

    def close(self, timeout: float | None = None) -> None:
        """Close the connection; where the client may still be sending, let it read the answer first.

        Without it: Sanic closes a socket in which unread bytes stand. The system resets the connection then, and the
        client may never see the answer (RFC 9112, section 9.6).
        Seen: Sanic 25.12.1. Upstream: no issue known. Test: `TestLeftBodies.test_sanic_loses_an_answer`.
        """
        transport = self.transport
        if (
            transport
            and not transport.is_closing()
            and not self._linger_ends
            and (self.has_left_body or self.recv_buffer)
        ):
            self._linger(transport)
        else:
            super().close(timeout)

    def _linger(self, transport: Transport) -> None:
        """Say that nothing more is sent, and discard what comes, until the client closes or its time is over."""
        self._linger_ends = monotonic() + _LINGER_S
        self.recv_buffer.clear()
        transport.write_eof()
        transport.resume_reading()
        self.loop.call_later(_LINGER_CHECK_S, self._check_linger, 0)

    def _check_linger(self, bytes_before: int) -> None:
        """Run every second while a connection lingers: close it when nothing came since, or the time is over."""
        if self._lingered_bytes > bytes_before and monotonic() < self._linger_ends:
            self.loop.call_later(_LINGER_CHECK_S, self._check_linger, self._lingered_bytes)
        else:
            self.close()

    def _discard(self, data: bytes) -> None:
        self._lingered_bytes += len(data)
        if self._lingered_bytes > _MAX_LINGER_BYTES:
            self.close()

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
