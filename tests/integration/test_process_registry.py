"""Processes that share a MongoDB. In its registry, each declares its Redis, and whether it is unfenced.

Each process has the service's real parts below HTTP. All share one clock, which the test moves.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Any
from uuid import uuid4

import pytest
from pymongo import AsyncMongoClient

from devtools.scripted_mongodb import ScriptedMongoDB, Topology
from mylist.cache.clients import connect as connect_redis
from mylist.cache.commands import CacheCommands
from mylist.cache.health import RedisHealth, RedisState
from mylist.cache.list_cache import ListCache
from mylist.cache.registration import Registration
from mylist.config.redis_timing import DECLARATION_WAIT_S, DOWN_AFTER_S, GRACE_S, HEARTBEAT_INTERVAL_S
from mylist.config.settings import Settings
from mylist.domain.cache_result import CacheResult
from mylist.domain.content import ContentId
from mylist.domain.errors import CacheUnavailableError, DatabaseUnavailableError, OutcomeUnknownError
from mylist.domain.item import Item
from mylist.domain.packed_list import PackedList
from mylist.domain.process_registry import BEAT_INTERVAL_S, GONE_AFTER_S, CacheAgreement
from mylist.mongodb.database import Database, Document, MongoRefusedError
from mylist.mongodb.database import connect as connect_mongodb
from mylist.mongodb.process_registry import ProcessRegistry

HIT, MISS, BYPASSED = CacheResult.HIT, CacheResult.MISS, CacheResult.BYPASSED
READING_S = 0.5


class World:
    """The clock, the lists and the registry that all processes share."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.now = 1000.0
        self.totals: dict[str, int] = {}
        self.processes: list[Process] = []
        self.caches: list[ListCache] = []

    async def load(self, user_id: str) -> PackedList:
        items = [
            Item(number, ContentId(bytes([number] * 12)), "movie") for number in range(self.totals.get(user_id, 0))
        ]
        return PackedList.of(items)

    async def join(self, settings: Settings, *, strict: bool = False) -> "Process":
        """Start a process, which reads the registry after it has reached Redis."""
        process = Process(self, settings, strict=strict)
        self.processes.append(process)
        self.caches.append(process.cache)
        await process.health.heartbeat()
        await process.registration.renew()
        return process

    async def live(self, seconds: float) -> None:
        """Let time pass, while every process does its background work."""
        for _ in range(round(seconds / HEARTBEAT_INTERVAL_S)):
            self.now += HEARTBEAT_INTERVAL_S
            for process in self.processes:
                await process.live()

    async def registry(self) -> Document:
        documents = await self.database.handle["mylist_processes"].find({}).to_list()
        assert len(documents) <= 1
        return documents[0] if documents else {}


class Process:
    """The parts of a process that matter to the cache, without HTTP."""

    def __init__(self, world: World, settings: Settings, *, strict: bool) -> None:
        self._world = world
        self._renewed_at = -100.0
        self.commands = CacheCommands(connect_redis(settings))
        self.agreement = CacheAgreement(
            uuid4().hex,
            clock=lambda: world.now,
            wait_s=DECLARATION_WAIT_S,
            host=f"host-{len(world.processes)}",
            redis=settings.redis_url,
        )
        self.health = RedisHealth(self.commands, forget_after=330, clock=lambda: world.now, agreement=self.agreement)
        self.registration = Registration(
            ProcessRegistry(world.database), self.agreement, self.health, strict=strict, clock=lambda: world.now
        )
        self.cache = ListCache(
            self.commands,
            self.health,
            world.load,
            ttl=300,
            strict=strict,
            load_deadline=2,
            write_deadline=2,
            check_every=0,
        )
        self._answering: dict[str, Callable[..., Awaitable[Any]]] = {}

    async def live(self) -> None:
        await self.health.heartbeat()
        if self._world.now - self._renewed_at >= READING_S or not self.agreement.is_settled:
            self._renewed_at = self._world.now
            await self.registration.renew()

    def lose_redis(self) -> None:
        async def fail(*_: object, **__: object) -> None:
            raise CacheUnavailableError

        for name in ("ping", "place_fence", "lift_fence", "lift_fences"):
            self._answering[name] = getattr(self.commands, name)
            setattr(self.commands, name, fail)

    def regain_redis(self) -> None:
        for name, command in self._answering.items():
            setattr(self.commands, name, command)

    async def until_trusting(self) -> None:
        for _ in range(10):
            await self._world.live(GRACE_S + 1)
            if self.health.is_trusted:
                return
        raise AssertionError(self.health.state, self.agreement.blocked)

    async def read(self, user_id: str) -> tuple[int, CacheResult]:
        packed, result = await self.cache.read(user_id)
        return packed.total, result

    async def add(self, user_id: str) -> None:
        async with self.cache.writing(user_id):
            self._world.totals[user_id] = self._world.totals.get(user_id, 0) + 1

    def vanish(self) -> None:
        """End the process as SIGKILL would."""
        self._world.processes.remove(self)


