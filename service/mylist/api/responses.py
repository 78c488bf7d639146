"""Responses: JSON bytes with the headers that every response carries.

Formatting a header costs about a twentieth of a request that does nothing else, so the headers that do not change from
request to request are formatted once, as a block.
"""

import re
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any, cast

from sanic import HTTPResponse
from sanic.http import Http
from xxhash import xxh3_64_hexdigest

from mylist.api.request import ApiRequest
from mylist.cache.list_cache import CacheResult

# What the Express middleware Helmet sets, tightened to what an API without pages needs.
_SECURITY_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Origin-Agent-Cluster": "?1",
    "Referrer-Policy": "no-referrer",
    "Strict-Transport-Security": "max-age=31536000; includeSubDomains",
    "X-Content-Type-Options": "nosniff",
    "X-DNS-Prefetch-Control": "off",
    "X-Download-Options": "noopen",
    "X-Frame-Options": "SAMEORIGIN",
    "X-Permitted-Cross-Domain-Policies": "none",
    "X-XSS-Protection": "0",
}
_EXPOSED_HEADERS = "ETag, Retry-After, X-Cache, X-Request-ID"
# A list belongs to one user and may change at any moment: whoever keeps a copy asks before using it.
_REVALIDATE = "private, no-cache"
_NO_STORE = "no-store"
_HEADER_NAMES = re.compile(r"[A-Za-z0-9, -]{1,500}", re.ASCII)


class ApiResponse(HTTPResponse):
    """A response whose unchanging headers are formatted already."""

    __slots__ = ("cache", "fixed_headers")

    fixed_headers: tuple[bytes, bytes]
    cache: str | None

    @property
    def processed_headers(self) -> Iterator[tuple[bytes, bytes]]:
        """The block as if it were one header, then what is particular to this response."""
        yield self.fixed_headers
        for name, value in self.headers.items():
            yield name.encode("ascii"), str(value).encode("ascii")


def json_response(
    request: ApiRequest,
    body: bytes,
    *,
    status: int = 200,
    cache: CacheResult | None = None,
    headers: Mapping[str, str] | None = None,
) -> HTTPResponse:
    """Makes a JSON response; one to a GET or HEAD that succeeds has an ETag, or is 304 when the client has the body.

    Args:
        request: what is answered.
        body: encoded JSON.
        status: HTTP status.
        cache: how the cache took part; told as X-Cache.
        headers: particular to this response; names and values must be ASCII without line breaks.
    """
    particular: dict[str, Any] = {"x-request-id": request.id}
    if headers:
        particular |= headers
    if status == 200 and request.method in {"GET", "HEAD"}:  # noqa: PLR2004 - HTTP's own
        etag = f'"{xxh3_64_hexdigest(body)}"'
        particular["etag"] = etag
        known = request.headers.getone("if-none-match", None)
        if known is not None and _matches(known, etag):
            return _response(request, b"", 304, particular, _REVALIDATE, cache)
    caching = _REVALIDATE if status < 400 else _NO_STORE  # noqa: PLR2004 - HTTP's own
    return _response(request, body, status, particular, caching, cache)


def preflight_response(request: ApiRequest, methods: str) -> HTTPResponse:
    """Answers OPTIONS: which methods the path has, and to a browser's preflight that they may be used.

    Args:
        request: what is answered.
        methods: the allowed methods, separated by commas.
    """
    headers: dict[str, Any] = {"x-request-id": request.id, "allow": methods}
    if request.headers.getone("access-control-request-method", None):
        headers["access-control-allow-methods"] = methods
        wanted = request.headers.getone("access-control-request-headers", "")
        if _HEADER_NAMES.fullmatch(wanted):
            headers["access-control-allow-headers"] = wanted
        headers["access-control-max-age"] = "600"
    return _response(request, b"", 204, headers, _NO_STORE, None)


def _response(  # noqa: PLR0913 - private, one line per part of a response
    request: ApiRequest,
    body: bytes,
    status: int,
    headers: dict[str, Any],
    caching: str,
    cache: CacheResult | None,
) -> HTTPResponse:
    if request.app.ctx.draining:  # also when the request began before the drain did
        cast("Http", request.stream).keep_alive = False
    response = ApiResponse(body, status=status, headers=headers)
    response.cache = cache.value if cache else None
    origins = request.app.ctx.allowed_origins
    origin = "*" if "*" in origins else request.headers.getone("origin", "")
    response.fixed_headers = _fixed_headers(caching, cache, origin if origin in origins else "", bool(body))
    return response


@lru_cache(maxsize=1024)
def _fixed_headers(caching: str, cache: CacheResult | None, origin: str, has_body: bool) -> tuple[bytes, bytes]:
    headers = {**_SECURITY_HEADERS, "Cache-Control": caching}
    if has_body:
        headers["Content-Type"] = "application/json; charset=utf-8"
    if cache:
        headers["X-Cache"] = cache.value
    if origin:
        headers["Access-Control-Allow-Origin"] = origin
        headers["Access-Control-Expose-Headers"] = _EXPOSED_HEADERS
    headers["Vary"] = "user-id" if origin == "*" else "user-id, Origin"
    *most, (last_name, last_value) = headers.items()
    block = "".join(f"{name}: {value}\r\n" for name, value in most) + last_name
    return block.encode("ascii"), last_value.encode("ascii")


def _matches(if_none_match: str, etag: str) -> bool:
    candidates = (candidate.strip().removeprefix("W/") for candidate in if_none_match.split(","))
    return any(candidate in (etag, "*") for candidate in candidates)
