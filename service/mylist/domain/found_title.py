"""A movie or show that a search of the catalogue found."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from mylist.domain.content import ContentId, ContentType


@dataclass(frozen=True, slots=True)
class FoundTitle:
    """What is known of a found title.

    Attributes:
        content_id, content_type: which one.
        title: what clients show; empty without one.
        original_title: its other name; empty without one.
        year: of its release; None if that is not known.
        external_ids: by name.
    """

    content_id: ContentId
    content_type: ContentType
    title: str
    original_title: str = ""
    year: int | None = None
    external_ids: Mapping[str, str] = field(default_factory=dict)
