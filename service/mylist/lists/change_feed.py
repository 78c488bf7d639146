"""Following a list: what changed since a device last asked."""

from datetime import timedelta

from mylist.domain.change_feed import ListChange, SyncState, initial_state
from mylist.domain.errors import SyncTokenExpiredError
from mylist.domain.limits import TOMBSTONE_RETENTION
from mylist.lists.ports import ListStore

# A client that learns nothing new keeps its state, and so its ETag, for this long.
_MAX_UNCHANGED_MS = timedelta(hours=1) // timedelta(milliseconds=1)
REMOVALS_KNOWN_MS = (TOMBSTONE_RETENTION - timedelta(minutes=1)) // timedelta(milliseconds=1)
"""Tombstones younger than this are guaranteed to exist; the margin covers the pace of MongoDB's TTL monitor."""


class ChangeFeed:
    """The changes of users' lists. It raises an `UnavailableError` when the store is out of service."""

    def __init__(self, store: ListStore) -> None:
        self._store = store

    async def changes(
        self, user_id: str, known: SyncState | None, *, max_changes: int
    ) -> tuple[list[ListChange], SyncState]:
        """Return what changed on a list, oldest first, and the state of a client that has these changes too.

        Args:
            user_id: whose list.
            known: the client's state; None for a client that has nothing, which gets what is on the list.
            max_changes: most changes to return; the rest comes with the next call.

        Raises:
            SyncTokenExpiredError: removals that the client does not know of have been forgotten.
        """
        now, watermark = await self._store.clock()
        if known and known.oldest_needed <= now - REMOVALS_KNOWN_MS:
            raise SyncTokenExpiredError
        state = known.begin_round(watermark) if known else initial_state(watermark)
        found, end = await self._store.changes(
            user_id,
            state.after,
            removals_after=state.watermark if state.is_initial else None,
            max_changes=max_changes,
        )
        new = [change for change in found if change.delivered not in state.delivered]
        if known and not (known.resume_at or new or end) and watermark - known.watermark < _MAX_UNCHANGED_MS:
            # As long as nothing happens the answer is the same, so a client's `If-None-Match` matches.
            return new, known
        return new, state.advance(new, end)
