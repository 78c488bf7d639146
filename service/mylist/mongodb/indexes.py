"""The indexes of the collections, and why each exists."""

import pymongo
from pymongo import ASCENDING, DESCENDING, IndexModel
from pymongo.asynchronous.database import AsyncDatabase
from pymongo.errors import ExecutionTimeout, OperationFailure, WriteConcernError

from mylist.domain.errors import DatabaseUnavailableError
from mylist.domain.limits import TOMBSTONE_RETENTION
from mylist.mongodb.collections import LISTS, MOVIES, TVSHOWS, USERS
from mylist.mongodb.database import DRIVER_ERRORS, DUPLICATE_KEY, Document, MongoRefusedError, refusal

_LIST_INDEXES = [
    # A user has an item at most once, whatever requests race. Could also serve as a shard key.
    IndexModel([("userId", ASCENDING), ("contentId", ASCENDING)], unique=True),
    # Covers the load of a list, in the list's order: a load reads no documents and sorts nothing.
    IndexModel([("userId", ASCENDING), ("addedAt", DESCENDING), ("contentId", ASCENDING), ("contentType", ASCENDING)]),
    # The change feed of a list, in its order.
    IndexModel([("userId", ASCENDING), ("changedAt", ASCENDING), ("_id", ASCENDING)]),
    # Deletes tombstones (TTL index).
    IndexModel([("removedAt", ASCENDING)], expireAfterSeconds=int(TOMBSTONE_RETENTION.total_seconds()), sparse=True),
]
_CONTENT_INDEXES = [IndexModel([("title", ASCENDING)]), IndexModel([("genres", ASCENDING)])]
_USER_INDEXES = [
    IndexModel([("username", ASCENDING)], unique=True),
    IndexModel([("email", ASCENDING)], unique=True),
]

INDEXES: dict[str, list[IndexModel]] = {
    LISTS: _LIST_INDEXES,
    MOVIES: _CONTENT_INDEXES,
    TVSHOWS: _CONTENT_INDEXES,
    USERS: _USER_INDEXES,
}

# On a large collection a build can take many minutes.
_INDEX_BUILD_TIMEOUT_S = 3600


async def create_indexes(database: AsyncDatabase[Document]) -> list[str]:
    """Create the indexes that do not exist yet; return the names of all, as `collection.index`.

    Raises:
        MongoRefusedError: the user lacks the privileges, or the data violates a unique index.
        DatabaseUnavailableError: MongoDB is unreachable or did not answer in time.
    """
    names = []
    for collection, models in INDEXES.items():
        try:
            with pymongo.timeout(_INDEX_BUILD_TIMEOUT_S):
                created = await database[collection].create_indexes(models)
        except (ExecutionTimeout, WriteConcernError) as error:
            raise DatabaseUnavailableError from error
        except OperationFailure as error:
            remedy = "; remove the documents that contradict it" if error.code == DUPLICATE_KEY else ""
            raise MongoRefusedError(
                f"the indexes of {collection} cannot be created: {refusal(error)}{remedy}"
            ) from error
        except DRIVER_ERRORS as error:
            raise DatabaseUnavailableError from error
        names += [f"{collection}.{name}" for name in created]
    return names
