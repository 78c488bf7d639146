"""Every interleaving of two writers and two readers, crashes, expiries and a failover, through the real scripts.

The search goes through the states that the protocol can reach. It does not model Redis: the service's own commands run
each step of a key on the server, and the search reads the key's new value. (A step's result depends only on the key's
value before it, so equal steps are run once.)

Two things must hold in every state. A read returns at least the changes that were acknowledged when it began. A cached
list that lacks a change has a process that will invalidate it.
"""

import sys
from collections import deque
from collections.abc import Awaitable, Callable, Iterator
from functools import partial
from typing import NamedTuple, cast

import pytest
from redis.asyncio import Redis

from mylist.cache import commands as scripts
from mylist.cache.cached_value import EPOCH_BYTES, FENCE_TAG, LEASE_TAG, NONCE_BYTES
from mylist.cache.commands import CacheCommands
from mylist.cache.read_batcher import ReadBatcher
from mylist.cache.topology.base import Topology
from mylist.domain.content import ContentId
from mylist.domain.item import Item
from mylist.domain.packed_list import LIST_TAG, PackedList

KEY = "mylist:{interleavings}"
FOREVER = 3_600_000
WRITER_NONCES = (b"writer-0", b"writer-1")
MISSED = "a read missed an acknowledged change"
HIDDEN = "a cached list lacks an acknowledged change"
UNNOTICED = "a cached list lacks a change that nobody is left to invalidate"
READER_NONCES = (b"reader-0", b"reader-1")
EPOCHS = (b"epoch--0", b"epoch--1")
# The list after the n-th change has n items, so a value shows its version.
VALUES = [
    PackedList.of(Item(n, ContentId(bytes([n] * 12)), "movie") for n in range(version)).data for version in range(3)
]


class Writer(NamedTuple):
    """idle → fenced → committed → acknowledged, or crashed anywhere in between."""

    step: str = "idle"
    version: int = 0


class Reader(NamedTuple):
    """idle → empty → leased or loading → loaded → done; `floor` is the version that was acknowledged at its begin."""

    step: str = "idle"
    floor: int = 0
    version: int = -1
    lease: bytes = b""


class State(NamedTuple):
    """A tuple, because the search compares hundreds of thousands of states."""

    database: int = 0
    acknowledged: int = 0
    held: bytes | None = None
    replica: bytes | None = None
    """The replica's value of the key, which the primary held at some moment."""
    epoch: int = 0
    writers: tuple[Writer, Writer] = (Writer(), Writer())
    readers: tuple[Reader, Reader] = (Reader(), Reader())

    def with_writer(self, index: int, writer: Writer) -> "State":
        first, second = self.writers
        return self._replace(writers=(first, writer) if index else (writer, second))

    def with_reader(self, index: int, reader: Reader) -> "State":
        first, second = self.readers
        return self._replace(readers=(first, reader) if index else (reader, second))

    def violation(self) -> str | None:
        for reader in self.readers:
            if reader.step == "done" and reader.version < reader.floor:
                return MISSED
        if self.held and self.held.startswith(LIST_TAG) and self.held.startswith(EPOCHS[self.epoch], 1):
            cached = PackedList(self.held[:1] + self.held[1 + EPOCH_BYTES :]).total
            if cached < self.acknowledged:
                return HIDDEN
            if cached < self.database and not any(writer.step in {"fenced", "committed"} for writer in self.writers):
                return UNNOTICED
        return None


