"""Filtering and sorting lists: any titles have a total order, in which each position has a successor."""

import asyncio
import math
import random
import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import msgspec
import pytest

from mylist.catalogue.sort_keys import genres_of, title_of
from mylist.domain.catalogue_entry import CatalogueEntry
from mylist.domain.content import ContentId, ContentType, content_key
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
from mylist.domain.packed_list import PackedList, items_of, keys_of
from mylist.domain.title_words import searched_words
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
DEFAULT = ListQuery(None, (), "addedAt", descending=True)


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
    """Return a list of items of these types, each item older than the one before."""
    return PackedList.of(
        Item(1000 - number, content_id(number), content_type) for number, content_type in enumerate(kinds)
    )


async def selection(packed: PackedList, entries: list[CatalogueEntry] | None, **wanted: Any) -> Selection:
    query = replace(DEFAULT, **wanted)
    return await select(query, await records_of(packed, query), entries)


async def numbers(packed: PackedList, entries: list[CatalogueEntry] | None, **wanted: Any) -> list[int]:
    """Return the numbers of the selected items, in order."""
    keys = keys_of(await records_of(packed, replace(DEFAULT, **wanted)))
    return [number_of(keys[index]) for index in (await selection(packed, entries, **wanted)).order]


async def test_records_are_filtered_by_type() -> None:
    packed = listing("movie", "tvshow", "movie")

    assert await records_of(packed, DEFAULT) == packed.records(0, 3)
    expected_by_type: dict[ContentType, list[int]] = {"movie": [0, 2], "tvshow": [1]}
    for content_type, expected in expected_by_type.items():
        records = await records_of(packed, replace(DEFAULT, content_type=content_type))
        assert list(map(number_of, keys_of(records))) == expected
        assert [each.added_at for each in items_of(records)] == [1000 - number for number in expected]


async def test_a_long_list_is_sorted_by_date_then_by_id() -> None:
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
async def test_release_dates_may_be_before_1970_or_missing(descending: bool, expected: list[int]) -> None:
    entries = [entry(number, released_at=each) for number, each in enumerate((None, -5, 7, 0))]
    assert await numbers(listing(*["movie"] * 4), entries, sort="releaseDate", descending=descending) == expected


@dataclass(frozen=True)
class Saved:
    """An item and the fields of its title. If `is_available` is false, the title was withdrawn."""

    item: Item
    title: str | None
    genres: tuple[str, ...]
    is_available: bool

    @property
    def entry(self) -> CatalogueEntry:
        document = {"title": self.title, "genres": list(self.genres)}
        return CatalogueEntry(
            content_key(self.item.content_id, self.item.content_type),
            b"",
            b'","content":' + (msgspec.json.encode(document) if self.is_available else b"null") + b"}",
            refresh_at=0,
            expires_at=0,
            exists_until=1 if self.is_available else -math.inf,
            title=title_of(document, "en") if self.is_available else None,
            genres=genres_of(document),
        )


WORDS = ["Élan", "elan", "Vital", "S.W.A.T.", "Spider-Man", "l'Été", "Mañana", "man", "X", "Œuvre", "and", "&", "2001:"]
SEARCHES = ["elan", "vit", "swat", "s w", "man", "spider-man", "spi man x", "ete", "lete", "manana", "oeuv", "20", "q"]
GENRES = ["drama", "crime", "scifi", "war"]


def saved(dice: random.Random, number: int) -> Saved:
    is_available = dice.random() < 0.9
    title = " ".join(dice.choices(WORDS, k=dice.randint(1, 4))) if is_available and dice.random() < 0.9 else None
    genres = tuple(dice.sample(GENRES, dice.randint(0, 2))) if is_available else ()
    content_type: ContentType = dice.choice(("movie", "tvshow"))
    return Saved(Item(dice.randint(-300, 300), content_id(number), content_type), title, genres, is_available)


def some_query(dice: random.Random) -> ListQuery:
    genres = dice.sample(GENRES, 4)
    since, before = sorted(dice.sample(range(-310, 310), 2))
    is_rare = 0.4
    return ListQuery(
        dice.choice((None, None, "movie", "tvshow")),
        tuple(sorted(genres[: dice.randint(0, 2)])),
        dice.choice(("addedAt", "title", "random")),
        descending=dice.random() < 0.5,
        excluded_genres=tuple(sorted(genres[2 : 2 + dice.randint(0, 2)])),
        words=searched_words(dice.choice(SEARCHES)) if dice.random() < is_rare else (),
        added_from=since if dice.random() < is_rare else None,
        added_before=before if dice.random() < is_rare else None,
        is_available=dice.choice((None, None, True, False)),
        seed=dice.choice("ab"),
    )


