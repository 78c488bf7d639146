"""Lists that come from elsewhere, line by line: merged into a user's list, or put in its place."""

import time
from collections.abc import AsyncIterable, AsyncIterator
from dataclasses import dataclass
from typing import Literal

from mylist.errors import InvalidLineError, ListFullError, OutcomeUnknownError
from mylist.lists.item import Item
from mylist.lists.service import Lists

Outcome = Literal["added", "existing", "not_found", "full", "invalid", "removed"]

_AT_ONCE = 100
PATIENCE = 20
"""Seconds after which no lines are waited for or begun any more: the server gives a request up a little later."""


@dataclass(frozen=True, slots=True)
class Line:
    """One line of an import, numbered from 1: an item, or why it is none."""

    number: int
    item: Item | str


@dataclass(frozen=True, slots=True)
class Result:
    """What became of a line, or of an item that was on the list and that no line names.

    Attributes:
        number: the line's, from 1; None for an item that no line names.
        content_id: 12 bytes; None for a line that is no item.
        outcome: what became of it.
        error: why a line is no item; None for one that is.
    """

    number: int | None
    content_id: bytes | None
    outcome: Outcome
    error: str | None = None


async def merge(lists: Lists, user_id: str, lines: AsyncIterable[Line]) -> AsyncIterator[list[Result]]:
    """Puts the items of lines on a list, some at a time, until it is full; what is there already stays as it is.

    Raises:
        UnavailableError: a store is away, or the time is up; what was given was done.
    """
    give_up = time.monotonic() + PATIENCE
    async for piece in _pieces(lines):
        if time.monotonic() > give_up:
            raise OutcomeUnknownError
        yield await _merge(lists, user_id, piece, capped=True)


async def replace(
    lists: Lists, user_id: str, lines: AsyncIterable[Line], *, max_items: int
) -> AsyncIterator[list[Result]]:
    """Makes a list what the lines say: puts their items on it first, then takes off what else was there before.

    What is there already stays as it is, and so does what somebody adds meanwhile.

    Raises:
        InvalidLineError: a line is no item; nothing was changed.
        ListFullError: the lines name more items than a list may have, or the list would have more than twice as many
            before it shrinks; nothing was changed.
        UnavailableError: a store is away, or the time is up; what was given was done.
    """
    give_up = time.monotonic() + PATIENCE
    named: set[bytes] = set()
    pieces: list[list[Line]] = []
    async for piece in _pieces(lines):
        for line in piece:
            if isinstance(line.item, str):
                raise InvalidLineError(line.number, line.item)
            named.add(line.item.content_id)
        if len(named) > max_items:
            raise ListFullError(max_items)
        pieces.append(piece)
    there = await lists.content_ids(user_id)
    # One that was given up has added without removing. It can be sent again, but not be followed by ever more others.
    if len(there | named) > max(2 * max_items, len(there)):
        raise ListFullError(max_items)
    for piece in pieces:
        if time.monotonic() > give_up:
            raise OutcomeUnknownError
        yield await _merge(lists, user_id, piece, capped=False)
    if others := there - named:
        await lists.clear(user_id, others)
        yield [Result(None, content_id, "removed") for content_id in sorted(others)]


async def _pieces(lines: AsyncIterable[Line]) -> AsyncIterator[list[Line]]:
    piece: list[Line] = []
    async for line in lines:
        piece.append(line)
        if len(piece) == _AT_ONCE:
            yield piece
            piece = []
    if piece:
        yield piece


async def _merge(lists: Lists, user_id: str, piece: list[Line], *, capped: bool) -> list[Result]:
    items = [line.item for line in piece if isinstance(line.item, Item)]
    outcomes = iter(await lists.merge(user_id, items, capped=capped)) if items else iter(())
    return [
        Result(line.number, line.item.content_id, next(outcomes))
        if isinstance(line.item, Item)
        else Result(line.number, None, "invalid", line.item)
        for line in piece
    ]
