"""Documents of `mylist` in the format of earlier versions of this service, which may still run during a rollout.

In that format, a removal kept the document of the item, without `addedAt` and with `removedAt`, and every change set
`changedAt`. An index on `changedAt` shows that such documents may exist; `mylist adopt` drops the index once it has
converted them.
"""

import time
from collections.abc import Iterable, Sequence
from contextlib import suppress

from bson import ObjectId

from mylist.background import spawn_for_process
from mylist.domain.change_feed import LAST_ID, FeedPosition
from mylist.domain.content import ContentId, is_content_type, parse_content_id
from mylist.domain.errors import UnavailableError
from mylist.domain.timestamps import to_datetime, to_milliseconds
from mylist.mongodb.change_stamps import Touch, find_in_feed_order
from mylist.mongodb.collections import LISTS
from mylist.mongodb.database import Database, Document

_INDEX = {"userId": 1, "changedAt": 1, "_id": 1}
_FRESH_S = 10.0
"""Less than the settling time of tokens: what an earlier version writes after creating the index is seen in time."""
_STALE_S = 60.0


class FormerForm:
    """Looks for documents in the former format, as long as there may be some."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._collection = database.handle[LISTS]
        self._is_present = True
        self._looked_at = float("-inf")

    def may_be_present(self) -> bool:
        """Return whether such documents may have existed at the last check; True before the first check.

        If the last check is a minute old, a new one runs in the background.
        """
        if time.monotonic() - self._looked_at > _STALE_S:
            self._looked_at = time.monotonic()
            spawn_for_process(self._try_to_look())
        return self._is_present

    async def changes_after(self, user_id: str, position: FeedPosition, limit: int) -> list[Touch]:
        """Return up to `limit` changes of a list after a position, ordered by stamp.

        Raises:
            UnavailableError: MongoDB cannot answer.
        """
        if time.monotonic() - self._looked_at > _FRESH_S:
            await self._look()
        if not self._is_present:
            return []
        async with self._database.operation("former_changes"):
            documents = await find_in_feed_order(self._collection, user_id, _ranges_after(position), limit)
        return list(map(_to_touch, documents))

    async def make_room(self, user_id: str, content_ids: Iterable[ContentId]) -> bool:
        """Delete the documents that removals of these content ids left; return whether there were any."""
        ids = [each.hex() for each in content_ids]
        query = {"userId": user_id, "contentId": {"$in": ids}, "addedAt": None}
        async with self._database.operation("make_room", writes=True):
            return (await self._collection.delete_many(query)).deleted_count > 0

    async def _try_to_look(self) -> None:
        with suppress(UnavailableError):
            await self._look()

    async def _look(self) -> None:
        began = time.monotonic()
        async with self._database.operation("list_indexes"):
            indexes = await (await self._collection.list_indexes()).to_list()
        self._is_present = any(dict(each["key"]) == _INDEX for each in indexes)
        self._looked_at = began


def removal_of(document: Document) -> Touch | None:
    """Return the removal that left this document; None if the document is an item."""
    if "addedAt" in document or "changedAt" not in document:
        return None
    return _to_touch(document)._replace(change="removed")


def _ranges_after(position: FeedPosition) -> Sequence[Document]:
    """Return filters for the documents after a position: one for each range of the index, in the feed's order."""
    changed_at = to_datetime(position.changed_at)
    later: Document = {"changedAt": {"$gt": changed_at}, "_id": {"$type": "objectId"}}
    if position.entry_id == LAST_ID:
        return [later]
    return [{"changedAt": changed_at, "_id": {"$gt": ObjectId(position.entry_id)}}, later]


def _to_touch(document: Document) -> Touch:
    content_id, content_type = document.get("contentId"), document.get("contentType")
    return Touch(
        FeedPosition(to_milliseconds(document["changedAt"]), document["_id"].binary),
        parse_content_id(content_id) if isinstance(content_id, str) else None,
        content_type if isinstance(content_type, str) and is_content_type(content_type) else None,
        "dated",
    )
