"""A list in another order, and without what is not asked for.

Each item gets a rank by which it stands before or after others; ranks only grow, so a descending order has ranks of its
own. What has no title or date, or was withdrawn, stands last in either order, and equal ranks stand by content id. The
default, `addedAt` descending, is the order in which a list is kept.

A long list is worked on slice by slice, and other requests have their turn in between: a sort of 100,000 items in one
go would hold the event loop for a tenth of a second, and from a thread as well, as it keeps the interpreter to itself.
"""

import asyncio
from bisect import bisect_left
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple, get_args

from mylist.catalogue.catalogue import Entry
from mylist.lists.item import ContentType
from mylist.lists.value import ListValue, content_key

Sort = Literal["addedAt", "title", "releaseDate"]
SORTS: tuple[Sort, ...] = get_args(Sort)
GENRE_FORM = "a genre of a movie or show"
"""What may be asked for, in the words of an `InvalidParameterError`."""

Record = tuple[int, bytes]
"""When an item was added (milliseconds since 1970 UTC), and its content key."""
Rank = int | bytes
Place = tuple[Rank, bytes, int]
"""An item's rank, its content key, and where its record is."""

SLICE = 1000
"""Of a long list so many items are worked on before others have their turn."""
_INVERTED = bytes(reversed(range(256)))
# Titles and dates rank before these.
_LAST_DATE = (1 << 63) - 1
_LAST_TITLE = b"\xff\xff"


@dataclass(frozen=True, slots=True)
class Arrangement:
    """Which items are wanted, and in which order.

    Attributes:
        content_type: only these; None for both.
        genre: only what has this genre, casefolded; None for any.
        sort: what they are sorted by.
        descending: whether the newest, or the last of the alphabet, stands first.
    """

    content_type: ContentType | None
    genre: str | None
    sort: Sort
    descending: bool

    @property
    def needs_contents(self) -> bool:
        """Whether it takes the movies and shows themselves to make it."""
        return self.genre is not None or self.sort != "addedAt"


class Position(NamedTuple):
    """Where an item stands, or stood, in an arrangement: its rank, and its content id (12 bytes)."""

    rank: Rank
    content_id: bytes


@dataclass(frozen=True, slots=True)
class Excerpt:
    """A part of a list that was arranged.

    Attributes:
        items: their records, in order.
        contents: what they are; None when it was not asked for.
        total: how many items the whole arrangement has.
        last: the position of the last of `items`, if others follow it.
        fresh_until: monotonic time at which the first of all entries that decided is due to be fetched again.
    """

    items: Sequence[Record]
    contents: Sequence[Entry] | None
    total: int
    last: Position | None
    fresh_until: float


async def records_of(value: ListValue, content_type: ContentType | None) -> list[Record]:
    """Gives the records of a whole list, newest first; only those of a type, if one is given."""
    tag = content_key(b"", content_type) if content_type else b""
    records: list[Record] = []
    for number in range(-(-value.total // SLICE)):
        if number:
            await asyncio.sleep(0)
        records += [record for record in value.page(number + 1, SLICE) if record[1].endswith(tag)]
    return records


async def arrange(arrangement: Arrangement, records: Sequence[Record], entries: Sequence[Entry] | None) -> list[Place]:
    """Gives the places of the items wanted, in their order; `entries` are those of the records, if they are needed."""
    runs: deque[list[Place]] = deque()
    for start in range(0, len(records), SLICE):
        if start:
            await asyncio.sleep(0)
        runs.append(sorted(_places(arrangement, records, entries, range(start, min(start + SLICE, len(records))))))
    while len(runs) > 1:
        # Two sorted runs are merged by this, in the time that it takes to go through them.
        runs.append(sorted(runs.popleft() + runs.popleft()))
        await asyncio.sleep(0)
    return runs[0] if runs else []


def position_of(place: Place) -> Position:
    """Gives the position of an item."""
    rank, key, _ = place
    return Position(rank, key[:12])


def first_after(places: Sequence[Place], position: Position) -> int:
    """Gives how many of some places stand at a position or before it."""
    return bisect_left(places, (position.rank, position.content_id + b"\xff", 0))


def _places(
    arrangement: Arrangement, records: Sequence[Record], entries: Sequence[Entry] | None, numbers: range
) -> Iterator[Place]:
    genre, sort, descending = arrangement.genre, arrangement.sort, arrangement.descending
    for number in numbers:
        added_at, key = records[number]
        if entries is None:
            yield _rank_of_date(added_at, descending=descending), key, number
            continue
        entry = entries[number]
        if genre is not None and genre not in entry.genres:
            continue
        if sort == "title":
            yield _rank_of_title(entry.title, descending=descending), key, number
        else:
            date = entry.released_at if sort == "releaseDate" else added_at
            yield _rank_of_date(date, descending=descending), key, number


def _rank_of_date(milliseconds: int | None, *, descending: bool) -> int:
    if milliseconds is None:
        return _LAST_DATE
    return -milliseconds if descending else milliseconds


def _rank_of_title(title: bytes | None, *, descending: bool) -> bytes:
    if title is None:
        return _LAST_TITLE
    # A title that another one begins with stands after it then; no title has a zero, which would be 255 as well.
    return title.translate(_INVERTED) + b"\xff" if descending else title
