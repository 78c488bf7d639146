"""The binary form of a whole list: a packed list. The cache stores packed lists, and every read is a slice of one.

    header   'L', format version (1 byte), 2 bytes of zero, movies (u32), shows (u32)
    record   added_at: hours since 1970 UTC (i32), seconds (u16) and milliseconds (u16) within the hour;
             content id (12 bytes), type (1 byte: 'm' or 't')

Times are split into the parts of their text, so that a page needs no arithmetic. All integers are big-endian. Records
are sorted newest first, equal times by content id. So a page is a slice and needs no sorting, and the first page of a
long list needs only its beginning. The last 13 bytes of a record are the content key of a movie or show. The first byte
distinguishes a list from a lease or a fence, which the cache may hold instead. A Lua script reads the counts too
(`mylist/cache/lua/place_fence.lua`).
"""

import struct
from collections.abc import Iterable, Iterator
from typing import Self

from mylist.domain.content import TAG_OF_TYPE, TYPE_OF_TAG, ContentType
from mylist.domain.item import Item
from mylist.domain.timestamps import join_moment, split_moment

LIST_TAG = b"L"
FORMAT_VERSION = 2
"""Must be raised whenever the format changes: a list of another version counts as not cached."""
_BEFORE_COUNTS = ">cB2x"
_HEADER = struct.Struct(_BEFORE_COUNTS + "II")
COUNTS_OFFSET = struct.calcsize(_BEFORE_COUNTS)
"""Offset of the numbers of movies and shows, in bytes."""
_RECORD = struct.Struct(">iHH12sc")
_MOMENT = struct.Struct(">iHH")
KEY_OFFSET = _MOMENT.size
"""Offset of the content key in a record, in bytes."""
_KEY = struct.Struct(f"{KEY_OFFSET}x13s")
# A constant, because every cached read computes sizes.
_HEADER_BYTES = _HEADER.size
RECORD_SIZE = _RECORD.size
"""Size of a record, in bytes."""


class UnreadableListError(ValueError):
    """The bytes are not a list of this format version."""


def packed_size(items: int) -> int:
    """Return the size in bytes of a list of `items` items, or of a longer list up to that item."""
    return _HEADER_BYTES + items * RECORD_SIZE


class PackedList:
    """A list in its binary form, whole or truncated after some of its items.

    Attributes:
        data: the bytes, as far as they were read.
        movies: number of movies on the whole list.
        shows: number of shows on the whole list.
    """

    __slots__ = ("data", "movies", "shows")

    def __init__(self, data: bytes, *, max_items: int | None = None) -> None:
        """Read the header of `data`, which may be truncated after `max_items` items.

        Raises:
            UnreadableListError: `data` is damaged, or another format version wrote it.
        """
        if len(data) < _HEADER_BYTES:
            raise UnreadableListError("shorter than a header")
        tag, version, movies, shows = _HEADER.unpack_from(data)
        if tag != LIST_TAG or version != FORMAT_VERSION:
            raise UnreadableListError(f"tag {tag!r}, version {version}")
        size, total = len(data), movies + shows
        if size != _HEADER_BYTES + total * RECORD_SIZE and (max_items is None or size != packed_size(max_items)):
            raise UnreadableListError(f"{size} bytes for {total} items")
        self.data = data
        self.movies: int = movies
        self.shows: int = shows

    @classmethod
    def of(cls, items: Iterable[Item]) -> Self:
        """Pack items, which may come in any order."""
        ordered = sorted(items, key=lambda item: (-item.added_at, item.content_id))
        movies = sum(item.content_type == "movie" for item in ordered)
        header = _HEADER.pack(LIST_TAG, FORMAT_VERSION, movies, len(ordered) - movies)
        records = (
            _RECORD.pack(*split_moment(item.added_at), item.content_id, TAG_OF_TYPE[item.content_type])
            for item in ordered
        )
        return cls(header + b"".join(records))

    @property
    def total(self) -> int:
        """The number of items on the whole list."""
        return self.movies + self.shows

    def prefix(self, items: int | None) -> bytes:
        """Return the bytes up to item `items` (None: all bytes)."""
        return self.data if items is None else self.data[: _HEADER_BYTES + items * RECORD_SIZE]

    def bounds(self, page: int, page_size: int) -> tuple[int, int]:
        """Return the bounds of a page: the indices of its first record and of the record after its last.

        The first page has the number 1.

        Raises:
            IndexError: the list was truncated before the end of this page.
        """
        total = self.movies + self.shows
        stop = min(page * page_size, total)
        if len(self.data) < _HEADER_BYTES + stop * RECORD_SIZE:
            raise IndexError(f"{len(self.data)} bytes do not reach item {stop}")
        return min((page - 1) * page_size, stop), stop

    def records(self, start: int, stop: int) -> bytes:
        """Return the records from index `start` to before `stop`, as bytes."""
        return self.data[_HEADER_BYTES + start * RECORD_SIZE : _HEADER_BYTES + stop * RECORD_SIZE]

    @property
    def header(self) -> bytes:
        """The bytes before the records."""
        return self.data[:_HEADER_BYTES]

    def __iter__(self) -> Iterator[Item]:
        """Iterate over the items read, newest first."""
        return items_of(memoryview(self.data)[_HEADER_BYTES:])


def items_of(records: bytes | memoryview) -> Iterator[Item]:
    """Yield the item of each record."""
    for hours, seconds, milliseconds, content_id, tag in _RECORD.iter_unpack(records):
        yield Item(join_moment(hours, seconds, milliseconds), content_id, TYPE_OF_TAG[tag])


def keys_of(records: bytes) -> list[bytes]:
    """Return the content key of each record."""
    return [key for (key,) in _KEY.iter_unpack(records)]


def key_at(records: bytes, index: int) -> bytes:
    """Return the content key of the record at an index."""
    return records[index * RECORD_SIZE + KEY_OFFSET : (index + 1) * RECORD_SIZE]


def moment_at(records: bytes, index: int) -> int:
    """Return when the item of the record at an index was added, in milliseconds since 1970 UTC."""
    return join_moment(*_MOMENT.unpack_from(records, index * RECORD_SIZE))


def records_at(records: bytes, indices: Iterable[int]) -> bytes:
    """Return the records at some indices, in the order of the indices."""
    return b"".join([records[index * RECORD_SIZE : (index + 1) * RECORD_SIZE] for index in indices])


def records_of_type(records: bytes, content_type: ContentType) -> bytes:
    """Return the records of one type, in their order."""
    tag = TAG_OF_TYPE[content_type]
    every = range(0, len(records), RECORD_SIZE)
    each = [records[start : start + RECORD_SIZE] for start in every]
    return b"".join([record for record in each if record.endswith(tag)])
