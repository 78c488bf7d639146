"""The routes of a whole list: clear, export, import."""

import asyncio
import time
from codecs import BOM_UTF8
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, nullcontext
from datetime import UTC, datetime
from io import BytesIO

import msgspec
from msgspec import UNSET
from sanic import HTTPResponse
from sanic.exceptions import PayloadTooLarge

from mylist.api import parameters
from mylist.api.change_requests import ImportQuery, clearing_conditions, import_query, parse_import_line
from mylist.api.route import JSON_LINES, Answer, Body, RouteTable
from mylist.api.schemas import ClearData, ClearResponse, ExportedItem, ImportedLine, ImportLine
from mylist.domain.conditions import Conditions
from mylist.domain.errors import (
    InvalidJsonError,
    PartlyAppliedError,
    UnavailableError,
)
from mylist.domain.limits import IMPORT_TIMEOUT_S, MAX_CLOCK_SKEW, max_import_bytes, max_import_lines
from mylist.http.request import ApiRequest
from mylist.http.responses import json_response, lines_response
from mylist.http.services import Services
from mylist.lists import list_import
from mylist.lists.external_lines import ExternalLine, with_titles
from mylist.lists.list_import import LineResult, NumberedLine
from mylist.lists.writer import ListWriter

route = RouteTable()

_LINES_PER_TURN = 100
_MAX_PAUSE_S = 0.05
"""Between the turns of one import."""
IMPORT_TYPES = (
    JSON_LINES,
    "application/ndjson",
    "application/jsonl",
    "application/x-jsonlines",
    "application/json-lines",
)

# Of the sample: the first is not on its list, the second is.
_LINES_EXAMPLE = """\
{"contentId":"507f1f77bcf86cd799439012","contentType":"movie","addedAt":"2024-01-20T10:30:00.000Z"}
{"contentId":"507f1f77bcf86cd7994390a1","contentType":"tvshow","addedAt":"2024-01-17T20:01:00.000Z"}
"""
_OUTCOMES_EXAMPLE = """\
{"line":1,"contentId":"507f1f77bcf86cd799439012","outcome":"added"}
{"line":2,"contentId":"507f1f77bcf86cd7994390a1","outcome":"existing"}
"""

_encode = msgspec.json.Encoder().encode
_encode_lines = msgspec.json.Encoder().encode_lines


@route(
    "DELETE",
    "/api/mylist/items",
    operation="clearItems",
    summary="Remove everything from the list",
    kind="write",
    parameters=[parameters.CONFIRM, *parameters.CONDITIONS],
    query=clearing_conditions,
    answers={200: Answer(ClearResponse)},
    errors=[400, 412, 428, 503],
)
async def clear(request: ApiRequest, user_id: str, conditions: Conditions) -> HTTPResponse:
    """Remove everything from the user's list; with conditions, only the items that were compared."""
    removed = await request.app.ctx.writer.clear(user_id, conditions=conditions)
    answer = ClearResponse(success=True, message="Your list was cleared", data=ClearData(removed))
    return json_response(request, _encode(answer))


@route(
    "GET",
    "/api/mylist/export",
    operation="getExport",
    summary="The whole list as JSON Lines, newest first",
    kind="read",
    answers={
        200: Answer(
            ExportedItem,
            headers=parameters.X_CACHE | parameters.X_TOTAL_COUNT,
            content_type=JSON_LINES,
            example=_LINES_EXAMPLE,
        )
    },
    errors=[400, 503],
)
async def export(request: ApiRequest, user_id: str) -> HTTPResponse:
    """Return the user's whole list, one line an item, newest first."""
    exported = await request.app.ctx.reader.export(user_id)
    return lines_response(request, exported.body, etag=exported.etag, cache=exported.cache, total=exported.total)


def _import_query(request: ApiRequest) -> ImportQuery:
    """Return the parameters and conditions of an import.

    Raises:
        UnknownParameterError: it has a parameter that is not known.
        InvalidParameterError: a parameter has an invalid value.
        InvalidJsonError: the body is not JSON Lines by its media type.
    """
    query = import_query(request)
    if request.media_type not in IMPORT_TYPES:
        raise InvalidJsonError("The body must be JSON Lines, with Content-Type: application/x-ndjson")
    return query


