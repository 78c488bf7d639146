"""The workarounds of `mylist.http.sanic_overrides`, each with two tests.

The tests named `test_sanic_…` run Sanic alone, and fail when Sanic no longer has the fault. Then remove the workaround,
or rewrite it.
"""
# ruff: noqa: SLF001 - what is looked at is private

import asyncio
import logging
import socket
from asyncio import Event
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, closing
from contextvars import ContextVar
from time import monotonic
from typing import Any, cast

import pytest
from sanic import HTTPResponse, Request
from sanic.compat import Header
from sanic.exceptions import RequestCancelled, SanicException
from sanic.http import Http, Stage
from sanic.server import HttpProtocol

from mylist.http import sanic_overrides
from mylist.http.plain_head import parse_plain_head
from mylist.http.request import ApiRequest
from mylist.http.sanic_overrides import FormattedResponse, StrictHttp, TimeLimitedProtocol, normalize_framing
from tests.integration.plain_sanic import PATIENCE, Server, serving, until

POST = b"POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
CHUNKED = POST + b"Transfer-Encoding: chunked\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\n"
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
BAD_REQUEST = b"HTTP/1.1 400 Bad Request\r\n"
SHORT = 0.2
"""A timeout, in seconds; Sanic checks it twice in this time."""
LONG = 1000.0
"""A timeout that no test reaches."""
MANY_TIMEOUTS = 1.5
"""Seconds; a wait that lasts longer has no working timeout."""
OF_CONNECTION = (
    *("url", "keep_alive", "head_only", "upgrade_websocket", "expecting_continue"),
    *("request_body", "request_bytes", "request_bytes_left", "request_max_size", "stage", "exception", "response"),
)
OF_REQUEST = (
    *("head", "method", "raw_url", "url", "scheme", "host", "path", "query_string", "args", "version"),
    *("cookies", "accept", "content_type", "body", "app", "conn_info", "route", "parsed_form"),
)
"""The attributes that a reader of heads sets, directly or by its headers."""


@pytest.fixture
def failures() -> Iterator[list[str]]:
    """The lines that Sanic logs about its own failures."""
    logged: list[str] = []
    handler = logging.Handler()
    handler.emit = lambda record: logged.append(record.getMessage())  # type: ignore[method-assign]
    logger = logging.getLogger("sanic.error")
    logger.addHandler(handler)
    yield logged
    logger.removeHandler(handler)


class TestGrammar:
    ODD_DIGITS = (
        pytest.param(POST + b"Content-Length: \xd9\xa2\r\n\r\nab", id="another script"),
        pytest.param(CHUNKED + b"0x2\r\nab\r\n0\r\n\r\n", id="prefix"),
        pytest.param(CHUNKED + b" 2\r\nab\r\n0\r\n\r\n", id="blank"),
    )
    ENDS_OF_A_CHUNK = (CHUNKED + b"2\r\nabXX0\r\n\r\n", CHUNKED + b"2\r\nab\n\n0\r\n\r\n")
    EXTENSIONS = (CHUNKED + b"2;;=\x01\r\nab\r\n0\r\n\r\n", CHUNKED + b"2;a b\r\nab\r\n0\r\n\r\n")
    TRAILERS = CHUNKED + b"2\r\nab\r\n0\r\nX: y\r\n\r\n"
    EMPTY_LINE = b"\r\n" + POST + b"Content-Length: 2\r\n\r\nab"
    BAD_URL = b"GET sip:nm HTTP/1.1\r\nHost: x\r\n\r\n"

    @pytest.mark.parametrize("sent", ODD_DIGITS)
    async def test_sanic_accepts_malformed_lengths(self, sent: bytes) -> None:
        async with serving() as server:
            assert (await server.exchange(sent)).startswith(OK)

    @pytest.mark.parametrize("sent", ODD_DIGITS)
    async def test_malformed_lengths_are_refused(self, sent: bytes) -> None:
        async with serving(TimeLimitedProtocol) as server:
            assert (await server.exchange(sent)).startswith(BAD_REQUEST)

    async def test_sanic_routes_an_asterisk_to_the_root(self) -> None:
        async with serving() as server:
            assert (await server.exchange(POST.replace(b" / ", b" * ") + b"Content-Length: 0\r\n\r\n")).startswith(OK)

    @pytest.mark.parametrize("sent", ENDS_OF_A_CHUNK)
    async def test_sanic_accepts_any_terminator_of_a_chunk(self, sent: bytes) -> None:
        async with serving() as server:
            received = await server.exchange(sent)
            assert received.startswith(OK)
            assert received.endswith(b"\r\n\r\nab")

    @pytest.mark.parametrize("sent", ENDS_OF_A_CHUNK)
    async def test_a_wrong_terminator_of_a_chunk_is_refused(self, sent: bytes) -> None:
        async with serving(TimeLimitedProtocol) as server:
            assert (await server.exchange(sent)).startswith(BAD_REQUEST)

    @pytest.mark.parametrize("sent", EXTENSIONS)
    async def test_sanic_accepts_malformed_chunk_extensions(self, sent: bytes) -> None:
        async with serving() as server:
            assert (await server.exchange(sent)).startswith(OK)

    @pytest.mark.parametrize("sent", EXTENSIONS)
    async def test_malformed_chunk_extensions_are_refused(self, sent: bytes) -> None:
        async with serving(TimeLimitedProtocol) as server:
            assert (await server.exchange(sent)).startswith(BAD_REQUEST)

    @pytest.mark.parametrize("sent", [TRAILERS, EMPTY_LINE])
    async def test_sanic_refuses_trailers_and_empty_lines(self, sent: bytes) -> None:
        async with serving() as server:
            assert (await server.exchange(sent)).startswith(BAD_REQUEST)

    @pytest.mark.parametrize("sent", [TRAILERS, EMPTY_LINE])
    async def test_trailers_and_empty_lines_are_accepted(self, sent: bytes) -> None:
        async with serving(TimeLimitedProtocol) as server:
            received = await server.exchange(sent)
            assert received.startswith(OK)
            assert received.endswith(b"\r\n\r\nab")

    async def test_sanic_does_not_answer_a_bad_url(self, failures: list[str]) -> None:
        async with serving() as server:
            assert await server.exchange(self.BAD_URL) == b""
        assert failures == ["protocol.connection_task uncaught"]

    async def test_a_bad_url_is_answered_with_400(self, failures: list[str]) -> None:
        async with serving(TimeLimitedProtocol) as server:
            assert (await server.exchange(self.BAD_URL)).startswith(BAD_REQUEST)
        assert not failures


