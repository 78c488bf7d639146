"""Plans the operations of a batch, and inserts or updates titles."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import NamedTuple

import pymongo
from bson import ObjectId
from pymongo import InsertOne, UpdateOne
from pymongo.asynchronous.database import AsyncDatabase
from pymongo.errors import BulkWriteError

from mylist.catalogue_files.change import Change
from mylist.catalogue_files.lookup import QUERY_SIZE, STEP_TIMEOUT_S, CatalogueLookup, Found, UnmatchedError
from mylist.catalogue_files.seen_titles import SeenTitles, id_key
from mylist.domain.content import CONTENT_TYPES, ContentType
from mylist.domain.external_id import ExternalIdRules
from mylist.mongodb.collections import CONTENT_COLLECTIONS
from mylist.mongodb.database import DUPLICATE_KEY, Document

_MAX_TRIES = 3


class PlacedChange(NamedTuple):
    """A change and the place of its line."""

    change: Change
    place: int


class _Operation(NamedTuple):
    """The operation for one line."""

    placed: PlacedChange
    content_id: ObjectId
    request: InsertOne[Document] | UpdateOne


@dataclass(slots=True)
class Plan:
    """The plan for the lines of a batch, and its results.

    Attributes:
        operations: the operations to run, by content type.
        inserted, updated, unchanged: numbers of titles.
        duplicates: lines whose title an earlier line names, with the place of the earlier line.
        errors: lines that cannot be imported, and why.
    """

    operations: dict[ContentType, list[_Operation]] = field(default_factory=dict)
    inserted: int = 0
    updated: int = 0
    unchanged: int = 0
    duplicates: list[tuple[PlacedChange, int]] = field(default_factory=list)
    errors: list[tuple[PlacedChange, str]] = field(default_factory=list)


class CatalogueWriter:
    """Writes changes to the catalogue.

    Args:
        database: the database of the catalogue.
        seen: the titles that the run has named.
        rules: what the platform says of external ids.
        dry: whether to change nothing.
    """

    def __init__(
        self, database: AsyncDatabase[Document], seen: SeenTitles, rules: ExternalIdRules, *, dry: bool
    ) -> None:
        self._database = database
        self._lookup = CatalogueLookup(database, rules)
        self._seen = seen
        self._dry = dry

    async def plan(self, changes: Iterable[PlacedChange]) -> Plan:
        """Return the plan for some changes."""
        plan = Plan()
        accepted = []
        for each in changes:
            try:
                self._lookup.require_name(each.change)
            except UnmatchedError as error:
                plan.errors.append((each, str(error)))
            else:
                accepted.append(each)
        await self._add(accepted, plan)
        return plan

    async def write(self, plan: Plan) -> None:
        """Run the plan. Titles that another client changes meanwhile are planned again."""
        for _ in range(_MAX_TRIES):
            operations, plan.operations = plan.operations, {}
            again: list[PlacedChange] = []
            for content_type, of_type in operations.items():
                again += self._done_dry(of_type, plan) if self._dry else await self._write(content_type, of_type, plan)
            if not again:
                return
            await self._add(again, plan)
        reason = "MongoDB refuses it each time, because another title has its id or one of its external ids"
        plan.errors += [(each.placed, reason) for of_type in plan.operations.values() for each in of_type]

    async def _add(self, changes: Sequence[PlacedChange], plan: Plan) -> None:
        """Add some changes to a plan."""
        for content_type in CONTENT_TYPES:
            of_type = [each for each in changes if each.change.content_type == content_type]
            found = await self._lookup.find(content_type, [each.change for each in of_type])
            for number, each in enumerate(of_type):
                self._add_one(each, found[number // QUERY_SIZE], plan)

    def _add_one(self, placed: PlacedChange, found: Found, plan: Plan) -> None:
        change = placed.change
        try:
            content_id, existing = found.match(change)
        except UnmatchedError as error:
            plan.errors.append((placed, str(error)))
            return
        if not change.content_id:  # from here on, the title of the change is known
            key = id_key(change.content_type, content_id.binary)
            first = self._seen.first_place([key])
            if first is not None and first != placed.place:
                plan.duplicates.append((placed, first))
                return
            self._seen.add([key], placed.place)
        now = datetime.now(UTC)
        request = change.update(existing, now) if existing else InsertOne(change.document(content_id, now))
        if request is None:
            plan.unchanged += 1
        else:
            plan.operations.setdefault(change.content_type, []).append(_Operation(placed, content_id, request))

    def _done_dry(self, operations: Sequence[_Operation], plan: Plan) -> list[PlacedChange]:
        inserted = sum(isinstance(each.request, InsertOne) for each in operations)
        plan.inserted += inserted
        plan.updated += len(operations) - inserted
        return []

    async def _write(
        self, content_type: ContentType, operations: Sequence[_Operation], plan: Plan
    ) -> list[PlacedChange]:
        """Write to one collection; return the changes that must be planned again."""
        collection = self._database[CONTENT_COLLECTIONS[content_type]]
        failures: dict[int, Document] = {}
        with pymongo.timeout(STEP_TIMEOUT_S):
            try:
                result = await collection.bulk_write([each.request for each in operations], ordered=False)
                matched = result.matched_count
            except BulkWriteError as error:
                if error.details.get("writeConcernErrors"):
                    raise
                failures = {failure["index"]: failure for failure in error.details["writeErrors"]}
                matched = error.details["nMatched"]
            updated = [
                each
                for index, each in enumerate(operations)
                if index not in failures and isinstance(each.request, UpdateOne)
            ]
            gone: list[_Operation] = []
            if matched < len(updated):
                there = await self._lookup.existing(content_type, [each.content_id for each in updated])
                gone = [each for each in updated if each.content_id not in there]
        again = [each.placed for each in gone]
        for index, failure in failures.items():
            if failure["code"] == DUPLICATE_KEY:
                again.append(operations[index].placed)
            else:
                plan.errors.append((operations[index].placed, f"MongoDB refuses it: {failure['errmsg']}"))
        plan.inserted += len(operations) - len(failures) - len(updated)
        plan.updated += len(updated) - len(gone)
        return again
