"""Elections of MongoDB, as seen by processes that share one Redis and one replica set.

Each process sees the replica set from a site of its own. So one process can be cut off together with a primary that was
replaced and does not know it.
"""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
from redis import Redis

from devtools.scripted_mongodb import ScriptedMongoDB
from devtools.waiting import eventually
from mylist.app import build_services
from mylist.cache.health import RedisState
from mylist.config.redis_timing import HEARTBEAT_INTERVAL_S
from mylist.config.settings import Settings
from mylist.devserver.embedded_servers import ValkeyServer, running
from mylist.domain.cache_result import CacheResult
from mylist.domain.change_feed import SyncState
from mylist.domain.errors import DatabaseUnavailableError, ItemAlreadyInListError, ItemNotInListError, UnavailableError
from mylist.domain.item import Item
from mylist.domain.packed_list import LIST_TAG
from mylist.mongodb.indexes import create_indexes
from mylist.mongodb.lists import ListStore
from tests.content_ids import content_id, number_of

PATIENCE_S = 30.0
CHECK_INTERVAL_S = 0.1
_OPTIONS = {"MONGODB_TIMEOUT": "3", "REDIS_TIMEOUT": "0.4", "CACHE_STRICT": "true"}


class Process:
    """The parts of a service process, without the HTTP."""

    def __init__(self, settings: Settings) -> None:
        self.services = build_services(settings)
        self.health = self.services.health
        self.database = self.services.database
        self.store = ListStore(self.database)
        self._watches: list[asyncio.Task[None]] = []
        self._is_over = False

    def start(self) -> None:
        self._watches = [asyncio.create_task(self._keep_beating()), asyncio.create_task(self._keep_checking())]

    async def is_up(self) -> bool:
        return self.health.state is RedisState.UP and self.database.available

    async def _keep_beating(self) -> None:
        while not self._is_over:
            await self.health.heartbeat()
            await asyncio.sleep(HEARTBEAT_INTERVAL_S)

    async def _keep_checking(self) -> None:
        while not self._is_over:
            await self.database.check()
            await asyncio.sleep(CHECK_INTERVAL_S)

    async def close(self) -> None:
        self._is_over = True
        await asyncio.gather(*self._watches)
        await self.services.cache.close()
        await self.database.close()

    async def add(self, user: str, number: int) -> None:
        """Make an acknowledged change."""
        async with self.services.cache.writing(user):
            await self.store.insert(user, Item(number, content_id(number), "movie"))

    async def add_at_last(self, user: str, number: int) -> None:
        """Repeat a change until it is acknowledged."""

        async def added() -> bool:
            try:
                await self.add(user, number)
            except ItemAlreadyInListError:
                return True
            except UnavailableError:
                return False
            return True

        await eventually(added, within=PATIENCE_S)

    async def remove(self, user: str, number: int) -> None:
        async with self.store.removing(user, content_id(number)) as remove, self.services.cache.writing(user):
            await remove()

    async def read(self, user: str) -> tuple[int, CacheResult]:
        """Return how many items a list has, and where it came from."""
        packed_list, result = await self.services.cache.read(user)
        return packed_list.total, result

    async def read_at_last(self, user: str) -> int:
        """Return how many items a list has, by the first read that is answered."""
        totals: list[int] = []

        async def is_answered() -> bool:
            try:
                totals.append((await self.read(user))[0])
            except UnavailableError:
                return False
            return True

        await eventually(is_answered, within=PATIENCE_S)
        return totals[0]

    async def changes(self, user: str, known: SyncState | None) -> tuple[list[int], SyncState]:
        """Return the numbers of the items that the feed reports as added, and the device's new state."""
        found, state = await self.services.change_feed.changes(user, known, max_changes=100)
        return [number_of(each.content_id) for each in found if each.added_at is not None], state


@pytest.fixture(scope="module")
def redis_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ValkeyServer]:
    server = ValkeyServer(tmp_path_factory.mktemp("redis"))
    with running(server):
        yield server


@pytest.fixture
def redis(redis_server: ValkeyServer) -> Iterator[Redis]:
    with Redis(port=redis_server.port) as client:
        yield client


@pytest.fixture
def redis_port(redis_server: ValkeyServer, redis: Redis) -> int:
    """The port of a Redis that knows nothing of other replica sets."""
    redis.flushall()
    return redis_server.port


@pytest.fixture
def mongodb(mongodb_server: str) -> Iterator[ScriptedMongoDB]:
    with ScriptedMongoDB(mongodb_server, sites=2) as mongodb:
        yield mongodb


@asynccontextmanager
async def process_at(mongodb: ScriptedMongoDB, site: int, name: str, port: int) -> AsyncIterator[Process]:
    """A process that has just begun to watch both stores."""
    uris = {"MONGODB_URI": mongodb.uri(name, site=site), "REDIS_URL": f"redis://127.0.0.1:{port}/0"}
    process = Process(Settings.load(uris | _OPTIONS))
    try:
        process.start()
        yield process
    finally:
        await process.close()


