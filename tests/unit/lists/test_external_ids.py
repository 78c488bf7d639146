"""External ids in changes and reads of a list: which title they mean, and what is refused."""

from collections.abc import AsyncIterator, Awaitable, Callable, Collection

import pytest

from mylist.domain.batch import Batch
from mylist.domain.content import ContentId, ContentType, RequestedId, content_key, requested
from mylist.domain.errors import (
    AmbiguousExternalIdError,
    ContentNotFoundError,
    DatabaseUnavailableError,
    InvalidExternalIdError,
    InvalidLineError,
    ItemNotInListError,
)
from mylist.domain.external_id import ExternalId
from mylist.domain.found_title import FoundTitle
from mylist.domain.item import Item
from mylist.domain.page_request import ContainsKey
from mylist.lists.external_lines import ExternalLine, with_titles
from mylist.lists.list_import import LineResult, NumberedLine, Unresolved, merge, replace
from mylist.lists.page_cache import PageCache
from mylist.lists.reader import ListReader
from mylist.lists.writer import ListWriter
from tests.content_ids import content_id, number_of
from tests.unit.fakes import FakeCatalogue, FakeListCache, FakeListStore, Title, item

USER = "user"
MATRIX = "imdb:tt0133093"
BOTH = "tmdb:603"
"""The external id of a movie and of a show."""
TWICE = "imdb:tt1"
"""The external id of two movies."""
UNKNOWN = "imdb:tt404"
INVALID = [
    "imbd:tt1",
    "eidr:1",
    "imdb:",
    "IMDb:tt1",
    "imdb:tt 1",
    "a:b:c",
    "imdb :tt1",
    "movie:603",
    "movie:imbd:1",
    "http://a",
]


class FakeTitles:
    """Finds a title for every id, and records the requested ids."""

    def __init__(self) -> None:
        self.asked: list[tuple[ContentType, set[ContentId]]] = []

    async def with_ids(self, content_type: ContentType, content_ids: Collection[ContentId]) -> list[FoundTitle]:
        self.asked.append((content_type, set(content_ids)))
        return [FoundTitle(each, content_type, "a title", year=1999) for each in content_ids]


class World:
    def __init__(self, *items: Item) -> None:
        self.store = FakeListStore()
        self.store.put(USER, *items)
        cache = FakeListCache(self.store)
        self.catalogue = FakeCatalogue(
            {
                content_key(content_id(1), "movie"): Title("The Matrix", external_ids={"imdb": "tt0133093"}),
                content_key(content_id(2), "movie"): Title("A movie", external_ids={"tmdb": "603"}),
                content_key(content_id(3), "tvshow"): Title("A show", external_ids={"tmdb": "603"}),
                content_key(content_id(4), "movie"): Title("A copy", external_ids={"imdb": "tt1"}),
                content_key(content_id(5), "movie"): Title("Another copy", external_ids={"imdb": "tt1"}),
            }
        )
        self.titles = FakeTitles()
        self.writer = ListWriter(self.store, cache, self.catalogue, max_items=10)
        self.reader = ListReader(cache, self.catalogue, PageCache(1_000_000))

    @property
    def numbers(self) -> list[int]:
        return sorted(number_of(each.content_id) for each in self.store.items(USER))

    def with_titles(self, lines: AsyncIterator[NumberedLine | ExternalLine]) -> AsyncIterator[NumberedLine]:
        return with_titles(self.catalogue, self.titles, lines)

    async def contains(self, *ids: str) -> bytes:
        page, _ = await self.reader.contains(USER, list(ids), ContainsKey("".join(ids).encode()))
        return page.body


