"""Every interleaving of a change, a load and an election of MongoDB, with the reigns that the processes know.

The model has one process that changes a list and one that loads it. The driver of each sees the old primary or the new
one. One Redis keeps the highest reign. The fence and the lease are a short form of those in `test_fence_protocol`. The
model has no durations. Where a delay guarantees an order (`mylist.domain.reign`), the model has that order. The search
visits all reachable states.

Two things must hold in every state. A read returns at least the changes that were acknowledged when the read began. No
cached list lacks an acknowledged change.
"""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, replace
from enum import Enum

import pytest

MISSED = "a read missed an acknowledged change"
HIDDEN = "a cached list lacks an acknowledged change"
OLD, NEW = 1, 2
"""The two reigns. The old primary does not know that its reign has ended."""


class Without(Enum):
    """A condition that is left out."""

    NOTHING = "nothing"
    HANDOVER = "a change waits until all know of its reign"
    REFUSAL = "a load is refused under a reign that is known to be over"
    COMMIT = "a load under a new reign waits until its primary has committed"
    SAME_REIGN = "a load is of one reign from its beginning to its end"


@dataclass(frozen=True)
class Reader:
    """idle → asked (it has a lease or none) → loading → loaded → done."""

    step: str = "idle"
    sees: int = OLD
    """The reign of the primary that its driver sees."""
    told: int = OLD
    """The highest reign that its heartbeats have returned."""
    floor: int = 0
    version: int = -1
    began_under: int = OLD
    has_lease: bool = False

    @property
    def knows_better(self) -> bool:
        return self.sees < self.told


@dataclass(frozen=True)
class State:
    has_elected: bool = False
    has_committed: bool = False
    """Whether a majority has a write of the new primary's term."""
    old: int = 1
    """The version that the old primary returns: all changes that were acknowledged before the election."""
    new: int = 1
    stale: int = 0
    """The version that the new primary returns before it has committed: it lacks acknowledged changes."""
    acknowledged: int = 1
    announced: int = OLD
    writer: str = "idle"
    writer_sees: int = OLD
    held: str = ""
    """The key in Redis: nothing, a fence, the number of the reader with the lease, or a list's version."""
    readers: tuple[Reader, ...] = (Reader(),)

    def with_reader(self, index: int, **changes: object) -> "State":
        readers = list(self.readers)
        readers[index] = replace(readers[index], **changes)  # type: ignore[arg-type]
        return replace(self, readers=tuple(readers))

    def violation(self) -> str | None:
        if any(each.step == "done" and each.version < each.floor for each in self.readers):
            return MISSED
        if self.held.startswith("list") and int(self.held[4:]) < self.acknowledged:
            return HIDDEN
        return None


def shown(state: State, reign: int) -> int:
    """Return the version that a majority read returns at the primary of a reign."""
    if reign == OLD:
        return state.old
    return state.new if state.has_committed else state.stale


def election(state: State) -> Iterator[State]:
    """The other members elect a primary; the old one continues. Later a majority has the data of the new one."""
    if not state.has_elected:
        yield replace(state, has_elected=True)
    elif not state.has_committed:
        yield replace(state, has_committed=True)


def drivers(state: State) -> Iterator[State]:
    """A driver sees the new primary."""
    if state.has_elected:
        if state.writer_sees == OLD:
            yield replace(state, writer_sees=NEW)
        for index, reader in enumerate(state.readers):
            if reader.sees == OLD:
                yield state.with_reader(index, sees=NEW)


def heartbeats(state: State) -> Iterator[State]:
    """A process announces the reign that its driver sees, and receives the highest one."""
    if state.writer_sees > state.announced:
        yield replace(state, announced=state.writer_sees)
    for index, reader in enumerate(state.readers):
        highest = max(state.announced, reader.sees)
        if highest > min(reader.told, state.announced):
            yield replace(state.with_reader(index, told=highest), announced=highest)


def writer_steps(state: State, without: Without) -> Iterator[State]:
    match state.writer:
        case "idle":
            yield replace(state, writer="fenced", held="fence")
        case "fenced" if state.writer_sees == NEW:
            # A majority has the change, and so knows the term. The old primary can no longer acknowledge changes.
            yield replace(state, writer="made", new=2, has_committed=True)
        case "fenced" if not state.has_elected:
            yield replace(state, writer="made", old=2, new=2)
        case "made":
            reign = state.writer_sees
            all_know = state.announced >= reign and all(max(each.told, each.sees) >= reign for each in state.readers)
            if all_know or without is Without.HANDOVER:
                yield replace(state, writer="ended", held="", acknowledged=2)


def reader_steps(state: State, index: int, without: Without) -> Iterator[State]:
    reader = state.readers[index]
    match reader.step:
        case "idle":
            has_lease = not state.held
            held = f"lease{index}" if has_lease else state.held
            if held.startswith("list"):
                yield state.with_reader(index, step="done", floor=state.acknowledged, version=int(held[4:]))
            else:
                begun = state.with_reader(index, step="asked", floor=state.acknowledged, has_lease=has_lease)
                yield replace(begun, held=held)
        case "asked":
            is_refused = reader.knows_better and without is not Without.REFUSAL
            is_early = reader.sees == NEW and not state.has_committed and without is not Without.COMMIT
            if not is_refused and not is_early:
                yield state.with_reader(index, step="loading", began_under=reader.sees)
        case "loading":
            # The driver sends the load to the primary that it sees at this point.
            yield state.with_reader(index, step="loaded", version=shown(state, reader.sees))
        case "loaded":
            is_same = reader.sees == reader.began_under or without is Without.SAME_REIGN
            if not is_same:
                yield state.with_reader(index, step="refused")
                return
            done = state.with_reader(index, step="done")
            if reader.has_lease and state.held == f"lease{index}":
                yield replace(done, held=f"list{reader.version}")
            else:
                yield done


def explore(without: Without) -> tuple[int, set[str]]:
    """Visit every reachable state; return the number of states, and the violations that were found."""
    seen, waiting, violations = {State()}, deque([State()]), set[str]()
    while waiting:
        state = waiting.popleft()
        if violation := state.violation():
            violations.add(violation)
            continue
        following = [*election(state), *drivers(state), *heartbeats(state), *writer_steps(state, without)]
        for index in range(len(state.readers)):
            following += reader_steps(state, index, without)
        new = set(following) - seen
        seen |= new
        waiting.extend(new)
    return len(seen), violations


def test_no_interleaving_hides_an_acknowledged_change() -> None:
    states, violations = explore(Without.NOTHING)

    assert violations == set()
    assert states > 300


@pytest.mark.parametrize("without", [each for each in Without if each is not Without.NOTHING])
def test_leaving_out_any_one_condition_violates_a_guarantee(without: Without) -> None:
    _, violations = explore(without)

    assert violations
