"""Checks that the lists of the original service have been adopted, so that no service starts with empty lists."""

from pymongo.asynchronous.database import AsyncDatabase
from pymongo.errors import OperationFailure

from mylist.domain.errors import DatabaseUnavailableError
from mylist.mongodb.collections import ADOPTED, LISTS, ORIGINAL_LISTS
from mylist.mongodb.database import DRIVER_ERRORS, Document, MongoRefusedError

_UNAUTHORIZED = 13
"""MongoDB's error code for a missing privilege."""
_STATE_ID = "state"
_REMEDY = "run `mylist adopt`, then start again (docs/coming-from-express.md)"


class NotAdoptedError(MongoRefusedError):
    """Some lists of the original service are not where this service reads them. The message has the remedy."""


async def require_adopted(database: AsyncDatabase[Document], address: str) -> None:
    """Raise an error if this service would serve empty lists instead of those of the original service.

    Raises:
        NotAdoptedError: `mylists` has documents and `mylist` has none, or `mylist adopt` was aborted.
        DatabaseUnavailableError: MongoDB is unreachable or did not answer in time.
    """
    try:
        await _require_adopted(database, address)
    except DRIVER_ERRORS as error:
        if isinstance(error, OperationFailure) and error.code == _UNAUTHORIZED:
            return  # an operator who migrates from the original would not use a user that may only read `mylist`
        raise DatabaseUnavailableError from error


async def _require_adopted(database: AsyncDatabase[Document], address: str) -> None:
    if await database[ORIGINAL_LISTS].find_one({}, {"_id": 1}) is None:
        return
    finished = await is_finished(database)
    if finished is False:
        raise NotAdoptedError(
            f"MongoDB at {address} has lists that `mylist adopt` has taken over only in part; {_REMEDY}"
        )
    if finished is None and await is_empty(database):
        raise NotAdoptedError(
            f"MongoDB at {address} has lists of the original service, in `{ORIGINAL_LISTS}`, and none in `{LISTS}`; "
            f"{_REMEDY}"
        )


async def is_empty(database: AsyncDatabase[Document]) -> bool:
    """Return whether `mylist` has no document."""
    return await database[LISTS].find_one({}, {"_id": 1}) is None


async def is_finished(database: AsyncDatabase[Document]) -> bool | None:
    """Return whether the adoption has ended; None before any adoption, or if a service need not wait for it."""
    state = await database[ADOPTED].find_one({"_id": _STATE_ID})
    return None if state is None else bool(state["finished"])


async def set_finished(database: AsyncDatabase[Document], *, finished: bool) -> None:
    """Record that the adoption has begun or ended."""
    await database[ADOPTED].replace_one({"_id": _STATE_ID}, {"finished": finished}, upsert=True)
