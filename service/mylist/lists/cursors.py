"""Cursors: the position in a query's result where the next page begins, as an opaque token.

content id (12 bytes), then the sort key (8 bytes for a date, UTF-8 or its inverse for a title); bound to one user and
one query, and by title to the order of the titles
"""

import struct

from mylist.domain.content import CONTENT_ID_SIZE, ContentId
from mylist.domain.errors import InvalidCursorError
from mylist.domain.filter_and_sort import CursorPosition, ListQuery
from mylist.domain.limits import MAX_CURSOR_LENGTH
from mylist.lists.opaque_token import decode_token, encode_token

_PURPOSE = "cursor"
_DATE = struct.Struct(">q")


def encode_cursor(position: CursorPosition, user_id: str, query: ListQuery, title_order: str) -> str:
    """Return the cursor of a position in a query's result; `title_order` names the order in which titles are sorted."""
    key = position.sort_key if isinstance(position.sort_key, bytes) else _DATE.pack(position.sort_key)
    return encode_token(position.content_id + key, _PURPOSE, user_id, _identity(query, title_order))


def decode_cursor(cursor: str, user_id: str, query: ListQuery, title_order: str) -> CursorPosition:
    """Return the position of a cursor; `title_order` names the order in which titles are sorted.

    Raises:
        InvalidCursorError: the cursor is damaged, or belongs to another user, another query or another order of titles.
    """
    if len(cursor) > MAX_CURSOR_LENGTH:
        raise InvalidCursorError
    content = decode_token(cursor, _PURPOSE, user_id, _identity(query, title_order))
    if content is None:
        raise InvalidCursorError
    content_id, key = ContentId(content[:CONTENT_ID_SIZE]), content[CONTENT_ID_SIZE:]
    if query.sort == "title":
        return CursorPosition(key, content_id)
    try:
        return CursorPosition(_DATE.unpack(key)[0], content_id)
    except struct.error:  # anybody can make a checksum
        raise InvalidCursorError from None


def _identity(query: ListQuery, title_order: str) -> str:
    # As earlier releases wrote it, so that their cursors stay valid during an upgrade; but for those by title, whose
    # sort keys were others.
    identity = (
        f"Arrangement(content_type={query.content_type!r}, genre={query.genre!r}, "
        f"sort={query.sort!r}, descending={query.descending!r})"
    )
    return f"{identity} {title_order}" if query.sort == "title" else identity
