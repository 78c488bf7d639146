"""Fills MongoDB with synthetic data. A run adds what is missing, so the next run continues one that was killed."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta

from bson import ObjectId
from pymongo import IndexModel
from pymongo.asynchronous.database import AsyncDatabase
from tqdm import tqdm

from mylist.mongodb.collections import CONTENT_COLLECTIONS, LISTS, USERS
from mylist.mongodb.database import Document
from mylist.mongodb.indexes import INDEXES, create_indexes
from mylist.seeding.bulk_write import insert_new, missing_ids
from mylist.seeding.sample import Seeded
from mylist.seeding.synthetic_data import SyntheticData, title_id, title_type, user_id
from mylist.seeding.user_indexes import USER_INDEXES

_CREATED_AT = datetime(2025, 1, 1, tzinfo=UTC)
_NEWEST = datetime(2026, 1, 1, tzinfo=UTC)
_BATCH_SIZE = 2000
"""Documents."""
_GENRES = ["Action", "Comedy", "Crime", "Drama", "Fantasy", "Horror", "Romance", "SciFi"]


async def seed(database: AsyncDatabase[Document], data: SyntheticData, *, is_new: bool = False) -> Seeded:
    """Add the missing documents of the synthetic data, with a progress bar on a terminal.

    Args:
        database: where they go.
        data: the sizes of the data.
        is_new: the database is empty, and no other client writes into it: no index is needed before the end.

    Raises:
        MongoRefusedError: the user lacks the privileges, or the data violates a unique index.
        DatabaseUnavailableError: MongoDB is unreachable or did not answer in time.
    """
    if not is_new:
        await create_indexes(database, _unique(INDEXES | USER_INDEXES))
    titles = 0
    for numbers in _batches(data.titles, _BATCH_SIZE):
        titles += await _seed_titles(database, numbers)

    users = items = 0
    with tqdm(total=data.users, unit=" users", disable=None) as bar:
        for numbers in _batches(data.users, max(1, _BATCH_SIZE // data.items)):
            new_ids = await missing_ids(database[USERS], [_user_object_id(number) for number in numbers])
            new_numbers = [number for number in numbers if _user_object_id(number) in new_ids]
            lists = [item for number in new_numbers for item in _list_of(data, number)]
            items += await insert_new(database[LISTS], lists)
            # Last, because a user's document marks that the list is complete.
            users += await insert_new(database[USERS], [_user(number) for number in new_numbers])
            bar.update(len(numbers))
    # Indexes that are built at once cost less than half of the time that they would add to the inserts.
    await create_indexes(database, INDEXES | USER_INDEXES)
    return Seeded(titles, users, items)


def _unique(indexes: Mapping[str, Sequence[IndexModel]]) -> dict[str, list[IndexModel]]:
    return {name: [each for each in models if each.document.get("unique")] for name, models in indexes.items()}


def _batches(count: int, size: int) -> Iterator[range]:
    """Return the numbers from 1 to `count` in batches."""
    return (range(first, min(first + size, count + 1)) for first in range(1, count + 1, size))


async def _seed_titles(database: AsyncDatabase[Document], numbers: range) -> int:
    inserted = 0
    for content_type, name in CONTENT_COLLECTIONS.items():
        documents = [_title(number) for number in numbers if title_type(number) == content_type]
        inserted += await insert_new(database[name], documents)
    return inserted


def _title(number: int) -> Document:
    name = f"{'Movie' if title_type(number) == 'movie' else 'Show'} {number}"
    document = {
        "_id": ObjectId(title_id(number)),
        "title": name,
        "description": f"{name} of the synthetic data; its description is about as long as those of real ones",
        "genres": [_GENRES[number % len(_GENRES)], _GENRES[(number // 3 + 1) % len(_GENRES)]],
        "createdAt": _CREATED_AT,
        "updatedAt": _CREATED_AT,
    }
    released = _CREATED_AT - timedelta(days=number % 10_000)
    crew = {"director": f"Director {number % 500}", "actors": [f"Actor {(number + k) % 2000}" for k in range(3)]}
    if title_type(number) == "movie":
        return {**document, "releaseDate": released, **crew}
    episodes = [
        {"episodeNumber": n, "seasonNumber": 1, "releaseDate": released + timedelta(weeks=n), **crew}
        for n in range(1, 4)
    ]
    return {**document, "episodes": episodes}


def _user(number: int) -> Document:
    return {
        "_id": _user_object_id(number),
        "username": user_id(number),
        "email": f"{user_id(number)}@example.com",
        "preferences": {"favoriteGenres": [_GENRES[number % len(_GENRES)]], "dislikedGenres": []},
        "watchHistory": [],
        "createdAt": _CREATED_AT,
        "updatedAt": _CREATED_AT,
    }


def _user_object_id(number: int) -> ObjectId:
    return ObjectId(f"10ad{number:020x}")


def _list_of(data: SyntheticData, number: int) -> list[Document]:
    """Return the items of a user, newest first and five hours apart; users differ in when they begin."""
    user, newest = user_id(number), _NEWEST - timedelta(seconds=number % 86_400)
    return [
        {
            "userId": user,
            "contentId": title_id(title),
            "contentType": title_type(title),
            "addedAt": newest - timedelta(hours=5 * age),
        }
        for age, title in enumerate(data.list_of(number))
    ]
