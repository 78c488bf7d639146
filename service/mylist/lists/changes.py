"""What changed on a list, in order, for a device that has an older copy of it.

The order is that of MongoDB's clock, which every change is stamped with in the step that makes it. A change becomes
readable a moment after it got its stamp, so of two made at once the later one may be seen first. Therefore nobody goes
on from the last change that they were told, but from a moment before which everything was readable for certain; what
they were told of the time after it they remember, so that it is not told twice.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import NamedTuple

from mylist.lists.item import ContentType, to_milliseconds

NEVER = to_milliseconds(datetime.min.replace(tzinfo=UTC))
"""When a document of the original changed: before any that has a stamp."""
LATEST = to_milliseconds(datetime.max.replace(tzinfo=UTC))
"""The last moment that there can be."""
LAST = b"\xff" * 12
"""The id that stands after all others of a moment."""
_MOST_TOLD = 100


class Position(NamedTuple):
    """A place in the order of changes: milliseconds since 1970 UTC, then the id (12 bytes) of the document."""

    changed_at: int
    document: bytes


BEGINNING = Position(NEVER, bytes(12))


class Change(NamedTuple):
    """That an item was put on a list, or taken off it when it has no `added_at` (milliseconds since 1970 UTC)."""

    position: Position
    content_id: bytes
    content_type: ContentType
    added_at: int | None

    @property
    def changed_at(self) -> int:
        """When, in milliseconds since 1970 UTC."""
        added = self.added_at
        return added if added is not None and self.position.changed_at == NEVER else self.position.changed_at

    @property
    def told(self) -> "Told":
        """What is remembered of it."""
        return *self.position, self.added_at is None


Told = tuple[int, bytes, bool]
"""A change that was told: its position, and whether it was a removal."""


@dataclass(frozen=True, slots=True)
class Progress:
    """How far somebody knows the changes of a list.

    Attributes:
        settled: moment (milliseconds since 1970 UTC) up to which everything is known, once there is no `at` any more.
        at: how far a round through the changes has come, when there was more than was asked for.
        first: whether that round is the first one, which tells what is on the list rather than what changed.
        told: what was told of the time after `settled`.
    """

    settled: int
    at: Position | None = None
    first: bool = False
    told: frozenset[Told] = frozenset()

    @property
    def after(self) -> Position:
        """Where to go on."""
        return self.at or Position(self.settled, LAST)

    @property
    def needs(self) -> int:
        """From which moment on (milliseconds since 1970 UTC) removals have to be known still, to go on."""
        return self.settled if self.first or not self.at else self.at.changed_at

    def begin(self, settled: int) -> "Progress":
        """Begins a round at a moment when everything up to `settled` is readable; goes on with one under way."""
        if self.at:
            return self
        return Progress(max(self.settled, settled), at=self.after, told=self.told)

    def advance(self, changes: Iterable[Change], end: Position | None) -> "Progress":
        """Notes changes that were told, up to a position after which there are more, or None when there are not."""
        told = self.told | {change.told for change in changes}
        kept = sorted(each for each in told if each[0] > self.settled or (end and each[:2] > end))
        # Of what is forgotten, some is told twice; what is not told at all is not among it.
        return Progress(self.settled, end, self.first and end is not None, frozenset(kept[-_MOST_TOLD:]))


def from_the_beginning(settled: int) -> Progress:
    """Gives where somebody begins who knows nothing, at a moment when everything up to `settled` is readable."""
    return Progress(settled, at=BEGINNING, first=True)
