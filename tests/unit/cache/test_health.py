"""How long a process trusts Redis and fences its writes as usual: heartbeats extend the time, some events end it."""

import asyncio
import logging
from collections.abc import Callable

import pytest

from mylist.cache.health import RedisHealth, RedisState
from mylist.cache.topology.base import Primary, Topology
from mylist.config.redis_timing import (
    DOUBT_AFTER_S,
    DOWN_AFTER_S,
    GRACE_S,
    HANDOVER_S,
    HEARTBEAT_INTERVAL_S,
    PRIMARY_KNOWN_S,
)
from mylist.domain.errors import CacheUnavailableError
from mylist.domain.reign import NO_REIGN, Reigns


class NoServers(Topology):
    """A topology without servers: the test decides their answers."""

    identity = "a Redis"

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
    """Commands that Redis answers, unless it is away or does not lift fences."""

    def __init__(self) -> None:
        self.topology = NoServers(lambda *_: NotImplemented)
        self.is_away = False
        self.reason = "refused"
        self.lifts_fences = True
        self.pauses_s = 0.0
        self.pause: Callable[[float], None] = lambda _: None

    async def ping(self) -> None:
        self.pause(self.pauses_s)
        if self.is_away:
            raise CacheUnavailableError from ConnectionError(self.reason)

    async def lift_fences(self, _: object) -> None:
        if not self.lifts_fences:
            raise CacheUnavailableError


