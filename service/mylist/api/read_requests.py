"""What requests that read a list ask for: their parameters, and the ids in the body of `POST /contains`.

`page` and `pageSize` are clamped and never refused, as in the documented API. Every other parameter is refused when its
value is not valid. Unknown parameters are ignored.
"""

import re
from collections.abc import Mapping, Sequence
from urllib.parse import parse_qs

import msgspec

from mylist.api.change_requests import FIELD_FORMS, decode
from mylist.api.parameters import ORDERS, VIEWS, one_of
from mylist.api.schemas import ContainsRequest
from mylist.domain.catalogue_entry import fold_genre
from mylist.domain.change_feed import SyncState
from mylist.domain.content import CONTENT_TYPES
from mylist.domain.errors import (
    InvalidFieldError,
    InvalidParameterError,
    InvalidSyncTokenError,
    TooManyIdsError,
)
from mylist.domain.filter_and_sort import GENRE_FORM, SORTS, ListQuery, Sort
from mylist.domain.limits import DEFAULT_CHANGES, MAX_CHANGES, MAX_GENRE_LENGTH, MAX_IDS_PER_REQUEST
from mylist.domain.page_request import ContainsKey, ItemsQuery, PageRequest
from mylist.http.request import ApiRequest
from mylist.lists.sync_tokens import decode_sync_token

_Given = Mapping[str, Sequence[str]]

# A number as JavaScript's parseInt reads it: leading blanks and a sign, and whatever follows the digits is ignored.
_INTEGER = re.compile(r"\s*([+-]?[0-9]{1,15})", re.ASCII)
_LIMIT = re.compile(r"[0-9]{1,4}", re.ASCII)
# Any of these makes the request a query.
_QUERY_PARAMETERS = frozenset({"type", "genre", "sort", "order", "cursor", "view"})
_DEFAULT_SORT: Sort = "addedAt"
_contains_request = msgspec.json.Decoder(ContainsRequest)


def parse_items_query(query: str, default_size: int, max_size: int) -> PageRequest | ItemsQuery:
    """Parse a query string.

    Args:
        query: the query string.
        default_size: items on a page when the client asks for none.
        max_size: maximum of items on a page.

    Raises:
        InvalidParameterError: a parameter of a query has an invalid value.
    """
    given = parse_qs(query, keep_blank_values=True)
    page_request = parse_page_request(given, default_size, max_size)
    if _QUERY_PARAMETERS.isdisjoint(given):
        return page_request
    sort = one_of(given, "sort", SORTS) or _DEFAULT_SORT
    order = one_of(given, "order", ORDERS) or ("asc" if sort == "title" else "desc")
    list_query = ListQuery(one_of(given, "type", CONTENT_TYPES), _genre(given), sort, order == "desc")
    return ItemsQuery(list_query, page_request, _cursor(given), one_of(given, "view", VIEWS) is not None)


def parse_page_request(given: _Given, default_size: int, max_size: int) -> PageRequest:
    """Parse `page` and `pageSize`.

    A page that is unparsable or below 1 is 1. A page size that is unparsable or 0 is `default_size`; below 1 it is 1,
    above `max_size` it is `max_size`. An empty value counts as absent.
    """
    page = _integer(given.get("page", ()))
    page_size = _integer(given.get("pageSize", ())) or default_size
    return PageRequest(max(page, 1), min(max(page_size, 1), max_size))


def parse_contains_request(body: bytes, media_type: str) -> tuple[list[str], ContainsKey]:
    """Return the ids that a body of the given media type names, and the key of the answer.

    Raises:
        InvalidJsonError: the body is not a JSON object.
        InvalidFieldError: `contentIds` is missing, or not an array of strings.
        TooManyIdsError: there are more than `MAX_IDS_PER_REQUEST`.
    """
    request = decode(_contains_request, body, media_type)
    if request.content_ids is None:
        raise InvalidFieldError(f"contentIds must be {FIELD_FORMS['contentIds']}")
    if len(request.content_ids) > MAX_IDS_PER_REQUEST:
        raise TooManyIdsError(MAX_IDS_PER_REQUEST)
    return request.content_ids, ContainsKey(body)


def sync_query(request: ApiRequest) -> tuple[SyncState | None, int]:
    """Return the state of the client's token in `since`, if there is one, and the `limit` of changes.

    Raises:
        InvalidSyncTokenError: the token is damaged, belongs to another user, or is not the only one.
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


def _genre(given: _Given) -> str | None:
    values = given.get("genre")
    if values is None:
        return None
    if len(values) != 1 or not 1 <= len(genre := fold_genre(values[0])) <= MAX_GENRE_LENGTH:
        raise InvalidParameterError("genre", GENRE_FORM)
    return genre


def _cursor(given: _Given) -> str | None:
    values = given.get("cursor")
    if values is None:
        return None
    if len(values) != 1 or "page" in given:
        raise InvalidParameterError("cursor", "the nextCursor of an earlier answer, and without page")
    return values[0]
