"""The binary form of a whole list: what the cache holds and what every read is a slice of.

    header   'L', format version (1 byte), 2 bytes of zero, movies (u32), shows (u32)
    record   added_at (i64, milliseconds since 1970), content id (12 bytes), type (1 byte: 'm' or 't')

All integers are big-endian. Records are sorted newest first, equal times by content id, so a page is a slice and needs
no sorting, and the first page of a long list needs only its beginning. The last 13 bytes of a record are the content
key of a movie or show. The first byte tells a list from the lease and the fence that the cache may hold in its place.
A Lua script reads the counts too (`mylist/cache/lua/place_fence.lua`).
"""

import struct
from collections.abc import Iterable, Iterator
from typing import Self

from mylist.domain.content import TAG_OF_TYPE, TYPE_OF_TAG, ContentId
from mylist.domain.item import Item

LIST_TAG = b"L"
_VERSION = 1
_BEFORE_COUNTS = ">cB2x"
_HEADER = struct.Struct(_BEFORE_COUNTS + "II")
COUNTS_OFFSET = struct.calcsize(_BEFORE_COUNTS)
"""Where the numbers of movies and shows are, in bytes."""
_RECORD = struct.Struct(">q12sc")
_KEYED_RECORD = struct.Struct(">q13s")
_CONTENT_ID = struct.Struct(">8x12sx")
# As constants: every cached read computes sizes.
_HEADER_BYTES, _RECORD_BYTES = _HEADER.size, _RECORD.size


class UnreadableListError(ValueError):
    """The bytes are not a list of this format version."""


def packed_size(items: int) -> int:
    """Return the bytes of a list of `items` items, which are those of a longer list up to its item `items`."""
    return _HEADER_BYTES + items * _RECORD_BYTES


class PackedList:
    """A list in its binary form, whole or truncated after some of its items.

    Attributes:
        data: the bytes, as far as they were read.
        movies: how many items of the whole list are movies.
        shows: how many items of the whole list are shows.
    """

    __slots__ = ("data", "movies", "shows")

    def __init__(self, data: bytes, *, max_items: int | None = None) -> None:
        """Read the header of `data`, which may be truncated after `max_items` items.

        Raises:
            UnreadableListError: `data` is damaged or was written by another format version.
        """
        if len(data) < _HEADER_BYTES:
            raise UnreadableListError("shorter than a header")
        tag, version, movies, shows = _HEADER.unpack_from(data)
        if tag != LIST_TAG or version != _VERSION:
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
        header = _HEADER.pack(LIST_TAG, _VERSION, movies, len(ordered) - movies)
        records = (_RECORD.pack(item.added_at, item.content_id, TAG_OF_TYPE[item.content_type]) for item in ordered)
        return cls(header + b"".join(records))

    @property
    def total(self) -> int:
        """How many items the whole list has."""
        return self.movies + self.shows

    def prefix(self, items: int | None) -> bytes:
        """Return the bytes up to item `items`; all of them for None."""
        return self.data if items is None else self.data[: _HEADER_BYTES + items * _RECORD_BYTES]

    def contains(self, content_ids: Iterable[ContentId | None]) -> list[bool]:
        """Return for each content id whether it is among the items read; False for None."""
        present = self.content_ids()
        return [content_id in present for content_id in content_ids]

    def content_ids(self) -> set[ContentId]:
        """Return the content ids of the items read."""
        return {content_id for (content_id,) in _CONTENT_ID.iter_unpack(memoryview(self.data)[_HEADER_BYTES:])}

    def page(self, page: int, page_size: int) -> list[tuple[int, bytes]]:
        """Return `added_at` (milliseconds since 1970 UTC) and content key of each item of a page, counted from 1.

        Raises:
            IndexError: the list was truncated before the end of this page.
        """
        start = min((page - 1) * page_size, self.total)
        stop = min(start + page_size, self.total)
        if len(self.data) < packed_size(stop):
            raise IndexError(f"{len(self.data)} bytes do not reach item {stop}")
        window = memoryview(self.data)[packed_size(start) : packed_size(stop)]
        return list(_KEYED_RECORD.iter_unpack(window))

    def window(self, page: int, page_size: int) -> bytes:
        """Return the header and the records of a page, counted from 1: all that a page has of the list."""
        start = (page - 1) * page_size
        return self.data[:_HEADER_BYTES] + self.data[packed_size(start) : packed_size(start + page_size)]

    def __iter__(self) -> Iterator[Item]:
        """Iterate over the items read, newest first."""
        for added_at, content_id, tag in _RECORD.iter_unpack(memoryview(self.data)[_HEADER_BYTES:]):
            yield Item(added_at, content_id, TYPE_OF_TAG[tag])
