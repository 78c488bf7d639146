"""The rules over real stores, in moments that HTTP does not let a test choose."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from bson import ObjectId
from redis.asyncio import Redis

from mylist.cache.commands import CacheCommands
from mylist.cache.link import Link
from mylist.cache.list_cache import ListCache
from mylist.cache.primaries import Primaries
from mylist.catalogue.catalogue import Catalogue
from mylist.errors import ItemAlreadyInListError, ListFullError
from mylist.lists.item import Item
from mylist.lists.service import Lists
from mylist.lists.value import ListValue
from mylist.store.connection import Database
from mylist.store.content import ContentStore
from mylist.store.lists import ListStore


class PausingStore(ListStore):
    """A store that waits before it inserts, until the test lets it."""

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


@pytest.fixture
async def lists(store_database: Database, store: PausingStore, primaries: Primaries) -> AsyncIterator[Lists]:
    commands = CacheCommands(primaries)

    async def load(user_id: str) -> ListValue:
        return ListValue.of(await store.load(user_id))

    link = Link(commands, forget_after=330)
    cache = ListCache(
        commands,
        link,
        load,
        ttl=60,
        strict=False,
        load_deadline=5,
        write_deadline=5,
        check_every=0,
    )
    catalogue = Catalogue(ContentStore(store_database), ttl=60, capacity=100)
    heartbeats = asyncio.create_task(link.heartbeats())
    yield Lists(store_database, store, cache, catalogue, max_items=2)
    heartbeats.cancel()


@pytest.fixture
async def titles(store_database: Database) -> list[str]:
    ids = [ObjectId() for _ in range(3)]
    await store_database.handle["movies"].insert_many([{"_id": each, "title": "title"} for each in ids])
    return [str(each) for each in ids]


async def test_a_change_whose_client_went_away_goes_on_to_its_end(
    lists: Lists, store: PausingStore, redis_client: Redis, titles: list[str], user_id: str
) -> None:
    store.go_on.clear()
    request = asyncio.create_task(lists.add(user_id, titles[0], "movie"))
    await store.reached.wait()
    assert await redis_client.getrange(f"mylist:{{{user_id}}}", 0, 0) == b"W"

    request.cancel()
    finished = asyncio.create_task(lists.finish())
    await asyncio.wait([request])
    assert not finished.done(), "a shutdown waits for it"
    store.go_on.set()
    await finished

    assert request.cancelled()
    value, _ = await lists.read(user_id, first=0)
    assert value.total == 1
    assert not await redis_client.exists(f"mylist:{{{user_id}}}"), "its fence was lifted"


async def test_a_full_list_takes_no_more_and_still_says_what_it_has(
    lists: Lists, titles: list[str], user_id: str
) -> None:
    await lists.add(user_id, titles[0], "movie")
    await lists.add(user_id, titles[1], "movie")

    with pytest.raises(ListFullError):
        await lists.add(user_id, titles[2], "movie")
    with pytest.raises(ItemAlreadyInListError):
        await lists.add(user_id, titles[1], "movie")
    await lists.remove(user_id, titles[0])
    await lists.add(user_id, titles[2], "movie")
