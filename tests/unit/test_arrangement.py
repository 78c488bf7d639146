"""Filtering and sorting lists: a total order, whatever the titles are, from which a position leads on."""

import asyncio
import random
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from mylist.catalogue.catalogue import Entry
from mylist.catalogue.facts import genres_of, title_of
from mylist.lists.arrangement import (
    SLICE,
    SORTS,
    Arrangement,
    Place,
    Sort,
    arrange,
    first_after,
    position_of,
    records_of,
)
from mylist.lists.item import Item
from mylist.lists.value import ListValue

TITLES = [
    *("", "a", "A", "ab", "abc", "b", "ß", "ss", "Ä", "ä", "é", "\0", "a\0", "a\0b", "\uffff", "\U0010ffff", "😀"),
    None,
]
LONG = 3 * SLICE + 7
DEFAULT = Arrangement(None, None, "addedAt", descending=True)


def entry(title: str | None = None, released_at: int | None = None, genres: Sequence[str] = ()) -> Entry:
    document = {"title": title, "genres": list(genres)}
    return Entry(
        b"",
        b"",
        exists=True,
        refresh_at=0,
        expires_at=0,
        title=title_of(document),
        released_at=released_at,
        genres=genres_of(document),
    )


def listing(*kinds: Any) -> ListValue:
    """A list of these, each older than the one before."""
    return ListValue.of(
        Item(1000 - number, number.to_bytes(12, "big"), content_type) for number, content_type in enumerate(kinds)
    )


async def arranged(value: ListValue, entries: Sequence[Entry] | None, **wanted: Any) -> list[Place]:
    arrangement = replace(DEFAULT, **wanted)
    return await arrange(arrangement, await records_of(value, arrangement.content_type), entries)


def numbers(places: Sequence[Place]) -> list[int]:
    return [int.from_bytes(key[:12], "big") for _, key, _ in places]


async def test_records_are_those_of_a_type() -> None:
    value = listing("movie", "tvshow", "movie")

    assert await records_of(value, None) == value.page(1, 3)
    assert [key[:12][-1] for _, key in await records_of(value, "movie")] == [0, 2]
    assert [key[:12][-1] for _, key in await records_of(value, "tvshow")] == [1]


async def test_the_default_is_the_order_of_the_list_at_any_length() -> None:
    dice = random.Random(1)
    items = [Item(dice.randrange(LONG), number.to_bytes(12, "big"), "movie") for number in range(LONG)]
    value = ListValue.of(items)

    newest = await arranged(value, None)
    oldest = await arranged(value, None, descending=False)

    assert [key for _, key, _ in newest] == [key for _, key in value.page(1, LONG)]
    assert [number for _, _, number in newest] == list(range(LONG))
    ordered = sorted(items, key=lambda item: (item.added_at, item.content_id))
    assert numbers(oldest) == [int.from_bytes(item.content_id, "big") for item in ordered]


@pytest.mark.parametrize("descending", [False, True])
async def test_titles_stand_by_their_casefolded_characters(descending: bool) -> None:
    places = await arranged(
        listing(*["movie"] * len(TITLES)), [entry(each) for each in TITLES], sort="title", descending=descending
    )

    def key(title: str) -> str:
        return title.casefold().replace("\0", "")

    known = [number for number, each in enumerate(TITLES) if each is not None]
    known.sort(key=lambda number: key(str(TITLES[number])), reverse=descending)
    assert numbers(places) == [*known, TITLES.index(None)]


async def test_only_the_first_hundred_characters_of_a_title_count() -> None:
    entries = [entry("x" * 100 + "b"), entry("x" * 100 + "a"), entry("x" * 99)]
    places = await arranged(listing("movie", "movie", "movie"), entries, sort="title", descending=False)
    assert numbers(places) == [2, 0, 1]


@pytest.mark.parametrize(("descending", "expected"), [(False, [1, 3, 2, 0]), (True, [2, 3, 1, 0])])
async def test_dates_may_be_before_1970_or_none(descending: bool, expected: list[int]) -> None:
    entries = [entry(released_at=each) for each in (None, -5, 7, 0)]
    places = await arranged(listing(*["movie"] * 4), entries, sort="releaseDate", descending=descending)
    assert numbers(places) == expected


async def test_genres_are_compared_casefolded() -> None:
    entries = [entry(genres=["Drama", "SPASS"]), entry(genres=["Drama"]), entry(genres=["Spaß"])]
    value = listing("movie", "movie", "movie")
    assert numbers(await arranged(value, entries, genre="spass")) == [0, 2]
    assert numbers(await arranged(value, entries, genre="spas")) == []


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        ({}, ()),
        ({"genres": None}, ()),
        ({"genres": "Drama"}, ()),
        ({"genres": {"a": "Drama"}}, ()),
        ({"genres": ["Drama", 7, None, ["x"], "SciFi"]}, ("drama", "scifi")),
    ],
)
def test_genres_that_are_no_text_are_none(document: dict[str, Any], expected: tuple[str, ...]) -> None:
    assert genres_of(document) == expected


@pytest.mark.parametrize("title", [None, 42, ["a"], {"en": "a"}, b"a"])
def test_a_title_that_is_no_text_is_none(title: Any) -> None:
    assert title_of({"title": title}) is None


@pytest.mark.parametrize("sort", SORTS)
@pytest.mark.parametrize("descending", [False, True])
async def test_a_position_parts_what_is_before_from_what_is_after_though_its_item_is_gone(
    sort: Sort, descending: bool
) -> None:
    dice = random.Random(sort)
    entries = [entry(dice.choice(TITLES), dice.choice([None, -1, 0, 1])) for _ in range(60)]
    # One after another in the list, so that each record has the number of its entry.
    value = ListValue.of(Item(-(number // 3), number.to_bytes(12, "big"), "movie") for number in range(len(entries)))
    places = await arranged(value, entries, sort=sort, descending=descending)

    for number, place in enumerate(places):
        position = position_of(place)
        assert first_after(places, position) == number + 1
        assert first_after(places[:number] + places[number + 1 :], position) == number


async def test_others_have_their_turn_while_a_long_list_is_sorted() -> None:
    value = ListValue.of(Item(number, number.to_bytes(12, "big"), "movie") for number in range(LONG))
    turns = 0

    async def count() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    other = asyncio.create_task(count())
    await arranged(value, None)
    other.cancel()
    assert turns >= 2 * LONG // SLICE
