"""Holds every answer of the contract tests against the documented shapes, unknown fields forbidden."""

import re
from http import HTTPStatus

import httpx
from msgspec import Struct
from msgspec.json import Decoder

from mylist.api import schemas

_SHAPES: dict[tuple[str, str], type[Struct]] = {
    ("POST", "/api/mylist/add"): schemas.AddResponse,
    ("DELETE", "/api/mylist/remove/*"): schemas.RemoveResponse,
    ("GET", "/api/mylist/items"): schemas.ItemsResponse,
    ("GET", "/api/mylist/stats"): schemas.StatsResponse,
    ("GET", "/health"): schemas.HealthResponse,
    ("GET", "/livez"): schemas.LivenessResponse,
    ("GET", "/readyz"): schemas.ReadinessResponse,
}
_WITHOUT_BODY = {HTTPStatus.NO_CONTENT, HTTPStatus.NOT_MODIFIED}
_CREATED = ("POST", "/api/mylist/add")


def check_shape(method: str, path: str, status: int, body: bytes) -> None:
    """Fails when the answer to this request does not have the documented form."""
    if method == "HEAD" or status in _WITHOUT_BODY:
        assert body == b""
        return
    route = (method, re.sub(r"(?<=/remove/)[^/]+", "*", path))
    if status >= HTTPStatus.BAD_REQUEST and path != "/readyz":
        error = Decoder(schemas.ErrorResponse).decode(body)
        assert error.status_code == status
        return
    if route in _SHAPES:
        assert status == (HTTPStatus.CREATED if route == _CREATED else HTTPStatus.OK) or path == "/readyz"
        Decoder(_SHAPES[route]).decode(body)


def check_response(response: httpx.Response) -> None:
    """Does as `check_shape`, as an event hook of a client."""
    response.read()
    request = response.request
    check_shape(request.method, request.url.path, response.status_code, response.content)
