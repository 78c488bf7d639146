"""A movie or show as lists use it: ready-made JSON, and the fields by which lists are sorted and filtered."""

import math
from dataclasses import dataclass, field
from typing import Any

import msgspec
from xxhash import xxh3_64_digest

from mylist.domain.title_words import title_words

LAST_TITLE = b"\xff\xff"
"""Sorts after every title: no title contains this byte."""


@dataclass(slots=True, eq=False)
class CatalogueEntry:
    """One movie or show, in the form of the parts of a list item's JSON.

    Attributes:
        key: the content key.
        before: the JSON from the comma after the user id to the opening quote of `addedAt`.
        after: the JSON from the closing quote of `addedAt` to the end of the item.
        version: checksum of `before` and `after`, 8 bytes.
        refresh_at: monotonic time, in seconds, from which the entry is fetched again in the background.
        expires_at: monotonic time, in seconds, from which the entry is fetched again before it is used.
        exists_until: the document certainly exists until this monotonic time, in seconds; -inf if it does not exist.
        is_used: whether the entry was used since the cache last looked for an entry to evict.
        title: its sort key (`mylist.catalogue.sort_keys`); None without a title.
        released_at: milliseconds since 1970 UTC; None without a date.
        genres: casefolded.
        title_place: the sort key for ascending titles: the title, a byte that no title contains, and the content key,
            which separates equal titles.
    """

    key: bytes
    before: bytes
    after: bytes
    refresh_at: float
    expires_at: float
    exists_until: float
    is_used: bool = False
    title: bytes | None = None
    released_at: int | None = None
    genres: tuple[str, ...] = ()
    version: bytes = field(init=False)
    title_place: bytes = field(init=False)
    _words: bytes | None = field(init=False, default=None)

    def __post_init__(self) -> None:
        """Compute the version and the sort key."""
        self.version = xxh3_64_digest(self.before + self.after)
        self.title_place = (LAST_TITLE if self.title is None else self.title) + b"\0" + self.key

    @property
    def is_available(self) -> bool:
        """Whether the movie or show exists; otherwise it was withdrawn."""
        return self.exists_until > -math.inf

    @property
    def words(self) -> bytes:
        """The words of the title, as `title_words` returns them; empty without a title.

        They are parsed from the JSON at the first search, because few titles are ever searched.
        """
        if self._words is None:
            content = _decode_item(b'{"addedAt":"' + self.after).content
            title = content.title if content else None
            self._words = title_words(title) if isinstance(title, str) else b""
        return self._words


class _Content(msgspec.Struct):
    title: Any = None


class _Item(msgspec.Struct):
    content: _Content | None


_decode_item = msgspec.json.Decoder(_Item).decode


def fold_genre(genre: str) -> str:
    """Return a genre in the form in which genres are compared."""
    return str(genre).casefold()
