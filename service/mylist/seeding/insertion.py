"""Inserting what may be there already: the end is the same however often, and by however many, it is done."""

from collections.abc import Sequence

import pymongo
from bson import ObjectId
from pymongo.asynchronous.collection import AsyncCollection
from pymongo.errors import BulkWriteError

from mylist.store.connection import DUPLICATE_KEY, Document

_DEADLINE = 60
"""Seconds for one batch: far more than a request may take."""


async def missing(collection: AsyncCollection[Document], ids: Sequence[ObjectId]) -> set[ObjectId]:
    """Gives those of the ids that no document has, in one query."""
    with pymongo.timeout(_DEADLINE):
        found = {document["_id"] async for document in collection.find({"_id": {"$in": ids}}, {"_id": 1})}
    return set(ids) - found


async def insert_new(collection: AsyncCollection[Document], documents: Sequence[Document]) -> int:
    """Inserts documents, passing over those that break a unique index; gives how many went in."""
    if not documents:
        return 0
    try:
        with pymongo.timeout(_DEADLINE):
            result = await collection.insert_many(documents, ordered=False)
    except BulkWriteError as error:
        if any(each["code"] != DUPLICATE_KEY for each in error.details["writeErrors"]):
            raise
        return int(error.details["nInserted"])
    return len(result.inserted_ids)
