"""The change feed of a list: what changed, for a device that has an older copy.

The first round delivers what is on the list, by content id. Each later round delivers what changed, in the order of
MongoDB's stamps. A change describes the list as it is now: an item that is on the list is `added`, an item that is not
is `removed`.

MongoDB sets a stamp before the change is readable, and of two concurrent changes the later one may become readable
first. A client therefore resumes from a watermark below which all changes are readable, not from the last change that
it got. The client's token remembers what was delivered above the watermark, to suppress duplicates.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

from mylist.domain.content import ContentId, ContentType

LATEST_STAMP_MS = 0xFFFF_FFFF * 1000
"""The latest time that an ObjectId can hold, in milliseconds since 1970 UTC."""
LAST_ID = b"\xff" * 12
"""The id that sorts after all other ids with the same stamp."""
LIST_START = ""
"""The beginning of the first round; sorts before every content id."""
_MAX_DELIVERED = 100


class FeedPosition(NamedTuple):
    """A position in the feed.

    Attributes:
        changed_at: the stamp, in milliseconds since 1970 UTC.
        entry_id: 12 bytes that order changes with the same stamp: the document's id for an addition, else the content
            id.
    """

    changed_at: int
    entry_id: bytes


class ListChange(NamedTuple):
    """A change: the item is on the list now if it has an `added_at`; otherwise it is no longer on the list.

    Attributes:
        position: the position of the change in the feed.
        content_id: the movie or show.
        content_type: its type; None for a removed item of unknown type.
        added_at: when the item was added, in milliseconds since 1970 UTC; None for a removed item.
    """

    position: FeedPosition
    content_id: ContentId
    content_type: ContentType | None
    added_at: int | None

    @property
    def changed_at(self) -> int:
        """When the change was made, in milliseconds since 1970 UTC; whole seconds for an addition."""
        return self.position.changed_at

    @property
    def delivered(self) -> "DeliveredChange":
        """The part of the change that a token remembers."""
        return self.changed_at, self.content_id, self.added_at


DeliveredChange = tuple[int, bytes, int | None]
"""The last change of a content id that a client got: the stamp, the id, and when the item was added (None: removed)."""


@dataclass(frozen=True, slots=True)
class SyncState:
    """How much of a list's change feed a client has.

    Attributes:
        watermark: milliseconds since 1970 UTC. After a complete round, the client has every change up to here.
        list_after: the first round goes on after this content id; None in later rounds.
        resume_at: in a later round, the position where the round goes on; None if it is complete.
        delivered: what the client got above the watermark, or will get again in this round; one entry per content id.
    """

    watermark: int
    list_after: str | None = None
    resume_at: FeedPosition | None = None
    delivered: frozenset[DeliveredChange] = frozenset()

    @property
    def is_complete(self) -> bool:
        """Whether the client has completed its last round."""
        return self.list_after is None and self.resume_at is None

    @property
    def after(self) -> FeedPosition:
        """The position right before the next answer of a later round."""
        return self.resume_at or FeedPosition(self.watermark, LAST_ID)

    @property
    def oldest_needed(self) -> int:
        """The stamp (milliseconds since 1970 UTC) since which the store must still remember removals."""
        return self.resume_at.changed_at if self.resume_at else self.watermark

    def begin_round(self, watermark: int) -> "SyncState":
        """Return the state at the beginning of a round. While a round is incomplete, return the same state.

        Args:
            watermark: the stamp up to which all changes are readable now.
        """
        if not self.is_complete:
            return self
        return SyncState(max(self.watermark, watermark), resume_at=self.after, delivered=self.delivered)

    def news(self, changes: Iterable[ListChange]) -> list[ListChange]:
        """Return the changes that differ from the item's last delivered change, as far as the state remembers it."""
        known = {each[1:] for each in self.delivered}
        return [change for change in changes if change.delivered[1:] not in known]

    def advance(
        self, changes: Iterable[ListChange], *, list_after: str | None = None, resume_at: FeedPosition | None = None
    ) -> "SyncState":
        """Return the state after these changes were delivered.

        Args:
            changes: the delivered changes.
            list_after: where the first round goes on, if it is incomplete.
            resume_at: where a later round goes on, if it is incomplete.
        """
        latest = {each[1]: each for each in self.delivered}
        latest |= {change.content_id: change.delivered for change in changes}
        kept = sorted(
            (
                each
                for each in latest.values()
                if each[0] > self.watermark or (resume_at and each[0] >= resume_at.changed_at)
            ),
            key=lambda each: each[:2],
        )
        # Dropping entries can only cause duplicates, never a missed change.
        return SyncState(self.watermark, list_after, resume_at, frozenset(kept[-_MAX_DELIVERED:]))


def initial_state(watermark: int) -> SyncState:
    """Return the state of a client that has nothing yet; all changes up to `watermark` are readable."""
    return SyncState(watermark, list_after=LIST_START)
