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
from multidict import istr
from sanic import HTTPResponse
from sanic.exceptions import PayloadTooLarge

from mylist.api import parameters
from mylist.api.change_requests import ImportQuery, clearing_conditions, import_query, parse_import_line
from mylist.api.route import JSON_LINES, Answer, Body, RouteTable
from mylist.api.schemas import Candidate, ClearData, ClearResponse, ExportedItem, ImportedLine, ImportLine
from mylist.domain.conditions import Conditions
from mylist.domain.errors import (
    InvalidJsonError,
    PartlyAppliedError,
    UnavailableError,
)
from mylist.domain.limits import (
    IMPORT_TIMEOUT_S,
    MAX_CLOCK_SKEW,
    max_import_bytes,
    max_import_lines,
    max_list_file_bytes,
)
from mylist.domain.timestamps import now_ms, to_milliseconds
from mylist.http.accept import preferred
from mylist.http.request import ApiRequest
from mylist.http.responses import CSV, json_response, lines_response
from mylist.http.services import Services
from mylist.list_files import reading
from mylist.list_files.entry import Entry
from mylist.list_files.matching import ENTRIES_PER_MATCH, TitleMatcher
from mylist.list_files.reading import ListFile, TooManyLinesError, is_pause
from mylist.lists import list_import
from mylist.lists.external_lines import ExternalLine, with_titles
from mylist.lists.list_import import LineResult, NumberedLine
from mylist.lists.some_at_a_time import some_at_a_time
from mylist.lists.writer import ListWriter

route = RouteTable()

_LINES_PER_TURN = 100
_MAX_PAUSE_S = 0.05
"""Pause between the turns of one import."""
IMPORT_TYPES = (
    JSON_LINES,
    "application/ndjson",
    "application/jsonl",
    "application/x-jsonlines",
    "application/json-lines",
)
_EXPORT_TYPES = (JSON_LINES, reading.CSV)
MAX_CANDIDATES_PER_LINE = 10
MAX_CANDIDATES = 10_000
"""Candidates in one answer, which is kept in memory. Later ambiguous lines are reported without candidates."""
_ACCEPT = istr("accept")

# Titles of the sample data: the first is not on the sample list, the second is.
_LINES_EXAMPLE = """\
{"contentId":"507f1f77bcf86cd799439012","contentType":"movie","addedAt":"2024-01-20T10:30:00.000Z"}
{"contentId":"507f1f77bcf86cd7994390a1","contentType":"tvshow","addedAt":"2024-01-17T20:01:00.000Z"}
"""
_OUTCOMES_EXAMPLE = """\
{"line":1,"contentId":"507f1f77bcf86cd799439012","outcome":"added"}
{"line":2,"contentId":"507f1f77bcf86cd7994390a1","outcome":"existing"}
"""

_CSV_EXAMPLE = """\
contentId,contentType,title,year,addedAt,externalIds\r
507f1f77bcf86cd799439012,movie,The Matrix,1999,2024-01-20T10:30:00.000Z,\r
"""
_JSON_EXAMPLE = [{"title": "The Matrix", "year": 1999, "type": "movie", "addedAt": "2024-01-20"}]
_LIST_FILES = {
    reading.CSV: {"schema": {"type": "string"}, "example": _CSV_EXAMPLE},
    reading.JSON: {"schema": {"type": "array", "items": {"type": "object"}}, "example": _JSON_EXAMPLE},
}

_encode = msgspec.json.Encoder().encode
_encode_lines = msgspec.json.Encoder().encode_lines


@route(
    "DELETE",
    "/api/mylist/items",
    operation="clearItems",
    summary="Remove all items from the list",
    kind="write",
    parameters=[parameters.CONFIRM, *parameters.CONDITIONS],
    query=clearing_conditions,
    answers={200: Answer(ClearResponse)},
    errors=[400, 412, 428, 503],
)
async def clear(request: ApiRequest, user_id: str, conditions: Conditions) -> HTTPResponse:
    """Remove all items from the user's list. With conditions, remove only the items that were compared."""
    removed = await request.app.ctx.writer.clear(user_id, conditions=conditions)
    answer = ClearResponse(success=True, message="Your list was cleared", data=ClearData(removed))
    return json_response(request, _encode(answer))


@route(
    "GET",
    "/api/mylist/export",
    operation="getExport",
    summary="Export the whole list as JSON Lines or CSV, newest first",
    kind="read",
    answers={
        200: Answer(
            ExportedItem,
            headers=parameters.X_CACHE | parameters.X_TOTAL_COUNT,
            content_type=JSON_LINES,
            example=_LINES_EXAMPLE,
            others={reading.CSV: _LIST_FILES[reading.CSV]},
        )
    },
    errors=[400, 503],
)
async def export(request: ApiRequest, user_id: str) -> HTTPResponse:
    """Return the user's whole list, one line per item, newest first."""
    reader = request.app.ctx.reader
    is_csv = preferred(", ".join(request.headers.getall(_ACCEPT, ())), _EXPORT_TYPES) == reading.CSV
    exported = await (reader.export_csv(user_id) if is_csv else reader.export(user_id))
    return lines_response(
        request,
        exported.body,
        etag=exported.etag,
        cache=exported.cache,
        total=exported.total,
        content_type=CSV if is_csv else JSON_LINES,
        is_negotiated=True,
    )


