"""Lists and content in a real MongoDB-protocol server."""

import asyncio
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import nullcontext, suppress
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from bson import ObjectId
from pymongo import AsyncMongoClient
from pymongo.asynchronous.database import AsyncDatabase
from pymongo.database import Database as SyncDatabase
from pymongo.errors import (
    AutoReconnect,
    ConfigurationError,
    DuplicateKeyError,
    ExecutionTimeout,
    NetworkTimeout,
    NotPrimaryError,
    OperationFailure,
    ServerSelectionTimeoutError,
    WaitQueueTimeoutError,
    WriteConcernError,
)

from mylist.config.settings import Settings
from mylist.domain.change_feed import FeedPosition, ListChange
from mylist.domain.content import ContentId
from mylist.domain.errors import (
    DatabaseBusyError,
    DatabaseRefusedError,
    DatabaseUnavailableError,
    ItemAlreadyInListError,
    ItemNotInListError,
    OutcomeUnknownError,
)
from mylist.domain.item import Item
from mylist.domain.timestamps import to_milliseconds
from mylist.lists import ports
from mylist.mongodb.content import ContentStore
from mylist.mongodb.database import Database, Document, MongoRefusedError, connect
from mylist.mongodb.indexes import create_indexes
from mylist.mongodb.lists import ListStore
from mylist.telemetry.line_limit import LineLimit
from tests.content_ids import content_id, number_of
from tests.unit.fakes import FakeListStore

FEED_START = FeedPosition(0, bytes(12))
NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


def raised_by(error: Exception, cause: Exception) -> Exception:
    error.__cause__ = cause
    return error


def item(number: int, added_at: int = 0) -> Item:
    return Item(added_at, content_id(number), "movie")


@pytest.fixture
def lists(store_database: Database) -> ListStore:
    return ListStore(store_database)


async def remove(store: ports.ListStore, user_id: str, number: int) -> None:
    async with store.removing(user_id, item(number).content_id) as remove:
        await remove()


async def everything_changed(
    store: ports.ListStore, user_id: str, after: FeedPosition = FEED_START
) -> list[ListChange]:
    changes, end = await store.changes(user_id, after, max_changes=100)
    assert end is None
    return changes


@pytest.fixture(params=["MongoDB", "in memory"])
def either(request: pytest.FixtureRequest) -> ports.ListStore:
    """The store, and the in-memory fake that the unit tests use instead: both must answer alike."""
    if request.param == "in memory":
        return FakeListStore()
    lists: ListStore = request.getfixturevalue("lists")
    return lists


async def test_a_list_is_sorted_newest_first_and_equal_times_by_id(either: ports.ListStore, user_id: str) -> None:
    for each in (item(3, 10), item(1, 20), item(2, 10)):
        await either.insert(user_id, each)

    assert await either.load(user_id) == [item(1, 20), item(2, 10), item(3, 10)]
    assert await either.count(user_id, limit=10) == 3
    assert await either.count(user_id, limit=2) == 2


async def test_the_count_of_an_account_includes_its_profiles(either: ports.ListStore, user_id: str) -> None:
    for place, own in enumerate((user_id, f"{user_id}/kids", f"{user_id}/a/b", f"{user_id}/")):
        await either.insert_many(own, [item(place), item(place + 1)])
    for other in (f"{user_id}0", f"{user_id}.kids", f"{user_id}-", user_id[:-1], f"{user_id[:-1]}/{user_id[-1]}"):
        await either.insert(other, item(1))

    assert await either.count_account(user_id, limit=100) == 8
    assert await either.count_account(user_id, limit=5) == 5
    assert await either.count_account("nobody", limit=100) == 0


async def test_an_item_can_be_on_a_list_only_once(either: ports.ListStore, user_id: str) -> None:
    await either.insert(user_id, item(1))

    with pytest.raises(ItemAlreadyInListError):
        await either.insert(user_id, item(1, added_at=99))
    assert await either.find(user_id, item(1).content_id) == item(1)
    assert await either.find(user_id, item(2).content_id) is None


