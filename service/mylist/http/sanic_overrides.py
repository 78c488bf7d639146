"""Sanic's private parts: everything in Sanic's HTTP/1.1 that this service overrides or reads, and why.

Each method here is one workaround. Its docstring says what goes wrong without it, in which version, whether Sanic's
developers know about it, and which test of `tests/integration/test_sanic_overrides.py` fails once Sanic no longer needs
the workaround.

If a proxy and the service disagree on where a request ends, a client can smuggle a second request past the proxy. So
the service refuses everything that violates the grammar (RFC 9112), and closes the connection. A client has a limited
time to send a head, to send a body and to take the answer.

The service may answer before it has read the body. It then reads the rest of a small body, and the connection goes on.
Otherwise the answer says that the connection will be closed, and the service closes it once the client has had time to
read the answer.
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
from sanic.models.protocol_types import TransportProtocol
from sanic.router import Router
from sanic.server import HttpProtocol

from mylist.http.head import TOKEN
from mylist.http.plain_head import parse_plain_head

_CONTENT_LENGTH = re.compile(r"[0-9]+[ \t]*", re.ASCII)
_CHUNK_SIZE = re.compile(r"[0-9A-Fa-f]+", re.ASCII)
_HEXADECIMAL = 16
_LINE_BREAK = b"\r\n"
_HEAD_END = b"\r\n\r\n"
_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
_CHUNKED = "chunked"
_BLANKS = " \t"

_QUOTED = rb'"(?:[\t !#-\[\]-~\x80-\xff]|\\[\t -~\x80-\xff])*+"'
_EXTENSION = rb"[\t ]*+;[\t ]*+" + TOKEN + rb"(?:[\t ]*+=[\t ]*+(?:" + TOKEN + b"|" + _QUOTED + b"))?"
_CHUNK_LINE = re.compile(rb"([0-9A-Fa-f]++)((?:" + _EXTENSION + b")*)")
_MAX_CHUNK_LINE_BYTES = 256
_MAX_EXTENSION_BYTES = 16 * 1024
"""Of the extensions of all chunks of a body together."""
_MAX_TRAILERS = 32
_MAX_TRAILER_BYTES = 4 * 1024
# Fields about the framing or routing of a message must not be trailers (RFC 9110, section 6.5.1).
_TRAILER = rb"(?!(?i:content-length|transfer-encoding|host):)" + TOKEN + rb":[\t -~\x80-\xff]*+"
_TRAILERS = re.compile(rb"(?:\r\n" + _TRAILER + rb"){0,%d}+" % _MAX_TRAILERS)
_EMPTY_LINES = re.compile(rb"(?:\r\n){1,4}+(?!\r\n)")
"""Allowed before a request line: some old clients send an empty line after a body (RFC 9112, section 2.2)."""

MAX_DRAINED_BYTES = 64 * 1024
"""Maximum rest of an unwanted body that is still read, so that the connection can go on."""
_LINGER_CHECK_S = 1.0
_LINGER_S = 10.0
"""Seconds in which a client that is still sending can read an answer that closes the connection."""
_MAX_LINGER_BYTES = 16 * 1024 * 1024

HOST, _EXPECT, _LENGTH, _TRANSFER_ENCODING = map(istr, ("host", "expect", "content-length", "transfer-encoding"))


def normalize_framing(headers: Header, version: str) -> None:
    """Normalize the headers that frame a body to the form that Sanic knows: lower case, no trailing blanks.

    Must be called when the request is created, because Sanic reads these headers right after. Removes an `Expect` of
    HTTP/1.0.

    Without it: Sanic refuses `Transfer-Encoding: Chunked`, and both headers with a blank after the value. It sends `100
    Continue` to HTTP/1.0, which RFC 9110, section 10.1.1, forbids. Seen: Sanic 25.12.1. Upstream: no issue known. Test:
    `TestFraming.test_sanic_misreads_variants_of_framing_headers`.
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
        """Return the route of a path and its arguments. Sanic caches them by path and method.

        Without it: Sanic drops the first character of a target unchecked. So it treats the target `*`, which is not a
        path, as `/`. Seen: Sanic 25.12.1. Upstream: no issue known. Test:
        `TestGrammar.test_sanic_routes_an_asterisk_to_the_root`.

        Raises:
            NotFound: no route has this path.
            MethodNotAllowed: the path has no such method.
        """
        if not path.startswith("/"):
            raise NotFound
        return super()._get(path, method, host)


