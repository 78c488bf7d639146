"""Importing a list line by line: merged into a user's list, or in place of it."""

import time
from collections.abc import AsyncIterable, AsyncIterator
from dataclasses import dataclass
from typing import Literal

from mylist.domain.content import ContentId
from mylist.domain.errors import InvalidLineError, ListFullError, OutcomeUnknownError
from mylist.domain.item import Item
from mylist.domain.limits import IMPORT_TIMEOUT_S
from mylist.lists.writer import ListWriter

LineOutcome = Literal["added", "existing", "not_found", "full", "invalid", "removed"]

_LINES_PER_WRITE = 100


@dataclass(frozen=True, slots=True)
class NumberedLine:
    """One line of an import, numbered from 1: an item, or why the line is not one."""

    number: int
    item: Item | str


@dataclass(frozen=True, slots=True)
class LineResult:
    """The outcome of a line, or of an item that was removed because no line names it.

    Attributes:
        number: the line's, from 1; None for an item that no line names.
        content_id: which movie or show; None for an invalid line.
        outcome: what was done.
        error: why a line is invalid; None for a valid one.
    """

    number: int | None
    content_id: ContentId | None
    outcome: LineOutcome
    error: str | None = None


async def merge(
    writer: ListWriter, user_id: str, lines: AsyncIterable[NumberedLine]
) -> AsyncIterator[list[LineResult]]:
    """Put the items of lines on a list, some at a time, until it is full; existing items stay as they are.

    Raises:
        UnavailableError: a store is out of service, or the time is up; the results that were yielded are done.
    """
    give_up = time.monotonic() + IMPORT_TIMEOUT_S
    async for part in _parts(lines):
        if time.monotonic() > give_up:
            raise OutcomeUnknownError
        yield await _merge(writer, user_id, part, capped=True)


async def replace(
    writer: ListWriter, user_id: str, lines: AsyncIterable[NumberedLine]
) -> AsyncIterator[list[LineResult]]:
    """Make a list what the lines say: put their items on it, then remove what else was on it before.

    Existing items stay as they are, and so do items that are added in the meantime.

    Raises:
        InvalidLineError: a line is invalid; nothing was changed.
        ListFullError: the lines name more items than a list may have, or the list would have more than twice as many
            before it shrinks; nothing was changed.
        UnavailableError: a store is out of service, or the time is up; the results that were yielded are done.
    """
    give_up = time.monotonic() + IMPORT_TIMEOUT_S
    max_items = writer.max_items
    named: set[ContentId] = set()
    parts: list[list[NumberedLine]] = []
    async for part in _parts(lines):
        for line in part:
            if isinstance(line.item, str):
                raise InvalidLineError(line.number, line.item)
            named.add(line.item.content_id)
        if len(named) > max_items:
            raise ListFullError(max_items)
        parts.append(part)
    existing = await writer.content_ids(user_id)
    # An import that gave up has added without removing. It may be repeated, but not followed by ever more others.
    if len(existing | named) > max(2 * max_items, len(existing)):
        raise ListFullError(max_items)
    for part in parts:
        if time.monotonic() > give_up:
            raise OutcomeUnknownError
        yield await _merge(writer, user_id, part, capped=False)
    if unnamed := existing - named:
        await writer.clear(user_id, unnamed)
        yield [LineResult(None, content_id, "removed") for content_id in sorted(unnamed)]


async def _parts(lines: AsyncIterable[NumberedLine]) -> AsyncIterator[list[NumberedLine]]:
    part: list[NumberedLine] = []
    async for line in lines:
        part.append(line)
        if len(part) == _LINES_PER_WRITE:
            yield part
            part = []
    if part:
        yield part


async def _merge(writer: ListWriter, user_id: str, part: list[NumberedLine], *, capped: bool) -> list[LineResult]:
    items = [line.item for line in part if isinstance(line.item, Item)]
    outcomes = iter(await writer.merge(user_id, items, capped=capped)) if items else iter(())
    return [
        LineResult(line.number, line.item.content_id, next(outcomes))
        if isinstance(line.item, Item)
        else LineResult(line.number, None, "invalid", line.item)
        for line in part
    ]