class Server:
    """The key on the real server; before each step, it is set to the value with which the step begins."""

    def __init__(self, primaries: Topology, client: Redis) -> None:
        self._primaries = primaries
        self._client = client
        self._commands = CacheCommands(primaries)
        self._known: dict[tuple[object, ...], tuple[bytes | None, object]] = {}

    async def step(
        self, state: State, run: Callable[[CacheCommands], Awaitable[object]], *what: object
    ) -> tuple[bytes | None, object]:
        """Run a step, which `what` names; return the value of the key after the step, and the step's answer."""
        known = (state.held, state.epoch, *what)
        if known not in self._known:
            if state.held is None:
                await self._client.delete(KEY)
            else:
                await self._client.set(KEY, state.held, px=FOREVER)
            owner = self._primaries.owner(KEY)
            assert owner is not None
            owner.epoch = EPOCHS[state.epoch]
            answer = await run(self._commands)
            after = cast("bytes | None", await self._client.get(KEY))
            assert after is None or 0 < await self._client.pttl(KEY) <= FOREVER, "no key lives forever"
            self._known[known] = after, answer
        return self._known[known]

    async def place_fence(self, state: State, writer: int) -> bytes | None:
        nonce = WRITER_NONCES[writer]
        after, _ = await self.step(state, lambda c: c.place_fence(KEY, nonce, lifetime_ms=FOREVER), "fence", writer)
        return after

    async def lift_fence(self, state: State, writer: int) -> bytes | None:
        after, _ = await self.step(state, lambda c: c.lift_fence(KEY, WRITER_NONCES[writer]), "lift", writer)
        return after

    async def look(self, state: State) -> bytes | None:
        _, met = await self.step(state, lambda c: ReadBatcher(c.router).get_many([(KEY, None)]), "look")
        return cast("list[bytes | None]", met)[0]

    async def place_lease(self, state: State, lease: bytes) -> tuple[bytes | None, bytes | None]:
        after, met = await self.step(state, lambda c: c.place_lease(KEY, lease, lifetime_ms=FOREVER), "lease", lease)
        assert met is None or isinstance(met, bytes)
        return after, met

    async def fill(self, state: State, lease: bytes, version: int) -> bytes | None:
        value = VALUES[version]
        after, _ = await self.step(
            state, lambda c: c.fill(KEY, lease, value, lifetime_ms=FOREVER), "fill", lease, version
        )
        return after


async def writer_steps(server: Server, state: State, index: int) -> list[State]:
    writer = state.writers[index]
    match writer.step:
        case "idle":
            held = await server.place_fence(state, index)
            return [state.with_writer(index, Writer("fenced"))._replace(held=held)]
        case "fenced":
            version = state.database + 1
            return [
                state.with_writer(index, Writer("committed", version))._replace(database=version),
                state.with_writer(index, Writer("crashed")),
            ]
        case "committed":
            held = await server.lift_fence(state, index)
            acknowledged = max(state.acknowledged, writer.version)
            return [
                state.with_writer(index, Writer("ended"))._replace(held=held, acknowledged=acknowledged),
                state.with_writer(index, Writer("crashed")),
            ]
    return []


async def reader_steps(server: Server, state: State, index: int) -> list[State]:
    reader = state.readers[index]
    match reader.step:
        case "idle":
            looked, met = Reader("empty", state.acknowledged), await server.look(state)
            return [state.with_reader(index, looked if met is None else _met(looked, met))]
        case "empty":
            lease = LEASE_TAG + READER_NONCES[index] + EPOCHS[state.epoch]
            held, met = await server.place_lease(state, lease)
            after = reader._replace(step="leased", lease=lease) if met is None else _met(reader, met)
            return [state.with_reader(index, after)._replace(held=held)]
        case "leased":
            return [state.with_reader(index, reader._replace(step="loaded", version=state.database))]
        case "loading":
            return [state.with_reader(index, reader._replace(step="done", version=state.database))]
        case "loaded":
            held = await server.fill(state, reader.lease, reader.version)
            return [state.with_reader(index, reader._replace(step="done"))._replace(held=held)]
    return []


def _met(reader: Reader, held: bytes) -> Reader:
    if held.startswith(LIST_TAG):
        return reader._replace(step="done", version=PackedList(held).total)
    return reader._replace(step="loading")


def expiry(state: State, *, early: bool) -> Iterator[State]:
    """The key expires; a fence or a lease expires only after its owners are gone, unless `early`."""
    if state.held is None:
        return
    alive = False
    if state.held.startswith(FENCE_TAG):
        nonces = {state.held[at : at + NONCE_BYTES] for at in range(1, len(state.held), NONCE_BYTES)}
        alive = any(
            nonce in nonces and writer.step in {"fenced", "committed"}
            for nonce, writer in zip(WRITER_NONCES, state.writers, strict=True)
        )
    elif state.held.startswith(LEASE_TAG):
        alive = any(reader.lease == state.held and reader.step in {"leased", "loaded"} for reader in state.readers)
    if early or not alive:
        yield state._replace(held=None)


