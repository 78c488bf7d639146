"""One entry of a list, and the identifiers in it."""

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal, TypeGuard, get_args

ContentType = Literal["movie", "tvshow"]
CONTENT_TYPES: tuple[ContentType, ...] = get_args(ContentType)

_CONTENT_ID = re.compile(r"[0-9a-fA-F]{24}", re.ASCII)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)


def is_content_type(text: str) -> TypeGuard[ContentType]:
    """Says whether `text` names a content type."""
    return text in CONTENT_TYPES


def parse_content_id(text: str) -> bytes | None:
    """Gives the 12 bytes of a content id written as 24 hexadecimal digits; None for anything else."""
    return bytes.fromhex(text) if _CONTENT_ID.fullmatch(text) else None


def to_milliseconds(moment: datetime) -> int:
    """Converts an aware moment to whole milliseconds since 1970 UTC."""
    return (moment - _EPOCH) // _MILLISECOND


def to_moment(milliseconds: int) -> datetime:
    """Converts milliseconds since 1970 to an aware UTC moment."""
    return _EPOCH + milliseconds * _MILLISECOND


def iso_format(moment: datetime) -> str:
    """Writes a UTC moment as the API does: `2024-01-20T10:30:00.000Z`."""
    return moment.replace(tzinfo=None).isoformat(timespec="milliseconds") + "Z"


@dataclass(frozen=True, slots=True)
class Item:
    """One saved movie or show: when (milliseconds since 1970 UTC), what (12 bytes) and of which type."""

    added_at: int
    content_id: bytes
    content_type: ContentType
