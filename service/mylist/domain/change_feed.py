"""The change feed of a list: what changed, in order, for a device that has an older copy.

Changes are ordered by MongoDB's clock, which stamps each change in the step that makes it. A change becomes readable a
moment after its stamp, so of two concurrent changes the later one may become readable first. A client therefore resumes
from a watermark below which all changes are readable, not from the last change that it got. Changes that were delivered
above the watermark are remembered in the client's token, to suppress duplicates.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import NamedTuple

from mylist.domain.content import ContentId, ContentType
from mylist.domain.timestamps import to_milliseconds

NEVER_MS = to_milliseconds(datetime.min.replace(tzinfo=UTC))
"""The stamp of documents that have none, because the original service wrote them: before every other stamp."""
LATEST_MS = to_milliseconds(datetime.max.replace(tzinfo=UTC))
"""The last stamp that there can be."""
LAST_ID = b"\xff" * 12
"""The document id that sorts after all others with the same stamp."""
_MAX_DELIVERED = 100


class FeedPosition(NamedTuple):
    """A position in the feed: a stamp (milliseconds since 1970 UTC), then the id (12 bytes) of the document."""

    changed_at: int
    document_id: bytes


FEED_START = FeedPosition(NEVER_MS, bytes(12))


class ListChange(NamedTuple):
    """An item was added to a list, or removed if it has no `added_at` (milliseconds since 1970 UTC)."""

    position: FeedPosition
    content_id: ContentId
    content_type: ContentType
    added_at: int | None

    @property
    def changed_at(self) -> int:
        """When the change was made, in milliseconds since 1970 UTC."""
        added = self.added_at
        return added if added is not None and self.position.changed_at == NEVER_MS else self.position.changed_at

    @property
    def delivered(self) -> "DeliveredChange":
        """What a token remembers of the change."""
        return *self.position, self.added_at is None


DeliveredChange = tuple[int, bytes, bool]
"""A change that a client got: its position, and whether it was a removal."""


@dataclass(frozen=True, slots=True)
class SyncState:
    """How much of a list's change feed a client has.

    Attributes:
        watermark: milliseconds since 1970 UTC. Once `resume_at` is None, the client has every change up to here.
        resume_at: where the current round through the feed goes on; None when it is complete.
        is_initial: whether the current round is the first one, which delivers the list rather than its changes.
        delivered: the changes above the watermark that the client has.
    """

    watermark: int
    resume_at: FeedPosition | None = None
    is_initial: bool = False
    delivered: frozenset[DeliveredChange] = frozenset()

    @property
    def after(self) -> FeedPosition:
        """The position after which the next answer begins."""
        return self.resume_at or FeedPosition(self.watermark, LAST_ID)

    @property
    def oldest_needed(self) -> int:
        """The stamp (milliseconds since 1970 UTC) from which on removals must still be known."""
        return self.watermark if self.is_initial or not self.resume_at else self.resume_at.changed_at

    def begin_round(self, watermark: int) -> "SyncState":
        """Return the state at the beginning of a round; the same state while a round is incomplete.

        Args:
            watermark: all changes up to here are readable now.
        """
        if self.resume_at:
            return self
        return SyncState(max(self.watermark, watermark), resume_at=self.after, delivered=self.delivered)

    def advance(self, changes: Iterable[ListChange], end: FeedPosition | None) -> "SyncState":
        """Return the state after some changes were delivered.

        Args:
            changes: the changes.
            end: the position after which more changes follow; None when the round is complete.
        """
        delivered = self.delivered | {change.delivered for change in changes}
        kept = sorted(each for each in delivered if each[0] > self.watermark or (end and each[:2] > end))
        # Dropping entries can only cause duplicates, never a missed change.
        return SyncState(self.watermark, end, self.is_initial and end is not None, frozenset(kept[-_MAX_DELIVERED:]))


def initial_state(watermark: int) -> SyncState:
    """Return the state of a client that has nothing, when all changes up to `watermark` are readable."""
    return SyncState(watermark, resume_at=FEED_START, is_initial=True)
