"""The bodies, links and ETags of answers."""

import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qsl, quote, urlsplit

import msgspec
import pytest

from mylist.api.read_requests import parse_items_query
from mylist.domain.catalogue_entry import CatalogueEntry
from mylist.domain.content import content_key
from mylist.domain.filter_and_sort import CursorPosition, QueryPage
from mylist.domain.item import Item
from mylist.domain.limits import MAX_SEARCH_WORDS
from mylist.domain.packed_list import PackedList
from mylist.domain.page_request import ItemsQuery, PageRequest
from mylist.lists.cursors import decode_cursor
from mylist.lists.page_json import (
    EXPORT_LINES_PER_PART,
    QueryAnswer,
    contains_json,
    export_lines,
    page_etag,
    page_frame,
    page_json,
)
from tests.content_ids import content_id

ADDED_AT = 1_700_000_000_000
WRITTEN = "2023-11-14T22:13:20.000Z"
ENTRY = CatalogueEntry(
    key=content_key(content_id(7), "movie"),
    before=f'","contentId":"{content_id(7).hex()}","contentType":"movie","addedAt":"'.encode(),
    after=b'","content":{"title":"Alien"}}',
    refresh_at=60,
    expires_at=120,
    exists_until=120,
)
ITEM = {
    "userId": "us:er",
    "contentId": content_id(7).hex(),
    "contentType": "movie",
    "addedAt": WRITTEN,
    "content": {"title": "Alien"},
}
IDS = {"contentId": content_id(7).hex(), "contentType": "movie", "addedAt": WRITTEN}


def records(*items: Item) -> bytes:
    return PackedList.of(items).records(0, len(items))


ONE = records(Item(ADDED_AT, content_id(7), "movie"))
TWO = records(*[Item(ADDED_AT, content_id(7), "movie")] * 2)


def data(body: bytes) -> Any:
    answer = msgspec.json.decode(body)
    assert answer.pop("success") is True
    return answer["data"]


def query_of(text: str) -> ItemsQuery:
    query = parse_items_query(text, 20, 100)
    assert isinstance(query, ItemsQuery)
    return query


def links(head: str) -> dict[str, dict[str, str]]:
    """Return the parameters of each link in header lines, by the relation of the link."""
    found = {}
    for each in head.partition("\r\n")[0].removeprefix("link: ").split(", "):
        target, _, relation = each.partition("; rel=")
        url = urlsplit(target.strip("<>"))
        assert (url.scheme, url.netloc, url.path) == ("", "", "")
        found[relation.strip('"')] = dict(parse_qsl(url.query, keep_blank_values=True))
    return found


@pytest.mark.parametrize(("total", "pages"), [(2, 1), (20, 1), (21, 2), (41, 3)])
def test_a_page_contains_its_items_and_its_totals(total: int, pages: int) -> None:
    body = page_json(page_frame(PageRequest(1, 20), total), "us:er", TWO, [ENTRY, ENTRY])

    assert data(body) == {"items": [ITEM, ITEM], "total": total, "page": 1, "pageSize": 20, "totalPages": pages}


def test_a_page_of_an_empty_list_has_no_items() -> None:
    assert data(page_json(page_frame(PageRequest(3, 20), 0), "user", b"", [])) == {
        "items": [],
        "total": 0,
        "page": 3,
        "pageSize": 20,
        "totalPages": 0,
    }


@pytest.mark.parametrize(
    ("page", "relations"),
    [
        (1, {"first": "1", "next": "2", "last": "3"}),
        (2, {"first": "1", "prev": "1", "next": "3", "last": "3"}),
        (9, {"first": "1", "prev": "3", "last": "3"}),
    ],
)
def test_the_headers_of_a_page_have_its_links_and_its_page_size(page: int, relations: dict[str, str]) -> None:
    head = page_frame(PageRequest(page, 20), 60).head

    assert links(head) == {relation: {"page": each, "pageSize": "20"} for relation, each in relations.items()}
    assert head.endswith("\r\nx-page-size: 20\r\n")


