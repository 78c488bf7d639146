"""The lists in MongoDB: the `mylist` collection, one document per item, and one per item that was removed of late.

A removal takes `addedAt` off a document and puts `removedAt` on it; such a tombstone is on no list, and a TTL index
drops it after `RETENTION`. Each change of a document sets `changedAt` by MongoDB's clock, in the same step as the
change itself. Documents of the original have no `changedAt`; they changed before any that has one.
"""

import logging
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta

from bson import ObjectId
from pymongo import UpdateOne
from pymongo.errors import BulkWriteError, DuplicateKeyError

from mylist.errors import ItemAlreadyInListError, ItemNotInListError
from mylist.lists.changes import LAST, NEVER, Change, Position
from mylist.lists.item import Item, is_content_type, parse_content_id, to_milliseconds, to_moment
from mylist.store.connection import DUPLICATE_KEY, Database, Document

COLLECTION = "mylist"
RETENTION = timedelta(days=30)
"""How long a removed item is known."""
_EARLIEST = datetime.min.replace(tzinfo=UTC)
# What is on a list, as a range of the index that a load reads: tombstones are not even looked at.
_LISTED = {"addedAt": {"$gte": _EARLIEST}}
# How much later than it got its stamp a change is readable, at most, and how far MongoDB's clocks may be apart when
# another member takes over: milliseconds, and far more than either should take.
_SETTLING = 10_000
_REMOVAL = {"$unset": {"addedAt": ""}, "$currentDate": {"changedAt": True, "removedAt": True}}
_PROJECTION = {"_id": 0, "contentId": 1, "contentType": 1, "addedAt": 1}
# The order of the index that serves it, so that neither side sorts in memory.
_ORDER = [("addedAt", -1), ("contentId", 1)]
_CHANGES = [("changedAt", 1), ("_id", 1)]
_BATCH_SIZE = 100_000

_logger = logging.getLogger(__name__)


class ListStore:
    """Loads and changes users' lists.

    Every method raises `StoreUnavailableError` or `DatabaseBusyError` when MongoDB cannot do it now.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._collection = database.handle[COLLECTION]

    async def load(self, user_id: str) -> list[Item]:
        """Loads a user's whole list in one round trip, newest first.

        The items come from an index alone; documents that are no list items (a foreign id or type) are left out.
        """
        with self._database.operation("load"):
            listed = {"userId": user_id, **_LISTED}
            cursor = self._collection.find(listed, _PROJECTION, sort=_ORDER, batch_size=_BATCH_SIZE)
            documents = await cursor.to_list()
        items = [item for item in map(_to_item, documents) if item]
        if len(items) != len(documents):
            _logger.warning("Left out %d unreadable items of user %s", len(documents) - len(items), user_id)
        return items

    async def count(self, user_id: str, *, limit: int) -> int:
        """Counts a user's items, up to `limit`."""
        with self._database.operation("count"):
            return await self._collection.count_documents({"userId": user_id, **_LISTED}, limit=limit)

    async def find(self, user_id: str, content_id: bytes) -> Item | None:
        """Gives the item of this content id (12 bytes) on a list, if there is one."""
        with self._database.operation("find"):
            document = await self._collection.find_one(_listed(user_id, content_id), _PROJECTION)
        return _to_item(document) if document else None

    async def find_many(self, user_id: str, content_ids: Iterable[bytes]) -> set[bytes]:
        """Gives those of some content ids (12 bytes) that a list has."""
        with self._database.operation("find_many"):
            documents = await self._collection.find(_listed(user_id, *content_ids), _PROJECTION).to_list()
        return {item.content_id for item in map(_to_item, documents) if item}

    async def insert_many(self, user_id: str, items: Sequence[Item]) -> set[bytes]:
        """Adds items in one go; gives the content ids of those that the list had already.

        Raises:
            OutcomeUnknownError: MongoDB did not answer; any of them may have been added.
        """
        with self._database.operation("insert_many", writes=True):
            try:
                await self._collection.bulk_write(
                    [UpdateOne(*_insertion(user_id, item), upsert=True) for item in items], ordered=False
                )
            except BulkWriteError as error:
                details = error.details or {}
                refused = details.get("writeErrors", [])
                if details.get("writeConcernErrors") or any(each["code"] != DUPLICATE_KEY for each in refused):
                    raise
                return {items[each["index"]].content_id for each in refused}
        return set()

    async def delete_many(self, user_id: str, content_ids: Iterable[bytes]) -> int:
        """Removes items by their content ids (12 bytes) in one go; gives how many of them there were.

        Raises:
            OutcomeUnknownError: MongoDB did not answer; any of them may have been removed.
        """
        with self._database.operation("delete_many", writes=True):
            return (await self._collection.update_many(_listed(user_id, *content_ids), _REMOVAL)).modified_count

    async def delete_all(self, user_id: str) -> int:
        """Removes every item of a list in one go; gives how many there were.

        Raises:
            OutcomeUnknownError: MongoDB did not answer; any of them may have been removed.
        """
        with self._database.operation("delete_all", writes=True):
            return (await self._collection.update_many({"userId": user_id, **_LISTED}, _REMOVAL)).modified_count

    async def insert(self, user_id: str, item: Item) -> None:
        """Adds an item.

        Raises:
            ItemAlreadyInListError: the list has an item of this id.
            OutcomeUnknownError: MongoDB did not answer; the item may have been added.
        """
        with self._database.operation("insert", writes=True):
            try:
                await self._collection.update_one(*_insertion(user_id, item), upsert=True)
            except DuplicateKeyError:
                raise ItemAlreadyInListError from None

    async def delete(self, user_id: str, content_id: bytes) -> None:
        """Removes an item by its content id (12 bytes).

        Raises:
            ItemNotInListError: the list has no item of this id.
            OutcomeUnknownError: MongoDB did not answer; the item may have been removed.
        """
        with self._database.operation("delete", writes=True):
            result = await self._collection.update_one(_listed(user_id, content_id), _REMOVAL)
        if not result.modified_count:
            raise ItemNotInListError

    async def changes(
        self, user_id: str, after: Position, *, removals_after: int | None, most: int
    ) -> tuple[list[Change], Position | None]:
        """Gives the changes of a list after a position, oldest first, and the last position when there are more.

        Documents whose `_id` is none of MongoDB's own are left out, as are those that are no list items.

        Args:
            user_id: whose list.
            after: the position.
            removals_after: moment (milliseconds since 1970 UTC); removals up to it are left out. None: none are.
            most: how many are given at most.
        """
        wanted: Document = {"userId": user_id}
        if removals_after is not None:
            wanted["removedAt"] = {"$not": {"$lte": to_moment(removals_after)}}
        documents: list[Document] = []
        with self._database.operation("changes"):
            for place in _places_after(after):
                room = most + 1 - len(documents)
                cursor = self._collection.find(wanted | place, sort=_CHANGES, limit=room, batch_size=room)
                documents += await cursor.to_list()
                if len(documents) > most:
                    break
        end = _position(documents[most - 1]) if len(documents) > most else None
        return [change for change in map(_to_change, documents[:most]) if change], end

    async def clock(self) -> tuple[int, int]:
        """Gives MongoDB's time, and that up to which it has given a stamp to all that can be read now.

        Both are milliseconds since 1970 UTC. A change is read once a majority has it, which may take longer than the
        write that waited for it did.
        """
        with self._database.operation("clock"):
            database = self._database.handle
            hello = await database.command("hello", codec_options=database.codec_options)
        now = to_milliseconds(hello["localTime"])
        last = hello.get("lastWrite", {})
        if last.get("opTime") == last.get("majorityOpTime"):
            return now, now - _SETTLING
        return now, min(now, to_milliseconds(last["majorityWriteDate"])) - _SETTLING


