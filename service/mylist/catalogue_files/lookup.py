"""Finds the titles of a batch in the catalogue, by their ids and external ids."""

import asyncio
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pymongo
from bson import ObjectId
from pymongo.asynchronous.database import AsyncDatabase

from mylist.catalogue_files.change import Change
from mylist.domain.content import CONTENT_TYPES, ContentType
from mylist.domain.external_id import EXTERNAL_IDS, ExternalId, ExternalIdRules
from mylist.mongodb.collections import CONTENT_COLLECTIONS
from mylist.mongodb.database import Document

STEP_TIMEOUT_S = 60
"""For one operation on one batch: far longer than a request may take."""
QUERY_SIZE = 100
"""Titles of one query."""


class UnmatchedError(ValueError):
    """A line cannot be matched with the catalogue; the message is one line that says why."""


@dataclass(slots=True)
class Found:
    """The existing titles that match some changes.

    Attributes:
        by_id: documents of the same type.
        by_external_id: documents of the same type, by name and id.
        of_other_type: ids that belong to titles of the other type.
        taken: the ids of titles of the other type, by unique external id.
        unique: the names of external ids that are unique among the titles of a type.
    """

    by_id: dict[ObjectId, Document] = field(default_factory=dict)
    by_external_id: dict[tuple[str, str], list[Document]] = field(default_factory=lambda: defaultdict(list))
    of_other_type: set[ObjectId] = field(default_factory=set)
    taken: dict[tuple[str, str], list[ObjectId]] = field(default_factory=lambda: defaultdict(list))
    unique: Collection[str] = ()

    def match(self, change: Change) -> tuple[ObjectId, Document | None]:
        """Return the id of the title that a change is about, and its document (None: a new title).

        Raises:
            UnmatchedError: the id belongs to a title of the other type, the external ids belong to several titles, or a
                unique one belongs to another title.
        """
        content_id, existing = self._match(change)
        for key in change.external_ids.items():
            same_type = [each["_id"] for each in self.by_external_id.get(key, ()) if key[0] in self.unique]
            for other in [*same_type, *self.taken.get(key, ())]:
                if other != content_id:
                    raise UnmatchedError(
                        f"its `externalIds` have {ExternalId(*key)}, which already belongs to {other}, but "
                        f"{key[0]} ids must be unique (UNIQUE_EXTERNAL_IDS)"
                    )
        return content_id, existing

    def _match(self, change: Change) -> tuple[ObjectId, Document | None]:
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
        # A title that was created for this external id has got a different one since.
        return (ObjectId() if new_id in self.by_id else new_id), None


class CatalogueLookup:
    """Looks up titles.

    Args:
        database: where the catalogue is.
        rules: the platform's rules for external ids.
    """

    def __init__(self, database: AsyncDatabase[Document], rules: ExternalIdRules) -> None:
        self._database = database
        self._rules = rules
        self._names = frozenset(rules.names)

    def require_name(self, change: Change) -> None:
        """Check that a title can be found by its id, or by an external id with a registered name, which has an index.

        Raises:
            UnmatchedError: the change has neither.
        """
        if not change.content_id and self._names.isdisjoint(change.external_ids):
            raise UnmatchedError(
                f"it has no `id`, and `externalIds` has only {min(change.external_ids)}, which is not in "
                f"EXTERNAL_ID_NAMES: {', '.join(self._rules.names)}"
            )

    async def find(self, content_type: ContentType, changes: Sequence[Change]) -> list[Found]:
        """Return the existing titles for changes of one type, in batches of `QUERY_SIZE`, in order."""
        parts = [changes[start : start + QUERY_SIZE] for start in range(0, len(changes), QUERY_SIZE)]
        return await asyncio.gather(*(self._find(content_type, part) for part in parts))

    async def _find(self, content_type: ContentType, changes: Sequence[Change]) -> Found:
        collection = self._database[CONTENT_COLLECTIONS[content_type]]
        unique = self._rules.unique_in_collection
        wanted: dict[str, list[Any]] = defaultdict(list)
        for change in changes:
            for name, value in change.external_ids.items():
                if name in (unique if change.content_id else self._names):
                    wanted[name].append(value)
        names = sorted(wanted)
        queries: list[tuple[str, list[Any]]] = [("_id", [change.new_id() for change in changes])]
        queries += [(name, wanted[name]) for name in names]
        found = Found(unique=unique)
        with pymongo.timeout(STEP_TIMEOUT_S):
            same_ids, *same_external_ids = await asyncio.gather(
                *(
                    collection.find(
                        {path if path == "_id" else f"{EXTERNAL_IDS}.{path}": {"$in": values}}, batch_size=1000
                    ).to_list()
                    for path, values in queries
                )
            )
            unknown = {change.content_id for change in changes if change.content_id}
            found.by_id = {document["_id"]: document for document in same_ids}
            unknown -= found.by_id.keys()
            if unknown:
                found.of_other_type = await self._of_other_type(content_type, unknown)
            await self._find_taken(
                content_type, {name: wanted[name] for name in names if name in self._rules.unique}, found
            )
        for name, documents in zip(names, same_external_ids, strict=True):
            for document in documents:
                found.by_external_id[name, document[EXTERNAL_IDS][name]].append(document)
        return found

    async def existing(self, content_type: ContentType, ids: Collection[ObjectId]) -> set[ObjectId]:
        """Return the ids that belong to titles of a type."""
        cursor = self._database[CONTENT_COLLECTIONS[content_type]].find({"_id": {"$in": list(ids)}}, {"_id": 1})
        return {document["_id"] for document in await cursor.to_list()}

    async def _of_other_type(self, content_type: ContentType, ids: Collection[ObjectId]) -> set[ObjectId]:
        others = [await self.existing(other, ids) for other in CONTENT_TYPES if other != content_type]
        return set().union(*others)

    async def _find_taken(self, content_type: ContentType, wanted: Mapping[str, Sequence[str]], found: Found) -> None:
        """Add the titles of the other type that have the same unique external ids."""
        for name, values in wanted.items():
            path = f"{EXTERNAL_IDS}.{name}"
            for other in CONTENT_TYPES:
                if other != content_type:
                    cursor = self._database[CONTENT_COLLECTIONS[other]].find({path: {"$in": list(values)}}, {path: 1})
                    for document in await cursor.to_list():
                        found.taken[name, document[EXTERNAL_IDS][name]].append(document["_id"])
