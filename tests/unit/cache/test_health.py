"""How long a process trusts what Redis holds: a heartbeat puts the end off, and some events bring it at once."""

import pytest

from mylist.cache.health import RedisHealth
from mylist.cache.topology.base import Primary, Topology
from mylist.config.redis_timing import DOUBT_AFTER_S, GRACE_S, HEARTBEAT_INTERVAL_S
from mylist.domain.errors import CacheUnavailableError


class NoServers(Topology):
    """Primaries of which there are none: what they answer is up to the test."""

    def owner(self, key: str) -> None:
        pass

    async def find_owner(self, key: str, former: Primary | None) -> Primary:
        raise NotImplementedError

    async def watch(self) -> None:
        pass

    async def suspect(self) -> None:
        pass

    def lose_something(self) -> None:
        self._begin_generation()


class Commands:
    """Commands that Redis answers, unless it is away or takes no fence."""

    def __init__(self) -> None:
        self.topology = NoServers(lambda *_: NotImplemented)
        self.is_away = False
        self.lifts_fences = True

    async def ping(self) -> None:
        if self.is_away:
            raise CacheUnavailableError

    async def lift_fences(self, _: object) -> None:
        if not self.lifts_fences:
            raise CacheUnavailableError


class Process:
    """The health that a process knows of, and its clock."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.commands = Commands()
        self.health = RedisHealth(self.commands, forget_after=60, clock=lambda: self.now)  # type: ignore[arg-type]

    async def heartbeats(self, seconds: float) -> None:
        for _ in range(round(seconds / HEARTBEAT_INTERVAL_S)):
            self.now += HEARTBEAT_INTERVAL_S
            await self.health.heartbeat()

    def trusts(self) -> bool:
        """What `ListCache` asks, in its words."""
        is_trusted = self.now <= self.health.trusted_until
        assert is_trusted == self.health.is_trusted == self.health.trusts("a key")
        return is_trusted


@pytest.fixture
async def process() -> Process:
    process = Process()
    assert not process.trusts()
    await process.heartbeats(GRACE_S + 2 * HEARTBEAT_INTERVAL_S)
    assert process.trusts()
    return process


async def test_trust_lasts_for_a_while_after_the_last_answer(process: Process) -> None:
    process.now += DOUBT_AFTER_S - 0.01
    assert process.trusts()

    process.now += 0.02
    assert not process.trusts()


async def test_a_heartbeat_without_an_answer_does_not_put_the_end_off(process: Process) -> None:
    before = process.health.trusted_until
    process.commands.is_away = True

    await process.heartbeats(HEARTBEAT_INTERVAL_S)

    assert process.trusts()
    assert process.health.trusted_until == before


async def test_an_invalidation_that_waits_ends_it_until_it_is_delivered(process: Process) -> None:
    process.health.pending.add("a key", b"a writer")
    assert not process.trusts()

    process.commands.lifts_fences = False
    await process.heartbeats(1)
    assert not process.trusts()

    process.commands.lifts_fences = True
    await process.heartbeats(HEARTBEAT_INTERVAL_S)
    assert process.trusts()


async def test_a_new_generation_ends_it_for_the_grace(process: Process) -> None:
    process.commands.topology.lose_something()
    assert not process.trusts()

    await process.heartbeats(GRACE_S - HEARTBEAT_INTERVAL_S)
    assert not process.trusts()

    await process.heartbeats(3 * HEARTBEAT_INTERVAL_S)
    assert process.trusts()


async def test_a_new_generation_that_no_heartbeat_has_answered_stays_distrusted(process: Process) -> None:
    process.commands.topology.lose_something()
    process.commands.is_away = True

    await process.heartbeats(HEARTBEAT_INTERVAL_S)

    assert not process.trusts()


class TestAReignOfMongoDB:
    async def test_is_known_at_once_where_there_are_no_elections(self, process: Process) -> None:
        process.commands.is_away = True
        assert await process.health.wait_for_reign("a key")
