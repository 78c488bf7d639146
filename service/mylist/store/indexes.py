"""The indexes, and why each exists."""

import pymongo
from pymongo import ASCENDING, DESCENDING, IndexModel
from pymongo.asynchronous.database import AsyncDatabase
from pymongo.errors import OperationFailure, PyMongoError

from mylist.errors import StoreUnavailableError
from mylist.store.connection import Document, StoreRefusedError, reason

_LISTS = [
    # No user has an item twice, whatever the race. Also the shape of a shard key.
    IndexModel([("userId", ASCENDING), ("contentId", ASCENDING)], unique=True),
    # Holds all that a list is made of, in its order: a load touches no document and sorts nothing.
    IndexModel([("userId", ASCENDING), ("addedAt", DESCENDING), ("contentId", ASCENDING), ("contentType", ASCENDING)]),
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
        except OperationFailure as error:
            raise StoreRefusedError(f"the indexes of {collection} cannot be created: {reason(error)}") from error
        except PyMongoError as error:
            raise StoreUnavailableError from error
        names += [f"{collection}.{name}" for name in created]
    return names
