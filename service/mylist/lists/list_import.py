"""Importing a list line by line: merged into a user's list, or in place of it."""

import time
from collections.abc import AsyncIterable, AsyncIterator, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from dataclasses import replace as replaced
from typing import Literal

from mylist.domain.batch import MergeOutcome
from mylist.domain.conditions import UNCONDITIONAL, Conditions
from mylist.domain.content import ContentId
from mylist.domain.errors import (
    ConfirmationRequiredError,
    DatabaseBusyError,
    InvalidLineError,
    ListFullError,
    NoItemError,
    OutcomeUnknownError,
    TotalMismatchError,
)
from mylist.domain.found_title import FoundTitle
from mylist.domain.item import Item
from mylist.domain.limits import IMPORT_TIMEOUT_S
from mylist.domain.timestamps import now_ms
from mylist.lists.some_at_a_time import some_at_a_time
from mylist.lists.writer import ListWriter, Room

LineOutcome = MergeOutcome | Literal["invalid", "removed", "ambiguous", "unmatched"]

_LINES_PER_WRITE = 100


@dataclass(frozen=True, slots=True)
class Unresolved:
    """What a line names, by title or external id, and which movie or show that is, is not known.

    Attributes:
        title: its title, or its ids elsewhere.
        year: of release; None if the line does not say.
        candidates: what it may be; not that it is any of them, unless `is_ambiguous`.
        may_mean: the ids of all that it may be: a replacement leaves them on the list.
        is_ambiguous: whether several titles fit; otherwise none does.
        reason: why none fits, where that can be told.
    """

    title: str
    year: int | None
    candidates: Sequence[FoundTitle] = ()
    may_mean: frozenset[ContentId] = frozenset()
    is_ambiguous: bool = False
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class NumberedLine:
    """One line of an import, numbered from 1.

    Attributes:
        number: the line's.
        item: the item, what names none for certain, or why the line is not one.
        has_date: whether the line has a date; otherwise the item gets one by its place among the lines.
    """

    number: int
    item: Item | Unresolved | str
    has_date: bool = True


@dataclass(frozen=True, slots=True)
class LineResult:
    """The outcome of a line, or of an item that was removed because no line names it.

    Attributes:
        number: the line's, from 1; None for an item that no line names.
        content_id: which movie or show; None for an invalid line.
        outcome: what was done.
        error: why a line is invalid, why nothing fits it, or why an item stays that the line names wrongly; else None.
        unresolved: what a line names that is ambiguous or unmatched; None for any other.
    """

    number: int | None
    content_id: ContentId | None
    outcome: LineOutcome
    error: str | None = None
    unresolved: Unresolved | None = None


async def merge(
    writer: ListWriter, user_id: str, lines: AsyncIterable[NumberedLine], conditions: Conditions = UNCONDITIONAL
) -> AsyncIterator[list[LineResult]]:
    """Put the items of lines on a list, some at a time, until it is full; existing items stay as they are.

    Raises:
        PreconditionFailedError: a condition is false; nothing was changed.
        NoItemError: every line is invalid; nothing was changed.
        UnavailableError: a store is out of service, or the time is up; the results that were yielded are done.
    """
    give_up = time.monotonic() + IMPORT_TIMEOUT_S
    wrong = "the body is empty"
    is_first, has_item, room = True, False, Room()
    async for part in some_at_a_time(_dated(lines), _LINES_PER_WRITE):
        if is_first:
            if conditions.are_of_list:
                await writer.snapshot(user_id, conditions)
            wrong = f"line {part[0].number}: {part[0].item}" if isinstance(part[0].item, str) else ""
            is_first = False
        if time.monotonic() > give_up:
            raise OutcomeUnknownError
        has_item = has_item or any(not isinstance(line.item, str) for line in part)
        yield await _merge(writer, user_id, part, room=room, conditions=conditions)
    if not has_item:
        raise NoItemError(wrong)


async def replace(
    writer: ListWriter,
    user_id: str,
    lines: AsyncIterable[NumberedLine],
    conditions: Conditions = UNCONDITIONAL,
    total: int | None = None,
) -> AsyncIterator[list[LineResult]]:
    """Make a list what the lines say: put their items on it with their dates, then remove what else was on it before.

    An item that a line names by its id stays, also if the line names it wrongly, and so does one that an ambiguous line
    may mean. Items that are added meanwhile stay
    as well. The caller must hold `ListWriter.alone`, or of two replacements each removes what the other keeps.

    Args:
        writer: changes the list.
        user_id: whose list.
        lines: the lines.
        conditions: what must be true of the list.
        total: how many items the lines have, as the client says; None if it does not say.

    Raises:
        InvalidLineError: a line is invalid; nothing was changed.
        TotalMismatchError: there are more or fewer items than `total`; nothing was changed.
        ListFullError: the lines name more items than a list may have, or the list would have more than twice as many
            before it shrinks; nothing was changed.
        AccountFullError: the lists of the account would have more items than they may have; nothing was changed.
        PreconditionFailedError: a condition is false; nothing was changed.
        ConfirmationRequiredError: items would be removed though no line is on the list or could be put there, without a
            confirmation; nothing was changed.
        UnavailableError: a store is out of service, or the time is up; the results that were yielded are done.
    """
    give_up = time.monotonic() + IMPORT_TIMEOUT_S
    max_items = writer.max_items
    parts: list[list[NumberedLine]] = []
    async for part in _valid_parts(lines):
        if time.monotonic() > give_up:
            raise DatabaseBusyError  # nothing was changed
        parts.append(part)
    named = _first_of_each(parts)
    if len(named) > max_items:
        raise ListFullError(max_items)
    if total is not None and (items := sum(map(len, parts))) != total:
        raise TotalMismatchError(items, total)
    before = {each.content_id: each for each in await writer.snapshot(user_id, conditions)}
    # An import that gave up has added items and removed none. The client may repeat it, but must not add other items by
    # ever more imports that give up.
    if len(before.keys() | named.keys()) > max(2 * max_items, len(before)):
        raise ListFullError(max_items)
    await writer.require_account_room(user_id, more=len(named) - len(before))
    staying = named.keys() | _may_be_meant(parts)
    unnamed = [each for content_id, each in before.items() if content_id not in staying]
    if unnamed and not conditions.name_list and not await _has_usable(writer, user_id, parts, before, conditions):
        raise ConfirmationRequiredError(
            f"No line is on the list or could be put there, and {len(unnamed)} of {len(before)} items would be removed"
        )
    for part in parts:
        if time.monotonic() > give_up:
            raise OutcomeUnknownError
        redated = {each.content_id for each in _dated_items(part) if named[each.content_id] is each}
        results = await _merge(writer, user_id, part, redated=redated, conditions=conditions)
        yield [_with_what_stays(result, line, before) for result, line in zip(results, part, strict=True)]
    if unnamed:
        await writer.clear(user_id, unnamed)
        yield [LineResult(None, content_id, "removed") for content_id in sorted(each.content_id for each in unnamed)]