def _listed(user_id: str, *content_ids: bytes) -> Document:
    # The original kept ids as its clients wrote them.
    written = [content_id.hex() for content_id in content_ids]
    return {"userId": user_id, "contentId": {"$in": written + [each.upper() for each in written]}, **_LISTED}


def _places_after(position: Position) -> Iterator[Document]:
    """Gives what stands after a position as ranges of the index, in their order; most often as one."""
    beyond = {"$gt": ObjectId(position.document), "$type": "objectId"}
    anywhere = {"$type": "objectId"}
    if position.changed_at == NEVER:
        yield {"changedAt": None, "_id": beyond}
        yield {"changedAt": {"$gte": _EARLIEST}, "_id": anywhere}
        return
    moment = to_moment(position.changed_at)
    if position.document != LAST:
        yield {"changedAt": moment, "_id": beyond}
    yield {"changedAt": {"$gt": moment}, "_id": anywhere}


def _insertion(user_id: str, item: Item) -> tuple[Document, Document]:
    """Gives what to look for and what to do with it, so that a tombstone is used again and an item is a duplicate."""
    # By equality alone: an index leads to it however long the list is, also in the embedded server.
    tombstone = {"userId": user_id, "contentId": item.content_id.hex(), "addedAt": None}
    entry = {"contentType": item.content_type, "addedAt": to_moment(item.added_at)}
    return tombstone, {"$set": entry, "$unset": {"removedAt": ""}, "$currentDate": {"changedAt": True}}


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


def _position(document: Document) -> Position:
    stamp = document.get("changedAt")
    return Position(NEVER if stamp is None else to_milliseconds(stamp), document["_id"].binary)


def _to_change(document: Document) -> Change | None:
    item = _to_item({"addedAt": document.get("removedAt"), **document})
    if item is None:
        return None
    return Change(
        _position(document), item.content_id, item.content_type, item.added_at if "addedAt" in document else None
    )
