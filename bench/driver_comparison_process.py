"""PyMongo's asyncio API beside Motor, in one process on one event loop, doing what the service does.

python -m bench.driver_comparison_process MONGODB_URI

Prints a JSON object: a sample for each driver, operation and number of tasks.
"""

import asyncio
import sys
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from itertools import count
from typing import Any

import msgspec
import uvloop
from motor.motor_asyncio import AsyncIOMotorClient
from pymongo import AsyncMongoClient

from bench.driver_comparison import CHANGE, FIND, MOTOR, PYMONGO, TASKS, name
from bench.samples import Sample, of_operations
from mylist.mongodb.collections import LISTS
from mylist.seeding.synthetic_data import title_id, user_id

_DURATION_S = 0.4
_USERS = 1000
_PROJECTION = {"_id": 0, "contentId": 1, "contentType": 1, "addedAt": 1}
_ORDER = [("addedAt", -1), ("contentId", 1)]
_NOW = datetime(2026, 1, 1, tzinfo=UTC)

_numbers = count(1)


async def _find(collection: Any) -> None:  # noqa: ANN401 - of either driver
    user = user_id(next(_numbers) % _USERS + 1)
    await collection.find({"userId": user}, _PROJECTION, sort=_ORDER, batch_size=1000).to_list()


async def _change(collection: Any) -> None:  # noqa: ANN401 - of either driver
    key = {"userId": f"driver-{next(_numbers)}", "contentId": title_id(1)}
    await collection.insert_one(key | {"contentType": "movie", "addedAt": _NOW})
    await collection.delete_one(key)


_OPERATIONS: dict[str, Callable[[Any], Awaitable[None]]] = {FIND: _find, CHANGE: _change}


async def _measure(operation: Callable[[Any], Awaitable[None]], collection: Any, tasks: int) -> Sample:  # noqa: ANN401
    times: list[float] = []
    end = time.perf_counter() + _DURATION_S

    async def repeat() -> None:
        while (began := time.perf_counter()) < end:
            await operation(collection)
            times.append(time.perf_counter() - began)

    began, processor = time.perf_counter(), time.process_time()
    await asyncio.gather(*(repeat() for _ in range(tasks)))
    return of_operations(times, time.perf_counter() - began, time.process_time() - processor)


async def compare(uri: str) -> dict[str, Sample]:
    """Let the drivers take turns; return a sample for each row."""
    options: dict[str, Any] = {"tz_aware": True, "timeoutMS": 5000, "w": "majority", "readConcernLevel": "majority"}
    pymongo: AsyncMongoClient[dict[str, Any]] = AsyncMongoClient(uri, **options)
    motor: AsyncIOMotorClient[dict[str, Any]] = AsyncIOMotorClient(uri, **options)
    collections = {
        PYMONGO: pymongo.get_default_database()[LISTS],
        MOTOR: motor.get_default_database()[LISTS],
    }
    samples = {}
    for tasks in TASKS:
        for operation, work in _OPERATIONS.items():
            for driver, collection in collections.items():
                await asyncio.gather(*(work(collection) for _ in range(tasks)))  # as many connections
                samples[name(driver, operation, tasks)] = await _measure(work, collection, tasks)
    motor.close()
    await pymongo.close()
    return samples


if __name__ == "__main__":
    sys.stdout.buffer.write(msgspec.json.encode(uvloop.run(compare(sys.argv[1]))))
