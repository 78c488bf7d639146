"""The lists in MongoDB: one document for each item, and one for each recently removed item.

A removal takes `addedAt` off a document and puts `removedAt` on it. Such a tombstone is on no list, and a TTL index
deletes it after `TOMBSTONE_RETENTION`. Each change of a document also sets `changedAt`, by MongoDB's clock and in the
same operation. Documents of the original service have no `changedAt`; they changed before any document that has one.
"""

import logging
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import UTC, datetime

from bson import ObjectId
from pymongo import UpdateOne
from pymongo.errors import BulkWriteError, DuplicateKeyError

from mylist.domain.change_feed import LAST_ID, NEVER_MS, FeedPosition, ListChange
from mylist.domain.content import ContentId, is_content_type, parse_content_id
from mylist.domain.errors import DatabaseUnavailableError, ItemAlreadyInListError, ItemNotInListError
from mylist.domain.item import Item
from mylist.domain.timestamps import to_datetime, to_milliseconds
from mylist.mongodb.collections import LISTS
from mylist.mongodb.database import DUPLICATE_KEY, Database, Document
from mylist.telemetry.line_limit import LineLimit

_EARLIEST = datetime.min.replace(tzinfo=UTC)
# Selects the items of a list as a range of the index that covers them, so that tombstones are not scanned.
_LISTED = {"addedAt": {"$gte": _EARLIEST}}
# Upper bound for the time from a change's stamp until it is readable, plus the clock skew between two members of the
# replica set: far more than either should be.
_SETTLING_MS = 10_000
_REMOVAL = {"$unset": {"addedAt": ""}, "$currentDate": {"changedAt": True, "removedAt": True}}
_PROJECTION = {"_id": 0, "contentId": 1, "contentType": 1, "addedAt": 1}
# Both are the order of an index, so that MongoDB does not sort.
_LIST_ORDER = [("addedAt", -1), ("contentId", 1)]
_FEED_ORDER = [("changedAt", 1), ("_id", 1)]
_LOAD_BATCH_SIZE = 100_000

_logger = logging.getLogger(__name__)
_unreadable_lines = LineLimit(1, period_s=60)