Change = Callable[[World, str], Awaitable[object]]
WITH_TYPE: dict[str, Change] = {
    "add": lambda world, text: world.writer.add(USER, requested(text), "movie"),
    "put": lambda world, text: world.writer.put(USER, requested(text), "movie"),
}
WITHOUT_TYPE: dict[str, Change] = {
    "remove": lambda world, text: world.writer.remove(USER, requested(text)),
    "discard": lambda world, text: world.writer.discard(USER, requested(text)),
    "contains": lambda world, text: world.contains(text),
}
of_adding = pytest.mark.parametrize("change", WITH_TYPE.values(), ids=WITH_TYPE)
of_naming = pytest.mark.parametrize("change", WITHOUT_TYPE.values(), ids=WITHOUT_TYPE)
of_each = pytest.mark.parametrize(
    "change",
    [
        *WITH_TYPE.values(),
        *WITHOUT_TYPE.values(),
        lambda world, text: world.writer.apply_batch(USER, Batch([(requested(text), "movie")], [])),
        lambda world, text: world.writer.apply_batch(USER, Batch([], [requested(text)])),
    ],
    ids=[*WITH_TYPE, *WITHOUT_TYPE, "batch that adds", "batch that removes"],
)


@of_adding
@pytest.mark.parametrize(("text", "number"), [(MATRIX, 1), (f"movie:{MATRIX}", 1), (BOTH, 2), (f"movie:{BOTH}", 2)])
async def test_adding_an_external_id_adds_the_title_of_the_given_type(change: Change, text: str, number: int) -> None:
    world = World()
    await change(world, text)

    assert world.numbers == [number]
    assert [types for _, types in world.catalogue.resolved] == [("movie",)]


@of_adding
@pytest.mark.parametrize("text", [UNKNOWN, f"tvshow:{MATRIX}", f"tvshow:{BOTH}", f"tvshow:{UNKNOWN}"])
async def test_adding_an_external_id_that_no_title_of_the_type_has_is_refused(change: Change, text: str) -> None:
    world = World()

    with pytest.raises(ContentNotFoundError, match=f"movie with id {text} not found"):
        await change(world, text)
    assert world.store.journal == []


async def test_put_returns_the_item_that_is_already_on_the_list() -> None:
    world = World(item(1))

    assert await world.writer.put(USER, requested(MATRIX), "movie") == (item(1), False)


async def test_remove_and_discard_find_an_item_by_its_external_id() -> None:
    world = World(item(1), item(2), item(3, show=True))
    await world.writer.remove(USER, requested(MATRIX))
    await world.writer.discard(USER, requested(f"tvshow:{BOTH}"))

    assert world.numbers == [2]
    with pytest.raises(ItemNotInListError):
        await world.writer.remove(USER, requested(MATRIX))
    with pytest.raises(ItemNotInListError):
        await world.writer.remove(USER, requested(UNKNOWN))
    await world.writer.discard(USER, requested(UNKNOWN))


@of_each
@pytest.mark.parametrize("text", INVALID)
async def test_an_invalid_external_id_is_refused_with_the_valid_form(change: Change, text: str) -> None:
    world = World(item(1))

    with pytest.raises(InvalidExternalIdError, match=r"NAME:ID such as imdb:tt0133093, .* names are imdb, tmdb$"):
        await change(world, text)
    assert (world.numbers, world.catalogue.resolved) == ([1], [])


@of_adding
async def test_adding_an_ambiguous_external_id_adds_none_of_its_titles(change: Change) -> None:
    world = World()
    titles = f"movie {content_id(4).hex()}, movie {content_id(5).hex()}"

    with pytest.raises(AmbiguousExternalIdError, match=f"imdb:tt1 is the id of 2 titles, {titles}: name one by its"):
        await change(world, TWICE)
    assert world.store.journal == []


@of_naming
@pytest.mark.parametrize("text", [BOTH, TWICE, f"movie:{TWICE}"])
async def test_an_ambiguous_external_id_is_refused_even_if_only_one_title_is_on_the_list(
    change: Change, text: str
) -> None:
    world = World(item(2), item(4))

    with pytest.raises(AmbiguousExternalIdError):
        await change(world, text)
    assert world.numbers == [2, 4]


