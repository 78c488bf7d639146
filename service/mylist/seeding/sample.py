"""The documented sample: it has the ids of the examples in the API's documentation, so that they work as written.

The first user's list holds 24 items. The two ids that the documentation adds, The Matrix among them, are left out:
adding The Matrix answers 201, and the list then has the documented 25.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from bson import ObjectId
from pymongo.asynchronous.database import AsyncDatabase

from mylist.config.settings import Settings
from mylist.domain.content import ContentId
from mylist.domain.item import Item
from mylist.domain.timestamps import to_milliseconds
from mylist.http.services import Services
from mylist.mongodb import collections
from mylist.mongodb.database import Document
from mylist.mongodb.indexes import INDEXES, create_indexes
from mylist.mongodb.lists import ListStore
from mylist.seeding.bulk_write import insert_new, missing_ids, replace_all
from mylist.seeding.running_service import service_parts
from mylist.seeding.sample_titles import CREATED_AT, MOVIES, TVSHOWS, sample_id
from mylist.seeding.user_indexes import USER_INDEXES

USER_ID = str(sample_id(0x11))
MATRIX_ID = str(sample_id(0x12))

_NEWEST = datetime(2024, 1, 19, 20, 15, tzinfo=UTC)
"""When the newest item of each list was added; the others are about a day apart."""


@dataclass(frozen=True, slots=True)
class Seeded:
    """The result of a run.

    Attributes:
        titles, users, items: number of documents that it added or corrected.
        removed: number of sample items that their users have removed.
        stale_lists: number of outdated lists that Redis may still serve, because it did not answer.
    """

    titles: int
    users: int
    items: int
    removed: int = 0
    stale_lists: int = 0


def _user(suffix: int, username: str, liked: list[str], disliked: list[str], history: list[Document]) -> Document:
    return {
        "_id": sample_id(suffix),
        "username": username,
        "email": f"{username}@example.com",
        "preferences": {"favoriteGenres": liked, "dislikedGenres": disliked},
        "watchHistory": history,
        "createdAt": CREATED_AT,
        "updatedAt": CREATED_AT,
    }


def _watched(suffix: int, day: int, rating: int | None = None) -> Document:
    entry = {"contentId": str(sample_id(suffix)), "watchedOn": datetime(2024, 1, day, 21, 30, tzinfo=UTC)}
    return entry if rating is None else {**entry, "rating": rating}


USERS = [
    _user(0x11, "ada", ["SciFi", "Drama"], ["Horror"], [_watched(0x1E, 5, 9), _watched(0xA4, 7, 8), _watched(0x20, 9)]),
    _user(0xB1, "grace", ["Comedy"], [], [_watched(0x17, 6, 10)]),
    _user(0xB2, "linus", [], ["Romance"], []),
]


def _list_of(user: Document, movies: list[Document], tvshows: list[Document]) -> list[Document]:
    """Return a list, newest first, with a show after every two movies."""
    items = [("movie", movie) for movie in movies]
    for index, tvshow in enumerate(tvshows):
        items.insert(3 * index + 2, ("tvshow", tvshow))
    return [
        {
            "userId": str(user["_id"]),
            "contentId": str(title["_id"]),
            "contentType": content_type,
            "addedAt": _NEWEST - timedelta(days=age, minutes=7 * age),
        }
        for age, (content_type, title) in enumerate(items)
    ]


LISTS = [
    _list_of(USERS[0], MOVIES[2:18], TVSHOWS[:8]),
    _list_of(USERS[1], MOVIES[:3], TVSHOWS[8:]),
    _list_of(USERS[2], [], []),
]


async def seed(database: AsyncDatabase[Document], settings: Settings) -> Seeded:
    """Add the missing documents of the sample; a list is added only together with its user.

    A user's document marks a list that was once complete, so an item that was removed since then stays removed.

    Raises:
        MongoRefusedError: the user lacks the privileges, or the data violates a unique index.
        UnavailableError: MongoDB is unreachable or did not answer in time.
    """
    await create_indexes(database, INDEXES | USER_INDEXES)
    titles = await insert_new(database[collections.MOVIES], MOVIES)
    titles += await insert_new(database[collections.TVSHOWS], TVSHOWS)
    new = await missing_ids(database[collections.USERS], [user["_id"] for user in USERS])
    users = items = stale_lists = 0
    if new:
        async with service_parts(settings) as services:
            for user, items_of_user in zip(USERS, LISTS, strict=True):
                if user["_id"] in new:
                    # The empty list may have been cached before.
                    async with services.cache.writing(str(user["_id"])):
                        items += await _insert_list(database, items_of_user)
                    users += await insert_new(database[collections.USERS], [user])
        stale_lists = len(services.health.pending)
    return Seeded(titles, users, items, await _removed(database), stale_lists)


async def reset(database: AsyncDatabase[Document], settings: Settings) -> Seeded:
    """Reset the titles, users and lists of the sample to their state in a new database.

    Lists are changed as the service changes them: cached lists are invalidated, and change feeds report each change.

    Raises:
        MongoRefusedError, UnavailableError: as `seed`.
    """
    await create_indexes(database, INDEXES | USER_INDEXES)
    titles = await replace_all(database[collections.MOVIES], MOVIES)
    titles += await replace_all(database[collections.TVSHOWS], TVSHOWS)
    users = await replace_all(database[collections.USERS], USERS)
    items = 0
    async with service_parts(settings) as services:
        for user, items_of_user in zip(USERS, LISTS, strict=True):
            items += await _reset_list(services, str(user["_id"]), list(map(_to_item, items_of_user)))
    return Seeded(titles, users, items, stale_lists=len(services.health.pending))


async def _reset_list(services: Services, user_id: str, wanted: Sequence[Item]) -> int:
    """Make a list contain exactly these items; return how many were wrong or missing."""
    listed = await ListStore(services.database).load(user_id)
    missing = [item for item in wanted if item not in listed]
    wrong = [item for item in listed if item not in wanted]
    if wrong:
        await services.writer.clear(user_id, wrong)
    if missing:
        await services.writer.merge(user_id, missing)
    return len({item.content_id for item in (*wrong, *missing)})


async def _insert_list(database: AsyncDatabase[Document], items: Sequence[Document]) -> int:
    # Copies, because the driver adds an `_id` to inserted documents; the oldest first, as if a user had added them.
    return await insert_new(database[collections.LISTS], [dict(item) for item in reversed(items)])


async def _removed(database: AsyncDatabase[Document]) -> int:
    """Return how many items of the sample are not on the lists."""
    removed = 0
    for user, items in zip(USERS, LISTS, strict=True):
        found = await database[collections.LISTS].distinct("contentId", {"userId": str(user["_id"])})
        removed += len({item["contentId"] for item in items} - set(found))
    return removed


def _to_item(document: Document) -> Item:
    content_id = ContentId(ObjectId(document["contentId"]).binary)
    return Item(to_milliseconds(document["addedAt"]), content_id, document["contentType"])
