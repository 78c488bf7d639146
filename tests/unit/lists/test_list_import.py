"""Importing a list: what becomes of each line, and of the list when an import cannot go on."""

from collections.abc import AsyncIterator, Iterable

import pytest

from mylist.domain.errors import (
    DatabaseUnavailableError,
    InvalidLineError,
    ListFullError,
    OutcomeUnknownError,
    UnavailableError,
)
from mylist.domain.item import Item
from mylist.domain.limits import IMPORT_TIMEOUT_S
from mylist.lists import list_import
from mylist.lists.list_import import LineResult, NumberedLine
from mylist.lists.writer import ListWriter
from tests.content_ids import content_id, number_of
from tests.unit.fakes import FakeCatalogue, FakeListCache, FakeListStore, item

USER = "user"
MAX_ITEMS = 250
KNOWN = 1000
"""Movies of the catalogue, from number 1; a number above it is of nothing."""
UNKNOWN = KNOWN + 1


class Clock:
    """What the import takes for the module `time`."""

    def __init__(self) -> None:
        self.now = 0.0

    def monotonic(self) -> float:
        return self.now


class World:
    def __init__(self, *items: Item, max_items: int = MAX_ITEMS) -> None:
        self.store = FakeListStore()
        self.store.put(USER, *items)
        catalogue = FakeCatalogue.numbered(range(1, KNOWN + 1))
        self.writer = ListWriter(self.store, FakeListCache(self.store), catalogue, max_items=max_items)

    @property
    def numbers(self) -> list[int]:
        """The items of the list, by their numbers, in order."""
        return sorted(number_of(each.content_id) for each in self.store.items(USER))

    @property
    def writes(self) -> list[str]:
        return [each for each in self.store.journal if each.startswith(("insert", "delete"))]

    def merge(self, lines: Iterable[Item | str]) -> AsyncIterator[list[LineResult]]:
        return list_import.merge(self.writer, USER, numbered(lines))

    def replace(self, lines: Iterable[Item | str]) -> AsyncIterator[list[LineResult]]:
        return list_import.replace(self.writer, USER, numbered(lines))


async def numbered(lines: Iterable[Item | str]) -> AsyncIterator[NumberedLine]:
    for number, each in enumerate(lines, start=1):
        yield NumberedLine(number, each)


async def all_of(results: AsyncIterator[list[LineResult]]) -> list[LineResult]:
    return [each async for part in results for each in part]


async def outcomes(results: AsyncIterator[list[LineResult]]) -> list[str]:
    return [each.outcome for each in await all_of(results)]


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(list_import, "time", clock)
    return clock


class TestMerging:
    async def test_tells_the_outcome_of_each_line(self) -> None:
        world = World(item(1, added_at=5))
        lines: list[Item | str] = [item(2, added_at=7), "is not JSON", item(1), item(UNKNOWN), item(2)]

        assert await all_of(world.merge(lines)) == [
            LineResult(1, content_id(2), "added"),
            LineResult(2, None, "invalid", "is not JSON"),
            LineResult(3, content_id(1), "existing"),
            LineResult(4, content_id(UNKNOWN), "not_found"),
            LineResult(5, content_id(2), "existing"),
        ]
        assert world.store.items(USER) == [item(2, added_at=7), item(1, added_at=5)]

    async def test_adds_until_the_list_is_full(self) -> None:
        world = World(item(1), max_items=3)

        assert await outcomes(world.merge(map(item, (2, 3, 4, 1)))) == ["added", "added", "full", "existing"]
        assert world.numbers == [1, 2, 3]

    async def test_writes_a_hundred_lines_at_a_time(self) -> None:
        world = World()
        parts = [len(part) async for part in world.merge(map(item, range(1, 251)))]

        assert parts == [100, 100, 50]
        assert world.writes == ["insert_many"] * 3
        assert len(world.numbers) == 250

    async def test_of_invalid_lines_writes_nothing(self) -> None:
        world = World()

        assert await outcomes(world.merge("bad" for _ in range(101))) == ["invalid"] * 101
        assert world.store.journal == []

    async def test_of_no_line_is_done(self) -> None:
        assert await all_of(World().merge([])) == []

    async def test_ends_when_the_time_is_up_and_keeps_what_it_has_told(self, clock: Clock) -> None:
        world = World()
        results = world.merge(map(item, range(1, 251)))
        clock.now = IMPORT_TIMEOUT_S
        await anext(results)
        clock.now += IMPORT_TIMEOUT_S
        assert len(await anext(results)) == 100
        clock.now += 0.1

        with pytest.raises(OutcomeUnknownError):
            await anext(results)
        assert world.numbers == list(range(1, 201))

    async def test_ends_when_the_store_fails_and_keeps_what_it_has_told(self) -> None:
        world = World()
        results = world.merge(map(item, range(1, 201)))
        await anext(results)
        world.store.failures["insert_many"] = OutcomeUnknownError()

        with pytest.raises(OutcomeUnknownError):
            await anext(results)
        assert world.numbers == list(range(1, 101))


