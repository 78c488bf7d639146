"""Answers about a list as JSON, joined from ready-made parts, and the links that lead on from them (RFC 8288).

The movies and shows are JSON already, so a page is joined, not encoded. A user id needs no escaping: its alphabet has
nothing that JSON escapes.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from urllib.parse import urlencode

from mylist.domain.catalogue_entry import CatalogueEntry
from mylist.domain.content import split_content_key
from mylist.domain.filter_and_sort import QueryPage
from mylist.domain.item import Item
from mylist.domain.packed_list import PackedList
from mylist.domain.page_request import ItemsQuery, PageRequest
from mylist.domain.timestamps import iso_format_milliseconds
from mylist.lists.cursors import encode_cursor

EXPORT_LINES_PER_PART = 500
"""Lines of an export that are rendered before other requests run."""


def page_json(user_id: str, request: PageRequest, total: int, items: Sequence[tuple[int, CatalogueEntry]]) -> bytes:
    """Return the body of a page.

    Args:
        user_id: whose list.
        request: which page.
        total: how many items the list has.
        items: when each item of the page was added (milliseconds since 1970 UTC), and its movie or show.
    """
    start = b'{"userId":"' + user_id.encode()
    parts = [b'{"success":true,"data":{"items":[']
    for added_at, entry in items:
        parts += (start, entry.before, iso_format_milliseconds(added_at), entry.after, b",")
    if items:
        parts.pop()
    total_pages = -(-total // request.page_size)
    parts.append(b'],"total":%d,"page":%d,"pageSize":%d,"totalPages":%d}}' % (total, *request, total_pages))
    return b"".join(parts)


def page_head(request: PageRequest, total: int) -> str:
    """Return the header lines of a page of a list of `total` items: where to go on, and the page's size."""
    return _head(_page_targets(request, total), {}, request.page_size)


def query_json(user_id: str, query: ItemsQuery, page: QueryPage, title_order: str) -> tuple[bytes, str]:
    """Return the body of one page of a query's result, and its header lines."""
    cursor = encode_cursor(page.end, user_id, query.list_query, title_order) if page.end else None
    if query.cursor is None:
        targets = _page_targets(query.page_request, page.total)
    else:
        targets = {"first": {"cursor": ""}} | ({"next": {"cursor": cursor}} if cursor else {})
    head = _head(targets, _parameters(query), query.page_request.page_size)
    return _query_body(user_id, query, page, cursor), head


def contains_json(present: Iterable[bool]) -> bytes:
    """Return the body of the answer which ids are on a list."""
    return b'{"success":true,"data":{"contains":[%b]}}' % b",".join(b"true" if each else b"false" for each in present)


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


def _query_body(user_id: str, query: ItemsQuery, result: QueryPage, cursor: str | None) -> bytes:
    items = b",".join(_ids(result) if result.entries is None else _items(user_id, result))
    page, page_size = query.page_request
    if query.cursor is None:
        numbers = b'"page":%d,"pageSize":%d,"totalPages":%d' % (page, page_size, -(-result.total // page_size))
    else:
        numbers = b'"pageSize":%d' % page_size
    next_cursor = f'"{cursor}"'.encode() if cursor else b"null"
    return b'{"success":true,"data":{"items":[%s],"total":%d,%s,"nextCursor":%s}}' % (
        items,
        result.total,
        numbers,
        next_cursor,
    )


def _items(user_id: str, result: QueryPage) -> Iterator[bytes]:
    start = b'{"userId":"' + user_id.encode()
    for (added_at, _), entry in zip(result.items, result.entries or (), strict=True):
        yield start + entry.before + iso_format_milliseconds(added_at) + entry.after


def _ids(result: QueryPage) -> Iterator[bytes]:
    for added_at, key in result.items:
        content_id, content_type = split_content_key(key)
        yield _id_json(content_id.hex(), content_type, added_at)


def _page_targets(request: PageRequest, total: int) -> dict[str, dict[str, str]]:
    page, page_size = request
    last = max(-(-total // page_size), 1)
    numbers = {"first": 1, "prev": min(page - 1, last), "next": page + 1, "last": last}
    return {relation: {"page": str(number)} for relation, number in numbers.items() if 1 <= number <= last}


def _head(targets: Mapping[str, dict[str, str]], same: dict[str, str], page_size: int) -> str:
    # A query alone is a reference to the same path, whatever a gateway has made of it.
    links = (
        f'<?{urlencode(same | target | {"pageSize": str(page_size)})}>; rel="{relation}"'
        for relation, target in targets.items()
    )
    return f"link: {', '.join(links)}\r\nx-page-size: {page_size}\r\n"


def _parameters(query: ItemsQuery) -> dict[str, str]:
    parameters = {
        "type": query.list_query.content_type,
        "genre": query.list_query.genre,
        "sort": query.list_query.sort,
        "order": "desc" if query.list_query.descending else "asc",
        "view": "ids" if query.ids_only else None,
    }
    return {name: value for name, value in parameters.items() if value is not None}
