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
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from typing import Any, Self

from mylist.domain.content import CONTENT_ID_SIZE, TAG_OF_TYPE, TYPE_OF_TAG
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
_KEYED_RECORD = struct.Struct(">iHH13s")
_MOMENT = struct.Struct(">iHH")
_MAX_AT_ONCE = 100
"""Records that one call unpacks, in half the time that single calls take; a long list takes several calls."""
_DIGITS_BEFORE_ID, _ID_DIGITS, _RECORD_DIGITS = 2 * 8, 2 * CONTENT_ID_SIZE, 2 * _RECORD.size
"""Slice of a record that is written as hexadecimal digits."""
# Constants, because every cached read computes sizes.
_HEADER_BYTES, _RECORD_BYTES = _HEADER.size, _RECORD.size


Moments = tuple[Sequence[int], Sequence[int], Sequence[int]]
"""Moments, a column at a time: hours, seconds and milliseconds (`mylist.domain.timestamps.split_moment`)."""
Columns = tuple[Sequence[int], Sequence[int], Sequence[int], Sequence[bytes]]
"""Records, a column at a time: the columns of their moments, and content keys."""


def pack_columns(records: Columns) -> bytes:
    """Return records as bytes, one column after the other."""
    hours, seconds, milliseconds, keys = records
    count = len(keys)
    return struct.pack(f">{count}i{count}H{count}H", *hours, *seconds, *milliseconds) + b"".join(keys)


class UnreadableListError(ValueError):
    """The bytes are not a list of this format version."""


@lru_cache(maxsize=2 * _MAX_AT_ONCE)
def _repeated(record: str, count: int) -> struct.Struct:
    return struct.Struct(">" + record * count)


def packed_size(items: int) -> int:
    """Return the size in bytes of a list of `items` items, or of a longer list up to that item."""
    return _HEADER_BYTES + items * _RECORD_BYTES


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
        if size != _HEADER_BYTES + total * _RECORD_BYTES and (max_items is None or size != packed_size(max_items)):
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
        return self.data if items is None else self.data[: _HEADER_BYTES + items * _RECORD_BYTES]

    def written_ids(self) -> set[str]:
        """Return the content ids of the items read, as hexadecimal digits in lower case."""
        records = self.data[_HEADER_BYTES:].hex()
        return {records[start : start + _ID_DIGITS] for start in range(_DIGITS_BEFORE_ID, len(records), _RECORD_DIGITS)}

    def page(self, page: int, page_size: int) -> Columns:
        """Return the records of a page, counted from 1.

        Raises:
            IndexError: the list was truncated before the end of this page.
        """
        return *self.page_moments(page, page_size), self.page_keys(page, page_size)

    def page_moments(self, page: int, page_size: int) -> Moments:
        """Return when the items of a page were added, as `page` does."""
        values: Sequence[Any] = self._unpacked("iHH13x", *self._bounds(page, page_size))
        return values[0::3], values[1::3], values[2::3]

    def page_keys(self, page: int, page_size: int) -> Sequence[bytes]:
        """Return the content keys of a page, as `page` does."""
        return self.keys(*self._bounds(page, page_size))

    def _bounds(self, page: int, page_size: int) -> tuple[int, int]:
        start = min((page - 1) * page_size, self.total)
        stop = min(start + page_size, self.total)
        if len(self.data) < packed_size(stop):
            raise IndexError(f"{len(self.data)} bytes do not reach item {stop}")
        return start, stop

    def keys(self, start: int, stop: int) -> Sequence[bytes]:
        """Return the content keys of the records from index `start` to before `stop`."""
        return self._unpacked("8x13s", start, stop)

    def records(self, indices: Iterable[int]) -> Columns:
        """Return the records at some indices, in the order of the indices."""
        records = [_KEYED_RECORD.unpack_from(self.data, packed_size(index)) for index in indices]
        if not records:
            return (), (), (), ()
        hours, seconds, milliseconds, keys = zip(*records, strict=True)
        return hours, seconds, milliseconds, keys

    def moments(self, indices: Iterable[int]) -> list[int]:
        """Return when the items of some records were added, in milliseconds since 1970 UTC."""
        data, unpack_from = self.data, _MOMENT.unpack_from
        return [join_moment(*unpack_from(data, _HEADER_BYTES + index * _RECORD_BYTES)) for index in indices]

    def _unpacked(self, record: str, start: int, stop: int) -> Sequence[Any]:
        """Return the values of the records from index `start` to before `stop`; `record` is the format of one."""
        if stop - start <= _MAX_AT_ONCE:
            return _repeated(record, stop - start).unpack_from(self.data, packed_size(start))
        values: list[Any] = []
        for first in range(start, stop, _MAX_AT_ONCE):
            values += _repeated(record, min(stop - first, _MAX_AT_ONCE)).unpack_from(self.data, packed_size(first))
        return values

    def window(self, page: int, page_size: int) -> bytes:
        """Return the header and the records of a page, counted from 1: everything that a page takes from the list."""
        start = (page - 1) * page_size
        return self.data[:_HEADER_BYTES] + self.data[packed_size(start) : packed_size(start + page_size)]

    def __iter__(self) -> Iterator[Item]:
        """Iterate over the items read, newest first."""
        for hours, seconds, milliseconds, content_id, tag in _RECORD.iter_unpack(memoryview(self.data)[_HEADER_BYTES:]):
            yield Item(join_moment(hours, seconds, milliseconds), content_id, TYPE_OF_TAG[tag])