@pytest.mark.parametrize("text", ["tt0133093", ":", ":tt0133093", '{"$ne":null}', "", "é:1"])
async def test_an_id_without_a_name_before_a_colon_is_treated_as_a_malformed_content_id(text: str) -> None:
    world = World(item(1))

    with pytest.raises(ContentNotFoundError):
        await world.writer.add(USER, requested(text), "movie")
    with pytest.raises(ItemNotInListError):
        await world.writer.remove(USER, requested(text))
    assert await world.contains(text, content_id(1).hex()) == (b'{"success":true,"data":{"contains":[false,true]}}')
    assert world.catalogue.resolved == []


async def test_a_batch_returns_each_outcome_and_groups_its_look_ups_by_type() -> None:
    world = World(item(1), item(3, show=True))
    add: list[tuple[str, ContentType]] = [
        *((MATRIX, "movie"), (BOTH, "movie"), (content_id(2).hex(), "movie"), (BOTH, "tvshow")),
        *((TWICE, "movie"), (UNKNOWN, "movie"), (content_id(4).hex(), "movie"), ("x", "movie")),
    ]
    remove = [MATRIX, BOTH, f"tvshow:{BOTH}", UNKNOWN, content_id(9).hex()]
    result = await world.writer.apply_batch(
        USER, Batch([(requested(text), kind) for text, kind in add], list(map(requested, remove)))
    )

    assert result.add == [
        (RequestedId(MATRIX, content_id(1)), "added"),
        (RequestedId(BOTH, content_id(2)), "added"),
        (requested(content_id(2).hex()), "existing"),
        (RequestedId(BOTH, content_id(3)), "added"),
        (RequestedId(TWICE, None), "ambiguous"),
        (RequestedId(UNKNOWN, None), "not_found"),
        (requested(content_id(4).hex()), "added"),
        (RequestedId("x", None), "not_found"),
    ]
    assert result.remove == [
        (RequestedId(MATRIX, content_id(1)), "removed"),
        (RequestedId(BOTH, None), "ambiguous"),
        (RequestedId(f"tvshow:{BOTH}", content_id(3)), "removed"),
        (RequestedId(UNKNOWN, None), "missing"),
        (requested(content_id(9).hex()), "missing"),
    ]
    assert world.numbers == [1, 2, 3, 4]
    assert len(world.catalogue.resolved) == 3, "once for each choice of types"


async def test_contains_answers_for_each_id_in_order_even_while_the_catalogue_is_unavailable() -> None:
    world = World(item(1), item(3, show=True))
    asked = [content_id(3).hex().upper(), MATRIX, f"movie:{BOTH}", f"tvshow:{BOTH}", UNKNOWN, MATRIX]
    expected = b'{"success":true,"data":{"contains":[true,true,false,true,false,true]}}'

    assert await world.contains(*asked) == expected
    world.catalogue.unavailable = True
    assert await world.contains(*asked) == expected, "by what was known"
    world.catalogue.titles.clear()
    assert b"[true,false,false,false,false,false]" in await world.contains(*asked), "not what was answered before"


