"""The lists in MongoDB: `mylist` has one document per item, and nothing else.

A removal deletes the document. Before a removal or a new date, the service writes a stamp to another collection
(`mylist.mongodb.change_stamps`). The stamp of an addition is the time in its `_id`, which MongoDB creates.
"""

import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterable, Sequence
from contextlib import AbstractContextManager, asynccontextmanager, suppress
from typing import Any, cast

import bson
from bson import ObjectId
from bson.raw_bson import RawBSONDocument
from pymongo import DeleteMany, InsertOne, UpdateOne
from pymongo.errors import BulkWriteError

from mylist.background import spawn
from mylist.domain.change_feed import LATEST_STAMP_MS, FeedPosition, ListChange
from mylist.domain.content import ContentId
from mylist.domain.errors import (
    DatabaseUnavailableError,
    ItemAlreadyInListError,
    ItemNotInListError,
    OutcomeUnknownError,
    UnavailableError,
)
from mylist.domain.item import Item
from mylist.domain.timestamps import to_datetime
from mylist.mongodb.change_stamps import Change, ChangeStamps, Contents, Stamp, Touch
from mylist.mongodb.collections import LISTS
from mylist.mongodb.database import DUPLICATE_KEY, Database, Document
from mylist.mongodb.former_form import FormerForm, removal_of
from mylist.mongodb.item_documents import ITEM_FIELDS, LISTED, in_either_case, of_account, to_item
from mylist.telemetry.line_limit import LineLimit

# Upper bound for the time from the stamp of a change, or the whole second of an ObjectId, until the change is readable.
# It allows for the deadlines of the change and of its fence, and for the skew between the clocks of two members. It
# also allows for the time for which a replaced member may still believe that it is the primary (10 s by default).
_SETTLING_MS = 30_000
_MAX_STAMP_AGE_S = 5.0
"""A change that waited longer for its fence is stamped again."""
# The order of an index, so that MongoDB need not sort.
_LIST_ORDER = [("addedAt", -1), ("contentId", 1)]
_LOAD_BATCH_SIZE = 100_000
_FIND_BATCH_SIZE = 200
"""Content ids in one query. The embedded server compares each document that it finds with each of them."""
_DELETE_BATCH_SIZE = 25
"""Documents per statement of a bulk delete, for the same reason; the filter has only fields of an index."""

_logger = logging.getLogger(__name__)
_unreadable_lines = LineLimit(1, period_s=60)


