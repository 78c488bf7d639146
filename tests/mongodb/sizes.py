"""How much room lists take in a MongoDB: bytes for each item and each change, by index, as docs/cost.md has them.

    .venv/bin/python -m tests.mongodb.sizes [--items 500000] [--uuids] [MONGODB_URI]

Without a URI it measures the embedded server, which does not compress.
"""

import argparse
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import Any
from uuid import UUID

from bson import ObjectId
from pymongo import MongoClient

from mylist.devserver.embedded_servers import MongoServer, running
from mylist.mongodb.indexes import INDEXES

_LISTS, _CHANGES = "mylist", "mylist_changes"
_ITEMS_OF_EACH = 25
_BATCH = 10_000
_DATABASE = "mylist-sizes"


def main() -> None:
    """Fill a database, print what it takes, and drop it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("uri", nargs="?", help="of the MongoDB to measure; the embedded server unless given")
    parser.add_argument("--items", type=int, default=500_000, help="how many items, and as many changes")
    parser.add_argument("--uuids", action="store_true", help="user ids are UUIDs rather than 24 hexadecimal digits")
    arguments = parser.parse_args()
    with ExitStack() as stack:
        uri = arguments.uri
        if not uri:
            folder = stack.enter_context(TemporaryDirectory(prefix="mylist-sizes-"))
            server = MongoServer(Path(folder))
            stack.enter_context(running(server))
            uri = server.uri
        client = stack.enter_context(MongoClient[dict[str, Any]](uri))
        stack.callback(client.drop_database, _DATABASE)
        _measure(client, arguments.items, uuids=arguments.uuids)


def _measure(client: MongoClient[dict[str, Any]], items: int, *, uuids: bool) -> None:
    database = client[_DATABASE]
    for name in (_LISTS, _CHANGES):
        if name in INDEXES:
            database[name].create_indexes(INDEXES[name])
    random = Random(1)
    for name, documents in ((_LISTS, _items(random, items, uuids)), (_CHANGES, _changes(random, items, uuids))):
        batch: list[dict[str, Any]] = []
        for document in documents:
            batch.append(document)
            if len(batch) == _BATCH:
                database[name].insert_many(batch)
                batch = []
        if batch:
            database[name].insert_many(batch)
    if client.admin.command("buildInfo").get("secantusVersion") is None:
        client.admin.command("fsync")
    for name in (_LISTS, _CHANGES):
        print("\n".join(_report(name, database.command("collStats", name))))  # noqa: T201


def _report(name: str, stats: dict[str, Any]) -> Iterator[str]:
    count = stats["count"]
    yield f"{name}: {count:,} documents, bytes for each"
    yield f"{stats['size'] / count:8.1f} as BSON"
    yield f"{stats['storageSize'] / count:8.1f} as stored"
    for index, size in stats["indexSizes"].items():
        yield f"{size / count:8.1f} in {index}"
    yield f"{sum(stats['indexSizes'].values()) / count:8.1f} in all indexes"


def _user_ids(random: Random, count: int, *, uuids: bool) -> Iterator[str]:
    for number in range(count):
        if not number % _ITEMS_OF_EACH:
            user = str(UUID(int=random.getrandbits(128), version=4)) if uuids else random.randbytes(12).hex()
        yield user


def _items(random: Random, count: int, uuids: bool) -> Iterator[dict[str, Any]]:
    start = datetime(2024, 1, 1, tzinfo=UTC)
    for user_id in _user_ids(random, count, uuids=uuids):
        yield {
            "_id": ObjectId(),
            "userId": user_id,
            "contentId": random.randbytes(12).hex(),
            "contentType": random.choice(("movie", "tvshow")),
            "addedAt": start + timedelta(milliseconds=random.randrange(10**11)),
        }


def _changes(random: Random, count: int, uuids: bool) -> Iterator[dict[str, Any]]:
    for user_id in _user_ids(random, count, uuids=uuids):
        content_id = random.randbytes(12).hex()
        yield {
            "_id": f"{user_id}/{content_id}",
            "userId": user_id,
            "contentId": content_id,
            "contentType": random.choice(("movie", "tvshow")),
            "change": "removed",
            # Recent, so that the TTL index deletes none of them meanwhile.
            "changedAt": datetime.now(UTC) - timedelta(milliseconds=random.randrange(10**9)),
        }


if __name__ == "__main__":
    main()
