"""Importing a list: the outcome of each line, and the state of the list if an import cannot continue."""

import asyncio
from collections.abc import AsyncIterator, Iterable
from dataclasses import replace as replaced

import pytest

from mylist.domain.change_feed import DeliveredChange, SyncState
from mylist.domain.conditions import UNCONDITIONAL, Conditions
from mylist.domain.errors import (
    AccountFullError,
    ConfirmationRequiredError,
    DatabaseUnavailableError,
    InvalidLineError,
    ListFullError,
    NoItemError,
    OutcomeUnknownError,
    PreconditionFailedError,
    TotalMismatchError,
    UnavailableError,
)
from mylist.domain.etags import etag_of
from mylist.domain.item import Item
from mylist.domain.limits import IMPORT_TIMEOUT_S
from mylist.domain.packed_list import PackedList
from mylist.domain.timestamps import now_ms
from mylist.lists import list_import
from mylist.lists.list_import import LineResult, NumberedLine, Unresolved
from mylist.lists.writer import ListWriter
from tests.content_ids import content_id, number_of
from tests.unit.fakes import FakeCatalogue, FakeListCache, FakeListStore, item

USER = "user"
MAX_ITEMS = 250
KNOWN = 1000
"""The catalogue has the movies from number 1 to this number. No title has a higher number."""
UNKNOWN = KNOWN + 1


class Clock:
    """Replaces the module `time` in the import."""

    def __init__(self) -> None:
        self.now = 0.0

    def monotonic(self) -> float:
        return self.now


class World:
    def __init__(self, *items: Item, max_items: int = MAX_ITEMS, max_account_items: int = 0) -> None:
        self.store = FakeListStore()
        self.store.put(USER, *items)
        catalogue = FakeCatalogue.numbered(range(1, KNOWN + 1))
        self.writer = ListWriter(
            self.store,
            FakeListCache(self.store),
            catalogue,
            max_items=max_items,
            max_account_items=max_account_items,
        )

    @property
    def numbers(self) -> list[int]:
        """The numbers of the items on the list, sorted."""
        return sorted(number_of(each.content_id) for each in self.store.items(USER))

    @property
    def writes(self) -> list[str]:
        return [each for each in self.store.journal if each.startswith(("insert", "delete", "redate"))]

    def merge(self, lines: Iterable[Item | str]) -> AsyncIterator[list[LineResult]]:
        return list_import.merge(self.writer, USER, numbered(lines))

    def replace(
        self, lines: Iterable[Item | str], conditions: Conditions = UNCONDITIONAL, total: int | None = None
    ) -> AsyncIterator[list[LineResult]]:
        return list_import.replace(self.writer, USER, numbered(lines), conditions, total)

    @property
    def etag(self) -> str:
        return etag_of(PackedList.of(self.store.items(USER)).data)


async def numbered(lines: Iterable[Item | str]) -> AsyncIterator[NumberedLine]:
    for number, each in enumerate(lines, start=1):
        yield NumberedLine(number, each)


async def each_of(lines: Iterable[NumberedLine]) -> AsyncIterator[NumberedLine]:
    for line in lines:
        yield line


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
    async def test_returns_the_outcome_of_each_line(self) -> None:
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

    @pytest.mark.parametrize(
        ("lines", "reason"), [(["bad", "worse"], "line 1: bad"), (["bad"] * 101, "line 1: bad"), ([], "is empty")]
    )
    async def test_without_a_valid_line_is_refused_and_writes_nothing(self, lines: list[str], reason: str) -> None:
        world = World()

        with pytest.raises(NoItemError, match=reason):
            await all_of(world.merge(lines))
        assert world.store.journal == []

    async def test_succeeds_if_every_line_is_invalid_or_names_an_unknown_title(self) -> None:
        assert await outcomes(World().merge(["bad", item(UNKNOWN)])) == ["invalid", "not_found"]

    async def test_changes_nothing_if_a_condition_is_false(self) -> None:
        world = World(item(1))

        for conditions in (Conditions(if_match='"other"'), Conditions(if_none_match=f'"x", {world.etag}')):
            with pytest.raises(PreconditionFailedError):
                await all_of(list_import.merge(world.writer, USER, numbered([item(2)]), conditions))
        assert world.numbers == [1]
        assert await outcomes(
            list_import.merge(world.writer, USER, numbered([item(2)]), Conditions(if_match=world.etag))
        ) == ["added"]

    async def test_keeps_the_order_of_lines_without_a_date_across_several_writes(self) -> None:
        world = World()
        order = [*range(250, 0, -1)]
        lines = [NumberedLine(each, item(each, added_at=0), has_date=False) for each in order]
        await all_of(list_import.merge(world.writer, USER, each_of(lines)))
        listed = world.store.items(USER)

        assert [number_of(each.content_id) for each in listed] == order
        assert len({each.added_at for each in listed}) == len(order)
        assert listed[0].added_at <= now_ms(), "or what is added next would stand below"

    async def test_ends_when_the_time_is_up_and_keeps_the_lines_already_reported(self, clock: Clock) -> None:
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

    async def test_ends_when_the_store_fails_and_keeps_the_lines_already_reported(self) -> None:
        world = World()
        results = world.merge(map(item, range(1, 201)))
        await anext(results)
        world.store.failures["insert_many"] = OutcomeUnknownError()

        with pytest.raises(OutcomeUnknownError):
            await anext(results)
        assert world.numbers == list(range(1, 101))