class TestReplacing:
    async def test_makes_the_list_what_the_lines_say(self) -> None:
        world = World(item(1), item(2, added_at=5), item(3))

        assert await all_of(world.replace([item(4), item(2, added_at=99), item(UNKNOWN), item(4)])) == [
            LineResult(1, content_id(4), "added"),
            LineResult(2, content_id(2), "existing"),
            LineResult(3, content_id(UNKNOWN), "not_found"),
            LineResult(4, content_id(4), "existing"),
            LineResult(None, content_id(1), "removed"),
            LineResult(None, content_id(3), "removed"),
        ]
        assert world.store.items(USER) == [item(2, added_at=5), item(4)]

    async def test_by_no_line_clears_the_list(self) -> None:
        world = World(item(1), item(2))

        assert await outcomes(world.replace([])) == ["removed", "removed"]
        assert world.numbers == []

    async def test_by_what_is_there_removes_nothing(self) -> None:
        world = World(item(1), item(2))

        assert await outcomes(world.replace([item(1), item(2)])) == ["existing", "existing"]
        assert world.writes == []

    async def test_of_a_full_list_may_exceed_the_limit_until_it_shrinks(self) -> None:
        world = World(*map(item, (1, 2, 3)), max_items=3)
        results = world.replace(map(item, (4, 5, 6)))

        assert [each.outcome for each in await anext(results)] == ["added"] * 3
        assert world.numbers == [1, 2, 3, 4, 5, 6]
        await all_of(results)
        assert world.numbers == [4, 5, 6]

    async def test_keeps_what_is_added_meanwhile(self) -> None:
        world = World(item(1))
        results = world.replace([item(2)])
        await anext(results)
        world.store.put(USER, item(3))
        await all_of(results)

        assert world.numbers == [2, 3]

    async def test_with_an_invalid_line_changes_nothing(self) -> None:
        world = World(item(1))

        with pytest.raises(InvalidLineError, match="Line 102: is not JSON"):
            await all_of(world.replace([*map(item, range(2, 103)), "is not JSON"]))
        assert world.numbers == [1]
        assert world.writes == []

    async def test_by_more_items_than_a_list_may_have_changes_nothing(self) -> None:
        world = World(item(1), max_items=3)

        with pytest.raises(ListFullError):
            await all_of(world.replace(map(item, (2, 3, 4, 5))))
        assert world.numbers == [1]
        assert world.writes == []

    async def test_counts_what_is_named_twice_once(self) -> None:
        world = World(max_items=2)
        await all_of(world.replace(map(item, (1, 2, 1, 2))))

        assert world.numbers == [1, 2]

    async def test_that_would_exceed_twice_the_limit_changes_nothing(self) -> None:
        world = World(*map(item, (1, 2, 3, 4)), max_items=3)

        with pytest.raises(ListFullError):
            await all_of(world.replace(map(item, (5, 6, 7))))
        assert world.numbers == [1, 2, 3, 4]
        assert world.writes == []

    async def test_may_be_repeated_after_it_gave_up(self) -> None:
        world = World(*map(item, range(1, 8)), max_items=3)
        await all_of(world.replace(map(item, (5, 6, 7))))

        assert world.numbers == [5, 6, 7]

    async def test_removes_nothing_when_the_time_is_up(self, clock: Clock) -> None:
        world = World(item(999))
        results = world.replace(map(item, range(1, 201)))
        assert len(await anext(results)) == 100
        clock.now = IMPORT_TIMEOUT_S + 0.1

        with pytest.raises(OutcomeUnknownError):
            await anext(results)
        assert world.numbers == [*range(1, 101), 999]

    @pytest.mark.parametrize(
        ("operation", "failure"), [("load", DatabaseUnavailableError()), ("insert_many", OutcomeUnknownError())]
    )
    async def test_removes_nothing_when_the_store_fails(self, operation: str, failure: UnavailableError) -> None:
        world = World(item(1))
        world.store.failures[operation] = failure

        with pytest.raises(type(failure)):
            await all_of(world.replace([item(2)]))
        assert world.numbers == [1]
