"""Fills MongoDB with a load set. A run that was killed is continued by the next; a complete one changes nothing."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

from bson import ObjectId
from pymongo.asynchronous.database import AsyncDatabase
from tqdm import tqdm

from mylist.seeding.insertion import insert_new, missing
from mylist.seeding.load_set import LoadSet, title_id, title_type, user_id
from mylist.seeding.sample import Seeded
from mylist.store.content import COLLECTIONS
from mylist.store.indexes import create_indexes

Document = dict[str, Any]

_CREATED_AT = datetime(2025, 1, 1, tzinfo=UTC)
_NEWEST = datetime(2026, 1, 1, tzinfo=UTC)
_DOCUMENTS_PER_BATCH = 2000
_GENRES = ["Action", "Comedy", "Crime", "Drama", "Fantasy", "Horror", "Romance", "SciFi"]


async def seed(database: AsyncDatabase[Document], load_set: LoadSet) -> Seeded:
    """Adds what is missing of a load set, with a progress bar on a terminal; gives what was new.

    Raises:
        StoreRefusedError: the rights are missing, or the data contradicts a unique index.
        StoreUnavailableError: MongoDB went away.
    """
    await create_indexes(database)
    titles = 0
    for numbers in _batches(load_set.titles, _DOCUMENTS_PER_BATCH):
        titles += await _seed_titles(database, numbers)

    users = items = 0
    with tqdm(total=load_set.users, unit=" users", disable=None) as bar:
        for numbers in _batches(load_set.users, max(1, _DOCUMENTS_PER_BATCH // load_set.items)):
            new = await missing(database["users"], [_user_key(number) for number in numbers])
            new_numbers = [number for number in numbers if _user_key(number) in new]
            lists = [item for number in new_numbers for item in _list_of(load_set, number)]
            items += await insert_new(database["mylist"], lists)
            # The users come last: they are the mark that their lists are complete.
            users += await insert_new(database["users"], [_user(number) for number in new_numbers])
            bar.update(len(numbers))
    return Seeded(titles, users, items)


def _batches(count: int, size: int) -> Iterator[range]:
    return (range(first, min(first + size, count + 1)) for first in range(1, count + 1, size))


async def _seed_titles(database: AsyncDatabase[Document], numbers: range) -> int:
    inserted = 0
    for content_type, name in COLLECTIONS.items():
        documents = [_title(number) for number in numbers if title_type(number) == content_type]
        inserted += await insert_new(database[name], documents)
    return inserted


def _title(number: int) -> Document:
    name = f"{'Movie' if title_type(number) == 'movie' else 'Show'} {number}"
    document = {
        "_id": ObjectId(title_id(number)),
        "title": name,
        "description": f"{name} of the load set; its description is about as long as those of real titles are",
        "genres": [_GENRES[number % len(_GENRES)], _GENRES[(number // 3 + 1) % len(_GENRES)]],
        "createdAt": _CREATED_AT,
        "updatedAt": _CREATED_AT,
    }
    released = _CREATED_AT - timedelta(days=number % 10_000)
    made_by = {"director": f"Director {number % 500}", "actors": [f"Actor {(number + k) % 2000}" for k in range(3)]}
    if title_type(number) == "movie":
        return {**document, "releaseDate": released, **made_by}
    episodes = [
        {"episodeNumber": n, "seasonNumber": 1, "releaseDate": released + timedelta(weeks=n), **made_by}
        for n in range(1, 4)
    ]
    return {**document, "episodes": episodes}


def _user(number: int) -> Document:
    return {
        "_id": _user_key(number),
        "username": user_id(number),
        "email": f"{user_id(number)}@example.com",
        "preferences": {"favoriteGenres": [_GENRES[number % len(_GENRES)]], "dislikedGenres": []},
        "watchHistory": [],
        "createdAt": _CREATED_AT,
        "updatedAt": _CREATED_AT,
    }


def _user_key(number: int) -> ObjectId:
    return ObjectId(f"10ad{number:020x}")


def _list_of(load_set: LoadSet, number: int) -> list[Document]:
    """Makes the items of a user, newest first; neighbours are hours apart, and users are not in step."""
    user, newest = user_id(number), _NEWEST - timedelta(seconds=number % 86_400)
    return [
        {
            "userId": user,
            "contentId": title_id(title),
            "contentType": title_type(title),
            "addedAt": newest - timedelta(hours=5 * age),
        }
        for age, title in enumerate(load_set.list_of(number))
    ]
