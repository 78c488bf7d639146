"""The OpenAPI document: `/openapi.json`, made of the structs that the API decodes and answers with."""

from collections.abc import Sequence
from functools import cache
from http import HTTPStatus
from typing import Any

import msgspec
from sanic import Blueprint, HTTPResponse

from mylist import __version__
from mylist.api import schemas
from mylist.api.changes import DEFAULT_CHANGES, MOST_CHANGES
from mylist.api.cursors import LONGEST as LONGEST_CURSOR
from mylist.api.request import ApiRequest
from mylist.api.responses import json_response
from mylist.api.selection import LONGEST_GENRE, ORDERS, VIEWS
from mylist.cache.list_cache import CacheResult
from mylist.lists.arrangement import SORTS
from mylist.lists.item import CONTENT_TYPES

blueprint = Blueprint("openapi")

_USER_ID = {
    "name": "user-id",
    "in": "header",
    "required": True,
    "description": "Whose list it is.",
    "schema": {"type": "string", "pattern": "^[A-Za-z0-9._~:@|/+=-]{1,128}$"},
    "example": "507f1f77bcf86cd799439011",
}
_IF_NONE_MATCH = {
    "name": "If-None-Match",
    "in": "header",
    "description": "The ETag of the answer the client has; 304 when it still holds.",
    "schema": {"type": "string"},
}
_PAGE = {
    "name": "page",
    "in": "query",
    "description": "Which page, from 1; anything else counts as 1.",
    "schema": {"type": "integer", "minimum": 1, "default": 1},
}
_PAGE_SIZE = {
    "name": "pageSize",
    "in": "query",
    "description": "Items on a page; brought into the range that the service allows.",
    "schema": {"type": "integer", "minimum": 1, "default": 20},
}
_SINCE = {
    "name": "since",
    "in": "query",
    "description": "The token of the last answer; without one, what is on the list is told.",
    "schema": {"type": "string"},
}
_LIMIT = {
    "name": "limit",
    "in": "query",
    "description": "Most changes to tell.",
    "schema": {"type": "integer", "minimum": 1, "maximum": MOST_CHANGES, "default": DEFAULT_CHANGES},
}
_CONFIRM = {
    "name": "confirm",
    "in": "query",
    "description": "That the list shall be cleared, whatever is on it; required without `If-Match`.",
    "schema": {"type": "string", "enum": ["true"]},
}
_IF_MATCH = {
    "name": "If-Match",
    "in": "header",
    "description": "The ETag of the export, or of the first page of this `pageSize`: only what is there then goes.",
    "schema": {"type": "string"},
}
_MODE = {
    "name": "mode",
    "in": "query",
    "description": "Whether the items come to those that are on the list, or take their place.",
    "schema": {"type": "string", "enum": ["merge", "replace"], "default": "merge"},
}
_SELECTING = [
    {
        "name": "type",
        "in": "query",
        "description": "Only items of this type.",
        "schema": {"type": "string", "enum": list(CONTENT_TYPES)},
    },
    {
        "name": "genre",
        "in": "query",
        "description": "Only items of this genre, in upper or lower case; one that no movie or show has is refused.",
        "schema": {"type": "string", "minLength": 1, "maxLength": LONGEST_GENRE},
        "example": "SciFi",
    },
    {
        "name": "sort",
        "in": "query",
        "description": "What the items are sorted by; `addedAt` unless given.",
        "schema": {"type": "string", "enum": list(SORTS)},
    },
    {
        "name": "order",
        "in": "query",
        "description": "`asc` for titles and `desc` for dates unless given.",
        "schema": {"type": "string", "enum": list(ORDERS)},
    },
    {
        "name": "cursor",
        "in": "query",
        "allowEmptyValue": True,
        "description": "Empty to begin, then the `nextCursor` of the answer before; in place of `page`.",
        "schema": {"type": "string", "pattern": "^[A-Za-z0-9_-]*$", "maxLength": LONGEST_CURSOR},
    },
    {
        "name": "view",
        "in": "query",
        "description": "`ids` leaves the movies and shows out.",
        "schema": {"type": "string", "enum": list(VIEWS)},
    },
]
_CONTENT_ID = {
    "name": "contentId",
    "in": "path",
    "required": True,
    "description": "Which movie or show.",
    "schema": {"type": "string"},
    "example": "507f1f77bcf86cd799439012",
}
_REQUEST_ID = {
    "X-Request-ID": {
        "description": "The one of the request if it had a usable one, else a new one; log lines have it too.",
        "required": True,
        "schema": {"type": "string", "pattern": "^[A-Za-z0-9._~:@|/+=-]{1,128}$"},
    }
}
_ETAG = {
    "ETag": {
        "description": "Stays as long as the body does.",
        "required": True,
        "schema": {"type": "string", "pattern": '^"[0-9a-f]{16}"$'},
    }
}
_X_CACHE = {
    "X-Cache": {
        "description": "How the cache took part.",
        "required": True,
        "schema": {"type": "string", "enum": [result.value for result in CacheResult]},
    }
}
_LINK = {
    "Link": {
        "description": "With any of `type`, `genre`, `sort`, `order`, `cursor` or `view`: where to go on (RFC 8288).",
        "schema": {"type": "string"},
    }
}
_RETRY_AFTER = {
    "Retry-After": {
        "description": "Seconds after which trying again makes sense.",
        "required": True,
        "schema": {"type": "integer", "minimum": 1},
    }
}
_WWW_AUTHENTICATE = {
    "WWW-Authenticate": {
        "description": "`Bearer`, and what is wrong with the token that was sent.",
        "required": True,
        "schema": {"type": "string"},
    }
}
_STRUCTS = (
    schemas.AddRequest,
    schemas.AddResponse,
    schemas.PutRequest,
    schemas.PutResponse,
    schemas.BatchRequest,
    schemas.BatchResponse,
    schemas.ContainsRequest,
    schemas.ContainsResponse,
    schemas.ChangesResponse,
    schemas.ClearResponse,
    schemas.ExportedItem,
    schemas.ImportLine,
    schemas.ImportedLine,
    schemas.LimitsResponse,
    schemas.RemoveResponse,
    schemas.ItemsResponse,
    schemas.SelectionResponse,
    schemas.IdsResponse,
    schemas.StatsResponse,
    schemas.HealthResponse,
    schemas.LivenessResponse,
    schemas.ReadinessResponse,
    schemas.ErrorResponse,
)


