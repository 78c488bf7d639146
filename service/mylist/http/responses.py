"""Responses: JSON, JSON Lines or a file, with the headers that every response carries.

There are some twenty headers, and Sanic spends 5 % of the time of an empty request on each. So the headers that are the
same in every response are formatted once, as a block with the status line.
"""

import gzip
import re
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from typing import TypeVar

from multidict import istr
from sanic import HTTPResponse
from sanic.headers import format_http1_response

from mylist.config.browser_policy import BrowserPolicy
from mylist.domain.cache_result import CacheResult
from mylist.domain.etags import etag_of
from mylist.http.request import ApiRequest
from mylist.http.sanic_overrides import FormattedResponse

# The headers of the Express middleware Helmet, restricted to what an API needs.
_POLICY = "default-src 'none'; frame-ancestors 'none'"
# The icons of the documentation are data: URLs. Its scripts set the styles, so inline styles need not be allowed.
_POLICY_OF_PAGES = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_SECURITY_HEADERS = {
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Origin-Agent-Cluster": "?1",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-DNS-Prefetch-Control": "off",
    "X-Download-Options": "noopen",
    "X-Frame-Options": "SAMEORIGIN",
    "X-Permitted-Cross-Domain-Policies": "none",
    "X-XSS-Protection": "0",
}
_EXPOSED_HEADERS = (
    "ETag, Link, Retry-After, WWW-Authenticate, X-Cache, X-List-Format, X-Page-Size, X-Request-ID, X-Total-Count"
)
# A list belongs to one user and may change at any moment: a cache must revalidate its copy before each use.
_REVALIDATE = "private, no-cache"
_NO_STORE = "no-store"
_JSON = "application/json; charset=utf-8"
_JSON_LINES = "application/x-ndjson"
CSV = "text/csv; charset=utf-8; header=present"
# Names in lower case, which halve the time of a header lookup.
_ACCEPT_ENCODING, _ORIGIN = map(istr, ("accept-encoding", "origin"))
_ACCEPTS_GZIP = re.compile(r"(?:^|,)\s*gzip\s*(?:;\s*q=(?!0(?:\.0*)?\s*(?:,|$)).*)?(?:,|$)", re.IGNORECASE)
_WITHOUT_BODY = frozenset({204, 304})
_R = TypeVar("_R", bound="ApiResponse")
_HEADER_NAMES = re.compile(r"[A-Za-z0-9, -]{1,500}", re.ASCII)


class ApiResponse(FormattedResponse):
    """A response with preformatted constant headers. It has a whole body, except for a `LinesResponse`.

    Attributes:
        lines: the header lines that are specific to this response; ASCII.
        cache: how the cache took part in the read; None without a read.
    """

    __slots__ = ("_block", "cache", "lines")

    def __init__(self, body: bytes, status: int, lines: str, block: bytes, cache: CacheResult | None) -> None:
        super().__init__(body, status, {})
        self._block = block
        self.lines = lines
        self.cache = cache

    def encode(self, *, connection: str, head_only: bool) -> bytes:
        """Return the response as it is sent, without the body if it answers HEAD.

        Args:
            connection: the value of the `Connection` header, and any headers that follow it.
            head_only: whether the request was HEAD.
        """
        body = self.body
        length = "" if self.status in _WITHOUT_BODY else f"content-length: {len(body)}\r\n"
        head = f"{self.lines}{length}connection: {connection}\r\n\r\n".encode("ascii")
        return self._block + head if head_only else self._block + head + body


class LinesResponse(ApiResponse):
    """A response of JSON Lines, sent in parts.

    Attributes:
        parts: the parts of the body, of some lines each, rendered while they are sent.
        is_chunked: whether the body is sent in chunks.
        trailer: header lines that are sent after the last chunk.
    """

    __slots__ = ("is_chunked", "parts", "trailer")
    parts: Iterable[bytes]
    is_chunked: bool
    trailer: bytes

    def encode(self, *, connection: str, head_only: bool) -> bytes:  # noqa: ARG002 - there is no body in it
        """Return the head as it is sent."""
        return self._block + f"{self.lines}connection: {connection}\r\n\r\n".encode("ascii")

    def framed(self) -> Iterator[bytes]:
        """Yield the body as it is sent."""
        if not self.is_chunked:
            yield from self.parts
            return
        for part in filter(None, self.parts):  # an empty chunk would end the body
            yield b"%x\r\n%b\r\n" % (len(part), part)
        yield b"0\r\n%b\r\n" % self.trailer