def test_a_query_page_has_its_number_and_the_cursor_of_the_next_page() -> None:
    query = query_of("sort=title&page=2&pageSize=1")
    end = CursorPosition(b"alien", content_id(7))
    answer = QueryAnswer("us:er", query, QueryPage(ONE, [ENTRY], total=3, end=end, fresh_until=0), "order")
    body, head = answer.body, answer.head

    told = data(body)
    assert decode_cursor(told.pop("nextCursor"), "us:er", query.list_query, "order") == (query.list_query, end)
    assert told == {"items": [ITEM], "total": 3, "page": 2, "pageSize": 1, "totalPages": 3}
    same = {"sort": "title", "order": "asc", "pageSize": "1"}
    assert links(head) == {
        "first": same | {"page": "1"},
        "prev": same | {"page": "1"},
        "next": same | {"page": "3"},
        "last": same | {"page": "3"},
    }


def test_a_page_from_a_cursor_has_no_page_number() -> None:
    query = query_of("type=movie&genre=drama&cursor=&view=ids&pageSize=1")
    end = CursorPosition(-ADDED_AT, content_id(7))
    answer = QueryAnswer("us:er", query, QueryPage(ONE, None, total=3, end=end, fresh_until=0), "order")
    body, head = answer.body, answer.head

    told = data(body)
    cursor = told.pop("nextCursor")
    assert told == {"items": [IDS], "total": 3, "pageSize": 1}
    same = {"type": "movie", "genre": "drama", "sort": "addedAt", "order": "desc", "view": "ids", "pageSize": "1"}
    assert links(head) == {"first": same | {"cursor": ""}, "next": same | {"cursor": cursor}}


@pytest.mark.parametrize(
    "text",
    [
        "genre=drama&genre=b%C3%B6se+%26+co",
        "notGenre=drama&genre=crime&notGenre=war",
        "q=The%20M%C3%A4trix%20%E5%8D%83",
        "addedAfter=2024-01-20T10:30:00%2B01:00&addedBefore=2024-02-01T00:00:00.0005Z",
        "addedAfter=0001-01-01T00:00:00Z&addedBefore=9999-12-31T23:59:59.999Z",
        "available=false&view=ids",
        "available=true&type=tvshow&sort=releaseDate&order=asc",
        "sort=random&seed=a-B_9",
    ],
)
@pytest.mark.parametrize("paging", ["", "&cursor="])
def test_links_lead_to_the_same_query(text: str, paging: str) -> None:
    query = query_of(text + paging)
    end = CursorPosition(7, content_id(7))
    head = QueryAnswer("us:er", query, QueryPage(ONE, [ENTRY], total=30, end=end, fresh_until=0), "order").head

    targets = re.findall(r"<\?([^>]*)>", head)
    assert targets
    for target in targets:
        assert query_of(target).list_query == query.list_query
        assert query_of(target).ids_only == query.ids_only


def test_the_links_of_the_longest_search_fit_into_the_header_limit_of_proxies() -> None:
    words = [chr(ord("千") + number) * 7 for number in range(MAX_SEARCH_WORDS)]
    query = query_of(f"q={quote(' '.join(words))}&page=2")
    page = QueryPage(ONE, [ENTRY], total=90, end=CursorPosition(7, content_id(7)), fresh_until=0)

    assert len(query.list_query.words) == MAX_SEARCH_WORDS
    # By default, nginx accepts 4 KB of headers. The other headers take some 900 bytes.
    assert len(QueryAnswer("us:er", query, page, "order").head) < 3000


def test_the_last_page_of_a_query_has_neither_a_next_cursor_nor_a_next_link() -> None:
    last = QueryPage(ONE, [ENTRY], total=2, end=None, fresh_until=0)

    answer = QueryAnswer("us:er", query_of("order=asc&page=2&pageSize=1"), last, "order")
    body, head = answer.body, answer.head
    assert data(body)["nextCursor"] is None
    assert set(links(head)) == {"first", "prev", "last"}
    answer = QueryAnswer("us:er", query_of("cursor=abc&pageSize=1"), last, "order")
    body, head = answer.body, answer.head
    assert data(body)["nextCursor"] is None
    assert set(links(head)) == {"first"}


def test_the_previous_page_of_a_page_beyond_the_end_is_the_last_page() -> None:
    none = QueryPage(records(), [], total=21, end=None, fresh_until=0)
    head = QueryAnswer("user", query_of("order=asc&page=9"), none, "order").head

    assert {relation: each["page"] for relation, each in links(head).items()} == {
        "first": "1",
        "prev": "2",
        "last": "2",
    }