def is_wanted(query: ListQuery, each: Saved) -> bool:
    """Return whether a query selects an item, by the rules that a reader would apply by hand."""
    return all(
        (
            query.content_type in {None, each.item.content_type},
            not query.genres or set(query.genres) & set(each.genres),
            not set(query.excluded_genres) & set(each.genres),
            query.added_from is None or each.item.added_at >= query.added_from,
            query.added_before is None or each.item.added_at < query.added_before,
            query.is_available in {None, each.is_available},
            all(any(each.startswith(word) for each in words_by_hand(each.title or "")) for word in query.words),
        )
    )


def words_by_hand(title: str) -> list[str]:
    plain = "".join(
        each for each in unicodedata.normalize("NFD", title.lower()) if not unicodedata.combining(each)
    ).replace("œ", "oe")
    return re.findall(r"\w+", plain) + [re.sub(r"\W", "", each) for each in plain.split()]


async def test_a_query_selects_the_items_that_match_it_in_its_order() -> None:
    dice = random.Random(20)
    found = 0
    for length in [*dice.choices(range(60), k=400), LONG, LONG]:
        everything = {each.item.content_id: each for each in (saved(dice, number) for number in range(length))}
        packed = PackedList.of(each.item for each in everything.values())
        query = some_query(dice)
        records = await records_of(packed, query)
        ids = [each.content_id for each in items_of(records)]
        entries = [everything[each].entry for each in ids]
        selected = await select(query, records, entries if query.needs_catalogue else None)

        wanted = [each.content_id for each in packed if is_wanted(query, everything[each.content_id])]
        selected_ids = [ids[index] for index in selected.order]
        assert sorted(selected_ids) == sorted(wanted), query
        if query.sort == "addedAt":
            assert selected_ids == (wanted if query.descending else by_age(everything, wanted))
        places = [selected.position_of(index) for index in selected.order]
        assert places == sorted(places), query
        needed = dice.choice([0, 1, 20, length])
        first = await select(query, records, entries if query.needs_catalogue else None, needed=needed)
        assert list(first.order[:needed]) == list(selected.order[:needed])
        assert first.total == selected.total == len(wanted)
        found += len(wanted)
    assert found > 1000


def by_age(everything: Mapping[ContentId, Saved], ids: Sequence[ContentId]) -> list[ContentId]:
    return sorted(ids, key=lambda each: (everything[each].item.added_at, each))


class TestARandomOrder:
    async def test_is_the_same_for_the_same_seed_and_differs_for_another(self) -> None:
        packed = listing(*["movie", "tvshow"] * 100)
        first = await numbers(packed, None, sort="random", seed="a")

        assert await numbers(packed, None, sort="random", seed="a", descending=False) == first
        assert sorted(first) == list(range(200))
        others = [await numbers(packed, None, sort="random", seed=seed) for seed in ("b", "A", "aa")]
        assert first != list(range(200))
        assert first not in others

    async def test_is_the_same_in_every_release_and_process(self) -> None:
        assert await numbers(listing(*["movie"] * 8), None, sort="random", seed="2024-01-20") == [
            3,
            6,
            0,
            2,
            1,
            4,
            7,
            5,
        ]

    async def test_keeps_the_relative_order_of_the_remaining_items(self) -> None:
        packed = listing(*["movie"] * 100)
        before = await numbers(packed, None, sort="random", seed="a")
        fewer = PackedList.of(each for each in packed if number_of(each.content_id) % 3)

        assert await numbers(fewer, None, sort="random", seed="a") == [each for each in before if each % 3]

    async def test_puts_each_item_first_about_equally_often(self) -> None:
        packed = listing(*["movie"] * 4)
        firsts = [(await numbers(packed, None, sort="random", seed=str(seed)))[0] for seed in range(400)]
        assert {number: firsts.count(number) > 60 for number in range(4)} == dict.fromkeys(range(4), True)


async def test_genres_are_compared_casefolded() -> None:
    entries = [entry(number, genres=each) for number, each in enumerate((["Drama", "SPASS"], ["Drama"], ["Spaß"]))]
    packed = listing("movie", "movie", "movie")
    assert await numbers(packed, entries, genres=("spass",)) == [0, 2]
    assert await numbers(packed, entries, genres=("spas",)) == []


@pytest.mark.parametrize("sort", SORTS)
@pytest.mark.parametrize("descending", [False, True])
async def test_a_position_has_the_same_successor_after_its_item_was_removed(sort: Sort, descending: bool) -> None:
    dice = random.Random(sort)
    entries = [entry(number, dice.choice(TITLES), dice.choice([None, -1, 0, 1])) for number in range(60)]
    # The items are in this order on the list, so that each record has the index of its entry.
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


async def test_sorting_a_long_list_yields_to_other_tasks() -> None:
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
