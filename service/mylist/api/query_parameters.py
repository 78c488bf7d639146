"""The query strings of the routes.

`page` and `pageSize` are clamped and never refused, as in the documented API. Every other parameter is refused when its
value is not valid. Unknown parameters are ignored by reads, and refused by what changes a list: a typing error must not
change more than was meant.
"""

import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from functools import lru_cache
from typing import NamedTuple, TypeVar
from urllib.parse import parse_qs

from multidict import istr

from mylist.api.parameters import MODES, ORDERS, VIEWS
from mylist.domain.catalogue_entry import fold_genre
from mylist.domain.change_feed import SyncState
from mylist.domain.conditions import UNCONDITIONAL, Conditions
from mylist.domain.content import CONTENT_TYPES
from mylist.domain.errors import (
    ContentIdMissingError,
    InvalidFieldError,
    InvalidParameterError,
    InvalidSyncTokenError,
    UnknownParameterError,
)
from mylist.domain.filter_and_sort import GENRE_FORM, SORTS, ListQuery, Sort
from mylist.domain.limits import DEFAULT_CHANGES, MAX_CHANGES, MAX_CLOCK_SKEW, MAX_GENRE_LENGTH
from mylist.domain.page_request import ItemsQuery, PageRequest
from mylist.domain.timestamps import to_milliseconds
from mylist.http.request import ApiRequest
from mylist.lists.sync_tokens import decode_sync_token

_Value = TypeVar("_Value", bound=str)
_Given = Mapping[str, Sequence[str]]

# A number as JavaScript's parseInt reads it: leading blanks and a sign, and whatever follows the digits is ignored.
_INTEGER = re.compile(r"\s*([+-]?[0-9]{1,15})", re.ASCII)
_IF_MATCH, _IF_NONE_MATCH = istr("if-match"), istr("if-none-match")
_TOTAL = re.compile(r"[0-9]{1,9}", re.ASCII)
_LIMIT = re.compile(r"[0-9]{1,4}", re.ASCII)
# Any of these makes the request a query.
_QUERY_PARAMETERS = frozenset({"type", "genre", "sort", "order", "cursor", "view"})
_DEFAULT_SORT: Sort = "addedAt"
# Longer query strings hardly come twice, and would only fill the memory.
_MAX_REMEMBERED_LENGTH = 64


def items_query(request: ApiRequest) -> PageRequest | ItemsQuery:
    """Return what `GET /items` asks for."""
    settings = request.app.ctx.settings
    query = request.query_string
    parse = _remembered_items_query if len(query) <= _MAX_REMEMBERED_LENGTH else parse_items_query
    return parse(query, settings.default_page_size, settings.max_page_size)


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


_remembered_items_query = lru_cache(maxsize=4096)(parse_items_query)


def parse_page_request(given: _Given, default_size: int, max_size: int) -> PageRequest:
    """Parse `page` and `pageSize`.

    A page that is unparsable or below 1 is 1. A page size that is unparsable or 0 is `default_size`; below 1 it is 1,
    above `max_size` it is `max_size`. An empty value counts as absent.
    """
    page = _integer(given.get("page", ()))
    page_size = _integer(given.get("pageSize", ())) or default_size
    return PageRequest(max(page, 1), min(max(page_size, 1), max_size))


def change_conditions(request: ApiRequest) -> Conditions:
    """Return the conditions of a request that changes a list and takes no parameters.

    Raises:
        UnknownParameterError: it has parameters.
    """
    return _conditions(request, _change_parameters(request))


def addition_conditions(request: ApiRequest) -> Conditions:
    """Return the conditions of a request that adds items.

    Raises:
        UnknownParameterError: it has a parameter that is not known.
        InvalidParameterError: `unlessRemovedSince` has an invalid value.
    """
    return _conditions(request, _change_parameters(request, "unlessRemovedSince"))


