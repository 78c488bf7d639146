"""The content of a line: which movie or show, and when it was saved."""

from dataclasses import dataclass, field

from mylist.domain.content import ContentId, ContentType
from mylist.domain.external_id import ExternalId


@dataclass(frozen=True, slots=True)
class Added:
    """The time when something was saved.

    Attributes:
        at: milliseconds since 1970 UTC.
        is_day: whether only the day is known, in the time zone of the file's author.
    """

    at: int
    is_day: bool = False


@dataclass(frozen=True, slots=True)
class Entry:
    """A line of a file.

    Attributes:
        number: number of its first line, from 1; in JSON, of the element.
        titles: its title and, if the file has one, the original title.
        year: year of release; None if unknown.
        content_type: the content type; None if unknown.
        presumed_type: the more likely type if it is unknown; None if both are equally likely.
        external_ids: its ids in other catalogues.
        content_id: its content id; None if the file has none.
        added: when it was saved; None if unknown.
        problem: why the line cannot be read, in one line; empty if it can.
        unlisted: its kind if it is not a movie or show, such as an episode; else empty.
    """

    number: int
    titles: tuple[str, ...] = ()
    year: int | None = None
    content_type: ContentType | None = None
    presumed_type: ContentType | None = None
    external_ids: tuple[ExternalId, ...] = field(default=())
    content_id: ContentId | None = None
    added: Added | None = None
    problem: str = ""
    unlisted: str = ""
