"""A list as a whole: clearing it, and taking it elsewhere and back as JSON Lines."""

import asyncio
from collections.abc import AsyncIterator, Iterable, Iterator
from datetime import UTC, datetime, timedelta
from itertools import islice
from urllib.parse import parse_qs

import msgspec
from msgspec import UNSET
from sanic import Blueprint, HTTPResponse
from sanic.exceptions import PayloadTooLarge, SanicException

from mylist.api.etags import etag_of, is_current
from mylist.api.pages import Export
from mylist.api.paging import Paging, parse_paging
from mylist.api.request import ApiRequest
from mylist.api.responses import json_response, lines_response
from mylist.api.schemas import ClearData, ClearResponse, ExportedItem, ImportedLine, decode_line
from mylist.errors import (
    ConfirmationRequiredError,
    ImportCutShortError,
    InvalidJsonError,
    InvalidParameterError,
    PartlyAppliedError,
    PreconditionFailedError,
    UnavailableError,
)
from mylist.lists import imports
from mylist.lists.imports import Line, Result
from mylist.lists.item import iso_format_milliseconds
from mylist.lists.value import ListValue

blueprint = Blueprint("whole_list", url_prefix="/api/mylist")

# What an import may have for each item that a list may have: twice what an export takes.
_BYTES_PER_ITEM = 256
_LINES_PER_ITEM = 4
_LINES = frozenset({"application/x-ndjson", "application/jsonl"})
_AT_ONCE = 500
# No item was added later than now, by anybody's clock.
_CLOCKS_APART = timedelta(minutes=1)

_encode = msgspec.json.Encoder().encode
_encode_lines = msgspec.json.Encoder().encode_lines


@blueprint.delete("/items", ignore_body=False)
async def clear(request: ApiRequest) -> HTTPResponse:
    """Takes everything off the user's list: what is there, or with `If-Match` what the client has seen."""
    user_id = request.user_id
    confirmed = _choice(request, "confirm", ("true",)) is not None
    wanted = ", ".join(request.headers.getall("if-match", ()))
    if not confirmed and not wanted:
        raise ConfirmationRequiredError
    context = request.app.ctx
    with context.admission:
        seen = await _seen(request, user_id, wanted) if wanted else None
        removed = await context.lists.clear(user_id, seen)
    answer = ClearResponse(success=True, message="Your list was cleared", data=ClearData(removed))
    return json_response(request, _encode(answer))


async def _seen(request: ApiRequest, user_id: str, if_match: str) -> set[bytes]:
    """Gives what is on the list if the client has its export, or its first page, which tells of the others by `total`.

    Raises:
        PreconditionFailedError: it has neither.
    """
    context = request.app.ctx
    settings = context.settings
    given = parse_paging(parse_qs(request.query_string), settings.default_page_size, settings.max_page_size)
    first = Paging(1, given.page_size)
    value, _ = await context.lists.whole(user_id)
    page = context.pages.find(user_id, first, value)
    if page is None:
        page = context.pages.render(user_id, first, value, await context.lists.contents(value, *first))
    if not is_current(if_match, page.etag, etag_of(value.data)):
        raise PreconditionFailedError
    return value.content_ids()


@blueprint.route("/export", methods=["GET", "HEAD"])
async def export(request: ApiRequest) -> HTTPResponse:
    """Gives the user's whole list, a line for each item, newest first."""
    user_id = request.user_id
    context = request.app.ctx
    with context.admission:
        value, cache = await context.lists.whole(user_id)
    lines: bytes | Iterable[bytes]
    if value.total > _AT_ONCE:
        lines = _exported(value)
    else:
        page = context.pages.find(user_id, Export(), value)
        if page is None:
            page = context.pages.render_answer(user_id, Export(), value, b"".join(_exported(value)))
        lines = page.body
    return lines_response(request, lines, etag=etag_of(value.data), cache=cache)


@blueprint.post("/import", ignore_body=True)
async def import_(request: ApiRequest) -> HTTPResponse:
    """Puts the items of an export, a line each, on the user's list, or makes them the list; tells of each line."""
    user_id = request.user_id
    mode = _choice(request, "mode", ("merge", "replace"))
    if request.content_type.partition(";")[0].strip().lower() not in _LINES:
        raise InvalidJsonError("The body must be JSON Lines, with Content-Type: application/x-ndjson")
    context = request.app.ctx
    most = context.settings.max_list_size
    lines = _lines(request, most)
    with context.imports:
        if mode == "replace":
            results = imports.replace(context.lists, user_id, lines, max_items=most)
        else:
            results = imports.merge(context.lists, user_id, lines)
        parts = await _to_the_end(results)
    return lines_response(request, parts)


def most_import_bytes(max_list_size: int) -> int:
    """Gives how long an import may be, in bytes, where a list may have so many items."""
    return _BYTES_PER_ITEM * (max_list_size + 1)


def most_import_lines(max_list_size: int) -> int:
    """Gives how many lines an import may have, where a list may have so many items."""
    return _LINES_PER_ITEM * (max_list_size + 1)


async def _to_the_end(results: AsyncIterator[list[Result]]) -> list[bytes]:
    """Gives what became of each line, encoded.

    Raises:
        PartlyAppliedError: a store went away, or the time was up, after some lines.
        ImportCutShortError: the body ended wrongly after some.
    """
    parts: list[bytes] = []
    lines = 0
    try:
        async for piece in results:
            parts.append(_encode_lines([_told(result) for result in piece]))
            lines = piece[-1].number or lines
            await asyncio.sleep(0)  # others have their turn; lines that are no items wait for nothing
    except UnavailableError as error:
        if not lines:
            raise
        raise PartlyAppliedError(f"the lines up to {lines} took effect, the rest may or may not") from error
    except SanicException as error:
        if not lines:
            raise
        raise ImportCutShortError(lines) from error
    return parts


async def _lines(request: ApiRequest, max_list_size: int) -> AsyncIterator[Line]:
    most_lines = most_import_lines(max_list_size)
    number, rest = 0, bytearray()
    latest = datetime.now(UTC) + _CLOCKS_APART
    async for part in request.body_parts(most_import_bytes(max_list_size), within=imports.PATIENCE):
        rest += part
        if b"\n" not in part:  # to look through all of a long line again, for each of its chunks, would take for ever
            continue
        *lines, rest = rest.split(b"\n")
        for line in lines:
            number += 1
            if number > most_lines:
                raise PayloadTooLarge("Too many lines")
            if line.strip():
                yield Line(number, decode_line(line, latest))
    if rest.strip():
        yield Line(number + 1, decode_line(rest, latest))


def _exported(value: ListValue) -> Iterator[bytes]:
    items = iter(value)
    while piece := list(islice(items, _AT_ONCE)):
        yield _encode_lines(
            ExportedItem(each.content_id.hex(), each.content_type, iso_format_milliseconds(each.added_at).decode())
            for each in piece
        )


def _told(result: Result) -> ImportedLine:
    content_id = result.content_id.hex() if result.content_id else None
    return ImportedLine(result.number, content_id, result.outcome, result.error or UNSET)


def _choice(request: ApiRequest, name: str, values: tuple[str, ...]) -> str | None:
    """Gives the value of a parameter that has to be one of some; None when it is not given.

    Raises:
        InvalidParameterError: it is another, or given more than once.
    """
    given = parse_qs(request.query_string, keep_blank_values=True).get(name)
    if given is None:
        return None
    if len(given) != 1 or given[0] not in values:
        raise InvalidParameterError(name, " or ".join(values))
    return given[0]