def json_response(  # noqa: PLR0913 - one line per part of a response
    request: ApiRequest,
    body: bytes,
    *,
    status: int = 200,
    etag: str | None = None,
    cache: CacheResult | None = None,
    headers: Mapping[str, str] | None = None,
    head: str = "",
) -> HTTPResponse:
    """Return a JSON response. A successful GET or HEAD gets an ETag, or 304 if the client has the body.

    Args:
        request: the request that is answered.
        body: encoded JSON.
        status: HTTP status.
        etag: ETag of the body, if it is already known.
        cache: how the cache took part in the read; sent as X-Cache.
        headers: headers of this response; names and values must be ASCII without line breaks.
        head: preformatted header lines of a successful GET, in ASCII.
    """
    lines = f"x-request-id: {request.id}\r\n{_lines(headers) if headers else ''}"
    if status == 200 and request.method in {"GET", "HEAD"}:  # noqa: PLR2004 - HTTP's own
        etag = etag or etag_of(body)
        lines = f"{lines}etag: {etag}\r\n{head}"
        if request.has(etag):
            body, status = b"", 304
    caching = _REVALIDATE if status < 400 else _NO_STORE  # noqa: PLR2004 - HTTP's own
    response: ApiResponse = _response(request, body, status, lines, caching, cache)
    return response


def lines_response(  # noqa: PLR0913 - one line per part of a response
    request: ApiRequest,
    lines: bytes | Iterable[bytes],
    *,
    etag: str | None = None,
    cache: CacheResult | None = None,
    total: int | None = None,
    content_type: str = _JSON_LINES,
    headers: Mapping[str, str] | None = None,
    is_negotiated: bool = False,
) -> HTTPResponse:
    """Return a response of JSON Lines or CSV, or a 304 response if the client has the body of this ETag.

    Args:
        request: the request that is answered.
        lines: the body, or parts of it that are rendered while they are sent.
        etag: ETag of the body.
        cache: how the cache took part in the read; sent as X-Cache.
        total: number of lines, if known in advance. Sent as X-Total-Count, and also as a trailer to a client that
            accepts trailers.
        content_type: media type of the body.
        headers: headers of this response; names and values must be ASCII without line breaks.
        is_negotiated: whether a different `Accept` header could get a different answer.
    """
    particular = {"x-request-id": request.id, **(headers or {})}
    trailer = ""
    if total is not None:
        particular["x-total-count"] = str(total)
    if etag:
        particular["etag"] = etag
        if request.has(etag):
            return _response(request, b"", 304, _lines(particular), _REVALIDATE, cache, is_negotiated=is_negotiated)
    if isinstance(lines, bytes):
        about = _lines(particular)
        return _response(request, lines, 200, about, _REVALIDATE, cache, content_type, is_negotiated=is_negotiated)
    is_chunked = request.version != "1.0"
    if not is_chunked:  # the end of the connection ends the body
        request.close_connection()
    else:
        particular["transfer-encoding"] = "chunked"
        if total is not None and _takes_trailers(request):
            particular["trailer"] = "X-Total-Count"
            trailer = f"x-total-count: {total}\r\n"
    response = _response(
        request,
        b"",
        200,
        _lines(particular),
        _REVALIDATE,
        cache,
        content_type,
        kind=LinesResponse,
        is_negotiated=is_negotiated,
    )
    response.parts = lines
    response.is_chunked = is_chunked
    response.trailer = trailer.encode()
    return response


class File:
    """A file that is the same for every client: bytes in memory, plain and compressed.

    Attributes:
        content_type: the `Content-Type` header.
    """

    __slots__ = ("_compressed", "_plain", "content_type")

    def __init__(self, content: bytes, content_type: str) -> None:
        self.content_type = content_type
        compressed = gzip.compress(content, mtime=0)
        varies = {"vary": "Accept-Encoding"}
        self._plain = content, {"etag": etag_of(content)} | varies
        self._compressed = compressed, {"etag": etag_of(compressed), "content-encoding": "gzip"} | varies

    def representation(self, accept_encoding: str) -> tuple[bytes, dict[str, str]]:
        """Return the bytes for a client that accepts these encodings, and their headers."""
        return self._compressed if _ACCEPTS_GZIP.search(accept_encoding) else self._plain


