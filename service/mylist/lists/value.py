"""The binary form of a whole list: what the cache holds and what every read is a slice of.

    header   'L', format version (1 byte), 2 bytes of zero, movies (u32), shows (u32)
    record   added_at (i64, milliseconds since 1970), content id (12 bytes), type (1 byte: 'm' or 't')

All integers are big-endian. Records stand newest first, equal times by content id, so a page is a slice and needs no
sorting, and a long list's first page needs only its beginning. The last 13 bytes of a record name a document of the
catalogue. The first byte tells a list from the lease and the fence that the cache may hold in its place; the counts are
read by a Lua script too (`mylist.cache.commands`).
"""

import struct
from collections.abc import Iterable, Iterator
from typing import Self

from mylist.lists.item import ContentType, Item

LIST_TAG = b"L"
_VERSION = 1
_HEADER = struct.Struct(">cB2xII")
_RECORD = struct.Struct(">q12sc")
_KEYED_RECORD = struct.Struct(">q13s")
_CONTENT_ID = struct.Struct(">8x12sx")

_TAG_OF_TYPE: dict[ContentType, bytes] = {"movie": b"m", "tvshow": b"t"}
_TYPE_OF_TAG: dict[bytes, ContentType] = {tag: name for name, tag in _TAG_OF_TYPE.items()}


class UnreadableValueError(ValueError):
    """The bytes are not a list of this format version."""


def content_key(content_id: bytes, content_type: ContentType) -> bytes:
    """Gives the 13 bytes by which a list names a document of the catalogue."""
    return content_id + _TAG_OF_TYPE[content_type]


def split_content_key(key: bytes) -> tuple[bytes, ContentType]:
    """Gives back the content id (12 bytes) and type of a content key."""
    return key[:12], _TYPE_OF_TAG[key[12:]]


def size_of(items: int) -> int:
    """Gives how many bytes a list of so many items takes, or the beginning of a list up to the last of them."""
    return _HEADER.size + items * _RECORD.size


class ListValue:
    """A list in its binary form, whole or cut after some of its items.

    Attributes:
        data: the value as it is cached, as far as it is here.
        movies: how many items are movies.
        shows: how many items are shows.
    """

    __slots__ = ("data", "movies", "shows")

    def __init__(self, data: bytes, *, first: int | None = None) -> None:
        """Reads the header of `data`, which may be cut after its `first` items.

        Raises:
            UnreadableValueError: `data` is damaged or was written by another format version.
        """
        if len(data) < _HEADER.size:
            raise UnreadableValueError("shorter than a header")
        tag, version, movies, shows = _HEADER.unpack_from(data)
        if tag != LIST_TAG or version != _VERSION:
            raise UnreadableValueError(f"tag {tag!r}, version {version}")
        if len(data) != size_of(movies + shows) and (first is None or len(data) != size_of(first)):
            raise UnreadableValueError(f"{len(data)} bytes for {movies + shows} items")
        self.data = data
        self.movies: int = movies
        self.shows: int = shows

    @classmethod
    def of(cls, items: Iterable[Item]) -> Self:
        """Packs items given in any order."""
        ordered = sorted(items, key=lambda item: (-item.added_at, item.content_id))
        movies = sum(item.content_type == "movie" for item in ordered)
        header = _HEADER.pack(LIST_TAG, _VERSION, movies, len(ordered) - movies)
        records = (_RECORD.pack(item.added_at, item.content_id, _TAG_OF_TYPE[item.content_type]) for item in ordered)
        return cls(header + b"".join(records))

    @property
    def total(self) -> int:
        """How many items the list has."""
        return self.movies + self.shows

    def beginning(self, items: int) -> bytes:
        """Gives the value cut after so many items."""
        return self.data[: size_of(items)]

    def contains(self, content_ids: Iterable[bytes | None]) -> list[bool]:
        """Says of each content id (12 bytes; None is none) whether the list has it, as far as the list is here."""
        present = self.content_ids()
        return [content_id in present for content_id in content_ids]

    def content_ids(self) -> set[bytes]:
        """Gives the content ids (12 bytes) that are here."""
        return {content_id for (content_id,) in _CONTENT_ID.iter_unpack(memoryview(self.data)[_HEADER.size :])}

    def page(self, page: int, page_size: int) -> list[tuple[int, bytes]]:
        """Gives `added_at` (milliseconds) and content key of each item of a page; `page` counts from 1.

        Raises:
            IndexError: the list was cut before the end of this page.
        """
        start = min((page - 1) * page_size, self.total)
        stop = min(start + page_size, self.total)
        if len(self.data) < size_of(stop):
            raise IndexError(f"{len(self.data)} bytes do not reach item {stop}")
        window = memoryview(self.data)[size_of(start) : size_of(stop)]
        return list(_KEYED_RECORD.iter_unpack(window))

    def __iter__(self) -> Iterator[Item]:
        """Goes through the items that are here, newest first."""
        for added_at, content_id, tag in _RECORD.iter_unpack(memoryview(self.data)[_HEADER.size :]):
            yield Item(added_at, content_id, _TYPE_OF_TAG[tag])
