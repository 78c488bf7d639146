"""A movie or show as lists use it: ready-made JSON, and what lists are sorted and filtered by."""

import math
from dataclasses import dataclass, field
from typing import Any

import msgspec
from xxhash import xxh3_64_digest

from mylist.domain.title_words import title_words

LAST_TITLE = b"\xff\xff"
"""What sorts after every title: no title holds such a byte."""


@dataclass(slots=True, eq=False)
class CatalogueEntry:
    """One movie or show as the parts of a list item's JSON.

    Attributes:
        key: the content key.
        before: from the comma after the user id up to the opening quote of `addedAt`.
        after: from the closing quote of `addedAt` to the end of the item.
        version: of `before` and `after`, whose checksum it is: 8 bytes.
        refresh_at: monotonic time, in seconds, from which the entry is fetched again in the background.
        expires_at: monotonic time, in seconds, from which the entry is fetched again before it is used.
        exists_until: monotonic time, in seconds, until which there certainly is such a document; -inf if there is none.
        is_used: whether it was asked for since the cache last looked for one to let go.
        title: what the entry sorts by (`mylist.catalogue.sort_keys`); None without a title.
        released_at: milliseconds since 1970 UTC; None without a date.
        genres: casefolded.
        title_place: what the entry is sorted by from the first title to the last: its title, a byte that is in no
            title, and its key, which tells equal titles apart.
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
        """Sum up what is told, and join what it is sorted by."""
        self.version = xxh3_64_digest(self.before + self.after)
        self.title_place = (LAST_TITLE if self.title is None else self.title) + b"\0" + self.key

    @property
    def is_available(self) -> bool:
        """Whether there is such a movie or show; one that is not was withdrawn."""
        return self.exists_until > -math.inf

    @property
    def words(self) -> bytes:
        """The words of the title, as `title_words` has them; empty without a title.

        They are read from the JSON when a search first asks for them: few titles are ever searched.
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
    """Return the form in which genres are compared."""
    return str(genre).casefold()
