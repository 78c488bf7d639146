"""Could a single correct list have given these answers? Decided for one user's history, exactly.

Each operation takes effect at one moment between its request and its answer. An unacknowledged change takes effect at
one moment between its request and `LATE_S` after, or never. The history is right if the moments can be chosen so that
every answer fits (it is linearizable). This rules out a lost or reverted change, a removed item that comes back, a page
that no moment's list would have given, and a 409 for a missing title.

The search goes through requests and answers in the order of time and keeps every world that fits so far. A world is a
state of the list, and the set of operations in flight that have taken effect in it. Two rules keep the worlds few. An
observation takes effect as soon as a state fits: it changes nothing, so waiting is pointless. A change takes effect
only when an answer requires it: its own, or one that a world without it does not fit.
"""

from collections import Counter, deque
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from itertools import permutations

from tests.faults.freshness.history import (
    MONGODB,
    Add,
    Change,
    Discard,
    Item,
    Observation,
    Operation,
    Page,
    Read,
    Remove,
)
from tests.faults.freshness.list_model import ListState, ListStates

LATE_S = 30.0
"""Seconds until an unacknowledged change can no longer happen. Its longest wait is in the socket of a frozen MongoDB,
and each freeze lasts less than a third of this."""

_MAX_WORLDS = 8000
_MAX_UNNOTICED = 64
_MAX_DETOURS = 4
_MAX_COMPARED = 200
_MAX_PAST_STATES = 4000
_MAX_WAVERING = 20


class Kind(Enum):
    """The kinds of answers that no correct list could have given."""

    STALE = "stale read"
    """A state without a change that had been acknowledged, or seen, when the read began."""
    LOST = "lost write"
    """MongoDB, at the end, lacks what was acknowledged, or has what was removed."""
    DUPLICATED = "duplicated item"
    REORDERED = "reordered items"
    MISCOUNTED = "miscounted page"
    IMPOSSIBLE = "impossible read"
    """A state that the list never had."""
    SKIPPED = "skipped by a token"
    """A device's copy that is stale or impossible: its tokens led past a change."""
    REFUSED = "impossible refusal"
    """A 409 for a missing title, or a 404 for an existing one."""
    ACCEPTED = "impossible change"
    """A 201 for an existing title, or a 200 for the removal of a missing one."""
    WAVERED = "wavering read"
    """The state before a change that was still in flight, after another read had shown the change."""
    CONTRADICTED = "contradicted read"
    """A change, a refusal or MongoDB's content that is right in itself, but not after what reads had shown."""


@dataclass(frozen=True, slots=True)
class Violation:
    """One answer that no correct list could have given.

    Attributes:
        kind: what it is.
        operation: the answer.
        stale_by: of a stale read: for how many seconds the list had been different when the read began.
        expected: what the list may have held.
    """

    kind: Kind
    operation: Operation
    stale_by: float
    expected: tuple[ListState, ...]


@dataclass(frozen=True, slots=True)
class Findings:
    """The result of the check of one user; `undecided` counts answers with too many explanations to try."""

    violations: list[Violation]
    undecided: int