async def _valid_parts(lines: AsyncIterable[NumberedLine]) -> AsyncIterator[list[NumberedLine]]:
    """Yield lines, some at a time.

    Raises:
        InvalidLineError: a line is no item.
    """
    async for part in some_at_a_time(_dated(lines), _LINES_PER_WRITE):
        for line in part:
            if isinstance(line.item, str):
                raise InvalidLineError(line.number, line.item)
        yield part


def _first_of_each(parts: Iterable[list[NumberedLine]]) -> dict[ContentId, Item]:
    """Return the items of lines by their ids; the first of several with one id counts."""
    named: dict[ContentId, Item] = {}
    for part in parts:
        for line in part:
            if isinstance(line.item, Item):
                named.setdefault(line.item.content_id, line.item)
    return named


def _may_be_meant(parts: Iterable[list[NumberedLine]]) -> set[ContentId]:
    """Return the ids of all that lines may mean which are not known to name something."""
    return {
        content_id
        for part in parts
        for line in part
        if isinstance(line.item, Unresolved)
        for content_id in line.item.may_mean
    }


def _dated_items(part: Iterable[NumberedLine]) -> Iterator[Item]:
    return (line.item for line in part if line.has_date and isinstance(line.item, Item))


async def _has_usable(
    writer: ListWriter,
    user_id: str,
    parts: Iterable[list[NumberedLine]],
    before: Mapping[ContentId, Item],
    conditions: Conditions,
) -> bool:
    """Return whether some line names what is on the list, or could be put there."""
    items = [line.item for part in parts for line in part if isinstance(line.item, Item)]
    if any(_is_named_rightly(each, before) for each in items):
        return True
    return await writer.can_add_any(user_id, items, conditions)


def _is_named_rightly(item: Item, before: Mapping[ContentId, Item]) -> bool:
    existing = before.get(item.content_id)
    return existing is not None and existing.content_type == item.content_type


def _with_what_stays(result: LineResult, line: NumberedLine, before: Mapping[ContentId, Item]) -> LineResult:
    """Return the outcome of a line; if the line names an item of the list wrongly, with the reason why that stays."""
    existing = before.get(line.item.content_id) if isinstance(line.item, Item) else None
    if existing is None or result.outcome not in {"not_found", "existing"}:
        return result
    if isinstance(line.item, Item) and existing.content_type != line.item.content_type:
        return replaced(result, error=f"It is on the list as {existing.content_type}, and stays there")
    if result.outcome == "not_found":
        return replaced(result, error="It was withdrawn, and stays on the list")
    return result


async def _dated(lines: AsyncIterable[NumberedLine]) -> AsyncIterator[NumberedLine]:
    """Yield lines. Items without a date get times that keep them in order, the first on top.

    The times are counted down from now, so that the next item that is added stands above them.
    """
    moment = now_ms()
    async for line in lines:
        if isinstance(line.item, Item) and not line.has_date:
            yield replaced(line, item=replaced(line.item, added_at=moment))
            moment -= 1
        else:
            yield line


async def _merge(  # noqa: PLR0913 - private, one line per choice
    writer: ListWriter,
    user_id: str,
    part: list[NumberedLine],
    *,
    room: Room | None = None,
    redated: Collection[ContentId] = (),
    conditions: Conditions,
) -> list[LineResult]:
    items = [line.item for line in part if isinstance(line.item, Item)]
    outcomes: Iterator[MergeOutcome] = iter(())
    if items:
        outcomes = iter(await writer.merge(user_id, items, room=room, redated=redated, conditions=conditions))
    return [_result(line, outcomes) for line in part]


def _result(line: NumberedLine, outcomes: Iterator[MergeOutcome]) -> LineResult:
    """Return the result of a line; that of an item is the next of the outcomes."""
    match line.item:
        case Item():
            return LineResult(line.number, line.item.content_id, next(outcomes))
        case Unresolved():
            outcome: LineOutcome = "ambiguous" if line.item.is_ambiguous else "unmatched"
            return LineResult(line.number, None, outcome, line.item.reason, line.item)
    return LineResult(line.number, None, "invalid", line.item)
