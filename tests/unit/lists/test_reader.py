"""Reading a list: the requests to the cache and the catalogue, the reuse of answers, and the result."""

import re
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest

from mylist.api.read_requests import parse_items_query
from mylist.domain.cache_result import CacheResult
from mylist.domain.content import content_key
from mylist.domain.errors import DatabaseUnavailableError, InvalidCursorError, InvalidParameterError
from mylist.domain.etags import etag_of
from mylist.domain.filter_and_sort import SLICE_SIZE
from mylist.domain.item import Item
from mylist.domain.packed_list import PackedList
from mylist.domain.page_request import ContainsKey, PageRequest
from mylist.lists.page_cache import PageCache, RenderedPage
from mylist.lists.page_json import EXPORT_LINES_PER_PART
from mylist.lists.reader import ListReader
from tests.content_ids import content_id, number_of
from tests.unit.fakes import FakeCatalogue, FakeClient, FakeListCache, FakeListStore, Title, item

USER = "user"
FIRST = PageRequest(1, 20)


class World:
    def __init__(self, *items: Item, titles: FakeCatalogue | None = None) -> None:
        self.now = 0.0
        self.store = FakeListStore()
        self.store.put(USER, *items)
        self.cache = FakeListCache(self.store)
        self.catalogue = titles or FakeCatalogue.numbered(each.added_at for each in items)
        self.pages = PageCache(1_000_000, clock=lambda: self.now)
        self.reader = ListReader(self.cache, self.catalogue, self.pages)

    async def page(self, page: int, page_size: int) -> RenderedPage:
        return (await self.reader.items(USER, PageRequest(page, page_size), FakeClient()))[0]

    async def query(self, text: str, user_id: str = USER) -> RenderedPage:
        return (await self.reader.items(user_id, parse_items_query(text, 20, 100), FakeClient()))[0]

    async def numbers(self, text: str) -> list[int]:
        """Return the numbers of the items that a query string selects, in order."""
        return numbers(await self.query(text))

    @property
    def packed(self) -> PackedList:
        return PackedList.of(self.store.items(USER))


def data(page: RenderedPage) -> Any:
    return msgspec.json.decode(page.body)["data"]


def numbers(page: RenderedPage) -> list[int]:
    return [int(each["contentId"], 16) for each in data(page)["items"]]


def films() -> World:
    """Return a list of two movies, a show and, last added, a withdrawn movie."""
    known = {
        content_key(content_id(1), "movie"): Title("Heat", ("Crime", "Drama"), 815_000_000_000),
        content_key(content_id(2), "movie"): Title("alien", ("SciFi",), 296_000_000_000, refresh_at=30),
        content_key(content_id(3), "tvshow"): Title("Dark", ("SciFi", "Drama")),
    }
    return World(item(1), item(2), item(3, show=True), item(4), titles=FakeCatalogue(known))


