"""Following a list: what changed since a device's last request."""

from collections.abc import Sequence
from datetime import timedelta

from mylist.domain.change_feed import ListChange, SyncState, initial_state
from mylist.domain.content import CONTENT_TYPES, content_key, split_content_key
from mylist.domain.errors import SyncTokenExpiredError
from mylist.domain.limits import CHANGE_RETENTION
from mylist.lists.ports import Catalogue, ListStore

# While nothing new happens, a client keeps its state, and so its ETag, for this long.
_MAX_UNCHANGED_MS = timedelta(hours=1) // timedelta(milliseconds=1)
REMOVALS_KNOWN_MS = (CHANGE_RETENTION - timedelta(minutes=1)) // timedelta(milliseconds=1)
"""Removals younger than this are certainly in the store. The margin covers the interval of MongoDB's TTL monitor."""


class ChangeFeed:
    """The changes of users' lists. Raises an `UnavailableError` when the store is out of service."""

    def __init__(self, store: ListStore, catalogue: Catalogue) -> None:
        self._store = store
        self._catalogue = catalogue

    async def changes(
        self, user_id: str, known: SyncState | None, *, max_changes: int
    ) -> tuple[list[ListChange], SyncState]:
        """Return the changes of a list, and the client's state once it has them.

        Args:
            user_id: whose list.
            known: the client's state; None for a client without a state, which gets all items of the list.
            max_changes: maximum number of changes to return; the next call returns the rest.

        Raises:
            SyncTokenExpiredError: the store has forgotten removals that the client does not know.
        """
        now, watermark = await self._store.clock()
        if known and known.oldest_needed <= now - REMOVALS_KNOWN_MS:
            raise SyncTokenExpiredError
        state = known.begin_round(watermark) if known else initial_state(watermark)
        if state.list_after is not None:
            found, list_after = await self._store.listed(user_id, state.list_after, max_items=max_changes)
            new = state.news(found)
            return new, state.advance(new, list_after=list_after)
        found, resume_at = await self._store.changes(user_id, state.after, max_changes=max_changes)
        new = await self._with_types(state.news(found))
        if known and known.is_complete and not (new or resume_at) and watermark - known.watermark < _MAX_UNCHANGED_MS:
            # While nothing happens, the answer stays the same, so that a client's `If-None-Match` matches.
            return [], known
        return new, state.advance(new, resume_at=resume_at)

    async def _with_types(self, changes: Sequence[ListChange]) -> list[ListChange]:
        """Return the changes; those without a content type get the catalogue's."""
        unknown = [each.content_id for each in changes if each.content_type is None]
        if not unknown:
            return list(changes)
        keys = await self._catalogue.existing(content_key(each, kind) for each in unknown for kind in CONTENT_TYPES)
        types = dict(map(split_content_key, keys))
        return [each._replace(content_type=each.content_type or types.get(each.content_id)) for each in changes]
