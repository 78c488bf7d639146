"""Finds the titles of a batch in the catalogue, by their ids and external ids."""

import asyncio
from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Any

import pymongo
from bson import ObjectId
from pymongo import ASCENDING, IndexModel
from pymongo.asynchronous.database import AsyncDatabase

from mylist.catalogue_files.change import Change
from mylist.domain.content import CONTENT_TYPES, ContentType
from mylist.domain.external_id import EXTERNAL_IDS, MAX_EXTERNAL_NAMES
from mylist.mongodb.collections import CONTENT_COLLECTIONS
from mylist.mongodb.database import Document
from mylist.mongodb.index_build import build_index
from mylist.mongodb.index_definition import find_equivalent

STEP_TIMEOUT_S = 60
"""For one operation on one batch: far longer than a request may take."""
QUERY_SIZE = 100
"""Titles of one query."""


class UnmatchedError(ValueError):
    """A line cannot be matched with the catalogue; the message is one line that says why."""


@dataclass(slots=True)
class Found:
    """What the catalogue has of some changes.

    Attributes:
        by_id: documents of the same type.
        by_external_id: documents of the same type, by name and id.
        of_other_type: ids that are those of titles of the other type.
    """

    by_id: dict[ObjectId, Document] = field(default_factory=dict)
    by_external_id: dict[tuple[str, str], list[Document]] = field(default_factory=lambda: defaultdict(list))
    of_other_type: set[ObjectId] = field(default_factory=set)

    def match(self, change: Change) -> tuple[ObjectId, Document | None]:
        """Return the id of the title that a change is of, and its document; None for a new one.

        Raises:
            UnmatchedError: the id is of the other type, or the external ids are those of several titles.
        """
        if change.content_id:
            existing = self.by_id.get(change.content_id)
            if existing is None and change.content_id in self.of_other_type:
                raise UnmatchedError(f"the catalogue has `id` {change.content_id} with the other contentType")
            return change.content_id, existing
        matches = {
            document["_id"]: document
            for key in change.external_ids.items()
            for document in self.by_external_id.get(key, ())
        }
        if len(matches) > 1:
            ids = ", ".join(sorted(map(str, matches)))
            raise UnmatchedError(f"its `externalIds` are those of several titles, {ids}: name one by `id`")
        for content_id, document in matches.items():
            return content_id, document
        new_id = change.new_id()
        # A title that was made of this external id has got another one since.
        return (ObjectId() if new_id in self.by_id else new_id), None


class CatalogueLookup:
    """Looks up titles, and makes the indexes that this takes.

    Args:
        database: where the catalogue is.
        dry: whether to make no index.
    """

    def __init__(self, database: AsyncDatabase[Document], *, dry: bool) -> None:
        self._database = database
        self._dry = dry
        self._indexed: set[tuple[ContentType, str]] = set()
        self._names: set[str] = set()

    def require_few_names(self, change: Change) -> None:
        """Let the catalogue have no more names of external ids than it can have indexes.

        Raises:
            UnmatchedError: this change has one more.
        """
        names = self._names | change.external_ids.keys()
        if len(names) > MAX_EXTERNAL_NAMES:
            raise UnmatchedError(f"the titles have more than {MAX_EXTERNAL_NAMES} names of `externalIds`")
        self._names = names

    async def find(self, content_type: ContentType, changes: Sequence[Change]) -> list[Found]:
        """Return what the catalogue has of changes of one type, of each `QUERY_SIZE` of them in order."""
        await self._index(content_type, sorted({name for each in changes for name in each.external_ids}))
        parts = [changes[start : start + QUERY_SIZE] for start in range(0, len(changes), QUERY_SIZE)]
        return await asyncio.gather(*(self._find(content_type, part) for part in parts))

    async def _find(self, content_type: ContentType, changes: Sequence[Change]) -> Found:
        collection = self._database[CONTENT_COLLECTIONS[content_type]]
        by_external_id = [change for change in changes if not change.content_id]
        names = sorted({name for change in by_external_id for name in change.external_ids})
        queries: list[tuple[str, list[Any]]] = [("_id", [change.new_id() for change in changes])]
        queries += [
            (name, [change.external_ids[name] for change in by_external_id if name in change.external_ids])
            for name in names
        ]
        found = Found()
        with pymongo.timeout(STEP_TIMEOUT_S):
            same_ids, *same_external_ids = await asyncio.gather(
                *(
                    collection.find(
                        {path if path == "_id" else f"{EXTERNAL_IDS}.{path}": {"$in": wanted}}, batch_size=1000
                    ).to_list()
                    for path, wanted in queries
                )
            )
            unknown = {change.content_id for change in changes if change.content_id}
            found.by_id = {document["_id"]: document for document in same_ids}
            unknown -= found.by_id.keys()
            if unknown:
                found.of_other_type = await self._of_other_type(content_type, unknown)
        for name, documents in zip(names, same_external_ids, strict=True):
            for document in documents:
                found.by_external_id[name, document[EXTERNAL_IDS][name]].append(document)
        return found

    async def existing(self, content_type: ContentType, ids: Collection[ObjectId]) -> set[ObjectId]:
        """Return those of some ids that are those of titles of a type."""
        cursor = self._database[CONTENT_COLLECTIONS[content_type]].find({"_id": {"$in": list(ids)}}, {"_id": 1})
        return {document["_id"] for document in await cursor.to_list()}

    async def _of_other_type(self, content_type: ContentType, ids: Collection[ObjectId]) -> set[ObjectId]:
        others = [await self.existing(other, ids) for other in CONTENT_TYPES if other != content_type]
        return set().union(*others)

    async def _index(self, content_type: ContentType, names: Sequence[str]) -> None:
        """Make an index for each name that has none."""
        new = [name for name in names if (content_type, name) not in self._indexed]
        if not new or self._dry:
            return
        collection = self._database[CONTENT_COLLECTIONS[content_type]]
        existing = [dict(index) for index in await (await collection.list_indexes()).to_list()]
        for name in new:
            model = IndexModel([(f"{EXTERNAL_IDS}.{name}", ASCENDING)], sparse=True)
            if not find_equivalent(model, existing):
                await build_index(self._database, collection.name, model)
            self._indexed.add((content_type, name))