class TestAPage:
    async def test_contains_the_newest_items_with_their_titles(self) -> None:
        page = await World(*map(item, range(1, 6))).page(1, 2)

        assert [(each["addedAt"], each["content"]["title"]) for each in data(page)["items"]] == [
            ("1970-01-01T00:00:00.005Z", "5"),
            ("1970-01-01T00:00:00.004Z", "4"),
        ]
        assert (data(page)["total"], data(page)["totalPages"]) == (5, 3)

    @pytest.mark.parametrize("query", ["", "sort=title", "view=ids", "cursor=&pageSize=2"])
    async def test_is_not_rendered_for_a_client_that_has_it(self, query: str) -> None:
        world = World(*map(item, range(1, 6)))
        request = parse_items_query(query, 20, 100)
        etag = (await films().reader.items(USER, request, FakeClient()))[0].etag
        known = (await World(*map(item, range(1, 6))).reader.items(USER, request, FakeClient()))[0]

        for _ in range(2):
            assert (await world.reader.items(USER, request, FakeClient(known.etag)))[0].body == b""
        assert (world.pages.rendered, world.pages.reused) == (0, 1)
        assert (await world.reader.items(USER, request, FakeClient(etag)))[0].body == known.body
        # The page cache has the body now, so it costs nothing.
        assert (await world.reader.items(USER, request, FakeClient(known.etag)))[0].body == known.body
        assert (world.pages.rendered, world.pages.reused) == (1, 2 + 1)

    @pytest.mark.parametrize("query", ["", "sort=title", "type=movie", "cursor=&pageSize=2"])
    @pytest.mark.parametrize("knows", [True, False])
    async def test_is_not_rendered_again_if_its_due_titles_are_unchanged(self, query: str, knows: bool) -> None:
        world = films()
        request = parse_items_query(query, 20, 100)
        first = (await world.reader.items(USER, request, FakeClient()))[0]
        world.now = 31  # a title is due for a refresh, which finds it unchanged

        page = (await world.reader.items(USER, request, FakeClient(*[first.etag] * knows)))[0]
        assert page.body is first.body
        assert world.pages.rendered == 1

    async def test_past_the_end_is_empty(self) -> None:
        page = await World(item(1)).page(3, 20)

        assert (data(page)["items"], data(page)["total"], data(page)["page"]) == ([], 1, 3)

    @pytest.mark.parametrize("result", [CacheResult.HIT, CacheResult.MISS, CacheResult.BYPASSED])
    async def test_reports_the_cache_result(self, result: CacheResult) -> None:
        world = World(item(1))
        world.cache.result = result

        for _ in range(2):
            assert (await world.reader.items(USER, FIRST, FakeClient()))[1] is result

    async def test_is_rendered_once_for_the_same_list(self) -> None:
        world = World(*map(item, range(1, 6)))
        page = await world.page(1, 2)

        assert await world.page(1, 2) is page
        assert len(world.catalogue.asked) == 1
        assert (world.pages.rendered, world.pages.reused) == (1, 1)

    async def test_is_rendered_again_once_the_list_has_changed(self) -> None:
        world = World(item(1))
        await world.page(1, 20)
        world.store.put(USER, item(2))

        assert numbers(await world.page(1, 20)) == [2, 1]

    async def test_is_reused_if_only_later_items_change_and_the_counts_stay_the_same(self) -> None:
        world = World(*map(item, range(1, 6)))
        page = await world.page(1, 2)
        world.store.take_off(USER, content_id(1))
        world.store.put(USER, item(0))

        assert await world.page(1, 2) is page
        world.store.take_off(USER, content_id(0))
        assert data(await world.page(1, 2))["total"] == 4

    async def test_of_a_loaded_list_is_reused_for_the_same_list_from_the_cache(self) -> None:
        world = World(*map(item, range(1, 6)))
        world.cache.result = CacheResult.MISS
        page = await world.page(1, 2)
        world.cache.result = CacheResult.HIT

        assert await world.page(1, 2) is page

    async def test_is_rendered_again_once_one_of_its_titles_is_due_for_a_refresh(self) -> None:
        world = films()
        page = await world.page(1, 20)
        world.catalogue.titles[content_key(content_id(2), "movie")] = Title("Aliens")

        world.now = 29.9
        assert await world.page(1, 20) is page
        world.now = 30
        assert b"Aliens" in (await world.page(1, 20)).body

    async def test_of_one_user_is_not_returned_to_another(self) -> None:
        world = World(item(1))
        await world.page(1, 20)

        assert numbers((await world.reader.items("another", FIRST, FakeClient()))[0]) == []

    @pytest.mark.parametrize(
        ("page", "page_size", "max_items"),
        [
            (1, 20, 20),
            (3, 7, 21),
            (99, 101, 9999),
            (100, 100, None),
            (10**15, 100, None),
        ],
    )
    async def test_reads_only_a_prefix_of_the_list_unless_that_prefix_would_be_long(
        self, page: int, page_size: int, max_items: int | None
    ) -> None:
        world = World(item(1))
        await world.page(page, page_size)

        assert world.cache.prefixes == [max_items]

    async def test_far_down_a_long_list_contains_the_right_items(self) -> None:
        world = World(*map(item, range(1, 10_051)))

        assert numbers(await world.page(101, 100)) == list(range(50, 0, -1))
        assert numbers(await world.page(99, 100)) == list(range(250, 150, -1))

    async def test_cannot_be_read_while_the_store_is_unavailable(self) -> None:
        world = World(item(1))
        world.store.unavailable = True

        with pytest.raises(DatabaseUnavailableError):
            await world.page(1, 20)


