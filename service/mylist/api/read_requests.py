"""Parses requests that read a list: their parameters, and the ids in the body of `POST /contains`.

`page` and `pageSize` are clamped and never refused, as in the documented API. Every other parameter is refused if its
value is invalid or contradicts another parameter. Unknown parameters are ignored.
"""

import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from urllib.parse import parse_qs

import msgspec

from mylist.api.change_requests import FIELD_FORMS, decode
from mylist.api.parameters import AVAILABLE, ORDERS, SELECTION, VIEWS, one_of
from mylist.api.schemas import ContainsRequest
from mylist.domain.catalogue_entry import fold_genre
from mylist.domain.change_feed import SyncState
from mylist.domain.content import CONTENT_TYPES
from mylist.domain.errors import (
    InvalidFieldError,
    InvalidGenreError,
    InvalidParameterError,
    InvalidSyncTokenError,
    TooManyIdsError,
)
from mylist.domain.filter_and_sort import SEED_PATTERN, SORTS, ListQuery, Sort
from mylist.domain.limits import (
    DEFAULT_CHANGES,
    MAX_CHANGES,
    MAX_GENRE_LENGTH,
    MAX_GENRES,
    MAX_IDS_PER_REQUEST,
    MAX_SEARCH_LENGTH,
    MAX_SEARCH_WORDS,
    MAX_SEED_LENGTH,
)
from mylist.domain.page_request import ContainsKey, ItemsQuery, PageRequest
from mylist.domain.timestamps import to_datetime, to_milliseconds
from mylist.domain.title_words import searched_words
from mylist.http.request import ApiRequest
from mylist.lists.sync_tokens import decode_sync_token

_Given = Mapping[str, Sequence[str]]

# A number as JavaScript's parseInt reads it: blanks and a sign may precede the digits, and the rest is ignored.
_INTEGER = re.compile(r"\s*([+-]?[0-9]{1,15})", re.ASCII)
_LIMIT = re.compile(r"[0-9]{1,4}", re.ASCII)
# A request with any of these parameters is a query.
_QUERY_PARAMETERS = frozenset(each["name"] for each in SELECTION)
_DEFAULT_SORT: Sort = "addedAt"
_SEED = re.compile(SEED_PATTERN)
_SEED_FORM = f"1 to {MAX_SEED_LENGTH} of the characters A-Z a-z 0-9 _ -, with sort=random, and from its page 2 on"
_SEARCH_FORM = f"1 to {MAX_SEARCH_WORDS} words of letters or digits, of at most {MAX_SEARCH_LENGTH} characters"
_ALMOST_A_MILLISECOND = timedelta(microseconds=999)
_TIME_FORM = "a time with its zone, such as 2024-01-20T10:30:00Z or 2024-01-20T11:30:00%2B01:00"
_contains_request = msgspec.json.Decoder(ContainsRequest)


def parse_items_query(query: str, default_size: int, max_size: int) -> PageRequest | ItemsQuery:
    """Parse a query string.

    Args:
        query: the query string.
        default_size: items per page if the client does not specify it.
        max_size: maximum number of items per page.

    Raises:
        InvalidParameterError: a parameter has an invalid value.
    """
    given = parse_qs(query, keep_blank_values=True)
    page_request = parse_page_request(given, default_size, max_size)
    if _QUERY_PARAMETERS.isdisjoint(given):
        return page_request
    cursor = _cursor(given)
    list_query = _list_query(given, needs_seed=cursor is None and page_request.page > 1)
    return ItemsQuery(list_query, page_request, cursor, one_of(given, "view", VIEWS) is not None)


def parse_page_request(given: _Given, default_size: int, max_size: int) -> PageRequest:
    """Parse `page` and `pageSize`.

    A page that is invalid or below 1 becomes 1. A page size that is invalid or 0 becomes `default_size`, a negative one
    becomes 1, and one above `max_size` becomes `max_size`. An empty value counts as absent.
    """
    page = _integer(given.get("page", ()))
    page_size = _integer(given.get("pageSize", ())) or default_size
    return PageRequest(max(page, 1), min(max(page_size, 1), max_size))


def parse_contains_request(body: bytes, media_type: str) -> tuple[list[str], ContainsKey]:
    """Return the ids in a body of the given media type, and the key of the answer.

    Raises:
        InvalidJsonError: the body is not a JSON object.
        InvalidFieldError: `contentIds` is missing, or not an array of strings.
        TooManyIdsError: the body has more than `MAX_IDS_PER_REQUEST` ids.
    """
    request = decode(_contains_request, body, media_type)
    if request.content_ids is None:
        raise InvalidFieldError(f"contentIds must be {FIELD_FORMS['contentIds']}")
    if len(request.content_ids) > MAX_IDS_PER_REQUEST:
        raise TooManyIdsError(MAX_IDS_PER_REQUEST)
    return request.content_ids, ContainsKey(body)


