"""One entry of a list."""

from dataclasses import dataclass

from mylist.domain.content import ContentId, ContentType


@dataclass(frozen=True, slots=True)
class Item:
    """One saved movie or show.

    Attributes:
        added_at: when it was saved, in milliseconds since 1970 UTC.
        content_id: which movie or show.
        content_type: its type.
    """

    added_at: int
    content_id: ContentId
    content_type: ContentType