class StrictHttp(Http):
    """Reads and answers the requests of one connection, by the grammar of HTTP/1.1."""

    __slots__ = ("_extension_bytes",)
    # Set while a request is in flight. Sanic declares them as None, or as any protocol.
    protocol: "TimeLimitedProtocol"
    request_bytes: int
    request_bytes_left: int

    def __init__(self, protocol: HttpProtocol) -> None:
        """Set the body attribute of a connection from the start, to no body.

        Without it: `TimeLimitedProtocol.check_timeouts` fails on a connection that has sent nothing yet, because Sanic
        sets the attribute with the first request.
        Seen: Sanic 25.12.1. Upstream: no issue known. Test:
        `TestSanicInternals.test_request_body_is_unset_in_a_new_sanic_connection_and_none_in_ours`.
        """
        super().__init__(protocol)  # type: ignore[no-untyped-call]
        self.request_body = None
        self._extension_bytes = 0

    @staticmethod
    def _safe_int(value: str, base: int = 10) -> int:
        """Parse a Content-Length or a chunk size; only ASCII digits are valid.

        Without it: Sanic uses `int`, which also accepts blanks, `0x` and the digits of every script. Seen: Sanic
        25.12.1. Upstream: no issue known. Test: `TestGrammar.test_sanic_accepts_malformed_lengths`.

        Raises:
            ValueError: the text is not a number.
        """
        if not (_CHUNK_SIZE if base == _HEXADECIMAL else _CONTENT_LENGTH).fullmatch(value):
            raise ValueError
        return int(value, base)

    async def http1_request_header(self) -> None:
        """Read the head of a request, and create the request. Sanic reads a head that is not plain.

        The request is the same as Sanic's, but has no `head`, and its headers keep the case of their names. A plain
        head must name one host.

        Without it: Sanic parses a head line by line, and copies the headers once more. That takes 2 to 4 µs more. Seen:
        Sanic 25.12.1. Upstream: no issue known. Test: `TestHeads.test_sanic_copies_the_headers_of_each_request`.

        Raises:
            BadRequest: the head is malformed.
            PayloadTooLarge: the head exceeds its limit.
        """
        buffer, protocol = self.unparsed, self.protocol
        end = buffer.find(_HEAD_END)
        head = parse_plain_head(buffer, end) if 0 <= end < self.HEADER_MAX_SIZE else None
        if head is None:
            await super().http1_request_header()  # type: ignore[no-untyped-call]
            return
        method, target, headers = head
        self.url = target.decode()
        self.keep_alive = protocol.app.config.KEEP_ALIVE
        self.head_only = method.upper() == "HEAD"
        request = protocol.request_class(
            target,
            cast("Header", headers),  # Sanic makes its own from any pairs
            "1.1",
            method,
            cast("TransportProtocol", protocol.transport),
            protocol.app,
        )
        lengths = request.headers.getall(_LENGTH, ())
        if len(request.headers.getall(HOST, ())) != 1 or len(lengths) > 1:
            raise BadRequest("Malformed head")
        self.request_bytes_left = self.request_bytes = int(lengths[0]) if lengths else 0
        if lengths:
            self.request_body = True  # type: ignore[assignment] # as Sanic does
        del buffer[: end + len(_HEAD_END)]
        self.request, request.stream = request, self
        self._make_current()
        protocol.state["requests_count"] += 1

    async def read(self) -> bytes | None:
        """Return the next part of the body, None at its end. The first call sends `100 Continue` if needed.

        Without it: Sanic sends `100 Continue` before it refuses a length that is over its limit. Seen: Sanic 25.12.1.
        Upstream: no issue known. Test: `TestContinue.test_sanic_sends_100_continue_before_a_413`.

        Raises:
            BadRequest: the body is malformed.
            PayloadTooLarge: the body is over its limit.
        """
        if self.expecting_continue and self.request_bytes <= self.request_max_size:
            self.expecting_continue = False
            await self._send(_CONTINUE)
        kind: object = self.request_body  # Sanic declares this as bytes
        if kind == _CHUNKED and not self.request_bytes_left:
            await self._begin_chunk()
            if not self.request_body:
                return None
        if self.request_bytes > self.request_max_size:
            self.keep_alive = False
            raise PayloadTooLarge("The body exceeds its limit")
        return await super().read()

    def take_body(self) -> bytes | None:
        """Return the whole body if it has arrived and is within its limit. None if it must be read instead.

        Without it: Sanic reads a body through an asynchronous generator, and the time limit around that needs a timer.
        Both take 12 µs. Seen: Sanic 25.12.1. Upstream: no issue known. Test:
        `TestBodies.test_sanic_reads_a_body_in_two_steps_even_if_it_has_arrived`.
        """
        size, buffer = self.request_bytes_left, self.unparsed
        has_length: object = self.request_body
        if has_length is not True or self.expecting_continue or not 0 < size == self.request_bytes:
            return None
        if size > self.request_max_size or len(buffer) < size:
            return None
        body = bytes(buffer[:size])
        del buffer[:size]
        self.request_bytes_left = 0
        self.request_body = None
        return body

    async def _begin_chunk(self) -> None:
        """Read the line before a chunk, or the trailers after the last chunk, by the grammar of RFC 9112, section 7.1.

        Without it: Sanic skips any two bytes after each chunk, and anything after a semicolon. It refuses trailers and
        long extensions. Seen: Sanic 25.12.1 (https://github.com/sanic-org/sanic/pull/3164 for trailers). Upstream: no
        issue known. Tests: `TestGrammar.test_sanic_accepts_any_terminator_of_a_chunk`,
        `TestGrammar.test_sanic_accepts_malformed_chunk_extensions`,
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
        """Wait until the received data contains some bytes; return their position.

        Raises:
            BadRequest: the first `max_bytes` do not contain them.
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
        """Answer a request that failed outside of its handler, but skip empty lines before a request without an answer.

        Without it: Sanic refuses a request after an empty line, which RFC 9112, section 2.2, says should be ignored.
        Seen: Sanic 25.12.1. Upstream: no issue known. Test: `TestGrammar.test_sanic_refuses_trailers_and_empty_lines`.
        """
        if self.stage is Stage.REQUEST and (found := _EMPTY_LINES.match(self.recv_buffer)):
            if isinstance(exception, RequestTimeout) and found.end() == len(self.recv_buffer):
                self.recv_buffer.clear()  # there was no request, so there is nothing to answer
                return
            if isinstance(exception, BadRequest):
                del self.recv_buffer[: found.end()]
                self.stage = Stage.IDLE
                return
        await super().error_response(exception)

    def create_empty_request(self) -> None:
        """Create the request that represents an unparsable one, without the URL.

        Without it: if the URL is the unparsable part, Sanic fails a second time, and the client gets no answer. Seen:
        Sanic 25.12.1. Upstream: https://github.com/sanic-org/sanic/issues/2735 (open). Test:
        `TestGrammar.test_sanic_does_not_answer_a_bad_url`.
        """
        self.url = None
        super().create_empty_request()
        self._make_current()

    def _make_current(self) -> None:
        """Make this the request that `Request.get_current` returns.

        Without it: log lines about an unparsable request name the previous request of the connection. Seen: Sanic
        25.12.1. Upstream: no issue known. Test:
        `TestSanicInternals.test_an_empty_request_becomes_the_current_request_only_with_our_protocol`.
        """
        self.protocol.request_class._current.set(self.request)  # noqa: SLF001 - as Sanic does with any other

    @property
    def seconds_since_head(self) -> float:
        """Seconds since the head was read; 0 for an unparsable head.

        Without it: the start of the request is unknown. Seen: Sanic 25.12.1. Upstream: no issue known. Test:
        `TestSanicInternals.test_attributes_of_a_connection_exist_with_the_expected_values`.
        """
        return perf_counter() - self.perft0 if self.perft0 else 0.0

    @property
    def unparsed(self) -> bytearray:
        """The received data that has not been parsed yet.

        Without it: Sanic raises the same error for a long URL and for long headers. Seen: Sanic 25.12.1. Upstream: no
        issue known. Test: `TestSanicInternals.test_attributes_of_a_connection_exist_with_the_expected_values`.
        """
        return cast("bytearray", self.recv_buffer)

    @property
    def has_body(self) -> bool:
        """Whether the request has a body that might not have arrived completely.

        Without it: Sanic assumes that for `Content-Length: 0`, too. Seen: Sanic 25.12.1. Upstream: no issue known.
        Test: `TestSanicInternals.test_attributes_of_a_connection_exist_with_the_expected_values`.
        """
        kind: object = self.request_body
        return kind == _CHUNKED or (bool(kind) and bool(self.request_bytes_left))

    def leave_body(self) -> None:
        """Give up the rest of the body, and close the connection after the answer.

        Without it: Sanic waits for the rest of the body before it closes the connection.
        Seen: Sanic 25.12.1. Upstream: no issue known. Test: `TestTimeouts.test_sanic_waits_forever_for_an_unread_body`.
        """
        if self.request_body:
            self.keep_alive = False
            self.request_body = None
            self.expecting_continue = False
            self.protocol.has_left_body = True

    def settle_body(self) -> None:
        """Decide, before the answer is sent, whether the unread rest of the body will be read or left.

        The rest is read after the answer if the connection goes on and the body is small and already being sent. A
        chunked body has no known length. A client that waits for `100 Continue` need not send an unwanted body.

        Without it: Sanic sends `keep-alive`, then closes the connection if the rest is over its limit. Seen: Sanic
        25.12.1. Upstream: no issue known. Test: `TestUnreadBodies.test_sanic_answers_a_large_body_with_keep_alive`.
        """
        kind: object = self.request_body
        is_small = kind != _CHUNKED and self.request_bytes_left <= MAX_DRAINED_BYTES
        if not self.keep_alive or self.expecting_continue or not is_small:
            self.leave_body()

    async def drain_body(self) -> None:
        """Read the rest of an unwanted body.

        Without it: Sanic does this too, but logs an error although the request succeeded. Seen: Sanic 25.12.1.
        Upstream: no issue known. Test: `TestUnreadBodies.test_sanic_logs_a_small_body_as_a_failure`.
        """
        self.request_max_size = self.request_bytes
        while self.request_body:
            await self.read()

    async def http1_response_header(self, data: bytes, end_stream: bool) -> None:
        """Send a response, and read or leave the rest of the body."""
        if self.request_body:
            self.settle_body()
        await super().http1_response_header(data, end_stream)
        if self.request_body and self.stage is Stage.IDLE:
            await self.drain_body()

    def send_at_once(self, response: bytes) -> bool:
        """Send a whole preformatted response. Return False if it must wait, or if a body must be read afterwards.

        Without it: Sanic sanitises and formats each header of each response. Each costs 5 % of an empty request. Seen:
        Sanic 25.12.1. Upstream: no issue known. Test:
        `TestResponse.test_sanic_formats_headers_each_time_a_response_is_sent`.
        """
        if self.request_body or not self.protocol.send_at_once(response):
            return False
        self.response_func = None  # type: ignore[assignment] # as Sanic does
        self.stage = Stage.IDLE
        return True

    async def send_formatted(self, response: bytes, parts: Iterable[bytes] = ()) -> None:
        """Send a preformatted response, then the parts of its body as they are rendered; see `send_at_once`."""
        self.response_func = None  # type: ignore[assignment] # as Sanic does
        await self._send(response)
        self.stage = Stage.RESPONSE
        for part in parts:
            await self._send(part)
            await asyncio.sleep(0)  # give others a turn, even if the client takes everything at once
        self.stage = Stage.IDLE
        if self.request_body:
            await self.drain_body()