class TestReplacing:
    async def test_makes_the_list_match_the_lines(self) -> None:
        world = World(item(1), item(2, added_at=5), item(3))

        assert await all_of(world.replace([item(4), item(2, added_at=99), item(UNKNOWN), item(4)])) == [
            LineResult(1, content_id(4), "added"),
            LineResult(2, content_id(2), "dated"),
            LineResult(3, content_id(UNKNOWN), "not_found"),
            LineResult(4, content_id(4), "existing"),
            LineResult(None, content_id(1), "removed"),
            LineResult(None, content_id(3), "removed"),
        ]
        assert world.store.items(USER) == [item(2, added_at=99), item(4)]

    @pytest.mark.parametrize(
        "lines",
        [[], [item(UNKNOWN)], [item(UNKNOWN), item(UNKNOWN + 1)], [item(1, show=True)], [item(9, show=True)]],
        ids=["none", "unknown", "all unknown", "listed by the wrong type", "known by the wrong type"],
    )
    async def test_without_a_usable_line_requires_confirmation(self, lines: list[Item]) -> None:
        world = World(item(1), item(2))

        with pytest.raises(ConfirmationRequiredError, match=f"{2 - (item(1, show=True) in lines)} of 2 items"):
            await all_of(world.replace(lines))
        for conditions in (Conditions(if_match='"other"'), Conditions(if_match='"other"', is_confirmed=True)):
            with pytest.raises(PreconditionFailedError):
                await all_of(world.replace(lines, conditions))
        with pytest.raises(ConfirmationRequiredError):
            await all_of(world.replace(lines, Conditions(if_none_match='"other"')))
        with pytest.raises(ConfirmationRequiredError):
            await all_of(world.replace(lines, Conditions(if_match="*")))
        assert world.numbers == [1, 2]
        assert world.writes == []

    @pytest.mark.parametrize("confirmed", [True, False])
    async def test_without_lines_clears_the_list_if_confirmed(self, *, confirmed: bool) -> None:
        world = World(item(1), item(2))
        conditions = Conditions(is_confirmed=True) if confirmed else Conditions(if_match=world.etag)

        assert await outcomes(world.replace([], conditions)) == ["removed", "removed"]
        assert world.numbers == []

    async def test_an_empty_list_needs_no_confirmation(self) -> None:
        assert await all_of(World().replace([])) == []
        assert await outcomes(World().replace([item(UNKNOWN)])) == ["not_found"]

    async def test_keeps_an_item_that_a_line_names_wrongly_and_reports_the_reason(self) -> None:
        world = World(item(1), item(2), item(UNKNOWN), item(3))

        assert await all_of(world.replace([item(1, show=True), item(2), item(UNKNOWN, added_at=9)])) == [
            LineResult(1, content_id(1), "not_found", "It is on the list as movie, and stays there"),
            LineResult(2, content_id(2), "existing"),
            LineResult(3, content_id(UNKNOWN), "not_found", "It was withdrawn, and stays on the list"),
            LineResult(None, content_id(3), "removed"),
        ]
        assert world.numbers == [1, 2, UNKNOWN]

    async def test_takes_the_dates_of_lines_that_have_one(self) -> None:
        world = World(item(1, added_at=5), item(2, added_at=6), item(3, added_at=7))
        lines = [
            NumberedLine(1, item(1, added_at=50)),
            NumberedLine(2, item(2, added_at=0), has_date=False),
            NumberedLine(3, item(3, added_at=7)),
            NumberedLine(4, item(1, added_at=51)),
        ]

        results = list_import.replace(world.writer, USER, each_of(lines))
        assert await outcomes(results) == ["dated", "existing", "existing", "existing"]
        assert world.store.items(USER) == [item(1, added_at=50), item(3, added_at=7), item(2, added_at=6)]

    async def test_takes_the_date_of_the_first_line_of_an_item_across_several_writes(self) -> None:
        world = World(item(1))
        lines = [*map(item, range(2, 102)), item(1, added_at=50), *map(item, range(102, 202)), item(1, added_at=51)]
        told = await outcomes(world.replace(lines))

        assert (told.count("dated"), told[-1]) == (1, "existing")
        assert item(1, added_at=50) in world.store.items(USER)

    async def test_does_not_report_a_new_date_for_an_item_that_another_client_removed(self) -> None:
        world = World(item(1), item(2))
        world.store.hold.clear()
        replacing = asyncio.create_task(outcomes(world.replace([item(1, added_at=50), item(2, added_at=60)])))
        await world.store.reached.wait()
        world.store.take_off(USER, content_id(1))
        world.store.hold.set()

        assert await replacing == ["existing", "dated"]
        assert world.store.items(USER) == [item(2, added_at=60)]

    @pytest.mark.parametrize("total", [0, 1, 3])
    async def test_changes_nothing_if_the_number_of_items_differs_from_total(self, total: int) -> None:
        world = World(item(1), item(2), item(3))

        with pytest.raises(TotalMismatchError, match=f"2 items, but total says {total}"):
            await all_of(world.replace([item(1), item(2)], total=total))
        assert world.numbers == [1, 2, 3]
        assert await outcomes(world.replace([item(1), item(2)], total=2)) == ["existing", "existing", "removed"]

    async def test_keeps_an_item_that_was_removed_and_added_again_meanwhile(self) -> None:
        world = World(item(1), item(3))
        results = world.replace([item(2)], Conditions(if_match=world.etag))
        await anext(results)
        world.store.take_off(USER, content_id(1))
        world.store.put(USER, item(1, added_at=99))
        await all_of(results)

        assert world.store.items(USER) == [item(1, added_at=99), item(2)]

    async def test_with_the_items_already_on_the_list_writes_nothing(self) -> None:
        world = World(item(1), item(2))

        assert await outcomes(world.replace([item(1), item(2)])) == ["existing", "existing"]
        assert world.writes == []

    async def test_a_full_list_may_exceed_the_limit_until_the_old_items_are_removed(self) -> None:
        world = World(*map(item, (1, 2, 3)), max_items=3)
        results = world.replace(map(item, (4, 5, 6)))

        assert [each.outcome for each in await anext(results)] == ["added"] * 3
        assert world.numbers == [1, 2, 3, 4, 5, 6]
        await all_of(results)
        assert world.numbers == [4, 5, 6]

    async def test_keeps_an_item_that_is_added_meanwhile(self) -> None:
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

    async def test_with_more_items_than_a_list_may_have_changes_nothing(self) -> None:
        world = World(item(1), max_items=3)

        with pytest.raises(ListFullError):
            await all_of(world.replace(map(item, (2, 3, 4, 5))))
        assert world.numbers == [1]
        assert world.writes == []

    async def test_counts_an_item_named_by_two_lines_once(self) -> None:
        world = World(max_items=2)
        await all_of(world.replace(map(item, (1, 2, 1, 2))))

        assert world.numbers == [1, 2]

    async def test_that_would_exceed_twice_the_limit_changes_nothing(self) -> None:
        world = World(*map(item, (1, 2, 3, 4)), max_items=3)

        with pytest.raises(ListFullError):
            await all_of(world.replace(map(item, (5, 6, 7))))
        assert world.numbers == [1, 2, 3, 4]
        assert world.writes == []

    async def test_that_would_exceed_the_account_limit_changes_nothing(self) -> None:
        world = World(*map(item, (1, 2)), max_account_items=4)
        world.store.put(f"{USER}/kids", item(9))

        with pytest.raises(AccountFullError):
            await all_of(world.replace(map(item, (2, 3, 4, 5))))
        assert world.numbers == [1, 2]
        assert world.writes == []
        await all_of(world.replace(map(item, (2, 3, 4))))
        assert world.numbers == [2, 3, 4]

    async def test_may_be_repeated_after_an_aborted_attempt_left_too_many_items(self) -> None:
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