class CountedHeader(Header):
    """Headers of a request; counts how many are made."""

    made = 0

    def __init__(self, *pairs: Any) -> None:
        CountedHeader.made += 1
        super().__init__(*pairs)


class TestHeads:
    HOST = b"Host: x\r\n"
    GET = b"GET / HTTP/1.1\r\n" + HOST
    PLAIN = (
        GET,
        b"GET /?page=2&genre=a%20b&page=3&empty=&+=%2B%zz? HTTP/1.1\r\n" + HOST,
        b'GET /a%2Fb/%C3%A9/../%2e%2e//c;d="{e}|^`[]\\ HTTP/1.1\r\n' + HOST,
        b"GET http://other:8000/a%20b?c=d HTTP/1.1\r\n" + HOST,
        b"GET HTTPS://OTHER/ HTTP/1.1\r\n" + HOST,
        b"OPTIONS * HTTP/1.1\r\n" + HOST,
        b"HEAD /a HTTP/1.1\r\n" + HOST,
        b"head / HTTP/1.1\r\n" + HOST,
        b"get / HTTP/1.1\r\n" + HOST,
        b"DELETE /a?b HTTP/1.1\r\n" + HOST,
        b"POST / HTTP/1.1\r\n" + HOST,
        b"b!#$%&'*+-.^_`|~ / HTTP/1.1\r\n" + HOST,
        b"GET / HTTP/1.1\r\nHost:\r\n",
        b"GET / HTTP/1.1\r\nhOST: \t[::1]:8000 \r\n",
        GET + b"Connection: keep-alive\r\n",
        GET + b"CONNECTION:\tKeep-Alive\r\nconnection:keep-alive\r\n",
        GET + b"A: 1\r\nB: 2\r\na: 3\r\nA: 1\r\nCookie: b=1; c\r\nCookie: b=2\r\n",
        GET + b'Empty:\r\nBlank: \t \r\nTrailing:a \t \r\nColons:: b: \r\nQuoted: "a, \\""\r\nComma: ,,\r\n',
        GET + b"UTF-8: \xc3\xa9\xf0\x9f\x98\x80\r\nInvalid: \xe9\xff\xc3\r\nTrailing: a\xc2\xa0\r\n",
        GET + b"!#$%&'*+-.^_`|~9: a\r\nUser_Id: a\r\nuser-id: b\r\nUpgrade-Insecure-Requests: 1\r\nTE: trailers\r\n",
        b"POST /a HTTP/1.1\r\n" + HOST + b"Content-Length: 2\r\n\r\nab",
        b"PUT /a HTTP/1.1\r\nCONTENT-LENGTH:\t0\r\n" + HOST,
        GET + b"content-length:000000000000000002\r\n",
        GET + b"Content-Length: 999999999999999999\r\n",
        GET + b"\r\nGET /second HTTP/1.1\r\n" + HOST,
        GET + b"\r\n\r\n\xff",
    )
    # Heads that Sanic reads, and the status of the first answer.
    NOT_PLAIN = (
        (GET + b"Connection: close\r\n", 200),
        (GET + b"Connection: keep-alive, close\r\n", 200),
        (GET + b"Connection: Upgrade\r\nUpgrade: h2c\r\n", 200),
        (GET + b"Expect: wonders\r\n", 200),
        (GET + b"Content-Length: 0 \r\n", 200),
        (GET + b"Content-Length: 0000000000000000002\r\n", 200),
        (GET + b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n", 400),
        (GET + b"A: \xc2\xa0b\r\n", 200),
        (GET + b"Connection: keep-alive \r\n", 200),
        (GET + b"Connection: close\r\nConnection: keep-alive\r\n", 200),
        (GET + b"Upgrade: WebSocket\r\nConnection: keep-alive\r\n", 200),
        (b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: 2\r\nExpect: 100-Continue\r\n", 100),
        (b"GET / HTTP/1.0\r\n", 200),
        (b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n", 200),
        (b"POST / HTTP/1.1\r\n" + HOST + b"Expect: wonders\r\nContent-Length: 0\r\n", 417),
        (GET + b"Content-Length: a\r\n", 400),
    )
    WITHOUT_HOST = b"GET / HTTP/1.1\r\n"
    # Heads that the service refuses, and what Sanic answers by itself.
    REFUSED = (
        pytest.param(WITHOUT_HOST, 200, id="no host"),
        pytest.param(WITHOUT_HOST + b"Connection: close\r\n", 200, id="no host, not plain"),
        pytest.param(GET + b"A: b\r\nhost: x\r\n", 200, id="two hosts"),
        pytest.param(GET + b"Connection: close\r\nHost: y\r\n", 200, id="two hosts, not plain"),
        pytest.param(GET + b"A : b\r\n", 200, id="blank before the colon"),
        pytest.param(GET + b"Content-Length: 1\r\ncontent-length: 1\r\n", 400, id="two lengths"),
        pytest.param(GET + b"A: b\r\n c: d\r\n", 200, id="folded line with a colon"),
        pytest.param(GET + b"A: b\r\n c\r\n", 400, id="folded line"),
        pytest.param(GET + b"A: b\nC: d\r\n", 200, id="bare LF"),
        pytest.param(GET + b"A: b\rC: d\r\n", 200, id="bare CR"),
        pytest.param(GET + b"A: b\0\r\n", 200, id="NUL"),
        pytest.param(GET + b": b\r\n", 200, id="no name"),
        pytest.param(GET + b"A\r\n", 400, id="no colon"),
        pytest.param(GET + b"User-Id:\xc2\xa0a\r\n", 200, id="foreign blank before a user id"),
        pytest.param(b"GET HTTP/1.1\r\n" + HOST, 400, id="no target"),
        pytest.param(b"GET  / HTTP/1.1\r\n" + HOST, 400, id="two blanks"),
        pytest.param(b"G(T / HTTP/1.1\r\n" + HOST, 405, id="method that is no token"),
        pytest.param("GET /é HTTP/1.1\r\n".encode() + HOST, 400, id="target that is not ASCII"),
        pytest.param(b"GET / HTTP/1.2\r\n" + HOST, 400, id="HTTP/1.2"),
        pytest.param(b"GET / HTTP/2.0\r\n" + HOST, 400, id="HTTP/2.0"),
        pytest.param(b"GET / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n", 200, id="chunks of HTTP/1.0"),
    )

    @staticmethod
    async def read(server: Server, kind: type[Http], first: bytes, *more: bytes) -> dict[str, Any]:
        """Read a head that arrives in these pieces; return everything that is known of its request."""
        protocol = HttpProtocol(loop=asyncio.get_running_loop(), app=server.app)
        protocol.transport = transport = asyncio.Transport()
        protocol.recv_buffer = bytearray(first)
        http = kind(protocol)
        arriving = iter(more)

        async def receive_more() -> None:
            http.recv_buffer += next(arriving)

        http._receive_more = receive_more
        http.init_for_request()  # type: ignore[no-untyped-call]
        http.stage = Stage.REQUEST
        await http.http1_request_header()  # type: ignore[no-untyped-call]
        request = http.request
        assert request.stream is http
        assert cast("object", request.transport) is transport
        assert Request.get_current() is request
        of_connection = {f"connection.{name}": getattr(http, name) for name in OF_CONNECTION}
        of_request = {name: getattr(request, name) for name in OF_REQUEST}
        headers = [(name.lower(), value) for name, value in request.headers.items()]
        unread = bytes(protocol.recv_buffer), list(arriving)
        return of_connection | of_request | {"headers": headers, "unread": unread, "state": dict(protocol.state)}

    @staticmethod
    async def status(server: Server, sent: bytes) -> int:
        """Return the status of the first answer."""
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(sent)
        async with asyncio.timeout(PATIENCE):
            line = await reader.readline()
        writer.close()
        await writer.wait_closed()
        return int(line.split()[1])

    @staticmethod
    async def made_headers(monkeypatch: pytest.MonkeyPatch, protocol: type[HttpProtocol]) -> int:
        """Return how often the headers of one request are made."""
        # Before the start of the server, which compiles the reader again.
        for module in ("sanic.http.http1", "sanic.request.types", "mylist.http.sanic_overrides"):
            monkeypatch.setattr(f"{module}.Header", CountedHeader)
        async with serving(protocol) as server:
            CountedHeader.made = 0
            assert await TestHeads.status(server, TestHeads.GET + b"\r\n") == 200
        return CountedHeader.made

    async def test_sanic_copies_the_headers_of_each_request(self, monkeypatch: pytest.MonkeyPatch) -> None:
        assert await self.made_headers(monkeypatch, HttpProtocol) == 2

    async def test_the_headers_of_a_plain_head_are_not_copied(self, monkeypatch: pytest.MonkeyPatch) -> None:
        assert await self.made_headers(monkeypatch, TimeLimitedProtocol) == 1

    @pytest.mark.parametrize("head", PLAIN)
    async def test_a_plain_head_becomes_the_same_request_as_with_sanic(self, head: bytes) -> None:
        plain = bytearray(head.partition(b"\r\n\r\n")[0].removesuffix(b"\r\n"))
        assert parse_plain_head(plain, len(plain))
        async with serving() as server:
            expected = await self.read(server, Http, head + b"\r\n")
            # Only Sanic's own reader sets `Request.head`, and the service does not read it.
            assert await self.read(server, StrictHttp, head + b"\r\n") == expected | {"head": b""}
            assert expected["state"] == {"requests_count": 1}

    async def test_a_plain_head_closes_the_connection_if_connections_are_not_kept(self) -> None:
        async with serving(KEEP_ALIVE=False) as server:
            for head in (self.GET, self.GET + b"Connection: keep-alive\r\n"):
                for kind in (Http, StrictHttp):
                    assert (await self.read(server, kind, head + b"\r\n"))["connection.keep_alive"] is False

    @pytest.mark.parametrize("size", [1, 7, len(GET) - 1, len(GET), len(GET) + 1])
    async def test_a_head_that_arrives_in_pieces_is_the_same_request(self, size: int) -> None:
        sent = self.GET + b"\r\n"
        pieces = [sent[start : start + size] for start in range(0, len(sent), size)]
        async with serving() as server:
            expected = await self.read(server, Http, sent)
            assert await self.read(server, StrictHttp, *pieces, b"more") == expected | {"unread": (b"", [b"more"])}

    @pytest.mark.parametrize("end", [b"\r\n\r\n", b""], ids=["complete", "incomplete"])
    async def test_a_head_of_the_maximum_size_is_refused_as_by_sanic(self, end: bytes) -> None:
        for protocol in (HttpProtocol, TimeLimitedProtocol):
            async with serving(protocol, REQUEST_MAX_HEADER_SIZE=1_000) as server:
                head = (self.GET + b"A: ").ljust(1_000, b"a")
                assert await self.status(server, head[:-1] + b"\r\n\r\n") == 200
                assert await self.status(server, head + (end or b"aaa")) == 413

    @pytest.mark.parametrize(("head", "status"), NOT_PLAIN)
    async def test_a_head_that_is_not_plain_becomes_the_same_request_as_with_sanic(
        self, head: bytes, status: int
    ) -> None:
        whole = bytearray(head.removesuffix(b"\r\n"))
        assert parse_plain_head(whole, len(whole)) is None
        async with serving() as server:
            if status < 400:
                expected = await self.read(server, Http, head + b"\r\nab")
                assert await self.read(server, StrictHttp, head + b"\r\nab") == expected
            else:
                for kind in (Http, StrictHttp):
                    with pytest.raises(SanicException) as refused:
                        await self.read(server, kind, head + b"\r\nab")
                    assert refused.value.status_code == status

    @pytest.mark.parametrize(("head", "status"), NOT_PLAIN)
    async def test_a_head_that_is_not_plain_is_answered_as_by_sanic(self, head: bytes, status: int) -> None:
        for protocol in (HttpProtocol, TimeLimitedProtocol):
            for kind in (Request, ApiRequest):
                async with serving(protocol) as server:
                    server.app.request_class = kind  # type: ignore[assignment] # declared for other contexts
                    assert await self.status(server, head + b"\r\n") == status

    @pytest.mark.parametrize(("head", "status"), REFUSED)
    async def test_sanic_accepts_some_malformed_heads(self, head: bytes, status: int) -> None:
        async with serving() as server:
            assert await self.status(server, head + b"\r\n") == status

    @pytest.mark.parametrize(("head", "_"), REFUSED)
    async def test_a_malformed_head_is_refused_by_either_reader(self, head: bytes, _: int) -> None:
        for protocol in (HttpProtocol, TimeLimitedProtocol):
            async with serving(protocol) as server:
                server.app.request_class = ApiRequest  # type: ignore[assignment] # declared for other contexts
                assert await self.status(server, head + b"\r\n") == 400

    async def test_a_plain_head_without_a_host_is_refused_whatever_the_request_is(self) -> None:
        async with serving(TimeLimitedProtocol) as server:
            assert await self.status(server, self.WITHOUT_HOST + b"\r\n") == 400


class TestBodies:
    HEAD = b"POST / HTTP/1.1\r\nHost: x\r\n"
    ARRIVED = HEAD + b"Content-Length: 4\r\n\r\nbody"

    @staticmethod
    async def begun(server: Server, received: bytes) -> StrictHttp:
        """Return a connection that has read the head of a request."""
        protocol = TimeLimitedProtocol(loop=asyncio.get_running_loop(), app=server.app)
        protocol.transport = asyncio.Transport()
        protocol.recv_buffer = bytearray(received)
        http = StrictHttp(protocol)
        http.init_for_request()  # type: ignore[no-untyped-call]
        await http.http1_request_header()
        return http

    @staticmethod
    def state(http: StrictHttp) -> tuple[object, ...]:
        return bytes(http.unparsed), http.request_body, http.request_bytes_left, http.keep_alive

    async def test_sanic_reads_a_body_in_two_steps_even_if_it_has_arrived(self) -> None:
        async with serving() as server:
            http = await self.begun(server, self.ARRIVED)
            read = [await Http.read(http), await Http.read(http)]
        assert read == [b"body", None]

    @pytest.mark.parametrize("following", [b"", b"GET / HTTP/1.1\r\n"])
    async def test_a_body_that_has_arrived_is_taken_as_sanic_reads_it(self, following: bytes) -> None:
        async with serving() as server:
            http, sanics = [await self.begun(server, self.ARRIVED + following) for _ in range(2)]
            assert http.take_body() == b"".join([part async for part in sanics]) == b"body"
            assert self.state(http) == self.state(sanics) == (following, None, 0, True)

    @pytest.mark.parametrize(
        "received",
        [
            pytest.param(HEAD + b"\r\nbody", id="no body"),
            pytest.param(HEAD + b"Content-Length: 0\r\n\r\nbody", id="empty body"),
            pytest.param(HEAD + b"Content-Length: 4\r\n\r\nbod", id="incomplete"),
            pytest.param(HEAD + b"Content-Length: 11\r\n\r\nhello world", id="too large"),
            pytest.param(HEAD + b"Content-Length: 4\r\nExpect: 100-continue\r\n\r\nbody", id="100 Continue"),
            pytest.param(HEAD + b"Transfer-Encoding: chunked\r\n\r\n4\r\nbody\r\n0\r\n\r\n", id="chunked"),
        ],
    )
    async def test_any_other_body_is_left_to_be_read(self, received: bytes) -> None:
        async with serving() as server:
            http = await self.begun(server, received)
            http.request_max_size = 10
            before = self.state(http)
            assert http.take_body() is None
            assert self.state(http) == before

    async def test_the_rest_of_a_body_is_not_taken_for_a_whole_one(self) -> None:
        async with serving() as server:
            http = await self.begun(server, self.ARRIVED[:-2])
            assert await http.read() == b"bo"
            http.unparsed.extend(b"dy")
            assert http.take_body() is None


class TestFraming:
    SPELLINGS = (
        (POST + b"Transfer-Encoding: Chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n", BAD_REQUEST),
        (POST + b"Transfer-Encoding: chunked \r\n\r\n2\r\nab\r\n0\r\n\r\n", BAD_REQUEST),
        (POST + b"Expect: 100-continue \r\nContent-Length: 2\r\n\r\nab", b"HTTP/1.1 417 "),
        (POST.replace(b"/1.1", b"/1.0") + b"Expect: 100-continue\r\nContent-Length: 2\r\n\r\nab", b"HTTP/1.1 100 "),
    )

    @pytest.mark.parametrize(("sent", "beginning"), SPELLINGS)
    async def test_sanic_misreads_variants_of_framing_headers(self, sent: bytes, beginning: bytes) -> None:
        async with serving() as server:
            assert (await server.exchange(sent)).startswith(beginning)

    @pytest.mark.parametrize(("sent", "_"), SPELLINGS)
    async def test_variants_of_framing_headers_are_accepted(self, sent: bytes, _: bytes) -> None:
        async with serving(TimeLimitedProtocol) as server:
            server.app.request_class = NormalizedRequest
            received = (await server.exchange(sent)).removeprefix(CONTINUE if b"/1.1" in sent else b"")
            assert received.startswith(OK)

    @pytest.mark.parametrize(
        ("version", "given", "expected"),
        [
            ("1.1", "100-Continue\t ", ["100-Continue"]),
            ("1.1", "wonders", ["wonders"]),
            ("1.0", "100-continue", []),
            ("1.0", "wonders", []),
        ],
    )
    def test_the_expect_header_is_trimmed_and_is_dropped_for_http_1_0(
        self, version: str, given: str, expected: list[str]
    ) -> None:
        headers = Header({"expect": given})
        normalize_framing(headers, version)
        assert headers.getall("expect", []) == expected

    @pytest.mark.parametrize("encoding", ["chunked;q=1", "gzip, chunked", "\xa0chunked", ""])
    def test_other_transfer_encodings_are_left_unchanged(self, encoding: str) -> None:
        headers = Header({"transfer-encoding": encoding})
        normalize_framing(headers, "1.1")
        assert headers["transfer-encoding"] == encoding


class NormalizedRequest(Request[Any, Any]):
    """A request that is made as the service makes its own."""

    def __init__(self, url_bytes: bytes, headers: Header, version: str, *others: Any, **named: Any) -> None:
        normalize_framing(headers, version)
        super().__init__(url_bytes, headers, version, *others, **named)


class TestContinue:
    TOO_LARGE = POST + b"Expect: 100-continue\r\nContent-Length: 1001\r\n\r\n"

    async def test_sanic_sends_100_continue_before_a_413(self) -> None:
        async with serving(REQUEST_MAX_SIZE=1_000) as server:
            assert (await server.exchange(self.TOO_LARGE)).startswith(CONTINUE + b"HTTP/1.1 413 ")

    async def test_no_100_continue_is_sent_before_a_413(self) -> None:
        async with serving(TimeLimitedProtocol, REQUEST_MAX_SIZE=1_000) as server:
            assert (await server.exchange(self.TOO_LARGE)).startswith(b"HTTP/1.1 413 ")


class TestUnreadBodies:
    SMALL = b"POST /unread HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nabcde" + POST + b"Content-Length: 0\r\n\r\n"
    SIZE = 4_000_000
    LARGE = b"POST /unread HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % SIZE + bytes(SIZE)

    async def test_sanic_answers_a_large_body_with_keep_alive(self) -> None:
        async with serving(REQUEST_MAX_SIZE=100_000) as server:
            assert b"connection: keep-alive" in await self.first_answer(server)

    async def test_a_large_body_is_answered_with_connection_close(self) -> None:
        async with serving(TimeLimitedProtocol, REQUEST_MAX_SIZE=100_000) as server:
            assert b"connection: close" in await self.first_answer(server)

    async def first_answer(self, server: Server) -> bytes:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(self.LARGE[:100])
        answer = await reader.readuntil(b"not read")
        writer.close()
        await writer.wait_closed()
        return answer

    async def test_sanic_loses_the_answer_to_a_large_body(self) -> None:
        async with serving(REQUEST_MAX_SIZE=100_000) as server:
            with pytest.raises(ConnectionError):
                await self.answer_after_all_is_sent(server)

    async def test_the_answer_can_be_read_after_all_of_a_large_body_is_sent(self) -> None:
        async with serving(TimeLimitedProtocol, REQUEST_MAX_SIZE=100_000) as server:
            assert (await self.answer_after_all_is_sent(server)).endswith(b"not read")

    async def answer_after_all_is_sent(self, server: Server) -> bytes:
        loop = asyncio.get_running_loop()
        received = b""
        with closing(socket.socket()) as client:
            client.setblocking(False)
            await loop.sock_connect(client, ("127.0.0.1", server.port))
            await loop.sock_sendall(client, self.LARGE)
            while more := await loop.sock_recv(client, 65_536):
                received += more
        return received

    async def test_a_client_that_stops_sending_is_disconnected_soon(self) -> None:
        async with serving(TimeLimitedProtocol, REQUEST_MAX_SIZE=100_000) as server:
            began = monotonic()
            await disconnected(server, self.LARGE[:100])
            assert monotonic() - began < PATIENCE / 2

    async def test_a_client_that_sends_too_much_is_disconnected(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(sanic_overrides, "_MAX_LINGER_BYTES", 100_000)
        async with serving(TimeLimitedProtocol, REQUEST_MAX_SIZE=100_000) as server:
            with pytest.raises(ConnectionError):
                await self.answer_after_all_is_sent(server)

    async def test_sanic_logs_a_small_body_as_a_failure(self, failures: list[str]) -> None:
        async with serving() as server:
            await server.exchange(self.SMALL)
        assert [each for each in failures if "body not consumed" in each]

    async def test_a_small_body_is_read_after_the_answer(self, failures: list[str]) -> None:
        async with serving(TimeLimitedProtocol) as server:
            assert (await server.exchange(self.SMALL)).count(OK) == 2
        assert not failures


class TestIdle:
    @pytest.mark.parametrize(("seconds", "is_kept"), [(83, True), (620, True), (622, False)])
    async def test_connection_is_kept_for_the_keep_alive_timeout(self, seconds: float, is_kept: bool) -> None:
        async with serving(TimeLimitedProtocol, KEEP_ALIVE_TIMEOUT=621) as server, silent_client(server, b"") as idle:
            idle._time = monotonic() - seconds
            idle.check_timeouts()  # type: ignore[no-untyped-call]
            if not is_kept:
                await until(lambda: not server.connections)
            await asyncio.sleep(0.05)
            assert bool(server.connections) is is_kept


@asynccontextmanager
async def silent_client(server: Server, sent: bytes) -> AsyncIterator[HttpProtocol]:
    """A client that sends this, and then neither sends nor reads; yield the server's end of its connection."""
    with closing(socket.socket()) as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.setblocking(False)
        loop = asyncio.get_running_loop()
        await loop.sock_connect(client, ("127.0.0.1", server.port))
        await loop.sock_sendall(client, sent)
        yield await server.connection()


async def still_connected(server: Server, sent: bytes) -> bool:
    """Whether a client that sends this and nothing more is still connected long after every short timeout."""
    async with silent_client(server, sent):
        end = monotonic() + MANY_TIMEOUTS
        while server.connections and monotonic() < end:
            await asyncio.sleep(0.05)
        return bool(server.connections)


async def disconnected(server: Server, sent: bytes) -> None:
    async with silent_client(server, sent):
        await until(lambda: not server.connections)


class TestTimeouts:
    LARGE = b"GET /?bytes=8000000 HTTP/1.1\r\nHost: x\r\n\r\n"
    UPGRADE = b"GET /never HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\n\r\n"
    UNREAD = b"POST /unread HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\n"

    @staticmethod
    async def moments_of_two_bytes(server: Server) -> tuple[float, float]:
        """Return the time from which timeouts count: after the first byte of a head, and after its second byte."""
        _, writer = await asyncio.open_connection("127.0.0.1", server.port)
        connection = await server.connection()
        moments = []
        for number in (1, 2):
            await asyncio.sleep(0.01)  # so that the clock advances
            writer.write(b"G")
            await until(lambda number=number: len(connection.recv_buffer) == number)  # type: ignore[misc]
            moments.append(connection._time)
        writer.close()
        await writer.wait_closed()
        return moments[0], moments[1]

    async def test_sanic_counts_timeouts_from_the_last_byte(self) -> None:
        async with serving() as server:
            first, second = await self.moments_of_two_bytes(server)
            assert second > first

    async def test_timeouts_count_from_the_first_byte(self) -> None:
        async with serving(TimeLimitedProtocol) as server:
            connected = monotonic()
            first, second = await self.moments_of_two_bytes(server)
            assert second == first > connected

    async def test_timeouts_of_the_next_request_count_from_its_first_byte(self) -> None:
        async with serving(TimeLimitedProtocol) as server:
            reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
            writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            await reader.readuntil(b"\r\n\r\nx")
            connection = await server.connection_in(Stage.IDLE)
            answered = connection._time
            writer.write(b"G")
            await until(lambda: bool(connection.recv_buffer))
            assert connection._time > answered
            writer.close()
            await writer.wait_closed()

    async def test_sanic_has_no_timeout_for_an_upgrade(self) -> None:
        async with serving(REQUEST_TIMEOUT=SHORT, RESPONSE_TIMEOUT=SHORT) as server:
            assert await still_connected(server, self.UPGRADE)

    async def test_an_upgrade_times_out_like_any_request(self) -> None:
        async with serving(TimeLimitedProtocol, REQUEST_TIMEOUT=SHORT, RESPONSE_TIMEOUT=SHORT) as server:
            assert (await server.exchange(self.UPGRADE)).startswith(b"HTTP/1.1 503 ")

    async def test_sanic_waits_forever_for_an_unread_body(self) -> None:
        async with serving(REQUEST_TIMEOUT=SHORT, RESPONSE_TIMEOUT=SHORT, KEEP_ALIVE_TIMEOUT=LONG) as server:
            assert await still_connected(server, self.UNREAD)

    async def test_an_unread_body_times_out_like_any_body(self) -> None:
        limits = {"REQUEST_TIMEOUT": SHORT, "RESPONSE_TIMEOUT": LONG, "KEEP_ALIVE_TIMEOUT": LONG}
        async with serving(TimeLimitedProtocol, **limits) as server:
            await disconnected(server, self.UNREAD)

    async def test_sanic_waits_forever_for_a_client_that_does_not_read(self) -> None:
        async with serving(REQUEST_TIMEOUT=SHORT, RESPONSE_TIMEOUT=SHORT, KEEP_ALIVE_TIMEOUT=SHORT) as server:
            assert await still_connected(server, self.LARGE * 2)

    @pytest.mark.parametrize("sent", [LARGE, LARGE * 2, LARGE + b"GET /"])
    async def test_a_client_that_does_not_read_is_disconnected(self, sent: bytes, failures: list[str]) -> None:
        limits = {"REQUEST_TIMEOUT": SHORT, "RESPONSE_TIMEOUT": LONG, "KEEP_ALIVE_TIMEOUT": LONG}
        async with serving(TimeLimitedProtocol, **limits) as server:
            await disconnected(server, sent)
        assert not failures

    @staticmethod
    async def abort_a_head(protocol: type[HttpProtocol]) -> None:
        async with serving(protocol) as server, silent_client(server, b"GET /"):
            connection = await server.connection_in(Stage.REQUEST)
            connection.abort()  # type: ignore[no-untyped-call]
            await until(lambda: connection.http is None)

    async def test_sanic_fails_to_abort_a_connection_with_a_partial_head(self, failures: list[str]) -> None:
        await self.abort_a_head(HttpProtocol)
        assert failures == ["protocol.connection_task uncaught"]

    async def test_a_connection_with_a_partial_head_can_be_aborted(self, failures: list[str]) -> None:
        await self.abort_a_head(TimeLimitedProtocol)
        assert not failures

    @staticmethod
    async def aborted(server: Server) -> HttpProtocol:
        async with silent_client(server, b"GET /never HTTP/1.1\r\nHost: x\r\n\r\n"):
            connection = await server.connection_in(Stage.HANDLER)
            HttpProtocol.abort(connection)  # type: ignore[no-untyped-call]
            return connection

    async def test_sanic_raises_attribute_error_on_a_read_from_an_aborted_connection(self) -> None:
        async with serving() as server:
            with pytest.raises(AttributeError):
                await (await self.aborted(server)).receive_more()  # type: ignore[no-untyped-call]

    async def test_sanic_raises_attribute_error_on_a_write_to_an_aborted_connection(self) -> None:
        async with serving() as server:
            with pytest.raises(AttributeError):
                await (await self.aborted(server)).send(b"x")  # type: ignore[no-untyped-call]

    async def test_reads_and_writes_on_an_aborted_connection_raise_request_cancelled(self) -> None:
        async with serving(TimeLimitedProtocol) as server:
            connection = await self.aborted(server)
            with pytest.raises(RequestCancelled):
                await connection.receive_more()  # type: ignore[no-untyped-call]
            with pytest.raises(RequestCancelled):
                await connection.send(b"x")  # type: ignore[no-untyped-call]


class TestResponse:
    def test_sanic_formats_headers_each_time_a_response_is_sent(self) -> None:
        class Value:
            formatted = 0

            def __format__(self, _: str) -> str:
                self.formatted += 1
                return "value"

        value = Value()
        response = HTTPResponse(headers={"name": value})  # type: ignore[dict-item]
        for _ in range(2):
            assert (b"name", b"value") in list(response.processed_headers)
        assert value.formatted == 2, "it is formatted anew each time that the response is sent"

    def test_has_every_attribute_that_sanics_constructor_sets(self) -> None:
        ours, sanics = FormattedResponse(b"x", 200, {}), HTTPResponse(b"x")

        assert {name: type(getattr(ours, name, ...)) for name in _slots(sanics)} == {
            **{name: type(getattr(sanics, name)) for name in _slots(sanics)},
            "headers": dict,
        }


def _slots(response: HTTPResponse) -> set[str]:
    return {
        name for kind in type(response).__mro__ for name in getattr(kind, "__slots__", ()) if hasattr(response, name)
    }


class TestSanicInternals:
    """The private attributes that the service overrides or uses exist, and have the expected values."""

    async def test_attributes_of_a_connection_exist_with_the_expected_values(self) -> None:
        async with serving() as server, silent_client(server, b"GET /never HTTP/1.1\r\nHost: x\r\n\r\nG"):
            connection = await server.connection_in(Stage.HANDLER)
            http = connection.http
            assert http is not None
            assert http._safe_int("1f", 16) == 31
            assert http.recv_buffer is connection.recv_buffer
            assert http.recv_buffer == b"G"
            assert isinstance(http.recv_buffer, bytearray)
            assert isinstance(http.perft0, float)
            assert http.response_func == http.http1_response_header
            assert http._send == connection.send
            assert http._receive_more == connection.receive_more
            assert (http.request_body, http.request_bytes_left) == (None, 0)
            assert (http.keep_alive, http.head_only, http.expecting_continue) == (True, False, False)
            assert (http.url, http.upgrade_websocket) == ("/never", False)
            assert isinstance(connection._can_write, Event)
            assert connection._can_write.is_set()
            assert connection._time <= monotonic()
            assert connection.request_handler == connection.app.handle_request

    async def test_request_body_is_unset_in_a_new_sanic_connection_and_none_in_ours(self) -> None:
        async with serving() as server:
            connection = HttpProtocol(loop=asyncio.get_running_loop(), app=server.app)
            connection.recv_buffer = bytearray()

        with pytest.raises(AttributeError):
            _ = connection.HTTP_CLASS(connection).request_body  # type: ignore[no-untyped-call]
        assert StrictHttp(connection).request_body is None

    async def test_an_empty_request_becomes_the_current_request_only_with_our_protocol(self) -> None:
        for protocol, is_current in ((HttpProtocol, False), (TimeLimitedProtocol, True)):
            async with serving(protocol) as server, silent_client(server, b"GET /"):
                http = (await server.connection_in(Stage.REQUEST)).http
                assert http is not None
                assert isinstance(Request._current, ContextVar)
                Request._current.set(None)  # type: ignore[arg-type]
                http.create_empty_request()
                assert (Request._current.get() is http.request) is is_current
