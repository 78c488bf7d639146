"""Imports a list line by line: merges it into a user's list, or replaces that list."""

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
    """A movie or show that a line names by title or external id, without a certain match.

    Attributes:
        title: its title, or its ids elsewhere.
        year: of release; None if the line does not say.
        candidates: movies and shows that it might be. Unless `is_ambiguous`, it may be none of them.
        may_mean: the ids of all titles that it may be. A replacement leaves these on the list.
        is_ambiguous: whether several titles match; otherwise no title matches.
        reason: why no title matches, if known.
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
        item: the item, a title without a certain match, or why the line is not an item.
        has_date: whether the line has a date; otherwise the position among the lines determines the item's date.
    """

    number: int
    item: Item | Unresolved | str
    has_date: bool = True


@dataclass(frozen=True, slots=True)
class LineResult:
    """The outcome of one line, or of one item that was removed because no line names it.

    Attributes:
        number: the line's number, from 1; None for an item that no line names.
        content_id: the movie or show; None for an invalid line.
        outcome: what was done.
        error: why the line is invalid or has no match, or why an item stays although the line names it wrongly; else
            None.
        unresolved: the title of an ambiguous or unmatched line; None for any other line.
    """

    number: int | None
    content_id: ContentId | None
    outcome: LineOutcome
    error: str | None = None
    unresolved: Unresolved | None = None


async def merge(
    writer: ListWriter, user_id: str, lines: AsyncIterable[NumberedLine], conditions: Conditions = UNCONDITIONAL
) -> AsyncIterator[list[LineResult]]:
    """Put the items of lines on a list, in batches, until it is full. Existing items are unchanged.

    Raises:
        PreconditionFailedError: a condition is false; nothing was changed.
        NoItemError: every line is invalid; nothing was changed.
        UnavailableError: a store is out of service, or the time is up. The changes whose results were yielded are done.
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
    """Replace a list: put the items of the lines on it with their dates, then remove its other items.

    An item whose id is in a line stays, even if the line names another type or the title was withdrawn. An item that an
    ambiguous line may mean stays too. Items that are added meanwhile stay as well. The caller must hold
    `ListWriter.alone`; otherwise two replacements could remove each other's items.

    Args:
        writer: changes the list.
        user_id: whose list.
        lines: the lines.
        conditions: the conditions that the list must meet.
        total: the number of items that the client announced; None if it announced none.

    Raises:
        InvalidLineError: a line is invalid; nothing was changed.
        TotalMismatchError: there are more or fewer items than `total`; nothing was changed.
        ListFullError: the lines name more items than a list may have, or the list would temporarily exceed twice that
            maximum; nothing was changed.
        AccountFullError: the lists of the account would together exceed their maximum; nothing was changed.
        PreconditionFailedError: a condition is false; nothing was changed.
        ConfirmationRequiredError: the request is unconfirmed, and items would be removed although no line matches the
            list or could be added to it; nothing was changed.
        UnavailableError: a store is out of service, or the time is up. The changes whose results were yielded are done.
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
    # An import that was aborted has added items and removed none. The client may repeat it. But repeated aborted
    # imports must not add ever more items.
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
    """Yield lines in batches.

    Raises:
        InvalidLineError: a line is not a valid item.
    """
    async for part in some_at_a_time(_dated(lines), _LINES_PER_WRITE):
        for line in part:
            if isinstance(line.item, str):
                raise InvalidLineError(line.number, line.item)
        yield part


def _first_of_each(parts: Iterable[list[NumberedLine]]) -> dict[ContentId, Item]:
    """Return the items of lines by id; the first item of each id counts."""
    named: dict[ContentId, Item] = {}
    for part in parts:
        for line in part:
            if isinstance(line.item, Item):
                named.setdefault(line.item.content_id, line.item)
    return named


def _may_be_meant(parts: Iterable[list[NumberedLine]]) -> set[ContentId]:
    """Return the ids of all titles that lines without a certain match may mean."""
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
    """Return whether any line names an item of the list, or one that could be added to it."""
    items = [line.item for part in parts for line in part if isinstance(line.item, Item)]
    if any(_is_named_rightly(each, before) for each in items):
        return True
    return await writer.can_add_any(user_id, items, conditions)


def _is_named_rightly(item: Item, before: Mapping[ContentId, Item]) -> bool:
    existing = before.get(item.content_id)
    return existing is not None and existing.content_type == item.content_type


def _with_what_stays(result: LineResult, line: NumberedLine, before: Mapping[ContentId, Item]) -> LineResult:
    """Return the outcome of a line; if it names an item of the list wrongly, with the reason why the item stays."""
    existing = before.get(line.item.content_id) if isinstance(line.item, Item) else None
    if existing is None or result.outcome not in {"not_found", "existing"}:
        return result
    if isinstance(line.item, Item) and existing.content_type != line.item.content_type:
        return replaced(result, error=f"It is on the list as {existing.content_type}, and stays there")
    if result.outcome == "not_found":
        return replaced(result, error="It was withdrawn, and stays on the list")
    return result


async def _dated(lines: AsyncIterable[NumberedLine]) -> AsyncIterator[NumberedLine]:
    """Yield lines. Items without a date get times that keep them in the order of the lines, the first on top.

    The times count down from the present, so that the next added item goes on top of them.
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
    """Return the result of a line. For an item, it takes the next of the outcomes."""
    match line.item:
        case Item():
            return LineResult(line.number, line.item.content_id, next(outcomes))
        case Unresolved():
            outcome: LineOutcome = "ambiguous" if line.item.is_ambiguous else "unmatched"
            return LineResult(line.number, None, outcome, line.item.reason, line.item)
    return LineResult(line.number, None, "invalid", line.item)
