"""The indexes, and why each exists."""

import pymongo
from pymongo import ASCENDING, DESCENDING, IndexModel
from pymongo.asynchronous.database import AsyncDatabase
from pymongo.errors import ExecutionTimeout, OperationFailure, PyMongoError, WriteConcernError

from mylist.errors import StoreUnavailableError
from mylist.store.connection import DUPLICATE_KEY, Document, StoreRefusedError, refusal
from mylist.store.lists import RETENTION

_LISTS = [
    # No user has an item twice, whatever the race. Also the shape of a shard key.
    IndexModel([("userId", ASCENDING), ("contentId", ASCENDING)], unique=True),
    # Holds all that a list is made of, in its order: a load touches no document and sorts nothing.
    IndexModel([("userId", ASCENDING), ("addedAt", DESCENDING), ("contentId", ASCENDING), ("contentType", ASCENDING)]),
    # The changes of a list in their order.
    IndexModel([("userId", ASCENDING), ("changedAt", ASCENDING), ("_id", ASCENDING)]),
    # Forgets removed items.
    IndexModel([("removedAt", ASCENDING)], expireAfterSeconds=int(RETENTION.total_seconds()), sparse=True),
]
_CONTENT = [IndexModel([("title", ASCENDING)]), IndexModel([("genres", ASCENDING)])]
_USERS = [
    IndexModel([("username", ASCENDING)], unique=True),
    IndexModel([("email", ASCENDING)], unique=True),
]

INDEXES: dict[str, list[IndexModel]] = {
    "mylist": _LISTS,
    "movies": _CONTENT,
    "tvshows": _CONTENT,
    "users": _USERS,
}


# An index on a large collection takes as long as it takes.
_DEADLINE = 3600


async def create_indexes(database: AsyncDatabase[Document]) -> list[str]:
    """Creates the indexes that do not exist yet; gives the names of all, as `collection.index`.

    Raises:
        StoreRefusedError: the rights are missing, or the data contradicts a unique index.
        StoreUnavailableError: MongoDB went away.
    """
    names = []
    for collection, models in INDEXES.items():
        try:
            with pymongo.timeout(_DEADLINE):
                created = await database[collection].create_indexes(models)
        except (ExecutionTimeout, WriteConcernError) as error:
            raise StoreUnavailableError from error
        except OperationFailure as error:
            remedy = "; remove the documents that contradict it" if error.code == DUPLICATE_KEY else ""
            raise StoreRefusedError(
                f"the indexes of {collection} cannot be created: {refusal(error)}{remedy}"
            ) from error
        except PyMongoError as error:
            raise StoreUnavailableError from error
        names += [f"{collection}.{name}" for name in created]
    return names
