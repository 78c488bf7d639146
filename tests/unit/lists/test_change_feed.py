"""Following a list: a device that polls ends up with the same list, no matter what happens in between."""

from datetime import timedelta

import pytest

from mylist.domain.change_feed import ListChange, SyncState
from mylist.domain.content import ContentId
from mylist.domain.errors import DatabaseUnavailableError, SyncTokenExpiredError
from mylist.domain.item import Item
from mylist.domain.limits import CHANGE_RETENTION
from mylist.lists.change_feed import ChangeFeed
from tests.content_ids import content_id, number_of
from tests.unit.fakes import SETTLING_MS, START_MS, FakeCatalogue, FakeListStore, item

USER = "user"
MILLISECOND = timedelta(milliseconds=1)
HOUR_MS = timedelta(hours=1) // MILLISECOND
REMOVALS_KNOWN_MS = (CHANGE_RETENTION - timedelta(minutes=1)) // MILLISECOND
_MAX_PARTS = 1000


class Device:
    """A client that follows a list only by the changes that it gets."""

    def __init__(self, store: FakeListStore) -> None:
        self.state: SyncState | None = None
        self.items: dict[ContentId, int] = {}
        self._feed = ChangeFeed(store, FakeCatalogue.numbered(range(1, 10)))

    async def ask(self, *, max_changes: int = 100) -> list[ListChange]:
        changes, self.state = await self._feed.changes(USER, self.state, max_changes=max_changes)
        for each in changes:
            if each.added_at is None:
                self.items.pop(each.content_id, None)
            else:
                self.items[each.content_id] = each.added_at
        return changes

    async def catch_up(self, *, max_changes: int = 100) -> list[str]:
        """Poll until a round is complete; return the changes, `+1` for an addition and `-1` for a removal."""
        told = list(await self.ask(max_changes=max_changes))
        for _ in range(_MAX_PARTS):
            if self.state is None or self.state.is_complete:
                break
            told += await self.ask(max_changes=max_changes)
        else:
            pytest.fail("the round never ends")
        return [f"{'-' if each.added_at is None else '+'}{number_of(each.content_id)}" for each in told]


@pytest.fixture
def store() -> FakeListStore:
    return FakeListStore()


@pytest.fixture
def device(store: FakeListStore) -> Device:
    return Device(store)


def settle(store: FakeListStore, milliseconds: int = SETTLING_MS) -> None:
    """Let time pass, by default until everything that has changed is below the watermark."""
    store.now += milliseconds


def on_the_list(store: FakeListStore) -> dict[ContentId, int]:
    return {each.content_id: each.added_at for each in store.items(USER)}


class TestTheFirstRound:
    async def test_returns_every_item_in_order_of_content_id(self, store: FakeListStore, device: Device) -> None:
        store.put(USER, item(3), item(1), item(2))
        store.take_off(USER, content_id(1))
        settle(store)
        [first, _] = await device.ask()

        assert (first.content_id, first.content_type, first.added_at) == (content_id(2), "movie", 2)
        assert first.changed_at == START_MS
        assert device.items == on_the_list(store)
        assert device.state
        assert device.state.is_complete

    async def test_returns_no_change_for_an_empty_list(self, device: Device) -> None:
        assert await device.catch_up() == []

    async def test_is_returned_in_parts_of_at_most_max_changes(self, store: FakeListStore, device: Device) -> None:
        store.put(USER, *map(item, range(1, 6)))
        settle(store)

        assert len(await device.ask(max_changes=2)) == 2
        assert device.state
        assert not device.state.is_complete
        assert await device.catch_up(max_changes=2) == ["+3", "+4", "+5"]
        assert device.items == on_the_list(store)

    async def test_postpones_changes_before_its_position_to_the_next_round(
        self, store: FakeListStore, device: Device
    ) -> None:
        store.put(USER, *map(item, range(2, 5)))
        settle(store)
        await device.ask(max_changes=2)
        store.take_off(USER, content_id(2))
        store.put(USER, item(1))

        assert await device.catch_up(max_changes=2) == ["+4"]
        assert sorted(await device.catch_up(max_changes=2)) == ["+1", "-2"]
        assert device.items == on_the_list(store)

    async def test_omits_the_removal_of_an_item_that_it_has_not_returned(
        self, store: FakeListStore, device: Device
    ) -> None:
        store.put(USER, *map(item, range(1, 4)))
        store.take_off(USER, content_id(2))
        settle(store)

        assert await device.catch_up(max_changes=1) == ["+1", "+3"]

    async def test_omits_the_items_of_other_users(self, store: FakeListStore, device: Device) -> None:
        store.put("another", item(1))

        assert await device.catch_up() == []


