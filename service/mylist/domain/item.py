"""An item of a list."""

from dataclasses import dataclass

from mylist.domain.content import ContentId, ContentType


@dataclass(frozen=True, slots=True)
class Item:
    """One saved movie or show.

    Attributes:
        added_at: when the user saved it, in milliseconds since 1970 UTC.
        content_id: the movie or show.
        content_type: its type.
    """

    added_at: int
    content_id: ContentId
    content_type: ContentType
