"""Carries changes of one collection of lists to the other: between the original service and this one.

`mylist_adopted` has one document for each carried item, with the `_id` of the item in both collections. It shows what
changed on which side since: an item without such a document is new on its side, and such a document without an item
means that the item was removed on that side. So a run may be aborted and repeated, and both services may go on writing:
an item that one side removed does not come back from the other.
"""

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import pymongo
from pymongo import ReplaceOne, UpdateOne
from pymongo.asynchronous.database import AsyncDatabase
from pymongo.errors import BulkWriteError

from mylist.adoption.change_stamps import removals, stamp
from mylist.adoption.counts import Counts, LeftOut
from mylist.adoption.fenced_writes import FencedWrites
from mylist.adoption.stored_items import (
    STEP_TIMEOUT_S,
    Key,
    StoredItem,
    batches,
    is_tombstone,
    lists_of,
    read_item,
    read_key,
)
from mylist.mongodb.collections import ADOPTED, LISTS, ORIGINAL_LISTS
from mylist.mongodb.database import DUPLICATE_KEY, Document

_MAX_TRIES = 5
"""Maximum retries for a list that its user changes at the same time."""


@dataclass(slots=True)
class _Plan:
    """The operations for some lists.

    Attributes:
        inserted: items to copy.
        redated: the `_id` of an item of the target, and its new date.
        carried: documents of `mylist_adopted` to write.
        told: items whose change devices must learn.
    """

    inserted: list[StoredItem] = field(default_factory=list)
    redated: list[tuple[StoredItem, datetime]] = field(default_factory=list)
    carried: list[Document] = field(default_factory=list)
    told: list[StoredItem] = field(default_factory=list)