class ListStore:
    """Loads and changes users' lists.

    Every method that reads or writes raises `DatabaseUnavailableError` or `DatabaseBusyError` when it cannot do so.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._collection = database.handle[LISTS]

    async def require_available(self) -> None:
        """Wait until an operation could run, for as long as it would wait itself.

        Raises:
            DatabaseUnavailableError: MongoDB did not answer the last check.
            DatabaseBusyError: every connection is in use, and none comes free in time.
        """
        await self._database.require_available()

    def deadline(self) -> AbstractContextManager[None]:
        """Surround several operations that must end within the deadline of one."""
        return self._database.deadline()

    async def load(self, user_id: str) -> list[Item]:
        """Return a user's whole list, newest first, in one round trip.

        An index covers the query. Documents that are not valid items (a foreign id or type) are left out.
        """
        async with self._database.operation("load"):
            cursor = self._collection.find(
                {"userId": user_id, **_LISTED}, _PROJECTION, sort=_LIST_ORDER, batch_size=_LOAD_BATCH_SIZE
            )
            documents = await cursor.to_list()
        items = [item for item in map(_to_item, documents) if item]
        if len(items) != len(documents) and _unreadable_lines.allows():
            _logger.warning(
                "Left out %d documents of a list that are no items: check contentId and contentType in %s",
                len(documents) - len(items),
                LISTS,
            )
        return items

    async def count(self, user_id: str, *, limit: int) -> int:
        """Return the number of items on a list, counted up to `limit`."""
        async with self._database.operation("count"):
            return await self._collection.count_documents({"userId": user_id, **_LISTED}, limit=limit)

    async def find(self, user_id: str, content_id: ContentId) -> Item | None:
        """Return the item of a list with this content id; None if there is none."""
        async with self._database.operation("find"):
            documents = await self._collection.find(_named(user_id, content_id), _PROJECTION).to_list()
        return next(filter(None, map(_to_item, documents)), None)

    async def find_many(self, user_id: str, content_ids: Iterable[ContentId]) -> list[Item]:
        """Return the items of a list with these content ids."""
        async with self._database.operation("find_many"):
            documents = await self._collection.find(_named(user_id, *content_ids), _PROJECTION).to_list()
        return [item for item in map(_to_item, documents) if item]

    async def find_removals(self, user_id: str, content_ids: Iterable[ContentId]) -> list[ListChange]:
        """Return the removals of these content ids that are remembered and after which they were not added again."""
        query = {"userId": user_id, "contentId": {"$in": _written(content_ids)}, "removedAt": {"$gte": _EARLIEST}}
        async with self._database.operation("find_removals"):
            documents = await self._collection.find(query).to_list()
        return [change for change in map(_to_change, documents) if change]

    async def insert_many(
        self, user_id: str, items: Sequence[Item], known_removals: Mapping[ContentId, int] | None = None
    ) -> set[ContentId]:
        """Add items in one round trip; return the content ids of those that were on the list already.

        Args:
            user_id: the owner of the list.
            items: the items.
            known_removals: for a content id the time, in milliseconds since 1970 UTC, after which its removal keeps it
                from being added; the id is among those that are returned then.

        Raises:
            OutcomeUnknownError: MongoDB did not answer; any of the items may have been added.
        """
        known = known_removals or {}
        insertions = [UpdateOne(*_insertion(user_id, each, known.get(each.content_id)), upsert=True) for each in items]
        async with self._database.operation("insert_many", writes=True):
            try:
                await self._collection.bulk_write(insertions, ordered=False)
            except BulkWriteError as error:
                details = error.details or {}
                failures = details.get("writeErrors", [])
                if details.get("writeConcernErrors") or any(each["code"] != DUPLICATE_KEY for each in failures):
                    raise
                return {items[each["index"]].content_id for each in failures}
        return set()

    async def redate_many(self, user_id: str, items: Sequence[Item]) -> int:
        """Give items that are on the list their `added_at`, in one round trip; return how many are on it.

        Raises:
            OutcomeUnknownError: MongoDB did not answer; any of the items may have another date.
        """
        updates = [
            UpdateOne(
                _listed(user_id, item.content_id),
                {"$set": {"addedAt": to_datetime(item.added_at)}, "$currentDate": {"changedAt": True}},
            )
            for item in items
        ]
        async with self._database.operation("redate_many", writes=True):
            return (await self._collection.bulk_write(updates, ordered=False)).matched_count

    async def delete_many(self, user_id: str, content_ids: Iterable[ContentId]) -> int:
        """Remove items by their content ids in one round trip; return how many were on the list.

        Raises:
            OutcomeUnknownError: MongoDB did not answer; any of the items may have been removed.
        """
        async with self._database.operation("delete_many", writes=True):
            return (await self._collection.update_many(_listed(user_id, *content_ids), _REMOVAL)).modified_count

    async def delete_seen(self, user_id: str, items: Collection[Item]) -> int:
        """Remove items in one round trip, but not those that were removed and added again; return how many it were.

        Raises:
            OutcomeUnknownError: MongoDB did not answer; any of the items may have been removed.
        """
        seen = _listed(user_id, *(item.content_id for item in items))
        # The date tells an item from one of the same id that was added later.
        seen["addedAt"] = {"$in": [to_datetime(each) for each in {item.added_at for item in items}]}
        async with self._database.operation("delete_seen", writes=True):
            return (await self._collection.update_many(seen, _REMOVAL)).modified_count

    async def delete_all(self, user_id: str) -> int:
        """Remove every item of a list in one round trip; return how many there were.

        Raises:
            OutcomeUnknownError: MongoDB did not answer; any of the items may have been removed.
        """
        async with self._database.operation("delete_all", writes=True):
            return (await self._collection.update_many({"userId": user_id, **_LISTED}, _REMOVAL)).modified_count

    async def insert(self, user_id: str, item: Item, known_removal: int | None = None) -> None:
        """Add an item.

        Args:
            user_id: the owner of the list.
            item: the item.
            known_removal: the time, in milliseconds since 1970 UTC, after which a removal keeps the item from being
                added; None if none does.

        Raises:
            ItemAlreadyInListError: the list has an item with this content id, or had one until after `known_removal`.
            OutcomeUnknownError: MongoDB did not answer; the item may have been added.
        """
        async with self._database.operation("insert", writes=True):
            try:
                await self._collection.update_one(*_insertion(user_id, item, known_removal), upsert=True)
            except DuplicateKeyError:
                raise ItemAlreadyInListError from None

    async def delete(self, user_id: str, content_id: ContentId) -> None:
        """Remove an item by its content id.

        Raises:
            ItemNotInListError: the list has no item with this content id.
            OutcomeUnknownError: MongoDB did not answer; the item may have been removed.
        """
        async with self._database.operation("delete", writes=True):
            result = await self._collection.update_one(_listed(user_id, content_id), _REMOVAL)
        if not result.modified_count:
            raise ItemNotInListError

    async def changes(
        self, user_id: str, after: FeedPosition, *, removals_after: int | None, max_changes: int
    ) -> tuple[list[ListChange], FeedPosition | None]:
        """Return the changes of a list after a position, oldest first, and the last position if more follow.

        Documents whose `_id` is not an ObjectId are left out, and so are those that are not valid items.

        Args:
            user_id: the owner of the list.
            after: the position.
            removals_after: time in milliseconds since 1970 UTC; removals up to it are left out. None: none are.
            max_changes: how many changes may be returned.
        """
        query: Document = {"userId": user_id}
        if removals_after is not None:
            query["removedAt"] = {"$not": {"$lte": to_datetime(removals_after)}}
        documents: list[Document] = []
        async with self._database.operation("changes"):
            for index_range in _ranges_after(after):
                limit = max_changes + 1 - len(documents)  # one more than asked for shows whether more follow
                cursor = self._collection.find(query | index_range, sort=_FEED_ORDER, limit=limit, batch_size=limit)
                documents += await cursor.to_list()
                if len(documents) > max_changes:
                    break
        page = documents[:max_changes]
        end = _position(page[-1]) if len(documents) > max_changes else None
        return [change for change in map(_to_change, page) if change], end

    async def clock(self) -> tuple[int, int]:
        """Return MongoDB's time, and the watermark up to which every change is readable.

        Both are milliseconds since 1970 UTC. A change is readable once the replica set's majority commit point has
        passed it, which may be later than the acknowledgement of its write.
        """
        async with self._database.operation("clock"):
            hello = await self._database.ask_hello()
        now, replicated = hello.local_time, hello.replicated_until
        if now is None or replicated is None:
            raise DatabaseUnavailableError
        return now, replicated - _SETTLING_MS


def _named(user_id: str, *content_ids: ContentId) -> Document:
    """Return the filter for items and tombstones by their content ids, which the unique index answers alone.

    The embedded server, unless asked for just these two fields, compares each document of the list with each id.
    """
    return {"userId": user_id, "contentId": {"$in": _written(content_ids)}}


def _listed(user_id: str, *content_ids: ContentId) -> Document:
    """Return the filter for items by their content ids."""
    return _named(user_id, *content_ids) | _LISTED


def _written(content_ids: Iterable[ContentId]) -> list[str]:
    """Return content ids as documents may have them: the original service stored them in either case."""
    lowercase = [content_id.hex() for content_id in content_ids]
    return lowercase + [each.upper() for each in lowercase]


def _ranges_after(position: FeedPosition) -> Iterator[Document]:
    """Return filters for the documents after a position: one for each range of the index, in the feed's order."""
    any_id = {"$type": "objectId"}
    later_id = {"$gt": ObjectId(position.document_id), **any_id}
    if position.changed_at == NEVER_MS:
        yield {"changedAt": None, "_id": later_id}
        yield {"changedAt": {"$gte": _EARLIEST}, "_id": any_id}
        return
    changed_at = to_datetime(position.changed_at)
    if position.document_id != LAST_ID:
        yield {"changedAt": changed_at, "_id": later_id}
    yield {"changedAt": {"$gt": changed_at}, "_id": any_id}


