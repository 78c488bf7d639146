"""Compares every answer of the contract tests with its documented shape, which forbids unknown fields."""

import re
from http import HTTPStatus
from urllib.parse import parse_qs

import httpx
from msgspec import Struct
from msgspec.json import Decoder

from mylist.api import schemas

_SHAPES: dict[tuple[str, str], type[Struct]] = {
    ("POST", "/api/mylist/add"): schemas.AddResponse,
    ("DELETE", "/api/mylist/remove/*"): schemas.RemoveResponse,
    ("PUT", "/api/mylist/items/*"): schemas.PutResponse,
    ("POST", "/api/mylist/batch"): schemas.BatchResponse,
    ("POST", "/api/mylist/contains"): schemas.ContainsResponse,
    ("GET", "/api/mylist/items"): schemas.ItemsResponse,
    ("GET", "/api/mylist/stats"): schemas.StatsResponse,
    ("GET", "/api/mylist/changes"): schemas.ChangesResponse,
    ("DELETE", "/api/mylist/items"): schemas.ClearResponse,
    ("GET", "/api/mylist/limits"): schemas.LimitsResponse,
    ("GET", "/health"): schemas.HealthResponse,
    ("GET", "/livez"): schemas.LivenessResponse,
    ("GET", "/readyz"): schemas.ReadinessResponse,
}
_LINES: dict[tuple[str, str], type[Struct]] = {
    ("GET", "/api/mylist/export"): schemas.ExportedItem,
    ("POST", "/api/mylist/import"): schemas.ImportedLine,
}
_SELECTING = {
    *("type", "genre", "notGenre", "q", "addedAfter", "addedBefore", "available"),
    *("sort", "seed", "order", "cursor", "view"),
}
_WITHOUT_BODY = {HTTPStatus.NO_CONTENT, HTTPStatus.NOT_MODIFIED}
_STATUSES = {
    ("POST", "/api/mylist/add"): {HTTPStatus.CREATED},
    ("PUT", "/api/mylist/items/*"): {HTTPStatus.CREATED, HTTPStatus.OK},
}


def check_shape(method: str, target: str, status: int, body: bytes) -> None:
    """Fail when the answer to this request does not have the documented form."""
    path, _, query = target.partition("?")
    if method == "HEAD" or status in _WITHOUT_BODY:
        assert body == b""
        return
    route = (method, re.sub(r"(/remove/|/items/)[^/]+", r"\1*", path))
    if status >= HTTPStatus.BAD_REQUEST and path != "/readyz":
        error = Decoder(schemas.ErrorResponse).decode(body)
        assert error.status_code == status
        return
    if route in _LINES:
        Decoder(_LINES[route]).decode_lines(body)
    elif route == ("GET", "/api/mylist/items") and (
        given := _SELECTING & parse_qs(query, keep_blank_values=True).keys()
    ):
        Decoder(schemas.IdsResponse if "view" in given else schemas.SelectionResponse).decode(body)
    elif route in _SHAPES:
        assert status in _STATUSES.get(route, {HTTPStatus.OK}) or path == "/readyz"
        Decoder(_SHAPES[route]).decode(body)


def check_response(response: httpx.Response) -> None:
    """Do as `check_shape`; for use as an event hook of a client."""
    response.read()
    request = response.request
    target = request.url.raw_path.decode("ascii")
    if not response.headers.get("content-type", "").startswith("text/csv"):  # CSV has no schema
        check_shape(request.method, target, response.status_code, response.content)
