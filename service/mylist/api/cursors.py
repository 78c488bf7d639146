"""Cursors: where to go on in a list, as text that means nothing to a client.

content id (12 bytes), rank (8 bytes of a date, or the bytes of a title), sealed for one user and arrangement
"""

import struct

from mylist.api.sealing import seal, unseal
from mylist.errors import InvalidCursorError
from mylist.lists.arrangement import Arrangement, Position

LONGEST = 1024
"""Characters; no cursor that was given out is longer."""
_PURPOSE = "cursor"
_CONTENT_ID_SIZE = 12
_DATE = struct.Struct(">q")


def encode_cursor(position: Position, user_id: str, arrangement: Arrangement) -> str:
    """Gives the cursor of an item's position in a user's list so arranged."""
    rank = position.rank if isinstance(position.rank, bytes) else _DATE.pack(position.rank)
    return seal(position.content_id + rank, _PURPOSE, user_id, repr(arrangement))


def decode_cursor(cursor: str, user_id: str, arrangement: Arrangement) -> Position:
    """Gives the position back.

    Raises:
        InvalidCursorError: the cursor is damaged, or another user's, or of another arrangement.
    """
    content = unseal(cursor, _PURPOSE, user_id, repr(arrangement)) if len(cursor) <= LONGEST else None
    if content is None:
        raise InvalidCursorError
    content_id, rank = content[:_CONTENT_ID_SIZE], content[_CONTENT_ID_SIZE:]
    if arrangement.sort == "title":
        return Position(rank, content_id)
    try:
        return Position(_DATE.unpack(rank)[0], content_id)
    except struct.error:  # anybody can make a checksum
        raise InvalidCursorError from None
