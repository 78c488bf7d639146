"""Converts `mylist` to its present format: only items, each with exactly the documented fields.

In the former format of this service, a removal left a tombstone, a document with `removedAt` and without `addedAt`, and
every change set `changedAt`. A collection of the original service has `__v`, and content ids in upper or lower case.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import groupby

import pymongo
from bson import ObjectId
from pymongo import DeleteOne, UpdateOne
from pymongo.asynchronous.database import AsyncDatabase
from pymongo.errors import BulkWriteError

from mylist.adoption.change_stamps import Change, carry_over, stamp
from mylist.adoption.counts import Counts, LeftOut
from mylist.adoption.fenced_writes import FencedWrites
from mylist.adoption.stored_items import (
    STEP_TIMEOUT_S,
    Key,
    StoredItem,
    is_tombstone,
    lists_of,
    read_item,
    read_key,
)
from mylist.mongodb.collections import LISTS
from mylist.mongodb.database import DUPLICATE_KEY, Document

_FORMER_FIELDS = ("changedAt", "removedAt", "__v", "createdAt", "updatedAt")
"""Fields of a former format or of Mongoose."""
_FORMER_KEYS = (
    ("userId", "changedAt", "_id"),
    ("removedAt",),
    ("userId",),
    ("contentId",),
    ("contentType",),
    ("addedAt",),
)
"""The fields of unused indexes: two of the former format, and four of the original service."""
_STAMP_PRECISION = timedelta(seconds=1)
"""Resolution of the time in an ObjectId."""


@dataclass(slots=True)
class _Steps:
    """The operations for some lists, in this order. Each step may be repeated.

    Attributes:
        known: changes to convert, each a key, content type, change and time.
        merged: items whose new date devices must learn.
        redates: updates of these items' dates.
        deletes: deletions of tombstones and duplicates.
        reforms: updates to the documented format.
    """

    known: list[tuple[Key, str | None, Change, datetime]] = field(default_factory=list)
    merged: list[StoredItem] = field(default_factory=list)
    redates: list[UpdateOne] = field(default_factory=list)
    deletes: list[DeleteOne] = field(default_factory=list)
    reforms: list[UpdateOne] = field(default_factory=list)


async def reform(
    database: AsyncDatabase[Document],
    writes: FencedWrites,
    counts: Counts,
    advance: Callable[[int], object],
    *,
    dry: bool,
) -> None:
    """Convert every document of `mylist` to the present format, except invalid ones.

    Args:
        database: the database.
        writes: surrounds the changes.
        counts: counts what it does.
        advance: called with the number of processed documents.
        dry: whether it counts only.
    """
    async for documents in lists_of(database[LISTS]):
        counts.read += len(documents)
        steps = _plan(documents, counts)
        if not dry:
            await _take(steps, database, writes, counts)
        advance(len(documents))


async def drop_former_indexes(database: AsyncDatabase[Document]) -> list[str]:
    """Drop the unused indexes; return their names."""
    names = [
        name
        for name, index in (await database[LISTS].index_information()).items()
        if tuple(key for key, _ in index["key"]) in _FORMER_KEYS and not index.get("unique")
    ]
    for name in names:
        with pymongo.timeout(STEP_TIMEOUT_S):
            await database[LISTS].drop_index(name)
    return names


def _plan(documents: Sequence[Document], counts: Counts) -> _Steps:
    steps = _Steps()
    items: list[tuple[StoredItem, Document]] = []
    for document in documents:
        item = read_item(document)
        if isinstance(item, StoredItem):
            items.append((item, document))
        elif is_tombstone(document) and not isinstance(key := read_key(document), str):
            counts.tombstones += 1
            steps.known.append((key, document.get("contentType"), "removed", document["removedAt"]))
            steps.deletes.append(DeleteOne(_unchanged(document)))
        else:
            counts.leave_out(LeftOut(LISTS, document["_id"], item))
    items.sort(key=lambda each: each[0].key)
    for _, twins in groupby(items, key=lambda each: each[0].key):
        _plan_item(list(twins), counts, steps)
    return steps


def _plan_item(twins: Sequence[tuple[StoredItem, Document]], counts: Counts, steps: _Steps) -> None:
    """Plan for the documents of one item. The one with the id in lower case stays, else the earliest."""
    kept, document = min(twins, key=lambda each: (each[0].written_id != each[0].content_id, each[0].added_at))
    if len(twins) > 1:
        counts.merged += len(twins) - 1
        steps.merged.append(kept)
        earliest = min(item.added_at for item, _ in twins)
        if earliest != kept.added_at:
            steps.redates.append(UpdateOne(_unchanged(document), {"$set": {"addedAt": earliest}}))
            document = {**document, "addedAt": earliest}
        steps.deletes += [DeleteOne(_unchanged(other)) for item, other in twins if item is not kept]
    steps.known += _changes_after_add(kept, document)
    update: Document = {}
    if former := [name for name in _FORMER_FIELDS if name in document]:
        counts.reformed += 1
        update["$unset"] = dict.fromkeys(former, "")
    if kept.written_id != kept.content_id:
        counts.lowered += 1
        update["$set"] = {"contentId": kept.content_id}
    if update:
        steps.reforms.append(UpdateOne(_unchanged(document), update))


def _changes_after_add(item: StoredItem, document: Document) -> Iterator[tuple[Key, str | None, Change, datetime]]:
    """Yield the last change of an item, unless the time in its `_id` already shows it."""
    changed_at = document.get("changedAt")
    if not isinstance(changed_at, datetime):
        return
    document_id = item.document_id
    if not isinstance(document_id, ObjectId) or changed_at >= document_id.generation_time + _STAMP_PRECISION:
        yield item.key, item.content_type, "dated", changed_at


def _unchanged(document: Document) -> Document:
    """Return the filter for a document that matches only while it is unchanged."""
    return {"_id": document["_id"], **{name: document.get(name) for name in ("contentId", "addedAt", "changedAt")}}


async def _take(steps: _Steps, database: AsyncDatabase[Document], writes: FencedWrites, counts: Counts) -> None:
    lists = database[LISTS]
    with pymongo.timeout(STEP_TIMEOUT_S):
        await carry_over(database, steps.known)
    async with writes.of(item.user_id for item in steps.merged):
        await stamp(database, steps.merged, "dated")
        done = 0
        for step in (steps.redates, steps.deletes):
            if step:
                result = await lists.bulk_write(step, ordered=False)
                done += result.matched_count + result.deleted_count
        counts.changed_meanwhile += len(steps.redates) + len(steps.deletes) - done
    if not steps.reforms:
        return
    try:
        with pymongo.timeout(STEP_TIMEOUT_S):
            matched = (await lists.bulk_write(steps.reforms, ordered=False)).matched_count
    except BulkWriteError as error:  # a user added the item in lower case meanwhile
        if any(each["code"] != DUPLICATE_KEY for each in error.details["writeErrors"]):
            raise
        matched = error.details["nMatched"]
    counts.changed_meanwhile += len(steps.reforms) - matched
