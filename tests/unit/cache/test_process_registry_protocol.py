"""Every interleaving of processes that declare in a shared registry which Redis they use, or that they reach none.

The model has one list and four processes. The reader serves the list from Redis A and fills it; it may restart. The
writer also uses A, and its link may be cut. The writer may die at any point, and may be considered dead while it lives.
The visitor uses Redis B, changes the list and leaves. The content of B does not matter, because no other process reads
it. The companion uses A, and may join while the visitor is there. Leases and fences are a short form of those in
`test_fence_protocol`. A may lose its content.

The model has no durations. Where a delay guarantees an order (`mylist.domain.process_registry`), the model has that
order. The search visits all reachable states. In each state, a read must return at least the changes that were
acknowledged when the read began.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from enum import Enum

import pytest

A, B = "A", "B"
READER, WRITER, VISITOR, COMPANION = range(4)


class Without(Enum):
    """A rule that is left out."""

    NOTHING = "nothing"
    DECLARATION = "a process declares that it is unfenced before it changes a list"
    HEEDING = "it waits until all others have heeded the declaration"
    DISTRUST = "nobody trusts the cache while a process is unfenced"
    COVERED_END = "what was changed behind a fence that cannot be lifted is acknowledged after a declaration"
    DELIVERY = "a process delivers what it owes before it withdraws its declaration"
    EPOCH_OF_GONE = "the removal of the entry of one that is unfenced begins an epoch"
    OTHER_CACHE = "nobody trusts the cache while a process uses another"
    HEEDED_JOIN = "a process with another cache changes nothing before all have heeded that"
    EPOCH_OF_CACHE = "the registry names another cache only with another epoch"
    SECOND_LOOK = "a lease is placed in an epoch that the reader trusts, by then"
    STANDING = "a process without an entry changes nothing"


@dataclass(frozen=True)
class Entry:
    cache: str
    unfenced: bool = False


@dataclass(frozen=True)
class Reading:
    """The reader's last reading of the registry.

    Attributes:
        declarations: the number of declarations at that time.
        trusts: whether the reader may serve lists from the cache.
        epoch: the epoch of the registry.
    """

    declarations: int
    trusts: bool
    epoch: int


@dataclass(frozen=True)
class State:
    # MongoDB
    version: int = 0
    acknowledged: int = 0
    epoch: int = 0
    cache: str = A
    declarations: int = 0
    entries: tuple[Entry | None, ...] = (Entry(A), Entry(A), None, None)
    # Redis A: nothing, "fence", "lease" with its epoch, or "list" with its version and epoch
    held: tuple[object, ...] = ()
    may_flush: bool = True
    # the reader
    known: Reading | None = None
    read: str = "idle"
    floor: int = 0
    lease_epoch: int = -1
    loaded: int = -1
    is_stale: bool = False
    may_restart: bool = True
    # the writer
    link: str = "whole"
    writer: str = "idle"
    is_fenced: bool = False
    owes: bool = False
    number: int = -1
    """The number of the writer's declaration."""
    is_alive: bool = True
    was_gone: bool = False
    # the visitor
    visitor: str = "away"
    companion: str = "away"

    def with_entry(self, process: int, entry: Entry | None, **changes: object) -> "State":
        entries = list(self.entries)
        entries[process] = entry
        return replace(self, entries=tuple(entries), **changes)  # type: ignore[arg-type]


def have_heeded(state: State, number: int) -> bool:
    """Return whether no process trusts Redis by a reading from before a declaration. The reading may have expired."""
    return state.known is None or not state.known.trusts or state.known.declarations >= number


def joined(state: State, process: int, cache: str, without: Without) -> State:
    is_another = state.cache != cache
    return state.with_entry(
        process,
        Entry(cache),
        cache=cache,
        epoch=state.epoch + (is_another and without is not Without.EPOCH_OF_CACHE),
        declarations=state.declarations + is_another,
    )


def reader_steps(state: State, without: Without) -> Iterator[State]:
    if state.entries[READER] is None:
        yield joined(state, READER, A, without)
        return
    yield from registry_steps(state, without)
    known = state.known
    match state.read:
        case "idle" if known and known.trusts:
            yield replace(state, read="trusting", floor=state.acknowledged)
        case "trusting" if known:
            yield look(state, known, without)
        case "leased":
            yield replace(state, read="loaded", loaded=state.version)
        case "loaded":
            held = state.held
            if held == ("lease", state.lease_epoch):
                held = ("list", state.loaded, state.lease_epoch)
            yield replace(state, read="idle", floor=0, held=held, lease_epoch=-1, loaded=-1)


def look(state: State, known: Reading, without: Without) -> State:
    """The reader looks into Redis. It gets a list or a lease, or reads from MongoDB, which has all changes."""
    match state.held:
        case ("list", version, epoch) if epoch == known.epoch:
            return replace(state, read="idle", floor=0, is_stale=version < state.floor)  # type: ignore[operator]
        case ("fence",) | ("lease", *_):
            return replace(state, read="idle", floor=0)
    if known.trusts or without is Without.SECOND_LOOK:
        return replace(state, read="leased", held=("lease", known.epoch), lease_epoch=known.epoch)
    return replace(state, read="idle", floor=0)


