"""Cursors: opaque tokens for the position in a query's result at which the next page begins.

A cursor holds the content id (12 bytes), the sort key (8 bytes for a date or a random number; UTF-8 or its inverse for
a title) and the seed of a random order. It is tied to one user and one query. If the query sorts by title, it is also
tied to the order of the titles.
"""

import re
import struct
from dataclasses import replace

from mylist.domain.content import CONTENT_ID_SIZE, ContentId
from mylist.domain.errors import InvalidCursorError
from mylist.domain.filter_and_sort import SEED_PATTERN, CursorPosition, ListQuery
from mylist.domain.limits import MAX_CURSOR_LENGTH
from mylist.lists.opaque_token import decode_token, encode_token

_PURPOSE = "cursor"
_NUMBER = struct.Struct(">q")
_SEED = re.compile(SEED_PATTERN.encode())


def encode_cursor(position: CursorPosition, user_id: str, query: ListQuery, title_order: str) -> str:
    """Return the cursor of a position in a query's result; `title_order` names the sort order of titles."""
    key = position.sort_key if isinstance(position.sort_key, bytes) else _NUMBER.pack(position.sort_key)
    seed = (query.seed or "").encode()
    return encode_token(position.content_id + key + seed, _PURPOSE, user_id, _identity(query, title_order))


def decode_cursor(cursor: str, user_id: str, query: ListQuery, title_order: str) -> tuple[ListQuery, CursorPosition]:
    """Return the position of a cursor, and the query with the cursor's seed; `title_order` as above.

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
        return query, CursorPosition(key, content_id)
    number, seed = key[: _NUMBER.size], key[_NUMBER.size :]
    # The checksum proves nothing: anyone can compute it.
    if len(number) != _NUMBER.size or bool(seed) != (query.sort == "random"):
        raise InvalidCursorError
    position = CursorPosition(_NUMBER.unpack(number)[0], content_id)
    if not seed:
        return query, position
    if not _SEED.fullmatch(seed) or query.seed not in {None, seed.decode()}:
        raise InvalidCursorError
    return replace(query, seed=seed.decode()), position


def _identity(query: ListQuery, title_order: str) -> str:
    # In the form of earlier releases, so that their cursors stay valid during an upgrade. Cursors by title do not:
    # their sort keys were different.
    genre = query.genres[0] if len(query.genres) == 1 else query.genres or None
    identity = (
        f"Arrangement(content_type={query.content_type!r}, genre={genre!r}, "
        f"sort={query.sort!r}, descending={query.descending!r})"
    )
    # Filters that earlier releases did not have are added only if the query has them.
    filters = {
        "excluded_genres": query.excluded_genres,
        "words": query.words,
        "added_from": query.added_from,
        "added_before": query.added_before,
        "is_available": query.is_available,
    }
    given = [f"{name}={value!r}" for name, value in filters.items() if value is not None and value != ()]
    orders = [title_order] if query.sort == "title" else []
    return " ".join([identity, *given, *orders])