def entry(content_number: int, title: str) -> CatalogueEntry:
    return replace(
        ENTRY,
        before=f'","contentId":"{content_id(content_number).hex()}","contentType":"movie","addedAt":"'.encode(),
        after=f'","content":{{"title":"{title}"}}}}'.encode(),
    )


def lists_that_differ() -> Iterator[tuple[list[Item], list[CatalogueEntry]]]:
    """Yield lists of one to three items, with their titles. Each list differs from another in one thing."""
    first, second = Item(ADDED_AT, content_id(1), "movie"), Item(ADDED_AT - 1, content_id(2), "movie")
    alien, brazil = entry(1, "Alien"), entry(2, "Brazil")
    yield [first, second], [alien, brazil]
    yield [replace(first, added_at=ADDED_AT + 1), second], [alien, brazil]
    yield [replace(first, content_id=content_id(3)), second], [entry(3, "Alien"), brazil]
    yield [replace(first, content_type="tvshow"), second], [alien, brazil]
    yield [first, second], [entry(1, "Aliens"), brazil]
    yield [first, second], [alien, entry(2, "Brasil")]
    yield [first], [alien]
    yield [first, second, Item(ADDED_AT - 2, content_id(4), "movie")], [alien, brazil, entry(4, "Casablanca")]
    yield [first, second, Item(ADDED_AT - 2, content_id(4), "tvshow")], [alien, brazil, entry(4, "Casablanca")]


def test_pages_with_different_bodies_have_different_etags() -> None:
    bodies: dict[str, bytes] = {}
    pages = 0
    for user_id in ("us:er", "us:er2"):
        for request in (PageRequest(1, 1), PageRequest(1, 2), PageRequest(2, 1), PageRequest(2, 2), PageRequest(12, 1)):
            for items, titles in lists_that_differ():
                packed = PackedList.of(items)
                start = (request.page - 1) * request.page_size
                entries = titles[start : start + request.page_size]
                frame = page_frame(request, packed.total)
                page = packed.records(*packed.bounds(*request))
                body = page_json(frame, user_id, page, entries)
                etag = page_etag(frame, user_id, packed.header, page, entries)
                same = [replace(each) for each in entries]
                assert etag == page_etag(frame, user_id, packed.header, page, same)
                assert bodies.setdefault(etag, body) == body
                pages += 1
    # The ETag covers the counts of both types, even on a page whose items all have one type.
    assert pages > len(bodies) >= len(set(bodies.values()))


QUERIES = ("type=movie", "type=movie&pageSize=1", "type=movie&page=2&pageSize=1", "type=movie&cursor=&pageSize=1")


@pytest.mark.parametrize("view", ["", "&view=ids"])
def test_query_pages_with_different_bodies_have_different_etags(view: str) -> None:
    bodies: dict[str, bytes] = {}
    for user_id in ("us:er", "us:er2"):
        for query in map(query_of, (each + view for each in QUERIES)):
            for items, titles in lists_that_differ():
                for end in (None, CursorPosition(5, content_id(7)), CursorPosition(6, content_id(7))):
                    page = QueryPage(
                        records(*items), None if view else titles, total=len(items) + 1, end=end, fresh_until=0
                    )
                    answer = QueryAnswer(user_id, query, page, "order")
                    assert bodies.setdefault(answer.etag, answer.body) == answer.body
    assert len(bodies) > 100, "an ETag that is always the same would not be found above by luck"


def test_a_contains_answer_keeps_the_order_of_the_ids() -> None:
    assert data(contains_json([True, False, True])) == {"contains": [True, False, True]}
    assert data(contains_json([])) == {"contains": []}


def test_an_export_has_one_line_per_item_and_is_split_into_parts() -> None:
    size = EXPORT_LINES_PER_PART + 1
    packed = PackedList.of(Item(ADDED_AT - number, content_id(number), "tvshow") for number in range(size))

    parts = list(export_lines(packed))
    lines = [msgspec.json.decode(line) for line in b"".join(parts).splitlines()]

    assert [part.count(b"\n") for part in parts] == [EXPORT_LINES_PER_PART, 1]
    assert lines[0] == {"contentId": content_id(0).hex(), "contentType": "tvshow", "addedAt": WRITTEN}
    assert [line["contentId"] for line in lines] == [content_id(number).hex() for number in range(size)]


def test_an_export_of_an_empty_list_has_no_part() -> None:
    assert list(export_lines(PackedList.of([]))) == []
