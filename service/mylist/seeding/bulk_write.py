"""Idempotent writes: repeated or concurrent runs lead to the same documents."""

from collections.abc import Sequence

import pymongo
from bson import ObjectId
from pymongo import ReplaceOne
from pymongo.asynchronous.collection import AsyncCollection
from pymongo.errors import BulkWriteError

from mylist.mongodb.database import DUPLICATE_KEY, Document

_BATCH_TIMEOUT_S = 60
"""For one batch: far longer than a request may take."""


async def missing_ids(collection: AsyncCollection[Document], ids: Sequence[ObjectId]) -> set[ObjectId]:
    """Return the ids that no document has."""
    with pymongo.timeout(_BATCH_TIMEOUT_S):
        existing = {document["_id"] async for document in collection.find({"_id": {"$in": ids}}, {"_id": 1})}
    return set(ids) - existing


async def insert_new(collection: AsyncCollection[Document], documents: Sequence[Document]) -> int:
    """Insert documents, skipping those that violate a unique index; return how many were inserted."""
    if not documents:
        return 0
    try:
        with pymongo.timeout(_BATCH_TIMEOUT_S):
            result = await collection.insert_many(documents, ordered=False)
    except BulkWriteError as error:
        if any(each["code"] != DUPLICATE_KEY for each in error.details["writeErrors"]):
            raise
        return int(error.details["nInserted"])
    return len(result.inserted_ids)


async def replace_all(collection: AsyncCollection[Document], documents: Sequence[Document]) -> int:
    """Write the given documents by id; return how many were missing or different."""
    replacements = [ReplaceOne({"_id": document["_id"]}, document, upsert=True) for document in documents]
    with pymongo.timeout(_BATCH_TIMEOUT_S):
        result = await collection.bulk_write(replacements, ordered=False)
    return result.upserted_count + result.modified_count
