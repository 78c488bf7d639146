"""Changing a list: the operations of each change on the store, its fence, and its outcome."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager

import pytest

from mylist.domain.batch import Batch
from mylist.domain.change_feed import DeliveredChange, SyncState
from mylist.domain.conditions import Conditions
from mylist.domain.content import ContentId, ContentType, RequestedId, content_key
from mylist.domain.errors import (
    AccountFullError,
    CacheUnavailableError,
    ContentNotFoundError,
    DatabaseBusyError,
    DatabaseUnavailableError,
    ItemAlreadyInListError,
    ItemNotInListError,
    ItemTakenError,
    ListFullError,
    OutcomeUnknownError,
    PartlyAppliedError,
    PreconditionFailedError,
    RemovedSinceError,
    ServiceError,
    SyncTokenExpiredError,
)
from mylist.domain.etags import etag_of
from mylist.domain.item import Item
from mylist.domain.packed_list import PackedList
from mylist.domain.timestamps import now_ms
from mylist.lists import writer as writer_module
from mylist.lists.change_feed import ChangeFeed
from mylist.lists.writer import ListWriter, Room
from mylist.telemetry import metrics
from tests.content_ids import content_id, number_of
from tests.unit.fakes import FakeCatalogue, FakeListCache, FakeListStore, item, malformed, requested

USER = "user"
MAX_ITEMS = 5
KNOWN = 20
"""The catalogue has the movies from number 1 to this number. No title has a higher number."""
UNKNOWN = KNOWN + 1


class World:
    def __init__(self, *items: Item, store: FakeListStore | None = None, max_account_items: int = 0) -> None:
        self.store = store or FakeListStore()
        self.store.put(USER, *items)
        self.cache = FakeListCache(self.store)
        self.catalogue = FakeCatalogue.numbered(range(1, KNOWN + 1))
        self.writer = ListWriter(
            self.store, self.cache, self.catalogue, max_items=MAX_ITEMS, max_account_items=max_account_items
        )

    @property
    def journal(self) -> list[str]:
        return self.store.journal

    @property
    def numbers(self) -> list[int]:
        """The numbers of the items on the list, sorted."""
        return sorted(number_of(each.content_id) for each in self.store.items(USER))

    async def add(self, number: int) -> Item:
        return await self.writer.add(USER, requested(number), "movie")


def batch(add: Iterable[int] = (), remove: Iterable[int] = ()) -> Batch:
    return Batch([(requested(each), "movie") for each in add], [requested(each) for each in remove])


class TestAdd:
    async def test_puts_an_item_on_the_list_with_the_current_time(self) -> None:
        world = World(item(1))
        before = now_ms()
        added = await world.add(2)

        assert added == Item(added.added_at, content_id(2), "movie")
        assert before <= added.added_at <= now_ms()
        assert world.store.items(USER) == [added, item(1)]

    async def test_places_the_fence_before_any_store_operation_and_lifts_it_after_the_last(self) -> None:
        world = World()
        await world.add(1)

        assert world.journal == ["fence", "deadline", "count", "insert", "lift"]

    async def test_takes_the_count_from_the_cached_list_if_there_is_one(self) -> None:
        world = World()
        world.cache.cached_items = MAX_ITEMS - 1
        await world.add(1)

        assert world.journal == ["fence", "deadline", "insert", "lift"]

    async def test_of_an_unknown_title_is_refused_without_a_fence(self) -> None:
        world = World()

        with pytest.raises(ContentNotFoundError, match=content_id(UNKNOWN).hex()):
            await world.add(UNKNOWN)
        with pytest.raises(ContentNotFoundError, match="tvshow"):
            await world.writer.add(USER, requested(1), "tvshow")
        with pytest.raises(ContentNotFoundError, match="not-an-id"):
            await world.writer.add(USER, malformed("not-an-id"), "movie")
        assert world.journal == []

    async def test_trusts_a_cached_title_until_it_expires(self) -> None:
        world = World()
        keys = [content_key(content_id(each), "movie") for each in (1, UNKNOWN)]
        world.catalogue.keep(*keys)
        world.catalogue.titles.clear()

        world.catalogue.now = world.catalogue.cached[keys[0]].expires_at - 1
        await world.add(1)
        assert world.numbers == [1]
        with pytest.raises(ContentNotFoundError):
            await world.add(UNKNOWN)

        world.catalogue.now += 1
        with pytest.raises(ContentNotFoundError):
            await world.add(1)

    async def test_of_an_item_already_on_the_list_is_refused(self) -> None:
        world = World(item(1))

        with pytest.raises(ItemAlreadyInListError):
            await world.add(1)
        assert world.store.items(USER) == [item(1)]
        assert world.journal[-1] == "lift"

    async def test_to_a_full_list_is_refused(self) -> None:
        world = World(*map(item, range(1, MAX_ITEMS)))
        await world.add(10)

        with pytest.raises(ListFullError):
            await world.add(11)
        assert world.numbers == [1, 2, 3, 4, 10]

    async def test_to_a_list_that_is_full_in_the_cache_is_refused_without_a_fence(self) -> None:
        world = World()
        world.cache.cached_items = MAX_ITEMS

        with pytest.raises(ListFullError):
            await world.add(1)
        assert world.journal == ["find"]

    @pytest.mark.parametrize("cached_items", [None, MAX_ITEMS])
    async def test_that_filled_the_list_reports_an_existing_item_when_repeated(self, cached_items: int | None) -> None:
        world = World(*map(item, range(1, MAX_ITEMS)))
        await world.add(10)
        world.cache.cached_items = cached_items

        with pytest.raises(ItemAlreadyInListError):
            await world.add(10)

    async def test_whose_outcome_is_unknown_leaves_its_fence_to_expire(self) -> None:
        world = World()
        world.store.failures["insert"] = OutcomeUnknownError()

        with pytest.raises(OutcomeUnknownError):
            await world.add(1)
        assert world.journal[-1] == "lapse"


class TestRemove:
    async def test_takes_an_item_off_the_list(self) -> None:
        world = World(item(1), item(2))
        await world.writer.remove(USER, requested(1))

        assert world.numbers == [2]
        assert world.journal == ["stamp", "fence", "deadline", "delete", "lift"]
        assert world.store.stamped(USER) == {content_id(1)}

    async def test_of_an_item_not_on_the_list_is_refused_and_withdraws_its_stamp(self) -> None:
        world = World(item(1))

        with pytest.raises(ItemNotInListError):
            await world.writer.remove(USER, requested(2))
        assert world.journal[-2:] == ["lift", "withdraw"]
        assert world.store.stamped(USER) == set()

    async def test_of_a_malformed_id_is_refused_without_a_fence(self) -> None:
        world = World(item(1))

        with pytest.raises(ItemNotInListError):
            await world.writer.remove(USER, malformed())
        assert world.journal == []

    async def test_that_cannot_be_fenced_withdraws_its_stamp(self, monkeypatch: pytest.MonkeyPatch) -> None:
        world = World(item(1))

        @asynccontextmanager
        async def refuse(*_: object, **options: object) -> AsyncIterator[None]:
            if options:
                raise CacheUnavailableError
            yield

        monkeypatch.setattr(world.cache, "writing", refuse)
        with pytest.raises(CacheUnavailableError):
            await world.writer.remove(USER, requested(1))
        assert world.numbers == [1]
        assert world.store.stamped(USER) == set()

    async def test_whose_outcome_is_unknown_leaves_its_stamp(self) -> None:
        world = World(item(1))
        world.store.failures["delete"] = OutcomeUnknownError()

        with pytest.raises(OutcomeUnknownError):
            await world.writer.remove(USER, requested(1))
        assert world.journal[-1] == "lapse"
        assert world.store.stamped(USER) == {content_id(1)}


class TestDiscard:
    async def test_succeeds_whether_the_item_is_on_the_list_or_not(self) -> None:
        world = World(item(1))
        for _ in range(2):
            await world.writer.discard(USER, requested(1))
        await world.writer.discard(USER, malformed())

        assert world.numbers == []

    async def test_fails_if_its_outcome_is_unknown(self) -> None:
        world = World(item(1))
        world.store.failures["delete"] = OutcomeUnknownError()

        with pytest.raises(OutcomeUnknownError):
            await world.writer.discard(USER, requested(1))


class HastyRival(FakeListStore):
    """A store in which another client removes an item each time that it was looked up."""

    async def find(self, user_id: str, content_id: ContentId) -> Item | None:
        await super().find(user_id, content_id)
        self.take_off(user_id, content_id)
        return None


class UnreadableRival(FakeListStore):
    """A store in which an added item is not readable yet."""

    async def find(self, user_id: str, content_id: ContentId) -> Item | None:
        await super().find(user_id, content_id)
        return None


class TestPut:
    async def test_puts_an_item_on_the_list_once(self) -> None:
        world = World()
        added, is_new = await world.writer.put(USER, requested(1), "movie")
        again = await world.writer.put(USER, requested(1), "movie")

        assert is_new
        assert again == (added, False)
        assert world.store.items(USER) == [added]

    async def test_of_an_item_that_another_client_removes_adds_it_again(self) -> None:
        world = World(item(1), store=HastyRival())
        added, is_new = await world.writer.put(USER, requested(1), "movie")

        assert is_new
        assert world.store.items(USER) == [added]
        assert world.journal.count("insert") == 2

    async def test_gives_up_after_three_attempts_if_the_item_cannot_be_read(self) -> None:
        world = World(item(1), store=UnreadableRival())

        with pytest.raises(ItemAlreadyInListError):
            await world.writer.put(USER, requested(1), "movie")
        assert world.journal.count("insert") == 3

    async def test_of_an_item_listed_with_the_other_type_is_refused(self) -> None:
        world = World(item(1, show=True))

        with pytest.raises(ItemAlreadyInListError):
            await world.writer.put(USER, requested(1), "movie")
        assert world.store.items(USER) == [item(1, show=True)]

    async def test_of_an_unknown_title_is_refused(self) -> None:
        for each in (requested(UNKNOWN), malformed()):
            with pytest.raises(ContentNotFoundError):
                await World().writer.put(USER, each, "movie")

    async def test_of_an_item_already_on_a_full_list_succeeds(self) -> None:
        world = World(*map(item, range(1, MAX_ITEMS + 1)))

        assert await world.writer.put(USER, requested(3), "movie") == (item(3), False)
        with pytest.raises(ListFullError):
            await world.writer.put(USER, requested(9), "movie")


class Racing(FakeListStore):
    """A store in which another client adds an item after each look-up of existing items."""

    def __init__(self, rival: Item) -> None:
        super().__init__()
        self._rival = rival

    async def find_many(self, user_id: str, content_ids: Iterable[ContentId]) -> list[Item]:
        found = await super().find_many(user_id, content_ids)
        self.put(user_id, self._rival)
        return found


def texts(outcomes: Iterable[tuple[RequestedId, str]]) -> list[tuple[str, str]]:
    return [(each.text, outcome) for each, outcome in outcomes]


class TestABatch:
    async def test_returns_the_outcome_of_each_id_in_order_and_applies_a_duplicate_once(self) -> None:
        world = World(item(1), item(2))
        add: list[tuple[RequestedId, ContentType]] = [(requested(each), "movie") for each in (3, 1, UNKNOWN, 3)]
        remove = [*map(requested, (2, 9, 2)), malformed("y")]
        result = await world.writer.apply_batch(USER, Batch([*add, (malformed("x"), "movie")], remove))

        assert texts(result.add) == [
            (content_id(3).hex(), "added"),
            (content_id(1).hex(), "existing"),
            (content_id(UNKNOWN).hex(), "not_found"),
            (content_id(3).hex(), "existing"),
            ("x", "not_found"),
        ]
        assert texts(result.remove) == [
            (content_id(2).hex(), "removed"),
            (content_id(9).hex(), "missing"),
            (content_id(2).hex(), "missing"),
            ("y", "missing"),
        ]
        assert world.numbers == [1, 3]

    async def test_uses_one_fence_and_one_write_each_for_removals_and_additions(self) -> None:
        world = World(item(1))
        await world.writer.apply_batch(USER, batch(add=[2], remove=[1]))

        assert world.journal == ["fence", "deadline", "find_many", "count", "delete_many", "insert_many", "lift"]

    async def test_that_changes_nothing_writes_nothing(self) -> None:
        world = World(item(1))
        await world.writer.apply_batch(USER, batch(add=[1], remove=[2]))

        assert world.journal == ["fence", "deadline", "find_many", "lift"]

    async def test_of_only_unknown_titles_does_nothing(self) -> None:
        world = World(item(1))
        result = await world.writer.apply_batch(USER, batch(add=[UNKNOWN]))

        assert texts(result.add) == [(content_id(UNKNOWN).hex(), "not_found")]
        assert world.journal == []

    async def test_removes_before_it_adds(self) -> None:
        world = World(item(1))
        result = await world.writer.apply_batch(USER, batch(add=[1], remove=[1]))
        [again] = world.store.items(USER)

        assert (result.add[0][1], result.remove[0][1]) == ("added", "removed")
        assert again.added_at > item(1).added_at

    async def test_may_fill_the_list(self) -> None:
        world = World(item(1), item(2))
        await world.writer.apply_batch(USER, batch(add=[1, 3, 4, 5]))

        assert world.numbers == [1, 2, 3, 4, 5]

    @pytest.mark.parametrize("cached_items", [None, 2])
    async def test_beyond_the_limit_is_refused_as_a_whole(self, cached_items: int | None) -> None:
        world = World(item(1), item(2))
        world.cache.cached_items = cached_items

        with pytest.raises(ListFullError):
            await world.writer.apply_batch(USER, batch(add=[3, 4, 5, 6, 7], remove=[1]))
        assert world.numbers == [1, 2]
        assert world.journal[-1] == "lift"

    async def test_of_more_items_than_a_list_may_have_is_refused_without_counting_the_list(self) -> None:
        world = World()

        with pytest.raises(ListFullError):
            await world.writer.apply_batch(USER, batch(add=range(1, MAX_ITEMS + 2)))
        assert world.journal == ["fence", "deadline", "find_many", "lift"]

    async def test_makes_room_for_its_additions_with_its_removals(self) -> None:
        world = World(*map(item, range(1, MAX_ITEMS + 1)))
        await world.writer.apply_batch(USER, batch(add=[6, 7], remove=[1, 2, 19]))

        assert world.numbers == [3, 4, 5, 6, 7]

    async def test_reports_an_item_that_another_client_added_meanwhile_as_existing(self) -> None:
        world = World(store=Racing(item(2)))
        result = await world.writer.apply_batch(USER, batch(add=[1, 2]))

        assert [outcome for _, outcome in result.add] == ["added", "existing"]
        assert item(2) in world.store.items(USER)

    async def test_that_removed_items_is_partly_applied_if_the_outcome_of_its_additions_is_unknown(self) -> None:
        world = World(item(1))
        world.store.failures["insert_many"] = OutcomeUnknownError()

        with pytest.raises(PartlyAppliedError, match="removals took effect"):
            await world.writer.apply_batch(USER, batch(add=[2], remove=[1]))
        assert world.numbers == []
        assert world.journal[-1] == "lapse"

    async def test_that_removed_no_item_is_never_partly_applied(self) -> None:
        world = World()
        world.store.failures["insert_many"] = DatabaseUnavailableError()

        with pytest.raises(DatabaseUnavailableError):
            await world.writer.apply_batch(USER, batch(add=[2], remove=[1]))


class FailingLater(FakeListStore):
    """A store in which an operation fails from the second time on."""

    def __init__(self, operation: str, error: ServiceError) -> None:
        super().__init__()
        self._failing = operation, error

    async def _begin_write(self, operation: str) -> None:
        await super()._begin_write(operation)
        if operation == self._failing[0]:
            self.failures[operation] = self._failing[1]


class TestClear:
    async def test_removes_everything(self) -> None:
        world = World(item(1), item(2))

        assert await world.writer.clear(USER) == 2
        assert await world.writer.clear(USER) == 0
        assert world.numbers == []
        assert world.journal == ["load", "fence", "deadline", "delete_seen", "lift", "load"]

    async def test_of_a_long_list_is_done_in_parts_each_behind_its_own_fence(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(writer_module, "_MAX_REMOVED_AT_ONCE", 3)
        world = World(*map(item, range(1, 8)))

        assert await world.writer.clear(USER) == 7
        assert world.journal == ["load", *["fence", "deadline", "delete_seen", "lift"] * 3]

    async def test_of_a_long_list_that_fails_after_a_part_is_partly_applied(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(writer_module, "_MAX_REMOVED_AT_ONCE", 3)
        world = World(*map(item, range(1, 8)), store=FailingLater("delete_seen", OutcomeUnknownError()))

        with pytest.raises(PartlyAppliedError, match="some items were removed"):
            await world.writer.clear(USER)
        assert len(world.numbers) == 4

    async def test_of_the_seen_items_of_a_long_list_is_done_in_parts(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(writer_module, "_MAX_REMOVED_AT_ONCE", 3)
        world = World(*map(item, range(1, 9)))

        assert await world.writer.clear(USER, [*map(item, range(1, 8))]) == 7
        assert world.journal == ["fence", "deadline", "delete_seen", "lift"] * 3
        assert world.numbers == [8]

        world = World(*map(item, range(1, 9)), store=FailingLater("delete_seen", DatabaseUnavailableError()))
        with pytest.raises(PartlyAppliedError, match="some items were removed"):
            await world.writer.clear(USER, [*map(item, range(1, 8))])

    async def test_removes_only_the_items_that_were_seen(self) -> None:
        world = World(item(1), item(2), item(3))

        assert await world.writer.clear(USER, [item(1), item(3), item(9)]) == 2
        assert world.numbers == [2]
        assert await world.writer.clear(USER, []) == 0
        assert world.numbers == [2]

    async def test_keeps_an_item_that_was_removed_and_added_again_since(self) -> None:
        world = World(item(1), item(2))
        world.store.take_off(USER, content_id(1))
        world.store.put(USER, item(1, added_at=99))

        assert await world.writer.clear(USER, [item(1), item(2)]) == 1
        assert world.store.items(USER) == [item(1, added_at=99)]


class TestMerge:
    @pytest.mark.parametrize("failure", [DatabaseBusyError, DatabaseUnavailableError, OutcomeUnknownError])
    async def test_that_fails_after_dates_were_changed_is_partly_applied(self, failure: type[ServiceError]) -> None:
        world = World(item(1, added_at=5))
        world.store.failures["insert_many"] = failure()

        with pytest.raises(PartlyAppliedError, match="dates took effect"):
            await world.writer.merge(USER, [item(1, added_at=9), item(2, added_at=7)], redated=[content_id(1)])
        assert world.store.items(USER) == [item(1, added_at=9)]
        assert world.journal[-1] == "lapse"

    async def test_that_fails_before_any_change_raises_the_error_of_the_store(self) -> None:
        world = World(item(1, added_at=5))
        world.store.failures["insert_many"] = DatabaseBusyError()

        with pytest.raises(DatabaseBusyError):
            await world.writer.merge(USER, [item(1, added_at=5), item(2)], redated=[content_id(1)])

    async def test_keeps_the_dates_of_existing_and_of_new_items(self) -> None:
        world = World(item(1, added_at=5))
        outcomes = await world.writer.merge(USER, [item(1, added_at=99), item(2, added_at=7)])

        assert outcomes == ["existing", "added"]
        assert world.store.items(USER) == [item(2, added_at=7), item(1, added_at=5)]

    async def test_returns_the_outcome_of_each_item_and_adds_a_duplicate_once(self) -> None:
        world = World(item(1))
        items = [item(2), item(UNKNOWN), item(3, show=True), item(2, added_at=99), item(1)]

        assert await world.writer.merge(USER, items) == [
            "added",
            "not_found",
            "not_found",
            "existing",
            "existing",
        ]
        assert world.store.items(USER) == [item(2), item(1)]

    @pytest.mark.parametrize("cached_items", [None, 3])
    async def test_adds_until_the_list_is_full(self, cached_items: int | None) -> None:
        world = World(item(1), item(2), item(3))
        world.cache.cached_items = cached_items
        items = map(item, (4, 1, 5, 6, 4))

        assert await world.writer.merge(USER, list(items), room=Room()) == [
            "added",
            "existing",
            "added",
            "full",
            "existing",
        ]
        assert world.numbers == [1, 2, 3, 4, 5]

    @pytest.mark.parametrize("cached_items", [None, MAX_ITEMS + 1])
    async def test_to_a_list_beyond_the_limit_adds_nothing(self, cached_items: int | None) -> None:
        world = World(*map(item, range(1, MAX_ITEMS + 2)))
        world.cache.cached_items = cached_items

        assert await world.writer.merge(USER, [item(8), item(9)], room=Room()) == ["full", "full"]
        assert len(world.numbers) == MAX_ITEMS + 1

    async def test_of_many_parts_counts_the_list_once(self) -> None:
        world = World(item(1), item(2))
        room = Room()
        for part in ([item(3), item(1)], [item(4)], [item(5), item(6)], [item(7)]):
            await world.writer.merge(USER, part, room=room)

        assert world.numbers == [1, 2, 3, 4, 5]
        assert world.journal.count("count") == 1
        assert room.left == 0

    async def test_without_a_maximum_may_exceed_the_limit_of_the_list(self) -> None:
        world = World(*map(item, range(1, MAX_ITEMS + 1)))

        assert await world.writer.merge(USER, [item(9), item(10)]) == ["added", "added"]
        assert len(world.numbers) == MAX_ITEMS + 2
        assert "count" not in world.journal

    async def test_of_only_unknown_titles_takes_no_fence(self) -> None:
        world = World()

        assert await world.writer.merge(USER, [item(UNKNOWN)]) == ["not_found"]
        assert await world.writer.merge(USER, []) == []
        assert world.journal == []

    async def test_of_an_existing_item_adds_nothing(self) -> None:
        world = World(item(1))

        assert await world.writer.merge(USER, [item(1, added_at=9)], room=Room()) == ["existing"]
        assert world.store.items(USER) == [item(1)]

    async def test_queries_existing_items_only_if_the_list_might_become_full(self) -> None:
        world = World(item(1), item(2))
        room = Room()
        await world.writer.merge(USER, [item(3), item(1)], room=room)
        assert world.journal == ["fence", "deadline", "count", "insert_many", "lift"]
        world.journal.clear()
        await world.writer.merge(USER, [item(3), item(4), item(5), item(6)], room=room)

        assert world.journal == ["fence", "deadline", "find_many", "insert_many", "lift"]
        assert world.numbers == [1, 2, 3, 4, 5]

    async def test_reports_an_item_that_another_client_added_meanwhile_as_existing(self) -> None:
        world = World(store=Racing(item(2)))
        merged = await world.writer.merge(USER, [item(1), item(2)], redated=[content_id(1)])

        assert merged == ["added", "existing"]


Change = Callable[[ListWriter], Awaitable[object]]
CHANGES: dict[str, Change] = {
    "add": lambda writer: writer.add(USER, requested(2), "movie"),
    "remove": lambda writer: writer.remove(USER, requested(1)),
    "put": lambda writer: writer.put(USER, requested(2), "movie"),
    "discard": lambda writer: writer.discard(USER, requested(1)),
    "batch": lambda writer: writer.apply_batch(USER, batch(add=[2], remove=[1])),
    "clear": lambda writer: writer.clear(USER),
    "clear some": lambda writer: writer.clear(USER, [item(1)]),
    "merge": lambda writer: writer.merge(USER, [item(2)]),
}


@pytest.fixture(params=CHANGES.values(), ids=list(CHANGES))
def change(request: pytest.FixtureRequest) -> Change:
    made: Change = request.param
    return made


class TestEveryChange:
    async def test_takes_no_fence_while_the_store_is_known_to_be_unavailable(self, change: Change) -> None:
        world = World(item(1))
        world.store.unavailable = True

        with pytest.raises(DatabaseUnavailableError):
            await change(world.writer)
        assert world.journal == []

    async def test_continues_when_its_client_disconnects(self, change: Change) -> None:
        world, expected = World(item(1)), World(item(1))
        await change(expected.writer)
        world.store.hold.clear()
        client = asyncio.ensure_future(change(world.writer))
        await world.store.reached.wait()

        client.cancel()
        await asyncio.wait([client])
        assert client.cancelled()
        assert world.journal.count("fence") == 1
        assert "lift" not in world.journal
        world.store.hold.set()
        await world.writer.finish()

        assert world.numbers == expected.numbers
        assert world.journal == expected.journal

    async def test_is_completed_before_the_service_stops(self, change: Change) -> None:
        world = World(item(1))
        world.store.hold.clear()
        client = asyncio.ensure_future(change(world.writer))
        await world.store.reached.wait()
        finished = asyncio.create_task(world.writer.finish())
        for _ in range(10):
            await asyncio.sleep(0)

        assert not finished.done()
        world.store.hold.set()
        await finished
        assert world.journal[-1] == "lift"
        await client


async def test_finish_returns_if_no_change_is_in_flight() -> None:
    world = World()
    await world.writer.finish()
    await world.add(1)
    await world.writer.finish()


async def test_a_change_that_fails_after_its_client_disconnected_reports_no_unhandled_error() -> None:
    world = World(item(1))
    reported: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: reported.append(context))
    world.store.hold.clear()
    client = asyncio.create_task(world.add(1))
    await world.store.reached.wait()
    client.cancel()
    await asyncio.wait([client])
    world.store.hold.set()
    await world.writer.finish()
    await asyncio.sleep(0)

    assert world.journal[-1] == "lift"
    assert reported == []


async def test_a_snapshot_of_a_list_is_read_from_the_store_and_not_from_the_cache() -> None:
    world = World(item(1), item(2))

    assert await world.writer.snapshot(USER) == [item(2), item(1)]
    assert world.cache.prefixes == []


async def test_changes_are_counted_by_their_outcome() -> None:
    def counted(operation: str, outcome: str) -> float:
        labels = {"operation": operation, "outcome": outcome}
        return metrics.REGISTRY.get_sample_value("mylist_list_mutations_total", labels) or 0.0

    world = World(item(1))
    outcomes = [("add", "ok"), ("add", "item_already_in_list"), ("put", "ok"), ("clear", "ok"), ("batch", "list_full")]
    before = [counted(*each) for each in outcomes]
    await world.writer.put(USER, requested(1), "movie")
    await world.writer.put(USER, requested(2), "movie")
    await world.writer.clear(USER)
    with pytest.raises(ListFullError):
        await world.writer.apply_batch(USER, batch(add=range(1, MAX_ITEMS + 2)))

    assert [counted(*each) - was for each, was in zip(outcomes, before, strict=True)] == [1, 1, 0, 1, 1]


def etag(world: World) -> str:
    return etag_of(PackedList.of(world.store.items(USER)).data)


CONDITIONAL: dict[str, Callable[[ListWriter, Conditions], Awaitable[object]]] = {
    "add": lambda writer, conditions: writer.add(USER, requested(2), "movie", conditions),
    "put": lambda writer, conditions: writer.put(USER, requested(2), "movie", conditions),
    "put what is there": lambda writer, conditions: writer.put(USER, requested(1), "movie", conditions),
    "remove": lambda writer, conditions: writer.remove(USER, requested(1), conditions),
    "discard": lambda writer, conditions: writer.discard(USER, requested(1), conditions),
    "discard what is not there": lambda writer, conditions: writer.discard(USER, malformed(), conditions),
    "batch": lambda writer, conditions: writer.apply_batch(USER, batch(add=[2], remove=[1]), conditions),
    "clear": lambda writer, conditions: writer.clear(USER, conditions=conditions),
    "batch of nothing": lambda writer, conditions: writer.apply_batch(USER, batch(), conditions),
    "snapshot": lambda writer, conditions: writer.snapshot(USER, conditions),
}


@pytest.mark.parametrize("change", CONDITIONAL.values(), ids=list(CONDITIONAL))
class TestConditions:
    @pytest.mark.parametrize("if_match", ['"other"', "", '"other", "others"'])
    async def test_that_are_false_prevent_a_change(
        self, change: Callable[[ListWriter, Conditions], Awaitable[object]], if_match: str
    ) -> None:
        world = World(item(1))

        for conditions in (
            Conditions(if_match=if_match),
            Conditions(if_none_match=etag(world)),
            Conditions(if_match=etag(world), if_none_match=f"W/{etag(world)}"),
        ):
            with pytest.raises(PreconditionFailedError):
                await change(world.writer, conditions)
        assert world.store.items(USER) == [item(1)]
        assert "fence" not in world.journal

    async def test_that_are_true_allow_a_change(
        self, change: Callable[[ListWriter, Conditions], Awaitable[object]]
    ) -> None:
        world = World(item(1))
        await change(world.writer, Conditions(if_match=f'"other", {etag(world)}', if_none_match='"other"'))


class TestTakingTurns:
    async def test_conditional_changes_of_one_list_take_turns(self) -> None:
        world = World(item(1), item(2))
        conditions = Conditions(if_match=etag(world))
        world.store.hold.clear()
        first = asyncio.create_task(world.writer.remove(USER, requested(1), conditions))
        await world.store.reached.wait()
        second = asyncio.create_task(world.writer.clear(USER, conditions=conditions))
        await asyncio.sleep(0)

        assert not second.done()
        world.store.hold.set()
        await first
        with pytest.raises(PreconditionFailedError):
            await second
        assert world.numbers == [2]

    async def test_unconditional_changes_and_changes_of_other_lists_do_not_wait(self) -> None:
        world = World(item(1))
        async with world.writer.alone(USER):
            await world.add(2)
            await world.writer.clear("another", conditions=Conditions(if_match="*"))

        assert world.numbers == [1, 2]

    async def test_a_conditional_change_that_waits_too_long_is_refused(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(writer_module, "_MAX_WAIT_FOR_OTHERS_S", 0.01)
        world = World(item(1))
        async with world.writer.alone(USER):
            with pytest.raises(DatabaseBusyError):
                await world.writer.clear(USER, conditions=Conditions(if_match="*"))

        assert await world.writer.clear(USER, conditions=Conditions(if_match="*")) == 1


class TestOnlyIfAbsent:
    STAR = Conditions(if_none_match="*")

    async def test_adds_an_item_that_was_never_on_the_list(self) -> None:
        world = World()

        assert (await world.writer.put(USER, requested(1), "movie", self.STAR))[1]
        await world.writer.add(USER, requested(2), "movie", self.STAR)
        assert world.numbers == [1, 2]

    async def test_refuses_an_item_that_is_on_the_list(self) -> None:
        world = World(item(1))

        for change in (world.writer.put, world.writer.add):
            with pytest.raises(ItemTakenError):
                await change(USER, requested(1), "movie", self.STAR)

    async def test_refuses_an_item_that_was_removed(self) -> None:
        world = World(item(1))
        await world.writer.remove(USER, requested(1))

        for change in (world.writer.put, world.writer.add):
            with pytest.raises(ItemTakenError):
                await change(USER, requested(1), "movie", self.STAR)
        assert world.numbers == []

    async def test_looks_up_the_item_without_loading_the_list(self) -> None:
        world = World()
        await world.writer.add(USER, requested(1), "movie", self.STAR)

        assert world.journal == ["find", "fence", "deadline", "count", "find_removals", "insert", "lift"]

    async def test_a_removal_requires_the_item_for_if_match_star_and_its_absence_for_if_none_match_star(self) -> None:
        world = World(item(1))

        for change in (world.writer.remove, world.writer.discard):
            with pytest.raises(PreconditionFailedError):
                await change(USER, requested(1), self.STAR)
            with pytest.raises(PreconditionFailedError):
                await change(USER, requested(2), Conditions(if_match="*"))
        await world.writer.discard(USER, requested(2), self.STAR)
        await world.writer.remove(USER, requested(1), Conditions(if_match="*"))
        assert world.numbers == []


class Forgetful(FakeListStore):
    """A store in which another client removes an item and adds it again after the list was loaded."""

    async def load(self, user_id: str) -> list[Item]:
        found = await super().load(user_id)
        self.take_off(user_id, content_id(1))
        self.put(user_id, item(1, added_at=99))
        return found


async def test_an_item_added_again_after_the_etag_was_compared_is_not_removed() -> None:
    world = World(item(1), store=Forgetful())
    conditions = Conditions(if_match=etag(world))

    with pytest.raises(PreconditionFailedError):
        await world.writer.remove(USER, requested(1), conditions)
    world = World(item(1), store=Forgetful())
    result = await world.writer.apply_batch(USER, batch(add=[2], remove=[1]), conditions)
    assert texts(result.remove) == [(content_id(1).hex(), "missing")]
    assert item(1, added_at=99) in world.store.items(USER)


class TestUnlessRemovedSince:
    @pytest.fixture
    def world(self) -> World:
        """A list from which item 1 was removed, and item 2 a moment later. Item 3 is still on it."""
        world = World(item(1), item(2), item(3))
        world.store.now = now_ms()
        world.store.take_off(USER, content_id(1))
        world.store.take_off(USER, content_id(2))
        return world

    def since(self, moment: int, *known: DeliveredChange) -> Conditions:
        return Conditions(unless_removed_since=SyncState(moment, delivered=frozenset(known)))

    async def test_refuses_items_removed_later_and_adds_the_others(self, world: World) -> None:
        conditions = self.since(world.store.now - 1)  # after 1 was removed, before 2 was

        for change in (world.writer.put, world.writer.add):
            with pytest.raises(RemovedSinceError):
                await change(USER, requested(2), "movie", conditions)
        assert (await world.writer.put(USER, requested(1), "movie", conditions))[1]
        assert not (await world.writer.put(USER, requested(3), "movie", conditions))[1]
        with pytest.raises(ItemAlreadyInListError):
            await world.writer.add(USER, requested(3), "movie", conditions)
        assert world.numbers == [1, 3]

    async def test_reports_each_removed_item_of_a_batch_or_a_merge(self, world: World) -> None:
        conditions = self.since(world.store.now - 1)
        result = await world.writer.apply_batch(USER, batch(add=[2, 3, 1, 4, UNKNOWN]), conditions)
        merged = await world.writer.merge(USER, [*map(item, (2, 3, 1, 5))], conditions=conditions)

        outcomes = ["removed_since", "existing", "added", "added", "not_found"]
        assert [outcome for _, outcome in result.add] == outcomes
        assert merged == ["removed_since", "existing", "existing", "added"]
        assert world.numbers == [1, 3, 4, 5]

    async def test_ignores_the_removals_of_the_batch_itself(self, world: World) -> None:
        conditions = self.since(world.store.now - 100)
        result = await world.writer.apply_batch(USER, batch(add=[3, 1, 4], remove=[3, 1]), conditions)

        assert [outcome for _, outcome in result.add] == ["added", "removed_since", "added"]
        assert [outcome for _, outcome in result.remove] == ["removed", "missing"]
        assert world.numbers == [3, 4]

    async def test_ignores_removals_that_were_delivered_to_the_client(self, world: World) -> None:
        known, _ = await ChangeFeed(world.store, FakeCatalogue({})).changes(
            USER, SyncState(world.store.now - 100), max_changes=9
        )
        told = {each.content_id: each.delivered for each in known}
        conditions = self.since(world.store.now - 100, told[content_id(2)])

        with pytest.raises(RemovedSinceError):
            await world.writer.put(USER, requested(1), "movie", conditions)
        assert (await world.writer.put(USER, requested(2), "movie", conditions))[1]
        world.store.take_off(USER, content_id(2))
        with pytest.raises(RemovedSinceError):
            await world.writer.put(USER, requested(2), "movie", conditions)

    async def test_is_refused_if_the_store_may_have_forgotten_removals(self, world: World) -> None:
        for days, expected in ((31, pytest.raises(SyncTokenExpiredError)), (29, pytest.raises(RemovedSinceError))):
            with expected:
                await world.writer.put(USER, requested(2), "movie", self.since(now_ms() - days * 86_400_000))


async def test_a_batch_keeps_its_order_from_the_top_of_the_list_and_later_additions_go_above_it() -> None:
    world = World()
    order = [5, 2, 4, 1]
    await world.writer.apply_batch(USER, batch(add=order))
    await world.writer.add(USER, requested(3), "movie")
    newest, *others = world.store.items(USER)

    assert [number_of(each.content_id) for each in others] == order
    assert len({each.added_at for each in others}) == len(order)
    assert newest.added_at >= others[0].added_at


class TestAccount:
    """`USER/kids` is a profile of USER's account. The other users belong to other accounts."""

    def world(self, *items: Item, limit: int = 4) -> World:
        world = World(*items, max_account_items=limit)
        world.store.put(f"{USER}/kids", item(11), item(12))
        for other in (f"{USER}.kids", f"{USER}0", "another/kids"):
            world.store.put(other, *map(item, range(1, MAX_ITEMS + 1)))
        return world

    async def test_holds_at_most_its_limit_of_items_on_all_its_lists_together(self) -> None:
        world = self.world(item(1))
        await world.add(2)
        with pytest.raises(AccountFullError, match="may hold 4 items together"):
            await world.add(3)
        assert world.numbers == [1, 2]

    async def test_that_is_full_refuses_an_item_before_a_fence_replaces_the_cached_list(self) -> None:
        world = self.world(item(1), limit=3)
        with pytest.raises(AccountFullError):
            await world.add(2)
        assert world.journal == ["count_account", "find"]

    async def test_that_is_full_reports_an_existing_item_when_its_add_is_repeated(self) -> None:
        world = self.world(item(1), limit=3)
        with pytest.raises(ItemAlreadyInListError):
            await world.add(1)

    async def test_counts_the_removals_of_a_batch_as_room(self) -> None:
        world = self.world(item(1), item(2))
        with pytest.raises(AccountFullError):
            await world.writer.apply_batch(USER, batch(add=[3, 4], remove=[1]))
        assert world.numbers == [1, 2]
        await world.writer.apply_batch(USER, batch(add=[3], remove=[1]))
        assert world.numbers == [2, 3]

    async def test_beyond_its_limit_still_allows_removals(self) -> None:
        world = self.world(item(1), item(2), limit=1)
        await world.writer.apply_batch(USER, batch(remove=[1]))
        assert world.numbers == [2]

    async def test_limits_an_import_to_the_room_that_its_other_lists_leave(self) -> None:
        world = self.world(item(1))
        outcomes = await world.writer.merge(USER, [item(2), item(3)], room=Room())
        assert outcomes == ["added", "full"]
        assert world.numbers == [1, 2]

    async def test_without_a_limit_is_not_counted(self) -> None:
        world = self.world(limit=0)
        await world.add(1)
        await world.writer.apply_batch(USER, batch(add=[2]))
        await world.writer.merge(USER, [item(3)], room=Room())
        assert "count_account" not in world.journal
