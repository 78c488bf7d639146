"""Answers about a list as JSON, joined from ready-made parts, and their links to further pages (RFC 8288).

The movies and shows are already JSON, so a page is joined, not encoded. A user id needs no escaping: its alphabet has
no character that JSON escapes.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from itertools import islice
from urllib.parse import urlencode

import msgspec

from mylist.domain.catalogue_entry import CatalogueEntry
from mylist.domain.content import split_content_key
from mylist.domain.etags import etag_of
from mylist.domain.filter_and_sort import ListQuery, QueryPage
from mylist.domain.item import Item
from mylist.domain.packed_list import Moments, PackedList, pack_columns
from mylist.domain.page_request import ItemsQuery, PageRequest
from mylist.domain.timestamps import iso_columns, iso_format, iso_format_milliseconds, join_moment, to_datetime
from mylist.lists.cursors import encode_cursor

_encode = msgspec.json.Encoder().encode
EXPORT_LINES_PER_PART = 500
"""Lines of an export that are rendered before other requests get a turn."""


def page_json(
    user_id: str, request: PageRequest, total: int, moments: Moments, entries: Sequence[CatalogueEntry]
) -> bytes:
    """Return the body of a page.

    Args:
        user_id: whose list.
        request: the page that the client requested.
        total: number of items on the list.
        moments: when the items of the page were added.
        entries: the movie or show of each item.
    """
    parts = [b'{"success":true,"data":{"items":[', *_items(user_id, moments, entries)]
    total_pages = -(-total // request.page_size)
    parts.append(b'],"total":%d,"page":%d,"pageSize":%d,"totalPages":%d}}' % (total, *request, total_pages))
    return b"".join(parts)


def page_etag(user_id: str, request: PageRequest, window: bytes, entries: Iterable[CatalogueEntry]) -> str:
    """Return the ETag of a page. It covers everything that determines the body, so that the body need not be rendered.

    Args:
        user_id: whose list.
        request: the page that the client requested.
        window: the counts of the list and the records of the page, as in the packed list.
        entries: the movies and shows of the page.
    """
    versions = [entry.version for entry in entries]
    return etag_of(b"%b\n%d\n%d\n%b%b" % (user_id.encode(), *request, window, b"".join(versions)))


@lru_cache(maxsize=4096)
def page_head(request: PageRequest, total_pages: int) -> str:
    """Return the header lines of a page: the links to other pages, and the page's size."""
    return _head(_page_targets(request.page, total_pages), {}, request.page_size)


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
        versions = [entry.version for entry in page.entries or ()]
        return etag_of(b"".join([repr(told).encode(), pack_columns(page.items), *versions]))

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
            items = [b",".join(map(_id_record, *page.items))]
        else:
            items = _items(self._user_id, page.items[:3], page.entries)
        if self._query.cursor is None:
            numbers = b'"page":%d,"pageSize":%d,"totalPages":%d' % (number, page_size, -(-page.total // page_size))
        else:
            numbers = b'"pageSize":%d' % page_size
        next_cursor = f'"{self._cursor}"'.encode() if self._cursor else b"null"
        end = b'],"total":%d,%b,"nextCursor":%b}}' % (page.total, numbers, next_cursor)
        return b"".join([b'{"success":true,"data":{"items":[', *items, end])


def contains_json(present: Sequence[bool]) -> bytes:
    """Return the body of the answer to which ids are on a list."""
    return b'{"success":true,"data":{"contains":%b}}' % _encode(present)


def export_lines(packed: PackedList) -> Iterator[bytes]:
    """Yield a whole list as JSON Lines, newest first, `EXPORT_LINES_PER_PART` lines at a time."""
    items = iter(packed)
    while part := list(islice(items, EXPORT_LINES_PER_PART)):
        yield b"".join(map(_export_line, part))


def _export_line(item: Item) -> bytes:
    return _id_json(item.content_id.hex(), item.content_type, item.added_at) + b"\n"


def _id_json(content_id: str, content_type: str, added_at: int) -> bytes:
    return b'{"contentId":"%s","contentType":"%s","addedAt":"%s"}' % (
        content_id.encode(),
        content_type.encode(),
        iso_format_milliseconds(added_at),
    )


def _items(user_id: str, moments: Moments, entries: Sequence[CatalogueEntry]) -> list[bytes]:
    """Return the parts of the items, with commas in between. Every part is ready-made.

    Work a column at a time: this takes half as long as item by item.
    """
    if not entries:
        return []
    start = b'{"userId":"' + user_id.encode()
    parts = [b"," + start] * (6 * len(entries))
    parts[0] = start
    parts[1::6] = [entry.before for entry in entries]
    parts[2::6], parts[3::6], parts[4::6] = iso_columns(*moments)
    parts[5::6] = [entry.after for entry in entries]
    return parts


def _id_record(hours: int, seconds: int, milliseconds: int, key: bytes) -> bytes:
    content_id, content_type = split_content_key(key)
    return _id_json(content_id.hex(), content_type, join_moment(hours, seconds, milliseconds))


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