class TestReplacingUnlessRemovedSince:
    """The client knows four items; two of them were removed since."""

    @pytest.fixture
    def world(self) -> World:
        world = World(*map(item, range(1, 5)))
        world.store.now = now_ms()
        world.store.take_off(USER, content_id(1), content_id(2))
        return world

    def since(self, world: World, *known: DeliveredChange) -> Conditions:
        return Conditions(unless_removed_since=SyncState(world.store.now - 100, delivered=frozenset(known)))

    @pytest.mark.parametrize("lines", [[item(1)], [item(1), item(2), item(UNKNOWN)]], ids=["one", "several"])
    async def test_with_only_removed_items_requires_confirmation(self, world: World, lines: list[Item]) -> None:
        with pytest.raises(ConfirmationRequiredError, match="2 of 2 items"):
            await all_of(world.replace(lines, self.since(world)))
        assert world.numbers == [3, 4]
        assert world.writes == []

        told = await outcomes(world.replace(lines, replaced(self.since(world), is_confirmed=True)))
        assert told[-2:] == ["removed", "removed"]
        assert world.numbers == []

    @pytest.mark.parametrize("usable", [3, 5], ids=["on the list", "never on it"])
    async def test_with_a_removed_item_and_another_needs_no_confirmation(self, world: World, usable: int) -> None:
        await all_of(world.replace([item(1), item(usable)], self.since(world)))
        assert world.numbers == [usable]

    async def test_with_an_item_whose_removal_the_client_knows_needs_no_confirmation(self, world: World) -> None:
        (removal,) = await world.store.find_removals(USER, [content_id(1)])
        await all_of(world.replace([item(1)], self.since(world, removal.delivered)))
        assert world.numbers == [1]

    async def test_with_a_sync_state_later_than_the_removals_needs_no_confirmation(self, world: World) -> None:
        await all_of(world.replace([item(1)], Conditions(unless_removed_since=SyncState(world.store.now))))
        assert world.numbers == [1]