async def test_many_items_are_added_removed_and_found_in_one_go(either: ports.ListStore, user_id: str) -> None:
    await either.insert(user_id, item(1))

    assert await either.insert_many(user_id, [item(0), item(1, added_at=99), item(2)]) == {item(1).content_id}
    found = await either.find_many(user_id, [item(number).content_id for number in range(4)])
    assert set(found) == {item(number) for number in range(3)}
    assert await either.delete_many(user_id, [item(number) for number in (0, 2, 3)]) == 2
    assert await either.load(user_id) == [item(1)]


async def test_delete_seen_keeps_an_item_that_was_removed_and_added_again(
    either: ports.ListStore, user_id: str
) -> None:
    await either.insert_many(user_id, [item(number) for number in range(4)])
    seen = await either.load(user_id)
    await remove(either, user_id, 1)
    await either.insert(user_id, item(1, added_at=99))

    assert await either.delete_seen(user_id, [each for each in seen if each != item(2)]) == 2
    assert await either.load(user_id) == [item(1, added_at=99), item(2)]
    assert await either.delete_seen(user_id, []) == 0


async def test_redating_is_a_change_and_does_not_restore_removed_items(either: ports.ListStore, user_id: str) -> None:
    await either.insert_many(user_id, [item(1), item(2)])
    await remove(either, user_id, 2)
    told = await everything_changed(either, user_id)
    assert await either.redate_many(user_id, [item(number, added_at=50) for number in (1, 2)]) == 1
    anew = await everything_changed(either, user_id, max(each.position for each in told))

    assert await either.load(user_id) == [item(1, added_at=50)]
    assert [(number_of(each.content_id), each.added_at) for each in anew] == [(1, 50), (2, None)]


async def test_removals_are_known_until_the_item_is_added_again(either: ports.ListStore, user_id: str) -> None:
    await either.insert_many(user_id, [item(number) for number in range(5)])
    before = {each.content_id: each.changed_at for each in await everything_changed(either, user_id)}
    await remove(either, user_id, 1)
    await either.delete_many(user_id, [item(2), item(3)])
    await either.redate_many(user_id, [item(4, added_at=9)])
    await either.insert(user_id, item(3, added_at=99))
    removals = await either.find_removals(user_id, [item(number).content_id for number in range(6)])

    assert {number_of(each.content_id) for each in removals} == {1, 2}
    assert all(each.added_at is None and each.changed_at >= before[each.content_id] for each in removals)
    told = {each.content_id: each.delivered for each in await everything_changed(either, user_id)}
    assert all(each.delivered == told[each.content_id] for each in removals)
    assert await either.find_removals("another", [item(1).content_id]) == []


async def test_a_removed_item_is_gone_and_cannot_be_removed_again(either: ports.ListStore, user_id: str) -> None:
    await either.insert(user_id, item(1))
    await remove(either, user_id, 1)

    assert await either.load(user_id) == []
    with pytest.raises(ItemNotInListError):
        await remove(either, user_id, 1)


async def test_no_query_of_a_list_finds_removed_items(either: ports.ListStore, user_id: str) -> None:
    await either.insert_many(user_id, [item(number) for number in range(4)])
    await remove(either, user_id, 0)
    await either.delete_many(user_id, [item(1), item(9)])

    assert await either.load(user_id) == [item(2), item(3)]
    assert await either.count(user_id, limit=9) == 2
    assert await either.find(user_id, item(0).content_id) is None
    found = await either.find_many(user_id, [item(number).content_id for number in range(4)])
    assert set(found) == {item(2), item(3)}
    assert await either.delete_seen(user_id, [item(2), item(3)]) == 2
    assert await either.delete_seen(user_id, [item(2), item(3)]) == 0
    assert await either.load(user_id) == []
    assert {each.added_at for each in await everything_changed(either, user_id)} == {None}


async def documents_of(database: Database, collection: str, user_id: str) -> list[Document]:
    return await database.handle[collection].find({"userId": user_id}).sort("contentId").to_list()


