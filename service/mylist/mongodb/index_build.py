"""Creates one index, and logs the progress of a long build."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import pymongo
from pymongo import IndexModel
from pymongo.asynchronous.database import AsyncDatabase
from pymongo.errors import OperationFailure

from mylist.background import cancel_all
from mylist.mongodb.database import DRIVER_ERRORS, Document
from mylist.mongodb.index_definition import name_of

_BUILD_TIMEOUT_S = 86_400
"""A build on hundreds of millions of documents takes hours."""
_REPORT_INTERVAL_S = 30.0
_REPORT_TIMEOUT_S = 5.0
_COMMIT_QUORUM = "majority"
"""By default a build ends only when every voting member that holds data is ready, even if one is down."""

_logger = logging.getLogger(__name__)


async def build_index(database: AsyncDatabase[Document], collection: str, model: IndexModel) -> None:
    """Create an index, and wait until a majority has it. A long build is logged.

    Raises:
        PyMongoError: MongoDB cannot create the index.
    """
    async with _reported(database, collection, name_of(model)):
        with pymongo.timeout(_BUILD_TIMEOUT_S):
            try:
                await database[collection].create_indexes([model], commitQuorum=_COMMIT_QUORUM)
            except OperationFailure as error:
                # A standalone has no quorum, and servers that imitate MongoDB do not know the option.
                if "commitquorum" not in str(error).lower():
                    raise
                await database[collection].create_indexes([model])


@asynccontextmanager
async def _reported(database: AsyncDatabase[Document], collection: str, name: str) -> AsyncIterator[None]:
    task = asyncio.create_task(_report(database, collection, name))
    try:
        yield
    finally:
        await cancel_all([task])


async def _report(database: AsyncDatabase[Document], collection: str, name: str) -> None:
    began = asyncio.get_running_loop().time()
    while True:
        await asyncio.sleep(_REPORT_INTERVAL_S)
        progress = await _progress(database, collection)
        duration_s = asyncio.get_running_loop().time() - began
        _logger.info("MongoDB has been building index %s of %s for %.0f s%s", name, collection, duration_s, progress)


async def _progress(database: AsyncDatabase[Document], collection: str) -> str:
    """Return MongoDB's progress for a log line; empty if this user lacks the privilege to see it."""
    builds: list[Document] = [
        {"$currentOp": {"allUsers": True}},
        {"$match": {"command.createIndexes": collection, "progress.total": {"$gt": 0}}},
        {"$project": {"progress": 1, "msg": 1}},
    ]
    with suppress(*DRIVER_ERRORS, LookupError, TypeError), pymongo.timeout(_REPORT_TIMEOUT_S):
        async with await database.client.admin.aggregate(builds) as operations:
            async for operation in operations:
                done, total = operation["progress"]["done"], operation["progress"]["total"]
                return f": {done} of {total}, {100 * done / total:.0f} %"
    return ""