def failover(state: State) -> Iterator[State]:
    """The replica catches up, or becomes the primary as it is; all processes know at once that its epoch has begun."""
    if state.epoch == 0:
        if state.replica != state.held:
            yield state._replace(replica=state.held)
        yield state._replace(held=state.replica, replica=None, epoch=1)


async def explore(
    server: Server, *, early: bool = False, failing_over: bool = False, until: frozenset[str] = frozenset()
) -> tuple[int, set[str]]:
    """Visit every reachable state, or stop at a violation in `until`; return their number and the violations."""
    seen, waiting, violations = {State()}, deque([State()]), set[str]()
    while waiting and violations.isdisjoint(until):
        state = waiting.popleft()
        if violation := state.violation():
            violations.add(violation)
            continue
        following = list(expiry(state, early=early))
        if failing_over:
            following += failover(state)
        for index in range(2):
            following += await writer_steps(server, state, index)
            following += await reader_steps(server, state, index)
        new = set(following) - seen
        seen |= new
        waiting.extend(new)
    return len(seen), violations


# These tests search the protocol, which does not depend on where it runs.
on_one_redis = pytest.mark.parametrize("each_redis_url", ["the run's Redis"], indirect=True)


@pytest.fixture
def make_server(primaries: Topology, redis_client: Redis) -> Callable[[], Server]:
    return partial(Server, primaries, redis_client)


@pytest.fixture
def server(make_server: Callable[[], Server]) -> Server:
    return make_server()


async def test_no_interleaving_hides_an_acknowledged_write(server: Server) -> None:
    states, violations = await explore(server)

    assert violations == set()
    assert states > 9_000


async def test_fences_and_leases_that_expire_early_hide_only_unacknowledged_writes(
    server: Server,
) -> None:
    """For example, Redis was flushed, or a process was stopped for longer than the lifetime of its fence."""
    _, violations = await explore(server, early=True)

    assert violations == {UNNOTICED}


@on_one_redis
async def test_a_failover_that_loses_data_hides_only_unacknowledged_writes(server: Server) -> None:
    _, violations = await explore(server, failing_over=True)

    assert violations == {UNNOTICED}


@on_one_redis
async def test_without_the_epochs_a_failover_can_hide_an_acknowledged_write(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.modules[__name__], "EPOCHS", (b"an epoch", b"an epoch"))

    _, violations = await explore(server, failing_over=True, until=frozenset({HIDDEN}))

    assert HIDDEN in violations


@on_one_redis
@pytest.mark.parametrize(
    ("script", "condition", "without"),
    [
        pytest.param("FILL", "~= lease then", "== 'never' then", id="a fill does not ask for its lease"),
        pytest.param(
            "PLACE_FENCE", "if tag == FENCE_TAG then", "if tag == 'never' then", id="a fence replaces another"
        ),
        pytest.param("LIFT_FENCE", "if tag ~= FENCE_TAG then", "if true then", id="a lift takes the others' fence too"),
        pytest.param("LIFT_FENCE", "if other ~= nonce then", "if false then", id="a lift takes all nonces out"),
        pytest.param("LIFT_FENCE", "if #others == 0 then", "if true then", id="a lift leaves nobody in the fence"),
    ],
)
async def test_removing_any_single_condition_breaks_the_protocol(
    make_server: Callable[[], Server], monkeypatch: pytest.MonkeyPatch, script: str, condition: str, without: str
) -> None:
    change(monkeypatch, script, condition, without)

    _, violations = await explore(make_server(), until=frozenset({MISSED, HIDDEN, UNNOTICED}))

    assert violations


@on_one_redis
async def test_keeping_a_list_found_when_lifting_a_fence_hides_an_acknowledged_write(
    make_server: Callable[[], Server], monkeypatch: pytest.MonkeyPatch
) -> None:
    change(monkeypatch, "LIFT_FENCE", "return redis.call('DEL', key)", "return 0")

    _, violations = await explore(make_server(), early=True, until=frozenset({MISSED, HIDDEN}))

    assert violations - {UNNOTICED}


def change(monkeypatch: pytest.MonkeyPatch, script: str, condition: str, without: str) -> None:
    source = getattr(scripts, script).source
    assert condition in source
    monkeypatch.setattr(scripts, script, scripts.Script(source.replace(condition, without, 1)))