class TimeLimitedProtocol(HttpProtocol):
    """One connection, which enforces the timeouts of Sanic's configuration.

    Attributes:
        has_left_body: whether a request was answered without reading its body. The connection must then be closed.
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
        """Receive data from the client. The timeouts run from the first byte of a request.

        Without it: Sanic's timeouts run from the last byte, so a client that sends one byte per second never times out.
        If a body is left over after its response, they run from the response. Seen: Sanic 25.12.1. Upstream: no issue
        known. Test: `TestTimeouts.test_sanic_counts_timeouts_from_the_last_byte`.
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
        if self._arrival and not self._arrival.done():  # the request may have been cancelled
            self._arrival.set_result(None)

    async def receive_more(self) -> None:
        """Wait for more data of a request.

        Without it: Sanic fails, and logs the failure, if the connection was aborted before its task noticed. And Sanic
        waits for an event, which costs 5 % of an empty request; here it is a future. Seen: Sanic 25.12.1. Upstream: no
        issue known. Test: `TestTimeouts.test_sanic_raises_attribute_error_on_a_read_from_an_aborted_connection`.

        Raises:
            RequestCancelled: the connection was aborted.
        """
        if self.transport is None:
            raise RequestCancelled
        self.transport.resume_reading()
        self._arrival = self.loop.create_future()
        await self._arrival

    def send_at_once(self, data: bytes) -> bool:
        """Send a response, unless the client must first take more earlier data; return whether it was sent."""
        transport = self.transport
        if transport is None or transport.is_closing() or not self._can_write.is_set():
            return False
        transport.write(data)
        self._time = monotonic()
        return True

    async def send(self, data: bytes) -> None:
        """Send a part of a response, as soon as the client has taken enough of the earlier data.

        Without it: Sanic fails, and logs the failure, if the connection is aborted while it waits. Seen: Sanic 25.12.1.
        Upstream: no issue known. Test:
        `TestTimeouts.test_sanic_raises_attribute_error_on_a_write_to_an_aborted_connection`.

        Raises:
            RequestCancelled: the connection is being closed.
        """
        # The same as Sanic, but without waiting for an event that is already set.
        if not self._can_write.is_set():
            await self._can_write.wait()
        if self.transport is None or self.transport.is_closing():
            raise RequestCancelled
        self.transport.write(data)
        self._time = monotonic()

    def abort(self) -> None:
        """Close the connection at once.

        Without it: Sanic fails, and logs the failure, if a head has arrived only in part: it reads the method of a
        request that does not exist yet. Seen: Sanic 25.12.1. Upstream: no issue known. Test:
        `TestTimeouts.test_sanic_fails_to_abort_a_connection_with_a_partial_head`.
        """
        if self.http is not None and self.http.stage is Stage.REQUEST:
            self.http.create_empty_request()
        super().abort()  # type: ignore[no-untyped-call]

    def close(self, timeout: float | None = None) -> None:
        """Close the connection. A client that may still be sending can read the answer first.

        Without it: Sanic closes a socket that has unread bytes. The system then resets the connection, and the client
        may never see the answer (RFC 9112, section 9.6). Seen: Sanic 25.12.1. Upstream: no issue known. Test:
        `TestUnreadBodies.test_sanic_loses_the_answer_to_a_large_body`.
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
        """Send the end of the data, and discard received data until the client closes or its time is up."""
        self._linger_ends = monotonic() + _LINGER_S
        self.recv_buffer.clear()
        transport.write_eof()
        transport.resume_reading()
        self.loop.call_later(_LINGER_CHECK_S, self._check_linger, 0)

    def _check_linger(self, bytes_before: int) -> None:
        """Runs every second while a connection lingers: close it if no data has arrived since, or the time is up."""
        if self._lingered_bytes > bytes_before and monotonic() < self._linger_ends:
            self.loop.call_later(_LINGER_CHECK_S, self._check_linger, self._lingered_bytes)
        else:
            self.close()

    def _discard(self, data: bytes) -> None:
        self._lingered_bytes += len(data)
        if self._lingered_bytes > _MAX_LINGER_BYTES:
            self.close()

    def check_timeouts(self) -> None:
        """Runs every few seconds: end operations for which Sanic would wait forever."""
        if self.http is not None:
            self._ignore_upgrade()
            is_waiting = self._waits_for_leftover_body() or self._waits_for_reader()
            if is_waiting and monotonic() - self._time > self.request_timeout:
                self.abort()
                return
        super().check_timeouts()  # type: ignore[no-untyped-call]

    def _ignore_upgrade(self) -> None:
        """Ignore a client's request for a web socket: this service has none.

        Without it: Sanic stops checking the timeouts of such a connection. Seen: Sanic 25.12.1. Upstream: no issue
        known. Test: `TestTimeouts.test_sanic_has_no_timeout_for_an_upgrade`.
        """
        self.http.upgrade_websocket = False

    def _waits_for_leftover_body(self) -> bool:
        """Return whether a request was answered although its body has not arrived.

        Without it: Sanic waits for the body as long as for the next request (KEEP_ALIVE_TIMEOUT). Seen: Sanic 25.12.1.
        Upstream: no issue known. Test: `TestTimeouts.test_sanic_waits_forever_for_an_unread_body`.
        """
        return self.http.stage is Stage.IDLE and bool(self.http.request_body)

    def _waits_for_reader(self) -> bool:
        """Return whether the client does not take the data that was sent.

        Without it: Sanic cancels the response after RESPONSE_TIMEOUT, then waits forever to send the error. Seen: Sanic
        25.12.1. Upstream: no issue known. Test:
        `TestTimeouts.test_sanic_waits_forever_for_a_client_that_does_not_read`.
        """
        return not self._can_write.is_set()


class FormattedResponse(HTTPResponse):
    """A response whose headers Sanic does not process.

    Without it: Sanic's constructor converts the headers to its own object, which costs as much as formatting them.
    Seen: Sanic 25.12.1. Upstream: no issue known. Test:
    `TestResponse.test_has_every_attribute_that_sanics_constructor_sets`.
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