def check(
    operations: Collection[Operation],
    *,
    shows: frozenset[int],
    late: float = LATE_S,
) -> Findings:
    """Check the history of one user.

    Args:
        operations: the history, of a list that was empty before.
        shows: which titles are shows.
        late: for how many seconds a change that was not acknowledged may still happen.
    """
    # MongoDB's decisions are checked first, without the reads: a wrong read must not make a write look lost. Without
    # reads, the outcome of a change stays open for long, and the possible outcomes would multiply. No operation left
    # concerns two titles at once, so each title is checked alone.
    decided = [each for each in operations if each.process == MONGODB or not isinstance(each.action, Read)]
    basis: list[Violation] = []
    undecided = 0
    for of_title in _by_title(decided):
        findings = _Search([each for each, _ in of_title], shows, late).run()
        originals = {id(each): original for each, original in of_title}
        basis += (replace(each, operation=originals[id(each.operation)]) for each in findings.violations)
        undecided += findings.undecided
    whole = _Search(operations, shows, late).run()
    known = {id(violation.operation) for violation in basis}
    further = (
        replace(violation, kind=Kind.CONTRADICTED) if violation.kind in _OF_MONGODB else violation
        for violation in whole.violations
        if id(violation.operation) not in known
    )

    def wavers(read: Operation) -> bool:
        """Return whether a read is wrong only because others had shown a change in flight."""
        under_way = [each.began for each in operations if _is_change_beside(each, read)]
        if not under_way:
            return False
        since = min(under_way)
        alone = [each for each in operations if each is read or not _is_read_between(each, since, read.ended)]
        again = _Search(alone, shows, late).run()
        return all(violation.operation is not read for violation in again.violations)

    violations = [replace(each, kind=_kind_of(each)) for each in (*basis, *further)]
    reads = [number for number, each in enumerate(violations) if each.kind in {Kind.STALE, Kind.IMPOSSIBLE}]
    if len(reads) <= _MAX_WAVERING:  # each costs a search; so many have another cause
        for number in reads:
            if wavers(violations[number].operation):
                violations[number] = replace(violations[number], kind=Kind.WAVERED)
    return Findings(violations, undecided + whole.undecided)


def _kind_of(violation: Violation) -> Kind:
    is_of_a_read = violation.kind in {Kind.STALE, Kind.IMPOSSIBLE}
    return Kind.SKIPPED if is_of_a_read and violation.operation.request == "changes" else violation.kind


def _is_change_beside(operation: Operation, read: Operation) -> bool:
    overlaps = operation.began <= read.ended and read.began <= operation.ended
    return overlaps and isinstance(operation.action, Change)


def _is_read_between(operation: Operation, since: float, until: float) -> bool:
    is_read = isinstance(operation.action, Read) and operation.process != MONGODB
    return is_read and since <= operation.ended and operation.began <= until


def _by_title(decided: Iterable[Operation]) -> Iterable[list[tuple[Operation, Operation]]]:
    """Return the operations of each title: what an operation says of it, and the operation itself."""
    titles: dict[int, list[tuple[Operation, Operation]]] = {}
    whole_lists: list[Operation] = []
    for operation in decided:
        action = operation.action
        if isinstance(action, Page):
            whole_lists.append(operation)
            for title, _ in action.items:
                titles.setdefault(title, [])
        elif not isinstance(action, Read):
            titles.setdefault(action.title, []).append((operation, operation))
    for title, operations in titles.items():
        for operation in whole_lists:
            assert isinstance(operation.action, Page)
            items = tuple(item for item in operation.action.items if item[0] == title)
            of_title = replace(operation, action=replace(operation.action, total=len(items), items=items))
            operations.append((of_title, operation))
    return titles.values()


_OF_MONGODB = {Kind.LOST, Kind.REFUSED, Kind.ACCEPTED}


_World = tuple[ListState, int]
"""A state, and a bit for each operation in flight that has taken effect in it."""


