"""Turns every failure, of the service and of Sanic, into the common error body."""

import logging
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime
from http import HTTPStatus

import msgspec
from sanic import HTTPResponse
from sanic.exceptions import MethodNotAllowed, SanicException

from mylist.api.schemas import ErrorResponse
from mylist.domain.errors import ContentIdMissingError, ServiceError, TooManyRequestsError, UnavailableError
from mylist.domain.timestamps import iso_format
from mylist.http.request import ApiRequest
from mylist.http.responses import json_response, preflight_response

_logger = logging.getLogger(__name__)
_encode = msgspec.json.Encoder().encode

# Our messages for Sanic's errors: Sanic's messages repeat what the client sent.
_OF_SANIC: dict[int, tuple[str, str]] = {
    400: ("BAD_REQUEST", "The request is malformed"),
    404: ("ROUTE_NOT_FOUND", "Route not found"),
    405: ("METHOD_NOT_ALLOWED", "Method not allowed"),
    408: ("REQUEST_TIMEOUT", "The request did not arrive in time"),
    413: ("BODY_TOO_LARGE", "The body is too large"),
    414: ("URI_TOO_LONG", "The URL is too long"),
    417: ("EXPECTATION_FAILED", "The Expect header cannot be met"),
    431: ("HEADERS_TOO_LARGE", "The headers are too large"),
    503: ("SERVICE_UNAVAILABLE", "The service is not available, please try again"),
}
# The request of a client whose id is empty: its path is the path of the whole list, which has no PUT.
_PUT_WITHOUT_ID = ("PUT", "/api/mylist/items/")
# The method that Sanic substitutes in a request it could not parse.
_UNPARSED = "NONE"
_INTERNAL = ("INTERNAL_ERROR", "Internal server error")


def handle(request: ApiRequest, exception: Exception) -> HTTPResponse:
    """Answers a failed request. Of an unexpected failure, the client learns only the request id."""
    if isinstance(exception, UnavailableError | TooManyRequestsError):
        request.app.ctx.state.shed[exception.code] += 1
    if isinstance(exception, MethodNotAllowed) and (request.method, request.path) == _PUT_WITHOUT_ID:
        exception = ContentIdMissingError()
    if isinstance(exception, ServiceError):
        return _error(request, exception.status, exception.code, exception.message, exception.headers)
    if isinstance(exception, MethodNotAllowed):
        methods = ", ".join(sorted(["OPTIONS", *_methods_of(request)]))
        if request.method == "OPTIONS":
            return preflight_response(request, methods)
        return _error(request, 405, *_OF_SANIC[405], {"allow": methods})
    if isinstance(exception, SanicException):
        status = (
            _too_large(request)
            if exception.status_code == HTTPStatus.REQUEST_ENTITY_TOO_LARGE
            else exception.status_code
        )
        if status in _OF_SANIC:
            return _error(
                request,
                status,
                *_OF_SANIC[status],
                {"retry-after": "1"} if status == HTTPStatus.SERVICE_UNAVAILABLE else {},
            )
    _logger.error("Request %s failed", request.id, exc_info=exception)
    return _error(request, 500, *_INTERNAL, {})


def _methods_of(request: ApiRequest) -> Iterator[str]:
    """Finds the methods of a path. Sanic does not report them for a path with a parameter and several methods."""
    for method in ("DELETE", "GET", "HEAD", "PATCH", "POST", "PUT"):
        with suppress(SanicException):
            request.app.router.get(request.path, method, None)
            yield method


def _too_large(request: ApiRequest) -> int:
    """Distinguishes three cases that Sanic reports as one: a body, headers or a URL over its limit."""
    if request.route is not None or request.stream is None:
        return 413
    # A head that was too large is still in the buffer, unparsed.
    request_line_end = request.stream.unparsed.find(b"\r\n")
    return 431 if 0 <= request_line_end < request.app.config.REQUEST_MAX_HEADER_SIZE else 414


def _error(request: ApiRequest, status: int, code: str, message: str, headers: dict[str, str]) -> HTTPResponse:
    body = ErrorResponse(
        success=False,
        error=message,
        code=code,
        status_code=int(status),
        timestamp=iso_format(datetime.now(UTC)),
        path=request.path,
        method=request.method if request.method != _UNPARSED else "",
        request_id=request.id,
    )
    return json_response(request, _encode(body), status=int(status), headers=headers)