class TestUnresolvedLines:
    """Lines in other services' files whose titles have no certain match."""

    @staticmethod
    async def lines(*items: Item | Unresolved | str) -> AsyncIterator[NumberedLine]:
        for number, each in enumerate(items, start=1):
            yield NumberedLine(number, each)

    async def test_are_reported_and_do_not_prevent_the_import_of_other_lines(self) -> None:
        world = World()
        several = Unresolved("Dune", None, is_ambiguous=True)
        lines = self.lines(several, item(1), Unresolved("Nothing", 1999, reason="It is an episode"), item(2))
        results = [each async for part in list_import.merge(world.writer, USER, lines) for each in part]

        assert [each.outcome for each in results] == ["ambiguous", "added", "unmatched", "added"]
        assert (results[0].unresolved, results[2].error) == (several, "It is an episode")
        assert world.numbers == [1, 2]

    async def test_are_accepted_in_a_file_without_other_lines(self) -> None:
        lines = self.lines(Unresolved("Nothing", None))
        assert [each.outcome async for part in list_import.merge(World().writer, USER, lines) for each in part] == [
            "unmatched"
        ]

    async def test_protect_the_items_that_they_may_mean_from_a_replacement(self) -> None:
        world = World(item(1), item(2), item(3))
        lines = self.lines(item(4), Unresolved("x", None, may_mean=frozenset({content_id(2)}), is_ambiguous=True))
        results = [each async for part in list_import.replace(world.writer, USER, lines) for each in part]

        assert [each.outcome for each in results] == ["added", "ambiguous", "removed", "removed"]
        assert world.numbers == [2, 4]

    async def test_alone_do_not_confirm_a_replacement(self) -> None:
        world = World(item(1), item(2))
        with pytest.raises(ConfirmationRequiredError):
            _ = [each async for each in list_import.replace(world.writer, USER, self.lines(Unresolved("x", None)))]
        assert world.numbers == [1, 2]
