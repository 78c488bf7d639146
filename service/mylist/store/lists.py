"""The lists in MongoDB: the `mylist` collection, one document per item."""

import logging
from collections.abc import Iterable, Sequence

from pymongo.errors import BulkWriteError, DuplicateKeyError

from mylist.errors import ItemAlreadyInListError, ItemNotInListError
from mylist.lists.item import Item, is_content_type, parse_content_id, to_milliseconds, to_moment
from mylist.store.connection import DUPLICATE_KEY, Database, Document

COLLECTION = "mylist"
_PROJECTION = {"_id": 0, "contentId": 1, "contentType": 1, "addedAt": 1}
# The order of the index that serves it, so that neither side sorts in memory.
_ORDER = [("addedAt", -1), ("contentId", 1)]
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
            cursor = self._collection.find({"userId": user_id}, _PROJECTION, sort=_ORDER, batch_size=_BATCH_SIZE)
            documents = await cursor.to_list()
        items = [item for item in map(_to_item, documents) if item]
        if len(items) != len(documents):
            _logger.warning("Left out %d unreadable items of user %s", len(documents) - len(items), user_id)
        return items

    async def count(self, user_id: str, *, limit: int) -> int:
        """Counts a user's items, up to `limit`."""
        with self._database.operation("count"):
            return await self._collection.count_documents({"userId": user_id}, limit=limit)

    async def find(self, user_id: str, content_id: bytes) -> Item | None:
        """Gives the item of this content id (12 bytes) on a list, if there is one."""
        with self._database.operation("find"):
            document = await self._collection.find_one(
                {"userId": user_id, "contentId": _spellings(content_id)}, _PROJECTION
            )
        return _to_item(document) if document else None

    async def find_many(self, user_id: str, content_ids: Iterable[bytes]) -> set[bytes]:
        """Gives those of some content ids (12 bytes) that a list has."""
        with self._database.operation("find_many"):
            cursor = self._collection.find({"userId": user_id, "contentId": _spellings(*content_ids)}, _PROJECTION)
            documents = await cursor.to_list()
        return {item.content_id for item in map(_to_item, documents) if item}

    async def insert_many(self, user_id: str, items: Sequence[Item]) -> set[bytes]:
        """Adds items in one go; gives the content ids of those that the list had already.

        Raises:
            OutcomeUnknownError: MongoDB did not answer; any of them may have been added.
        """
        with self._database.operation("insert_many", writes=True):
            try:
                await self._collection.insert_many([_to_document(user_id, item) for item in items], ordered=False)
            except BulkWriteError as error:
                details = error.details or {}
                refused = details.get("writeErrors", [])
                if details.get("writeConcernErrors") or any(each["code"] != DUPLICATE_KEY for each in refused):
                    raise
                return {items[each["index"]].content_id for each in refused}
        return set()

    async def delete_many(self, user_id: str, content_ids: Iterable[bytes]) -> None:
        """Removes items by their content ids (12 bytes) in one go.

        Raises:
            OutcomeUnknownError: MongoDB did not answer; any of them may have been removed.
        """
        with self._database.operation("delete_many", writes=True):
            await self._collection.delete_many({"userId": user_id, "contentId": _spellings(*content_ids)})

    async def insert(self, user_id: str, item: Item) -> None:
        """Adds an item.

        Raises:
            ItemAlreadyInListError: the list has an item of this id.
            OutcomeUnknownError: MongoDB did not answer; the item may have been added.
        """
        with self._database.operation("insert", writes=True):
            try:
                await self._collection.insert_one(_to_document(user_id, item))
            except DuplicateKeyError:
                raise ItemAlreadyInListError from None

    async def delete(self, user_id: str, content_id: bytes) -> None:
        """Removes an item by its content id (12 bytes).

        Raises:
            ItemNotInListError: the list has no item of this id.
            OutcomeUnknownError: MongoDB did not answer; the item may have been removed.
        """
        with self._database.operation("delete", writes=True):
            result = await self._collection.delete_one({"userId": user_id, "contentId": _spellings(content_id)})
        if not result.deleted_count:
            raise ItemNotInListError


def _spellings(*content_ids: bytes) -> Document:
    # The original kept ids as its clients wrote them.
    written = [content_id.hex() for content_id in content_ids]
    return {"$in": written + [each.upper() for each in written]}


def _to_document(user_id: str, item: Item) -> Document:
    return {
        "userId": user_id,
        "contentId": item.content_id.hex(),
        "contentType": item.content_type,
        "addedAt": to_moment(item.added_at),
    }


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