class Process:
    """A process: its view of the health of Redis, and its clock."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.sees = NO_REIGN
        self.commands = Commands()
        self.commands.pause = self.pass_time
        self.health = RedisHealth(self.commands, forget_after=60, clock=lambda: self.now)  # type: ignore[arg-type]

    def pass_time(self, seconds: float) -> None:
        self.now += seconds

    async def heartbeats(self, seconds: float) -> None:
        for _ in range(round(seconds / HEARTBEAT_INTERVAL_S)):
            self.now += HEARTBEAT_INTERVAL_S
            await self.health.heartbeat()

    def trusts(self) -> bool:
        """Return whether `ListCache` would trust Redis before a read."""
        is_trusted = self.now <= self.health.trusted_until
        assert is_trusted == self.health.is_trusted == self.health.trusts("a key")
        return is_trusted

    def fences_as_usual(self) -> bool:
        """Return whether `ListCache` would fence a write as usual. It asks before and after the write."""
        is_settled = self.now <= self.health.settled_until
        assert not is_settled or (self.health.is_available("a key") and self.health.knows_primary("a key"))
        return is_settled


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


async def test_an_unanswered_heartbeat_does_not_extend_trust(process: Process) -> None:
    before = process.health.trusted_until
    process.commands.is_away = True

    await process.heartbeats(HEARTBEAT_INTERVAL_S)

    assert process.trusts()
    assert process.health.trusted_until == before


async def test_a_pending_invalidation_ends_trust_until_it_is_delivered(process: Process) -> None:
    process.health.pending.add("a key", b"a writer")
    assert not process.trusts()

    process.commands.lifts_fences = False
    await process.heartbeats(1)
    assert not process.trusts()

    process.commands.lifts_fences = True
    await process.heartbeats(HEARTBEAT_INTERVAL_S)
    assert process.trusts()


async def test_a_single_pause_of_the_process_is_not_declared(process: Process) -> None:
    process.commands.pauses_s = DOWN_AFTER_S
    await process.heartbeats(HEARTBEAT_INTERVAL_S)
    assert not process.trusts()
    assert not process.health.unfenced

    process.commands.pauses_s = 0
    await process.heartbeats(GRACE_S + 2 * HEARTBEAT_INTERVAL_S)
    assert process.trusts()
    assert not process.health.unfenced


@pytest.mark.parametrize("pauses", [True, False])
async def test_a_second_consecutive_failure_is_declared_before_any_write_goes_unfenced(
    process: Process, pauses: bool
) -> None:
    process.commands.pauses_s, process.commands.is_away = (DOUBT_AFTER_S + 0.1, False) if pauses else (0.0, True)
    while not process.health.unfenced:
        assert process.health.is_available("a key")
        await process.heartbeats(HEARTBEAT_INTERVAL_S)

    process.commands.pauses_s, process.commands.is_away = 0, False
    await process.heartbeats(HEARTBEAT_INTERVAL_S)
    assert process.health.unfenced, "others wait for the grace as well"
    await process.heartbeats(GRACE_S + 2 * HEARTBEAT_INTERVAL_S)
    assert not process.health.unfenced


async def test_a_new_generation_ends_trust_until_the_grace_is_over(process: Process) -> None:
    process.commands.topology.lose_something()
    assert not process.trusts()

    await process.heartbeats(GRACE_S - HEARTBEAT_INTERVAL_S)
    assert not process.trusts()

    await process.heartbeats(3 * HEARTBEAT_INTERVAL_S)
    assert process.trusts()


async def test_a_new_generation_is_not_trusted_without_an_answered_heartbeat(process: Process) -> None:
    process.commands.topology.lose_something()
    process.commands.is_away = True

    await process.heartbeats(HEARTBEAT_INTERVAL_S)

    assert not process.trusts()


class TestWrites:
    async def test_are_fenced_as_usual_while_the_primary_is_known(self, process: Process) -> None:
        process.now += PRIMARY_KNOWN_S - 0.01
        assert process.fences_as_usual()

        process.now += 0.02
        assert not process.fences_as_usual()

    async def test_are_fenced_as_usual_while_an_invalidation_is_pending(self, process: Process) -> None:
        process.health.pending.add("a key", b"a writer")
        process.commands.lifts_fences = False
        await process.heartbeats(HEARTBEAT_INTERVAL_S)

        assert process.fences_as_usual()

    async def test_are_no_longer_fenced_as_usual_once_redis_is_down(self, process: Process) -> None:
        process.commands.is_away = True
        await process.heartbeats(DOWN_AFTER_S)
        assert process.fences_as_usual()

        await process.heartbeats(2 * HEARTBEAT_INTERVAL_S)
        assert process.health.state is RedisState.DOWN
        assert not process.fences_as_usual()

    @pytest.mark.parametrize("finds_others", [False, True], ids=["another epoch", "other primaries"])
    async def test_are_not_fenced_as_usual_during_the_grace_of_a_new_generation(
        self, process: Process, finds_others: bool
    ) -> None:
        process.commands.topology.failovers += finds_others
        process.commands.topology.lose_something()
        assert not process.fences_as_usual()

        await process.heartbeats(GRACE_S - HEARTBEAT_INTERVAL_S)
        assert not process.fences_as_usual()

        await process.heartbeats(3 * HEARTBEAT_INTERVAL_S)
        assert process.fences_as_usual()


class Server:
    """A primary of Redis, at which reigns are announced."""

    def __init__(self) -> None:
        self.has_answered = True
        self.reign_answer: tuple[str, str | None] = NO_REIGN, None


class TestAReignOfMongoDB:
    """A change ends only after every process knows the reign."""

    FIRST, SECOND = "7fffffff0000000000000001", "7fffffff0000000000000002"

    @pytest.fixture
    async def elected(self) -> Process:
        """A process that has announced the first reign, and now sees the second."""
        process = Process()
        server, process.sees, highest = Server(), self.FIRST, [NO_REIGN]
        process.commands.topology.all = (server,)  # type: ignore[assignment]
        process.commands.topology.owner = lambda _: server  # type: ignore[assignment, method-assign]

        async def answer() -> None:
            if process.commands.is_away:
                raise CacheUnavailableError
            server.reign_answer = process.sees, highest[0]
            highest[0] = max(highest[0], process.sees)

        process.commands.ping = answer  # type: ignore[method-assign]
        reigns = Reigns(handover_s=HANDOVER_S, seen=lambda: process.sees, clock=lambda: process.now)
        process.health = RedisHealth(
            process.commands,  # type: ignore[arg-type]
            forget_after=60,
            clock=lambda: process.now,
            reigns=reigns,
        )
        await process.heartbeats(GRACE_S + 2 * HEARTBEAT_INTERVAL_S)
        assert await process.health.wait_for_reign("a key")
        process.sees = self.SECOND
        return process

    async def test_counts_as_known_only_after_the_handover(self, elected: Process) -> None:
        waiting = asyncio.create_task(elected.health.wait_for_reign("a key"))
        await asyncio.sleep(2 * HEARTBEAT_INTERVAL_S)
        assert not waiting.done(), "it is not announced"
        await elected.heartbeats(HANDOVER_S - HEARTBEAT_INTERVAL_S)
        await asyncio.sleep(2 * HEARTBEAT_INTERVAL_S)
        assert not waiting.done(), "others may have been told before"
        await elected.heartbeats(2 * HEARTBEAT_INTERVAL_S)
        assert await waiting

    async def test_becomes_the_settled_reign_once_all_processes_know_it(self, elected: Process) -> None:
        health = elected.health
        assert (health.seen_reign(), health.settled_reign) == (self.SECOND, self.FIRST)
        await elected.heartbeats(HANDOVER_S - HEARTBEAT_INTERVAL_S)
        assert elected.fences_as_usual()
        assert health.settled_reign != self.SECOND, "others may have been told before"
        await elected.heartbeats(2 * HEARTBEAT_INTERVAL_S)
        assert health.settled_reign == self.SECOND

    async def test_is_not_known_while_redis_is_unavailable(self, elected: Process) -> None:
        elected.commands.is_away = True
        waiting = asyncio.create_task(elected.health.wait_for_reign("a key"))
        await elected.heartbeats(DOWN_AFTER_S + 3 * HEARTBEAT_INTERVAL_S)
        assert not await waiting

    async def test_is_known_at_once_without_elections(self, process: Process) -> None:
        process.commands.is_away = True
        assert await process.health.wait_for_reign("a key")


async def test_an_outage_with_a_new_reason_is_logged_again(process: Process, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    process.commands.is_away = True
    for reason in ("Name or service not known", "10.0.0.7:6379 refused", "10.0.0.8:6379 refused", "invalid password"):
        process.commands.reason = reason
        await process.heartbeats(40)
    process.commands.is_away = False
    await process.heartbeats(40)

    means = "lists come from MongoDB until it recovers"
    assert caplog.messages == [
        f"Redis is down: Name or service not known; {means}",
        f"Redis is still down: 10.0.0.7:6379 refused; {means}",
        f"Redis is still down: invalid password; {means}",
        "Redis is recovering",
        "Redis is up",
    ]


async def test_alternating_reasons_do_not_flood_the_log(process: Process, caplog: pytest.LogCaptureFixture) -> None:
    process.commands.is_away = True
    for number in range(300):
        process.commands.reason = ("refused", "timed out")[number % 2]
        await process.heartbeats(1)

    assert 2 < len(caplog.messages) <= 11
