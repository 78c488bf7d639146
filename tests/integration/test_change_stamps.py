"""Stamps of changes, while MongoDB fails, lags and elects: every change has a stamp, and no answer is a guess."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from typing import Any

import pymongo
import pytest

from devtools.scripted_mongodb import ScriptedMongoDB, Topology
from devtools.waiting import eventually
from mylist.config.settings import Settings
from mylist.domain.change_feed import FeedPosition
from mylist.domain.errors import (
    DatabaseUnavailableError,
    ItemAlreadyInListError,
    ItemNotInListError,
    OutcomeUnknownError,
)
from mylist.domain.item import Item
from mylist.mongodb import lists as lists_module
from mylist.mongodb.database import Database, Document, connect
from mylist.mongodb.indexes import create_indexes
from mylist.mongodb.lists import ListStore
from tests.conftest import PATIENT
from tests.content_ids import content_id, number_of

NAME = "mylist-test-stamps"
CHANGES = "mylist_changes"


@pytest.fixture(scope="module")
def replica_set(mongodb_server: str) -> Iterator[ScriptedMongoDB]:
    with ScriptedMongoDB(mongodb_server, Topology.REPLICA_SET) as mongodb:
        yield mongodb


@asynccontextmanager
async def opened(mongodb: ScriptedMongoDB) -> AsyncIterator[Database]:
    settings = Settings.load({"MONGODB_URI": mongodb.uri(NAME)} | PATIENT)
    database = Database(connect(settings), settings)

    async def is_available() -> bool:
        await database.check()
        return database.available

    await eventually(is_available, within=30)
    await create_indexes(database.handle)
    try:
        yield database
    finally:
        mongodb.mend()
        await database.close()


@pytest.fixture
async def database(replica_set: ScriptedMongoDB) -> AsyncIterator[Database]:
    async with opened(replica_set) as database:
        yield database


@pytest.fixture
async def lists(database: Database) -> ListStore:
    lists = ListStore(database)
    await lists.changes("nobody", FeedPosition(0, bytes(12)), max_changes=1)
    return lists


def item(number: int, added_at: int = 0) -> Item:
    return Item(added_at, content_id(number), "movie")


async def remove(lists: ListStore, user_id: str, number: int) -> None:
    async with lists.removing(user_id, content_id(number)) as remove:
        await remove()


async def stamps_of(database: Database, user_id: str) -> dict[int, Document]:
    documents = await database.handle[CHANGES].find({"userId": user_id}).to_list()
    return {int(each["contentId"], 16): each for each in documents}


async def told(lists: ListStore, user_id: str) -> dict[int, int | None]:
    changes, _ = await lists.changes(user_id, FeedPosition(0, bytes(12)), max_changes=100)
    return {number_of(each.content_id): each.added_at for each in changes}


def write_concerns(mongodb: ScriptedMongoDB) -> list[tuple[str, Any]]:
    return [
        (each.collection, each.document.get("writeConcern", {}).get("w"))
        for each in mongodb.commands("insert", "update", "delete")
        if each.database == NAME
    ]


class TestAnAddition:
    """A duplicate counts only if a majority has the existing item."""

    @pytest.mark.parametrize("code", [64, 91, 11602])
    async def test_has_an_unknown_outcome_if_the_item_exists_but_no_majority_has_it_yet(
        self, replica_set: ScriptedMongoDB, lists: ListStore, user_id: str, code: int
    ) -> None:
        await lists.insert(user_id, item(1))
        for count in (1, 2):
            replica_set.fail_command("insert", write_concern_error=code, count=None)
            with pytest.raises(OutcomeUnknownError):
                await (lists.insert(user_id, item(1)) if count == 1 else lists.insert_many(user_id, [item(1), item(2)]))
            replica_set.mend()

        with pytest.raises(ItemAlreadyInListError):
            await lists.insert(user_id, item(1))

    async def test_that_is_repeated_while_the_majority_lags_has_an_unknown_outcome(
        self, replica_set: ScriptedMongoDB, lists: ListStore, user_id: str
    ) -> None:
        replica_set.lose_majority()
        try:
            for _ in range(2):
                with pytest.raises(OutcomeUnknownError):
                    await lists.insert(user_id, item(1))
        finally:
            replica_set.regain_majority()

        with pytest.raises(ItemAlreadyInListError):
            await lists.insert(user_id, item(1))


class TestARemoval:
    async def test_is_stamped_first_with_a_write_concern_of_1(
        self, replica_set: ScriptedMongoDB, lists: ListStore, user_id: str
    ) -> None:
        await lists.insert(user_id, item(1))
        replica_set.forget_commands()
        await remove(lists, user_id, 1)

        assert write_concerns(replica_set) == [(CHANGES, 1), ("mylist", "majority")]

    @pytest.mark.parametrize("topology", [Topology.SHARDED, Topology.STANDALONE])
    async def test_is_stamped_by_a_majority_of_a_sharded_cluster_or_by_a_standalone_server(
        self, mongodb_server: str, user_id: str, topology: Topology
    ) -> None:
        with ScriptedMongoDB(mongodb_server, topology) as mongodb:
            async with opened(mongodb) as database:
                lists = ListStore(database)
                await lists.insert(user_id, item(1))
                mongodb.forget_commands()
                await remove(lists, user_id, 1)

                stamped_by = "majority" if topology is Topology.SHARDED else 1
                assert write_concerns(mongodb) == [(CHANGES, stamped_by), ("mylist", "majority")]

    async def test_is_stamped_again_if_an_election_rolled_back_its_stamp(
        self, replica_set: ScriptedMongoDB, lists: ListStore, database: Database, user_id: str
    ) -> None:
        await lists.insert_many(user_id, [item(1), item(2)])
        async with stamp_is_lost(replica_set, lists, database, user_id) as go_on:
            assert await stamps_of(database, user_id) == {}, "the former primary alone had it"
            await go_on()

        assert set(await stamps_of(database, user_id)) == {1}
        assert await told(lists, user_id) == {1: None, 2: 0}

    async def test_has_an_unknown_outcome_until_it_is_stamped_again(
        self, replica_set: ScriptedMongoDB, lists: ListStore, database: Database, user_id: str
    ) -> None:
        await lists.insert_many(user_id, [item(1), item(2)])
        async with stamp_is_lost(replica_set, lists, database, user_id) as go_on:
            replica_set.fail_command("update", code=91, count=None, collection=CHANGES)
            with pytest.raises(OutcomeUnknownError, match="other devices may learn of it late"):
                await go_on()
        assert await lists.load(user_id) == [item(2)]
        assert await told(lists, user_id) == {2: 0}, "a device would keep the item"

        replica_set.mend()

        async def is_told() -> bool:
            return await told(lists, user_id) == {1: None, 2: 0}

        await eventually(is_told, within=30)

    async def test_is_not_made_if_its_stamp_is_not_acknowledged(
        self, replica_set: ScriptedMongoDB, lists: ListStore, user_id: str
    ) -> None:
        await lists.insert(user_id, item(1))
        replica_set.fail_command("update", code=91, count=None, collection=CHANGES)
        replica_set.forget_commands()

        with pytest.raises(DatabaseUnavailableError):
            await remove(lists, user_id, 1)
        with pytest.raises(DatabaseUnavailableError):
            await lists.redate_many(user_id, [item(1, added_at=9)])
        replica_set.fail_command("insert", code=91, count=None, collection=CHANGES)
        with pytest.raises(DatabaseUnavailableError):
            await lists.delete_many(user_id, [item(1), item(2)])
        assert replica_set.count("delete") == 0
        replica_set.mend()
        assert await lists.load(user_id) == [item(1)]

    async def test_is_stamped_again_if_its_stamp_is_too_old(
        self,
        replica_set: ScriptedMongoDB,
        lists: ListStore,
        database: Database,
        user_id: str,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        await lists.insert(user_id, item(1))
        monkeypatch.setattr(lists_module, "_MAX_STAMP_AGE_S", 0.0)
        replica_set.forget_commands()
        await remove(lists, user_id, 1)

        assert [collection for collection, _ in write_concerns(replica_set)] == [CHANGES, CHANGES, "mylist"]
        assert (await stamps_of(database, user_id))[1]["stamps"] == 2

    async def test_that_finds_nothing_deletes_its_stamp_even_if_it_stamped_twice(
        self, lists: ListStore, database: Database, user_id: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(lists_module, "_MAX_STAMP_AGE_S", 0.0)
        with pytest.raises(ItemNotInListError):
            await remove(lists, user_id, 1)

        assert await stamps_of(database, user_id) == {}


class TestConcurrentStamps:
    """If two concurrent upserts find no document, MongoDB refuses the second one as a duplicate."""

    @pytest.mark.parametrize("count", [1, 3])
    async def test_are_retried_after_a_duplicate_key_error(
        self, replica_set: ScriptedMongoDB, lists: ListStore, database: Database, user_id: str, count: int
    ) -> None:
        await lists.insert_many(user_id, [item(number) for number in (1, 2, 3)])
        for change in (
            lambda: remove(lists, user_id, 1),
            lambda: lists.delete_many(user_id, [item(2)]),
            lambda: lists.redate_many(user_id, [item(3, added_at=9)]),
        ):
            failure = replica_set.fail_command("update", write_error=11000, count=count, collection=CHANGES)
            await change()
            assert failure.hits == count

        stamps = await stamps_of(database, user_id)
        assert {number: each["stamps"] for number, each in stamps.items()} == {1: 1, 2: 1, 3: 1}
        assert await told(lists, user_id) == {1: None, 2: None, 3: 9}

    async def test_are_given_up_after_repeated_duplicate_key_errors(
        self, replica_set: ScriptedMongoDB, lists: ListStore, user_id: str
    ) -> None:
        await lists.insert(user_id, item(1))
        failure = replica_set.fail_command("update", write_error=11000, count=None, collection=CHANGES)
        with pytest.raises(DatabaseUnavailableError):
            await remove(lists, user_id, 1)

        assert failure.hits <= 20
        replica_set.mend()
        assert await lists.load(user_id) == [item(1)]


class TestAnIneffectiveRemoval:
    """Another removal of the same title comes first. Its stamp must stay, however the ineffective removal ends."""

    async def test_whose_stamp_was_rolled_back_leaves_the_stamp_of_the_effective_removal(
        self, replica_set: ScriptedMongoDB, lists: ListStore, database: Database, user_id: str
    ) -> None:
        await lists.insert_many(user_id, [item(1), item(2)])
        async with stamp_is_lost(replica_set, lists, database, user_id) as remove_in_vain:
            await remove(lists, user_id, 1)
            with pytest.raises(ItemNotInListError):
                await remove_in_vain()

        assert set(await stamps_of(database, user_id)) == {1}
        assert await told(lists, user_id) == {1: None, 2: 0}

    async def test_that_was_never_sent_leaves_the_stamp_of_the_effective_removal(
        self, replica_set: ScriptedMongoDB, lists: ListStore, database: Database, user_id: str
    ) -> None:
        await lists.insert_many(user_id, [item(1), item(2)])
        primary = replica_set.primary()
        assert primary is not None
        # The former primary gets the attempt to delete the stamp, which is repeated after the other removal.
        replica_set.fail_command("delete", closes="before", delay_s=2.0, collection=CHANGES)
        replica_set.lose_majority()
        is_there = stamp_is_there(replica_set)

        async def give_up() -> None:
            async with lists.removing(user_id, content_id(1)):
                await eventually(is_there, within=60)

        giving_up = asyncio.create_task(give_up())
        await eventually(is_there, within=60)
        await asyncio.wait({giving_up}, timeout=0.5)
        replica_set.step_down((primary + 1) % 3)
        await stamps_of(database, user_id)  # so that the driver finds the new primary
        await remove(lists, user_id, 1)
        await giving_up

        assert set(await stamps_of(database, user_id)) == {1}
        assert await told(lists, user_id) == {1: None, 2: 0}

    async def test_that_was_never_sent_deletes_its_stamp_on_a_sharded_cluster(
        self, mongodb_server: str, user_id: str
    ) -> None:
        with ScriptedMongoDB(mongodb_server, Topology.SHARDED) as mongodb:
            async with opened(mongodb) as database:
                async with ListStore(database).removing(user_id, content_id(1)):
                    await eventually(stamp_is_there(mongodb), within=60)
                assert await stamps_of(database, user_id) == {}


@asynccontextmanager
async def stamp_is_lost(
    mongodb: ScriptedMongoDB, lists: ListStore, database: Database, user_id: str
) -> AsyncIterator[Callable[[], Awaitable[None]]]:
    """Begin to remove item 1, and lose the stamp of that removal by an election; yield the rest of the removal."""
    primary = mongodb.primary()
    assert primary is not None
    mongodb.lose_majority()
    is_there = stamp_is_there(mongodb)
    async with lists.removing(user_id, content_id(1)) as go_on:
        await eventually(is_there, within=60)
        mongodb.step_down((primary + 1) % 3)
        await stamps_of(database, user_id)  # so that the driver finds the new primary
        yield go_on


def stamp_is_there(mongodb: ScriptedMongoDB) -> Any:
    mongodb.forget_commands()

    async def is_there() -> bool:
        return mongodb.count("update") > 0

    return is_there


async def until_stamped_twice(database: Database, user_id: str, numbers: set[int]) -> None:
    async def are_made() -> bool:
        stamps = await stamps_of(database, user_id)
        return all(stamps[number]["stamps"] >= 2 for number in numbers)

    await eventually(are_made, within=30)


_DEADLINE_S = 1.5
CHANGED: dict[str, Any] = {
    "remove": (lambda lists, user: remove(lists, user, 1), "delete", {1}),
    "delete_many": (lambda lists, user: lists.delete_many(user, [item(1), item(2)]), "delete", {1, 2}),
    "delete_seen": (lambda lists, user: lists.delete_seen(user, [item(2), item(3)]), "delete", {2, 3}),
    "redate_many": (lambda lists, user: lists.redate_many(user, [item(3, added_at=5)]), "update", {3}),
}


@pytest.mark.parametrize("name", CHANGED)
class TestAChangeOfUnknownOutcome:
    async def test_is_stamped_again_after_the_deadline_of_its_request(
        self, replica_set: ScriptedMongoDB, lists: ListStore, database: Database, user_id: str, name: str
    ) -> None:
        change, command, numbers = CHANGED[name]
        await lists.insert_many(user_id, [item(number) for number in (1, 2, 3)])
        replica_set.fail_command(command, closes="after", count=None, collection="mylist")
        with pytest.raises(OutcomeUnknownError), pymongo.timeout(_DEADLINE_S):
            await change(lists, user_id)
        # Every stamp fails until the deadline has passed.
        replica_set.fail_command("update", "insert", closes="before", count=None, collection=CHANGES)
        await asyncio.sleep(_DEADLINE_S)
        replica_set.mend()

        await until_stamped_twice(database, user_id, numbers)
        await lists.finish()

    async def test_is_stamped_again_once_mongodb_accepts_writes(
        self, replica_set: ScriptedMongoDB, lists: ListStore, database: Database, user_id: str, name: str
    ) -> None:
        change, command, numbers = CHANGED[name]
        await lists.insert_many(user_id, [item(number) for number in (1, 2, 3)])
        replica_set.fail_command(command, closes="after", count=None, collection="mylist")
        with pytest.raises(OutcomeUnknownError):
            await change(lists, user_id)
        replica_set.mend()
        before = await stamps_of(database, user_id)

        await until_stamped_twice(database, user_id, numbers)
        await lists.finish()
        stamps = await stamps_of(database, user_id)
        assert set(before) == set(stamps) == numbers
        assert all(stamps[each]["changedAt"] >= before[each]["changedAt"] for each in numbers)