@pytest.fixture
async def processes(mongodb: ScriptedMongoDB, redis_port: int) -> AsyncIterator[tuple[Process, Process]]:
    """One at each site: near the members that will elect another primary, and far from them."""
    name = f"test-{uuid4().hex[:12]}"
    async with AsyncExitStack() as started:
        near, far = [
            await started.enter_async_context(process_at(mongodb, site, name, redis_port)) for site in range(2)
        ]
        await asyncio.gather(*(eventually(each.is_up, within=PATIENCE_S) for each in (near, far)))
        await create_indexes(near.database.handle)
        yield near, far


@pytest.fixture
def near(processes: tuple[Process, Process]) -> Process:
    return processes[0]


@pytest.fixture
def far(processes: tuple[Process, Process]) -> Process:
    return processes[1]


@pytest.fixture
def user() -> str:
    return f"user-{uuid4().hex}"


def is_cached(redis: Redis, user: str) -> bool:
    value = redis.get(f"mylist:{{{user}}}")
    return isinstance(value, bytes) and value.startswith(LIST_TAG)


def part(mongodb: ScriptedMongoDB) -> None:
    """Cut the far site off, together with the primary, and have the other members elect another."""
    mongodb.cut(1, site=1)
    mongodb.cut(2, site=1)
    mongodb.elect(1)


def join(mongodb: ScriptedMongoDB) -> None:
    """End the partition, and inform the former primary that it was replaced."""
    mongodb.inform(0)
    mongodb.heal(1, site=1)
    mongodb.heal(2, site=1)


class TestAReplacedPrimary:
    """The old primary does not know that it was replaced, and the far process sees no other primary."""

    async def test_answers_are_neither_returned_nor_cached(
        self, mongodb: ScriptedMongoDB, redis: Redis, near: Process, far: Process, user: str
    ) -> None:
        await near.add(user, 1)
        assert await far.read(user) == (1, CacheResult.MISS)
        part(mongodb)
        await near.add_at_last(user, 2)

        for _ in range(3):
            with pytest.raises(DatabaseUnavailableError):
                await far.read(user)
        assert not is_cached(redis, user)
        assert await near.read_at_last(user) == 2

    async def test_does_not_prevent_reads_of_lists_that_others_cached(
        self, mongodb: ScriptedMongoDB, near: Process, far: Process, user: str
    ) -> None:
        await far.add(user, 1)
        part(mongodb)
        await near.add_at_last(user, 2)

        async def hits() -> bool:
            await near.read_at_last(user)
            return (await near.read(user))[1] is CacheResult.HIT

        await eventually(hits, within=PATIENCE_S)
        assert await far.read(user) == (2, CacheResult.HIT)

    async def test_is_known_to_all_processes_once_a_later_change_is_acknowledged(
        self, mongodb: ScriptedMongoDB, near: Process, far: Process, user: str
    ) -> None:
        await near.add(user, 1)
        for number in range(2, 6):
            part(mongodb)
            await near.add_at_last(user, number)
            assert far.database.reigns.is_replaced
            join(mongodb)
            mongodb.step_down(0)

            async def sees_the_primary() -> bool:
                return await far.read_at_last(user) == number  # noqa: B023 - awaited in the loop

            await eventually(sees_the_primary, within=PATIENCE_S)

    async def test_makes_changes_fail_as_unavailable_and_not_as_duplicate_or_missing(
        self, mongodb: ScriptedMongoDB, near: Process, far: Process, user: str
    ) -> None:
        await near.add(user, 1)
        await far.read(user)
        part(mongodb)
        await near.add_at_last(user, 2)
        await near.remove(user, 1)

        with pytest.raises(UnavailableError):
            await far.add(user, 1)  # according to the replaced primary, it is on the list
        with pytest.raises(UnavailableError):
            await far.remove(user, 2)  # according to the replaced primary, it is not on the list

    async def test_that_was_frozen_is_not_believed_after_it_is_thawed(
        self, mongodb: ScriptedMongoDB, redis: Redis, near: Process, far: Process, user: str
    ) -> None:
        await near.add(user, 1)
        mongodb.freeze(0)
        part(mongodb)
        await near.add_at_last(user, 2)
        mongodb.thaw(0)

        async def is_answered_again() -> bool:
            try:
                return bool(await far.database.ask_hello())
            except Exception:  # noqa: BLE001 - whatever the driver says of a server that was frozen
                return False

        await eventually(is_answered_again, within=PATIENCE_S)
        with pytest.raises(DatabaseUnavailableError):
            await far.read(user)
        assert not is_cached(redis, user)

    async def test_cannot_make_a_device_skip_a_change(
        self, mongodb: ScriptedMongoDB, near: Process, far: Process, user: str
    ) -> None:
        await near.add(user, 1)
        told, known = await far.changes(user, None)
        assert told == [1]
        part(mongodb)
        await near.add_at_last(user, 2)
        # As if the primary had been replaced a minute ago, which is longer than the settling time.
        mongodb.say(localTime=datetime.now(UTC) + timedelta(minutes=1))
        with pytest.raises(DatabaseUnavailableError):
            await far.changes(user, known)
        mongodb.say()
        join(mongodb)

        async def are_told() -> bool:
            try:
                return (await far.changes(user, known))[0] == [2]
            except UnavailableError:
                return False

        await eventually(are_told, within=PATIENCE_S)

    async def test_stays_known_after_redis_is_flushed(
        self, mongodb: ScriptedMongoDB, redis: Redis, near: Process, far: Process, user: str
    ) -> None:
        await near.add(user, 1)
        await far.read(user)
        part(mongodb)
        await near.add_at_last(user, 2)
        for _ in range(20):
            redis.flushall()
            with pytest.raises(DatabaseUnavailableError):
                await far.read(user)

    async def test_is_logged_by_the_check_and_the_service_recovers_from_it(
        self, mongodb: ScriptedMongoDB, near: Process, far: Process, user: str, caplog: pytest.LogCaptureFixture
    ) -> None:
        await near.add(user, 1)
        part(mongodb)
        await near.add_at_last(user, 2)

        async def is_away() -> bool:
            return not far.database.available

        await eventually(is_away, within=PATIENCE_S)
        assert "is not available: another process has seen a later primary" in caplog.text
        join(mongodb)
        assert await far.read_at_last(user) == 2