@cache
def document(auth_mode: str = "header") -> bytes:
    """Gives the document as indented JSON, as it is with this `AUTH_MODE`."""
    _, components = msgspec.json.schema_components(_STRUCTS, ref_template="#/components/schemas/{name}")
    # Required in the contract; optional in the structs only so that their absence gets its documented message.
    for request in (components["AddRequest"], components["PutRequest"]):
        request["required"] = list(request["properties"])
        request["properties"] = {name: _required_text(each) for name, each in request["properties"].items()}
        request["properties"]["contentType"]["enum"] = list(CONTENT_TYPES)
    components["ContainsRequest"]["required"] = ["contentIds"]
    components["ContainsRequest"]["properties"]["contentIds"] = {
        "type": "array",
        "items": {"type": "string"},
        "maxItems": schemas.MOST_IDS,
        "examples": [["507f1f77bcf86cd799439012"]],
    }
    content = {
        "openapi": "3.1.0",
        "info": {
            "title": "My List",
            "version": __version__,
            "description": "Each user's saved movies and TV shows.",
            "license": {"name": "ISC", "identifier": "ISC"},
        },
        "paths": _paths(),
        "components": {"schemas": components},
    }
    if auth_mode == "jwt":
        _identify_by_token(content)
    return msgspec.json.format(msgspec.json.encode(content), indent=2)


@blueprint.route("/openapi.json", methods=["GET", "HEAD"])
async def openapi(request: ApiRequest) -> HTTPResponse:
    """Gives the OpenAPI document."""
    return json_response(request, document(request.app.ctx.settings.auth_mode))


