"""The list writer over real stores, at moments that a test cannot choose over HTTP."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from bson import ObjectId
from redis.asyncio import Redis

from mylist.cache.commands import CacheCommands
from mylist.cache.health import RedisHealth
from mylist.cache.list_cache import ListCache
from mylist.cache.topology.base import Topology
from mylist.catalogue.catalogue import Catalogue
from mylist.config.settings import Settings
from mylist.devserver.embedded_servers import MongoServer, running
from mylist.domain.batch import Batch
from mylist.domain.content import ContentId, RequestedId, requested
from mylist.domain.errors import ItemAlreadyInListError, ListFullError, PartlyAppliedError
from mylist.domain.item import Item
from mylist.domain.packed_list import PackedList
from mylist.lists.writer import ListWriter
from mylist.mongodb.content import ContentStore
from mylist.mongodb.database import Database, connect
from mylist.mongodb.lists import ListStore


class PausingStore(ListStore):
    """A store that waits before each insertion until the test lets it continue."""

    def __init__(self, database: Database) -> None:
        super().__init__(database)
        self.reached = asyncio.Event()
        self.go_on = asyncio.Event()
        self.go_on.set()

    async def insert(self, user_id: str, item: Item) -> None:
        self.reached.set()
        await self.go_on.wait()
        await super().insert(user_id, item)


@pytest.fixture
def store(store_database: Database) -> PausingStore:
    return PausingStore(store_database)


class FreezingStore(ListStore):
    """A store whose MongoDB freezes before a batch adds anything."""

    def __init__(self, database: Database, server: MongoServer) -> None:
        super().__init__(database)
        self._server = server

    async def insert_many(self, user_id: str, items: Sequence[Item]) -> set[ContentId]:
        self._server.freeze()
        await asyncio.sleep(0.1)  # until the signal has reached each thread of the server
        return await super().insert_many(user_id, items)


@pytest.fixture
async def writer(store_database: Database, store: PausingStore, primaries: Topology) -> AsyncIterator[ListWriter]:
    async with opened(store_database, store, primaries) as writer:
        yield writer


@asynccontextmanager
async def opened(database: Database, store: ListStore, primaries: Topology) -> AsyncIterator[ListWriter]:
    commands = CacheCommands(primaries)

    async def load(user_id: str) -> PackedList:
        return PackedList.of(await store.load(user_id))

    link = RedisHealth(commands, forget_after=330)
    cache = ListCache(
        commands,
        link,
        load,
        ttl=60,
        strict=False,
        load_deadline=30,
        write_deadline=30,
        check_every=0,
    )
    catalogue = Catalogue(ContentStore(database), max_age=60, capacity=100)
    heartbeats = asyncio.create_task(link.heartbeats())
    yield ListWriter(store, cache, catalogue, max_items=2)
    heartbeats.cancel()


@pytest.fixture
async def titles(store_database: Database) -> list[RequestedId]:
    return await some_titles(store_database)


async def some_titles(database: Database) -> list[RequestedId]:
    ids = [ObjectId() for _ in range(3)]
    await database.handle["movies"].insert_many([{"_id": each, "title": "title"} for each in ids])
    return [requested(str(each)) for each in ids]


async def test_a_change_is_completed_after_its_client_disconnects(
    writer: ListWriter, store: PausingStore, redis_client: Redis, titles: list[RequestedId], user_id: str
) -> None:
    store.go_on.clear()
    request = asyncio.create_task(writer.add(user_id, titles[0], "movie"))
    await store.reached.wait()
    assert await redis_client.getrange(f"mylist:{{{user_id}}}", 0, 0) == b"W"

    request.cancel()
    finished = asyncio.create_task(writer.finish())
    await asyncio.wait([request])
    assert not finished.done(), "a shutdown waits for it"
    store.go_on.set()
    await finished

    assert request.cancelled()
    assert await store.count(user_id, limit=2) == 1
    assert not await redis_client.exists(f"mylist:{{{user_id}}}"), "its fence was lifted"


async def test_a_full_list_rejects_new_items_and_still_reports_duplicates(
    writer: ListWriter, titles: list[RequestedId], user_id: str
) -> None:
    await writer.add(user_id, titles[0], "movie")
    await writer.add(user_id, titles[1], "movie")

    with pytest.raises(ListFullError):
        await writer.add(user_id, titles[2], "movie")
    with pytest.raises(ItemAlreadyInListError):
        await writer.add(user_id, titles[1], "movie")
    await writer.remove(user_id, titles[0])
    await writer.add(user_id, titles[2], "movie")


async def test_a_batch_that_mongodb_half_applied_is_reported_as_partly_applied(
    tmp_path: Path, primaries: Topology, user_id: str
) -> None:
    server = MongoServer(tmp_path / "mongodb")
    with running(server):
        settings = Settings.load({"MONGODB_URI": server.database("batch"), "MONGODB_TIMEOUT": "3"})
        client = connect(settings)
        database = Database(client, settings)
        await database.check()
        async with opened(database, FreezingStore(database, server), primaries) as writer:
            first, second, _ = await some_titles(database)
            await writer.add(user_id, first, "movie")
            with pytest.raises(PartlyAppliedError, match="removals took effect"):
                await writer.apply_batch(user_id, Batch([(second, "movie")], [first]))
            server.thaw()
            assert first.text not in await listed(database, user_id)
        await client.close()


async def listed(database: Database, user_id: str) -> list[str]:
    return [each["contentId"] async for each in database.handle["mylist"].find({"userId": user_id})]


async def test_a_clear_of_a_snapshot_leaves_items_that_were_added_since(
    writer: ListWriter, store_database: Database, user_id: str
) -> None:
    first, second, third = await some_titles(store_database)
    for title in (first, second):
        await writer.add(user_id, title, "movie")
    seen = await writer.snapshot(user_id)
    await writer.remove(user_id, first)
    await writer.add(user_id, first, "movie")

    assert await writer.clear(user_id, seen) == 1
    assert await listed(store_database, user_id) == [first.text]
    await writer.add(user_id, third, "movie")
    assert await writer.clear(user_id) == 2
    assert await listed(store_database, user_id) == []
