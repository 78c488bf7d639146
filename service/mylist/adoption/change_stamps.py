"""Writes documents of the collection of changes, from which devices with a sync token learn about changes."""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Literal

from pymongo import InsertOne, UpdateOne
from pymongo.asynchronous.collection import AsyncCollection
from pymongo.asynchronous.database import AsyncDatabase
from pymongo.errors import BulkWriteError

from mylist.adoption.stored_items import Key, StoredItem
from mylist.mongodb.collections import CHANGES
from mylist.mongodb.database import DUPLICATE_KEY, Document

Change = Literal["removed", "dated"]
_ONE_OPERATION = timedelta(milliseconds=5)
"""MongoDB reads its clock once for each field."""


async def stamp(database: AsyncDatabase[Document], items: Sequence[StoredItem], change: Change) -> None:
    """Stamp these items before they change, by MongoDB's clock."""
    if not items:
        return
    hello = await database.command("hello", codec_options=database.codec_options)
    fields = [{"contentId": item.content_id, "contentType": item.content_type, "change": change} for item in items]
    now = {"changedAt": hello["localTime"], "carriedAt": hello["localTime"], "stamps": 1}
    update = {"$inc": {"stamps": 1}, "$currentDate": {"changedAt": True, "carriedAt": True}}
    await _insert_or_update(
        database[CHANGES],
        [InsertOne({**_named(item.key), **each, **now}) for item, each in zip(items, fields, strict=True)],
        [UpdateOne(_named(item.key), {"$set": each, **update}) for item, each in zip(items, fields, strict=True)],
    )


async def removals(database: AsyncDatabase[Document], keys: Iterable[Key]) -> dict[Key, datetime]:
    """Return when clients of this service last removed items, as far as the stamps are kept.

    A removal stamped by `stamp` does not count: the original service made it, some time before.
    """
    ids = [_change_id(key) for key in keys]
    found = database[CHANGES].find({"_id": {"$in": ids}, "change": "removed"}, batch_size=len(ids) + 1)
    return {
        (each["userId"], each["contentId"]): each["changedAt"]
        async for each in found
        if "carriedAt" not in each or each["changedAt"] - each["carriedAt"] > _ONE_OPERATION
    }


async def carry_over(
    database: AsyncDatabase[Document], known: Iterable[tuple[Key, str | None, Change, datetime]]
) -> None:
    """Write changes of a known time, each a key, content type, change and time. A later existing change stays."""
    inserts, updates = [], []
    for key, content_type, change, changed_at in known:
        fields = {"contentId": key[1], "change": change, "changedAt": changed_at}
        if content_type is not None:
            fields["contentType"] = content_type
        inserts.append(InsertOne({**_named(key), **fields, "stamps": 1}))
        older = {**_named(key), "changedAt": {"$lt": changed_at}}
        updates.append(UpdateOne(older, {"$set": fields, "$inc": {"stamps": 1}}))
    await _insert_or_update(database[CHANGES], inserts, updates)


async def _insert_or_update(
    changes: AsyncCollection[Document], inserts: Sequence[InsertOne[Document]], updates: Sequence[UpdateOne]
) -> None:
    """Insert documents, or update existing ones. This is far faster than upserts if most documents are new."""
    if not inserts:
        return
    try:
        await changes.bulk_write(inserts, ordered=False)
    except BulkWriteError as error:
        failures: list[Document] = error.details["writeErrors"]
        if error.details.get("writeConcernErrors") or any(each["code"] != DUPLICATE_KEY for each in failures):
            raise
        await changes.bulk_write([updates[int(each["index"])] for each in failures], ordered=False)


def _named(key: Key) -> Document:
    """Return the filter for the change of a user's content; the user names its shard."""
    return {"_id": _change_id(key), "userId": key[0]}


def _change_id(key: Key) -> str:
    return "/".join(key)