def _insertion(user_id: str, item: Item, known_removal: int | None) -> tuple[Document, Document]:
    """Return the filter and the update of the upsert that adds an item.

    It reuses the item's tombstone if there is one. If the item is on the list, or was removed after `known_removal`, it
    violates the unique index.
    """
    # Equality alone: an index answers it, however long the list is, also in the embedded server.
    tombstone: Document = {"userId": user_id, "contentId": item.content_id.hex(), "addedAt": None}
    if known_removal is not None:
        tombstone["changedAt"] = {"$not": {"$gt": to_datetime(known_removal)}}
    fields = {"contentType": item.content_type, "addedAt": to_datetime(item.added_at)}
    return tombstone, {"$set": fields, "$unset": {"removedAt": ""}, "$currentDate": {"changedAt": True}}


def _to_item(document: Document) -> Item | None:
    try:
        content_id = parse_content_id(document["contentId"])
        content_type = document["contentType"]
        added_at = to_milliseconds(document["addedAt"])
    except (KeyError, TypeError):
        return None
    if content_id is None or not is_content_type(content_type):
        return None
    return Item(added_at, content_id, content_type)


def _position(document: Document) -> FeedPosition:
    stamp = document.get("changedAt")
    return FeedPosition(NEVER_MS if stamp is None else to_milliseconds(stamp), document["_id"].binary)


def _to_change(document: Document) -> ListChange | None:
    item = _to_item({"addedAt": document.get("removedAt"), **document})
    if item is None:
        return None
    added_at = item.added_at if "addedAt" in document else None
    return ListChange(_position(document), item.content_id, item.content_type, added_at)
