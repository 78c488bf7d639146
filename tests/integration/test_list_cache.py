"""The list cache between a real Redis and loads that the test controls."""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from uuid import uuid4

import pytest
from redis.asyncio import Redis

from devtools.waiting import eventually
from mylist.cache.cached_value import EPOCH_BYTES, epoch_in, stamped
from mylist.cache.clients import connect
from mylist.cache.commands import CacheCommands
from mylist.cache.health import RedisHealth, RedisState
from mylist.cache.list_cache import ListCache
from mylist.cache.read_batcher import ReadBatcher
from mylist.cache.topology.base import Topology
from mylist.config.redis_timing import DOUBT_AFTER_S, FENCE_PATIENCE_S, GRACE_S, HEARTBEAT_INTERVAL_S
from mylist.config.settings import Settings
from mylist.domain.cache_result import CacheResult
from mylist.domain.content import ContentId
from mylist.domain.errors import CacheUnavailableError, DatabaseUnavailableError, ListFullError, OutcomeUnknownError
from mylist.domain.item import Item
from mylist.domain.packed_list import PackedList


class Lists:
    """A fake MongoDB: all users have the same list, and each change adds one item to it."""

    def __init__(self) -> None:
        self.items: list[Item] = []
        self.loads = 0
        self.hold: asyncio.Event | None = None
        self.fails = False

    def change(self) -> None:
        self.items.append(Item(len(self.items), ContentId(bytes([len(self.items)] * 12)), "movie"))

    async def load(self, _: str) -> PackedList:
        self.loads += 1
        items = list(self.items)
        if self.hold:
            await self.hold.wait()
        if self.fails:
            raise DatabaseUnavailableError
        return PackedList.of(items)