class TestAnImport:
    @staticmethod
    def line(number: int, text: str, kind: ContentType = "movie", *, has_date: bool = True) -> ExternalLine:
        return ExternalLine(number, text, kind, 1000 - number, has_date)

    async def lines(self, *lines: NumberedLine | ExternalLine) -> AsyncIterator[NumberedLine | ExternalLine]:
        for each in lines:
            yield each

    async def test_looks_up_the_external_ids_of_a_hundred_lines_at_once(self) -> None:
        world = World()
        given = [self.line(number, MATRIX if number % 2 else BOTH) for number in range(1, 202)]
        found = [each async for each in world.with_titles(self.lines(*given))]

        assert found == [
            NumberedLine(number, Item(1000 - number, content_id(1 if number % 2 else 2), "movie"))
            for number in range(1, 202)
        ]
        wanted = {ExternalId("imdb", "tt0133093"), ExternalId("tmdb", "603")}
        assert world.catalogue.resolved == [(wanted, ("movie",))] * 2 + [
            ({ExternalId("imdb", "tt0133093")}, ("movie",))
        ]

    async def test_looks_up_nothing_for_lines_without_external_ids(self) -> None:
        world = World()
        given = [NumberedLine(1, item(1)), NumberedLine(2, "Not JSON", has_date=False)]

        assert [each async for each in world.with_titles(self.lines(*given))] == given
        assert (world.catalogue.resolved, world.titles.asked) == ([], [])

    async def test_returns_the_outcome_of_each_line(self) -> None:
        world = World(item(2))
        lines = self.lines(
            self.line(1, MATRIX),
            self.line(2, f"movie:{BOTH}", has_date=False),
            self.line(3, UNKNOWN),
            self.line(4, TWICE),
            self.line(5, "imbd:tt1"),
            self.line(6, MATRIX, "tvshow"),
            NumberedLine(7, item(3, show=True)),
        )
        results = [each async for part in merge(world.writer, USER, world.with_titles(lines)) for each in part]

        assert [(each.content_id, each.outcome) for each in results] == [
            (content_id(1), "added"),
            (content_id(2), "existing"),
            (None, "unmatched"),
            (None, "ambiguous"),
            (None, "invalid"),
            (None, "unmatched"),
            (content_id(3), "added"),
        ]
        unknown, ambiguous, malformed, other_type = results[2:6]
        assert unknown.unresolved == Unresolved(UNKNOWN, None, reason="No movie has the external id imdb:tt404")
        assert ambiguous.unresolved == Unresolved(
            TWICE,
            None,
            [FoundTitle(content_id(number), "movie", "a title", year=1999) for number in (4, 5)],
            may_mean=frozenset({content_id(4), content_id(5)}),
            is_ambiguous=True,
        )
        assert (malformed.error or "").startswith("imbd:tt1 is not an id: it must be a contentId, or NAME:ID")
        assert other_type.error == "No tvshow has the external id imdb:tt0133093"
        assert world.titles.asked == [("movie", {content_id(4), content_id(5)})]

    @pytest.mark.parametrize("text", ["imbd:tt1", "movie:603"])
    async def test_that_replaces_the_list_changes_nothing_if_an_external_id_is_invalid(self, text: str) -> None:
        world = World(item(2), item(4))
        lines = world.with_titles(self.lines(self.line(1, MATRIX), self.line(2, text)))

        with pytest.raises(InvalidLineError, match="Line 2: "):
            [each async for each in replace(world.writer, USER, lines)]
        assert world.numbers == [2, 4]

    async def test_that_replaces_the_list_keeps_an_item_that_an_ambiguous_line_may_mean(self) -> None:
        world = World(item(2), item(4))
        lines = world.with_titles(self.lines(self.line(1, MATRIX), self.line(2, TWICE), self.line(3, UNKNOWN)))
        results = [each async for part in replace(world.writer, USER, lines) for each in part]

        assert [each.outcome for each in results] == ["added", "ambiguous", "unmatched", "removed"]
        assert world.numbers == [1, 4]

    async def test_that_replaces_the_list_keeps_an_item_that_an_external_id_names(self) -> None:
        world = World(item(1), item(2))
        lines = world.with_titles(self.lines(self.line(1, MATRIX), self.line(2, BOTH, "tvshow")))
        results: list[LineResult] = [each async for part in replace(world.writer, USER, lines) for each in part]

        assert [each.outcome for each in results] == ["dated", "added", "removed"]
        assert world.numbers == [1, 3]


async def test_a_change_by_external_id_fails_while_the_catalogue_is_unavailable() -> None:
    world = World(item(1))
    world.catalogue.unavailable = True

    for change in (*WITH_TYPE.values(), WITHOUT_TYPE["remove"], WITHOUT_TYPE["discard"]):
        with pytest.raises(DatabaseUnavailableError):
            await change(world, MATRIX)
    assert world.store.journal == []
