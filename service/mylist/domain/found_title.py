"""A movie or show that a search of the catalogue found."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from mylist.domain.content import ContentId, ContentType


@dataclass(frozen=True, slots=True)
class FoundTitle:
    """The data of a found title.

    Attributes:
        content_id, content_type: identify the movie or show.
        title: the title that clients show; empty if unknown.
        original_title: its original title; empty if unknown.
        year: year of its release; None if unknown.
        external_ids: its external ids, by name.
    """

    content_id: ContentId
    content_type: ContentType
    title: str
    original_title: str = ""
    year: int | None = None
    external_ids: Mapping[str, str] = field(default_factory=dict)