@route(
    "POST",
    "/api/mylist/import",
    operation="importItems",
    summary="Put the items of an export on the list, a line each, or in place of it",
    kind="import",
    parameters=[
        parameters.MODE,
        parameters.CONFIRM,
        parameters.TOTAL,
        parameters.UNLESS_REMOVED_SINCE,
        *parameters.CONDITIONS,
    ],
    query=_import_query,
    body=Body(ImportLine, media_types=IMPORT_TYPES, example=_LINES_EXAMPLE),
    answers={200: Answer(ImportedLine, content_type=JSON_LINES, example=_OUTCOMES_EXAMPLE)},
    errors=[400, 410, 412, 413, 415, 422, 428, 503],
)
async def import_(request: ApiRequest, user_id: str, query: ImportQuery) -> HTTPResponse:
    """Put the items of an export on the user's list, or make them the list; return the outcome of each line.

    An import takes a place when its body is there, so a slow client holds only its user's share.
    """
    services = request.app.ctx
    max_list_size = services.settings.max_list_size
    parts = request.parts(max_import_bytes(max_list_size), within=IMPORT_TIMEOUT_S)
    async with services.import_bodies.receive(parts) as body:
        if body.count(b"\n") > max_import_lines(max_list_size):
            raise PayloadTooLarge("Too many lines")
        with services.import_places.place():
            async with _turn(services.writer, user_id, query):
                lines = with_titles(services.catalogue, _lines(body))
                outcomes = await _outcomes(services, _results(services.writer, user_id, lines, query))
    return lines_response(request, outcomes)


def _turn(writer: ListWriter, user_id: str, query: ImportQuery) -> AbstractAsyncContextManager[None]:
    depends_on_list = query.mode == "replace" or query.conditions.name_etags
    return writer.alone(user_id) if depends_on_list else nullcontext()


def _results(
    writer: ListWriter, user_id: str, lines: AsyncIterator[NumberedLine], query: ImportQuery
) -> AsyncIterator[list[LineResult]]:
    if query.mode == "replace":
        return list_import.replace(writer, user_id, lines, query.conditions, query.total)
    return list_import.merge(writer, user_id, lines, query.conditions)


async def _outcomes(services: Services, results: AsyncIterator[list[LineResult]]) -> list[bytes]:
    """Return the outcome of each line, encoded; take turns with other imports.

    Raises:
        PartlyAppliedError: a store failed, or the time was up, after some lines.
    """

    async def next_results() -> list[LineResult] | None:
        try:
            return await anext(results, None)
        finally:
            services.import_turns.release()

    parts: list[bytes] = []
    lines = 0
    try:
        while True:
            await services.import_turns.acquire()
            # If the client goes away, the turn goes on to its end, and the next one waits for that.
            began = time.thread_time()
            step = services.writer.start(next_results())
            try:
                part = await asyncio.shield(step)
            except asyncio.CancelledError:
                await asyncio.wait((step,))  # what it changes must not come in between what others do
                raise
            if part is None:
                return parts
            parts.append(_encode_lines([_imported_line(result) for result in part]))
            lines = part[-1].number or lines
            # Others get the thread for as long as it was in use during this turn, by this import or by them: an import
            # goes on at once while the process is idle, and falls back while it is busy.
            await asyncio.sleep(min(time.thread_time() - began, _MAX_PAUSE_S))
    except UnavailableError as error:
        if not lines:
            raise
        raise PartlyAppliedError(f"the lines up to {lines} took effect, the rest may or may not") from error


async def _lines(body: bytearray) -> AsyncIterator[NumberedLine | ExternalLine]:
    latest = datetime.now(UTC) + MAX_CLOCK_SKEW
    for number, line in enumerate(BytesIO(body), start=1):
        # Files that were put together have a mark in front of each.
        if text := line.strip().removeprefix(BOM_UTF8):
            yield parse_import_line(number, text, latest)
        if not number % _LINES_PER_TURN:
            await asyncio.sleep(0)  # let other requests run


def _imported_line(result: LineResult) -> ImportedLine:
    content_id = result.content_id.hex() if result.content_id else None
    return ImportedLine(result.number, content_id, result.outcome, result.error or UNSET)
