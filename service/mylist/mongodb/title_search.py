"""Finds titles of the catalogue by name, regardless of case and accents, through an index with a collation."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from bson import ObjectId
from pymongo import ASCENDING, IndexModel
from pymongo.collation import Collation

from mylist.domain.content import ContentId, ContentType
from mylist.domain.external_id import EXTERNAL_IDS
from mylist.domain.found_title import FoundTitle
from mylist.domain.release_date import release_date
from mylist.mongodb.collections import CONTENT_COLLECTIONS
from mylist.mongodb.database import Database, Document
from mylist.mongodb.index_definition import find_equivalent
from mylist.mongodb.title_index import TITLE_COLLATION, TITLE_FIELDS, TITLE_INDEXES

NAMES_PER_QUERY = 50
"""The embedded server compares each title that it finds with each of the names: 500 at once take it seconds."""
MAX_FOUND = 1000
"""Titles per query. If there are more, each half of the names is queried separately."""
_PROJECTION = dict.fromkeys((*TITLE_FIELDS, "releaseDate", "releaseYear", EXTERNAL_IDS), 1)
_SIMPLE_INDEX = IndexModel([("title", ASCENDING)])


class TitleSearch:
    """Finds titles by their names.

    Without collations, as in some servers that imitate MongoDB, or while the index is missing, only exact spellings are
    found. Without any index on titles, nothing is found: a scan of the whole catalogue would cost other users too much.

    Args:
        database: the database of the catalogue.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._collated: set[tuple[ContentType, str]] = set()

    async def named(self, content_type: ContentType, titles: Sequence[str]) -> list[FoundTitle]:
        """Return the titles of a type whose title or original title is one of some names.

        Raises:
            DatabaseUnavailableError: MongoDB is unreachable or did not answer in time.
            DatabaseBusyError: every connection is in use.
        """
        await self._look_for_indexes(content_type)
        found: dict[ContentId, FoundTitle] = {}
        for field in TITLE_FIELDS:
            if (content_type, field) in self._collated:
                collation = TITLE_COLLATION
            elif (content_type, "") in self._collated and field == "title":
                collation = None
            else:
                continue
            for start in range(0, len(titles), NAMES_PER_QUERY):
                names = titles[start : start + NAMES_PER_QUERY]
                for document in await self._find(content_type, field, names, collation):
                    each = _found(document, content_type)
                    found.setdefault(each.content_id, each)
        return list(found.values())

    async def with_ids(self, content_type: ContentType, content_ids: Collection[ContentId]) -> list[FoundTitle]:
        """Return the titles of a type with some ids.

        Raises:
            DatabaseUnavailableError: MongoDB is unreachable or did not answer in time.
            DatabaseBusyError: every connection is in use.
        """
        async with self._database.operation("titles"):
            cursor = self._database.handle[CONTENT_COLLECTIONS[content_type]].find(
                {"_id": {"$in": [ObjectId(each) for each in content_ids]}}, _PROJECTION
            )
            return [_found(document, content_type) for document in await cursor.to_list()]

    async def _find(
        self, content_type: ContentType, field: str, titles: Sequence[str], collation: Collation | None
    ) -> list[Document]:
        async with self._database.operation("title_search"):
            cursor = self._database.handle[CONTENT_COLLECTIONS[content_type]].find(
                {field: {"$in": list(titles)}},
                _PROJECTION,
                collation=collation,
                limit=MAX_FOUND + 1,
                batch_size=MAX_FOUND + 2,
            )
            documents = [each for each in await cursor.to_list() if isinstance(each["_id"], ObjectId)]
        if len(documents) <= MAX_FOUND or len(titles) == 1:
            return documents
        half = len(titles) // 2
        return [
            each
            for part in (titles[:half], titles[half:])
            for each in await self._find(content_type, field, part, collation)
        ]

    async def _look_for_indexes(self, content_type: ContentType) -> None:
        """Check which indexes exist. Repeat this at each search until those with a collation exist."""
        if all((content_type, field) in self._collated for field in TITLE_FIELDS):
            return
        async with self._database.operation("title_search"):
            collection = self._database.handle[CONTENT_COLLECTIONS[content_type]]
            existing = [dict(index) for index in await (await collection.list_indexes()).to_list()]
        for field, model in zip(TITLE_FIELDS, TITLE_INDEXES, strict=True):
            if find_equivalent(model, existing):
                self._collated.add((content_type, field))
        if find_equivalent(_SIMPLE_INDEX, existing):
            self._collated.add((content_type, ""))


def _found(document: Mapping[str, Any], content_type: ContentType) -> FoundTitle:
    ids = document.get(EXTERNAL_IDS)
    released = release_date(document)
    return FoundTitle(
        ContentId(document["_id"].binary),
        content_type,
        _text(document.get("title")),
        _text(document.get("originalTitle")),
        released.year if released else None,
        {str(name): str(value) for name, value in ids.items()} if isinstance(ids, Mapping) else {},
    )


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""