async def test_mylist_has_only_current_items_and_mylist_changes_has_the_stamps(
    lists: ListStore, store_database: Database, user_id: str
) -> None:
    await lists.insert_many(user_id, [item(number) for number in range(6)])
    await remove(lists, user_id, 0)
    await lists.delete_many(user_id, [item(1)])
    await lists.delete_seen(user_id, [item(2)])
    await lists.redate_many(user_id, [item(3, added_at=7)])
    await lists.insert(user_id, item(0, added_at=8))

    documents = await documents_of(store_database, "mylist", user_id)
    assert [(int(each["contentId"], 16), to_milliseconds(each["addedAt"]), sorted(each)) for each in documents] == [
        (number, added_at, ["_id", "addedAt", "contentId", "contentType", "userId"])
        for number, added_at in ((0, 8), (3, 7), (4, 0), (5, 0))
    ]
    stamps = await documents_of(store_database, "mylist_changes", user_id)
    assert [(int(each["contentId"], 16), each["change"]) for each in stamps] == [
        (0, "removed"),
        (1, "removed"),
        (2, "removed"),
        (3, "dated"),
    ]
    await lists.delete_seen(user_id, await lists.load(user_id))
    assert await documents_of(store_database, "mylist", user_id) == []


async def test_stamps_have_the_time_of_mongodb_and_expire_after_thirty_days(
    lists: ListStore, store_database: Database, user_id: str
) -> None:
    before, _ = await lists.clock()
    await lists.insert_many(user_id, [item(number) for number in range(5)])
    await remove(lists, user_id, 0)
    await lists.delete_many(user_id, [item(1)])
    await lists.delete_many(user_id, [item(2), item(3)])
    await lists.insert_many(user_id, [item(number) for number in range(3)])
    await lists.delete_seen(user_id, await lists.load(user_id))  # which gives some items a second stamp
    after, _ = await lists.clock()

    stamps = await documents_of(store_database, "mylist_changes", user_id)
    assert len(stamps) == 5
    assert all(before <= to_milliseconds(each["changedAt"]) <= after for each in stamps)
    assert [each["stamps"] for each in stamps] == [2, 2, 2, 1, 1]
    indexes = await (await store_database.handle["mylist_changes"].list_indexes()).to_list()
    assert [each["expireAfterSeconds"] for each in indexes if dict(each["key"]) == {"changedAt": 1}] == [30 * 86_400]


async def test_removals_that_find_nothing_leave_no_stamp_and_keep_earlier_ones(
    lists: ListStore, store_database: Database, user_id: str
) -> None:
    await lists.insert(user_id, item(1))
    await remove(lists, user_id, 1)

    async def remove_in_vain(number: int) -> None:
        with pytest.raises(ItemNotInListError):
            await remove(lists, user_id, number)

    await asyncio.gather(*(remove_in_vain(number) for number in (1, 2, 3, 3, 3, 1)))
    await remove_in_vain(1)

    stamps = await documents_of(store_database, "mylist_changes", user_id)
    assert [int(each["contentId"], 16) for each in stamps] == [1]
    assert [number_of(each.content_id) for each in await everything_changed(lists, user_id)] == [1]


async def test_one_of_several_concurrent_removals_finds_the_item_and_its_stamp_stays(
    lists: ListStore, store_database: Database, user_id: str
) -> None:
    await lists.insert(user_id, item(1))
    outcomes = await asyncio.gather(*(remove(lists, user_id, 1) for _ in range(10)), return_exceptions=True)

    assert sorted(type(each).__name__ for each in outcomes) == [*["ItemNotInListError"] * 9, "NoneType"]
    [stamp] = await documents_of(store_database, "mylist_changes", user_id)
    assert stamp["stamps"] == stamp["inVain"] + 1


async def changes_of(
    store: ports.ListStore, user_id: str, after: FeedPosition, *, size: int = 10
) -> tuple[list[tuple[int, int | None]], FeedPosition | None]:
    """The changes of a list, each as the number of its item and the time at which that was added."""
    changes, end = await store.changes(user_id, after, max_changes=size)
    return [(number_of(each.content_id), each.added_at) for each in changes], end