class _Search:
    def __init__(
        self,
        operations: Collection[Operation],
        shows: frozenset[int],
        late: float,
    ) -> None:
        self._operations = list(operations)
        self._late = late
        self._states = ListStates(shows)
        self._dates = _dates(self._operations)
        self._worlds: set[_World] = {(self._states.of({}), 0)}
        self._observing: dict[int, Observation] = {}
        self._changing: dict[int, tuple[Change, tuple[str | None, ...]]] = {}
        # Of the changes that were not acknowledged: until when they may happen.
        self._until: dict[int, float] = {}
        self._free_bits = [1]
        self._past: deque[tuple[ListState, float]] = deque(maxlen=_MAX_PAST_STATES)
        self._violations: list[Violation] = []
        self._undecided = 0

    def run(self) -> Findings:
        events: list[tuple[float, bool, int]] = []
        for number, operation in enumerate(self._operations):
            if isinstance(operation.action, Page) and operation.action.flaw:
                self._report(Kind[operation.action.flaw.upper()], operation)
                continue
            late = 0.0 if operation.acknowledged else self._late
            # At the same moment requests come before answers: such operations overlap.
            events += ((operation.began, False, number), (operation.ended + late, True, number))
        events.sort()
        bits: dict[int, int] = {}
        for moment, ends, number in events:
            operation = self._operations[number]
            if not ends:
                bits[number] = self._begin(operation)
                continue
            before = self._worlds
            bit = bits.pop(number)
            if self._end(operation, bit):
                self._free_bits.append(bit)
            if before is not self._worlds:
                self._remember(before, moment)
        return Findings(self._violations, self._undecided)

    def _begin(self, operation: Operation) -> int:
        bit = self._free_bits.pop()
        if not self._free_bits:
            self._free_bits.append(bit << 1)
        if isinstance(operation.action, Change):
            self._changing[bit] = operation.action, self._dates.get(id(operation), (None,))
            if not operation.acknowledged:
                self._until[bit] = operation.ended + self._late
        else:
            self._observing[bit] = action = operation.action
            self._worlds = {
                (state, done | bit) if state.answers(action) else (state, done) for state, done in self._worlds
            }
        return bit

    def _end(self, operation: Operation, bit: int) -> bool:
        """Draw the conclusions from an answer; return whether the operation's bit is free again."""
        if not operation.acknowledged:
            return self._let_go(bit)
        kept = self._fitting(bit, max_worlds=_MAX_WORLDS)
        if kept is None:
            # Leaving out observations can only excuse too much, and nothing else concerns two titles at once.
            self._undecided += 1
            observed = sum(self._observing)
            self._worlds = {(state, done | observed) for state, done in self._worlds}
            kept = self._fitting(bit)
        self._changing.pop(bit, None)
        self._observing.pop(bit, None)
        if kept:
            self._worlds = self._undominated(_without(bit, kept))
        else:
            self._refute(operation)
        return True

    def _fitting(self, bit: int, max_worlds: float = float("inf")) -> set[_World] | None:
        """Return the worlds in which an operation that ends has taken effect; None if there are too many."""
        kept = {world for world in self._worlds if world[1] & bit}
        for world in self._worlds - kept:
            explanations = self._explanations(world, bit)
            if explanations is None or len(kept) > max_worlds:
                return None
            kept |= explanations
        return kept

    def _let_go(self, bit: int) -> bool:
        """Close an unacknowledged change: until now it may have happened unnoticed."""
        unnoticed: set[_World] = set()
        for world in self._worlds:
            if not world[1] & bit:
                explanations = self._explanations(world, bit)
                if explanations is None or len(self._worlds) + len(unnoticed) > _MAX_UNNOTICED:
                    return False  # it stays open, which excuses more, until the end
                unnoticed |= explanations
        del self._changing[bit], self._until[bit]
        self._worlds = self._undominated(_without(bit, self._worlds | unnoticed))
        return True

    def _undominated(self, worlds: set[_World]) -> set[_World]:
        """Leave out each world in which more has happened than in another one that is otherwise the same.

        An unacknowledged change may happen later or never, so every future of this world is one of the other's.
        """
        if len(worlds) == 1 or not self._until:
            return worlds
        optional = sum(self._until)
        alike: dict[_World, list[int]] = {}
        for state, done in worlds:
            alike.setdefault((state, done & ~optional), []).append(done & optional)
        kept = set()
        for (state, done), happened in alike.items():
            minimal: list[int] = []
            for each in sorted(happened, key=int.bit_count):
                if not any(other & each == other for other in minimal):
                    minimal.append(each)
            kept |= {(state, done | each) for each in minimal}
        return kept

    def _refute(self, operation: Operation) -> None:
        action = operation.action
        match action:
            case Add() | Remove() | Discard():
                self._report(Kind.ACCEPTED, operation)
                self._worlds = self._forced(action)
            case Page() if operation.process == MONGODB:
                self._report(Kind.LOST, operation)
                self._worlds = {(self._states.of(dict(action.items)), done) for _, done in self._worlds}
            case _:
                self._report_observation(operation, action)

    def _report_observation(self, operation: Operation, observed: Observation) -> None:
        if not isinstance(observed, Read):
            self._report(Kind.REFUSED, operation)
            return
        ended = next((moment for state, moment in reversed(self._past) if state.answers(observed)), None)
        if ended is None:
            self._report(Kind.IMPOSSIBLE, operation)
        else:
            self._report(Kind.STALE, operation, stale_by=operation.began - ended)

    def _forced(self, change: Change) -> set[_World]:
        added_at = change.added_at if isinstance(change, Add) else None
        return {(self._states.forced(state, change, added_at), done) for state, done in self._worlds}

    def _report(self, kind: Kind, operation: Operation, *, stale_by: float = 0.0) -> None:
        expected = tuple({state: None for state, _ in self._worlds})
        self._violations.append(Violation(kind, operation, stale_by, expected))

    def _remember(self, before: Iterable[_World], moment: float) -> None:
        gone = {state for state, _ in before} - {state for state, _ in self._worlds}
        self._past += ((state, moment) for state in gone)

    def _explanations(self, world: _World, goal: int) -> set[_World] | None:
        """Return the worlds that follow from one by changes in flight and in which the goal has taken effect.

        None when there are too many to go through.
        """
        reached: set[_World] = set()
        seen = {world}
        waiting = [world]
        while waiting:
            at = waiting.pop()
            for bit, following in self._steps(at, goal):
                if following in seen:
                    continue
                seen.add(following)
                if len(seen) > _MAX_WORLDS:
                    return None
                if bit == goal or following[1] & goal:
                    reached.add(following)
                else:
                    waiting.append(following)
        return self._without_detours(reached) if len(reached) > 1 else reached

    def _steps(self, world: _World, goal: int) -> Iterable[tuple[int, _World]]:
        state, done = world
        calls = [state.calls_for(each) for bit, each in self._observing.items() if not done & bit]
        title = self._changing[goal][0].title if goal in self._changing else None
        spare = self._spare(done) - {goal}
        for bit, (change, values) in self._changing.items():
            if done & bit or bit in spare:
                continue
            if isinstance(change, Discard) and change.title not in state.items:
                # A discard that finds nothing may wait for its own answer, unless an add of the title is in flight.
                if bit != goal and not self._is_adding(change.title, done):
                    continue
            elif not (change.title == title or any(call(change) for call in calls)):
                continue
            for added_at in values:
                following = self._states.after(state, change, added_at)
                if following is not None:
                    yield bit, (following, self._observed(following, done | bit))

    def _is_adding(self, title: int, done: int) -> bool:
        return any(
            change.title == title and isinstance(change, Add) and not done & bit
            for bit, (change, _) in self._changing.items()
        )

    def _spare(self, done: int) -> set[int]:
        """Return the changes that need not be tried: each equals another one that may still happen later."""
        first: dict[tuple[Change, tuple[str | None, ...]], int] = {}
        spare = set()
        for bit, until in self._until.items():
            if done & bit:
                continue
            other = first.setdefault(self._changing[bit], bit)
            if other == bit:
                continue
            if until < self._until[other]:
                first[self._changing[bit]] = bit
                bit = other  # noqa: PLW2901 - the other one is spare
            spare.add(bit)
        return spare

    def _observed(self, state: ListState, done: int) -> int:
        for bit, observation in self._observing.items():
            if not done & bit and state.answers(observation):
                done |= bit
        return done

    def _without_detours(self, worlds: set[_World]) -> set[_World]:
        """Leave out each world that another one can still become without losing an observation.

        An extra world does no harm, so each is compared with only some others: there may be thousands.
        """
        changing = sum(self._changing)
        kept: list[_World] = []
        # If a world with fewer changes can become this world, it can reach all later worlds of this one.
        for world in sorted(worlds, key=lambda each: (each[1] & changing).bit_count()):
            if not any(self._becomes(other, world, changing) for other in kept[:_MAX_COMPARED]):
                kept.append(world)
        return set(kept)

    def _becomes(self, early: _World, late: _World, changing: int) -> bool:
        if early[1] & changing & ~late[1] or late[1] & ~changing & ~early[1]:
            return False
        missing = [bit for bit in self._changing if late[1] & ~early[1] & bit]
        if not 0 < len(missing) <= _MAX_DETOURS:
            return False
        return any(late[0] in self._results(early[0], order) for order in permutations(missing))

    def _results(self, state: ListState, order: Sequence[int]) -> set[ListState]:
        states = {state}
        for bit in order:
            change, values = self._changing[bit]
            states = {
                following
                for each in states
                for added_at in values
                if (following := self._states.after(each, change, added_at)) is not None
            }
        return states


