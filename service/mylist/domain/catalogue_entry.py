"""A movie or show as lists use it: ready-made JSON, and what lists are sorted and filtered by."""

from dataclasses import dataclass


@dataclass(slots=True)
class CatalogueEntry:
    """One movie or show as the parts of a list item's JSON.

    Attributes:
        before: from the comma after the user id up to the opening quote of `addedAt`.
        after: from the closing quote of `addedAt` to the end of the item.
        exists: whether there is such a document; `after` says `null` otherwise.
        refresh_at: monotonic time, in seconds, from which the entry is fetched again in the background.
        expires_at: monotonic time, in seconds, from which the entry is fetched again before it is used.
        title: what the entry sorts by (`mylist.catalogue.sort_keys`); None without a title.
        released_at: milliseconds since 1970 UTC; None without a date.
        genres: casefolded.
    """

    before: bytes
    after: bytes
    exists: bool
    refresh_at: float
    expires_at: float
    title: bytes | None = None
    released_at: int | None = None
    genres: tuple[str, ...] = ()


def fold_genre(genre: str) -> str:
    """Return the form in which genres are compared."""
    return str(genre).casefold()