class Clock:
    """A clock that the test moves."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class Cache(ListCache):
    """The cache of one process, with access to its health."""

    def __init__(self, primaries: Topology, lists: Lists, *, strict: bool = False, check_every: int = 0) -> None:
        self.clock = Clock()
        self.commands = commands = CacheCommands(primaries)
        self.health = RedisHealth(commands, forget_after=330, clock=self.clock)
        super().__init__(
            commands,
            self.health,
            lists.load,
            ttl=300,
            strict=strict,
            load_deadline=2,
            write_deadline=2,
            check_every=check_every,
        )
        self.reads = self._reads

    def lose_redis(self) -> None:
        """Make every command fail from now on."""

        async def fail(*_: object, **__: object) -> None:
            raise CacheUnavailableError

        for name in ("ping", "place_fence", "lift_fence"):
            setattr(self.commands, name, fail)

    async def settle(self) -> "Cache":
        """Send heartbeats until the grace is over; start again if a busy machine misses a heartbeat."""
        for _ in range(10):
            for _ in range(int(GRACE_S / HEARTBEAT_INTERVAL_S) + 3):
                await self.health.heartbeat()
                self.clock.now += HEARTBEAT_INTERVAL_S
            await self.health.heartbeat()
            if self.health.state is RedisState.UP:
                return self
        raise AssertionError(self.health.state)

    async def total(self, user_id: str) -> tuple[int, CacheResult]:
        value, result = await self.read(user_id)
        return value.total, result


@pytest.fixture
def lists() -> Lists:
    return Lists()


@pytest.fixture
async def cache(primaries: Topology, lists: Lists) -> Cache:
    return await Cache(primaries, lists).settle()


@pytest.fixture
async def other(primaries: Topology, lists: Lists) -> Cache:
    """The cache of a second process."""
    return await Cache(primaries, lists).settle()


@pytest.fixture
async def nowhere() -> AsyncIterator[Topology]:
    """A Redis that refuses connections."""
    primaries = connect(Settings.load({"REDIS_HOST": "127.0.0.1", "REDIS_PORT": "1"}))
    yield primaries
    await primaries.close()


def key(user_id: str) -> str:
    return f"mylist:{{{user_id}}}"


async def put(primaries: Topology, client: Redis, user_id: str, value: bytes, *, epoch: bytes = b"") -> None:
    """Put a list into Redis; it gets the current epoch unless another one is given."""
    owner = primaries.owner(key(user_id))
    assert owner is not None
    await client.set(key(user_id), stamped(value, epoch or owner.epoch), ex=60)


async def test_the_first_read_loads_and_the_second_does_not(cache: Cache, lists: Lists, user_id: str) -> None:
    assert await cache.total(user_id) == (0, CacheResult.MISS)
    assert await cache.total(user_id) == (0, CacheResult.HIT)
    assert lists.loads == 1


async def test_a_cached_list_lives_for_its_ttl_give_or_take_a_tenth(
    cache: Cache, redis_client: Redis, user_id: str
) -> None:
    await cache.read(user_id)

    assert 269_000 < await redis_client.pttl(key(user_id)) <= 330_000


async def test_leases_and_fences_expire(cache: Cache, lists: Lists, redis_client: Redis, user_id: str) -> None:
    lists.hold = asyncio.Event()
    read = asyncio.create_task(cache.total(user_id))
    while not await redis_client.exists(key(user_id)):
        await asyncio.sleep(0)
    assert 0 < await redis_client.pttl(key(user_id)) < 10_000
    lists.hold.set()
    await read
    async with cache.writing(user_id):
        assert 0 < await redis_client.pttl(key(user_id)) < 10_000


async def test_a_write_shows_in_the_next_read_of_every_process(
    cache: Cache, other: Cache, lists: Lists, user_id: str
) -> None:
    await cache.read(user_id)
    async with cache.writing(user_id):
        lists.change()

    assert await other.total(user_id) == (1, CacheResult.MISS)
    assert await cache.total(user_id) == (1, CacheResult.HIT)


async def test_reads_during_a_write_load_the_list_and_do_not_cache_it(
    cache: Cache, other: Cache, lists: Lists, user_id: str
) -> None:
    await cache.read(user_id)
    async with cache.writing(user_id):
        assert await other.total(user_id) == (0, CacheResult.FENCED)
        lists.change()
        assert await other.total(user_id) == (1, CacheResult.FENCED)


async def test_a_load_that_began_before_a_write_is_not_cached(
    cache: Cache, other: Cache, lists: Lists, user_id: str
) -> None:
    lists.hold = asyncio.Event()
    early = asyncio.create_task(cache.total(user_id))
    while not lists.loads:
        await asyncio.sleep(0)
    async with other.writing(user_id):
        lists.change()
    lists.hold.set()

    assert await early == (0, CacheResult.MISS)
    assert await other.total(user_id) == (1, CacheResult.MISS)


async def test_a_read_after_a_write_does_not_share_a_load_from_before_it(
    cache: Cache, lists: Lists, user_id: str
) -> None:
    lists.hold = asyncio.Event()
    early = asyncio.create_task(cache.total(user_id))
    while not lists.loads:
        await asyncio.sleep(0)
    async with cache.writing(user_id):
        lists.change()
    late = asyncio.create_task(cache.total(user_id))
    lists.hold.set()

    assert (await early)[0] == 0
    assert (await late)[0] == 1


async def test_concurrent_misses_of_one_user_load_once(cache: Cache, lists: Lists, user_id: str) -> None:
    results = await asyncio.gather(*(cache.total(user_id) for _ in range(50)))

    assert set(results) <= {(0, CacheResult.MISS), (0, CacheResult.HIT)}
    assert lists.loads == 1


async def test_without_redis_concurrent_reads_share_loads(nowhere: Topology, lists: Lists, user_id: str) -> None:
    cache = Cache(nowhere, lists)

    results = await asyncio.gather(*(cache.total(user_id) for _ in range(50)))

    assert set(results) == {(0, CacheResult.BYPASSED)}
    assert lists.loads == 2, "the first load, and one for all that asked after it began"


async def test_a_cancelled_request_does_not_cancel_the_load_that_others_wait_for(
    cache: Cache, lists: Lists, user_id: str
) -> None:
    lists.hold = asyncio.Event()
    first = asyncio.create_task(cache.total(user_id))
    while not lists.loads:
        await asyncio.sleep(0)
    looked, look = asyncio.Event(), cache.reads.get_many

    async def noted_look(keys: Sequence[tuple[str, int | None]]) -> list[bytes | None]:
        held = await look(keys)
        looked.set()
        return held

    cache.reads.get_many = noted_look  # type: ignore[assignment, method-assign]
    second = asyncio.create_task(cache.total(user_id))
    await looked.wait()
    for _ in range(10):  # turns of the event loop, in which the read finds the lease
        await asyncio.sleep(0)
    first.cancel()
    lists.hold.set()

    assert await second == (0, CacheResult.MISS)
    assert first.cancelled()


async def test_a_shared_load_continues_after_the_request_that_began_it_is_cancelled(
    nowhere: Topology, lists: Lists, user_id: str
) -> None:
    cache = Cache(nowhere, lists)
    lists.hold = asyncio.Event()
    first = asyncio.create_task(cache.total(user_id))
    while not lists.loads:
        await asyncio.sleep(0)
    second = asyncio.create_task(cache.total(user_id))
    third = asyncio.create_task(cache.total(user_id))
    await asyncio.sleep(0)
    first.cancel()
    second.cancel()
    lists.hold.set()

    assert await third == (0, CacheResult.BYPASSED)
    assert lists.loads == 2


async def test_a_read_does_not_wait_for_the_load_of_another_process(
    cache: Cache, other: Cache, lists: Lists, user_id: str
) -> None:
    lists.hold = asyncio.Event()
    loading = asyncio.create_task(cache.total(user_id))
    while not lists.loads:
        await asyncio.sleep(0)
    held, lists.hold = lists.hold, None

    assert await other.total(user_id) == (0, CacheResult.FENCED)
    held.set()
    assert await loading == (0, CacheResult.MISS)


async def test_a_failed_load_fails_its_readers_and_caches_nothing(cache: Cache, lists: Lists, user_id: str) -> None:
    lists.fails = True
    with pytest.raises(DatabaseUnavailableError):
        await cache.read(user_id)
    lists.fails = False

    assert await cache.total(user_id) == (0, CacheResult.MISS), "nor does its lease keep others from caching"


@pytest.mark.parametrize("foreign", [b"L", b"L\x01" + bytes(10), b"L\x02" + bytes(9) + b"\x05", b"?"])
async def test_an_unreadable_cached_value_is_not_served(  # noqa: PLR0913 - what it is put with
    cache: Cache, lists: Lists, primaries: Topology, redis_client: Redis, user_id: str, foreign: bytes
) -> None:
    lists.change()
    await put(primaries, redis_client, user_id, foreign)

    total, result = await cache.total(user_id)

    assert total == 1
    assert result in {CacheResult.BYPASSED, CacheResult.FENCED}


async def test_a_list_of_another_epoch_counts_as_not_cached(
    cache: Cache, lists: Lists, primaries: Topology, redis_client: Redis, user_id: str
) -> None:
    """Redis failed over, or started again from a dump, and may have lost the fence of a write."""
    lists.change()
    await put(primaries, redis_client, user_id, PackedList.of([]).data, epoch=b"an epoch")

    async with cache.writing(user_id, max_items=1) as cached:
        assert cached is None
    await put(primaries, redis_client, user_id, PackedList.of([]).data, epoch=b"an epoch")
    assert await cache.total(user_id) == (1, CacheResult.MISS)
    assert await cache.total(user_id) == (1, CacheResult.HIT)


async def test_a_list_in_the_format_of_another_version_is_replaced(  # noqa: PLR0913 - what it is put with
    cache: Cache, lists: Lists, primaries: Topology, redis_client: Redis, user_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """During a rollout, processes of two versions share the cache."""
    lists.change()
    owner = primaries.owner(key(user_id))
    assert owner is not None
    assert owner.replication_epoch is not None
    with monkeypatch.context() as other_version:
        other_version.setattr("mylist.cache.cached_value.FORMAT_VERSION", 255)
        epoch = epoch_in("", owner.replication_epoch)
    await put(primaries, redis_client, user_id, b"L\xff" + bytes(10), epoch=epoch)

    assert await cache.total(user_id) == (1, CacheResult.MISS)
    assert await cache.total(user_id) == (1, CacheResult.HIT)


async def test_a_cached_list_gets_the_epoch_of_its_lease(primaries: Topology, user_id: str) -> None:
    """A failover between lease and fill may lose the fence of a write, so the list may lack that write."""
    commands = CacheCommands(primaries)
    lease = commands.new_lease(key(user_id))[:-EPOCH_BYTES] + b"an epoch"
    assert await commands.place_lease(key(user_id), lease, lifetime_ms=5000) is None

    assert await commands.fill(key(user_id), lease, PackedList.of([]).data, lifetime_ms=5000)
    assert await ReadBatcher(commands.router).get_many([(key(user_id), None)]) == [None]


async def test_a_process_that_meets_another_epoch_trusts_nothing_until_the_grace_is_over(
    cache: Cache, primaries: Topology, user_id: str
) -> None:
    await cache.read(user_id)
    for owner in primaries.all:
        owner.learn(b"role:master\r\nmaster_replid:" + b"5a" * 20)

    assert (await cache.total(user_id))[1] is CacheResult.BYPASSED
    await cache.health.heartbeat()
    assert cache.health.state is RedisState.RECOVERING
    await cache.settle()
    assert (await cache.total(user_id))[1] is CacheResult.HIT


async def test_a_key_of_another_redis_type_does_not_fail_a_read(
    cache: Cache, lists: Lists, redis_client: Redis, user_id: str
) -> None:
    lists.change()
    await redis_client.lpush(key(user_id), "not ours")

    assert await cache.total(user_id) == (1, CacheResult.BYPASSED)


async def test_a_write_whose_outcome_is_unknown_keeps_its_fence(cache: Cache, lists: Lists, user_id: str) -> None:
    await cache.read(user_id)
    with pytest.raises(OutcomeUnknownError):
        async with cache.writing(user_id):
            raise OutcomeUnknownError
    assert await cache.total(user_id) == (0, CacheResult.FENCED)
    lists.change()

    assert await cache.total(user_id) == (1, CacheResult.FENCED), "it took effect late, and shows"


async def test_a_write_whose_outcome_is_unknown_is_fenced_even_if_redis_lost_its_fence(
    cache: Cache, other: Cache, lists: Lists, redis_client: Redis, user_id: str
) -> None:
    async def change() -> None:
        async with cache.writing(user_id):
            await redis_client.delete(key(user_id))
            assert await other.total(user_id) == (0, CacheResult.MISS)
            raise OutcomeUnknownError

    with pytest.raises(OutcomeUnknownError):
        await change()
    lists.change()

    assert await other.total(user_id) == (1, CacheResult.FENCED)


async def test_a_write_that_fails_lifts_its_fence(cache: Cache, user_id: str) -> None:
    with pytest.raises(DatabaseUnavailableError):
        async with cache.writing(user_id):
            raise DatabaseUnavailableError

    assert (await cache.total(user_id))[1] is CacheResult.MISS


async def test_two_writes_at_once_are_fenced_until_both_have_ended(
    cache: Cache, other: Cache, lists: Lists, user_id: str
) -> None:
    async with cache.writing(user_id):
        async with other.writing(user_id):
            lists.change()
        assert await other.total(user_id) == (1, CacheResult.FENCED)
    assert await other.total(user_id) == (1, CacheResult.MISS)


async def test_a_write_to_a_full_list_is_refused_because_of_the_cached_count(
    cache: Cache, lists: Lists, user_id: str
) -> None:
    for _ in range(3):
        lists.change()
    await cache.read(user_id)

    async with cache.writing(user_id, max_items=4) as cached:
        assert cached == 3
    await cache.read(user_id)
    with pytest.raises(ListFullError, match="may hold 3 items"):
        async with cache.writing(user_id, max_items=3):
            pytest.fail("the list is full")
    assert await cache.total(user_id) == (3, CacheResult.HIT)


async def test_a_process_trusts_redis_only_after_a_grace(primaries: Topology, lists: Lists, user_id: str) -> None:
    cache = Cache(primaries, lists)

    for _ in range(round(0.9 * GRACE_S / HEARTBEAT_INTERVAL_S)):
        await cache.health.heartbeat()
        cache.clock.now += HEARTBEAT_INTERVAL_S
        assert (await cache.total(user_id))[1] is CacheResult.BYPASSED
    await cache.settle()
    assert (await cache.total(user_id))[1] is CacheResult.MISS


async def test_a_process_that_was_stopped_for_a_while_trusts_nothing_until_the_grace_is_over(
    cache: Cache, user_id: str
) -> None:
    await cache.read(user_id)
    cache.clock.now += 10

    assert (await cache.total(user_id))[1] is CacheResult.BYPASSED
    await cache.health.heartbeat()
    assert cache.health.state is RedisState.RECOVERING
    assert (await cache.total(user_id))[1] is CacheResult.BYPASSED
    await cache.settle()
    assert await cache.total(user_id) == (0, CacheResult.HIT)


async def test_a_write_after_a_failover_waits_until_no_process_uses_the_old_primary(
    cache: Cache, primaries: Topology, lists: Lists, user_id: str
) -> None:
    primaries.failovers += 1
    primaries.generation += 1
    primaries.note_generation()
    began = time.monotonic()

    async with cache.writing(user_id):
        lists.change()
        assert time.monotonic() - began > DOUBT_AFTER_S
    cache.clock.now += 1
    await cache.health.heartbeat()
    took = []
    for _ in range(3):  # a busy machine may delay one of them
        began = time.monotonic()
        async with cache.writing(user_id):
            lists.change()
        took.append(time.monotonic() - began)
    assert min(took) < DOUBT_AFTER_S


async def test_a_write_does_not_end_before_all_processes_can_know_its_reign(
    cache: Cache, lists: Lists, user_id: str
) -> None:
    changed = asyncio.Event()

    async def write() -> None:
        async with cache.writing(user_id):
            lists.change()
            changed.set()

    cache.health.seen_reign = lambda: "7fffffff0000000000000001"
    writing = asyncio.create_task(write())
    await changed.wait()
    await asyncio.sleep(0.2)
    assert not writing.done()
    cache.clock.now += FENCE_PATIENCE_S
    await cache.health.heartbeat()
    await writing


async def test_a_process_paused_during_a_write_acknowledges_it_only_after_a_heartbeat(
    cache: Cache, redis_client: Redis, lists: Lists, user_id: str
) -> None:
    async def write() -> None:
        async with cache.writing(user_id):
            lists.change()
            cache.clock.now += 10

    writing = asyncio.create_task(write())
    await eventually(lambda: _is_gone(redis_client, user_id), within=30)
    await asyncio.sleep(0.2)
    assert not writing.done()
    # Meanwhile another process that knows the primary has cached the list from before the write.
    await redis_client.set(key(user_id), b"L something", ex=60)
    await cache.health.heartbeat()
    await writing
    assert await _is_gone(redis_client, user_id)


async def _is_gone(redis_client: Redis, user_id: str) -> bool:
    return not await redis_client.exists(key(user_id))


async def go_down(cache: Cache) -> None:
    while cache.health.state is not RedisState.DOWN:
        await cache.health.heartbeat()
        cache.clock.now += HEARTBEAT_INTERVAL_S


async def test_a_write_without_redis_succeeds_and_owes_its_invalidation(
    nowhere: Topology, lists: Lists, user_id: str
) -> None:
    cache = Cache(nowhere, lists)
    await go_down(cache)

    async with cache.writing(user_id):
        lists.change()

    assert len(cache.health.pending) == 1
    assert await cache.total(user_id) == (1, CacheResult.BYPASSED)


async def test_owed_invalidations_are_delivered_before_redis_is_trusted(
    primaries: Topology, redis_client: Redis, lists: Lists, user_id: str
) -> None:
    cache = Cache(primaries, lists)
    await put(primaries, redis_client, user_id, PackedList.of([]).data)
    lists.change()
    cache.health.pending.add(key(user_id), b"12345678")

    await cache.settle()

    assert len(cache.health.pending) == 0
    assert await cache.total(user_id) == (1, CacheResult.MISS)


async def test_thousands_of_owed_invalidations_are_delivered_within_the_grace(
    cache: Cache, redis_client: Redis, user_id: str
) -> None:
    keys = [key(f"{user_id}-{number}") for number in range(5000)]
    placing = redis_client.pipeline(transaction=False)
    for each in keys:
        placing.set(each, PackedList.of([]).data, ex=60)
        cache.health.pending.add(each, b"12345678")
    await placing.execute()
    batches, lift = [], cache.commands.lift_fences

    async def noted_lift(fences: Sequence[tuple[str, bytes]]) -> None:
        batches.append(len(fences))
        await lift(fences)

    cache.commands.lift_fences = noted_lift  # type: ignore[method-assign]
    began = time.process_time()

    await cache.health.heartbeat()

    assert len(cache.health.pending) == 0
    assert batches == [500] * 10, "as few round trips"
    assert time.process_time() - began < GRACE_S, "of this process alone, however busy the machine is"
    assert not any([await redis_client.exists(each) for each in keys[::100]])


async def test_writes_are_refused_while_20_000_invalidations_are_owed(
    nowhere: Topology, lists: Lists, user_id: str
) -> None:
    cache = Cache(nowhere, lists)
    await go_down(cache)
    for number in range(20_000):
        assert cache.health.pending.has_room
        cache.health.pending.add(key(f"{user_id}-{number}"), b"12345678")

    with pytest.raises(CacheUnavailableError):
        async with cache.writing(user_id):
            lists.change()
    cache.clock.now += 400
    await cache.health.heartbeat()
    assert len(cache.health.pending) == 0, "what was cached then has expired"
    async with cache.writing(user_id):
        lists.change()
    assert lists.items


@pytest.mark.parametrize(
    "failure",
    [KeyError("ip"), UnicodeError("label empty or too long"), ValueError("invalid literal for int()"), MemoryError()],
    ids=lambda failure: type(failure).__name__,
)
async def test_any_exception_in_heartbeats_marks_redis_as_down_and_is_logged(
    cache: Cache, lists: Lists, user_id: str, failure: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    async def fail() -> None:
        raise failure

    cache.commands.ping = fail  # type: ignore[method-assign] # as `lose_redis`
    for _ in range(12):
        await cache.health.heartbeat()
        cache.clock.now += HEARTBEAT_INTERVAL_S

    assert cache.health.state is RedisState.DOWN
    assert (str(failure) or repr(failure)) in caplog.text
    lists.change()
    assert await cache.total(user_id) == (1, CacheResult.BYPASSED)


async def test_a_process_that_owes_an_invalidation_trusts_nothing(cache: Cache, lists: Lists, user_id: str) -> None:
    await cache.read(user_id)
    lists.change()
    cache.health.pending.add(key(user_id), b"12345678")

    assert await cache.total(user_id) == (1, CacheResult.BYPASSED)
    await cache.health.heartbeat()
    assert await cache.total(user_id) == (1, CacheResult.MISS)


async def test_an_unfenced_write_whose_outcome_is_unknown_owes_its_invalidation(
    nowhere: Topology, lists: Lists, user_id: str
) -> None:
    cache = Cache(nowhere, lists)
    await go_down(cache)

    with pytest.raises(OutcomeUnknownError):
        async with cache.writing(user_id):
            raise OutcomeUnknownError

    assert len(cache.health.pending) == 1


async def test_a_strict_cache_refuses_writes_without_redis(nowhere: Topology, lists: Lists, user_id: str) -> None:
    cache = Cache(nowhere, lists, strict=True)
    await go_down(cache)

    with pytest.raises(CacheUnavailableError):
        async with cache.writing(user_id):
            lists.change()
    assert lists.items == []


async def test_a_strict_cache_does_not_acknowledge_a_write_during_which_redis_is_lost(
    primaries: Topology, lists: Lists, user_id: str
) -> None:
    """Redis is lost in the middle of a write, so the process cannot know whether the fence still exists."""
    cache = await Cache(primaries, lists, strict=True).settle()

    async def write() -> None:
        async with cache.writing(user_id):
            lists.change()
            cache.lose_redis()

    writing = asyncio.create_task(write())
    while not lists.items:
        await asyncio.sleep(0.01)
    await go_down(cache)
    with pytest.raises(OutcomeUnknownError):
        await writing
    assert len(cache.health.pending) == 1


async def test_single_failed_heartbeats_after_pauses_are_not_an_outage(
    cache: Cache, lists: Lists, user_id: str
) -> None:
    cache.lose_redis()
    cache.clock.now += 10
    await cache.health.heartbeat()
    cache.clock.now += 10
    await cache.health.heartbeat()

    assert cache.health.state is not RedisState.DOWN
    with pytest.raises(CacheUnavailableError):
        async with cache.writing(user_id):
            lists.change()
    await go_down(cache)


async def test_a_heartbeat_with_a_late_answer_counts_as_failed(cache: Cache) -> None:
    ping = cache.commands.ping

    async def slow_ping() -> None:
        await ping()
        cache.clock.now += 0.5

    cache.commands.ping = slow_ping  # type: ignore[method-assign]
    await go_down(cache)


async def test_a_write_is_refused_while_other_processes_may_still_trust_redis(
    nowhere: Topology, lists: Lists, user_id: str
) -> None:
    """This process lost Redis so recently that it cannot know whether the others have lost it too."""
    cache = Cache(nowhere, lists)

    with pytest.raises(CacheUnavailableError):
        async with cache.writing(user_id):
            lists.change()
    assert lists.items == []


async def test_user_ids_are_hash_tags_of_keys_and_similar_ids_have_separate_lists(
    cache: Cache, redis_client: Redis, lists: Lists
) -> None:
    user_id = f"a:b|c@d/e=f+g-{uuid4().hex}"
    await cache.read(user_id)
    lists.change()

    assert await redis_client.exists(f"mylist:{{{user_id}}}")
    assert await cache.total(user_id + "0") == (1, CacheResult.MISS)
