"""The indexes of the collections, and why each exists."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pymongo import ASCENDING, DESCENDING, IndexModel
from pymongo.asynchronous.database import AsyncDatabase
from pymongo.errors import ExecutionTimeout, OperationFailure

from mylist.domain.errors import DatabaseUnavailableError
from mylist.domain.external_id import EXTERNAL_IDS, ExternalIdRules
from mylist.domain.limits import CHANGE_RETENTION
from mylist.mongodb.collections import CHANGES, CONTENT_COLLECTIONS, LISTS, MOVIES, TVSHOWS
from mylist.mongodb.database import DRIVER_ERRORS, DUPLICATE_KEY, Document, MongoRefusedError, is_final, refusal
from mylist.mongodb.index_build import build_index
from mylist.mongodb.index_definition import duplicates_command, find_equivalent, mending_command, name_of
from mylist.mongodb.retry_limit import limited_retries
from mylist.mongodb.title_index import TITLE_INDEXES
from mylist.telemetry.line_limit import LineLimit

_LIST_INDEXES = [
    # A list has an item at most once, even if requests race. Could also be the shard key.
    IndexModel([("userId", ASCENDING), ("contentId", ASCENDING)], unique=True),
    # Covers the load of a list, in the list's order: a load reads no documents and sorts nothing.
    IndexModel([("userId", ASCENDING), ("addedAt", DESCENDING), ("contentId", ASCENDING), ("contentType", ASCENDING)]),
    # The additions to a list, in the order of the change feed.
    IndexModel([("userId", ASCENDING), ("_id", ASCENDING)]),
]
_CHANGE_INDEXES = [
    # The removals and new dates of a list, in the order of the change feed.
    IndexModel([("userId", ASCENDING), ("changedAt", ASCENDING), ("_id", ASCENDING)]),
    # Deletes stamps that no token needs any more (TTL index).
    IndexModel([("changedAt", ASCENDING)], expireAfterSeconds=int(CHANGE_RETENTION.total_seconds())),
]
_CONTENT_INDEXES = [
    IndexModel([("title", ASCENDING)]),
    IndexModel([("genres", ASCENDING)]),
    # Finds the titles in lists from other services, ignoring case and accents.
    *TITLE_INDEXES,
]

INDEXES: dict[str, list[IndexModel]] = {
    LISTS: _LIST_INDEXES,
    CHANGES: _CHANGE_INDEXES,
    MOVIES: _CONTENT_INDEXES,
    TVSHOWS: _CONTENT_INDEXES,
}


def indexes_of(rules: ExternalIdRules) -> dict[str, list[IndexModel]]:
    """Return all wanted indexes, including those of the registered external ids.

    A unique name has a unique index. If that cannot be built, because two titles have the same id, a plain index is
    built, so that titles are found without a scan. Otherwise the unique index also serves as the plain one.
    """
    indexes: dict[str, list[IndexModel]] = dict(INDEXES)
    for collection in CONTENT_COLLECTIONS.values():
        models = []
        for name in rules.names:
            keys = [(f"{EXTERNAL_IDS}.{name}", ASCENDING)]
            if name in rules.unique_in_collection:
                # It has its own name, so that MongoDB allows it beside a plain index.
                models.append(IndexModel(keys, name=f"{EXTERNAL_IDS}.{name}_unique", unique=True, sparse=True))
            models.append(IndexModel(keys, sparse=True))
        indexes[collection] = [*INDEXES[collection], *models]
    return indexes


_NAMESPACE_NOT_FOUND = 26
_NO_COLLATIONS = frozenset({115, 238, 303})
"""Error codes of servers that imitate MongoDB without collations. There, the index is not wanted."""

_logger = logging.getLogger(__name__)
_retry_lines = LineLimit(1, period_s=30)


@dataclass(frozen=True, slots=True)
class IndexState:
    """Whether an index exists.

    Attributes:
        collection, name: identify the index.
        problem: why it is missing, or may be missing, and the remedy, in one line; empty if it exists.
        is_missing: whether it is known to be missing.
        is_unique: whether it is a unique index.
    """

    collection: str
    name: str
    problem: str = ""
    is_missing: bool = False
    is_unique: bool = False

    @property
    def full_name(self) -> str:
        """The index's name, prefixed by the collection's."""
        return f"{self.collection}.{self.name}"


async def create_indexes(
    database: AsyncDatabase[Document], indexes: Mapping[str, Sequence[IndexModel]] = INDEXES
) -> list[IndexState]:
    """Create the indexes that do not exist yet under any name; return the state of each.

    One index is required. The others make requests fast, and a start without them is better than none.

    Args:
        database: the database.
        indexes: the wanted indexes, by collection.

    Raises:
        MongoRefusedError: the required index does not exist and cannot be created.
        DatabaseUnavailableError: MongoDB is unreachable or did not answer in time.
    """
    states = []
    for collection, models in indexes.items():
        existing = await _existing(database, collection)
        for model in models:
            # Only this index prevents that an item is on a list twice.
            is_needed = collection == LISTS and bool(model.document.get("unique"))
            state = await _create(database, collection, model, existing, is_needed=is_needed)
            if state:
                states.append(state)
                if existing is not None and not state.problem:
                    existing.append(dict(model.document))
    return states


async def _existing(database: AsyncDatabase[Document], collection: str) -> list[Document] | None:
    """Return the indexes of a collection; None if MongoDB does not return them."""
    try:
        with limited_retries():
            return [dict(index) for index in await (await database[collection].list_indexes()).to_list()]
    except OperationFailure as error:
        if isinstance(error, ExecutionTimeout):
            raise DatabaseUnavailableError from error
        return [] if error.code == _NAMESPACE_NOT_FOUND else None
    except DRIVER_ERRORS as error:
        raise DatabaseUnavailableError from error


async def _create(
    database: AsyncDatabase[Document],
    collection: str,
    model: IndexModel,
    existing: list[Document] | None,
    *,
    is_needed: bool,
) -> IndexState | None:
    """Create an index unless it exists; return None if this MongoDB does not support it."""
    name, is_unique = name_of(model), bool(model.document.get("unique"))
    if existing is not None and find_equivalent(model, existing):
        return IndexState(collection, name, is_unique=is_unique)
    try:
        await build_index(database, collection, model)
    except OperationFailure as error:
        if error.code in _NO_COLLATIONS and "collation" in model.document:
            return None
        if is_needed and not is_final(error):
            if _retry_lines.allows():
                _logger.warning(
                    "Index %s of %s cannot be created yet: %s; the service retries", name, collection, refusal(error)
                )
            raise DatabaseUnavailableError from error
        mending = f"in mongosh: {mending_command(database.name, collection, model, existing or [])}"
        if error.code == DUPLICATE_KEY:
            mended = (
                "keep the external id in only one of the titles that share it"
                if collection in CONTENT_COLLECTIONS.values()
                else "keep only one of the documents that have the same values in these fields"
            )
            mending = f"{mended}; to list them in mongosh: {duplicates_command(database.name, collection, model)}"
        problem = f"{refusal(error)}; {mending}"
        if is_needed:
            raise MongoRefusedError(
                f"the unique index {name} of {collection} is needed and cannot be created: {problem}"
            ) from error
        return IndexState(collection, name, problem, is_missing=existing is not None, is_unique=is_unique)
    except DRIVER_ERRORS as error:
        raise DatabaseUnavailableError from error
    return IndexState(collection, name, is_unique=is_unique)
