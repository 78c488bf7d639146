"""Reads the documents of movies and shows from MongoDB."""

import asyncio
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from bson import ObjectId

from mylist.domain.content import CONTENT_TYPES, ContentId, ContentType
from mylist.domain.external_id import EXTERNAL_IDS, ExternalId
from mylist.mongodb.collections import CONTENT_COLLECTIONS
from mylist.mongodb.database import Database, Document

# Internal fields of the original service's ODM; no client sees them.
_WITHOUT_ODM_FIELDS = {"__v": 0, "createdAt": 0, "updatedAt": 0}
_MAX_INT64 = 2**63 - 1


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

    async def find_by_external_ids(
        self, external_ids: Collection[ExternalId], content_types: Collection[ContentType] = CONTENT_TYPES
    ) -> dict[ExternalId, list[tuple[ContentId, ContentType]]]:
        """Return, for each external id, the titles that have it, movies first; an empty list if no title has it.

        One query per name and content type runs, all at the same time. A name without an index needs a scan of the
        collection. So callers must only pass registered names, and about a hundred external ids at once.

        Args:
            external_ids: the external ids to look for.
            content_types: the types that the titles may have.

        Raises:
            DatabaseUnavailableError: MongoDB is unreachable or did not answer in time.
            DatabaseBusyError: every connection is in use.
        """
        by_name: dict[str, list[str]] = defaultdict(list)
        for each in external_ids:
            by_name[each.name].append(each.value)
        queries = [(content_type, *query) for content_type in content_types for query in by_name.items()]
        answers = await asyncio.gather(*(self._having(*query) for query in queries))
        found: dict[ExternalId, list[tuple[ContentId, ContentType]]] = {each: [] for each in external_ids}
        for (content_type, name, _), documents in zip(queries, answers, strict=True):
            for document in documents:
                external_id = ExternalId(name, _as_text(document[EXTERNAL_IDS][name]))
                if external_id in found and isinstance(document["_id"], ObjectId):
                    found[external_id].append((ContentId(document["_id"].binary), content_type))
        return found

    async def _having(self, content_type: ContentType, name: str, values: Sequence[str]) -> list[Document]:
        field = f"{EXTERNAL_IDS}.{name}"
        wanted = [form for value in values for form in _stored_forms(value)]
        async with self._database.operation("external_ids"):
            cursor = self._database.handle[CONTENT_COLLECTIONS[content_type]].find(
                {field: {"$in": wanted}}, {field: 1}, batch_size=len(wanted) + 1
            )
            documents = await cursor.to_list()
        return [each for each in documents if isinstance(each.get(EXTERNAL_IDS), Mapping)]

    async def genres(self) -> list[Any]:
        """Return the distinct values in the `genres` fields of each collection, read from their indexes.

        Raises:
            DatabaseUnavailableError: MongoDB is unreachable or did not answer in time.
            DatabaseBusyError: every connection is in use.
        """
        async with self._database.operation("genres"):
            values = [await self._database.handle[name].distinct("genres") for name in CONTENT_COLLECTIONS.values()]
        return [genre for genres in values for genre in genres]


def _stored_forms(value: str) -> list[str | int]:
    """Return the values that a title may have for an external id: the text or, from other writers, a number."""
    if value.isdecimal() and str(int(value)) == value and int(value) <= _MAX_INT64:
        return [value, int(value)]
    return [value]


def _as_text(stored: object) -> str:
    return str(int(stored)) if isinstance(stored, float) and stored.is_integer() else str(stored)