async def test_pages_of_changes_are_in_order_and_have_only_the_last_change_of_each_item(
    either: ports.ListStore, user_id: str
) -> None:
    for number in (1, 2, 3):
        await either.insert(user_id, item(number, added_at=number))
    await until_the_next_second(either)
    await remove(either, user_id, 1)

    assert await changes_of(either, user_id, FEED_START) == ([(2, 2), (3, 3), (1, None)], None)
    first, end = await changes_of(either, user_id, FEED_START, size=2)
    assert end
    assert (first, await changes_of(either, user_id, end, size=2)) == ([(2, 2), (3, 3)], ([(1, None)], None))
    assert await changes_of(either, "another", FEED_START) == ([], None)


async def until_the_next_second(store: ports.ListStore) -> None:
    """Wait until new additions get a later second than the last one."""
    if isinstance(store, FakeListStore):
        store.now += 1000
        return
    now, _ = await store.clock()
    await asyncio.sleep((1001 - now % 1000) / 1000)


async def test_paging_through_changes_in_any_page_size_misses_none_and_repeats_no_position(
    either: ports.ListStore, user_id: str
) -> None:
    await either.insert_many(user_id, [item(number) for number in range(12)])
    await either.delete_many(user_id, [item(number) for number in (1, 4, 7)])  # with one stamp command
    await until_the_next_second(either)
    await either.insert_many(user_id, [item(number, added_at=9) for number in (4, 20)])
    await remove(either, user_id, 2)
    await either.redate_many(user_id, [item(number, added_at=7) for number in (0, 20)])
    expected = {each.content_id: each.added_at for each in await everything_changed(either, user_id)}

    for size in (1, 2, 3, 5, 100):
        position, told, positions = FEED_START, dict[ContentId, int | None](), list[FeedPosition]()
        while True:
            changes, end = await either.changes(user_id, position, max_changes=size)
            told |= {each.content_id: each.added_at for each in changes}
            positions += [each.position for each in changes]
            if end is None:
                break
            position = end
        assert told == expected
        assert positions == sorted(set(positions))


async def test_an_item_that_is_removed_and_added_again_counts_as_one_change(
    either: ports.ListStore, user_id: str
) -> None:
    await either.insert(user_id, item(1))
    await remove(either, user_id, 1)
    await either.insert(user_id, item(1, added_at=5))

    assert await changes_of(either, user_id, FEED_START) == ([(1, 5)], None)


async def test_pages_of_a_list_are_in_the_order_of_content_ids(either: ports.ListStore, user_id: str) -> None:
    await either.insert_many(user_id, [item(number, added_at=9 - number) for number in (3, 1, 2)])

    async def listed(after: str, size: int) -> tuple[list[tuple[int, int | None]], str | None]:
        changes, end = await either.listed(user_id, after, max_items=size)
        return [(number_of(each.content_id), each.added_at) for each in changes], end

    assert await listed("", 3) == ([(1, 8), (2, 7), (3, 6)], None)
    assert await listed("", 2) == ([(1, 8), (2, 7)], item(2).content_id.hex())
    assert await listed(item(2).content_id.hex(), 2) == ([(3, 6)], None)
    assert await either.listed("another", "", max_items=2) == ([], None)


async def test_the_watermark_is_behind_the_clock_that_stamps_changes(either: ports.ListStore, user_id: str) -> None:
    await until_the_next_second(either)
    before, _ = await either.clock()
    await either.insert(user_id, item(1))
    [addition] = await everything_changed(either, user_id)
    await remove(either, user_id, 1)
    [removal] = await everything_changed(either, user_id)
    after, watermark = await either.clock()

    assert before // 1000 <= addition.changed_at / 1000 <= after / 1000
    assert before <= removal.changed_at <= after
    assert watermark <= after - 30_000


async def test_an_item_is_stored_in_the_documented_form(
    lists: ListStore, store_database: Database, user_id: str
) -> None:
    await lists.insert(user_id, Item(1_704_110_400_123, ContentId(bytes.fromhex("507f1f77bcf86cd799439012")), "tvshow"))

    document = await store_database.handle["mylist"].find_one({"userId": user_id}, {"_id": 0})
    assert document
    assert document == {
        "userId": user_id,
        "contentId": "507f1f77bcf86cd799439012",
        "contentType": "tvshow",
        "addedAt": NOON - timedelta(days=731) + timedelta(milliseconds=123),
    }


