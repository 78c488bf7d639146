"""Documents that earlier versions left in `mylist`, and that they still write there during a rollout."""

from collections.abc import AsyncIterator
from datetime import datetime

import pytest
from pymongo import AsyncMongoClient
from pymongo.asynchronous.collection import AsyncCollection

from mylist.config.settings import Settings
from mylist.domain.change_feed import FeedPosition, ListChange
from mylist.domain.errors import ItemAlreadyInListError, ItemNotInListError
from mylist.domain.item import Item
from mylist.domain.timestamps import to_datetime
from mylist.mongodb.database import Database, Document, connect
from mylist.mongodb.former_form import FormerForm
from mylist.mongodb.indexes import create_indexes
from mylist.mongodb.lists import ListStore
from tests.conftest import PATIENT, NewDatabase
from tests.content_ids import content_id, number_of

FEED_START = FeedPosition(0, bytes(12))
FORMER_INDEX = [("userId", 1), ("changedAt", 1), ("_id", 1)]


def item(number: int, added_at: int = 0) -> Item:
    return Item(added_at, content_id(number), "movie")


class EarlierVersion:
    """Writes what earlier versions of the service write."""

    def __init__(self, collection: AsyncCollection[Document]) -> None:
        self._collection = collection

    async def add(self, user_id: str, item: Item) -> None:
        await self._collection.update_one(
            {"userId": user_id, "contentId": item.content_id.hex(), "addedAt": None},
            {
                "$set": {"contentType": item.content_type, "addedAt": to_datetime(item.added_at)},
                "$unset": {"removedAt": ""},
                "$currentDate": {"changedAt": True},
            },
            upsert=True,
        )

    async def remove(self, user_id: str, *numbers: int) -> None:
        await self._collection.update_many(
            {"userId": user_id, "contentId": {"$in": [content_id(each).hex() for each in numbers]}},
            {"$unset": {"addedAt": ""}, "$currentDate": {"changedAt": True, "removedAt": True}},
        )

    async def redate(self, user_id: str, item: Item) -> None:
        await self._collection.update_one(
            {"userId": user_id, "contentId": item.content_id.hex()},
            {"$set": {"addedAt": to_datetime(item.added_at)}, "$currentDate": {"changedAt": True}},
        )


@pytest.fixture
async def client(new_database: NewDatabase) -> AsyncIterator[AsyncMongoClient[Document]]:
    with new_database() as uri:
        client = connect(Settings.load({"MONGODB_URI": uri, **PATIENT}))
        yield client
        await client.close()


@pytest.fixture
async def database(client: AsyncMongoClient[Document]) -> Database:
    """A database in which both versions have created their indexes."""
    database = Database(client, Settings.load({"MONGODB_URI": "mongodb://localhost/", **PATIENT}))
    database.handle = client.get_default_database()
    await database.check()
    await database.handle["mylist"].create_index(FORMER_INDEX)
    await create_indexes(database.handle)
    return database


@pytest.fixture
def earlier(database: Database) -> EarlierVersion:
    return EarlierVersion(database.handle["mylist"])


@pytest.fixture
def lists(database: Database) -> ListStore:
    return ListStore(database)


async def remove(lists: ListStore, user_id: str, number: int) -> None:
    async with lists.removing(user_id, content_id(number)) as remove:
        await remove()


async def told(
    lists: ListStore, user_id: str, after: FeedPosition = FEED_START
) -> tuple[dict[int, int | None], FeedPosition]:
    """Return the changes after a position, by number, and the last position."""
    changes, end = await lists.changes(user_id, after, max_changes=100)
    assert end is None
    by_number = {number_of(each.content_id): each.added_at for each in changes}
    return by_number, max((each.position for each in changes), default=after)


async def test_an_item_removed_by_an_earlier_version_is_on_no_list(
    lists: ListStore, earlier: EarlierVersion, user_id: str
) -> None:
    for number in (1, 2, 3):
        await earlier.add(user_id, item(number, added_at=number))
    await earlier.remove(user_id, 1, 2)

    assert await lists.load(user_id) == [item(3, added_at=3)]
    assert await lists.count(user_id, limit=9) == 1
    assert await lists.find(user_id, content_id(1)) is None
    assert await lists.find_many(user_id, [content_id(each) for each in (1, 2, 3)]) == [item(3, added_at=3)]
    changes, end = await lists.listed(user_id, "", max_items=9)
    assert ([number_of(each.content_id) for each in changes], end) == ([3], None)
    assert await lists.redate_many(user_id, [item(1, added_at=9)]) == 0
    assert await lists.delete_seen(user_id, [item(1, added_at=1), item(3, added_at=3)]) == 1
    assert await lists.load(user_id) == []


async def test_an_item_removed_by_an_earlier_version_cannot_be_removed_again(
    lists: ListStore, earlier: EarlierVersion, user_id: str
) -> None:
    await earlier.add(user_id, item(1))
    await earlier.remove(user_id, 1)

    with pytest.raises(ItemNotInListError):
        await remove(lists, user_id, 1)
    assert await lists.delete_many(user_id, [item(1)]) == 0
    [removal] = await lists.find_removals(user_id, [content_id(1), content_id(2)])
    assert (removal.content_id, removal.content_type, removal.added_at) == (content_id(1), "movie", None)


