"""When an answer must look its movies and shows up again, and which ones that fetches."""

import asyncio
from collections.abc import Callable, Collection, Iterable, Mapping
from random import Random
from typing import Any

import pytest

from mylist.catalogue.catalogue import Catalogue
from mylist.domain.content import ContentId, ContentType, content_key
from mylist.domain.errors import DatabaseUnavailableError
from mylist.domain.external_id import ExternalId
from tests.content_ids import content_id, records_with

MAX_AGE = 120.0
HALF = MAX_AGE / 2
INTERVAL = 5.0
"""Seconds: a title that is missing is looked for again after them, and half the maximum age has twelve."""


_TURNS = 10
"""Turns of the event loop in which a fetch from the store below ends."""


class Store:
    """Has every movie that is not in `missing`, unless it is away; notes which were fetched together."""

    def __init__(self) -> None:
        self.missing: set[bytes] = set()
        self.fetched: list[list[ContentId]] = []
        self.is_away = False
        self.while_fetching: Callable[[], object] = lambda: None

    async def fetch(
        self, content_type: ContentType, content_ids: Iterable[ContentId]
    ) -> Mapping[ContentId, Mapping[str, Any]]:
        if self.is_away:
            raise DatabaseUnavailableError
        self.while_fetching()
        self.fetched.append(list(content_ids))
        return {
            each: {"_id": each.hex(), "title": "a title"}
            for each in self.fetched[-1]
            if content_key(each, content_type) not in self.missing
        }

    async def find_by_external_ids(
        self, external_ids: Collection[ExternalId], content_types: Collection[ContentType]
    ) -> Mapping[ExternalId, list[tuple[ContentId, ContentType]]]:
        raise NotImplementedError

    async def genres(self) -> list[Any]:
        raise NotImplementedError


class World:
    """A catalogue of `count` movies, and its clock. Each movie is first looked up at a moment of its own."""

    def __init__(self, count: int, max_age: float = MAX_AGE) -> None:
        self.now = 0.0
        self.store = Store()
        self.catalogue = Catalogue(self.store, max_age=max_age, capacity=1000, clock=lambda: self.now)
        self.keys = [content_key(content_id(number), "movie") for number in range(count)]

    async def load(self, number: int, at: float) -> None:
        """Look one movie up."""
        self.now = at
        await self.catalogue.entries(records_with(self.keys[number]))

    async def look_up(self) -> float:
        """Look all of them up; return until when the answer is valid. Fetches in the background end before."""
        entries, valid_until = await self.catalogue.entries(records_with(*self.keys))
        assert valid_until <= min(entry.expires_at for entry in entries), "the answer outlives a movie"
        for _ in range(_TURNS):
            await asyncio.sleep(0)
        return valid_until


@pytest.mark.parametrize("count", [2, 20, 200])
async def test_an_answer_with_any_number_of_titles_looks_them_up_at_most_once_per_interval(
    count: int,
) -> None:
    world, dice = World(count), Random(count)
    for at, number in sorted((dice.uniform(0, HALF), number) for number in range(count)):
        await world.load(number, at)
    world.now = HALF
    world.store.fetched.clear()

    lookups = 0
    while world.now < 11 * HALF:
        world.now = await world.look_up()
        lookups += 1

    assert lookups <= 10 * HALF / INTERVAL + 1
    fetched = sum(map(len, world.store.fetched)) / count
    assert 10 * HALF / (HALF + INTERVAL) - 1 <= fetched <= 10 * HALF / (HALF - INTERVAL) + 1


async def test_titles_that_are_due_at_the_same_lookup_are_fetched_together() -> None:
    world = World(3)
    for number, at in enumerate((0.0, 4.0, 50.0)):
        await world.load(number, at)
    world.store.fetched.clear()

    world.now = HALF + 4
    assert await world.look_up() == HALF + 4 + INTERVAL
    assert [sorted(each) for each in world.store.fetched] == [[key[:12] for key in world.keys[:2]]]


async def test_answers_share_the_moment_of_their_next_lookup() -> None:
    world = World(3)
    for number, at in enumerate((0.0, 4.0, 50.0)):
        await world.load(number, at)
    world.store.fetched.clear()

    for world.now in (50.0, 52.0, 54.0):
        assert await world.look_up() == 50 + INTERVAL
    assert world.store.fetched == []


async def test_an_edited_title_replaces_the_old_one_as_soon_as_it_is_fetched() -> None:
    world = World(1)
    await world.load(0, 0)
    world.now = HALF
    await world.look_up()

    [entry], valid_until = await world.catalogue.entries(records_with(*world.keys))
    assert (entry.refresh_at, valid_until) == (2 * HALF, HALF + INTERVAL)


async def test_a_title_whose_fetch_took_half_its_maximum_age_is_due_at_once() -> None:
    world = World(1)
    world.store.while_fetching = lambda: setattr(world, "now", world.now + HALF)
    await world.load(0, 0)
    world.store.while_fetching = lambda: None

    await world.look_up()
    assert len(world.store.fetched) == 2


@pytest.mark.parametrize("max_age", [1, 2, 9, 10, 60, 3600])
async def test_no_answer_stays_valid_longer_than_its_known_and_missing_titles_at_any_maximum_age(
    max_age: float,
) -> None:
    world, dice = World(20, max_age=max_age), Random(max_age)
    world.store.missing = set(world.keys[::2])
    for at, number in sorted((dice.uniform(0, max_age / 2), number) for number in range(20)):
        await world.load(number, at)

    for _ in range(200):  # clients ask for other answers with the same titles at any time
        world.now += dice.random() * (await world.look_up() - world.now)


async def test_while_the_store_is_unavailable_an_answer_is_valid_until_a_title_expires() -> None:
    world = World(2)
    await world.load(0, 0)
    await world.load(1, 1)
    world.store.is_away = True

    world.now = HALF
    assert await world.look_up() == HALF + INTERVAL
    world.now = MAX_AGE - 1
    assert await world.look_up() == MAX_AGE
    world.now = MAX_AGE
    assert await world.look_up() <= MAX_AGE


async def test_a_missing_title_is_not_fetched_before_it_is_due() -> None:
    world = World(3)
    world.store.missing = {world.keys[0]}
    await world.load(0, 0)
    await world.load(1, 1)
    world.store.fetched.clear()

    world.now = 4  # the third title was never looked up
    await world.look_up()
    assert world.store.fetched == [[world.keys[2][:12]]]


async def test_the_age_of_a_title_counts_from_the_question_and_not_from_a_late_answer() -> None:
    world = World(1)
    world.store.while_fetching = lambda: setattr(world, "now", world.now + 7)

    await world.load(0, 0)
    [entry], _ = await world.catalogue.entries(records_with(*world.keys))
    assert (world.now, entry.refresh_at, entry.expires_at, entry.exists_until) == (7, HALF, MAX_AGE, MAX_AGE)
