"""MongoDB and Redis of a run's own, filled with the load-test data set.

Filling takes a minute, so it is done once for each size, and each run works on a copy.
"""

import asyncio
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pymongo import AsyncMongoClient

from mylist.devserver.embedded_servers import MongoServer, ValkeyServer, running
from mylist.mongodb.database import Document
from mylist.seeding import synthetic
from mylist.seeding.synthetic_data import SyntheticData

_DATABASE = "loadtest"


@contextmanager
def stores(load_set: SyntheticData, kept: Path, folder: Path) -> Iterator[dict[str, str]]:
    """Run both as long as the context lasts; yield the settings by which a service finds them.

    Args:
        load_set: the data set in MongoDB.
        kept: the folder in which filled databases wait for the next run.
        folder: where this run's data live.
    """
    filled = kept / f"{load_set.users}-{load_set.titles}-{load_set.items}"
    if not filled.exists():
        _fill(load_set, filled, folder / "filling")
    shutil.copytree(filled, folder / "mongodb")
    mongodb, redis = MongoServer(folder / "mongodb"), ValkeyServer(folder / "redis")
    with running(mongodb, redis):
        yield {"MONGODB_URI": mongodb.database(_DATABASE), "REDIS_URL": redis.uri}


def _fill(load_set: SyntheticData, filled: Path, folder: Path) -> None:
    print(f"filling MongoDB with {load_set.users:,} users' lists, once; it takes a minute ...", flush=True)
    mongodb = MongoServer(folder)
    with running(mongodb):
        asyncio.run(_seed(mongodb, load_set))
    filled.parent.mkdir(parents=True, exist_ok=True)
    complete = filled.with_suffix(".new")
    shutil.rmtree(complete, ignore_errors=True)
    shutil.move(folder, complete)  # to another file system, perhaps, which takes a while
    complete.rename(filled)


async def _seed(mongodb: MongoServer, load_set: SyntheticData) -> None:
    async with AsyncMongoClient[Document](mongodb.database(_DATABASE)) as client:
        await synthetic.seed(client[_DATABASE], load_set, is_new=True)
