"""Selections as JSON, and the links that lead on from them (RFC 8288)."""

from collections.abc import Iterator
from urllib.parse import urlencode

from mylist.api.cursors import encode_cursor
from mylist.api.selection import Selection
from mylist.lists.arrangement import Excerpt
from mylist.lists.item import iso_format_milliseconds
from mylist.lists.value import split_content_key

_PATH = "/api/mylist/items"


def render_excerpt(user_id: str, selection: Selection, excerpt: Excerpt) -> tuple[bytes, str]:
    """Gives the body of the answer, and its `Link` header."""
    cursor = encode_cursor(excerpt.last, user_id, selection.arrangement) if excerpt.last else None
    return _json(user_id, selection, excerpt, cursor), _link(selection, excerpt.total, cursor)


def _json(user_id: str, selection: Selection, excerpt: Excerpt, cursor: str | None) -> bytes:
    items = b",".join(_ids(excerpt) if excerpt.contents is None else _items(user_id, excerpt))
    page, page_size = selection.paging
    if selection.cursor is None:
        numbers = b'"page":%d,"pageSize":%d,"totalPages":%d' % (page, page_size, -(-excerpt.total // page_size))
    else:
        numbers = b'"pageSize":%d' % page_size
    next_cursor = f'"{cursor}"'.encode() if cursor else b"null"
    return b'{"success":true,"data":{"items":[%s],"total":%d,%s,"nextCursor":%s}}' % (
        items,
        excerpt.total,
        numbers,
        next_cursor,
    )


def _items(user_id: str, excerpt: Excerpt) -> Iterator[bytes]:
    start = b'{"userId":"' + user_id.encode()
    for (added_at, _), entry in zip(excerpt.items, excerpt.contents or (), strict=True):
        yield start + entry.before + iso_format_milliseconds(added_at) + entry.after


def _ids(excerpt: Excerpt) -> Iterator[bytes]:
    for added_at, key in excerpt.items:
        content_id, content_type = split_content_key(key)
        yield b'{"contentId":"%s","contentType":"%s","addedAt":"%s"}' % (
            content_id.hex().encode(),
            content_type.encode(),
            iso_format_milliseconds(added_at),
        )


def _link(selection: Selection, total: int, cursor: str | None) -> str:
    page, page_size = selection.paging
    if selection.cursor is not None:
        places = {"first": {"cursor": ""}} | ({"next": {"cursor": cursor}} if cursor else {})
    else:
        last = max(-(-total // page_size), 1)
        numbers = {"first": 1, "prev": min(page - 1, last), "next": page + 1, "last": last}
        places = {relation: {"page": str(number)} for relation, number in numbers.items() if 1 <= number <= last}
    same = _parameters(selection)
    return ", ".join(
        f'<{_PATH}?{urlencode(same | place | {"pageSize": str(page_size)})}>; rel="{relation}"'
        for relation, place in places.items()
    )


def _parameters(selection: Selection) -> dict[str, str]:
    arrangement = selection.arrangement
    parameters = {
        "type": arrangement.content_type,
        "genre": arrangement.genre,
        "sort": arrangement.sort,
        "order": "desc" if arrangement.descending else "asc",
        "view": "ids" if selection.ids_only else None,
    }
    return {name: value for name, value in parameters.items() if value is not None}