def clearing_conditions(request: ApiRequest) -> Conditions:
    """Return the conditions of a request to clear a list.

    Raises:
        ContentIdMissingError: the id of the item to remove was left out, and the path has a slash at its end.
        InvalidFieldError: it has a body, which might name some items.
        UnknownParameterError: it has a parameter that is not known.
        InvalidParameterError: `confirm` has another value than true.
        ConfirmationRequiredError: the request neither is confirmed nor names the list by its ETag.
    """
    if request.path.endswith("/"):
        raise ContentIdMissingError
    if request.stream.has_body:
        raise InvalidFieldError(
            "A request to clear the list has no body; POST /api/mylist/batch removes some items. Nothing was changed"
        )
    conditions = _conditions(request, _change_parameters(request, "confirm"))
    conditions.require_consent("This would clear the list")
    return conditions


class ImportQuery(NamedTuple):
    """The parameters and conditions of an import.

    Attributes:
        mode: `merge` or `replace`.
        conditions: what must be true of the list.
        total: how many items the import has, as the client says; None if it does not say.
    """

    mode: str
    conditions: Conditions
    total: int | None


def import_query(request: ApiRequest) -> ImportQuery:
    """Return the parameters and conditions of an import.

    Raises:
        UnknownParameterError: it has a parameter that is not known.
        InvalidParameterError: a parameter has an invalid value.
    """
    given = _change_parameters(request, "mode", "confirm", "total", "unlessRemovedSince")
    mode = one_of(given, "mode", MODES, form=" or ".join(MODES)) or MODES[0]
    total = given.get("total")
    if total is not None and (mode == "merge" or len(total) != 1 or not _TOTAL.fullmatch(total[0])):
        raise InvalidParameterError("total", "the number of items, and only with mode=replace")
    return ImportQuery(mode, _conditions(request, given), None if total is None else int(total[0]))


def _change_parameters(request: ApiRequest, *known: str) -> _Given:
    given = parse_qs(request.query_string, keep_blank_values=True) if request.query_string else {}
    for name in given:
        if name not in known:
            raise UnknownParameterError(name, known)
    return given


def _conditions(request: ApiRequest, given: _Given) -> Conditions:
    if_match, if_none_match = request.headers.getall(_IF_MATCH, None), request.headers.getall(_IF_NONE_MATCH, None)
    if not given and not if_match and not if_none_match:
        return UNCONDITIONAL
    return Conditions(
        ", ".join(if_match) if if_match else None,
        ", ".join(if_none_match) if if_none_match else None,
        is_confirmed=one_of(given, "confirm", ("true",), form="true") is not None,
        unless_removed_since=_removals_known(request, given),
    )


def _removals_known(request: ApiRequest, given: _Given) -> SyncState | None:
    values = given.get("unlessRemovedSince")
    if values is None:
        return None
    if len(values) == 1:
        with suppress(InvalidSyncTokenError):
            return _state_of_date(values[0]) or decode_sync_token(request.user_id, values[0])
    raise InvalidParameterError(
        "unlessRemovedSince", "a token of GET /api/mylist/changes, or a time such as 2024-01-20T10:30:00Z"
    )


def _state_of_date(text: str) -> SyncState | None:
    """Return the state of a client that knows all changes up to a moment; None if it is no moment, or a future one."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    if not moment.tzinfo or moment > datetime.now(UTC) + MAX_CLOCK_SKEW:
        return None
    return SyncState(to_milliseconds(moment))


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


def one_of(given: _Given, name: str, allowed: Sequence[_Value], *, form: str = "") -> _Value | None:
    """Return the value of a parameter that must be one of some; None when it is absent.

    Args:
        given: the parameters of the request.
        name: the parameter's.
        allowed: the values that it may have.
        form: these values as the error names them; quoted unless given.

    Raises:
        InvalidParameterError: it has another value, or is given more than once.
    """
    values = given.get(name)
    if values is None:
        return None
    for each in allowed:
        if values == [each]:
            return each
    *others, final = (f'"{each}"' for each in allowed)
    raise InvalidParameterError(name, form or (f"{', '.join(others)} or {final}" if others else final))


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
