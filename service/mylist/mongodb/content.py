"""Reads the documents of movies and shows from MongoDB."""

from collections.abc import Iterable
from typing import Any

from bson import ObjectId

from mylist.domain.content import ContentId, ContentType
from mylist.mongodb.collections import CONTENT_COLLECTIONS
from mylist.mongodb.database import Database, Document

# The original service's ODM keeps these fields for itself; no client sees them.
_WITHOUT_ODM_FIELDS = {"__v": 0, "createdAt": 0, "updatedAt": 0}


class ContentStore:
    """Fetches content documents."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def fetch(self, content_type: ContentType, content_ids: Iterable[ContentId]) -> dict[ContentId, Document]:
        """Return the documents with the given ids, in one round trip; unknown ids are left out.

        Raises:
            DatabaseUnavailableError: MongoDB is unreachable or did not answer in time.
            DatabaseBusyError: every connection is in use.
        """
        ids = [ObjectId(content_id) for content_id in content_ids]
        async with self._database.operation("titles"):
            cursor = self._database.handle[CONTENT_COLLECTIONS[content_type]].find(
                {"_id": {"$in": ids}}, _WITHOUT_ODM_FIELDS, batch_size=len(ids) + 1
            )
            return {ContentId(document["_id"].binary): document for document in await cursor.to_list()}

    async def genres(self) -> list[Any]:
        """Return the distinct values in the `genres` fields of each collection, read from their indexes.

        Raises:
            DatabaseUnavailableError: MongoDB is unreachable or did not answer in time.
            DatabaseBusyError: every connection is in use.
        """
        async with self._database.operation("genres"):
            values = [await self._database.handle[name].distinct("genres") for name in CONTENT_COLLECTIONS.values()]
        return [genre for genres in values for genre in genres]
