"""The round trips of a read, as reported by MongoDB's driver and by Redis."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import msgspec
import pytest
from bson import ObjectId
from pymongo import AsyncMongoClient
from pymongo.monitoring import CommandFailedEvent, CommandListener, CommandStartedEvent, CommandSucceededEvent
from redis.asyncio import Redis

from mylist.cache.cached_value import EPOCH_BYTES
from mylist.cache.clients import connect
from mylist.cache.commands import CacheCommands
from mylist.cache.health import RedisHealth
from mylist.cache.list_cache import ListCache
from mylist.cache.read_batcher import ReadBatcher
from mylist.catalogue.catalogue import Catalogue
from mylist.config.redis_timing import HEARTBEAT_INTERVAL_S
from mylist.config.settings import Settings
from mylist.devserver.embedded_servers import ValkeyServer, running
from mylist.domain.batch import Batch
from mylist.domain.cache_result import CacheResult
from mylist.domain.change_feed import LAST_ID, FeedPosition, SyncState
from mylist.domain.content import ContentId, requested
from mylist.domain.filter_and_sort import SORTS, ListQuery, Sort
from mylist.domain.item import Item
from mylist.domain.packed_list import PackedList
from mylist.domain.page_request import ContainsKey, ItemsQuery, PageRequest
from mylist.domain.timestamps import now_ms
from mylist.lists.change_feed import ChangeFeed
from mylist.lists.list_import import NumberedLine, merge
from mylist.lists.page_cache import PageCache, RenderedPage
from mylist.lists.reader import ListReader
from mylist.lists.writer import ListWriter
from mylist.mongodb.content import ContentStore
from mylist.mongodb.database import Database, Document
from mylist.mongodb.indexes import create_indexes
from mylist.mongodb.lists import ListStore
from tests.conftest import PATIENT
from tests.unit.fakes import FakeClient


class Sent(CommandListener):
    """The names of the commands that the driver sent."""

    def __init__(self) -> None:
        self.names: list[str] = []

    def started(self, event: CommandStartedEvent) -> None:
        self.names.append(event.command_name)

    def succeeded(self, event: CommandSucceededEvent) -> None:
        pass

    def failed(self, event: CommandFailedEvent) -> None:
        pass


class Arrived:
    """The commands that reached Redis from its clients; what a script does there costs no round trip."""

    def __init__(self, client: Redis) -> None:
        self._client = client
        self._seen: list[str] = []
        self._watching = asyncio.Event()
        self._task = asyncio.create_task(self._watch())

    async def _watch(self) -> None:
        async with self._client.monitor() as monitor:
            self._watching.set()
            async for each in monitor.listen():
                if each["client_type"] != "lua":
                    self._seen.append(each["command"])

    async def commands(self) -> list[str]:
        """Return the commands since the last call."""
        await self._watching.wait()
        text = uuid4().hex
        await self._client.echo(text)
        mark = f"ECHO {text}"
        while mark not in self._seen:
            if self._task.done():
                await self._task  # raises why it no longer watches
            await asyncio.sleep(0.001)
        commands, self._seen = self._seen, []
        return [command for command in commands if command != mark]

    def stop(self) -> None:
        self._task.cancel()


class World:
    """The service's parts below HTTP, on real stores, and the commands that they send. The clock stands still."""

    def __init__(self, client: AsyncMongoClient[Document], settings: Settings, sent: Sent, arrived: Arrived) -> None:
        self.now = 0.0
        self.sent = sent
        self.arrived = arrived
        self.database = Database(client, settings)
        self.store = ListStore(self.database)
        self.commands = CacheCommands(connect(settings))
        self.link = RedisHealth(self.commands, forget_after=330, clock=lambda: self.now)
        self.cache = ListCache(
            self.commands,
            self.link,
            self._load,
            ttl=60,
            strict=False,
            load_deadline=30,
            write_deadline=30,
            check_every=0,
        )
        self.forget_titles()

    async def open(self) -> None:
        await self.database.check()
        await create_indexes(self.database.handle)
        while not self.link.is_trusted:
            self.now += HEARTBEAT_INTERVAL_S
            await self.link.heartbeat()
        # After this, the store knows that no documents of the former form exist.
        await self.store.changes("nobody", FeedPosition(0, LAST_ID), max_changes=1)

    async def titles(self, collection: str, count: int) -> list[ObjectId]:
        ids = [ObjectId() for _ in range(count)]
        await self.database.handle[collection].insert_many({"_id": each, "title": str(each)} for each in ids)
        return ids

    async def fill(self, user_id: str, movies: list[ObjectId], shows: list[ObjectId]) -> None:
        """Put titles on a list directly in MongoDB, without the service."""
        kinds = [*((each, "movie") for each in movies), *((each, "tvshow") for each in shows)]
        await self.database.handle["mylist"].insert_many(
            {"userId": user_id, "contentId": str(each), "contentType": kind, "addedAt": datetime.now(UTC)}
            for each, kind in kinds
        )

    def forget_titles(self) -> None:
        catalogue = Catalogue(ContentStore(self.database), max_age=120, capacity=10_000, clock=lambda: self.now)
        self.reader = ListReader(self.cache, catalogue, PageCache(0))
        self.writer = ListWriter(self.store, self.cache, catalogue, max_items=5000)

    async def read(self, user_id: str, page_size: int = 20) -> CacheResult:
        page, result = await self.reader.items(user_id, PageRequest(1, page_size), FakeClient())
        data = decoded(page)
        assert len(data["items"]) == min(data["total"], page_size)
        return result

    async def query(self, user_id: str, query: ListQuery, page: PageRequest, *, ids_only: bool = False) -> RenderedPage:
        return (await self.reader.items(user_id, ItemsQuery(query, page, None, ids_only), FakeClient()))[0]

    async def round_trips(self) -> tuple[list[str], list[str]]:
        """Return the commands to MongoDB and to Redis since the last call."""
        names, self.sent.names = self.sent.names, []
        return names, [command.split()[0] for command in await self.arrived.commands()]

    async def _load(self, user_id: str) -> PackedList:
        return PackedList.of(await self.store.load(user_id))


