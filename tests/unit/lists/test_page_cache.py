"""Rendered answers: reused only for the same list and until a title is due for a refresh, within a memory limit."""

import pytest

from mylist.api.read_requests import parse_items_query
from mylist.domain.page_request import ContainsKey, ExportKey, PageRequest
from mylist.lists.page_cache import PageCache, PageKey, RenderedPage

PAGE = PageRequest(1, 20)
QUERY = parse_items_query("sort=title", 20, 100)
CONTAINS = ContainsKey(b"{}")
LIST, OTHER_LIST = b"list", b"twin"
CAPACITY = 10_000


class World:
    def __init__(self, capacity: int = 1_000_000) -> None:
        self.now = 0.0
        self.pages = PageCache(capacity, clock=lambda: self.now)

    def keep(
        self, user_id: str, source: bytes, key: PageKey = PAGE, *, body: bytes = b"body", fresh_until: float = 60.0
    ) -> RenderedPage:
        key_bytes = len(key.body) if isinstance(key, ContainsKey) else 0
        page = RenderedPage(source, body, fresh_until=fresh_until, key_bytes=key_bytes)
        return self.pages.keep(user_id, key, page)

    def find(self, user_id: str, source: bytes, key: PageKey = PAGE) -> RenderedPage | None:
        return self.pages.find(user_id, key, source)


def test_a_page_is_reused_for_the_same_list() -> None:
    world = World()
    page = world.keep("user", LIST)

    assert world.find("user", bytes(bytearray(LIST))) is page
    assert (world.pages.reused, world.pages.rendered) == (1, 1)


def test_a_page_is_not_reused_for_another_list_page_or_user() -> None:
    world = World()
    world.keep("user", LIST)

    assert world.find("user", OTHER_LIST) is None
    assert world.find("user", LIST + b"+") is None
    assert world.find("user", LIST, PageRequest(2, 20)) is None
    assert world.find("user", LIST, PageRequest(1, 10)) is None
    assert world.find("another", LIST) is None
    assert world.pages.reused == 0


def test_a_page_is_not_reused_once_a_title_is_due_for_a_refresh() -> None:
    world = World()
    world.keep("user", LIST, fresh_until=30)

    world.now = 29.9
    assert world.find("user", LIST)
    world.now = 30
    assert world.find("user", LIST) is None


def test_a_new_page_replaces_the_old_one() -> None:
    world = World()
    world.keep("user", LIST)
    size = world.pages.size
    page = world.keep("user", OTHER_LIST)

    assert world.find("user", LIST) is None
    assert world.find("user", OTHER_LIST) is page
    assert world.pages.size == size


def test_a_body_is_found_by_its_etag_even_after_a_title_is_due_for_a_refresh() -> None:
    world = World()
    page = world.pages.keep("user", PAGE, RenderedPage(LIST, b"body", '"etag"', fresh_until=30))
    world.now = 31

    assert world.pages.body_of("user", PAGE, '"etag"') is page.body
    assert world.pages.body_of("user", PAGE, '"other"') == b""
    assert world.pages.body_of("user", QUERY, '"etag"') == b""
    assert world.pages.body_of("another", PAGE, '"etag"') == b""


def test_only_a_new_body_counts_as_rendered() -> None:
    world = World()
    page = RenderedPage(LIST, b"body", '"etag"', fresh_until=30)
    for each in (page._replace(body=b""), page, page._replace(fresh_until=60), page._replace(body=b"other")):
        world.pages.keep("user", PAGE, each)

    assert world.pages.rendered == 2


def test_the_least_recently_used_pages_are_evicted_beyond_the_capacity() -> None:
    world = World(CAPACITY)
    for number in range(100):
        world.keep(f"user-{number}", LIST, body=b"x" * 300)
        assert world.pages.size <= CAPACITY
        assert world.find("user-0", LIST), "used all the time, so kept"
    kept = [number for number in range(1, 100) if world.find(f"user-{number}", LIST)]

    assert kept == list(range(100 - len(kept), 100))
    assert 5 < len(kept) < 12


@pytest.mark.parametrize("key", [PAGE, QUERY, CONTAINS, ExportKey()])
def test_a_page_is_reused_only_for_the_request_that_it_answers(key: PageKey) -> None:
    world = World()
    answer = world.keep("user", LIST, key)

    others = {PAGE, QUERY, CONTAINS, ExportKey(), PageRequest(2, 20), ContainsKey(b"[]")} - {key}
    assert world.find("user", LIST, key) is answer
    assert [world.find("user", LIST, each) for each in others] == [None] * 5


def test_an_answer_without_titles_never_expires() -> None:
    world = World()
    answer = world.keep("user", LIST, CONTAINS, fresh_until=float("inf"))
    world.now = 1e9

    assert world.find("user", LIST, CONTAINS) is answer


def test_the_body_of_a_contains_request_counts_towards_the_capacity() -> None:
    world = World(CAPACITY)
    for length in (9000, 9001):
        world.keep("user", LIST, ContainsKey(b" " * length))
        assert 9000 < world.pages.size <= CAPACITY


@pytest.mark.parametrize("capacity", [0, 600])
def test_a_page_larger_than_the_capacity_is_not_kept(capacity: int) -> None:
    world = World(capacity)

    assert world.keep("user", LIST).body == b"body"
    assert world.find("user", LIST) is None
    assert (world.pages.size, world.pages.rendered) == (0, 1)