def _without(bit: int, worlds: Iterable[_World]) -> set[_World]:
    return {(state, done & ~bit) for state, done in worlds}


@dataclass(slots=True)
class _Value:
    """An `addedAt` that pages showed, but no answer to an add."""

    added_at: str
    first_ended: float

    def may_come_from(self, operation: Operation, add: Add) -> bool:
        earliest, latest = add.span
        return operation.began <= self.first_ended and earliest <= self.added_at <= latest


def _dates(operations: Collection[Operation]) -> dict[int, tuple[str | None, ...]]:
    """Return what `addedAt` may be after each add, by the `id` of the operation; None for one that no page showed."""
    seen = _unexplained(operations)
    dates: dict[int, tuple[str | None, ...]] = {}
    possible: dict[int, list[Item]] = {}
    for operation in operations:
        action = operation.action
        if isinstance(action, Add) and action.added_at is not None:
            dates[id(operation)] = (action.added_at,)
        elif isinstance(action, Add):
            values = (value for value in seen.get(action.title, ()) if value.may_come_from(operation, action))
            possible[id(operation)] = [(action.title, value.added_at) for value in values]
    sources = Counter(item for items in possible.values() for item in items)
    told = [(each, each.action) for each in operations if isinstance(each.action, Add) and each.action.added_at]
    for operation in operations:
        items = possible.get(id(operation))
        if items is None:
            continue
        own = [added_at for item, added_at in items if sources[item, added_at] == 1]
        shared = _of_the_same_moment(operation, told)
        dates[id(operation)] = (*own,) if len(own) == 1 else (*(added_at for _, added_at in items), *shared, None)
    return dates


