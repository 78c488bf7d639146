"""Filtering and sorting lists: a total order, whatever the titles are, from which a position leads on."""

import asyncio
import random
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from mylist.catalogue.sort_keys import genres_of, title_of
from mylist.domain.catalogue_entry import CatalogueEntry
from mylist.domain.content import ContentType, content_key
from mylist.domain.filter_and_sort import (
    SLICE_SIZE,
    SORTS,
    ListQuery,
    Selection,
    Sort,
    records_of,
    select,
)
from mylist.domain.item import Item
from mylist.domain.packed_list import PackedList
from mylist.domain.timestamps import join_moment
from tests.content_ids import content_id, number_of

TITLES = [
    *(
        "",
        "a",
        "A",
        "ab",
        "abc",
        "b",
        "The b",
        "ß",
        "ss",
        "Ä",
        "ä",
        "é",
        "\0",
        "a\0",
        "a\0b",
        "\uffff",
        "\U0010ffff",
        "😀",
    ),
    None,
]
LONG = 3 * SLICE_SIZE + 7
DEFAULT = ListQuery(None, None, "addedAt", descending=True)


def entry(
    number: int, title: str | None = None, released_at: int | None = None, genres: Sequence[str] = ()
) -> CatalogueEntry:
    document = {"title": title, "genres": list(genres)}
    return CatalogueEntry(
        content_key(content_id(number), "movie"),
        b"",
        b"",
        refresh_at=0,
        expires_at=0,
        exists_until=0,
        title=title_of(document, "en"),
        released_at=released_at,
        genres=genres_of(document),
    )


def listing(*kinds: Any) -> PackedList:
    """A list of these, each older than the one before."""
    return PackedList.of(
        Item(1000 - number, content_id(number), content_type) for number, content_type in enumerate(kinds)
    )


async def selection(packed: PackedList, entries: Sequence[CatalogueEntry] | None, **wanted: Any) -> Selection:
    query = replace(DEFAULT, **wanted)
    return await select(query, await records_of(packed, query.content_type), entries)


async def numbers(packed: PackedList, entries: Sequence[CatalogueEntry] | None, **wanted: Any) -> list[int]:
    """The numbers of what is selected, in order."""
    _, _, _, keys = await records_of(packed, wanted.get("content_type"))
    return [number_of(keys[index]) for index in (await selection(packed, entries, **wanted)).order]


async def test_records_are_those_of_a_type() -> None:
    packed = listing("movie", "tvshow", "movie")

    assert list(map(tuple, await records_of(packed, None))) == list(packed.page(1, 3))
    expected_by_type: dict[ContentType, list[int]] = {"movie": [0, 2], "tvshow": [1]}
    for content_type, expected in expected_by_type.items():
        hours, seconds, milliseconds, keys = await records_of(packed, content_type)
        assert list(map(number_of, keys)) == expected
        assert list(map(join_moment, hours, seconds, milliseconds)) == [1000 - number for number in expected]


async def test_the_default_is_the_order_of_the_list_at_any_length() -> None:
    dice = random.Random(1)
    items = [Item(dice.randrange(LONG), content_id(number), "movie") for number in range(LONG)]
    packed = PackedList.of(items)

    newest = await selection(packed, None)

    assert list(newest.order) == list(range(LONG))
    for descending in (False, True):
        for kinds in ({}, {"content_type": "movie"}):
            sign = -1 if descending else 1
            ordered = sorted(items, key=lambda item: (sign * item.added_at, item.content_id))
            found = await numbers(packed, None, descending=descending, **kinds)
            assert found == [number_of(item.content_id) for item in ordered]


@pytest.mark.parametrize("descending", [False, True])
async def test_titles_are_sorted_by_their_keys_and_equal_ones_by_id(descending: bool) -> None:
    entries = [entry(number, each) for number, each in enumerate(TITLES)]
    selected = await numbers(listing(*["movie"] * len(TITLES)), entries, sort="title", descending=descending)

    known = [number for number, each in enumerate(TITLES) if each is not None]
    known.sort(key=lambda number: title_of({"title": TITLES[number]}, "en") or b"", reverse=descending)
    assert selected == [*known, TITLES.index(None)]


async def test_only_the_first_hundred_characters_of_a_title_count() -> None:
    entries = [entry(0, "x" * 100 + "b"), entry(1, "x" * 100 + "a"), entry(2, "x" * 99)]
    assert await numbers(listing("movie", "movie", "movie"), entries, sort="title", descending=False) == [2, 0, 1]


@pytest.mark.parametrize(("descending", "expected"), [(False, [1, 3, 2, 0]), (True, [2, 3, 1, 0])])
async def test_dates_may_be_before_1970_or_none(descending: bool, expected: list[int]) -> None:
    entries = [entry(number, released_at=each) for number, each in enumerate((None, -5, 7, 0))]
    assert await numbers(listing(*["movie"] * 4), entries, sort="releaseDate", descending=descending) == expected


async def test_genres_are_compared_casefolded() -> None:
    entries = [entry(number, genres=each) for number, each in enumerate((["Drama", "SPASS"], ["Drama"], ["Spaß"]))]
    packed = listing("movie", "movie", "movie")
    assert await numbers(packed, entries, genre="spass") == [0, 2]
    assert await numbers(packed, entries, genre="spas") == []


@pytest.mark.parametrize("sort", SORTS)
@pytest.mark.parametrize("descending", [False, True])
async def test_a_position_separates_what_is_before_from_what_is_after_though_its_item_is_gone(
    sort: Sort, descending: bool
) -> None:
    dice = random.Random(sort)
    entries = [entry(number, dice.choice(TITLES), dice.choice([None, -1, 0, 1])) for number in range(60)]
    # One after another in the list, so that each record has the index of its entry.
    packed = PackedList.of(Item(-(number // 3), content_id(number), "movie") for number in range(len(entries)))
    selected = await selection(packed, entries, sort=sort, descending=descending)

    order = list(selected.order)
    assert sorted(order) == list(range(len(entries)))
    for number, index in enumerate(order):
        position = selected.position_of(index)
        assert selected.first_after(position) == number + 1
        selected.order = order[:number] + order[number + 1 :]
        assert selected.first_after(position) == number
        selected.order = order


async def test_others_have_their_turn_while_a_long_list_is_sorted() -> None:
    packed = PackedList.of(Item(number, content_id(number), "movie") for number in range(LONG))
    turns = 0

    async def count() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    other = asyncio.create_task(count())
    await selection(packed, None, descending=False)
    other.cancel()
    assert turns >= 2 * LONG // SLICE_SIZE
