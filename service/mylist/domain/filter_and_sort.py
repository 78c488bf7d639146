"""Filtering and sorting of a list.

Filters are applied a column at a time. Each remaining item gets a sort key. Keys are always compared in ascending
order, so a descending order has its own keys. Items without a title or a date, and withdrawn items, sort last in both
orders; equal keys are ordered by content id. The default, `addedAt` descending, is the order in which a list is packed.
A random order sorts by a hash of the content key and the seed. It is the same in every process, and added or removed
items do not move the others.

A long list is processed in slices, and other requests run in between. Sorting 100,000 items at once would block the
event loop for 100 ms, even from a thread, because the sort holds the interpreter lock.
"""

import asyncio
from bisect import bisect_left, bisect_right
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from dataclasses import KW_ONLY, dataclass
from functools import partial
from typing import Literal, NamedTuple, get_args

from xxhash import xxh3_64_intdigest

from mylist.domain.catalogue_entry import LAST_TITLE, CatalogueEntry
from mylist.domain.content import CONTENT_KEY_SIZE, ContentId, ContentType, split_content_key
from mylist.domain.hot_loops import first_by_title
from mylist.domain.limits import MAX_SEED_LENGTH
from mylist.domain.packed_list import RECORD_SIZE, PackedList, key_at, moment_at, records_of_type
from mylist.domain.title_words import needle_of

Sort = Literal["addedAt", "title", "releaseDate", "random"]
SORTS: tuple[Sort, ...] = get_args(Sort)
SEED_PATTERN = f"[A-Za-z0-9_-]{{1,{MAX_SEED_LENGTH}}}"
"""Of the seed of a random order."""

SortKey = int | bytes
Place = bytes | tuple[int, bytes]
"""The value by which items are sorted: sort key and content key. A title ends with a byte that no title contains."""

SLICE_SIZE = 1000
"""Items of a long list that are processed before other requests get a turn."""
_INVERTED = bytes(reversed(range(256)))
# The key of items without a date: every other key is smaller. `LAST_TITLE` is that of items without a title.
_LAST_DATE = (1 << 63) - 1
_TITLE_END = b"\0"
_TITLE_REST = len(_TITLE_END) + CONTENT_KEY_SIZE
"""Bytes of a place that follow the title."""


@dataclass(frozen=True, slots=True)
class ListQuery:
    """A query of a list: which items, in which order.

    Attributes:
        content_type: only items of this type; None for both.
        genres: only items of any of these genres, casefolded, each once and sorted; empty for any.
        sort: what the items are sorted by.
        descending: whether the newest date, or the alphabetically last title, comes first.
        excluded_genres: only items without any of these genres, in the same form.
        words: only items whose title has a word that begins with each of these
            (`mylist.domain.title_words.searched_words`).
        added_from: only items that were added at this moment or later, in milliseconds since 1970 UTC.
        added_before: only items that were added before this moment.
        is_available: only items whose movie or show exists (True) or was withdrawn (False); None for both.
        seed: names a random order; None if it has yet to be chosen, and for other orders.
    """

    content_type: ContentType | None = None
    genres: tuple[str, ...] = ()
    sort: Sort = "addedAt"
    descending: bool = True
    _: KW_ONLY
    excluded_genres: tuple[str, ...] = ()
    words: tuple[str, ...] = ()
    added_from: int | None = None
    added_before: int | None = None
    is_available: bool | None = None
    seed: str | None = None

    @property
    def filters_entries(self) -> bool:
        """Whether the selection depends on the movies and shows."""
        return bool(self.genres or self.excluded_genres or self.words) or self.is_available is not None

    @property
    def is_by_title(self) -> bool:
        """Whether all items are selected, sorted by title from A to Z."""
        return self.sort == "title" and not self.descending and not self.filters_entries

    @property
    def needs_catalogue(self) -> bool:
        """Whether the movies and shows must be looked up to filter or sort."""
        return self.sort in {"title", "releaseDate"} or self.filters_entries


class CursorPosition(NamedTuple):
    """The position of an item in the result of a query: its sort key and its content id."""

    sort_key: SortKey
    content_id: ContentId


@dataclass(frozen=True, slots=True)
class QueryPage:
    """One page of the result of a query.

    Attributes:
        items: the records of the page, in order, as in a packed list.
        entries: their movies and shows; None if the client requested only ids.
        total: number of items of the whole result.
        end: the position of the last of `items`, if more items follow it.
        fresh_until: monotonic time, in seconds, at which the entries behind the result must be looked up again.
    """

    items: bytes
    entries: list[CatalogueEntry] | None
    total: int
    end: CursorPosition | None
    fresh_until: float


async def records_of(packed: PackedList, query: ListQuery) -> bytes:
    """Return the records of a whole list, newest first, that match the type and the time range of a query."""
    first, end = _bounds(packed, query)
    if query.content_type is None:
        return packed.records(first, end)
    parts = []
    for start in range(first, end, SLICE_SIZE):
        if start > first:
            await asyncio.sleep(0)
        parts.append(records_of_type(packed.records(start, min(start + SLICE_SIZE, end)), query.content_type))
    return b"".join(parts)


def _bounds(packed: PackedList, query: ListQuery) -> tuple[int, int]:
    """Return the index of the first record in the time range of a query, and of the first record after the range."""
    before, since = query.added_before, query.added_from
    if before is None and since is None:
        return 0, packed.total
    records = packed.records(0, packed.total)

    def age(index: int) -> int:
        return -moment_at(records, index)

    every = range(packed.total)
    return (
        0 if before is None else bisect_right(every, -before, key=age),
        packed.total if since is None else bisect_right(every, -since, key=age),
    )