def registry_steps(state: State, without: Without) -> Iterator[State]:
    """The reader reads the registry, lets its reading expire, or restarts."""
    known = state.known
    others = [each for each in state.entries[1:] if each]
    agree = all(each.cache == A for each in others)
    if agree and state.cache != A:
        yield replace(state, cache=A, epoch=state.epoch + (without is not Without.EPOCH_OF_CACHE))
    trusts = (not any(each.unfenced for each in others) or without is Without.DISTRUST) and (
        (agree and state.cache == A) or without is Without.OTHER_CACHE
    )
    reading = Reading(state.declarations, trusts, state.epoch)
    if known != reading:
        yield replace(state, known=reading)
    if known is not None:
        yield replace(state, known=None)
    if state.may_restart and state.read == "idle":
        yield state.with_entry(READER, None, known=None, may_restart=False)


def writer_steps(state: State, without: Without) -> Iterator[State]:
    if state.is_alive:
        yield replace(state, is_alive=False)
        yield from link_steps(state, without)
        yield from change_steps(state, without)


def link_steps(state: State, without: Without) -> Iterator[State]:
    """The writer loses Redis or reaches it again, and declares so."""
    entry = state.entries[WRITER]
    if state.link == "whole":
        yield replace(state, link="cut")
    elif state.link == "cut":
        yield replace(state, link="mended")
    if entry is None:
        yield state.with_entry(WRITER, Entry(A), epoch=state.epoch + 1, cache=A, number=-1)
    reaches = state.link != "cut"
    if reaches and state.owes:
        yield replace(state, owes=False, held=())
    if entry and entry.unfenced and reaches and (not state.owes or without is Without.DELIVERY):
        yield state.with_entry(WRITER, Entry(A), number=-1)
    if entry and not entry.unfenced and not reaches and without is not Without.DECLARATION:
        number = state.declarations + 1
        yield state.with_entry(WRITER, Entry(A, unfenced=True), declarations=number, number=number)


def change_steps(state: State, without: Without) -> Iterator[State]:
    """The writer changes the list."""
    entry, reaches = state.entries[WRITER], state.link != "cut"
    stands = entry is not None or without is Without.STANDING
    is_declared = bool(entry and entry.unfenced) or without is Without.DECLARATION
    is_heeded = have_heeded(state, state.number) or without in {Without.HEEDING, Without.DECLARATION}
    is_covered = stands and ((is_declared and is_heeded) or (without is Without.STANDING and entry is None))
    match state.writer:
        case "idle":
            if reaches and stands:
                yield replace(state, writer="begun", is_fenced=True, held=("fence",))
            elif not reaches and is_covered:
                yield replace(state, writer="begun")
        case "begun":
            yield replace(state, writer="made", version=state.version + 1)
        case "made" if reaches:
            # Lifting deletes the key with any content. The key cannot hold another process's fence.
            yield replace(state, writer="ending", is_fenced=False, held=())
        case "made":
            yield replace(state, writer="owing", owes=True)
        case "ending" if stands:
            yield replace(state, writer="ended", acknowledged=state.version)
        case "owing" if not state.owes:
            yield replace(state, writer="ending", is_fenced=False)
        case "owing" if is_covered or (state.is_fenced and without is Without.COVERED_END):
            yield replace(state, writer="ended", acknowledged=state.version)


def visitor_steps(state: State, without: Without) -> Iterator[State]:
    match state.visitor:
        case "away":
            yield replace(joined(state, VISITOR, B, without), visitor="joined")
        case "joined" if have_heeded(state, state.declarations) or without is Without.HEEDED_JOIN:
            yield replace(state, visitor="covered")
        case "covered":
            # Its fence is in B. Two concurrent changes would get one version, so readers could not distinguish them.
            if state.writer not in {"begun", "made", "ending", "owing"}:
                version = state.version + 1
                yield replace(state, visitor="done", version=version, acknowledged=version)
        case "done":
            yield state.with_entry(VISITOR, None, visitor="gone")


def others_steps(state: State, without: Without) -> Iterator[State]:
    if state.companion == "away":
        yield replace(joined(state, COMPANION, A, without), companion="here")
    if state.may_flush and state.held:
        yield replace(state, held=(), may_flush=False)
    if state.held == ("fence",) and state.writer in {"idle", "ended"}:
        yield replace(state, held=())  # the fence expires
    if not state.is_alive and state.held == ("fence",):
        yield replace(state, held=())
    entry = state.entries[WRITER]
    if entry and (not state.is_alive or not state.was_gone):
        begins = entry.unfenced and without is not Without.EPOCH_OF_GONE
        yield state.with_entry(WRITER, None, epoch=state.epoch + begins, was_gone=True)


SCENARIOS = {
    "another Redis is used": State(entries=(Entry(A), None, None, None), is_alive=False),
    "a link is cut": State(visitor="gone", companion="gone", may_restart=False),
}


def explore(without: Without, start: State) -> tuple[int, bool]:
    """Visit all reachable states, or stop at the first stale read; return the number of states, and whether one was."""
    seen, waiting = {start}, [start]
    while waiting:
        state = waiting.pop()
        if state.is_stale:
            return len(seen), True
        following = {
            *reader_steps(state, without),
            *writer_steps(state, without),
            *visitor_steps(state, without),
            *others_steps(state, without),
        }
        new = following - seen
        seen |= new
        waiting.extend(new)
    return len(seen), False


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_no_interleaving_hides_an_acknowledged_change(scenario: str) -> None:
    states, is_stale = explore(Without.NOTHING, SCENARIOS[scenario])

    assert not is_stale
    assert states > 1000


@pytest.mark.parametrize("without", [each for each in Without if each is not Without.NOTHING])
def test_leaving_out_any_one_rule_makes_a_read_stale(without: Without) -> None:
    assert any(explore(without, start)[1] for start in SCENARIOS.values())