def decoded(page: RenderedPage) -> Any:
    return msgspec.json.decode(page.body)["data"]


@pytest.fixture(scope="module")
def own_redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A Redis without other clients."""
    server = ValkeyServer(tmp_path_factory.mktemp("redis"))
    with running(server):
        yield server.uri


@pytest.fixture
async def world(mongodb_uri: str, own_redis: str) -> AsyncIterator[World]:
    # On a busy machine, the embedded server takes seconds for a thousand items, but only round trips matter here.
    settings = replace(
        Settings.load({"MONGODB_URI": mongodb_uri, "REDIS_URL": own_redis, **PATIENT}),
        mongodb_timeout=30.0,
        redis_timeout=30.0,
    )
    sent = Sent()
    async with (
        AsyncMongoClient[Document](mongodb_uri, event_listeners=[sent], tz_aware=True) as client,
        # If no command arrives for a while, the client's default timeout would end the watch.
        Redis.from_url(own_redis, socket_timeout=None) as watching,
    ):
        arrived = Arrived(watching)
        world = World(client, settings, sent, arrived)
        await world.open()
        yield world
        await world.commands.close()
        arrived.stop()


async def test_a_cached_read_asks_redis_once_and_mongodb_never(world: World, user_id: str) -> None:
    await world.fill(user_id, await world.titles("movies", 15), await world.titles("tvshows", 10))
    assert await world.read(user_id) is CacheResult.MISS
    await world.round_trips()

    assert await world.read(user_id) is CacheResult.HIT
    assert await world.round_trips() == ([], ["GETRANGE"])


async def test_a_cached_query_of_known_titles_asks_redis_once_and_mongodb_never(world: World, user_id: str) -> None:
    await world.database.handle["movies"].insert_one({"genres": ["Drama"]})
    await world.fill(user_id, await world.titles("movies", 15), await world.titles("tvshows", 10))

    async def total(sort: Sort, genre: str | None) -> int:
        query = ListQuery("movie", (genre,) if genre else (), sort, descending=True)
        return int(decoded(await world.query(user_id, query, PageRequest(1, 5)))["total"])

    assert await total("title", "drama") == 0
    await world.round_trips()

    for sort in SORTS:
        assert await total(sort, None) == 15
        assert await total(sort, "drama") == 0
        assert await world.round_trips() == ([], ["GETRANGE", "GETRANGE"])


async def test_a_sorted_answer_must_look_its_titles_up_again_even_if_it_shows_none(world: World, user_id: str) -> None:
    await world.fill(user_id, await world.titles("movies", 3), [])
    await world.reader.items(user_id, PageRequest(3, 1), FakeClient())
    world.now += 30

    by_title = ListQuery(None, (), "title", descending=False)
    none_shown = await world.query(user_id, by_title, PageRequest(4, 1), ids_only=True)
    assert (decoded(none_shown)["items"], decoded(none_shown)["total"]) == ([], 3)
    assert none_shown.fresh_until == world.now + 5


async def test_a_page_of_ids_in_list_order_looks_up_no_title(world: World, user_id: str) -> None:
    await world.fill(user_id, await world.titles("movies", 30), [])
    await world.read(user_id)
    world.forget_titles()
    await world.round_trips()

    oldest_first = ListQuery("movie", (), "addedAt", descending=False)
    page = await world.query(user_id, oldest_first, PageRequest(1, 20), ids_only=True)

    assert (len(decoded(page)["items"]), page.fresh_until) == (20, float("inf"))
    assert await world.round_trips() == ([], ["GETRANGE"])


async def test_a_batch_takes_one_fence_one_removal_command_and_one_addition_command(world: World, user_id: str) -> None:
    movies = await world.titles("movies", 60)
    await world.fill(user_id, movies[:30], [])
    # So that Redis knows the scripts.
    await world.writer.discard(user_id, requested(str(movies[29])))
    await world.read(user_id)
    await world.round_trips()

    coming, going = ([requested(str(each)) for each in some] for some in (movies[30:], movies[:20]))
    done = await world.writer.apply_batch(user_id, Batch([(each, "movie") for each in coming], going))
    mongodb, redis = await world.round_trips()

    assert {outcome for _, outcome in (*done.add, *done.remove)} == {"added", "removed"}
    assert mongodb[:2] == ["find", "find"], "the titles, and what is there"
    assert mongodb[2:] == ["hello", "insert", "delete", "insert"], "time, stamps, removals, additions"
    assert redis == ["EVALSHA", "EVALSHA"], "the fence is placed, and lifted"


async def test_a_hundred_ids_are_looked_up_in_one_round_trip(world: World, user_id: str) -> None:
    movies = await world.titles("movies", 200)
    await world.fill(user_id, movies, [])
    await world.reader.export(user_id)
    await world.round_trips()

    asked = [str(each) for each in (*movies[::4], *(ObjectId() for _ in range(50)))]
    page, result = await world.reader.contains(user_id, asked, ContainsKey(b"asked"))
    assert (decoded(page)["contains"], result) == ([True] * 50 + [False] * 50, CacheResult.HIT)
    assert await world.round_trips() == ([], ["GETRANGE"])


@pytest.mark.parametrize(("page_size", "last_byte"), [(0, 19), (20, 439), (100, 2119)])
async def test_a_read_of_a_long_list_fetches_only_the_bytes_of_its_page(
    world: World, user_id: str, page_size: int, last_byte: int
) -> None:
    await world.fill(user_id, await world.titles("movies", 1000), [])
    await world.read(user_id)
    await world.round_trips()

    value, result = await world.cache.read(user_id, max_items=page_size)
    assert (value.total, result) == (1000, CacheResult.HIT)
    assert await world.arrived.commands() == [f"GETRANGE mylist:{{{user_id}}} 0 {last_byte}"]
    assert len(value.data) == last_byte + 1 - EPOCH_BYTES


async def test_concurrent_reads_are_sent_to_redis_together(own_redis: str) -> None:
    questions: list[bytes] = []
    done = asyncio.Event()

    async def pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, seen: list[bytes]) -> None:
        while data := await reader.read(100_000):
            seen.append(data)
            writer.write(data)
        writer.close()

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        _, _, address = own_redis.partition("//")
        host, port = address.split("/")[0].split(":")
        from_redis, to_redis = await asyncio.open_connection(host, int(port))
        await asyncio.gather(pass_on(reader, to_redis, questions), pass_on(from_redis, writer, []))
        done.set()

    server = await asyncio.start_server(accept, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    url = f"redis://127.0.0.1:{port}"
    commands = CacheCommands(connect(replace(Settings.load({"REDIS_URL": url}), redis_timeout=30.0)))
    reads = ReadBatcher(commands.router)
    await reads.get("first")  # opens the connection
    questions.clear()

    keys = [f"key-{number}" for number in range(50)]
    async with Redis.from_url(own_redis) as client:
        await client.mset({key: f"what {key} holds" for key in keys})

    assert await asyncio.gather(*map(reads.get, keys)) == [f"what {key} holds".encode() for key in keys]
    assert len(questions) == 1
    await commands.close()
    await done.wait()
    server.close()


@pytest.mark.parametrize("length", [2, 25, 1000])
async def test_the_first_read_after_a_write_asks_mongodb_once_when_the_titles_are_known(
    world: World, user_id: str, length: int
) -> None:
    movies, shows = await world.titles("movies", length // 2), await world.titles("tvshows", length - length // 2)
    (added,) = await world.titles("movies", 1)
    await world.fill(user_id, movies, shows)
    await world.read(user_id, page_size=length)
    await world.writer.add(user_id, requested(str(added)), "movie")
    await world.read(user_id)  # so that the new one is known as well
    await world.writer.remove(user_id, requested(str(added)))
    await world.round_trips()

    assert await world.read(user_id) is CacheResult.MISS
    asked_mongodb, asked_redis = await world.round_trips()
    assert asked_mongodb == ["find"]
    assert asked_redis == ["GETRANGE", "EVALSHA", "EVALSHA"]  # finds nothing, places a lease, fills in the list


@pytest.mark.parametrize("length", [25, 1000])
async def test_a_read_after_a_write_asks_mongodb_at_most_three_times_when_no_title_is_known(
    world: World, user_id: str, length: int
) -> None:
    await world.fill(
        user_id, await world.titles("movies", length // 2), await world.titles("tvshows", length - length // 2)
    )
    (added,) = await world.titles("movies", 1)
    await world.writer.add(user_id, requested(str(added)), "movie")
    world.forget_titles()
    await world.round_trips()

    assert await world.read(user_id, page_size=100) is CacheResult.MISS
    asked_mongodb, _ = await world.round_trips()
    assert set(asked_mongodb) == {"find"}
    assert len(asked_mongodb) <= 3


async def test_a_change_sends_redis_one_fence_and_one_lift_and_mongodb_only_its_writes(
    world: World, user_id: str
) -> None:
    (title,) = await world.titles("movies", 1)
    await world.read(user_id)
    await world.writer.add(user_id, requested(str(title)), "movie")
    await world.writer.remove(user_id, requested(str(title)))
    await world.read(user_id)  # cached, so the cap needs no count
    await world.round_trips()

    await world.writer.add(user_id, requested(str(title)), "movie")
    assert await world.round_trips() == (["insert"], ["EVALSHA", "EVALSHA"])
    await world.writer.remove(user_id, requested(str(title)))
    assert await world.round_trips() == (["update", "delete"], ["EVALSHA", "EVALSHA"]), "the stamp, and the removal"


async def test_a_known_external_id_needs_no_query_and_an_unknown_one_a_query_per_type(
    world: World, user_id: str
) -> None:
    title, other = await world.titles("movies", 2)
    for each in (title, other):
        await world.database.handle["movies"].update_one({"_id": each}, {"$set": {"externalIds.imdb": f"tt{each}"}})
    named, another = requested(f"imdb:tt{title}"), requested(f"imdb:tt{other}")

    async def mongodb(change: Awaitable[object]) -> list[str]:
        """Return the commands that a change of a cached list sends to MongoDB."""
        await world.read(user_id)
        await world.round_trips()
        await change
        asked, redis = await world.round_trips()
        assert redis == ["EVALSHA", "EVALSHA"]
        return asked

    await world.read(user_id)
    await world.writer.discard(user_id, requested(str(title)))  # so that Redis knows the scripts
    assert await mongodb(world.writer.add(user_id, named, "movie")) == ["find", "insert"]
    assert sorted(await mongodb(world.writer.remove(user_id, named))) == ["delete", "find", "update"], "of the shows"
    assert await mongodb(world.writer.put(user_id, named, "movie")) == ["insert"]
    assert await mongodb(world.writer.remove(user_id, named)) == ["update", "delete"]
    assert await mongodb(world.writer.apply_batch(user_id, Batch([(named, "movie")], []))) == ["find", "insert"]
    assert (await mongodb(world.writer.apply_batch(user_id, Batch([(another, "movie")], []))))[:2] == ["find", "find"]

    await world.read(user_id)
    await world.round_trips()
    for ids, expected in (([named.text], []), ([another.text], ["find"]), ([named.text, another.text], [])):
        await world.reader.contains(user_id, ids, ContainsKey(str(ids).encode()))
        assert await world.round_trips() == (expected, ["GETRANGE"])


async def test_many_items_of_a_list_are_found_in_one_round_trip(world: World, user_id: str) -> None:
    movies = await world.titles("movies", 150)
    await world.fill(user_id, movies, [])
    await world.round_trips()

    found = await world.store.find_many(user_id, [ContentId(each.binary) for each in movies])
    assert len(found) == 150
    assert await world.round_trips() == (["find"], [])


async def test_a_read_of_the_change_feed_of_a_long_list_takes_few_commands(world: World, user_id: str) -> None:
    feed = ChangeFeed(world.store, Catalogue(ContentStore(world.database), max_age=60, capacity=100))
    await world.fill(user_id, await world.titles("movies", 300), [])
    await world.round_trips()
    _, state = await feed.changes(user_id, None, max_changes=500)
    assert (await world.round_trips())[0] == ["hello", "find"], "the time, and the list"

    await world.round_trips()
    await feed.changes(user_id, SyncState(now_ms()), max_changes=500)
    await world.round_trips()
    await feed.changes(user_id, SyncState(now_ms()), max_changes=500)
    assert (await world.round_trips())[0] == ["hello", "find", "find"], "the time, the stamps, and the additions"
    assert state.is_complete

    await remove_some(world, user_id, 1)
    await world.round_trips()
    await feed.changes(user_id, SyncState(now_ms() - 10_000), max_changes=500)
    assert (await world.round_trips())[0][:5] == ["hello", *["find"] * 4], "and the list, and the stamps once more"


async def remove_some(world: World, user_id: str, count: int) -> None:
    items = await world.store.load(user_id)
    assert await world.store.delete_seen(user_id, items[:count]) == count


@pytest.mark.parametrize("length", [0, 1000])
async def test_an_import_counts_the_list_once_and_sends_the_same_commands_for_each_part(
    world: World, user_id: str, length: int
) -> None:
    if length:
        await world.fill(user_id, await world.titles("movies", length), [])
    movies = await world.titles("movies", 300)
    now = now_ms()

    async def lines() -> AsyncIterator[NumberedLine]:
        for number, each in enumerate(movies):
            yield NumberedLine(number + 1, Item(now - number, ContentId(each.binary), "movie"))

    await world.writer.discard(user_id, requested(str(movies[0])))
    await world.round_trips()
    results = [result.outcome async for part in merge(world.writer, user_id, lines()) for result in part]

    assert results == ["added"] * 300
    mongodb, redis = await world.round_trips()
    assert mongodb == ["find", "aggregate", "insert", "find", "insert", "find", "insert"], "titles, items; one count"
    assert redis == ["EVALSHA"] * 6
