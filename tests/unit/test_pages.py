"""Remembered pages: used again for the very same list only, never past their titles' time, within a bound of memory."""

from collections.abc import Iterable
from typing import Any

import msgspec
import pytest

from mylist.api.etags import etag_of
from mylist.api.pages import Pages, Question
from mylist.api.paging import Paging
from mylist.api.selection import Selection, parse_reading
from mylist.catalogue.catalogue import Entry
from mylist.lists.arrangement import Excerpt, Position
from mylist.lists.item import Item
from mylist.lists.value import ListValue

ID = bytes(12)
PAGING = Paging(1, 20)
LIST, OTHER_LIST = (ListValue.of([Item(moment, ID, "movie")]) for moment in (1_700_000_000_000, 1_700_000_000_001))
EMPTY = ListValue.of([])


def entry(title: str, *, refresh_at: float = 60.0) -> Entry:
    return Entry(
        before=b'","contentId":"%s","contentType":"movie","addedAt":"' % ID.hex().encode(),
        after=b'","content":' + msgspec.json.encode({"title": title}) + b"}",
        exists=True,
        refresh_at=refresh_at,
        expires_at=2 * refresh_at,
    )


def listed(numbers: Iterable[int]) -> ListValue:
    return ListValue.of(Item(number, number.to_bytes(12, "big"), "movie") for number in numbers)


class World:
    def __init__(self, capacity: int = 1_000_000) -> None:
        self.now = 0.0
        self.pages = Pages(capacity, clock=lambda: self.now)

    def render(self, user_id: str, value: ListValue, *entries: Entry, paging: Paging = PAGING) -> bytes:
        items = [(item.added_at, entry) for item, entry in zip(value, entries, strict=True)]
        return self.pages.render(user_id, paging, value, items).body

    def found(self, user_id: str, value: ListValue, paging: Paging = PAGING) -> bytes | None:
        page = self.pages.find(user_id, paging, value)
        return page.body if page else None


def decoded(body: bytes) -> Any:
    return msgspec.json.decode(body)["data"]


def test_a_page_is_its_items_and_their_number() -> None:
    page = World().pages.render("us:er", PAGING, LIST, [(1_700_000_000_000, entry("Alien"))])

    assert decoded(page.body) == {
        "items": [
            {
                "userId": "us:er",
                "contentId": ID.hex(),
                "contentType": "movie",
                "addedAt": "2023-11-14T22:13:20.000Z",
                "content": {"title": "Alien"},
            }
        ],
        "total": 1,
        "page": 1,
        "pageSize": 20,
        "totalPages": 1,
    }
    assert page.etag == etag_of(page.body)


def test_it_is_found_again_for_the_same_list() -> None:
    world = World()
    body = world.render("user", LIST, entry("Alien"))

    assert world.found("user", ListValue(bytes(bytearray(LIST.data)))) == body
    assert (world.pages.reused, world.pages.rendered) == (1, 1)


def test_it_is_nothing_for_another_list_page_or_user() -> None:
    world = World()
    world.render("user", LIST, entry("Alien"))

    assert world.found("user", OTHER_LIST) is None
    assert world.found("user", EMPTY) is None
    assert world.found("user", LIST, Paging(2, 20)) is None
    assert world.found("user", LIST, Paging(1, 10)) is None
    assert world.found("another", LIST) is None
    assert world.pages.reused == 0


def test_it_is_nothing_once_a_title_is_due_to_be_fetched_again() -> None:
    world = World()
    both = ListValue.of([*LIST, Item(1, b"another one.", "movie")])
    world.render("user", both, entry("Alien", refresh_at=60), entry("Aliens", refresh_at=30))

    world.now = 29.9
    assert world.found("user", both)
    world.now = 30
    assert world.found("user", both) is None


def test_a_page_without_titles_has_no_such_time() -> None:
    world = World()
    body = world.render("user", EMPTY)
    world.now = 1e9

    assert world.found("user", EMPTY) == body
    assert decoded(body) == {"items": [], "total": 0, "page": 1, "pageSize": 20, "totalPages": 0}


def test_a_new_page_takes_the_place_of_the_old_one() -> None:
    world = World()
    world.render("user", LIST, entry("Alien"))
    size = world.pages.size
    body = world.render("user", OTHER_LIST, entry("Alien"))

    assert world.found("user", LIST) is None
    assert world.found("user", OTHER_LIST) == body
    assert world.pages.size == size


def test_those_used_last_are_kept_within_the_bound() -> None:
    world = World(capacity=10_000)
    for number in range(100):
        world.render(f"user-{number}", LIST, entry("Alien"))
        assert world.pages.size <= 10_000
        assert world.found("user-0", LIST), "used all the time, so kept"
    kept = [number for number in range(1, 100) if world.found(f"user-{number}", LIST)]

    assert kept == list(range(100 - len(kept), 100))
    assert 5 < len(kept) < 12


def test_a_selection_is_used_again_for_the_same_whole_list_until_a_title_that_decided_is_due() -> None:
    world = World()
    long, longer = (listed(range(each, 99)) for each in (30, 0))
    selection = parse_reading("sort=title&pageSize=1", 20, 100)
    assert isinstance(selection, Selection)
    excerpt = Excerpt(long.page(1, 1), [entry("Alien")], total=69, last=Position(b"alien", ID), fresh_until=30)
    page = world.pages.render_selection("user", selection, long, excerpt)

    assert decoded(page.body)["total"] == 69
    assert page.link
    assert world.pages.find("user", selection, long) == page
    # Alike as far as the first page goes.
    assert world.pages.find("user", selection, longer) is None
    assert world.pages.find("another", selection, long) is None
    assert world.pages.find("user", PAGING, long) is None
    world.now = 30
    assert world.pages.find("user", selection, long) is None
    assert (world.pages.reused, world.pages.rendered) == (1, 1)


def test_an_answer_is_used_again_for_the_same_question_about_the_same_list() -> None:
    world = World()
    question = Question("application/json", b"{}")
    answer = world.pages.render_answer("user", question, LIST, b"yes")

    assert world.pages.find("user", question, LIST) == answer
    assert world.pages.find("user", question, OTHER_LIST) is None
    assert world.pages.find("another", question, LIST) is None
    assert world.pages.find("user", Question("application/json", b"[]"), LIST) is None
    assert world.pages.find("user", Question("text/plain", b"{}"), LIST) is None
    world.now = 1e9
    assert world.pages.find("user", question, LIST) == answer


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (Question("application/json", b" " * 9000), Question("application/json", b" " * 9001)),
        (Question("application/json;" + " " * 9000, b"{}"), Question("application/json;" + " " * 9001, b"{}")),
    ],
    ids=["body", "content type"],
)
def test_a_question_takes_of_the_memory_as_well(first: Question, second: Question) -> None:
    world = World(capacity=10_000)
    world.pages.render_answer("user", first, LIST, b"yes")
    assert world.pages.size > 9000
    world.pages.render_answer("user", second, LIST, b"yes")
    assert 9000 < world.pages.size <= 10_000


def test_a_page_beyond_the_bound_is_not_kept() -> None:
    world = World(capacity=0)

    assert decoded(world.render("user", LIST, entry("Alien")))["total"] == 1
    assert world.found("user", LIST) is None
    assert world.pages.size == 0