class TestANewPrimary:
    """Its majority reads may be older than what its predecessor acknowledged, until its first write (SERVER-53813)."""

    @pytest.fixture
    async def elected(self, mongodb: ScriptedMongoDB, near: Process, far: Process, user: str) -> None:
        """A new primary has been elected whose reads do not show the second of two items."""
        await near.add(user, 1)
        assert (await far.read(user))[0] == 1
        before = mongodb.remember()
        await near.add(user, 2)
        mongodb.step_down(1, reads_from=before)

        async def is_seen_by_all() -> bool:
            return all(each.database.available and str(each.database.election_id).endswith("2") for each in (near, far))

        await eventually(is_seen_by_all, within=PATIENCE_S)

    @pytest.mark.usefixtures("elected")
    async def test_serves_no_reads_until_it_has_committed_a_write(
        self, mongodb: ScriptedMongoDB, redis: Redis, near: Process, far: Process, user: str
    ) -> None:
        for process in (near, far, near):
            with pytest.raises(DatabaseUnavailableError):
                await process.read(user)
        assert not is_cached(redis, user)
        with pytest.raises(DatabaseUnavailableError):
            await near.changes(user, None)

        mongodb.regain_majority()
        assert await near.read_at_last(user) == 2
        assert await far.read_at_last(user) == 2

    @pytest.mark.usefixtures("elected")
    async def test_makes_reads_wait_until_it_has_committed_a_write(
        self, mongodb: ScriptedMongoDB, near: Process, user: str
    ) -> None:
        reading = asyncio.create_task(near.read(user))
        await asyncio.sleep(CHECK_INTERVAL_S)
        assert not reading.done()
        mongodb.regain_majority()
        assert (await reading)[0] == 2

    @pytest.mark.usefixtures("elected")
    async def test_accepts_a_change_and_then_serves_current_reads(self, near: Process, far: Process, user: str) -> None:
        with pytest.raises(ItemAlreadyInListError):
            await near.add(user, 2)
        with pytest.raises(ItemNotInListError):
            await near.remove(user, 3)
        await near.add(user, 3)
        assert await near.read_at_last(user) == 3
        assert await far.read_at_last(user) == 3


async def test_reads_after_a_planned_stepdown_are_fresh(
    mongodb: ScriptedMongoDB, near: Process, far: Process, user: str
) -> None:
    await near.add(user, 1)
    for number in range(2, 6):
        mongodb.step_down(number % 3)
        await near.add_at_last(user, number)
        assert await far.read_at_last(user) == number
        assert await near.read_at_last(user) == number


async def test_a_process_that_starts_later_does_not_trust_a_replaced_primary(
    mongodb: ScriptedMongoDB, redis_port: int, near: Process, user: str
) -> None:
    await near.add(user, 1)
    part(mongodb)
    await near.add_at_last(user, 2)

    async with process_at(mongodb, 1, near.database.handle.name, redis_port) as later:
        await later.database.check()
        with pytest.raises(DatabaseUnavailableError):
            await later.read(user)