async def test_an_item_removed_by_an_earlier_version_can_be_added_again(
    lists: ListStore, earlier: EarlierVersion, database: Database, user_id: str
) -> None:
    for number in (1, 2, 3, 4):
        await earlier.add(user_id, item(number))
    await earlier.remove(user_id, 1, 2, 3)
    _, position = await told(lists, user_id)
    await lists.insert(user_id, item(1, added_at=9))
    with pytest.raises(ItemAlreadyInListError):
        await lists.insert(user_id, item(1))
    assert await lists.insert_many(user_id, [item(number, added_at=8) for number in (1, 2, 4, 5)]) == {
        content_id(1),
        content_id(4),
    }

    on_list = {each.content_id: each.added_at for each in await lists.load(user_id)}
    assert {number_of(each): added_at for each, added_at in on_list.items()} == {1: 9, 2: 8, 4: 0, 5: 8}
    documents = await database.handle["mylist"].find({"userId": user_id, "addedAt": {"$gt": to_datetime(0)}}).to_list()
    assert {frozenset(each) for each in documents} == {
        frozenset(("_id", "userId", "contentId", "contentType", "addedAt"))
    }
    assert await lists.find_removals(user_id, on_list) == []
    since = FeedPosition(position.changed_at // 1000 * 1000 - 1, bytes(12))
    assert (await told(lists, user_id, since))[0].items() >= {1: 9, 2: 8, 5: 8}.items()


async def test_the_change_feed_reports_each_change_of_an_earlier_version(
    lists: ListStore, earlier: EarlierVersion, user_id: str
) -> None:
    for number in (1, 2, 3):
        await earlier.add(user_id, item(number))
    await lists.insert(user_id, item(4))
    everything, position = await told(lists, user_id)
    assert everything == {1: 0, 2: 0, 3: 0, 4: 0}
    position = max(position, FeedPosition((await lists.clock())[0], bytes(12)))

    await earlier.remove(user_id, 1, 4)
    assert (await told(lists, user_id, position))[0] == {1: None, 4: None}
    await earlier.redate(user_id, item(2, added_at=7))
    assert (await told(lists, user_id, position))[0] == {1: None, 4: None, 2: 7}
    await earlier.add(user_id, item(1, added_at=5))  # reuses the document of the removed item
    assert (await told(lists, user_id, position))[0] == {1: 5, 4: None, 2: 7}
    await remove(lists, user_id, 1)
    assert (await told(lists, user_id, position))[0] == {1: None, 4: None, 2: 7}


async def test_paging_through_the_changes_of_an_earlier_version_misses_none_and_repeats_none(
    lists: ListStore, earlier: EarlierVersion, user_id: str
) -> None:
    for number in range(9):
        await earlier.add(user_id, item(number))
    await earlier.remove(user_id, *range(4))
    await lists.delete_many(user_id, [item(4), item(5)])
    everything, _ = await told(lists, user_id)

    for size in (1, 2, 3):
        position: FeedPosition | None = FEED_START
        found: list[ListChange] = []
        while position:
            changes, position = await lists.changes(user_id, position, max_changes=size)
            found += changes
        assert {number_of(each.content_id): each.added_at for each in found} == everything
        assert [each.position for each in found] == sorted({each.position for each in found})


async def test_unreadable_documents_do_not_stop_the_change_feed(
    lists: ListStore, database: Database, user_id: str
) -> None:
    moment = datetime.fromisoformat("2026-01-01T00:00:00Z")
    foreign: list[Document] = [{"contentId": 7}, {"contentId": "x", "contentType": "movie"}, {"_id": f"{user_id} hand"}]
    await database.handle["mylist"].insert_many({"userId": user_id, "changedAt": moment, **each} for each in foreign)
    await lists.insert(user_id, item(1))

    position: FeedPosition | None = FEED_START
    found: list[ListChange] = []
    while position:
        changes, position = await lists.changes(user_id, position, max_changes=1)
        found += changes
    assert {number_of(each.content_id) for each in found} == {1}


async def test_documents_of_an_earlier_version_are_queried_only_while_their_index_exists(
    database: Database, user_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mylist.mongodb.former_form._FRESH_S", 0.0)
    former = FormerForm(database)
    await EarlierVersion(database.handle["mylist"]).add(user_id, item(1))
    assert former.may_be_present()
    assert len(await former.changes_after(user_id, FEED_START, 9)) == 1

    await database.handle["mylist"].drop_index("userId_1_changedAt_1__id_1")
    assert await former.changes_after(user_id, FEED_START, 9) == []
    assert not former.may_be_present()
    await database.handle["mylist"].create_index(FORMER_INDEX)
    assert len(await former.changes_after(user_id, FEED_START, 9)) == 1
    assert former.may_be_present()