def _import_query(request: ApiRequest) -> ImportQuery:
    """Return the parameters and conditions of an import.

    Raises:
        UnknownParameterError: it has a parameter that is not known.
        InvalidParameterError: a parameter has an invalid value.
        InvalidJsonError: the media type is neither JSON Lines nor that of a list file.
    """
    query = import_query(request)
    if request.media_type not in IMPORT_TYPES and request.media_type not in _LIST_FILES:
        raise InvalidJsonError(
            "Content-Type must be application/x-ndjson for JSON Lines, text/csv for CSV, or application/json for a "
            "JSON array"
        )
    return query


@route(
    "POST",
    "/api/mylist/import",
    operation="importItems",
    summary="Import an export, one item per line: merge it into the list, or replace the list",
    kind="import",
    parameters=[
        parameters.MODE,
        parameters.CONFIRM,
        parameters.TOTAL,
        parameters.UNLESS_REMOVED_SINCE,
        *parameters.CONDITIONS,
    ],
    query=_import_query,
    body=Body(ImportLine, media_types=IMPORT_TYPES, example=_LINES_EXAMPLE, others=_LIST_FILES),
    answers={
        200: Answer(ImportedLine, headers=parameters.X_LIST_FORMAT, content_type=JSON_LINES, example=_OUTCOMES_EXAMPLE)
    },
    errors=[400, 410, 412, 413, 415, 422, 428, 503],
)
async def import_(request: ApiRequest, user_id: str, query: ImportQuery) -> HTTPResponse:
    """Merge the items of an export into the user's list, or replace the list with them; return each line's outcome.

    An import occupies a place only once its body has arrived. So a slow client occupies only its user's share.
    """
    services = request.app.ctx
    max_list_size = services.settings.max_list_size
    media_type = request.media_type
    is_list_file = media_type in _LIST_FILES
    max_bytes = max_list_file_bytes(max_list_size) if is_list_file else max_import_bytes(max_list_size)
    headers: dict[str, str] = {}
    async with services.import_bodies.receive(request.parts(max_bytes, within=IMPORT_TIMEOUT_S)) as body:
        if media_type != reading.JSON and body.count(b"\n") > max_import_lines(max_list_size):
            raise PayloadTooLarge("Too many lines")
        if is_list_file:
            file = ListFile(body, media_type, now_ms(), max_lines=max_import_lines(max_list_size))
            headers["x-list-format"] = file.format
            lines = _matched(file, services.matcher)
        else:
            lines = with_titles(services.catalogue, services.titles, _lines(body))
        with services.import_places.place():
            async with _turn(services.writer, user_id, query):
                outcomes = await _outcomes(services, _results(services.writer, user_id, lines, query))
    return lines_response(request, outcomes, headers=headers)


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
    """Return the encoded outcome of each line. The import takes turns with other imports.

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
    room = MAX_CANDIDATES
    try:
        while True:
            await services.import_turns.acquire()
            # If the client disconnects, this turn goes on to its end, and the next import waits for it.
            began = time.thread_time()
            step = services.writer.start(next_results())
            try:
                part = await asyncio.shield(step)
            except asyncio.CancelledError:
                await asyncio.wait((step,))  # its changes must not interleave with those of others
                raise
            if part is None:
                return parts
            told = [_imported_line(result, min(room, MAX_CANDIDATES_PER_LINE)) for result in part]
            room -= sum(len(each.candidates or ()) for each in told)
            parts.append(_encode_lines(told))
            lines = part[-1].number or lines
            # Other requests get the event loop for as long as it was busy during this turn, with this import or with
            # them. So an import goes on at once while the process is idle, and yields while it is busy.
            await asyncio.sleep(min(time.thread_time() - began, _MAX_PAUSE_S))
    except UnavailableError as error:
        if not lines:
            raise
        raise PartlyAppliedError(f"the lines up to {lines} took effect, the rest may or may not") from error


async def _lines(body: bytearray) -> AsyncIterator[NumberedLine | ExternalLine]:
    latest = datetime.now(UTC) + MAX_CLOCK_SKEW
    for number, line in enumerate(BytesIO(body), start=1):
        # Concatenated files have a byte order mark in front of each part.
        if text := line.strip().removeprefix(BOM_UTF8):
            yield parse_import_line(number, text, latest)
        if not number % _LINES_PER_TURN:
            await asyncio.sleep(0)  # give other requests a turn


async def _matched(file: ListFile, matcher: TitleMatcher) -> AsyncIterator[NumberedLine]:
    """Yield the lines of a file, with a few queries per hundred lines.

    Raises:
        PayloadTooLarge: the file has too many lines.
        UnavailableError: the catalogue cannot be searched.
    """
    latest = to_milliseconds(datetime.now(UTC) + MAX_CLOCK_SKEW)
    async for entries in some_at_a_time(_entries(file), ENTRIES_PER_MATCH):
        for line in await matcher.match(entries, latest):
            yield line


async def _entries(file: ListFile) -> AsyncIterator[Entry]:
    try:
        for entry in file.entries():
            if is_pause(entry):
                await asyncio.sleep(0)  # give other requests a turn
            else:
                yield entry
    except TooManyLinesError:
        raise PayloadTooLarge("Too many lines") from None


def _imported_line(result: LineResult, max_candidates: int) -> ImportedLine:
    content_id = result.content_id.hex() if result.content_id else None
    line = ImportedLine(result.number, content_id, result.outcome, result.error or UNSET)
    if (unresolved := result.unresolved) is not None:
        line.title, line.year = unresolved.title, unresolved.year
        line.candidates = [
            Candidate(each.content_id.hex(), each.content_type, each.title, each.year)
            for each in unresolved.candidates[:max_candidates]
        ]
        if len(unresolved.candidates) > max_candidates and line.error is UNSET:
            line.error = f"{len(unresolved.candidates)} titles fit; only {max_candidates} of them are shown"
    return line
