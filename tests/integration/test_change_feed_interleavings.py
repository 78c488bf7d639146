"""Every interleaving of changes and a reading device: no token skips a change; each copy is a state that the list had.

The actors run the service's own code on a real store. Each of their operations on MongoDB waits for its turn, and the
turns are given in every order. Time passes in a step of its own; after it, all earlier stamps are below the watermark.
This step never comes between the stamp of a change and the change itself: the settling time is longer than such a gap.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager, suppress
from contextvars import ContextVar
from typing import Any
from uuid import uuid4

import pytest
from pymongo import AsyncMongoClient

from mylist.config.settings import Settings
from mylist.domain.change_feed import LAST_ID, FeedPosition, SyncState
from mylist.domain.content import ContentId
from mylist.domain.errors import ItemAlreadyInListError, ItemNotInListError
from mylist.domain.item import Item
from mylist.domain.timestamps import to_milliseconds
from mylist.lists.change_feed import ChangeFeed
from mylist.mongodb.database import Database, Document
from mylist.mongodb.indexes import create_indexes
from mylist.mongodb.lists import ListStore
from tests.content_ids import content_id
from tests.unit.fakes import FakeCatalogue

pytestmark = pytest.mark.own_logic

Copy = frozenset[tuple[ContentId, int]]
Actor = Callable[["Play"], Coroutine[Any, Any, None]]

SKIPPED = "a token has skipped a change"
NEVER_WAS = "a copy is what the list never was"

_actor: ContextVar[int] = ContextVar("actor")
_BEGINNINGS, _ENDS = {"stamp", "stamp_many"}, {"delete", "delete_many", "redate_many"}


def item(number: int, added_at: int = 0) -> Item:
    return Item(added_at, content_id(number), "movie")


class Turns:
    """The turns that actors wait for; each actor waits for at most one turn."""

    def __init__(self) -> None:
        self.waiting: dict[int, tuple[str, asyncio.Future[None]]] = {}
        self._has_stopped: dict[int, asyncio.Event] = {}

    async def wait(self, name: str) -> None:
        """Wait for the turn of an operation of the current actor; return at once outside actors."""
        if (number := _actor.get(None)) is None:
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.waiting[number] = name, turn
        self._has_stopped[number].set()
        await turn

    async def start(self, number: int, actor: Awaitable[None]) -> "asyncio.Task[None]":
        """Start an actor; return when it waits for its first turn."""
        self._has_stopped[number] = asyncio.Event()

        async def act() -> None:
            _actor.set(number)
            await actor

        task = asyncio.create_task(act())
        task.add_done_callback(lambda _: self._has_stopped[number].set())
        await self._has_stopped[number].wait()
        return task

    async def give(self, number: int) -> str:
        """Let an actor continue until it waits again or has ended; return the operation that it was waiting to do."""
        name, turn = self.waiting.pop(number)
        self._has_stopped[number].clear()
        turn.set_result(None)
        await self._has_stopped[number].wait()
        return name


class GatedDatabase(Database):
    """A database whose operations wait for the turns of a play."""

    turns = Turns()

    @asynccontextmanager
    async def operation(self, name: str, *, writes: bool = False) -> AsyncIterator[None]:
        await self.turns.wait(name)
        async with super().operation(name, writes=writes):
            yield


class GatedStore(ListStore):
    """A store whose watermark the play sets."""

    watermark = 0

    async def clock(self) -> tuple[int, int]:
        now, _ = await super().clock()
        return now, self.watermark


class Device:
    """A client that keeps a copy of a list. It reads the whole list once, and then only the changes."""

    def __init__(self, play: "Play") -> None:
        self._play = play
        self._feed = ChangeFeed(play.lists, FakeCatalogue({}))
        self._state: SyncState | None = None
        self._copy: dict[ContentId, int] = {}

    async def ask(self) -> None:
        """Read the changes once; the copy must then equal a state that the list has had since the call began."""
        first = len(self._play.history) - 1
        changes, self._state = await self._feed.changes(self._play.user_id, self._state, max_changes=100)
        for each in changes:
            if each.added_at is None:
                self._copy.pop(each.content_id, None)
            else:
                self._copy[each.content_id] = each.added_at
        await self._play.note()
        if self.copy not in self._play.history[first:]:
            self._play.violations.add(NEVER_WAS)

    @property
    def copy(self) -> Copy:
        return frozenset(self._copy.items())


class Play:
    """One interleaving of actors, on a list of its own.

    Attributes:
        history: what was on the list after each step.
        violations: the rules that were broken.
        late: the actors whose changes take effect any time after their stamps.
    """

    def __init__(self, database: GatedDatabase, *, fine: bool) -> None:
        self.user_id = f"user-{uuid4().hex}"
        self.lists = GatedStore(database)
        self.history: list[Copy] = []
        self.violations: set[str] = set()
        self.late: set[int] = set()
        self._database = database
        self._fine = fine
        self._mid_change: set[int] = set()

    async def run(self, items: Sequence[Item], actors: Sequence[Actor], order: Sequence[int]) -> list[list[int]]:
        """Run actors in this order, and then in any order; return which actors could have continued at each step."""
        self._database.turns = turns = Turns()
        await self.lists.insert_many(self.user_id, items)
        await self.let_time_pass()
        await self.lists.changes(self.user_id, FeedPosition(0, LAST_ID), max_changes=1)
        await self.note()
        self.device = Device(self)
        await self.device.ask()
        await self.let_time_pass()
        tasks = [await turns.start(number, actor(self)) for number, actor in enumerate(actors)]
        choices: list[list[int]] = []
        while ready := sorted(number for number, (name, _) in turns.waiting.items() if self._may_go_on(name)):
            chosen = order[len(choices)] if len(choices) < len(order) else ready[0]
            choices.append(ready)
            name = await turns.give(chosen)
            if name in _BEGINNINGS and chosen not in self.late:
                self._mid_change.add(chosen)
            if name in _ENDS or tasks[chosen].done():
                self._mid_change.discard(chosen)
            await self.note()
        assert not turns.waiting, "somebody waits for ever"
        await asyncio.gather(*tasks)
        for _ in range(2):
            await self.device.ask()
            await self.let_time_pass()
        if self.device.copy != self.history[-1]:
            self.violations.add(SKIPPED)
        return choices

    def _may_go_on(self, name: str) -> bool:
        return name != "time passes" or not self._mid_change

    async def step(self, name: str) -> None:
        """Wait for the turn of an operation outside the store."""
        await self._database.turns.wait(name)

    async def let_time_pass(self) -> None:
        """Raise the watermark above everything that is stamped until now.

        Without `fine`, the watermark stays below the current second, because additions in flight have that second.
        """
        now = (await self._database.ask_hello()).local_time
        assert now is not None
        self.lists.watermark = now if self._fine else now // 1000 * 1000 - 1

    async def note(self) -> None:
        """Note what is on the list now."""
        documents = await self._database.handle["mylist"].find({"userId": self.user_id}).to_list()
        contents = ((bytes.fromhex(each["contentId"]), to_milliseconds(each["addedAt"])) for each in documents)
        self.history.append(frozenset((ContentId(content), added_at) for content, added_at in contents))


def removes(number: int) -> Actor:
    async def act(play: Play) -> None:
        with suppress(ItemNotInListError):
            async with play.lists.removing(play.user_id, content_id(number)) as remove:
                await remove()

    return act


def adds(number: int, added_at: int = 5) -> Actor:
    async def act(play: Play) -> None:
        with suppress(ItemAlreadyInListError):
            await play.lists.insert(play.user_id, item(number, added_at))

    return act


def dates(number: int, added_at: int = 7) -> Actor:
    async def act(play: Play) -> None:
        await play.lists.redate_many(play.user_id, [item(number, added_at)])

    return act


async def asks(play: Play) -> None:
    await play.device.ask()


async def time_passes(play: Play) -> None:
    await play.step("time passes")
    await play.let_time_pass()


def removes_late(number: int, *, stamps_again: bool) -> Actor:
    """A removal whose client is gone can take effect at any later time, for example in a MongoDB that was frozen."""

    async def act(play: Play) -> None:
        stamps = play.lists._stamps  # noqa: SLF001 - the halves of a removal
        play.late.add(_actor.get())
        await stamps.make(play.user_id, content_id(number))
        await play.lists._delete_one(play.user_id, content_id(number))  # noqa: SLF001
        if stamps_again:
            await stamps.make_many(play.user_id, {content_id(number): None}, "removed")

    return act


def stamps_after(number: int) -> Actor:
    async def act(play: Play) -> None:
        await play.lists._delete_one(play.user_id, content_id(number))  # noqa: SLF001 - in the wrong order
        await play.lists._stamps.make(play.user_id, content_id(number))  # noqa: SLF001

    return act


@pytest.fixture
async def database(mongodb: AsyncMongoClient[Document], settings: Settings) -> GatedDatabase:
    database = GatedDatabase(mongodb, settings)
    await database.check()
    await create_indexes(database.handle)
    return database


async def explore(
    database: GatedDatabase, items: Sequence[Item], actors: Sequence[Actor], *, until: str = "", fine: bool = False
) -> tuple[int, set[str]]:
    """Run every interleaving, or stop at the violation `until`; return their number and the violations."""
    orders: list[list[int]] = [[]]
    violations: set[str] = set()
    count = 0
    while orders and until not in violations:
        order = orders.pop()
        play = Play(database, fine=fine)
        choices = await play.run(items, actors, order)
        violations |= play.violations
        count += 1
        taken = [order[step] if step < len(order) else ready[0] for step, ready in enumerate(choices)]
        for step in range(len(order), len(choices)):
            orders += [[*taken[:step], other] for other in choices[step] if other != taken[step]]
    return count, violations


ITEMS = [item(1), item(2)]
SCENES: dict[str, tuple[Sequence[Actor], bool]] = {
    "a removal": ([removes(1), asks, time_passes], True),
    "a date": ([dates(1), asks, time_passes], True),
    "a removal and another's addition": ([removes(1), adds(3), asks], False),
}
LONG_SCENES: dict[str, tuple[Sequence[Actor], bool]] = {
    "a removal of what is not there": ([removes(9), asks, time_passes], True),
}


@pytest.mark.parametrize(
    ("actors", "fine"),
    [
        *(pytest.param(*scene, id=name) for name, scene in SCENES.items()),
        *(pytest.param(*scene, id=name, marks=pytest.mark.extended) for name, scene in LONG_SCENES.items()),
    ],
)
async def test_no_token_skips_a_change_and_each_copy_is_a_state_that_the_list_had(
    database: GatedDatabase, actors: Sequence[Actor], fine: bool
) -> None:
    count, violations = await explore(database, ITEMS, actors, fine=fine)

    assert violations == set()
    assert count > 10


@pytest.mark.extended
async def test_a_token_skips_a_late_removal_unless_it_is_stamped_again(database: GatedDatabase) -> None:
    actors = [removes_late(1, stamps_again=True), asks, time_passes]
    _, violations = await explore(database, ITEMS, actors, fine=True)
    assert SKIPPED not in violations

    actors = [removes_late(1, stamps_again=False), asks, time_passes]
    _, violations = await explore(database, ITEMS, actors, fine=True, until=SKIPPED)
    assert SKIPPED in violations


async def test_the_search_detects_a_stamp_that_is_written_after_its_change(database: GatedDatabase) -> None:
    actors = [stamps_after(1), adds(3), asks, time_passes]
    _, violations = await explore(database, ITEMS, actors, until=NEVER_WAS)

    assert NEVER_WAS in violations


async def test_the_search_detects_a_list_that_is_read_after_the_stamps(
    database: GatedDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def stamps_first(
        self: GatedStore, user_id: str, after: FeedPosition, *, max_changes: int
    ) -> tuple[list[Any], FeedPosition | None]:
        touches = await self._stamps.after(user_id, after, max_changes)
        found, end = await ListStore.changes(self, user_id, after, max_changes=max_changes)
        known = {each.content_id for each in touches}
        return [each for each in found if each.added_at is not None or each.content_id in known], end

    monkeypatch.setattr(GatedStore, "changes", stamps_first)
    _, violations = await explore(database, ITEMS, [removes(1), adds(3), asks], until=NEVER_WAS)

    assert NEVER_WAS in violations
