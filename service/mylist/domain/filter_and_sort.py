"""Filtering and sorting of a list.

Each item gets a sort key. Keys are only ever compared in ascending order, so a descending order has keys of its own.
Items without a title or a date, and withdrawn items, sort last in either order; equal keys are ordered by content id.
The default, `addedAt` descending, is the order in which a list is packed.

A long list is processed slice by slice, and other requests run in between: sorting 100,000 items in one go would block
the event loop for 100 ms, also from a thread, because the sort holds the interpreter lock.
"""

import asyncio
from bisect import bisect_left
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Literal, NamedTuple, get_args

from mylist.domain.catalogue_entry import LAST_TITLE, CatalogueEntry
from mylist.domain.content import CONTENT_KEY_SIZE, TAG_OF_TYPE, ContentId, ContentType, split_content_key
from mylist.domain.packed_list import Columns, PackedList
from mylist.domain.timestamps import join_moment

Sort = Literal["addedAt", "title", "releaseDate"]
SORTS: tuple[Sort, ...] = get_args(Sort)
GENRE_FORM = "a genre of a movie or show"
"""The accepted values of `genre`, as an `InvalidParameterError` names them."""

SortKey = int | bytes
Place = bytes | tuple[int, bytes]
"""What items are sorted by: sort key and content key, in one. A title ends with a byte that is in none."""

SLICE_SIZE = 1000
"""Items of a long list that are processed before other requests run."""
_INVERTED = bytes(reversed(range(256)))
# The key of items without a date: every other key is smaller. `LAST_TITLE` is that of items without a title.
_LAST_DATE = (1 << 63) - 1
_TITLE_END = b"\0"
_TITLE_REST = len(_TITLE_END) + CONTENT_KEY_SIZE
"""Bytes of a place after the title."""


@dataclass(frozen=True, slots=True)
class ListQuery:
    """Which items of a list are wanted, and in which order.

    Attributes:
        content_type: only items of this type; None for both.
        genre: only items of this genre, casefolded; None for any.
        sort: what the items are sorted by.
        descending: whether the newest date, or the last title of the alphabet, comes first.
    """

    content_type: ContentType | None
    genre: str | None
    sort: Sort
    descending: bool

    @property
    def needs_catalogue(self) -> bool:
        """Whether the movies and shows have to be looked up to filter or sort."""
        return self.genre is not None or self.sort != "addedAt"


class CursorPosition(NamedTuple):
    """The place of an item in the result of a query: its sort key and its content id."""

    sort_key: SortKey
    content_id: ContentId


@dataclass(frozen=True, slots=True)
class QueryPage:
    """One page of the result of a query.

    Attributes:
        items: the records of the page, in order, as `PackedList.page` has them.
        entries: their movies and shows; None when only ids were asked for.
        total: how many items the whole result has.
        end: the position of the last of `items`, if more items follow it.
        fresh_until: monotonic time, in seconds, at which the first of the entries that decided is due to be refreshed.
    """

    items: Columns
    entries: Sequence[CatalogueEntry] | None
    total: int
    end: CursorPosition | None
    fresh_until: float