async def test_an_item_that_the_original_stored_with_an_uppercase_id_can_be_removed(
    lists: ListStore, store_database: Database, user_id: str
) -> None:
    capitals = {"userId": user_id, "contentId": "AB" * 12, "contentType": "movie", "addedAt": NOON}
    await store_database.handle["mylist"].insert_one(capitals)

    in_capitals = ContentId(b"\xab" * 12)
    assert await lists.find(user_id, in_capitals)
    async with lists.removing(user_id, in_capitals) as remove:
        await remove()
    assert await lists.load(user_id) == []


@pytest.fixture
def nothing_logged_yet(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make the next unreadable document the first one in an hour, so that it is logged."""
    monkeypatch.setattr("mylist.mongodb.lists._unreadable_lines", LineLimit(1, period_s=3600))


@pytest.mark.usefixtures("nothing_logged_yet")
@pytest.mark.parametrize(
    "foreign",
    [
        {"contentId": "not-an-id", "contentType": "movie", "addedAt": NOON},
        {"contentId": "0" * 24, "contentType": "podcast", "addedAt": NOON},
        {"contentId": 7, "contentType": "movie", "addedAt": NOON},
    ],
)
async def test_documents_that_are_not_items_are_left_out_and_logged_once(
    lists: ListStore,
    store_database: Database,
    user_id: str,
    foreign: dict[str, Any],
    caplog: pytest.LogCaptureFixture,
) -> None:
    await store_database.handle["mylist"].insert_one({"userId": user_id, **foreign})
    await lists.insert(user_id, item(1))

    assert await lists.load(user_id) == [item(1)]
    assert await lists.load(user_id) == [item(1)]
    assert [record.getMessage() for record in caplog.records] == [
        "Left out 1 documents of a list that are not items: check contentId and contentType in mylist"
    ]
    assert user_id not in caplog.text


async def test_a_long_list_is_loaded_completely(
    lists: ListStore, database: SyncDatabase[dict[str, object]], user_id: str
) -> None:
    documents = [
        {"userId": user_id, "contentId": content_id(number).hex(), "contentType": "movie", "addedAt": NOON}
        for number in range(5000)
    ]
    database["mylist"].insert_many(documents)  # without the deadline that the service has

    assert len(await lists.load(user_id)) == 5000


async def test_finding_items_is_not_much_slower_in_a_long_list(lists: ListStore, user_id: str) -> None:
    asked = [item(number).content_id for number in range(50)]

    async def fill(user: str, size: int) -> None:
        for start in range(0, size, 100):
            await lists.insert_many(user, [item(number) for number in range(start, start + 100)])

    async def duration(user: str) -> float:
        began = time.perf_counter()
        assert {found.content_id for found in await lists.find_many(user, asked)} == set(asked)
        assert await lists.find(user, asked[0]) is not None
        return time.perf_counter() - began

    long = f"{user_id}-long"
    await fill(user_id, 100)
    await fill(long, 4_000)
    in_short = min([await duration(user_id) for _ in range(5)])
    in_long = min([await duration(long) for _ in range(5)])
    assert in_long < 8 * in_short


async def test_content_is_fetched_by_id_without_bookkeeping_fields(store_database: Database) -> None:
    known, unknown = ObjectId(), ObjectId()
    known_id = ContentId(known.binary)
    await store_database.handle["movies"].insert_one(
        {"_id": known, "title": "The Matrix", "__v": 0, "createdAt": NOON, "updatedAt": NOON}
    )

    found = await ContentStore(store_database).fetch("movie", [known_id, ContentId(unknown.binary)])

    assert found == {known_id: {"_id": known, "title": "The Matrix"}}
    assert await ContentStore(store_database).fetch("tvshow", [known_id]) == {}


async def test_indexes_are_created_once_and_creating_them_again_changes_nothing(store_database: Database) -> None:
    names = await create_indexes(store_database.handle)

    assert names == await create_indexes(store_database.handle)
    assert "mylist.userId_1_contentId_1" in {each.full_name for each in names}
    assert not any(each.problem for each in names)
    keys = [index["key"] for index in await (await store_database.handle["mylist"].list_indexes()).to_list()]
    assert {"userId": 1, "addedAt": -1, "contentId": 1, "contentType": 1} in map(dict, keys)


async def test_data_that_violates_a_unique_index_is_reported_in_one_line(mongodb: AsyncMongoClient[Document]) -> None:
    database = mongodb["mylist-duplicates"]
    await database["mylist"].insert_many([{"userId": "u", "contentId": "c"} for _ in range(2)])
    try:
        with pytest.raises(
            MongoRefusedError, match="the unique index userId_1_contentId_1 of mylist is needed and"
        ) as refused:
            await create_indexes(database)
        assert "\n" not in str(refused.value)
    finally:
        await mongodb.drop_database(database)


async def test_a_load_fails_while_mongodb_is_known_to_be_unavailable(
    lists: ListStore, store_database: Database
) -> None:
    store_database.available = False

    with pytest.raises(DatabaseUnavailableError):
        await lists.load("anyone")


@pytest.fixture
def silent_port() -> Iterator[int]:
    """A port that accepts connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


async def test_a_silent_mongodb_is_unavailable_within_its_deadline(silent_port: int) -> None:
    settings = Settings.load({"MONGODB_URI": f"mongodb://127.0.0.1:{silent_port}/x", "MONGODB_TIMEOUT": "0.5"})
    client = connect(settings)
    database = Database(client, settings)
    started = asyncio.get_running_loop().time()

    await database.check()
    assert not database.available
    database.available = True
    with pytest.raises(DatabaseUnavailableError):
        await ListStore(database).load("anyone")
    with pytest.raises(DatabaseUnavailableError):
        await ListStore(database).insert("anyone", item(1))
    assert asyncio.get_running_loop().time() - started < 5
    await client.close()


class Answers:
    """A replacement for the driver's `command`: it raises each failure in turn, and then answers."""

    def __init__(self, *failures: Exception) -> None:
        self.failures = list(failures)
        self.asked = 0

    async def command(self, *_: object, **__: object) -> Document:
        self.asked += 1
        if self.failures:
            raise self.failures.pop(0)
        return {}


@pytest.fixture
def answers(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Answers]:
    """Make the driver fail with these errors."""

    def failing(*failures: Exception) -> Answers:
        made = Answers(*failures)
        monkeypatch.setattr(AsyncDatabase, "command", made.command)
        return made

    return failing


KILLED = OperationFailure("operation was interrupted", 11601)


@pytest.mark.parametrize(
    "failure",
    [
        AutoReconnect("connection closed"),
        NotPrimaryError("not primary", {"code": 10107}),
        KILLED,
        OperationFailure("The server is in quiesce mode", 91),
        RuntimeError("unable to perform operation on <TCPTransport closed=True>"),
    ],
    ids=["a lost connection", "not the primary", "a killed operation", "a member that stops", "a closed transport"],
)
async def test_a_check_that_fails_without_a_wait_is_retried_once(
    store_database: Database, answers: Callable[..., Answers], failure: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    asked = answers(failure)

    await store_database.check()

    assert store_database.available
    assert asked.asked == 2
    assert not caplog.records


async def test_a_check_that_fails_twice_is_an_outage_until_the_next_check(
    store_database: Database, answers: Callable[..., Answers]
) -> None:
    asked = answers(AutoReconnect("connection closed"), KILLED)

    await store_database.check()
    assert not store_database.available
    assert asked.asked == 2
    await store_database.check()
    assert store_database.available


@pytest.mark.parametrize(
    "failure",
    [NetworkTimeout("timed out"), ServerSelectionTimeoutError("no servers"), ExecutionTimeout("too long", 50)],
    ids=lambda failure: type(failure).__name__,
)
async def test_a_check_that_timed_out_is_not_retried(
    store_database: Database, answers: Callable[..., Answers], failure: Exception
) -> None:
    asked = answers(failure)

    await store_database.check()

    assert not store_database.available
    assert asked.asked == 1


@pytest.mark.parametrize(
    "failure",
    [
        FileNotFoundError(2, "No such file or directory", "/var/run/secrets/token"),
        PermissionError(13, "Permission denied", "/var/run/secrets/token"),
        RuntimeError("the loop is closing"),
        ValueError("Failed to acquire IMDS access token: status=404"),
        KeyError("access_token"),
        ConfigurationError("the servers are too old"),
    ],
    ids=lambda failure: type(failure).__name__,
)
async def test_any_exception_in_a_check_marks_mongodb_as_unavailable_and_is_logged(
    store_database: Database, answers: Callable[..., Answers], failure: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    answers(failure, failure)

    with suppress(MongoRefusedError):  # which ends a process only during its start
        await store_database.check()

    assert not store_database.available
    [line] = [record.getMessage() for record in caplog.records]
    assert str(failure) in line
    assert "is not available: " in line
    with pytest.raises(DatabaseUnavailableError):
        await ListStore(store_database).load("anyone")


@pytest.mark.parametrize(
    ("failure", "is_final"),
    [
        (raised_by(ConfigurationError("The DNS query name does not exist"), OSError()), False),
        (ConfigurationError("Server at h:1 reports wire version 3"), True),
        (raised_by(ConfigurationError("pymongo-auth-aws is required"), ImportError()), True),
    ],
    ids=["a name that is not found yet", "a server that is too old", "a module that is missing"],
)
async def test_a_check_raises_mongo_refused_error_only_for_permanent_errors(
    store_database: Database, answers: Callable[..., Answers], failure: Exception, is_final: bool
) -> None:
    answers(failure, failure)

    with pytest.raises(MongoRefusedError) if is_final else nullcontext():
        await store_database.check()
    assert not store_database.available


async def test_operations_beyond_the_number_of_connections_are_shed(
    mongodb: AsyncMongoClient[Document], mongodb_uri: str
) -> None:
    database = Database(mongodb, Settings.load({"MONGODB_URI": mongodb_uri, "MONGODB_POOL_SIZE": "2"}))
    await database.check()

    async with database.operation("load"), database.operation("load"):
        with pytest.raises(DatabaseBusyError):
            await ListStore(database).load("anyone")
        with pytest.raises(DatabaseBusyError):
            await ListStore(database).require_available()
    assert await ListStore(database).load("anyone") == []


async def test_six_loads_over_two_connections_wait_for_their_turns(
    mongodb: AsyncMongoClient[Document], mongodb_uri: str
) -> None:
    database = Database(mongodb, Settings.load({"MONGODB_URI": mongodb_uri, "MONGODB_POOL_SIZE": "2"}))
    await database.check()
    store = ListStore(database)

    assert await asyncio.gather(*(store.load("anyone") for _ in range(6))) == [[]] * 6
    assert database.limit.running == 0


@pytest.mark.parametrize(
    ("failure", "writes", "becomes"),
    [
        (AutoReconnect("gone"), False, DatabaseUnavailableError),
        (AutoReconnect("gone"), True, OutcomeUnknownError),
        (OperationFailure("not authorized", 13), False, DatabaseRefusedError),
        (OperationFailure("not authorized", 13), True, DatabaseRefusedError),
        (WriteConcernError("cannot be met", 72), True, OutcomeUnknownError),
        (WaitQueueTimeoutError("busy"), True, OutcomeUnknownError),
        (DuplicateKeyError("taken"), True, OutcomeUnknownError),
        (FileNotFoundError("the token file"), False, DatabaseUnavailableError),
        (RuntimeError("the transport is closed"), True, OutcomeUnknownError),
    ],
)
async def test_errors_of_the_driver_become_errors_of_the_service(
    store_database: Database, failure: Exception, writes: bool, becomes: type[Exception]
) -> None:
    with pytest.raises(becomes) as caught:
        async with store_database.operation("load", writes=writes):
            raise failure
    assert type(caught.value) is becomes


@pytest.mark.parametrize("uri", ["mongodb://", "mongodb://host:notaport/", "mongodb://[broken/"])
async def test_a_connection_string_that_cannot_be_used_is_refused(uri: str) -> None:
    with pytest.raises(MongoRefusedError, match="MONGODB_URI cannot be used"):
        connect(Settings(mongodb_uri=uri))