@pytest.fixture
async def world(store_database: Database) -> AsyncIterator[World]:
    await store_database.handle["mylist_processes"].drop()
    world = World(store_database)
    yield world
    for cache in world.caches:
        await cache.close()


@pytest.fixture
async def reader(world: World, settings: Settings) -> Process:
    process = await world.join(settings)
    await process.until_trusting()
    return process


@pytest.fixture
async def writer(world: World, reader: Process, settings: Settings) -> Process:
    process = await world.join(settings)
    await process.until_trusting()
    assert reader.health.is_trusted
    return process


async def cached(process: Process, user_id: str) -> None:
    await process.read(user_id)
    assert (await process.read(user_id))[1] is HIT


async def unfenced_add(world: World, writer: Process, user_id: str) -> None:
    """Let a process without Redis change a list, and let time pass until it has done so."""
    adding = asyncio.create_task(writer.add(user_id))
    for _ in range(40):
        await world.live(HEARTBEAT_INTERVAL_S)
        await asyncio.sleep(0.02)
        if adding.done():
            break
    await adding


async def test_a_process_that_is_alone_can_change_lists_at_once(world: World, settings: Settings, user_id: str) -> None:
    process = await world.join(settings)

    assert process.agreement.is_settled
    await process.add(user_id)
    assert (await world.registry())["entries"].keys() == {process.agreement.process_id}


async def test_an_unfenced_change_invalidates_its_list_and_keeps_other_lists_cached(
    world: World, reader: Process, writer: Process, user_id: str
) -> None:
    another = f"{user_id}-another"
    for user in (user_id, another):
        await cached(reader, user)

    writer.lose_redis()
    await unfenced_add(world, writer, user_id)
    assert await reader.read(user_id) == (1, BYPASSED)
    await world.live(2 * GONE_AFTER_S)
    assert await reader.read(another) == (0, BYPASSED), "the link is still cut"

    writer.regain_redis()
    await reader.until_trusting()
    assert await reader.read(user_id) == (1, MISS)
    assert await reader.read(another) == (0, HIT)


async def test_an_unfenced_change_waits_until_the_others_have_heeded_the_declaration(
    world: World, reader: Process, writer: Process, user_id: str
) -> None:
    await cached(reader, user_id)
    writer.lose_redis()
    world.processes.remove(reader)  # it is slow, so it does not heed the declaration yet
    await world.live(DOWN_AFTER_S + 3 * HEARTBEAT_INTERVAL_S)
    assert writer.health.state is RedisState.DOWN
    assert not writer.agreement.is_settled

    adding = asyncio.create_task(writer.add(user_id))
    await asyncio.sleep(0.1)
    await writer.live()
    assert not adding.done()
    assert user_id not in world.totals

    await reader.registration.renew()
    await writer.live()
    await adding
    assert await reader.read(user_id) == (1, BYPASSED)
    world.processes.append(reader)


async def test_an_unfenced_change_waits_only_a_limited_time_for_a_killed_process(
    world: World, reader: Process, writer: Process, user_id: str
) -> None:
    reader.vanish()
    writer.lose_redis()
    await world.live(DOWN_AFTER_S + 3 * HEARTBEAT_INTERVAL_S)
    assert not writer.agreement.is_settled

    await world.live(DECLARATION_WAIT_S)
    await writer.add(user_id)


async def test_killing_a_process_that_owes_invalidations_invalidates_all_cached_lists(
    world: World, reader: Process, writer: Process, user_id: str
) -> None:
    another = f"{user_id}-another"
    for user in (user_id, another):
        await cached(reader, user)
    writer.lose_redis()
    await unfenced_add(world, writer, user_id)

    writer.vanish()
    await world.live(GONE_AFTER_S - 2)
    assert await reader.read(user_id) == (1, BYPASSED), "it may be alive"
    await reader.until_trusting()
    assert await reader.read(user_id) == (1, MISS)
    assert await reader.read(another) == (0, MISS)
    assert (await world.registry())["entries"].keys() == {reader.agreement.process_id}


async def test_stopping_a_process_that_owes_invalidations_invalidates_its_lists_at_once(
    world: World, reader: Process, writer: Process, user_id: str
) -> None:
    await cached(reader, user_id)
    writer.lose_redis()
    await unfenced_add(world, writer, user_id)

    await writer.registration.leave()
    writer.vanish()
    await world.live(1)
    assert await reader.read(user_id) == (1, MISS)


