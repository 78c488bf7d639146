"""The stamps of changes, in their own collection: when an item was removed or got a new date, by MongoDB's clock.

A stamp is made before its change, and acknowledged before the change is sent. It says only that a content id must be
looked up; the list says what happened to it. Additions need no stamp, because MongoDB creates the `_id` of an item in
the operation that adds it.

A document counts its stamps, and also its unused stamps, of removals that found nothing. When all are unused, the
document is deleted: otherwise a client could fill the database by removing items that are on no list.
"""

import time
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, NamedTuple

from pymongo import InsertOne, ReturnDocument, UpdateMany, WriteConcern
from pymongo.asynchronous.collection import AsyncCollection
from pymongo.errors import BulkWriteError, DuplicateKeyError
from pymongo.results import UpdateResult

from mylist.domain.change_feed import LAST_ID, FeedPosition
from mylist.domain.content import ContentId, ContentType, is_content_type, parse_content_id
from mylist.domain.errors import DatabaseUnavailableError, OutcomeUnknownError
from mylist.domain.timestamps import to_datetime, to_milliseconds
from mylist.mongodb.collections import CHANGES
from mylist.mongodb.database import DUPLICATE_KEY, Database, Document
from mylist.mongodb.owed_stamps import OwedStamps

Change = Literal["removed", "dated"]
Contents = Mapping[ContentId, ContentType | None]
"""Content ids with their types, as far as these are known."""

_FEED_ORDER = [("changedAt", 1), ("_id", 1)]
_UPDATE_BATCH_SIZE = 25
"""Documents per statement of a bulk update: the embedded server compares each document with each id."""
_UPSERT_ATTEMPTS = 10
"""Attempts per stamp. Each failure means that another client has just stamped the same content."""


@dataclass(frozen=True, slots=True)
class Stamp:
    """A stamp that was made for one removal.

    Attributes:
        user_id, content_id: the list and the title.
        is_first: whether this stamp created the document.
        made_at: monotonic time, in seconds, before the stamp was sent.
        reign: the reign of the primary that alone acknowledged it; None if a majority acknowledged it.
    """

    user_id: str
    content_id: ContentId
    is_first: bool
    made_at: float
    reign: object | None


class Touch(NamedTuple):
    """A stamp as the change feed reads it; an unreadable `content_id` becomes None."""

    position: FeedPosition
    content_id: ContentId | None
    content_type: ContentType | None
    change: Change