def _identify_by_token(content: dict[str, Any]) -> None:
    """Puts a bearer token in the place of the header `user-id`."""
    content["components"]["securitySchemes"] = {"bearer": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}}
    for item in content["paths"].values():
        for method, operation in item.items():
            if _USER_ID in operation["parameters"]:
                operation["parameters"] = [each for each in operation["parameters"] if each is not _USER_ID]
                operation["security"] = [{"bearer": []}]
                refusal = _response(401, None if method == "head" else schemas.ErrorResponse)
                refusal["headers"] |= _WWW_AUTHENTICATE
                operation["responses"]["401"] = refusal


def _required_text(schema: dict[str, Any]) -> dict[str, Any]:
    text = {"type": "string", "minLength": 1}
    return text | {name: schema[name] for name in ("examples",) if name in schema}


def _paths() -> dict[str, Any]:
    lists, health = "list", "health"
    return {
        "/api/mylist/add": {
            "post": _operation(
                "addItem",
                lists,
                "Add a movie or show to the list",
                [_USER_ID],
                {201: schemas.AddResponse},
                [400, 404, 409, 413, 422, 503],
                body=schemas.AddRequest,
            )
        },
        "/api/mylist/remove/{contentId}": {
            "delete": _operation(
                "removeItem",
                lists,
                "Remove an item from the list",
                [_USER_ID, _CONTENT_ID],
                {200: schemas.RemoveResponse},
                [400, 404, 503],
            )
        },
        "/api/mylist/items": _items(lists)
        | {
            "delete": _operation(
                "clearItems",
                lists,
                "Remove everything from the list",
                [_USER_ID, _CONFIRM, _IF_MATCH, _PAGE_SIZE],
                {200: schemas.ClearResponse},
                [400, 412, 428, 503],
            )
        },
        "/api/mylist/items/{contentId}": {
            "put": _operation(
                "putItem",
                lists,
                "See to it that a movie or show is on the list",
                [_USER_ID, _CONTENT_ID],
                {200: schemas.PutResponse, 201: schemas.PutResponse},
                [400, 404, 409, 413, 422, 503],
                body=schemas.PutRequest,
            ),
            "delete": _operation(
                "discardItem",
                lists,
                "See to it that an item is not on the list",
                [_USER_ID, _CONTENT_ID],
                {204: None},
                [400, 503],
            ),
        },
        "/api/mylist/batch": {
            "post": _operation(
                "changeItems",
                lists,
                f"Add and remove up to {schemas.MOST_IDS} movies and shows at once",
                [_USER_ID],
                {200: schemas.BatchResponse},
                [400, 413, 422, 503],
                body=schemas.BatchRequest,
            )
        },
        "/api/mylist/contains": {"post": _contains(lists)},
        "/api/mylist/stats": _readable("Stats", lists, "Count the list by type", [_USER_ID], schemas.StatsResponse),
        "/api/mylist/changes": _changes(lists),
        "/api/mylist/export": _export(lists),
        "/api/mylist/import": {"post": _import(lists)},
        "/api/mylist/limits": _readable("Limits", lists, "What may be asked for", [], schemas.LimitsResponse),
        "/health": _readable("Health", health, "Whether the API answers", [], schemas.HealthResponse),
        "/livez": _readable("Liveness", health, "Whether the process is alive", [], schemas.LivenessResponse),
        "/readyz": _readable(
            "Readiness",
            health,
            "Whether the process wants traffic",
            [],
            schemas.ReadinessResponse,
            not_ready=True,
        ),
    }


def _changes(tag: str) -> dict[str, Any]:
    operations = _readable(
        "Changes",
        tag,
        "What was added and removed since, oldest first",
        [_USER_ID, _SINCE, _LIMIT],
        schemas.ChangesResponse,
        cached=False,
    )
    operations["get"]["responses"]["410"] = _response(410, schemas.ErrorResponse)
    operations["head"]["responses"]["410"] = _response(410, None)
    return operations


def _export(tag: str) -> dict[str, Any]:
    operations = _readable(
        "Export", tag, "The whole list as JSON Lines, newest first", [_USER_ID], schemas.ExportedItem
    )
    operations["get"]["responses"]["200"]["content"] = _lines_of(schemas.ExportedItem)
    return operations


