"""The routes of the list: `/api/mylist`."""

import msgspec
from sanic import Blueprint, HTTPResponse

from mylist.api.context import Context
from mylist.api.cursors import decode_cursor
from mylist.api.pages import Question, RenderedPage
from mylist.api.paging import Paging
from mylist.api.request import ApiRequest
from mylist.api.responses import json_response
from mylist.api.schemas import (
    AddedItem,
    AddOutcome,
    AddResponse,
    BatchOutcomes,
    BatchResponse,
    ContainsResponse,
    Presence,
    PutResponse,
    RemoveOutcome,
    RemoveResponse,
    StatsData,
    StatsResponse,
    TypeCounts,
    decode_add_request,
    decode_batch_request,
    decode_contains_request,
    decode_put_request,
)
from mylist.api.selection import Selection, parse_reading
from mylist.lists.item import Item, iso_format_milliseconds, parse_content_ids
from mylist.lists.value import ListValue

blueprint = Blueprint("mylist", url_prefix="/api/mylist")

_encode = msgspec.json.Encoder().encode
_REMOVED = _encode(RemoveResponse(success=True, message="Item removed from your list"))


@blueprint.post("/add")
async def add(request: ApiRequest) -> HTTPResponse:
    """Adds a movie or show to the user's list."""
    user_id = request.user_id
    content_id, content_type = decode_add_request(request.body, request.content_type)
    context = request.app.ctx
    with context.admission:
        item = await context.lists.add(user_id, content_id, content_type)
    body = _encode(AddResponse(success=True, message="Item added to your list", data=_entry(user_id, item)))
    return json_response(request, body, status=201)


@blueprint.delete("/remove/<content_id:str>", unquote=True, ignore_body=False)
async def remove(request: ApiRequest, content_id: str) -> HTTPResponse:
    """Removes an item from the user's list."""
    user_id = request.user_id
    context = request.app.ctx
    with context.admission:
        await context.lists.remove(user_id, content_id)
    return json_response(request, _REMOVED)


@blueprint.put("/items/<content_id:str>", unquote=True)
async def put(request: ApiRequest, content_id: str) -> HTTPResponse:
    """Sees to it that a movie or show is on the user's list; the same answer however often it is asked for."""
    user_id = request.user_id
    content_type = decode_put_request(request.body, request.content_type)
    context = request.app.ctx
    with context.admission:
        item, is_new = await context.lists.put(user_id, content_id, content_type)
    body = _encode(PutResponse(success=True, message="Item is in your list", data=_entry(user_id, item)))
    return json_response(request, body, status=201 if is_new else 200)


@blueprint.delete("/items/<content_id:str>", unquote=True, ignore_body=False)
async def discard(request: ApiRequest, content_id: str) -> HTTPResponse:
    """Sees to it that an item is not on the user's list."""
    user_id = request.user_id
    context = request.app.ctx
    with context.admission:
        await context.lists.discard(user_id, content_id)
    return json_response(request, b"", status=204)


@blueprint.post("/batch")
async def batch(request: ApiRequest) -> HTTPResponse:
    """Adds and removes many items at once, and says what became of each."""
    user_id = request.user_id
    wanted = decode_batch_request(request.body, request.content_type)
    context = request.app.ctx
    with context.admission:
        done = await context.lists.change(user_id, wanted)
    outcomes = BatchOutcomes(
        [AddOutcome(content_id, outcome) for content_id, outcome in done.add],
        [RemoveOutcome(content_id, outcome) for content_id, outcome in done.remove],
    )
    return json_response(request, _encode(BatchResponse(success=True, data=outcomes)))


@blueprint.post("/contains")
async def contains(request: ApiRequest) -> HTTPResponse:
    """Says which of some movies and shows are on the user's list."""
    user_id = request.user_id
    question = Question(request.content_type, request.body)
    content_ids = decode_contains_request(question.body, question.content_type)
    context = request.app.ctx
    with context.admission:
        value, cache = await context.lists.read(user_id, first=question.last)
        answer = context.pages.find(user_id, question, value)
        if answer is None:
            present = Presence(value.contains(parse_content_ids(content_ids)))
            body = _encode(ContainsResponse(success=True, data=present))
            answer = context.pages.render_answer(user_id, question, value, body)
    return json_response(request, answer.body, cache=cache)


@blueprint.route("/items", methods=["GET", "HEAD"])
async def items(request: ApiRequest) -> HTTPResponse:
    """Gives one page of the user's list, newest first, with the movies and shows; or what else of it is selected."""
    user_id = request.user_id
    context = request.app.ctx
    asked = parse_reading(request.query_string, context.settings.default_page_size, context.settings.max_page_size)
    with context.admission:
        value, cache = await context.lists.read(user_id, first=asked.last)
        page = context.pages.find(user_id, asked, value)
        if page is None:
            page = await _render(context, user_id, asked, value)
    return json_response(request, page.body, etag=page.etag, cache=cache, link=page.link)


@blueprint.route("/stats", methods=["GET", "HEAD"])
async def stats(request: ApiRequest) -> HTTPResponse:
    """Counts the user's list by type."""
    user_id = request.user_id
    context = request.app.ctx
    with context.admission:
        value, cache = await context.lists.read(user_id, first=0)
    data = StatsData(value.total, TypeCounts(value.movies, value.shows))
    return json_response(request, _encode(StatsResponse(success=True, data=data)), cache=cache)


async def _render(context: Context, user_id: str, asked: Paging | Selection, value: ListValue) -> RenderedPage:
    if isinstance(asked, Paging):
        return context.pages.render(user_id, asked, value, await context.lists.contents(value, *asked))
    arrangement, (page, page_size) = asked.arrangement, asked.paging
    start = decode_cursor(asked.cursor, user_id, arrangement) if asked.cursor else (page - 1) * page_size
    excerpt = await context.lists.select(value, arrangement, start, page_size, ids_only=asked.ids_only)
    return context.pages.render_selection(user_id, asked, value, excerpt)


def _entry(user_id: str, item: Item) -> AddedItem:
    added_at = iso_format_milliseconds(item.added_at).decode()
    return AddedItem(user_id, item.content_id.hex(), item.content_type, added_at)