class ChangeStamps:
    """Writes and reads stamps.

    Every method raises `DatabaseUnavailableError` or `DatabaseBusyError` if it cannot do its work. A stamp without a
    change is harmless, so a stamp of unknown outcome counts as not made.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._collection = database.handle[CHANGES]
        self._acknowledged_by_primary = self._collection.with_options(write_concern=WriteConcern(w=1))
        self._owed = OwedStamps(self.make_many)

    async def make(self, user_id: str, content_id: ContentId) -> Stamp:
        """Stamp a removal.

        Only the primary acknowledges the stamp, if a change of the primary can be detected. The change follows the
        stamp in the same oplog, so every member that has the change has the stamp.
        """
        reign = self.reign()
        collection = self._collection if reign is None else self._acknowledged_by_primary
        made_at = time.monotonic()
        async with self._database.operation("stamp"):
            result = await _upsert(collection, *_stamping(user_id, content_id, None, "removed"))
        return Stamp(user_id, content_id, result.did_upsert, made_at, reign)

    async def make_many(self, user_id: str, contents: Contents, change: Change) -> None:
        """Stamp changes; a majority acknowledges the stamps."""
        if not contents:
            return
        async with self._database.operation("stamp_many"):
            if len(contents) == 1:
                [(content_id, content_type)] = contents.items()
                await _upsert(self._collection, *_stamping(user_id, content_id, content_type, change))
                return
            now = await self._server_time()
            missing = [_new_document(user_id, *each, change, now) for each in contents.items()]
            while missing:
                missing = await self._insert_or_update(missing)

    async def _insert_or_update(self, documents: Sequence[Document]) -> list[Document]:
        """Make stamps. If existing documents expired meanwhile, return the documents to insert or update again.

        Inserting missing documents and updating existing ones in bulk takes a fraction of the time of as many upserts.
        """
        try:
            await self._collection.bulk_write(list(map(InsertOne, documents)), ordered=False)
        except BulkWriteError as error:
            failures: list[Document] = error.details["writeErrors"]
            if error.details.get("writeConcernErrors") or any(each["code"] != DUPLICATE_KEY for each in failures):
                raise
        else:
            return []
        taken = [documents[each["index"]] for each in failures]
        user_id, change = taken[0]["userId"], taken[0]["change"]
        fields = {"$set": {"change": change}, "$inc": {"stamps": 1}, "$currentDate": {"changedAt": True}}
        ids = [each["_id"] for each in taken]
        updates = [
            UpdateMany({"_id": {"$in": ids[start : start + _UPDATE_BATCH_SIZE]}, "userId": user_id}, fields)
            for start in range(0, len(ids), _UPDATE_BATCH_SIZE)
        ]
        result = await self._collection.bulk_write(updates, ordered=False)
        return [] if result.matched_count == len(taken) else taken

    @asynccontextmanager
    async def before(self, user_id: str, contents: Contents, change: Change) -> AsyncIterator[None]:
        """Surround a change: stamp it before, and owe it another stamp if its outcome is unknown."""
        await self.make_many(user_id, contents, change)
        try:
            yield
        except OutcomeUnknownError:
            self.owe(user_id, contents, change)
            raise

    def owe(self, user_id: str, contents: Contents, change: Change) -> None:
        """Stamp changes again as soon as MongoDB accepts it, because they may take effect long after their stamps."""
        self._owed.add(user_id, contents, change)

    async def finish(self) -> None:
        """Make the stamps that are owed, unless MongoDB is away."""
        await self._owed.finish()

    def is_kept(self, stamp: Stamp) -> bool:
        """Return whether a stamp is safe from elections; MongoDB has just answered its removal.

        A majority has acknowledged the state that the removal found, and so everything that its primary had before.
        """
        return stamp.reign is None or stamp.reign == self.reign()

    async def withdraw(self, stamps: Sequence[Stamp], *, is_answered: bool) -> None:
        """Revoke the stamps of a removal that was not made. The document is deleted if all its stamps are unused.

        A stamp that an election may have lost is not revoked, because that could revoke the stamp of another removal.
        It stays until it expires.

        Args:
            stamps: the stamps of the removal.
            is_answered: whether MongoDB has answered the removal (with nothing to remove).
        """
        if not all(self.is_kept(each) if is_answered else each.reign is None for each in stamps):
            return
        first, in_vain = stamps[0], len(stamps)
        named = _named(first.user_id, first.content_id)
        async with self._database.operation("withdraw_stamp"):
            if first.is_first:
                result = await self._collection.delete_one({**named, "stamps": in_vain, "inVain": None})
                if result.deleted_count:
                    return
            document = await self._collection.find_one_and_update(
                named, {"$inc": {"inVain": in_vain}}, {"stamps": 1, "inVain": 1}, return_document=ReturnDocument.AFTER
            )
            if document and document.get("stamps") == document["inVain"]:
                counts = {"stamps": document["stamps"], "inVain": document["inVain"]}
                await self._collection.delete_one({**named, **counts})

    async def after(self, user_id: str, position: FeedPosition, limit: int) -> list[Touch]:
        """Return up to `limit` stamps of a list after a position, in the order of the feed."""
        async with self._database.operation("stamps_after"):
            documents = await find_in_feed_order(self._collection, user_id, _ranges_after(user_id, position), limit)
        return list(map(_to_touch, documents))

    async def removals(self, user_id: str, content_ids: Iterable[ContentId]) -> list[Touch]:
        """Return the stamps of the removals of some content ids."""
        ids = [_document_id(user_id, each) for each in content_ids]
        async with self._database.operation("find_removals"):
            documents = await self._collection.find(
                {"_id": {"$in": ids}, "userId": user_id}, batch_size=len(ids) + 1
            ).to_list()
        return [each for each in map(_to_touch, documents) if each.change == "removed"]

    def reign(self) -> object | None:
        """Return the reign of the primary, as far as the driver knows.

        Within one reign, the primary loses no acknowledged write that precedes a write which a majority has. Return
        None while there is no primary. Return None behind `mongos`, too, because it does not report the reign.
        """
        for server in self._database.handle.client.topology_description.server_descriptions().values():
            if server.is_writable and server.server_type_name != "Mongos":
                # A standalone holds no elections; it may be restarted.
                return server.election_id, (server.topology_version or {}).get("processId")
        return None

    async def _server_time(self) -> datetime:
        now = (await self._database.ask_hello()).local_time
        if now is None:
            raise DatabaseUnavailableError
        return to_datetime(now)


async def find_in_feed_order(
    collection: AsyncCollection[Document], user_id: str, index_ranges: Iterable[Document], limit: int
) -> list[Document]:
    """Return up to `limit` documents of a list, by stamp; each filter selects a range of the index, in order."""
    documents: list[Document] = []
    for index_range in index_ranges:
        rest = limit - len(documents)
        query = {"userId": user_id, **index_range}
        documents += await collection.find(query, sort=_FEED_ORDER, limit=rest, batch_size=rest).to_list()
        if len(documents) == limit:
            break
    return documents


async def _upsert(collection: AsyncCollection[Document], query: Document, update: Document) -> UpdateResult:
    """Update the document of a query or insert it, even while other clients do the same.

    If two upserts both find no document, MongoDB refuses the second as a duplicate. MongoDB retries it by itself only
    if the query has exactly the fields of the unique index. These queries also name the shard.
    """
    for _ in range(_UPSERT_ATTEMPTS - 1):
        try:
            return await collection.update_one(query, update, upsert=True)
        except DuplicateKeyError:
            continue  # the document exists, unless it has been deleted since
    return await collection.update_one(query, update, upsert=True)


def _document_id(user_id: str, content_id: ContentId) -> str:
    return f"{user_id}/{content_id.hex()}"


def _named(user_id: str, content_id: ContentId) -> Document:
    """Return the filter for the document of a content id; the user names its shard."""
    return {"_id": _document_id(user_id, content_id), "userId": user_id}


def _stamping(
    user_id: str, content_id: ContentId, content_type: ContentType | None, change: Change
) -> tuple[Document, Document]:
    """Return the filter and the update of the upsert that makes a stamp."""
    fields = _fields(content_id, content_type, change)
    update = {"$set": fields, "$inc": {"stamps": 1}, "$currentDate": {"changedAt": True}}
    return _named(user_id, content_id), update


def _new_document(
    user_id: str, content_id: ContentId, content_type: ContentType | None, change: Change, now: datetime
) -> Document:
    fields = _fields(content_id, content_type, change)
    return _named(user_id, content_id) | fields | {"stamps": 1, "changedAt": now}


def _fields(content_id: ContentId, content_type: ContentType | None, change: Change) -> Document:
    fields = {"contentId": content_id.hex(), "change": change}
    return fields if content_type is None else fields | {"contentType": content_type}


def _ranges_after(user_id: str, position: FeedPosition) -> Sequence[Document]:
    """Return filters for the stamps after a position: one for each range of the index, in the feed's order."""
    changed_at = to_datetime(position.changed_at)
    later: Document = {"changedAt": {"$gt": changed_at}}
    if position.entry_id == LAST_ID:
        return [later]
    return [{"changedAt": changed_at, "_id": {"$gt": _document_id(user_id, ContentId(position.entry_id))}}, later]


def _to_touch(document: Document) -> Touch:
    content_id = parse_content_id(document["contentId"])
    content_type = document.get("contentType", "")
    position = FeedPosition(to_milliseconds(document["changedAt"]), content_id or LAST_ID)
    return Touch(position, content_id, content_type if is_content_type(content_type) else None, document["change"])
