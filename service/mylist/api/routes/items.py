"""The routes of a list's items."""

from functools import lru_cache
from typing import TypeVar

import msgspec
from msgspec import UNSET, UnsetType
from sanic import HTTPResponse

from mylist.api import parameters, schemas
from mylist.api.change_requests import (
    addition_conditions,
    change_conditions,
    parse_add_request,
    parse_batch_request,
    parse_put_request,
)
from mylist.api.read_requests import parse_contains_request, parse_items_query
from mylist.api.route import JSON, Answer, Body, RouteTable
from mylist.domain.batch import Batch
from mylist.domain.conditions import Conditions
from mylist.domain.content import ContentType, RequestedId, requested
from mylist.domain.item import Item
from mylist.domain.limits import MAX_IDS_PER_REQUEST
from mylist.domain.page_request import ContainsKey, ItemsQuery, PageRequest
from mylist.domain.timestamps import iso_format_milliseconds
from mylist.http.request import FORM, ApiRequest
from mylist.http.responses import json_response

route = RouteTable()

_Outcome = TypeVar("_Outcome", bound=str)

_encode = msgspec.json.Encoder().encode
_REMOVED = _encode(schemas.RemoveResponse(success=True, message="Item removed from your list"))
_parse_remembered_query = lru_cache(maxsize=4096)(parse_items_query)
_MAX_REMEMBERED_LENGTH = 128
"""Longer query strings hardly ever recur, and would only use up memory."""


@route(
    "POST",
    "/api/mylist/add",
    operation="addItem",
    summary="Add a movie or show to the list",
    kind="write",
    parameters=[parameters.UNLESS_REMOVED_SINCE, *parameters.CONDITIONS],
    query=addition_conditions,
    body=Body(schemas.AddRequest, parse_add_request, (JSON, FORM)),
    answers={201: Answer(schemas.AddResponse)},
    errors=[400, 404, 409, 410, 412, 413, 415, 422, 503],
)
async def add(
    request: ApiRequest, user_id: str, conditions: Conditions, addition: tuple[RequestedId, ContentType]
) -> HTTPResponse:
    """Add a movie or show to the user's list."""
    item = await request.app.ctx.writer.add(user_id, *addition, conditions)
    data = _added_item(user_id, item)
    body = _encode(schemas.AddResponse(success=True, message="Item added to your list", data=data))
    return json_response(request, body, status=201)


@route(
    "DELETE",
    "/api/mylist/remove/<content_id:str>",
    operation="removeItem",
    summary="Remove an item from the list",
    kind="write",
    parameters=[parameters.LISTED_ID, *parameters.CONDITIONS],
    query=change_conditions,
    answers={200: Answer(schemas.RemoveResponse)},
    errors=[400, 404, 409, 412, 503],
)
async def remove(request: ApiRequest, user_id: str, conditions: Conditions, content_id: str) -> HTTPResponse:
    """Remove an item from the user's list."""
    await request.app.ctx.writer.remove(user_id, requested(content_id), conditions)
    return json_response(request, _REMOVED)


def _items_query(request: ApiRequest) -> PageRequest | ItemsQuery:
    settings = request.app.ctx.settings
    query = request.query_string
    parse = _parse_remembered_query if len(query) <= _MAX_REMEMBERED_LENGTH else parse_items_query
    return parse(query, settings.default_page_size, settings.max_page_size)


@route(
    "GET",
    "/api/mylist/items",
    operation="getItems",
    summary="Read a page of the list, newest first, or filter and sort the list",
    kind="read",
    parameters=[parameters.PAGE, parameters.PAGE_SIZE, *parameters.SELECTION],
    query=_items_query,
    answers={
        200: Answer(
            (schemas.ItemsResponse, schemas.SelectionResponse, schemas.IdsResponse),
            headers=parameters.X_CACHE | parameters.PAGING,
        )
    },
    errors=[400, 503],
)
async def items(request: ApiRequest, user_id: str, query: PageRequest | ItemsQuery) -> HTTPResponse:
    """Return one page of the user's list, or of a query's result."""
    page, cache = await request.app.ctx.reader.items(user_id, query, request)
    return json_response(request, page.body, etag=page.etag, cache=cache, head=page.head)


