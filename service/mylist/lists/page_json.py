"""Answers about a list as JSON, joined from ready-made parts, and their links to further pages (RFC 8288).

The movies and shows are already JSON, so a page is joined, not encoded. A user id needs no escaping: its alphabet has
no character that JSON escapes.
"""

from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from itertools import islice
from typing import NamedTuple
from urllib.parse import urlencode

import msgspec

from mylist.domain.catalogue_entry import CatalogueEntry
from mylist.domain.etags import etag_of
from mylist.domain.filter_and_sort import ListQuery, QueryPage
from mylist.domain.hot_loops import join_items, join_versions
from mylist.domain.item import Item
from mylist.domain.packed_list import PackedList, items_of
from mylist.domain.page_request import ItemsQuery, PageRequest
from mylist.domain.timestamps import iso_format, iso_format_milliseconds, to_datetime
from mylist.lists.cursors import encode_cursor

_START = b'{"success":true,"data":{"items":['
_encode = msgspec.json.Encoder().encode
EXPORT_LINES_PER_PART = 500
"""Lines of an export that are rendered before other requests get a turn."""


class PageFrame(NamedTuple):
    """The ready-made parts that all pages with the same number and the same total have.

    Attributes:
        head: the header lines: the links to other pages, and the page's size.
        name: names the page in the input of its ETag.
        end: the end of the body, after the items.
    """

    head: str
    name: bytes
    end: bytes


@lru_cache(maxsize=4096)
def page_frame(request: PageRequest, total: int) -> PageFrame:
    """Return what frames the items of a page of a list of `total` items."""
    total_pages = -(-total // request.page_size)
    return PageFrame(
        _head(_page_targets(request.page, total_pages), {}, request.page_size),
        b"\n%d\n%d\n" % request,
        b'],"total":%d,"page":%d,"pageSize":%d,"totalPages":%d}}' % (total, *request, total_pages),
    )


def page_json(frame: PageFrame, user_id: str, records: bytes, entries: list[CatalogueEntry]) -> bytes:
    """Return the body of a page.

    Args:
        frame: of the page.
        user_id: whose list.
        records: the records of the page, as in the packed list.
        entries: the movie or show of each record.
    """
    return b"".join([_START, join_items(user_id, records, entries), frame.end])


def page_etag(frame: PageFrame, user_id: str, header: bytes, records: bytes, entries: list[CatalogueEntry]) -> str:
    """Return the ETag of a page. It covers everything that determines the body, so that the body need not be rendered.

    Args:
        frame: of the page.
        user_id: whose list.
        header: the header of the packed list, which has its counts.
        records: the records of the page, as in the packed list.
        entries: the movie or show of each record.
    """
    return etag_of(b"".join([user_id.encode(), frame.name, header, records, join_versions(entries)]))


class QueryAnswer:
    """One page of a query's result, ready to be rendered.

    Args:
        user_id: whose list.
        query: the query of the client.
        page: the result.
        title_order: the catalogue's sort order of titles.
    """

    def __init__(self, user_id: str, query: ItemsQuery, page: QueryPage, title_order: str) -> None:
        self._user_id = user_id
        self._query = query
        self._page = page
        self._cursor = encode_cursor(page.end, user_id, query.list_query, title_order) if page.end else None

    @property
    def etag(self) -> str:
        """The ETag. It covers everything that determines the body, so that the body need not be rendered."""
        query, page = self._query, self._page
        told = (self._user_id, query.page_request, query.cursor is None, page.total, self._cursor)
        return etag_of(b"".join([repr(told).encode(), page.items, join_versions(page.entries or [])]))

    @property
    def head(self) -> str:
        """The header lines."""
        query, page = self._query, self._page
        number, page_size = query.page_request
        if query.cursor is None:
            return _query_head(query.list_query, query.ids_only, number, page_size, -(-page.total // page_size))
        targets = {"first": {"cursor": ""}} | ({"next": {"cursor": self._cursor}} if self._cursor else {})
        return _head(targets, _parameters(query.list_query, ids_only=query.ids_only), page_size)

    @property
    def body(self) -> bytes:
        """The body."""
        page, (number, page_size) = self._page, self._query.page_request
        if page.entries is None:
            items = b",".join([_id_json(item) for item in items_of(page.items)])
        else:
            items = join_items(self._user_id, page.items, page.entries)
        if self._query.cursor is None:
            numbers = b'"page":%d,"pageSize":%d,"totalPages":%d' % (number, page_size, -(-page.total // page_size))
        else:
            numbers = b'"pageSize":%d' % page_size
        next_cursor = f'"{self._cursor}"'.encode() if self._cursor else b"null"
        end = b'],"total":%d,%b,"nextCursor":%b}}' % (page.total, numbers, next_cursor)
        return b"".join([_START, items, end])


def contains_json(present: Sequence[bool]) -> bytes:
    """Return the body of the answer to which ids are on a list."""
    return b'{"success":true,"data":{"contains":%b}}' % _encode(present)


def export_lines(packed: PackedList) -> Iterator[bytes]:
    """Yield a whole list as JSON Lines, newest first, `EXPORT_LINES_PER_PART` lines at a time."""
    items = iter(packed)
    while part := list(islice(items, EXPORT_LINES_PER_PART)):
        yield b"".join(map(_export_line, part))


def _export_line(item: Item) -> bytes:
    return _id_json(item) + b"\n"


def _id_json(item: Item) -> bytes:
    return b'{"contentId":"%s","contentType":"%s","addedAt":"%s"}' % (
        item.content_id.hex().encode(),
        item.content_type.encode(),
        iso_format_milliseconds(item.added_at),
    )


def _page_targets(page: int, total_pages: int) -> dict[str, dict[str, str]]:
    last = max(total_pages, 1)
    numbers = {"first": 1, "prev": min(page - 1, last), "next": page + 1, "last": last}
    return {relation: {"page": str(number)} for relation, number in numbers.items() if 1 <= number <= last}


def _head(targets: Mapping[str, dict[str, str]], same: Mapping[str, str | Sequence[str]], page_size: int) -> str:
    # A reference that is only a query keeps the path, even if a gateway has rewritten it.
    start = "".join([urlencode(same, doseq=True), "&"]) if same else ""
    links = (
        f'<?{start}{urlencode(target | {"pageSize": str(page_size)})}>; rel="{relation}"'
        for relation, target in targets.items()
    )
    return f"link: {', '.join(links)}\r\nx-page-size: {page_size}\r\n"


@lru_cache(maxsize=1024)
def _query_head(query: ListQuery, ids_only: bool, page: int, page_size: int, total_pages: int) -> str:
    return _head(_page_targets(page, total_pages), _parameters(query, ids_only=ids_only), page_size)


def _parameters(query: ListQuery, *, ids_only: bool) -> dict[str, str | Sequence[str]]:
    is_random = query.sort == "random"
    parameters: dict[str, str | Sequence[str] | None] = {
        "type": query.content_type,
        "genre": query.genres,
        "notGenre": query.excluded_genres,
        "q": " ".join(query.words) or None,
        "addedAfter": _time(query.added_from),
        "addedBefore": _time(query.added_before),
        "available": None if query.is_available is None else str(query.is_available).lower(),
        "sort": query.sort,
        "order": None if is_random else "desc" if query.descending else "asc",
        "seed": query.seed,
        "view": "ids" if ids_only else None,
    }
    return {name: value for name, value in parameters.items() if value is not None}


def _time(milliseconds: int | None) -> str | None:
    return None if milliseconds is None else iso_format(to_datetime(milliseconds))