class TestLaterRounds:
    async def test_return_the_changes_since_the_previous_round(self, store: FakeListStore, device: Device) -> None:
        store.put(USER, item(1), item(2))
        settle(store)
        await device.catch_up()
        store.put(USER, item(3))
        store.take_off(USER, content_id(1))
        settle(store)

        assert await device.catch_up() == ["+3", "-1"]
        assert device.items == on_the_list(store)

    async def test_return_only_the_last_change_of_an_item(self, store: FakeListStore, device: Device) -> None:
        store.put(USER, item(1))
        settle(store)
        await device.catch_up()
        store.take_off(USER, content_id(1))
        store.put(USER, item(1, added_at=50))
        settle(store)

        assert await device.catch_up() == ["+1"]
        assert device.items == {content_id(1): 50}

    async def test_resume_after_the_last_part_despite_changes_in_between(
        self, store: FakeListStore, device: Device
    ) -> None:
        settle(store)
        await device.catch_up()
        store.put(USER, *map(item, range(1, 6)))
        settle(store)
        await device.ask(max_changes=2)
        store.take_off(USER, content_id(1), content_id(5))

        assert await device.catch_up(max_changes=2) == ["+3", "+4", "-1", "-5"]
        assert device.items == on_the_list(store)

    async def test_return_changes_above_the_watermark_only_once(self, store: FakeListStore, device: Device) -> None:
        store.put(USER, item(1), item(2))

        assert await device.catch_up() == ["+1", "+2"]
        settle(store, SETTLING_MS // 2)
        store.put(USER, item(3))
        assert await device.catch_up() == ["+3"]
        assert await device.catch_up() == []
        settle(store)
        assert await device.catch_up() == []

    async def test_suppress_delivered_changes_in_every_part(self, store: FakeListStore, device: Device) -> None:
        store.put(USER, item(1), item(2))
        assert await device.catch_up() == ["+1", "+2"]
        assert await device.catch_up(max_changes=1) == []
        settle(store)
        store.put(USER, item(3))

        assert await device.catch_up(max_changes=1) == ["+3"]

    async def test_postpone_changes_that_become_readable_too_late_for_the_current_round(
        self, store: FakeListStore, device: Device
    ) -> None:
        settle(store)
        await device.catch_up()
        stamped_at = store.now
        settle(store, 5_000)
        store.put(USER, *map(item, range(1, 4)))
        await device.ask(max_changes=1)
        now, store.now = store.now, stamped_at
        store.put(USER, item(9))
        store.now = now
        settle(store)

        assert await device.catch_up(max_changes=1) == ["+2", "+3"]
        assert await device.catch_up(max_changes=1) == ["+9"]

    async def test_return_a_change_that_became_readable_after_a_later_one(
        self, store: FakeListStore, device: Device
    ) -> None:
        settle(store)
        await device.catch_up()
        store.put(USER, item(2))
        stamped_at = store.now
        settle(store, 5)
        store.put(USER, item(3))
        assert await device.catch_up() == ["+2", "+3"]
        now, store.now = store.now, stamped_at
        store.put(USER, item(1))  # stamped between the two
        store.now = now

        assert await device.catch_up() == ["+1"]
        assert device.items == on_the_list(store)

    async def test_return_the_removal_of_an_item_whose_addition_was_returned(
        self, store: FakeListStore, device: Device
    ) -> None:
        store.put(USER, item(1))
        await device.catch_up()
        store.take_off(USER, content_id(1))

        assert await device.catch_up() == ["-1"]

    async def test_return_a_removal_in_the_same_millisecond_as_the_addition(
        self, store: FakeListStore, device: Device
    ) -> None:
        store.put(USER, item(1))
        await device.catch_up()
        store.now -= 1
        store.take_off(USER, content_id(1))

        assert await device.catch_up() == ["-1"]

    async def test_return_a_removal_even_if_its_stamp_was_read_before_the_deletion(
        self, store: FakeListStore, device: Device
    ) -> None:
        store.put(USER, item(1))
        settle(store)
        await device.catch_up()
        store.stamp(USER, content_id(1))
        assert await device.catch_up() == ["+1"]
        settle(store, SETTLING_MS - 1000)
        store.delete(USER, content_id(1))

        assert await device.catch_up() == ["-1"]
        settle(store)
        assert await device.catch_up() == []

    async def test_return_a_changed_date_once(self, store: FakeListStore, device: Device) -> None:
        store.put(USER, item(1), item(2))
        await device.catch_up()
        await store.redate_many(USER, [item(1, added_at=99)])

        assert await device.catch_up() == ["+1"]
        assert await device.catch_up() == []
        assert device.items == on_the_list(store)

    async def test_return_the_type_of_a_removed_item_only_if_the_catalogue_knows_it(
        self, store: FakeListStore, device: Device
    ) -> None:
        store.put(USER, item(1), item(50))
        settle(store)
        await device.catch_up()
        store.take_off(USER, content_id(1), content_id(50))

        changes = {each.content_id: each.content_type for each in await device.ask()}
        assert changes == {content_id(1): "movie", content_id(50): None}

    async def test_omit_items_that_the_original_service_added_long_ago(
        self, store: FakeListStore, device: Device
    ) -> None:
        store.put_original(USER, item(7, added_at=1_600_000_000_000))
        store.put(USER, item(1))
        [_, original] = await device.ask()

        assert (original.content_id, original.changed_at) == (content_id(7), 1_600_000_000_000)
        assert await device.catch_up() == []


class TestASyncState:
    async def test_advances_only_once_an_hour_while_nothing_changes(self, store: FakeListStore, device: Device) -> None:
        store.put(USER, item(1))
        settle(store)
        await device.catch_up()
        before = device.state
        assert before
        store.now = before.watermark + SETTLING_MS + HOUR_MS - 1
        assert await device.catch_up() == []
        assert device.state is before

        store.now += 1
        assert await device.catch_up() == []
        assert device.state
        assert device.state.watermark == before.watermark + HOUR_MS

    async def test_advances_with_a_change(self, store: FakeListStore, device: Device) -> None:
        await device.catch_up()
        before = device.state
        assert before
        store.put(USER, item(1))
        settle(store)
        await device.catch_up()

        assert device.state
        assert device.state.watermark > before.watermark

    async def test_never_goes_back(self, store: FakeListStore, device: Device) -> None:
        """After an election, MongoDB's clock may be behind."""
        store.put(USER, item(1))
        settle(store)
        await device.catch_up()
        before = device.state
        assert before
        store.now -= SETTLING_MS
        store.put(USER, item(2))
        await device.catch_up()

        assert device.state
        assert device.state.watermark == before.watermark

    async def test_expires_before_removals_are_forgotten(self, store: FakeListStore, device: Device) -> None:
        await device.catch_up()
        state = device.state
        assert state
        store.now = state.watermark + REMOVALS_KNOWN_MS - 1
        await device.catch_up()
        device.state, store.now = state, store.now + 1

        with pytest.raises(SyncTokenExpiredError):
            await device.catch_up()

    async def test_of_an_incomplete_round_expires_once_its_resume_position_is_too_old(
        self, store: FakeListStore, device: Device
    ) -> None:
        await device.catch_up()
        store.put(USER, *map(item, range(1, 4)))
        settle(store, REMOVALS_KNOWN_MS // 2)
        await device.ask(max_changes=1)
        assert device.state
        assert device.state.resume_at
        settle(store, REMOVALS_KNOWN_MS // 2)

        with pytest.raises(SyncTokenExpiredError):
            await device.catch_up()

    async def test_cannot_be_obtained_while_the_store_is_unavailable(
        self, store: FakeListStore, device: Device
    ) -> None:
        store.unavailable = True

        with pytest.raises(DatabaseUnavailableError):
            await device.ask()


async def test_many_changes_are_returned_once_each_in_parts_of_any_size(store: FakeListStore) -> None:
    store.put(USER, *(Item(number, content_id(number), "movie") for number in range(250)))
    store.take_off(USER, *map(content_id, range(0, 250, 3)))
    for size in (1, 7, 1000):
        device = Device(store)
        told = await device.catch_up(max_changes=size)

        assert len(set(told)) == len(told)
        assert device.items == on_the_list(store)