class Selection:
    """The items that a query selects, sorted.

    Attributes:
        order: the indices of the items' records, in sort order; those of the first items at least.
        total: number of items.
    """

    __slots__ = ("_place_of", "order", "total")

    def __init__(self, order: Sequence[int], place_of: Callable[[int], Place], *, total: int | None = None) -> None:
        self.order = order
        self.total = len(order) if total is None else total
        self._place_of = place_of

    def position_of(self, index: int) -> CursorPosition:
        """Return the position of a record's item."""
        place = self._place_of(index)
        if isinstance(place, bytes):
            return CursorPosition(place[:-_TITLE_REST], split_content_key(place[-CONTENT_KEY_SIZE:])[0])
        return CursorPosition(place[0], split_content_key(place[1])[0])

    def first_after(self, position: CursorPosition) -> int:
        """Return the index in `order` of the first item after a position."""
        sort_key, content_id = position
        last = content_id + b"\xff"  # after the item, for either type
        place = sort_key + _TITLE_END + last if isinstance(sort_key, bytes) else (sort_key, last)
        return bisect_left(self.order, place, key=self._place_of)


async def select(
    query: ListQuery, records: bytes, entries: list[CatalogueEntry] | None, *, needed: int | None = None
) -> Selection:
    """Return the items that a query selects, sorted.

    Args:
        query: selects and orders the items.
        records: the records to select from, as in a packed list.
        entries: the movie or show of each record; None unless `query.needs_catalogue`.
        needed: number of items, from the first one, whose order the caller needs; None for all items.
    """
    count = len(records) // RECORD_SIZE
    if query.sort == "addedAt" and query.descending:  # the order in which a list is packed
        order: Sequence[int] = range(count)
        if query.filters_entries:
            order = [index async for part in _slices(count) for index in _matching(query, entries, part)]
        return Selection(order, partial(_place_by_date, records))
    if needed is not None and entries is not None and query.is_by_title and count <= SLICE_SIZE:
        return Selection(first_by_title(entries, needed), lambda index: entries[index].title_place, total=count)
    every: list[Place] = []  # for all records, in less time than a dictionary takes
    some: dict[int, Place] = {}
    place_of = some.__getitem__ if query.filters_entries else every.__getitem__
    runs: deque[list[int]] = deque()
    async for part in _slices(count):
        chosen = _matching(query, entries, part)
        places = _places(query, records, entries, chosen)
        if query.filters_entries:
            some.update(zip(chosen, places, strict=True))
        else:
            every += places
        runs.append(sorted(chosen, key=place_of))
    while len(runs) > 1:
        # Timsort finds the two sorted runs and merges them in linear time.
        runs.append(sorted(runs.popleft() + runs.popleft(), key=place_of))
        await asyncio.sleep(0)
    return Selection(runs[0] if runs else [], place_of)


async def _slices(count: int) -> AsyncIterator[range]:
    """Yield the indices of `count` records in slices; other requests run in between."""
    for start in range(0, count, SLICE_SIZE):
        if start:
            await asyncio.sleep(0)
        yield range(start, min(start + SLICE_SIZE, count))


def _matching(query: ListQuery, entries: Sequence[CatalogueEntry] | None, indices: range) -> Sequence[int]:
    """Return the indices whose entries match a query. The cheapest checks come first."""
    chosen: Sequence[int] = indices
    if entries is None:
        return chosen
    if query.is_available is not None:
        chosen = [index for index in chosen if entries[index].is_available is query.is_available]
    if query.genres:
        has_none_of = frozenset(query.genres).isdisjoint
        chosen = [index for index in chosen if not has_none_of(entries[index].genres)]
    if query.excluded_genres:
        has_none_of = frozenset(query.excluded_genres).isdisjoint
        chosen = [index for index in chosen if has_none_of(entries[index].genres)]
    for needle in map(needle_of, query.words):
        chosen = [index for index in chosen if needle in entries[index].words]
    return chosen


def _place_by_date(records: bytes, index: int) -> Place:
    return -moment_at(records, index), key_at(records, index)


def _places(
    query: ListQuery, records: bytes, entries: Sequence[CatalogueEntry] | None, chosen: Sequence[int]
) -> Iterable[Place]:
    """Return the sort value of each chosen record, computed a column at a time."""
    keys = [key_at(records, index) for index in chosen]
    descending = query.descending
    if query.sort == "random":
        seed = xxh3_64_intdigest((query.seed or "").encode())
        # Drop the last bit, because a cursor holds a signed number.
        dates = [xxh3_64_intdigest(key, seed) >> 1 for key in keys]
    elif entries is None or query.sort == "addedAt":
        moments = [moment_at(records, index) for index in chosen]
        dates = [-moment for moment in moments] if descending else moments
    elif query.sort == "title":
        if descending:
            titles = [_descending_title(entries[index].title) for index in chosen]
            return [title + _TITLE_END + key for title, key in zip(titles, keys, strict=True)]
        return [entries[index].title_place for index in chosen]
    else:
        dates = [_date_key(entries[index].released_at, descending=descending) for index in chosen]
    return zip(dates, keys, strict=True)


def _date_key(milliseconds: int | None, *, descending: bool) -> int:
    if milliseconds is None:
        return _LAST_DATE
    return -milliseconds if descending else milliseconds


def _descending_title(title: bytes | None) -> bytes:
    if title is None:
        return LAST_TITLE
    # The terminator makes a title sort after longer titles that begin with it. No title contains NUL, its inverse.
    return title.translate(_INVERTED) + b"\xff"