class ListStore:
    """Loads and changes users' lists.

    Every method that reads or writes raises `DatabaseUnavailableError` or `DatabaseBusyError` if it cannot.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._collection = database.handle[LISTS]
        self._stamps = ChangeStamps(database)
        self._former = FormerForm(database)

    async def require_available(self) -> None:
        """Wait until an operation could run, for as long as it would wait itself.

        Raises:
            DatabaseUnavailableError: MongoDB did not answer the last check.
            DatabaseBusyError: every connection is in use, and no connection becomes free in time.
        """
        await self._database.require_available()

    def deadline(self) -> AbstractContextManager[None]:
        """Surround several operations that must end within the deadline of one."""
        return self._database.deadline()

    async def finish(self) -> None:
        """Wait for a moment until the work that follows changes is done."""
        await self._stamps.finish()

    async def load(self, user_id: str) -> list[Item]:
        """Return a user's whole list, newest first, in one round trip.

        An index covers the query. Documents that are not valid items (a foreign id or type) are left out.
        """
        async with self._database.operation("load"):
            cursor = self._collection.find(
                {"userId": user_id, **LISTED}, ITEM_FIELDS, sort=_LIST_ORDER, batch_size=_LOAD_BATCH_SIZE
            )
            documents = await cursor.to_list()
        items = [item for item in map(to_item, documents) if item]
        if len(items) != len(documents) and _unreadable_lines.allows():
            _logger.warning(
                "Left out %d documents of a list that are not items: check contentId and contentType in %s",
                len(documents) - len(items),
                LISTS,
            )
        return items

    async def count(self, user_id: str, *, limit: int) -> int:
        """Return the number of items on a list, counted up to `limit`."""
        async with self._database.operation("count"):
            return await self._collection.count_documents({"userId": user_id, **LISTED}, limit=limit)

    async def count_account(self, account: str, *, limit: int) -> int:
        """Return the number of items on the lists of an account and its profiles, counted up to `limit`."""
        async with self._database.operation("count_account"):
            counts = [
                await self._collection.count_documents(query | LISTED, limit=limit) for query in of_account(account)
            ]
        return min(sum(counts), limit)

    async def find(self, user_id: str, content_id: ContentId) -> Item | None:
        """Return the item of a list with this content id; None if there is none."""
        return next(iter(await self._find("find", user_id, [content_id])), None)

    async def find_many(self, user_id: str, content_ids: Iterable[ContentId]) -> list[Item]:
        """Return the items of a list with these content ids."""
        return await self._find("find_many", user_id, content_ids)

    async def find_removals(self, user_id: str, content_ids: Iterable[ContentId]) -> list[ListChange]:
        """Return the remembered removals of these content ids that no later addition has undone."""
        ids = list(content_ids)
        removals = {each.content_id: each for each in await self._stamps.removals(user_id, ids)}
        # Read after the stamps: a removal in flight does not count yet.
        documents = await self._documents("find_many", user_id, ids)
        items = {item.content_id for item in map(to_item, documents) if item}
        removals |= {each.content_id: each for each in map(removal_of, documents) if each}
        return [
            ListChange(each.position, content_id, each.content_type, None)
            for content_id, each in removals.items()
            if content_id is not None and content_id not in items
        ]

    async def insert(self, user_id: str, item: Item) -> None:
        """Add an item.

        Raises:
            ItemAlreadyInListError: the list has an item with this content id.
            OutcomeUnknownError: MongoDB did not answer; the item may have been added.
        """
        if await self._insert("insert", user_id, [item]):
            raise ItemAlreadyInListError

    async def insert_many(self, user_id: str, items: Sequence[Item]) -> set[ContentId]:
        """Add items in one round trip; return the content ids of the items that were already on the list.

        Raises:
            OutcomeUnknownError: MongoDB did not answer; any of the items may have been added.
        """
        return await self._insert("insert_many", user_id, items)

    async def _insert(self, operation: str, user_id: str, items: Sequence[Item]) -> set[ContentId]:
        taken = await self._insert_new(operation, user_id, items)
        if taken and self._former.may_be_present() and await self._former.make_room(user_id, taken):
            return await self._insert_new(operation, user_id, [item for item in items if item.content_id in taken])
        return taken

    async def _insert_new(self, operation: str, user_id: str, items: Sequence[Item]) -> set[ContentId]:
        insertions = [InsertOne(cast("Document", _to_document(user_id, item))) for item in items]
        async with self._database.operation(operation, writes=True):
            try:
                await self._collection.bulk_write(insertions, ordered=False)
            except BulkWriteError as error:
                failures = error.details["writeErrors"]
                # An existing item counts only if a majority has it.
                if error.details.get("writeConcernErrors") or any(each["code"] != DUPLICATE_KEY for each in failures):
                    raise
                return {items[each["index"]].content_id for each in failures}
        return set()

    @asynccontextmanager
    async def removing(self, user_id: str, content_id: ContentId) -> AsyncIterator[Callable[[], Awaitable[None]]]:
        """Surround the removal of an item: yield the function that removes it, which must be called once.

        The stamp is sent at the start, so that it takes no extra time if other work precedes the removal. At the end
        the stamp is revoked unless the item was removed.

        The yielded function raises:
            ItemNotInListError: the list has no item with this content id.
            OutcomeUnknownError: MongoDB did not answer; the item may have been removed, or the change feed may report
                its removal late.
        """
        stamping = [spawn(self._stamps.make(user_id, content_id))]
        is_answered = may_be_made = False

        async def remove() -> None:
            nonlocal is_answered, may_be_made
            stamp = await stamping[0]
            if time.monotonic() - stamp.made_at > _MAX_STAMP_AGE_S:
                stamping.append(spawn(self._stamps.make(user_id, content_id)))
                stamp = await stamping[1]
            may_be_made = True  # any end of the removal, unless it is known to have changed nothing
            try:
                may_be_made = await self._delete_one(user_id, content_id)
            except OutcomeUnknownError:
                self._stamps.owe(user_id, {content_id: None}, "removed")
                raise
            except UnavailableError:
                may_be_made = False
                raise
            is_answered = True
            if not may_be_made:
                raise ItemNotInListError
            await self._confirm(stamp)

        try:
            yield remove
        finally:
            if not may_be_made:
                with suppress(UnavailableError):
                    await self._stamps.withdraw([await each for each in stamping], is_answered=is_answered)

    async def _delete_one(self, user_id: str, content_id: ContentId) -> bool:
        """Delete an item; return whether there was one."""
        queries = [self._of_item(user_id, content_id, case) for case in (str.lower, str.upper)]
        async with self._database.operation("delete", writes=True):
            for query in filter(None, queries):
                if (await self._collection.delete_one(query)).deleted_count:
                    return True
        return False

    def _of_item(self, user_id: str, content_id: ContentId, case: Callable[[str], str]) -> Document | None:
        """Return the filter for an item with this spelling of its id; None if its upper case equals its lower case."""
        written = case(content_id.hex())
        if case is str.upper and written == content_id.hex():
            return None
        return {"userId": user_id, "contentId": written} | self._listed

    @property
    def _listed(self) -> Document:
        """The condition that excludes removals of an earlier version; empty unless there may be such documents.

        The unique index answers equality alone. Any other condition takes the embedded server much time.
        """
        return LISTED if self._former.may_be_present() else {}

    async def _confirm(self, stamp: Stamp) -> None:
        """Stamp a removal again if another primary made it, because that primary might not have the stamp.

        Raises:
            OutcomeUnknownError: the stamp is owed. Until it is made, the change feed might not report the removal.
        """
        if self._stamps.is_kept(stamp):
            return
        contents: Contents = {stamp.content_id: None}
        try:
            await self._stamps.make_many(stamp.user_id, contents, "removed")
        except UnavailableError as error:
            self._stamps.owe(stamp.user_id, contents, "removed")
            raise OutcomeUnknownError("the item was removed, but other devices may learn of it late") from error

    async def redate_many(self, user_id: str, items: Sequence[Item]) -> int:
        """Set the `added_at` of items that are on the list, all at once; return how many of them are on it.

        Raises:
            OutcomeUnknownError: MongoDB did not answer; the date of any item may have changed.
        """
        async with self._changing(user_id, _contents(items), "dated", "redate_many"):
            redated = await self._redate(user_id, items, str.lower)
            if redated < len(items):
                redated += await self._redate(user_id, items, str.upper)
            return redated

    async def _redate(self, user_id: str, items: Sequence[Item], case: Callable[[str], str]) -> int:
        updates = [
            UpdateOne(query, {"$set": {"addedAt": to_datetime(item.added_at)}})
            for item in items
            if (query := self._of_item(user_id, item.content_id, case))
        ]
        return (await self._collection.bulk_write(updates, ordered=False)).matched_count if updates else 0

    async def delete_many(self, user_id: str, items: Collection[Item]) -> int:
        """Remove items by content id; return how many were still on the list.

        Raises:
            OutcomeUnknownError: MongoDB did not answer; any of the items may have been removed.
        """
        queries = [
            _named(user_id, (item.content_id for item in batch)) | self._listed
            for batch in _batches(list(items), _DELETE_BATCH_SIZE)
        ]
        return await self._delete("delete_many", user_id, items, queries)

    async def delete_seen(self, user_id: str, items: Collection[Item]) -> int:
        """Remove items unless they were removed and added again; return how many were removed.

        Raises:
            OutcomeUnknownError: MongoDB did not answer; any of the items may have been removed.
        """
        seen = set(items)
        documents = await self._documents("find_many", user_id, {item.content_id for item in seen})
        unchanged = [document for document in documents if to_item(document) in seen]
        queries: list[Document] = [
            {"userId": user_id, "_id": {"$in": [document["_id"] for document in batch]}}
            for batch in _batches(unchanged, _DELETE_BATCH_SIZE)
        ]
        return await self._delete("delete_seen", user_id, filter(None, map(to_item, unchanged)), queries)

    async def _delete(self, operation: str, user_id: str, items: Iterable[Item], queries: Sequence[Document]) -> int:
        if not queries:
            return 0
        async with self._changing(user_id, _contents(items), "removed", operation):
            return (await self._collection.bulk_write(list(map(DeleteMany, queries)), ordered=False)).deleted_count

    @asynccontextmanager
    async def _changing(self, user_id: str, contents: Contents, change: Change, operation: str) -> AsyncIterator[None]:
        async with self._stamps.before(user_id, contents, change), self._database.operation(operation, writes=True):
            yield

    async def listed(self, user_id: str, after: str, *, max_items: int) -> tuple[list[ListChange], str | None]:
        """Return the items of a list by content id, as additions, and the position to go on from if more follow.

        Documents that are not valid items are left out.

        Args:
            user_id: the owner of the list.
            after: begin after this content id, as stored in the list; empty for the start.
            max_items: maximum number of items to return.
        """
        async with self._database.operation("listed"):
            while True:
                query = {"userId": user_id, "contentId": {"$gt": after}, **LISTED}
                fields = ITEM_FIELDS | {"_id": 1}
                limit = max_items + 1  # one more than requested, to see whether more follow
                cursor = self._collection.find(query, fields, sort=[("contentId", 1)], limit=limit, batch_size=limit)
                documents = await cursor.to_list()
                page = documents[:max_items]
                found = [each for each in page if to_item(each)]
                if found or len(documents) <= max_items:
                    break
                after = page[-1]["contentId"]
        end = found[-1]["contentId"] if len(documents) > max_items else None
        return [change for change in map(_to_addition, found) if change], end

    async def changes(
        self, user_id: str, after: FeedPosition, *, max_changes: int
    ) -> tuple[list[ListChange], FeedPosition | None]:
        """Return the changes of a list after a position, oldest first, and the last position if more follow.

        Of several changes of one content id, the answer has only the last. Additions of documents whose `_id` is not an
        ObjectId are left out.

        Args:
            user_id: the owner of the list.
            after: the position.
            max_changes: maximum number of changes to return.
        """
        limit = max_changes + 1  # one more than requested, to see whether more follow
        bound = _last_id_before(after)
        documents = await self._additions_after(user_id, bound, limit)
        touches = await self._touches_after(user_id, after, limit)
        if touches:
            # The answer shows the list at one moment. The list is read before the stamps, so each change that it shows
            # has its stamp by then. A stamp whose change is yet to come is returned with the current state, and later
            # again.
            documents = await self._whole_list(user_id)
            touches = await self._touches_after(user_id, after, limit)
        items = {item.content_id: item for item in map(to_item, documents) if item}
        entries = [(each.position, each.content_id, each.content_type) for each in touches]
        for document in sorted((each for each in documents if _is_later(each["_id"], bound)), key=_id_of)[:limit]:
            added = to_item(document)
            content_id, content_type = (added.content_id, added.content_type) if added else (None, None)
            entries.append((_position(document["_id"]), content_id, content_type))
        entries.sort(key=lambda entry: entry[0])
        page = entries[:max_changes]
        found: dict[ContentId, ListChange] = {}
        for position, each, kind in page:
            if each is None:
                continue
            item = items.get(each)
            found.pop(each, None)  # the last of several determines its position
            found[each] = ListChange(
                position, each, item.content_type if item else kind, item.added_at if item else None
            )
        return list(found.values()), page[-1][0] if len(entries) > max_changes else None

    async def _touches_after(self, user_id: str, after: FeedPosition, limit: int) -> list[Touch]:
        touches = await self._stamps.after(user_id, after, limit)
        return touches + await self._former.changes_after(user_id, after, limit)

    async def _additions_after(self, user_id: str, bound: ObjectId, limit: int) -> list[Document]:
        query = {"userId": user_id, "_id": {"$gt": bound}}
        async with self._database.operation("additions_after"):
            cursor = self._collection.find(query, sort=[("_id", 1)], limit=limit, batch_size=limit)
            return await cursor.to_list()

    async def _whole_list(self, user_id: str) -> list[Document]:
        query, fields = {"userId": user_id, **LISTED}, ITEM_FIELDS | {"_id": 1}
        async with self._database.operation("whole_list"):
            return await self._collection.find(query, fields, batch_size=_LOAD_BATCH_SIZE).to_list()

    async def clock(self) -> tuple[int, int]:
        """Return MongoDB's time, and the watermark up to which every change is readable.

        Both are milliseconds since 1970 UTC. A change is readable once the replica set's majority commit point has
        passed it. That may be later than the acknowledgement of its write.
        """
        async with self._database.operation("clock"):
            hello = await self._database.ask_hello()
        now, replicated = hello.local_time, hello.replicated_until
        if now is None or replicated is None:
            raise DatabaseUnavailableError
        return now, max(replicated - _SETTLING_MS, 0)

    async def _find(self, operation: str, user_id: str, content_ids: Iterable[ContentId]) -> list[Item]:
        documents = await self._documents(operation, user_id, content_ids)
        return [item for item in map(to_item, documents) if item]

    async def _documents(self, operation: str, user_id: str, content_ids: Iterable[ContentId]) -> list[Document]:
        documents: list[Document] = []
        for batch in _batches(list(content_ids), _FIND_BATCH_SIZE):
            async with self._database.operation(operation):
                cursor = self._collection.find(_named(user_id, batch), batch_size=2 * len(batch) + 1)
                documents += await cursor.to_list()
        return documents


def _to_document(user_id: str, item: Item) -> RawBSONDocument:
    """Return the document of an item, without `_id`.

    The driver adds no `_id` to an encoded document, so MongoDB creates it by its own clock. The time in it is the stamp
    of the addition.
    """
    return RawBSONDocument(
        bson.encode(
            {
                "userId": user_id,
                "contentId": item.content_id.hex(),
                "contentType": item.content_type,
                "addedAt": to_datetime(item.added_at),
            }
        )
    )


def _named(user_id: str, content_ids: Iterable[ContentId]) -> Document:
    """Return the filter for items by content id. The unique index alone answers it."""
    return {"userId": user_id, "contentId": {"$in": in_either_case(content_ids)}}


def _contents(items: Iterable[Item]) -> Contents:
    return {item.content_id: item.content_type for item in items}


def _batches(values: Sequence[Any], size: int) -> list[Sequence[Any]]:
    return [values[start : start + size] for start in range(0, len(values), size)]


def _position(document_id: ObjectId) -> FeedPosition:
    """Return the position of an addition in the feed: its stamp is the whole second in its `_id`."""
    return FeedPosition(int.from_bytes(document_id.binary[:4]) * 1000, document_id.binary)


def _is_later(document_id: object, bound: ObjectId) -> bool:
    return isinstance(document_id, ObjectId) and document_id > bound


def _id_of(document: Document) -> ObjectId:
    document_id: ObjectId = document["_id"]
    return document_id


def _last_id_before(position: FeedPosition) -> ObjectId:
    """Return the last `_id` that is not after a position."""
    seconds, milliseconds = divmod(position.changed_at, 1000)
    last_of_second = seconds.to_bytes(4) + b"\xff" * 8
    if milliseconds:
        return ObjectId(last_of_second)
    first_of_second = seconds.to_bytes(4) + bytes(8)
    return ObjectId(min(max(position.entry_id, first_of_second), last_of_second))


def _to_addition(document: Document) -> ListChange | None:
    item, document_id = to_item(document), document["_id"]
    if item is None:
        return None
    position = FeedPosition(min(max(item.added_at, 0), LATEST_STAMP_MS), bytes(12))
    if isinstance(document_id, ObjectId):
        position = _position(document_id)
    return ListChange(position, item.content_id, item.content_type, item.added_at)
