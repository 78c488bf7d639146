"""What `GET /items` asks for: a page as documented, or a selection, which has more parameters and refuses bad ones."""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import ClassVar, TypeVar
from urllib.parse import parse_qs

from mylist.api.paging import Paging, parse_paging
from mylist.catalogue.facts import fold
from mylist.errors import InvalidParameterError
from mylist.lists.arrangement import GENRE_FORM, SORTS, Arrangement, Sort
from mylist.lists.item import CONTENT_TYPES

_Value = TypeVar("_Value", bound=str)

LONGEST_GENRE = 100
ORDERS = ("asc", "desc")
VIEWS = ("ids",)

# With one of these it is a selection.
_PARAMETERS = frozenset({"type", "genre", "sort", "order", "cursor", "view"})
_DEFAULT_SORT: Sort = "addedAt"
# Longer ones are nobody's page, and would only fill the memory.
_REMEMBERED_LENGTH = 64


@dataclass(frozen=True, slots=True)
class Selection:
    """A part of a list in some order.

    Attributes:
        arrangement: which items, and in which order.
        paging: which page of them; with a cursor, only its size counts.
        cursor: after which item it begins, as the client gave it; empty for the beginning, None for paging by number.
        ids_only: whether the movies and shows are left out.
    """

    last: ClassVar[int] = sys.maxsize
    """As of `Paging`: the whole list decides what is selected."""

    arrangement: Arrangement
    paging: Paging
    cursor: str | None
    ids_only: bool


def parse_reading(query: str, default_size: int, most: int) -> Paging | Selection:
    """Reads a query string; a page has `default_size` items when none are asked for, and `most` at most.

    Unknown parameters are ignored, and `page` and `pageSize` clamp in either case.

    Raises:
        InvalidParameterError: one of a selection's parameters has another value than it may have.
    """
    parse = _parse if len(query) <= _REMEMBERED_LENGTH else _parse.__wrapped__
    return parse(query, default_size, most)


@lru_cache(maxsize=4096)
def _parse(query: str, default_size: int, most: int) -> Paging | Selection:
    given = parse_qs(query, keep_blank_values=True)
    paging = parse_paging(given, default_size, most)
    if _PARAMETERS.isdisjoint(given):
        return paging
    sort = _one_of(given, "sort", SORTS) or _DEFAULT_SORT
    order = _one_of(given, "order", ORDERS) or ("asc" if sort == "title" else "desc")
    arrangement = Arrangement(_one_of(given, "type", CONTENT_TYPES), _genre(given), sort, order == "desc")
    return Selection(arrangement, paging, _cursor(given), _one_of(given, "view", VIEWS) is not None)


def _one_of(given: Mapping[str, Sequence[str]], name: str, allowed: Sequence[_Value]) -> _Value | None:
    values = given.get(name)
    if values is None:
        return None
    for each in allowed:
        if values == [each]:
            return each
    *others, final = (f'"{each}"' for each in allowed)
    raise InvalidParameterError(name, f"{', '.join(others)} or {final}" if others else final)


def _genre(given: Mapping[str, Sequence[str]]) -> str | None:
    values = given.get("genre")
    if values is None:
        return None
    if len(values) != 1 or not 1 <= len(genre := fold(values[0])) <= LONGEST_GENRE:
        raise InvalidParameterError("genre", GENRE_FORM)
    return genre


def _cursor(given: Mapping[str, Sequence[str]]) -> str | None:
    values = given.get("cursor")
    if values is None:
        return None
    if len(values) != 1 or "page" in given:
        raise InvalidParameterError("cursor", "the nextCursor of an earlier answer, and without page")
    return values[0]