class TestAQuery:
    @pytest.mark.parametrize(
        ("text", "expected"),
        [
            ("view=ids", [4, 3, 2, 1]),
            ("order=asc", [1, 2, 3, 4]),
            ("type=movie", [4, 2, 1]),
            ("type=tvshow", [3]),
            ("genre=scifi", [3, 2]),
            ("genre=SCIFI&type=movie", [2]),
            ("genre=drama&sort=title", [3, 1]),
            ("sort=title", [2, 3, 1, 4]),
            ("sort=title&order=desc", [1, 3, 2, 4]),
            ("sort=releaseDate", [1, 2, 3, 4]),
            ("sort=releaseDate&order=asc", [2, 1, 3, 4]),
            ("sort=title&page=2&pageSize=3", [4]),
            ("sort=title&page=3&pageSize=3", []),
            ("genre=scifi&genre=crime", [3, 2, 1]),
            ("notGenre=crime", [4, 3, 2]),
            ("notGenre=crime&notGenre=scifi", [4]),
            ("genre=drama&notGenre=crime", [3]),
            ("q=AL", [2]),
            ("q=da+d", [3]),
            ("q=lien", []),
            ("available=false", [4]),
            ("available=true", [3, 2, 1]),
            ("available=false&notGenre=drama&view=ids", [4]),
            ("available=false&q=a", []),
            ("addedAfter=1970-01-01T00:00:00.002Z", [4, 3, 2]),
            ("addedBefore=1970-01-01T00:00:00.002Z", [1]),
            ("addedAfter=1970-01-01T00:00:00.002Z&addedBefore=1970-01-01T00:00:00.004Z&order=asc", [2, 3]),
            ("addedAfter=2970-01-01T00:00:00.002Z", []),
            ("q=a&available=true&genre=scifi&type=movie&addedAfter=1970-01-01T00:00:00Z&sort=title", [2]),
        ],
    )
    async def test_filters_and_sorts(self, text: str, expected: list[int]) -> None:
        assert await films().numbers(text) == expected

    async def test_reads_the_whole_list(self) -> None:
        world = films()
        await world.query("sort=title&pageSize=1")

        assert world.cache.prefixes == [None]

    @pytest.mark.parametrize(
        "text",
        [
            "type=movie",
            "order=asc",
            "sort=title",
            "sort=releaseDate&order=asc",
            "view=ids",
            "sort=random&seed=a",
            "sort=random&seed=b&view=ids",
            "genre=scifi&genre=crime",
            "notGenre=crime&order=asc",
            "available=true&sort=title",
            "addedAfter=1970-01-01T00:00:00.002Z",
            "addedBefore=1970-01-01T00:00:00.004Z&sort=title",
        ],
    )
    @pytest.mark.parametrize("page_size", [1, 3])
    async def test_returns_every_page_in_order_if_its_cursors_are_followed(self, text: str, page_size: int) -> None:
        world = films()
        expected = await world.numbers(text)
        pages: list[list[int]] = []
        cursor: str | None = ""
        while cursor is not None:
            page = await world.query(f"{text}&pageSize={page_size}&cursor={cursor}")
            pages.append(numbers(page))
            cursor = data(page)["nextCursor"]

        assert pages == [expected[start : start + page_size] for start in range(0, len(expected), page_size)]

    async def test_in_a_random_order_without_a_seed_continues_by_cursor_and_by_links(self) -> None:
        world = World(*map(item, range(1, 101)))
        page = await world.query("sort=random&view=ids&pageSize=50")
        by_cursor = await world.query(f"sort=random&view=ids&pageSize=50&cursor={data(page)['nextCursor']}")
        [following] = re.findall(r'<\?([^>]*)>; rel="next"', page.head)
        [beginning] = re.findall(r'<\?([^>]*)>; rel="first"', by_cursor.head)

        assert sorted(numbers(page) + numbers(by_cursor)) == list(range(1, 101))
        assert await world.numbers(following) == numbers(by_cursor)
        assert await world.numbers(beginning) == numbers(page)

    async def test_in_a_random_order_without_a_seed_differs_each_time_and_is_not_cached(self) -> None:
        world = World(*map(item, range(1, 101)))
        orders = [
            await world.numbers(f"sort=random&pageSize=100{cursor}") for cursor in ("", "", "&cursor=", "&cursor=")
        ]

        assert len(set(map(tuple, orders))) == 4
        assert (world.pages.size, world.pages.rendered, world.pages.reused) == (0, 4, 0)

    async def test_in_a_random_order_with_a_seed_or_a_cursor_is_cached(self) -> None:
        world = World(*map(item, range(1, 101)))
        page = await world.query("sort=random&seed=a")
        text = f"sort=random&cursor={data(page)['nextCursor']}"

        assert await world.query("sort=random&seed=a") is page
        assert await world.query(text) is await world.query(text)

    async def test_refuses_a_cursor_of_another_seed(self) -> None:
        world = films()
        cursor = data(await world.query("sort=random&seed=a&pageSize=1"))["nextCursor"]

        with pytest.raises(InvalidCursorError):
            await world.query(f"sort=random&seed=b&cursor={cursor}")

    async def test_continues_after_the_position_of_a_cursor_even_if_its_item_was_removed(self) -> None:
        world = films()
        cursor = data(await world.query("sort=title&pageSize=2&cursor="))["nextCursor"]
        world.store.take_off(USER, content_id(2), content_id(3))

        assert await world.numbers(f"sort=title&pageSize=2&cursor={cursor}") == [1, 4]

    @pytest.mark.parametrize(("text", "user_id"), [("sort=title&order=desc", USER), ("sort=title", "another")])
    async def test_refuses_the_cursor_of_another_query_or_user(self, text: str, user_id: str) -> None:
        world = films()
        cursor = data(await world.query("sort=title&pageSize=2&cursor="))["nextCursor"]

        with pytest.raises(InvalidCursorError):
            await world.query(f"{text}&pageSize=2&cursor={cursor}", user_id)

    async def test_refuses_a_genre_that_no_title_has(self) -> None:
        world = films()

        for name in ("genre", "notGenre"):
            for query in (f"{name}=western", f"{name}=drama&{name}=western", f"{name}=drama&{name}=western&q=a"):
                with pytest.raises(InvalidParameterError, match=f"^{name} must .* a genre of a movie or show$"):
                    await world.query(query)

    async def test_for_a_genre_that_no_title_on_the_list_has_is_empty(self) -> None:
        world = films()
        world.catalogue.titles[content_key(content_id(9), "movie")] = Title("Shane", ("Western",))

        assert data(await world.query("genre=western"))["total"] == 0

    async def test_for_ids_sorted_by_date_reads_no_titles(self) -> None:
        world = films()
        page = await world.query("view=ids&order=asc")

        assert world.catalogue.asked == []
        assert (page.fresh_until, set(data(page)["items"][0])) == (
            float("inf"),
            {"contentId", "contentType", "addedAt"},
        )

    async def test_reads_only_the_titles_of_its_page_if_titles_do_not_affect_the_selection(self) -> None:
        world = films()
        await world.query("type=movie&pageSize=2")

        [keys] = world.catalogue.asked
        assert list(keys) == [content_key(content_id(4), "movie"), content_key(content_id(2), "movie")]

    @pytest.mark.parametrize(
        ("text", "asked"),
        [
            ("sort=random&seed=a&view=ids", []),
            ("addedBefore=1970-01-01T00:00:00.002Z", [1]),
            ("addedBefore=1970-01-01T00:00:00.002Z&q=a&sort=title", [1]),
            ("addedBefore=1970-01-01T00:00:00.002Z&available=false&view=ids", [1]),
            ("addedAfter=2970-01-01T00:00:00.002Z&view=ids&type=movie", []),
        ],
    )
    async def test_reads_no_titles_that_do_not_affect_the_result(self, text: str, asked: list[int]) -> None:
        world = films()
        await world.query(text)

        assert [number_of(key) for keys in world.catalogue.asked for key in keys] == asked

    async def test_is_fresh_until_a_title_that_affected_the_result_is_due(self) -> None:
        world = films()

        assert (await world.query("sort=title&pageSize=1&page=4")).fresh_until == 30
        assert (await world.query("type=tvshow")).fresh_until == 60
        for text in ("q=heat", "available=false", "notGenre=scifi", "genre=crime&genre=drama&pageSize=1"):
            assert (await world.query(text)).fresh_until == 30
        assert (await world.query("q=dark&type=tvshow")).fresh_until == 60
        assert (await world.query("addedBefore=1970-01-01T00:00:00.002Z&q=heat")).fresh_until == 60

    async def test_counts_the_search_text_in_its_key_and_links_towards_the_capacity(self) -> None:
        world, other = films(), films()
        await world.query("q=abc&genre=crime")
        await other.query("q=abcdef&genre=crime")

        # In the key, and in the links to the first and the last page.
        assert other.pages.size - world.pages.size == 3 * len("def")

    async def test_is_rendered_once_for_the_same_whole_list(self) -> None:
        world = films()
        page = await world.query("sort=title&pageSize=1")

        assert await world.query("sort=title&pageSize=1") is page
        world.store.take_off(USER, content_id(1))
        world.store.put(USER, item(0))
        assert await world.query("sort=title&pageSize=1") is not page

    async def test_of_a_long_list_is_sorted_as_a_whole_and_reads_titles_in_slices(self) -> None:
        size = 2 * SLICE_SIZE + 3
        titles = [f"{each * 7919 % size:05}" for each in range(size)]
        known = {content_key(content_id(each), "movie"): Title(title) for each, title in enumerate(titles)}
        world = World(*map(item, range(size)), titles=FakeCatalogue(known))

        found = await world.numbers("sort=title&pageSize=100")
        assert found == sorted(range(size), key=titles.__getitem__)[:100]
        assert max(map(len, world.catalogue.asked)) == SLICE_SIZE