def _of_the_same_moment(operation: Operation, told: Iterable[tuple[Operation, Add]]) -> list[str]:
    """Return the dates in the answers to concurrent adds, which an add may have as well."""
    add = operation.action
    assert isinstance(add, Add)
    earliest, latest = add.span
    return [
        other.added_at
        for each, other in told
        if other.added_at is not None
        and other.title == add.title
        and each.began <= operation.ended
        and operation.began <= each.ended
        and earliest <= other.added_at <= latest
    ]


def _unexplained(operations: Iterable[Operation]) -> dict[int, list[_Value]]:
    told: set[Item] = set()
    pages: dict[tuple[Item, ...], float] = {}
    for operation in operations:
        action = operation.action
        if isinstance(action, Page):
            pages[action.items] = min(pages.get(action.items, operation.ended), operation.ended)
        elif isinstance(action, Add) and action.added_at is not None:
            told.add((action.title, action.added_at))
    found: dict[Item, _Value] = {}
    for items, ended in pages.items():
        for item in items:
            if item not in told:
                value = found.setdefault(item, _Value(item[1], ended))
                value.first_ended = min(value.first_ended, ended)
    values: dict[int, list[_Value]] = {}
    for (title, _), value in found.items():
        values.setdefault(title, []).append(value)
    return values
