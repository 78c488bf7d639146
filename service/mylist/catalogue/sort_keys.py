"""The attributes by which lists are sorted and filtered, read from content documents of any shape."""

import re
import sys
import unicodedata
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any

from mylist.domain.articles import Language, leading_article
from mylist.domain.catalogue_entry import fold_genre
from mylist.domain.latin_letters import LATIN_LETTERS
from mylist.domain.release_date import release_date
from mylist.domain.timestamps import to_milliseconds

_MAX_TITLE_LENGTH = 100
"""In characters."""


def title_order(language: Language) -> str:
    """Return the name of the sort order of `title_of`. If the keys change, the name must change."""
    return f"2-{language}"


def title_of(document: Mapping[str, Any], language: Language) -> bytes | None:
    """Return the sort key of a title, as UTF-8 without NUL; None if the title is missing.

    The key is the first 100 characters of its `sortTitle`, or else of its title without the leading article, casefolded
    and without accents. Spaces sort before symbols, symbols before digits, and digits before letters.
    """
    if key := _collated(_folded(document.get("sortTitle")) or ""):
        return key
    title = _folded(document.get("title"))
    if title is None:
        return None
    article = _leading_article(language).match(title)
    return _collated(title[article.end() :] if article else title)


def _folded(text: object) -> str | None:
    """Return a text folded for comparison, accents kept: "À bout de souffle" begins with no English article."""
    return unicodedata.normalize("NFKC", text).casefold().strip() if isinstance(text, str) else None


@lru_cache
def _leading_article(language: Language) -> re.Pattern[str]:
    return re.compile(leading_article(language))


def _collated(text: str) -> bytes:
    letters = "".join(_weights(unicodedata.normalize("NFKD", text))).translate(LATIN_LETTERS)
    # Compose again: otherwise each syllable of Hangul would take three characters.
    composed = unicodedata.normalize("NFC", " ".join(letters.split()))
    return composed[:_MAX_TITLE_LENGTH].encode()


def _weights(text: str) -> Iterator[str]:
    for character in text:
        if character.isascii():
            yield character if character.isalnum() else _of_symbol(character)
        elif not unicodedata.combining(character):
            yield _of_symbol(character)


def _of_symbol(character: str) -> str:
    """Return the character; a symbol gets a prefix that sorts before every digit and letter."""
    match unicodedata.category(character)[0]:
        case "P" | "S":
            return f"!{character}"
        case "C" if not character.isspace():  # it is invisible
            return ""
        case _:
            return character


def released_at(document: Mapping[str, Any]) -> int | None:
    """Return the release date, in milliseconds since 1970 UTC; None if unknown."""
    date = release_date(document)
    return to_milliseconds(date) if date else None


def genres_of(document: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the genres, casefolded; values that are not text are left out."""
    genres = document.get("genres")
    # Few genres, many documents: interned, so that equal genres share one string.
    return (
        tuple(sys.intern(fold_genre(each)) for each in genres if isinstance(each, str))
        if isinstance(genres, list)
        else ()
    )
