"""A Cluster with some primaries down: which parts are still trusted, and by which process.

Three fronts stand for three primaries, each with a third of the slots; one server behind them holds all keys.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, suppress
from dataclasses import replace
from uuid import uuid4

import pytest
from redis.crc import REDIS_CLUSTER_HASH_SLOTS, key_slot

from devtools.redis_groups import ClusterNode
from devtools.waiting import eventually, wait_until
from mylist.cache.clients import connect
from mylist.cache.commands import CacheCommands, SomePrimariesAwayError
from mylist.cache.health import RedisState
from mylist.config.redis_timing import DOWN_AFTER_S, GRACE_S, HEARTBEAT_INTERVAL_S
from mylist.config.settings import Settings
from mylist.devserver.embedded_servers import running
from mylist.domain.cache_result import CacheResult
from mylist.domain.errors import CacheUnavailableError
from tests.integration.test_list_cache import Cache, Lists
from tests.redis_front import Command, RedisFront, array

HIT, BYPASSED = CacheResult.HIT, CacheResult.BYPASSED
THIRD = REDIS_CLUSTER_HASH_SLOTS // 3
Process = Callable[..., Awaitable[Cache]]


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClusterNode]:
    node = ClusterNode(tmp_path_factory.mktemp("node"))
    with running(node):
        node.ask("CLUSTER ADDSLOTSRANGE", 0, REDIS_CLUSTER_HASH_SLOTS - 1)
        wait_until(lambda: node.ask("CLUSTER INFO")["cluster_state"] == "ok", within=30)
        yield node


class Primaries:
    """Three primaries; the test decides which of them has which slots."""

    def __init__(self, port: int) -> None:
        self.fronts = [RedisFront(port, self._answer) for _ in range(3)]
        self.bounds = [THIRD, 2 * THIRD, REDIS_CLUSTER_HASH_SLOTS]

    def _answer(self, command: Command) -> bytes | None:
        if command[0] != b"CLUSTER" or command[1].upper() != b"SLOTS":
            return None
        ranges = zip([0, *self.bounds], self.bounds, self.fronts, strict=False)
        return array(*([low, high - 1, ["127.0.0.1", front.port]] for low, high, front in ranges))

    @property
    def url(self) -> str:
        return "redis+cluster://" + ",".join(f"127.0.0.1:{front.port}" for front in self.fronts)

    def user_of(self, number: int, *, last: bool = False) -> str:
        """A user whose list is on that primary; if `last`, in its last slots."""
        low, high = [0, *self.bounds][number], self.bounds[number]
        low = high - 1000 if last else low
        while True:
            user = uuid4().hex
            if low <= key_slot(user.encode()) < (high if last else high - 1000):
                return user


@pytest.fixture
async def primaries(node: ClusterNode) -> AsyncIterator[Primaries]:
    primaries = Primaries(node.port)
    async with AsyncExitStack() as opened:
        for front in primaries.fronts:
            await opened.enter_async_context(front)
        yield primaries


@pytest.fixture
def lists() -> Lists:
    return Lists()


@pytest.fixture
async def process(primaries: Primaries, lists: Lists) -> AsyncIterator[Process]:
    """Return the cache of one process."""
    async with AsyncExitStack() as opened:

        async def make(*, strict: bool = False) -> Cache:
            settings = replace(Settings.load({"REDIS_URL": primaries.url}), redis_timeout=5.0)
            cache = Cache(connect(settings), lists, strict=strict)
            opened.push_async_callback(cache.close)
            return await cache.settle()

        yield make


async def beat(*caches: Cache, seconds: float) -> None:
    """Send the heartbeats of each cache for this long."""
    for _ in range(round(seconds / HEARTBEAT_INTERVAL_S)):
        for cache in caches:
            cache.clock.now += HEARTBEAT_INTERVAL_S
            await cache.health.heartbeat()


async def write(cache: Cache, lists: Lists, user: str) -> None:
    async with cache.writing(user):
        lists.change()


async def fill(cache: Cache, *users: str) -> None:
    for user in users:
        await cache.total(user)
        await eventually(lambda user=user: hit(cache, user), within=60)  # type: ignore[misc] # the default is the type


async def hit(cache: Cache, user: str) -> bool:
    return (await cache.total(user))[1] is HIT


async def test_lists_of_live_primaries_are_cached_and_those_of_dead_ones_bypassed(
    primaries: Primaries, process: Process
) -> None:
    cache = await process()
    dead, *living = (primaries.user_of(number) for number in range(3))
    await fill(cache, dead, *living)

    primaries.fronts[0].is_away = True
    for _ in range(30):
        await beat(cache, seconds=HEARTBEAT_INTERVAL_S)
        assert [await hit(cache, user) for user in living] == [True, True]
    assert cache.health.state is RedisState.DOWN
    assert await cache.total(dead) == (0, BYPASSED)


async def test_every_process_sees_a_write_on_a_live_primary(
    primaries: Primaries, process: Process, lists: Lists
) -> None:
    one, other = await process(), await process()
    user = primaries.user_of(1)
    await fill(one, user)
    primaries.fronts[0].is_away = True
    await beat(one, other, seconds=2 * DOWN_AFTER_S)
    assert other.health.state is RedisState.DOWN

    await write(other, lists, user)

    assert not other.health.pending
    assert (await one.total(user))[0] == 1
    await fill(one, user)
    assert await one.total(user) == (1, HIT)


async def test_a_primary_that_is_back_serves_no_list_from_before_an_unfenced_write(
    primaries: Primaries, process: Process, lists: Lists
) -> None:
    one, other = await process(), await process()
    user, bystander = primaries.user_of(0), primaries.user_of(1)
    await fill(one, user, bystander)
    primaries.fronts[0].is_away = True
    await beat(one, other, seconds=2 * DOWN_AFTER_S)

    await write(other, lists, user)
    assert len(other.health.pending) == 1
    assert await one.total(user) == (1, BYPASSED)
    primaries.fronts[0].is_away = False
    await beat(one, seconds=GRACE_S / 2)
    assert await one.total(user) == (1, BYPASSED), "the other process has not delivered what it owes"
    await beat(other, seconds=HEARTBEAT_INTERVAL_S)
    assert not other.health.pending
    await beat(one, other, seconds=2 * GRACE_S)
    await fill(one, user)
    assert await one.total(user) == (1, HIT)


async def test_no_primary_is_trusted_while_a_majority_of_them_is_down(primaries: Primaries, process: Process) -> None:
    """The process may be cut off together with a primary that was replaced."""
    cache = await process()
    user = primaries.user_of(2)
    await fill(cache, user)

    primaries.fronts[0].is_away = primaries.fronts[1].is_away = True
    await beat(cache, seconds=2 * DOWN_AFTER_S)

    assert (await cache.total(user))[1] is BYPASSED
    assert not cache.health.is_available(f"mylist:{{{user}}}")
    assert not cache.health.knows_primary(f"mylist:{{{user}}}")


async def test_a_strict_process_accepts_writes_only_on_live_primaries(
    primaries: Primaries, process: Process, lists: Lists
) -> None:
    cache = await process(strict=True)
    primaries.fronts[0].is_away = True
    await beat(cache, seconds=2 * DOWN_AFTER_S)

    await write(cache, lists, primaries.user_of(1))
    with pytest.raises(CacheUnavailableError):
        await write(cache, lists, primaries.user_of(0))
    assert len(lists.items) == 1


async def test_invalidations_owed_to_a_dead_primary_do_not_delay_those_to_a_live_one(
    primaries: Primaries, process: Process
) -> None:
    cache = await process()
    dead, living = (f"mylist:{{{primaries.user_of(number)}}}" for number in (0, 1))
    primaries.fronts[0].is_away = True
    await beat(cache, seconds=2 * DOWN_AFTER_S)
    for key in (dead, living):
        cache.health.pending.add(key, b"a writer")
    assert not cache.health.trusts(living)

    await beat(cache, seconds=HEARTBEAT_INTERVAL_S)

    assert list(cache.health.pending.by_key) == [dead]
    assert cache.health.trusts(living)


@pytest.mark.parametrize("is_away", [True, False], ids=["a dead one", "one that is well"])
async def test_slots_that_move_are_trusted_at_once_only_if_their_primary_was_alive(
    primaries: Primaries, process: Process, is_away: bool
) -> None:
    """Another process may have written without a fence while the user's primary was down."""
    cache = await process()
    moving = primaries.user_of(0, last=True)
    await fill(cache, moving)
    primaries.fronts[0].is_away = is_away
    await beat(cache, seconds=2 * DOWN_AFTER_S)

    primaries.bounds[0] -= 1000
    with suppress(CacheUnavailableError):
        await cache.commands.topology.find()  # type: ignore[attr-defined] # of a Cluster
    await beat(cache, seconds=HEARTBEAT_INTERVAL_S)

    assert (await cache.total(moving))[1] is (BYPASSED if is_away else HIT)
    await beat(cache, seconds=2 * GRACE_S)
    assert await hit(cache, moving)


async def test_a_heartbeat_does_not_wait_for_a_primary_that_was_silent_before(primaries: Primaries) -> None:
    """If the heartbeat waited for the silent primary, it would know the state of the others too late."""
    timeout = 5.0
    commands = CacheCommands(connect(replace(Settings.load({"REDIS_URL": primaries.url}), redis_timeout=timeout)))
    loop = asyncio.get_running_loop()

    async def away() -> list[str]:
        try:
            await commands.ping()
        except SomePrimariesAwayError as error:
            return [str(failure) for failure in error.failures.values()]
        return []

    try:
        await commands.ping()
        primaries.fronts[0].is_frozen = True
        assert len(await away()) == 1
        began = loop.time()
        for _ in range(5):
            assert await away() == [f"127.0.0.1:{primaries.fronts[0].port} does not answer"]
        assert loop.time() - began < timeout

        primaries.fronts[0].is_frozen = False
        said = []
        while reasons := await away():
            said += reasons
            await asyncio.sleep(0.05)
        assert said[-1].endswith("answers too late"), "an answer to an earlier heartbeat says nothing of now"
    finally:
        primaries.fronts[0].is_frozen = False
        await commands.close()
