"""Movies and shows by name: content ids, content types, and the key that a list stores."""

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
"""What each external id has after its name (`mylist.domain.external_id`), and no content id."""

_NAMED = re.compile(rf"[\w-]+ *{EXTERNAL_ID_SEPARATOR}", re.ASCII)
_CONTENT_ID = re.compile(r"[0-9a-fA-F]{24}", re.ASCII)


def is_content_type(text: str) -> TypeGuard[ContentType]:
    """Return whether `text` names a content type."""
    return text in CONTENT_TYPES


def parse_content_id(text: str) -> ContentId | None:
    """Return the content id that is written as 24 hexadecimal digits; None for anything else."""
    return ContentId(bytes.fromhex(text)) if _CONTENT_ID.fullmatch(text) else None


def is_external(text: str) -> bool:
    """Return whether a text is meant as an external id: something like a name is before a colon."""
    return _NAMED.match(text) is not None


class RequestedId(NamedTuple):
    """An id as the client wrote it, and the content id that it is.

    The content id is None for what is an external id, as long as that is not looked up, and for what is malformed,
    which is the id of nothing.
    """

    text: str
    content_id: ContentId | None

    @property
    def is_external(self) -> bool:
        """Whether it is meant as an external id."""
        return is_external(self.text)


def requested(text: str) -> RequestedId:
    """Parse an id of a request, as far as that takes no catalogue."""
    return RequestedId(text, parse_content_id(text))


def content_key(content_id: ContentId, content_type: ContentType) -> bytes:
    """Return the 13 bytes by which a list names a movie or show: its id, then a byte for its type."""
    return content_id + TAG_OF_TYPE[content_type]


def split_content_key(key: bytes) -> tuple[ContentId, ContentType]:
    """Return the content id and the content type of a content key."""
    return ContentId(key[:CONTENT_ID_SIZE]), TYPE_OF_TAG[key[CONTENT_ID_SIZE:]]