@route(
    "PUT",
    "/api/mylist/items/<content_id:str>",
    operation="putItem",
    summary="Ensure that a movie or show is on the list",
    kind="write",
    parameters=[parameters.CONTENT_ID, parameters.UNLESS_REMOVED_SINCE, *parameters.CONDITIONS],
    query=addition_conditions,
    body=Body(schemas.PutRequest, parse_put_request, (JSON, FORM)),
    answers={200: Answer(schemas.PutResponse), 201: Answer(schemas.PutResponse)},
    errors=[400, 404, 409, 410, 412, 413, 415, 422, 503],
)
async def put(
    request: ApiRequest, user_id: str, conditions: Conditions, content_type: ContentType, content_id: str
) -> HTTPResponse:
    """Ensure that a movie or show is on the user's list. Repeating the request returns the same answer."""
    item, is_new = await request.app.ctx.writer.put(user_id, requested(content_id), content_type, conditions)
    data = _added_item(user_id, item)
    body = _encode(schemas.PutResponse(success=True, message="Item is in your list", data=data))
    return json_response(request, body, status=201 if is_new else 200)


@route(
    "DELETE",
    "/api/mylist/items/<content_id:str>",
    operation="discardItem",
    summary="Ensure that an item is not on the list",
    kind="write",
    parameters=[parameters.CONTENT_ID, *parameters.CONDITIONS],
    query=change_conditions,
    answers={204: Answer()},
    errors=[400, 409, 412, 503],
)
async def discard(request: ApiRequest, user_id: str, conditions: Conditions, content_id: str) -> HTTPResponse:
    """Ensure that an item is not on the user's list."""
    await request.app.ctx.writer.discard(user_id, requested(content_id), conditions)
    return json_response(request, b"", status=204)


@route(
    "POST",
    "/api/mylist/batch",
    operation="changeItems",
    summary=f"Add and remove up to {MAX_IDS_PER_REQUEST} movies and shows at once",
    kind="write",
    parameters=[parameters.UNLESS_REMOVED_SINCE, *parameters.CONDITIONS],
    query=addition_conditions,
    body=Body(schemas.BatchRequest, parse_batch_request),
    answers={200: Answer(schemas.BatchResponse)},
    errors=[400, 410, 412, 413, 415, 422, 503],
)
async def batch(request: ApiRequest, user_id: str, conditions: Conditions, changes: Batch) -> HTTPResponse:
    """Remove and add many items at once, and return the outcome of each."""
    result = await request.app.ctx.writer.apply_batch(user_id, changes, conditions)
    outcomes = schemas.BatchOutcomes(
        [schemas.AddOutcome(*_named(each, outcome)) for each, outcome in result.add],
        [schemas.RemoveOutcome(*_named(each, outcome)) for each, outcome in result.remove],
    )
    return json_response(request, _encode(schemas.BatchResponse(success=True, data=outcomes)))


@route(
    "POST",
    "/api/mylist/contains",
    operation="containsItems",
    summary=f"Check which of up to {MAX_IDS_PER_REQUEST} movies and shows are on the list",
    kind="read",
    body=Body(schemas.ContainsRequest, parse_contains_request),
    answers={200: Answer(schemas.ContainsResponse, headers=parameters.X_CACHE)},
    errors=[400, 409, 413, 415, 503],
)
async def contains(request: ApiRequest, user_id: str, asked: tuple[list[str], ContainsKey]) -> HTTPResponse:
    """Return which of some movies and shows are on the user's list."""
    page, cache = await request.app.ctx.reader.contains(user_id, *asked)
    return json_response(request, page.body, cache=cache)


@route(
    "GET",
    "/api/mylist/stats",
    operation="getStats",
    summary="Count the list by type",
    kind="read",
    answers={200: Answer(schemas.StatsResponse, headers=parameters.X_CACHE)},
    errors=[400, 503],
)
async def stats(request: ApiRequest, user_id: str) -> HTTPResponse:
    """Return how many items of each type are on the user's list."""
    movies, shows, cache = await request.app.ctx.reader.counts(user_id)
    data = schemas.StatsData(movies + shows, schemas.TypeCounts(movies, shows))
    return json_response(request, _encode(schemas.StatsResponse(success=True, data=data)), cache=cache)


def _named(requested: RequestedId, outcome: _Outcome) -> tuple[str | None, _Outcome, str | UnsetType]:
    """Return the outcome of an id of a batch, with the ids by which the client knows the title."""
    if not requested.is_external:
        return requested.text, outcome, UNSET
    return requested.content_id.hex() if requested.content_id else None, outcome, requested.text


def _added_item(user_id: str, item: Item) -> schemas.AddedItem:
    added_at = iso_format_milliseconds(item.added_at).decode()
    return schemas.AddedItem(user_id, item.content_id.hex(), item.content_type, added_at)
