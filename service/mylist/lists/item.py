"""One entry of a list, and the identifiers in it."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Literal, TypeGuard, get_args

ContentType = Literal["movie", "tvshow"]
CONTENT_TYPES: tuple[ContentType, ...] = get_args(ContentType)

_CONTENT_ID = re.compile(r"[0-9a-fA-F]{24}", re.ASCII)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)


def is_content_type(text: str) -> TypeGuard[ContentType]:
    """Says whether `text` names a content type."""
    return text in CONTENT_TYPES


def parse_content_id(text: str) -> bytes | None:
    """Gives the 12 bytes of a content id written as 24 hexadecimal digits; None for anything else."""
    return bytes.fromhex(text) if _CONTENT_ID.fullmatch(text) else None


def parse_content_ids(texts: Sequence[str]) -> list[bytes | None]:
    """Does as `parse_content_id` for each; many that are all well-formed take a fifth of the time."""
    try:
        joined = bytes.fromhex("".join(texts))
    except ValueError:
        joined = b""
    # Blanks are passed over.
    if len(joined) != 12 * len(texts) or not {24}.issuperset(map(len, texts)):
        return [parse_content_id(text) for text in texts]
    return [joined[start : start + 12] for start in range(0, len(joined), 12)]


def to_milliseconds(moment: datetime) -> int:
    """Converts an aware moment to whole milliseconds since 1970 UTC."""
    return (moment - EPOCH) // _MILLISECOND


def to_moment(milliseconds: int) -> datetime:
    """Converts milliseconds since 1970 to an aware UTC moment."""
    return EPOCH + milliseconds * _MILLISECOND


def iso_format(moment: datetime) -> str:
    """Writes a UTC moment as the API does: `2024-01-20T10:30:00.000Z`."""
    return moment.replace(tzinfo=None).isoformat(timespec="milliseconds") + "Z"


def iso_format_milliseconds(milliseconds: int) -> bytes:
    """Writes milliseconds since 1970 as the API does; a fifth of the time that it takes by way of `datetime`."""
    minutes, milliseconds = divmod(milliseconds, 60_000)
    days, minute = divmod(minutes, 1440)
    return _day(days) + _MINUTES[minute] + _MILLISECONDS[milliseconds]


@lru_cache(maxsize=4096)
def _day(days: int) -> bytes:
    return f"{(EPOCH + timedelta(days=days)).date()}T".encode()


_MINUTES = [b"%02d:%02d:" % divmod(minute, 60) for minute in range(1440)]
_MILLISECONDS = [b"%02d.%03dZ" % divmod(millisecond, 1000) for millisecond in range(60_000)]


@dataclass(frozen=True, slots=True)
class Item:
    """One saved movie or show: when (milliseconds since 1970 UTC), what (12 bytes) and of which type."""

    added_at: int
    content_id: bytes
    content_type: ContentType
