"""How the cache took part in a read."""

from enum import StrEnum


class CacheResult(StrEnum):
    """How the cache took part in a read. The values are those of the `X-Cache` header and of the metrics."""

    HIT = "hit"
    """The list came from Redis."""
    MISS = "miss"
    """Redis had no list. The list was loaded, and cached unless a write came in between."""
    FENCED = "fenced"
    """A write or another load was in progress. The list was loaded and not cached."""
    BYPASSED = "bypassed"
    """Redis was unreachable, not trusted, or held something unreadable. The list was loaded and not cached."""