async def records_of(packed: PackedList, content_type: ContentType | None) -> Columns:
    """Return the records of a whole list, newest first; only those of a type, if one is given."""
    tag = TAG_OF_TYPE[content_type] if content_type else b""
    hours: list[int] = []
    seconds: list[int] = []
    milliseconds: list[int] = []
    keys: list[bytes] = []
    for number in range(-(-packed.total // SLICE_SIZE)):
        if number:
            await asyncio.sleep(0)
        part = packed.page(number + 1, SLICE_SIZE)
        if tag:
            part = chosen_of(part, [index for index, key in enumerate(part[3]) if key.endswith(tag)])
        hours += part[0]
        seconds += part[1]
        milliseconds += part[2]
        keys += part[3]
    return hours, seconds, milliseconds, keys


def chosen_of(records: Columns, indices: Sequence[int]) -> Columns:
    """Return some of the records, in the order of the indices."""
    hours, seconds, milliseconds, keys = records
    return (
        [hours[index] for index in indices],
        [seconds[index] for index in indices],
        [milliseconds[index] for index in indices],
        [keys[index] for index in indices],
    )


class Selection:
    """The items that a query selects, sorted.

    Attributes:
        order: the indices of their records.
    """

    __slots__ = ("_place_of", "order")

    def __init__(self, order: Sequence[int], place_of: Callable[[int], Place]) -> None:
        self.order = order
        self._place_of = place_of

    def position_of(self, index: int) -> CursorPosition:
        """Return the position of the item of a record."""
        place = self._place_of(index)
        if isinstance(place, bytes):
            return CursorPosition(place[:-_TITLE_REST], split_content_key(place[-CONTENT_KEY_SIZE:])[0])
        return CursorPosition(place[0], split_content_key(place[1])[0])

    def first_after(self, position: CursorPosition) -> int:
        """Return the place in `order` of the first item that comes after a position."""
        sort_key, content_id = position
        last = content_id + b"\xff"  # after the item of either type
        place = sort_key + _TITLE_END + last if isinstance(sort_key, bytes) else (sort_key, last)
        return bisect_left(self.order, place, key=self._place_of)


async def select(query: ListQuery, records: Columns, entries: Sequence[CatalogueEntry] | None) -> Selection:
    """Return the items that a query selects, sorted.

    Args:
        query: which items, and in which order.
        records: the candidates.
        entries: the movie or show of each record; None unless `query.needs_catalogue`.
    """
    count = len(records[3])
    if query.sort == "addedAt" and query.descending and query.genre is None:  # the order in which a list is packed
        return Selection(range(count), partial(_place_by_date, records))
    places: dict[int, Place] = {}
    runs: deque[list[int]] = deque()
    for start in range(0, count, SLICE_SIZE):
        if start:
            await asyncio.sleep(0)
        chosen: Sequence[int] = range(start, min(start + SLICE_SIZE, count))
        if query.genre is not None and entries is not None:
            chosen = [index for index in chosen if query.genre in entries[index].genres]
        places.update(zip(chosen, _places(query, records, entries, chosen), strict=True))
        runs.append(sorted(chosen, key=places.__getitem__))
    while len(runs) > 1:
        # Timsort finds the two sorted runs and merges them in linear time.
        runs.append(sorted(runs.popleft() + runs.popleft(), key=places.__getitem__))
        await asyncio.sleep(0)
    return Selection(runs[0] if runs else [], places.__getitem__)


def _place_by_date(records: Columns, index: int) -> Place:
    hours, seconds, milliseconds, keys = records
    return -join_moment(hours[index], seconds[index], milliseconds[index]), keys[index]


def _places(
    query: ListQuery, records: Columns, entries: Sequence[CatalogueEntry] | None, chosen: Sequence[int]
) -> Iterable[Place]:
    """Return the place of each chosen record, a column at a time."""
    hours, seconds, milliseconds, keys = records
    descending = query.descending
    if entries is None or query.sort == "addedAt":
        moments = [join_moment(hours[index], seconds[index], milliseconds[index]) for index in chosen]
        dates = [-moment for moment in moments] if descending else moments
    elif query.sort == "title":
        if descending:
            return [_descending_title(entries[index].title) + _TITLE_END + keys[index] for index in chosen]
        return [entries[index].title_place for index in chosen]
    else:
        dates = [_date_key(entries[index].released_at, descending=descending) for index in chosen]
    return zip(dates, [keys[index] for index in chosen], strict=True)


def _date_key(milliseconds: int | None, *, descending: bool) -> int:
    if milliseconds is None:
        return _LAST_DATE
    return -milliseconds if descending else milliseconds


def _descending_title(title: bytes | None) -> bytes:
    if title is None:
        return LAST_TITLE
    # The terminator makes a title sort after the titles that it is a prefix of. No title holds NUL, its inverse.
    return title.translate(_INVERTED) + b"\xff"