class Carrying:
    """One run in one direction.

    Args:
        database: the database of both services.
        writes: surrounds the changes.
        counts: counts what it does.
        advance: called with the number of processed documents of the source.
        back: whether to carry from this service to the original one.
        tells_devices: whether devices may have sync tokens of the lists that it changes.
        dry: whether it counts only.
    """

    def __init__(  # noqa: PLR0913 - each is named at the one call
        self,
        database: AsyncDatabase[Document],
        writes: FencedWrites,
        counts: Counts,
        advance: Callable[[int], object],
        *,
        back: bool,
        tells_devices: bool,
        dry: bool,
    ) -> None:
        self._source = database[LISTS if back else ORIGINAL_LISTS]
        self._target = database[ORIGINAL_LISTS if back else LISTS]
        self._adopted = database[ADOPTED]
        self._database = database
        self._writes = writes
        self._counts = counts
        self._advance = advance
        self._back = back
        self._tells_devices = tells_devices and not back
        self._dry = dry

    async def run(self) -> None:
        """Carry removals, then items."""
        async for carried in batches(self._adopted.find({"addedAt": {"$type": "date"}})):
            await self._carry_removals(carried)
        async for documents in lists_of(self._source):
            self._counts.read += len(documents)
            await self._carry_items(documents)
            self._advance(len(documents))

    async def _carry_removals(self, carried: Sequence[Document]) -> None:
        # This service has the original's duplicate under the `_id` of the item into which it was merged.
        ids = {each["_id"]: each.get("into", each["_id"]) if self._back else each["_id"] for each in carried}
        with pymongo.timeout(STEP_TIMEOUT_S):
            # A tombstone of the former format is not an item.
            found = self._source.find({"_id": {"$in": list(ids.values())}, "addedAt": {"$ne": None}}, {"_id": 1})
            present = {document["_id"] async for document in found}
            gone = [own for own, looked_for in ids.items() if looked_for not in present]
            if not gone:
                return
            documents = await self._target.find({"_id": {"$in": gone}}).to_list()
        items = [item for item in map(read_item, documents) if isinstance(item, StoredItem)]
        self._counts.removed += len(items)
        if self._dry:
            return
        async with self._writes.of(() if self._back else (item.user_id for item in items)):
            if self._tells_devices:
                await stamp(self._database, items, "removed")
            await self._target.delete_many({"_id": {"$in": [item.document_id for item in items]}})
        with pymongo.timeout(STEP_TIMEOUT_S):
            if not self._back:  # the duplicate that was merged into it is a separate item now
                await self._adopted.delete_many({"into": {"$in": gone}})
            await self._adopted.delete_many({"_id": {"$in": gone}})

    async def _carry_items(self, documents: Sequence[Document]) -> None:
        items = []
        for document in documents:
            item = read_item(document)
            if isinstance(item, StoredItem):
                items.append(item)
            elif not is_tombstone(document):
                self._leave_out(document["_id"], item)
        for _ in range(_MAX_TRIES):
            if not items:
                return
            items = await self._carry_some(items)
        self._counts.changed_meanwhile += len(items)

    async def _carry_some(self, items: Sequence[StoredItem]) -> list[StoredItem]:
        """Carry items; return the items that a user added to the target at the same time."""
        ids, users = [item.document_id for item in items], list({item.user_id for item in items})
        with pymongo.timeout(STEP_TIMEOUT_S):
            adopted, same_lists, same_ids, removed = await asyncio.gather(
                self._adopted.find({"_id": {"$in": ids}}).to_list(),
                self._target.find({"userId": {"$in": users}}).to_list(),
                self._target.find({"_id": {"$in": ids}}).to_list(),
                self._removals(items),
            )
        plan = self._plan(items, {each["_id"]: each for each in adopted}, [*same_lists, *same_ids], removed)
        self._counts.adopted += len(plan.inserted)
        self._counts.lowered += sum(item.written_id != item.content_id for item in plan.inserted)
        if self._dry:
            return []
        lost: list[StoredItem] = []
        if plan.inserted or plan.redated:
            changed = (*plan.inserted, *(item for item, _ in plan.redated))
            async with self._writes.of(() if self._back else (item.user_id for item in changed)):
                if self._tells_devices:
                    await stamp(self._database, plan.told, "dated")
                lost = await self._insert(plan.inserted)
                await self._redate(plan.redated)
        self._counts.adopted -= len(lost)
        self._counts.lowered -= sum(item.written_id != item.content_id for item in lost)
        again = {item.document_id for item in lost}
        again |= {each["_id"] for each in plan.carried if each.get("into") in again}
        # Last: until then, the next run processes the item again.
        await self._mark([each for each in plan.carried if each["_id"] not in again])
        return [item for item in items if item.document_id in again]

    async def _removals(self, items: Iterable[StoredItem]) -> dict[Key, datetime]:
        """Return when clients of this service removed items of the original."""
        return {} if self._back else await removals(self._database, {item.key for item in items})

    def _plan(
        self,
        items: Sequence[StoredItem],
        adopted: Mapping[Any, Document],
        there: Sequence[Document],
        removed: dict[Key, datetime],
    ) -> _Plan:
        plan = _Plan()
        by_id: dict[Any, StoredItem] = {}
        by_key: dict[Key, StoredItem] = {}
        taken: set[Any] = set()
        for document in there:
            item = read_item(document)
            if isinstance(item, StoredItem):
                by_id[item.document_id] = by_key[item.key] = item
            elif is_tombstone(document) and not isinstance(key := read_key(document), str):
                removed[key] = document["removedAt"]
            else:
                taken |= {document["_id"], (document.get("userId"), str(document.get("contentId")).lower())}
        for item in sorted(items, key=lambda each: (each.added_at, str(each.document_id))):
            mark = adopted.get(item.document_id)
            if mark is not None:
                self._counts.already_there += 1
                self._plan_date(plan, item, mark, by_id.get(item.document_id))
            elif item.document_id in taken or item.key in taken:
                self._leave_out(
                    item.document_id, f"a document of `{self._target.name}` that is not an item is in its place"
                )
            elif twin := by_key.get(item.key):
                self._plan_merge(plan, item, twin)
            elif (removed_at := removed.get(item.key)) and removed_at >= item.added_at:
                self._counts.stay_removed += 1
                plan.carried.append(_mark(item))
            else:
                by_key[item.key] = item
                plan.inserted.append(item)
                plan.told.append(item)
                plan.carried.append(_mark(item))
        return plan

    def _plan_date(self, plan: _Plan, item: StoredItem, mark: Document, twin: StoredItem | None) -> None:
        if item.added_at == mark["addedAt"]:
            return
        if twin is not None and twin.added_at != item.added_at:
            plan.redated.append((twin, item.added_at))
            plan.told.append(twin)
        plan.carried.append({**mark, "addedAt": item.added_at})

    def _plan_merge(self, plan: _Plan, item: StoredItem, twin: StoredItem) -> None:
        if twin.document_id == item.document_id:
            self._counts.already_there += 1
            plan.carried.append(_mark(item))
            return
        self._counts.merged += 1
        if not self._back:  # the original has its own item for this one: nothing was carried
            plan.carried.append({**_mark(item), "into": twin.document_id})
        if item.added_at < twin.added_at:
            plan.redated.append((twin, item.added_at))
            plan.told.append(twin)

    async def _insert(self, items: Sequence[StoredItem]) -> list[StoredItem]:
        """Insert items; return those that violate a unique index because a user added the same item meanwhile."""
        if not items:
            return []
        try:
            await self._target.insert_many(list(map(self._document, items)), ordered=False)
        except BulkWriteError as error:
            failures = error.details["writeErrors"]
            if error.details.get("writeConcernErrors") or any(each["code"] != DUPLICATE_KEY for each in failures):
                raise
            return [items[each["index"]] for each in failures]
        return []

    async def _mark(self, carried: Sequence[Document]) -> None:
        if not carried:
            return
        with pymongo.timeout(STEP_TIMEOUT_S):
            try:
                await self._adopted.insert_many([dict(each) for each in carried], ordered=False)
            except BulkWriteError as error:
                failures = error.details["writeErrors"]
                if error.details.get("writeConcernErrors") or any(each["code"] != DUPLICATE_KEY for each in failures):
                    raise
                known = [carried[each["index"]] for each in failures]
                await self._adopted.bulk_write([ReplaceOne({"_id": each["_id"]}, each) for each in known])

    async def _redate(self, redated: Iterable[tuple[StoredItem, datetime]]) -> None:
        updates = [
            UpdateOne({"_id": item.document_id, "addedAt": item.added_at}, {"$set": {"addedAt": added_at}})
            for item, added_at in redated
        ]
        if updates:
            await self._target.bulk_write(updates)

    def _document(self, item: StoredItem) -> Document:
        document = {
            "_id": item.document_id,
            "userId": item.user_id,
            "contentId": item.content_id,
            "contentType": item.content_type,
            "addedAt": item.added_at,
        }
        return {**document, "__v": 0} if self._back else document  # the form that Mongoose writes

    def _leave_out(self, document_id: object, reason: str) -> None:
        self._counts.leave_out(LeftOut(self._source.name, document_id, reason))


def _mark(item: StoredItem) -> Document:
    return {"_id": item.document_id, "addedAt": item.added_at}
