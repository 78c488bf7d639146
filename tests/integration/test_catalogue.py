"""The catalogue over a real MongoDB-protocol server, whose round trips are counted by the driver's own events."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime

import msgspec
import pytest
from bson import ObjectId
from pymongo import AsyncMongoClient
from pymongo.monitoring import CommandFailedEvent, CommandListener, CommandStartedEvent, CommandSucceededEvent

from mylist.api.schemas import ListedItem
from mylist.catalogue.catalogue import Catalogue
from mylist.config.settings import Settings
from mylist.domain.catalogue_entry import CatalogueEntry
from mylist.domain.errors import DatabaseUnavailableError
from mylist.mongodb.content import ContentStore
from mylist.mongodb.database import Database, Document
from tests.content_ids import object_key, records_with

MAX_AGE = 120.0
REFRESH_AGE = MAX_AGE / 2
LOOKUP_INTERVAL_S = 5.0
"""Seconds: how much later a title may be found to be due."""


class Finds(CommandListener):
    """Counts the find commands that were sent."""

    def __init__(self) -> None:
        self.count = 0

    def started(self, event: CommandStartedEvent) -> None:
        self.count += event.command_name == "find"

    def succeeded(self, event: CommandSucceededEvent) -> None:
        pass

    def failed(self, event: CommandFailedEvent) -> None:
        pass


class World:
    """A catalogue, its clock, its database and the find commands that it sent."""

    def __init__(self, client: AsyncMongoClient[Document], settings: Settings, finds: Finds) -> None:
        self.now = 0.0
        self.finds = finds
        self.database = Database(client, settings)
        self.catalogue = Catalogue(ContentStore(self.database), max_age=MAX_AGE, capacity=100, clock=lambda: self.now)

    async def movie(self, title: str) -> bytes:
        content_id = ObjectId()
        await self.database.handle["movies"].insert_one({"_id": content_id, "title": title})
        return object_key(content_id, "movie")

    async def rename(self, key: bytes, title: str) -> None:
        await self.database.handle["movies"].update_one({"_id": ObjectId(key[:12])}, {"$set": {"title": title}})

    async def titles(self, *keys: bytes) -> list[str | None]:
        return [title_of(entry) for entry in (await self.catalogue.entries(records_with(*keys)))[0]]


def title_of(entry: CatalogueEntry) -> str | None:
    item = msgspec.json.decode(
        b'{"userId":"u' + entry.before + b"2026-01-01T00:00:00.000Z" + entry.after, type=ListedItem
    )
    return item.content.title if item.content else None


@pytest.fixture
async def world(settings: Settings) -> AsyncIterator[World]:
    finds = Finds()
    client = AsyncMongoClient[Document](settings.mongodb_uri, event_listeners=[finds], timeoutMS=30_000)
    world = World(client, settings, finds)
    await world.database.check()
    yield world
    await client.close()


async def test_titles_come_in_the_requested_order_and_are_fetched_once(world: World) -> None:
    first, second = await world.movie("first"), await world.movie("second")

    assert await world.titles(second, first, second) == ["second", "first", "second"]
    assert await world.titles(first) == ["first"]
    assert world.finds.count == 1


async def test_movies_and_shows_are_fetched_in_one_round_trip_each(world: World) -> None:
    movies = [await world.movie(str(number)) for number in range(20)]
    shows = [object_key(ObjectId(), "tvshow") for _ in range(20)]

    await world.titles(*movies, *shows)

    assert world.finds.count == 2


async def test_concurrent_misses_of_a_title_fetch_it_once(world: World) -> None:
    movie = await world.movie("popular")

    assert await asyncio.gather(*(world.titles(movie) for _ in range(50))) == [["popular"]] * 50
    assert world.finds.count == 1


async def test_an_ageing_title_is_served_and_refreshed_in_the_background(world: World) -> None:
    movie = await world.movie("old name")
    await world.titles(movie)
    await world.rename(movie, "new name")

    world.now = REFRESH_AGE - 1
    assert await world.titles(movie) == ["old name"]
    assert world.finds.count == 1
    world.now += LOOKUP_INTERVAL_S
    assert await world.titles(movie) == ["old name"]
    async with asyncio.timeout(30):
        while await world.titles(movie) != ["new name"]:
            await asyncio.sleep(0)
    assert world.finds.count == 2


async def test_an_expired_title_is_fetched_before_it_is_served(world: World) -> None:
    movie = await world.movie("old name")
    await world.titles(movie)
    await world.rename(movie, "new name")

    world.now = MAX_AGE
    assert await world.titles(movie) == ["new name"]


async def test_nothing_older_than_the_maximum_age_is_served_even_if_that_age_is_short(world: World) -> None:
    now = 0.0
    catalogue = Catalogue(ContentStore(world.database), max_age=2, capacity=100, clock=lambda: now)
    movies, new, edited = world.database.handle["movies"], ObjectId(), ObjectId()
    await movies.insert_one({"_id": edited, "title": "old name"})
    keys = [object_key(new, "movie"), object_key(edited, "movie")]
    assert [title_of(entry) for entry in (await catalogue.entries(records_with(*keys)))[0]] == [None, "old name"]
    assert not await catalogue.has_genre("brand new")

    await movies.update_one({"_id": edited}, {"$set": {"title": "new name"}})
    await movies.insert_one({"_id": new, "title": "new", "genres": ["brand new"]})
    now = 2.0
    assert [title_of(entry) for entry in (await catalogue.entries(records_with(*keys)))[0]] == ["new", "new name"]
    assert await catalogue.has_genre("brand new")


async def test_without_mongodb_the_last_known_title_is_served_and_an_unknown_one_fails(world: World) -> None:
    movie = await world.movie("known")
    await world.titles(movie)
    world.database.available = False

    world.now = 100 * REFRESH_AGE
    assert await world.titles(movie) == ["known"]
    with pytest.raises(DatabaseUnavailableError):
        await world.titles(movie, object_key(ObjectId(), "movie"))


async def test_a_withdrawn_title_is_null_and_is_not_looked_up_on_every_read(world: World) -> None:
    withdrawn = object_key(ObjectId(), "movie")

    assert await world.titles(withdrawn) == [None]
    assert await world.titles(withdrawn) == [None]
    assert world.finds.count == 1
    world.now = 10
    await world.titles(withdrawn)
    assert world.finds.count == 2


async def test_an_add_looks_up_every_title_that_is_not_known_to_exist(world: World) -> None:
    content_id = ObjectId()
    key = object_key(content_id, "movie")
    assert await world.titles(key) == [None]
    assert not await world.catalogue.existing([object_key(content_id, "movie")])

    await world.database.handle["movies"].insert_one({"_id": content_id, "title": "released"})

    assert await world.catalogue.existing([object_key(content_id, "movie")])
    assert await world.titles(key) == ["released"]
    asked = world.finds.count
    assert await world.catalogue.existing([object_key(content_id, "movie")])
    assert world.finds.count == asked, "what is known to exist is not asked for"


async def test_the_id_of_a_movie_does_not_exist_as_a_show(world: World) -> None:
    movie = await world.movie("movie")

    assert not await world.catalogue.existing([object_key(ObjectId(movie[:12]), "tvshow")])


async def test_the_least_recently_used_title_is_evicted_at_capacity(world: World) -> None:
    titles = [await world.movie(str(number)) for number in range(101)]
    await world.titles(*titles[:100])
    await world.titles(titles[0])
    await world.titles(titles[100])
    asked = world.finds.count

    await world.titles(titles[0], titles[100])
    assert world.finds.count == asked
    await world.titles(titles[1])
    assert world.finds.count == asked + 1


async def test_a_title_that_is_twice_on_a_page_is_refreshed_like_any_other(world: World) -> None:
    movie = await world.movie("old name")
    assert await world.titles(movie, movie) == ["old name", "old name"]
    await world.rename(movie, "new name")

    world.now = MAX_AGE
    assert await world.titles(movie, movie) == ["new name", "new name"]
    await world.rename(movie, "newest name")
    world.now = 2 * MAX_AGE
    assert await world.titles(movie) == ["newest name"]


async def test_a_cancelled_reader_does_not_cancel_the_fetch_that_others_share(world: World) -> None:
    movie = await world.movie("shared")
    first = asyncio.create_task(world.titles(movie))
    await asyncio.sleep(0)
    second = asyncio.create_task(world.titles(movie))
    await asyncio.sleep(0)
    first.cancel()

    assert await second == ["shared"]
    assert world.finds.count == 1


async def test_dates_are_utc_to_the_millisecond(world: World) -> None:
    content_id = ObjectId()
    await world.database.handle["tvshows"].insert_one(
        {"_id": content_id, "title": "show", "aired": datetime(1999, 3, 31, 1, 2, 3, 4000, tzinfo=UTC)}
    )

    ((entry,), _) = await world.catalogue.entries(records_with(object_key(content_id, "tvshow")))

    assert b'"aired":"1999-03-31T01:02:03.004Z"' in entry.after


async def test_genres_of_movies_and_shows_are_lowercased_and_other_values_ignored(world: World) -> None:
    await world.database.handle["movies"].insert_one({"genres": ["SciFi", 7, None, ["Nested"]]})
    await world.database.handle["tvshows"].insert_one({"genres": ["DRAMA"]})

    assert await world.catalogue.has_genre("scifi")
    assert await world.catalogue.has_genre("drama")
    for other in ("SciFi", "7", "nested", "comedy", ""):
        assert not await world.catalogue.has_genre(other)


async def test_unknown_genres_are_looked_up_every_5_s_and_known_ones_at_the_refresh_age(world: World) -> None:
    movies = world.database.handle["movies"]
    await movies.insert_one({"genres": ["early"]})
    assert await world.catalogue.has_genre("early")
    await movies.insert_one({"genres": ["late"]})

    world.now = 4.9
    assert not await world.catalogue.has_genre("late")
    world.now = 5
    assert await world.catalogue.has_genre("late")
    await movies.delete_one({"genres": "early"})
    world.now = 5 + REFRESH_AGE - 0.1
    assert await world.catalogue.has_genre("early")
    world.now = 5 + REFRESH_AGE
    assert not await world.catalogue.has_genre("early")


async def test_without_mongodb_any_genre_is_accepted_until_genres_are_loaded(world: World) -> None:
    await world.database.handle["movies"].insert_one({"genres": ["known"]})
    world.database.available = False
    assert await world.catalogue.has_genre("anything")

    world.database.available = True
    world.now = 5
    assert not await world.catalogue.has_genre("anything")
    world.database.available = False
    world.now = 100 * REFRESH_AGE
    assert await world.catalogue.has_genre("known")
    assert not await world.catalogue.has_genre("anything")


async def test_many_titles_are_fetched_in_sequential_batches_of_a_hundred(world: World) -> None:
    keys = [object_key(ObjectId(), "movie") for _ in range(250)]
    most = 0

    async def watch() -> None:
        nonlocal most
        while True:
            most = max(most, world.database.limit.running)
            await asyncio.sleep(0)

    watching = asyncio.create_task(watch())
    assert await world.titles(*keys) == [None] * 250
    watching.cancel()
    assert (world.finds.count, most) == (3, 1)


async def test_an_entry_has_the_fields_that_lists_are_sorted_and_filtered_by(world: World) -> None:
    content_id = ObjectId()
    released = datetime(1999, 3, 31, tzinfo=UTC)
    await world.database.handle["movies"].insert_one(
        {"_id": content_id, "title": "The MATRIX", "genres": ["SciFi", 7], "releaseDate": released}
    )
    withdrawn = object_key(ObjectId(), "movie")

    (movie, nothing), _ = await world.catalogue.entries(records_with(object_key(content_id, "movie"), withdrawn))

    assert (movie.title, movie.released_at, movie.genres) == (b"matrix", 922_838_400_000, ("scifi",))
    assert (nothing.title, nothing.released_at, nothing.genres) == (None, None, ())
