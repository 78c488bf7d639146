"""The movies and shows in MongoDB: collections `movies` and `tvshows`."""

from collections.abc import Iterable
from typing import Any

from bson import ObjectId

from mylist.lists.item import ContentType
from mylist.store.connection import Database, Document

COLLECTIONS: dict[ContentType, str] = {"movie": "movies", "tvshow": "tvshows"}
# Kept by the original's ODM for itself; no client sees them.
_WITHOUT_DRIVER_FIELDS = {"__v": 0, "createdAt": 0, "updatedAt": 0}


class ContentStore:
    """Fetches content documents."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def fetch(self, content_type: ContentType, content_ids: Iterable[bytes]) -> dict[bytes, Document]:
        """Fetches the documents of some ids (12 bytes each) in one round trip; unknown ids are left out.

        Raises:
            StoreUnavailableError: MongoDB cannot be asked now.
            DatabaseBusyError: too much is under way.
        """
        ids = [ObjectId(content_id) for content_id in content_ids]
        with self._database.operation("titles"):
            cursor = self._database.handle[COLLECTIONS[content_type]].find(
                {"_id": {"$in": ids}}, _WITHOUT_DRIVER_FIELDS, batch_size=len(ids) + 1
            )
            return {document["_id"].binary: document for document in await cursor.to_list()}

    async def genres(self) -> list[Any]:
        """Fetches what stands among the genres of movies and shows, each once per collection, from their indexes.

        Raises:
            StoreUnavailableError: MongoDB cannot be asked now.
            DatabaseBusyError: too much is under way.
        """
        with self._database.operation("genres"):
            found = [await self._database.handle[name].distinct("genres") for name in COLLECTIONS.values()]
        return [genre for genres in found for genre in genres]