def file_response(request: ApiRequest, file: File) -> HTTPResponse:
    """Return the response to a GET or HEAD of a file: the file, or 304 if the client has it."""
    body, about = file.representation(request.headers.getone(_ACCEPT_ENCODING, ""))
    status = 304 if request.has(about["etag"]) else 200
    headers = {"x-request-id": request.id} | about
    body = body if status == 200 else b""  # noqa: PLR2004 - HTTP's own
    return _response(request, body, status, _lines(headers), _REVALIDATE, None, file.content_type)


def preflight_response(request: ApiRequest, methods: str) -> HTTPResponse:
    """Return the response to OPTIONS: the methods of the path, and the permissions for a browser's preflight request.

    Args:
        request: the request that is answered.
        methods: the allowed methods, separated by commas.
    """
    headers: dict[str, str] = {"x-request-id": request.id, "allow": methods}
    if request.headers.getone("access-control-request-method", None):
        headers["access-control-allow-methods"] = methods
        wanted = request.headers.getone("access-control-request-headers", "")
        if _HEADER_NAMES.fullmatch(wanted):
            headers["access-control-allow-headers"] = wanted
        headers["access-control-max-age"] = "600"
    return _response(request, b"", 204, _lines(headers), _NO_STORE, None)


def _lines(headers: Mapping[str, str]) -> str:
    return "".join([f"{name}: {value}\r\n" for name, value in headers.items()])


def _takes_trailers(request: ApiRequest) -> bool:
    accepted = ",".join(request.headers.getall("te", ()))
    return any(each.partition(";")[0].strip().lower() == "trailers" for each in accepted.split(","))


def _response(  # noqa: PLR0913 - private, one line per part of a response
    request: ApiRequest,
    body: bytes,
    status: int,
    lines: str,
    caching: str,
    cache: CacheResult | None,
    content_type: str = _JSON,
    *,
    kind: type[_R] = ApiResponse,  # type: ignore[assignment]  # a default of its own bound
    is_negotiated: bool = False,
) -> _R:
    if request.app.ctx.state.draining:  # even if the request began before the drain
        request.close_connection()
    policy = request.app.ctx.browser_policy
    origin = "*"
    if not policy.any_origin:
        given = request.headers.getone(_ORIGIN, "")
        origin = given if given and policy.allows(given) else ""
    block = _block(
        status,
        caching,
        cache,
        origin,
        request.identified_by,
        content_type,
        policy,
        is_negotiated=is_negotiated,
    )
    return kind(body, status, lines, block, cache)


@lru_cache(maxsize=1024)
def _block(  # noqa: PLR0913 - private, one line per part of a head
    status: int,
    caching: str,
    cache: CacheResult | None,
    origin: str,
    identified_by: str,
    content_type: str,
    policy: BrowserPolicy,
    *,
    is_negotiated: bool,
) -> bytes:
    content_policy = _POLICY_OF_PAGES if content_type.startswith("text/html") else _POLICY
    headers = {"Content-Security-Policy": content_policy, **_SECURITY_HEADERS, "Cache-Control": caching}
    if policy.hsts:
        headers["Strict-Transport-Security"] = policy.hsts
    if status not in _WITHOUT_BODY:
        headers["Content-Type"] = content_type
    if cache:
        headers["X-Cache"] = cache
    if origin:
        headers["Access-Control-Allow-Origin"] = origin
        if policy.credentials:
            headers["Access-Control-Allow-Credentials"] = "true"
        headers["Access-Control-Expose-Headers"] = _EXPOSED_HEADERS
    varies = [identified_by, *(["Origin"] if origin != "*" else []), *(["Accept"] if is_negotiated else [])]
    headers["Vary"] = ", ".join(varies)
    return format_http1_response(status, [(name.encode(), value.encode()) for name, value in headers.items()])[:-2]