def _import(tag: str) -> dict[str, Any]:
    operation = _operation(
        "importItems",
        tag,
        "Put the items of an export on the list, a line each, or in place of it",
        [_USER_ID, _MODE],
        {200: schemas.ImportedLine},
        [400, 413, 422, 503],
        body=schemas.ImportLine,
    )
    operation["requestBody"]["content"] = _lines_of(schemas.ImportLine)
    operation["responses"]["200"]["content"] = _lines_of(schemas.ImportedLine)
    return operation


def _items(tag: str) -> dict[str, Any]:
    operations = _readable(
        "Items",
        tag,
        "Read a page of the list, newest first, or what else of it is selected",
        [_USER_ID, _PAGE, _PAGE_SIZE, *_SELECTING],
        schemas.ItemsResponse,
    )
    for operation in operations.values():
        for status in ("200", "304"):
            operation["responses"][status]["headers"] |= _LINK
    answers = (schemas.ItemsResponse, schemas.SelectionResponse, schemas.IdsResponse)
    operations["get"]["responses"]["200"]["content"] = {
        "application/json": {"schema": {"anyOf": [_reference_to(each) for each in answers]}}
    }
    return operations


def _contains(tag: str) -> dict[str, Any]:
    operation = _operation(
        "containsItems",
        tag,
        f"Whether each of up to {schemas.MOST_IDS} movies and shows is on the list",
        [_USER_ID],
        {200: schemas.ContainsResponse},
        [400, 413, 503],
        body=schemas.ContainsRequest,
    )
    operation["responses"]["200"]["headers"] |= _X_CACHE
    return operation


def _readable(  # noqa: PLR0913 - private, one line per part of an operation
    name: str,
    tag: str,
    summary: str,
    parameters: list[Any],
    answer: type[msgspec.Struct],
    *,
    not_ready: bool = False,
    cached: bool = True,
) -> dict[str, Any]:
    answers: dict[int, type[msgspec.Struct] | None] = {200: answer, 304: None}
    errors = [400, 503] if parameters else []
    if not_ready:
        answers[503] = answer
    headers = _ETAG | _X_CACHE if parameters and cached else _ETAG
    parameters = [*parameters, _IF_NONE_MATCH]
    operations = {
        "get": _operation(f"get{name}", tag, summary, parameters, answers, errors),
        "head": _operation(
            f"head{name}",
            tag,
            f"{summary} (headers only)",
            parameters,
            dict.fromkeys(answers),
            errors,
            no_bodies=True,
        ),
    }
    for operation in operations.values():
        for status in ("200", "304"):
            operation["responses"][status]["headers"] |= headers
    return operations


def _operation(  # noqa: PLR0913 - private, one line per part of an operation
    name: str,
    tag: str,
    summary: str,
    parameters: Sequence[Any],
    answers: dict[int, Any],
    errors: Sequence[int],
    *,
    body: type[msgspec.Struct] | None = None,
    no_bodies: bool = False,
) -> dict[str, Any]:
    responses = {str(status): _response(status, answer) for status, answer in answers.items()}
    responses |= {str(status): _response(status, None if no_bodies else schemas.ErrorResponse) for status in errors}
    if 503 in errors:  # noqa: PLR2004 - HTTP's own
        responses["503"]["headers"] |= _RETRY_AFTER
    operation: dict[str, Any] = {
        "operationId": name,
        "tags": [tag],
        "summary": summary,
        "parameters": parameters,
        "responses": responses,
    }
    if body:
        operation["requestBody"] = {"required": True, "content": _json_of(body)}
    return operation


def _response(status: int, answer: type[msgspec.Struct] | None) -> dict[str, Any]:
    response: dict[str, Any] = {"description": HTTPStatus(status).phrase, "headers": dict(_REQUEST_ID)}
    if answer:
        response["content"] = _json_of(answer)
    return response


def _json_of(struct: type[msgspec.Struct]) -> dict[str, Any]:
    return {"application/json": {"schema": _reference_to(struct)}}


def _lines_of(struct: type[msgspec.Struct]) -> dict[str, Any]:
    # The schema of a line: OpenAPI 3.1 has no word for a sequence of them.
    return {"application/x-ndjson": {"schema": _reference_to(struct)}}


def _reference_to(struct: type[msgspec.Struct]) -> dict[str, str]:
    return {"$ref": f"#/components/schemas/{struct.__name__}"}
