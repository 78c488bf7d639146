"""The documented sample: it has the ids of the examples in the API's documentation, so that they work as written.

The first user's list holds 24 items. The two ids that the documentation adds, The Matrix among them, are left out:
adding The Matrix answers 201, and the list then has the documented 25.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from pymongo.asynchronous.database import AsyncDatabase

from mylist.mongodb import collections
from mylist.mongodb.database import Document
from mylist.mongodb.indexes import create_indexes
from mylist.seeding.bulk_insert import insert_new, missing_ids
from mylist.seeding.sample_titles import CREATED_AT, MOVIES, TVSHOWS, sample_id

USER_ID = str(sample_id(0x11))
MATRIX_ID = str(sample_id(0x12))

_NEWEST = datetime(2024, 1, 19, 20, 15, tzinfo=UTC)
"""When the newest item of each list was added; the others are about a day apart."""


@dataclass(frozen=True, slots=True)
class Seeded:
    """How many documents a run added."""

    titles: int
    users: int
    items: int


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


async def seed(database: AsyncDatabase[Document]) -> Seeded:
    """Add the missing documents of the sample; a list is added only together with its user.

    A user's document marks a list that was complete once, so an item that was removed since then stays removed.

    Raises:
        MongoRefusedError: the user lacks the privileges, or the data violates a unique index.
        DatabaseUnavailableError: MongoDB is unreachable or did not answer in time.
    """
    await create_indexes(database)
    titles = await insert_new(database[collections.MOVIES], MOVIES)
    titles += await insert_new(database[collections.TVSHOWS], TVSHOWS)
    new = await missing_ids(database[collections.USERS], [user["_id"] for user in USERS])
    users = items = 0
    for user, items_of_user in zip(USERS, LISTS, strict=True):
        if user["_id"] in new:
            # Copies, as the driver adds an `_id` to what it inserts; the oldest first, as if a user had added them.
            items += await insert_new(database[collections.LISTS], [dict(item) for item in reversed(items_of_user)])
            users += await insert_new(database[collections.USERS], [user])
    return Seeded(titles, users, items)