def sync_query(request: ApiRequest) -> tuple[SyncState | None, int]:
    """Return the state in the client's token `since` (None: no token), and the `limit` of changes.

    Raises:
        InvalidSyncTokenError: the token is damaged, belongs to another user, or occurs more than once.
        InvalidParameterError: the limit is invalid.
    """
    given = parse_qs(request.query_string, keep_blank_values=True)
    since = given.get("since", [])
    if len(since) > 1:
        raise InvalidSyncTokenError
    known = decode_sync_token(request.user_id, since[0]) if since else None
    return known, _limit(given.get("limit"))


def _integer(values: Sequence[str]) -> int:
    match = _INTEGER.match(next(filter(None, values), ""))
    return int(match[1]) if match else 0


def _limit(values: Sequence[str] | None) -> int:
    if values is None:
        return DEFAULT_CHANGES
    limit = int(values[0]) if len(values) == 1 and _LIMIT.fullmatch(values[0]) else 0
    if not 1 <= limit <= MAX_CHANGES:
        raise InvalidParameterError("limit", f"a whole number from 1 to {MAX_CHANGES}")
    return limit


def _list_query(given: _Given, *, needs_seed: bool) -> ListQuery:
    """Parse the filters and the order. With `needs_seed`, a random order must have a seed."""
    sort = one_of(given, "sort", SORTS) or _DEFAULT_SORT
    order = one_of(given, "order", ORDERS) or ("asc" if sort == "title" else "desc")
    if sort == "random" and "order" in given:
        raise InvalidParameterError("order", '"asc" or "desc", and not with sort=random')
    genres, excluded_genres = _genres(given, "genre"), _genres(given, "notGenre")
    if not set(genres).isdisjoint(excluded_genres):
        raise InvalidGenreError("notGenre", " that is not given as genre")
    added_from, added_before = _time(given, "addedAfter"), _time(given, "addedBefore")
    if added_from is not None and added_before is not None and added_from >= added_before:
        raise InvalidParameterError("addedAfter", f"{_TIME_FORM}, and before addedBefore")
    available = one_of(given, "available", AVAILABLE)
    return ListQuery(
        one_of(given, "type", CONTENT_TYPES),
        genres,
        sort,
        descending=order == "desc",
        excluded_genres=excluded_genres,
        words=_words(given),
        added_from=added_from,
        added_before=added_before,
        is_available=None if available is None else available == "true",
        seed=_seed(given, is_random=sort == "random", is_needed=needs_seed),
    )


def _genres(given: _Given, name: str) -> tuple[str, ...]:
    genres = [fold_genre(each) for each in given.get(name, ())]
    if len(genres) > MAX_GENRES or not all(1 <= len(each) <= MAX_GENRE_LENGTH for each in genres):
        raise InvalidGenreError(name)
    return tuple(sorted(set(genres)))


def _words(given: _Given) -> tuple[str, ...]:
    values = given.get("q")
    if values is None:
        return ()
    words = searched_words(values[0]) if len(values) == 1 and len(values[0]) <= MAX_SEARCH_LENGTH else ()
    # Words can be longer without accents, and links contain them in that form.
    if not 1 <= len(words) <= MAX_SEARCH_WORDS or len(" ".join(words)) > MAX_SEARCH_LENGTH:
        raise InvalidParameterError("q", _SEARCH_FORM)
    return words


def _time(given: _Given, name: str) -> int | None:
    """Return a time in milliseconds, rounded up. That does not change which items were added before that time."""
    values = given.get(name)
    if values is None:
        return None
    if len(values) == 1:
        with suppress(ValueError, OverflowError):
            moment = datetime.fromisoformat(values[0].upper())  # RFC 3339 allows lower case as well
            if moment.tzinfo is not None:
                milliseconds = to_milliseconds(moment + _ALMOST_A_MILLISECOND)
                to_datetime(milliseconds)  # in UTC, the time may be before year 1
                return milliseconds
    raise InvalidParameterError(name, _TIME_FORM)


def _seed(given: _Given, *, is_random: bool, is_needed: bool) -> str | None:
    values = given.get("seed")
    if values is None and not (is_random and is_needed):
        return None
    if values is None or not is_random or len(values) != 1 or not _SEED.fullmatch(values[0]):
        raise InvalidParameterError("seed", _SEED_FORM)
    return values[0]


def _cursor(given: _Given) -> str | None:
    values = given.get("cursor")
    if values is None:
        return None
    if len(values) != 1 or "page" in given:
        raise InvalidParameterError("cursor", "the nextCursor of an earlier answer, and without page")
    return values[0]
