"""Writes documents of the collection of changes, from which devices with a sync token learn what changed."""

from collections.abc import Iterable
from datetime import datetime
from typing import Literal

from pymongo import UpdateOne
from pymongo.asynchronous.collection import AsyncCollection
from pymongo.errors import BulkWriteError

from mylist.adoption.stored_items import Key, StoredItem
from mylist.mongodb.database import DUPLICATE_KEY, Document

Change = Literal["removed", "dated"]


def change_id(key: Key) -> str:
    """Return the `_id` of the document of a user's change of one content."""
    return "/".join(key)


async def stamp(changes: AsyncCollection[Document], items: Iterable[StoredItem], change: Change) -> None:
    """Say, before it happens, that these items change now, by MongoDB's clock."""
    stamps = [
        UpdateOne(
            {"_id": change_id(item.key)},
            {
                "$set": {**_named(item.key), "contentType": item.content_type, "change": change},
                "$currentDate": {"changedAt": True},
            },
            upsert=True,
        )
        for item in items
    ]
    if stamps:
        await changes.bulk_write(stamps, ordered=False)


async def carry_over(
    changes: AsyncCollection[Document], known: Iterable[tuple[Key, str | None, Change, datetime]]
) -> None:
    """Write changes that happened at a known time, each a key, content type, change and time; a later one stays."""
    writes = [
        UpdateOne(
            {"_id": change_id(key), "changedAt": {"$lt": changed_at}},
            {
                "$set": {
                    **_named(key),
                    **({} if content_type is None else {"contentType": content_type}),
                    "change": change,
                    "changedAt": changed_at,
                }
            },
            upsert=True,
        )
        for key, content_type, change, changed_at in known
    ]
    if not writes:
        return
    try:
        await changes.bulk_write(writes, ordered=False)
    except BulkWriteError as error:  # the upsert of what has a later change violates the index of `_id`
        if any(each["code"] != DUPLICATE_KEY for each in error.details["writeErrors"]):
            raise


def _named(key: Key) -> Document:
    return {"userId": key[0], "contentId": key[1]}