class TestContains:
    async def test_says_for_each_id_whether_it_is_on_the_list(self) -> None:
        world = World(item(10), item(11))
        asked = [content_id(11).hex(), content_id(1).hex(), content_id(10).hex().upper(), "no-id", content_id(11).hex()]
        page, cache = await world.reader.contains(USER, asked, ContainsKey(b"1"))

        assert data(page) == {"contains": [True, False, True, False, True]}
        assert (cache, page.etag, world.cache.prefixes) == (CacheResult.HIT, "", [None])

    async def test_is_false_for_a_malformed_id(self) -> None:
        world = World(item(1))
        written = content_id(1).hex()
        odd = ["", written[1:], written + "0", f" {written}", f"{written}\n", "\N{ARABIC-INDIC DIGIT ZERO}" * 24]
        page, _ = await world.reader.contains(USER, [*odd, written], ContainsKey(b"1"))

        assert data(page) == {"contains": [False] * len(odd) + [True]}

    async def test_is_rendered_once_for_the_same_ids_and_list(self) -> None:
        world = World(item(1))
        asked, others = [content_id(2).hex()], [content_id(1).hex()]
        page, _ = await world.reader.contains(USER, asked, ContainsKey(b"asked"))

        assert (await world.reader.contains(USER, asked, ContainsKey(b"asked")))[0] is page
        assert data((await world.reader.contains(USER, others, ContainsKey(b"others")))[0]) == {"contains": [True]}
        world.store.put(USER, item(2))
        assert data((await world.reader.contains(USER, asked, ContainsKey(b"asked")))[0]) == {"contains": [True]}
        assert (world.pages.rendered, world.pages.reused) == (3, 1)

    async def test_counts_its_request_body_towards_the_capacity(self) -> None:
        world = World(item(1))
        await world.reader.contains(USER, [], ContainsKey(b" " * 5000))

        assert world.pages.size > 5000


