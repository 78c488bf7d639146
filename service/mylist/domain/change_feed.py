"""The change feed of a list: what changed, for a device that has an older copy.

The first round delivers what is on the list, by content id. Each later round delivers what changed, in the order of
MongoDB's stamps, and each change as the list is now: an item that is on it is `added`, one that is not is `removed`.

A stamp is made before its change can be read, and of two concurrent changes the later one may become readable first. A
client therefore resumes from a watermark below which all changes are readable, not from the last change that it got.
What was delivered above the watermark is remembered in the client's token, to suppress what the client knows.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

from mylist.domain.content import ContentId, ContentType

LATEST_STAMP_MS = 0xFFFF_FFFF * 1000
"""The last time that an ObjectId can have, in milliseconds since 1970 UTC."""
LAST_ID = b"\xff" * 12
"""The id that sorts after all others with the same stamp."""
LIST_START = ""
"""Where the first round begins; sorts before every content id."""
_MAX_DELIVERED = 100


class FeedPosition(NamedTuple):
    """A position in the feed.

    Attributes:
        changed_at: the stamp, in milliseconds since 1970 UTC.
        entry_id: 12 bytes that order what has the same stamp: of an addition the id of the document, else the content
            id.
    """

    changed_at: int
    entry_id: bytes


class ListChange(NamedTuple):
    """An item is on a list, or no longer on it if it has no `added_at` (milliseconds since 1970 UTC).

    Attributes:
        position: where the change stands in the feed.
        content_id: which movie or show.
        content_type: its type; None if an item was removed of which it is not known.
        added_at: when it was added.
    """

    position: FeedPosition
    content_id: ContentId
    content_type: ContentType | None
    added_at: int | None

    @property
    def changed_at(self) -> int:
        """When the change was made, in milliseconds since 1970 UTC; of an addition in whole seconds."""
        return self.position.changed_at

    @property
    def delivered(self) -> "DeliveredChange":
        """What a token remembers of the change."""
        return self.changed_at, self.content_id, self.added_at


DeliveredChange = tuple[int, bytes, int | None]
"""What a client got of a content id: the stamp, the id, and when the item was added; None for a removal."""


@dataclass(frozen=True, slots=True)
class SyncState:
    """How much of a list's change feed a client has.

    Attributes:
        watermark: milliseconds since 1970 UTC. Once a round is complete, the client has every change up to here.
        list_after: in the first round, the content id after which it goes on, as the list has it; None later.
        resume_at: in a later round, where it goes on; None when it is complete.
        delivered: what the client got above the watermark, or will meet again in this round; one entry an id.
    """

    watermark: int
    list_after: str | None = None
    resume_at: FeedPosition | None = None
    delivered: frozenset[DeliveredChange] = frozenset()

    @property
    def is_complete(self) -> bool:
        """Whether the client has finished its last round."""
        return self.list_after is None and self.resume_at is None

    @property
    def after(self) -> FeedPosition:
        """The position after which the next answer of a later round begins."""
        return self.resume_at or FeedPosition(self.watermark, LAST_ID)

    @property
    def oldest_needed(self) -> int:
        """The stamp (milliseconds since 1970 UTC) from which on removals must still be known."""
        return self.resume_at.changed_at if self.resume_at else self.watermark

    def begin_round(self, watermark: int) -> "SyncState":
        """Return the state at the beginning of a round; the same state while a round is incomplete.

        Args:
            watermark: all changes up to here are readable now.
        """
        if not self.is_complete:
            return self
        return SyncState(max(self.watermark, watermark), resume_at=self.after, delivered=self.delivered)

    def news(self, changes: Iterable[ListChange]) -> list[ListChange]:
        """Return those of some changes that are not what the client got last, as far as that is remembered."""
        known = {each[1:] for each in self.delivered}
        return [change for change in changes if change.delivered[1:] not in known]

    def advance(
        self, changes: Iterable[ListChange], *, list_after: str | None = None, resume_at: FeedPosition | None = None
    ) -> "SyncState":
        """Return the state after some changes were delivered.

        Args:
            changes: the changes.
            list_after: where the first round goes on, if it does.
            resume_at: where a later round goes on, if it does.
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
    """Return the state of a client that has nothing, when all changes up to `watermark` are readable."""
    return SyncState(watermark, list_after=LIST_START)