async def test_a_process_that_ends_and_owes_nothing_leaves_the_cache_valid(
    world: World, reader: Process, writer: Process, settings: Settings, user_id: str
) -> None:
    stopped = await world.join(settings)
    await cached(reader, user_id)

    await stopped.registration.leave()
    stopped.vanish()
    writer.vanish()
    await world.live(2 * GONE_AFTER_S)

    assert await reader.read(user_id) == (0, HIT)
    assert (await world.registry())["entries"].keys() == {reader.agreement.process_id}


async def test_a_list_that_is_changed_with_a_fence_in_another_redis_is_not_served_stale(
    world: World, reader: Process, mongodb_uri: str, redis_url: str, user_id: str
) -> None:
    """To the cache, another database of the same server is another Redis. The test also goes back to the first one."""
    await cached(reader, user_id)
    elsewhere = Settings.load({"MONGODB_URI": mongodb_uri, "REDIS_URL": redis_url.removesuffix("/0") + "/1"})

    visitor = await world.join(elsewhere)
    assert not visitor.agreement.covers(None, visitor.health.identity, fenced=True), "the reader has not heeded it"
    await world.live(1)
    assert visitor.agreement.is_settled
    await visitor.add(user_id)
    assert await reader.read(user_id) == (1, BYPASSED)
    assert await visitor.read(user_id) == (1, BYPASSED)
    assert next(iter(reader.agreement.elsewhere)).endswith("/1)")

    await visitor.registration.leave()
    visitor.vanish()
    await reader.until_trusting()
    assert await reader.read(user_id) == (1, MISS)


async def test_a_strict_process_without_redis_declares_nothing_and_refuses_changes(
    world: World, reader: Process, settings: Settings, user_id: str
) -> None:
    strict = await world.join(settings, strict=True)
    await cached(reader, user_id)
    strict.lose_redis()
    await world.live(GRACE_S)

    with pytest.raises(CacheUnavailableError):
        await strict.add(user_id)
    assert await reader.read(user_id) == (0, HIT)


async def test_a_process_that_counts_as_gone_changes_nothing_until_it_is_back(
    world: World, reader: Process, writer: Process, user_id: str
) -> None:
    await cached(reader, user_id)
    world.processes.remove(writer)  # it is paused, so it does not renew its entry
    await world.live(GONE_AFTER_S + 1)
    world.processes.append(writer)
    assert not writer.agreement.covers(None, writer.health.identity, fenced=True)

    await world.live(1)
    await writer.add(user_id)
    await reader.until_trusting()
    assert await reader.read(user_id) == (1, MISS)
    assert (await world.registry())["entries"].keys() == {each.agreement.process_id for each in world.processes}


async def test_no_process_counts_as_gone_because_of_an_outage_of_mongodb(
    world: World, reader: Process, writer: Process
) -> None:
    await world.live(1)
    world.now += 2 * GONE_AFTER_S
    for process in world.processes:
        await process.live()
    await world.live(2 * BEAT_INTERVAL_S)

    entries = (await world.registry())["entries"]
    assert entries.keys() == {reader.agreement.process_id, writer.agreement.process_id}


async def test_a_dropped_registry_begins_a_new_epoch(
    world: World, reader: Process, writer: Process, user_id: str
) -> None:
    await cached(reader, user_id)

    await world.database.handle["mylist_processes"].drop()
    await reader.until_trusting()

    assert (await world.registry())["epoch"] != ""
    assert await reader.read(user_id) == (0, MISS)
    assert writer.agreement.is_settled


async def test_a_process_cannot_join_if_it_cannot_write_to_the_registry(
    world: World, settings: Settings, mongodb_server: str
) -> None:
    async with AsyncExitStack() as stack:
        scripted = stack.enter_context(ScriptedMongoDB(mongodb_server, Topology.REPLICA_SET))
        given = Settings.load({"MONGODB_URI": scripted.uri("mylist"), "REDIS_URL": settings.redis_url})
        client: AsyncMongoClient[Document] = connect_mongodb(given)
        stack.push_async_callback(client.close)
        database = Database(client, given)
        await database.check()
        world.database = database
        scripted.fail_command("findAndModify", code=13, count=1)

        with pytest.raises(MongoRefusedError, match=r"register in mylist_processes.*needs the role readWrite"):
            await world.join(given)
        scripted.fail_command("findAndModify", code=50, count=1)
        with pytest.raises(DatabaseUnavailableError):
            await world.join(given)


async def test_a_change_that_loses_redis_without_a_declaration_is_not_acknowledged(
    world: World, reader: Process, writer: Process, user_id: str
) -> None:
    """Redis fails in the middle of a change, and so does MongoDB, so the process cannot declare that it is unfenced."""
    await cached(reader, user_id)

    async def change() -> None:
        async with writer.cache.writing(user_id):
            writer.lose_redis()
            world.processes.remove(writer)

    with pytest.raises(OutcomeUnknownError):
        await change()