class TestCounts:
    async def test_are_by_type_and_read_no_items(self) -> None:
        world = World(item(1), item(2), item(3, show=True))

        assert await world.reader.counts(USER) == (2, 1, CacheResult.HIT)
        assert world.cache.prefixes == [0]


class TestAnExport:
    async def test_of_a_short_list_is_in_one_piece_and_rendered_once(self) -> None:
        world = World(*map(item, range(EXPORT_LINES_PER_PART)))
        exported = await world.reader.export(USER)

        assert isinstance(exported.body, bytes)
        lines = [msgspec.json.decode(line)["contentId"] for line in exported.body.splitlines()]
        assert lines == [content_id(each).hex() for each in reversed(range(EXPORT_LINES_PER_PART))]
        assert (await world.reader.export(USER)).body is exported.body
        assert (world.pages.rendered, world.cache.prefixes) == (1, [None, None])

    async def test_of_a_longer_list_is_in_parts_that_are_not_cached(self) -> None:
        size = 2 * EXPORT_LINES_PER_PART + 1
        world = World(*map(item, range(size)))
        body, etag, total, cache = await world.reader.export(USER)

        assert isinstance(body, Iterator)
        parts = list(body)
        assert [part.count(b"\n") for part in parts] == [EXPORT_LINES_PER_PART, EXPORT_LINES_PER_PART, 1]
        lines = [msgspec.json.decode(line)["contentId"] for line in b"".join(parts).splitlines()]
        assert lines == [content_id(each).hex() for each in reversed(range(size))]
        assert (etag, total, cache) == (etag_of(world.packed.data), size, CacheResult.HIT)
        assert world.pages.size == 0

    async def test_is_rendered_again_once_the_list_has_changed(self) -> None:
        world = World(item(1))
        before = await world.reader.export(USER)
        world.store.put(USER, item(2))
        after = await world.reader.export(USER)

        assert isinstance(after.body, bytes)
        assert after.body.count(b"\n") == 2
        assert before.etag != after.etag == etag_of(world.packed.data)

    async def test_of_an_empty_list_is_empty(self) -> None:
        assert (await World().reader.export(USER)).body == b""
