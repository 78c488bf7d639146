"""The names of movies and shows: content ids, content types, and the content keys that lists store."""

import re
from typing import Literal, NamedTuple, NewType, TypeGuard, get_args

ContentId = NewType("ContentId", bytes)
"""The 12 bytes of a MongoDB ObjectId; clients write it as 24 hexadecimal digits."""
CONTENT_ID_SIZE = 12
"""Bytes."""
CONTENT_KEY_SIZE = CONTENT_ID_SIZE + 1
"""Bytes: an id, and one for the type."""
ContentType = Literal["movie", "tvshow"]
CONTENT_TYPES: tuple[ContentType, ...] = get_args(ContentType)
TAG_OF_TYPE: dict[ContentType, bytes] = {"movie": b"m", "tvshow": b"t"}
"""The byte that stands for a content type in a content key."""
TYPE_OF_TAG: dict[bytes, ContentType] = {tag: name for name, tag in TAG_OF_TYPE.items()}

EXTERNAL_ID_SEPARATOR = ":"
"""Follows the name in each external id (`mylist.domain.external_id`); no content id contains it."""

_NAMED = re.compile(rf"[\w-]+ *{EXTERNAL_ID_SEPARATOR}", re.ASCII)
_CONTENT_ID = re.compile(r"[0-9a-fA-F]{24}", re.ASCII)


def is_content_type(text: str) -> TypeGuard[ContentType]:
    """Return whether `text` names a content type."""
    return text in CONTENT_TYPES


def parse_content_id(text: str) -> ContentId | None:
    """Return the content id that is written as 24 hexadecimal digits; None for anything else."""
    return ContentId(bytes.fromhex(text)) if _CONTENT_ID.fullmatch(text) else None


def is_external(text: str) -> bool:
    """Return whether a text is meant as an external id: it has something like a name before a colon."""
    return _NAMED.match(text) is not None


class RequestedId(NamedTuple):
    """An id as the client wrote it, and its content id.

    The content id is missing (None) for an external id before its lookup, and for a malformed id, which names nothing.
    """

    text: str
    content_id: ContentId | None

    @property
    def is_external(self) -> bool:
        """Whether the id is meant as an external id."""
        return is_external(self.text)


def requested(text: str) -> RequestedId:
    """Parse an id of a request, without looking it up in the catalogue."""
    return RequestedId(text, parse_content_id(text))


def content_key(content_id: ContentId, content_type: ContentType) -> bytes:
    """Return the 13 bytes that identify a movie or show in a list: its id, then one byte for its type."""
    return content_id + TAG_OF_TYPE[content_type]


def split_content_key(key: bytes) -> tuple[ContentId, ContentType]:
    """Return the content id and the content type of a content key."""
    return ContentId(key[:CONTENT_ID_SIZE]), TYPE_OF_TAG[key[CONTENT_ID_SIZE:]]
