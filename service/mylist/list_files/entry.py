"""What a line of a file says: which movie or show, and when it was saved."""

from dataclasses import dataclass, field

from mylist.domain.content import ContentId, ContentType
from mylist.domain.external_id import ExternalId


@dataclass(frozen=True, slots=True)
class Added:
    """When something was saved.

    Attributes:
        at: milliseconds since 1970 UTC.
        is_day: whether only the day is known, in the time zone of whoever wrote the file.
    """

    at: int
    is_day: bool = False


@dataclass(frozen=True, slots=True)
class Entry:
    """A line of a file.

    Attributes:
        number: of its first line, from 1; in JSON, of the element.
        titles: its title and, where the file has one, the original title.
        year: of release; None if the file does not say.
        content_type: None if the file does not say.
        presumed_type: which one it is most likely, where the file does not say; None if either is.
        external_ids: its ids elsewhere.
        content_id: its id here; None if the file has none.
        added: when it was saved; None if the file does not say.
        problem: why the line cannot be read, in one line; empty if it can.
        unlisted: what it is in place of a movie or show, such as an episode; empty for these.
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
