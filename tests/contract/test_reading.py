"""Reading a list by more than pages: filters, orders, cursors, ids, and links to the next pages."""

import re
import string
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urljoin, urlsplit

import httpx
import pytest
from bson import ObjectId
from pymongo.database import Database

from devtools.waiting import wait_until
from tests.conftest import Serve
from tests.contract.conftest import PATIENCE, User, connect
from tests.contract.titles import MATRIX_ID, MOVIE_IDS, SHOW_ID

Documents = Database[dict[str, object]]

ROUTE = "/api/mylist/items"
BEGAN = datetime(2024, 1, 1, tzinfo=UTC)


def title(number: int) -> str:
    return f"{0xDEF00000 + number:024x}"


# Title, genres, year of release, type. The list of `reader` has the last of them first, after a withdrawn title.
CATALOGUE: list[tuple[str | None, list[str] | None, int | None, str]] = [
    ("banana", ["Fruit", "Yellow"], 2001, "movie"),
    ("Apple", ["fruit"], 1999, "tvshow"),
    ("cherry", ["FRUIT"], None, "movie"),
    (None, ["Böse & Co"], 2005, "movie"),
    ("apple pie", ["Pastry"], 2003, "tvshow"),
    (None, None, 2001, "movie"),
    ("Äpfel", [], 2000, "movie"),
]


# Each selects at least three items of the list of `reader`.
SELECTIONS = (
    "genre=fruit&genre=pastry",
    "notGenre=fruit",
    "notGenre=fruit&sort=title",
    "q=a",
    "q=a&sort=releaseDate",
    "addedAfter=2024-01-01T03:00:00Z",
    "addedBefore=2024-01-01T03:00:00Z&sort=title",
    "available=true",
    "available=true&order=asc",
    "sort=random&seed=a",
    "sort=random&seed=b&notGenre=yellow",
)


@pytest.fixture(scope="module", autouse=True)
def catalogue(database: Documents) -> None:
    for number, (name, genres, year, content_type) in enumerate(CATALOGUE):
        document: dict[str, Any] = {"_id": ObjectId(title(number)), "title": name, "genres": genres}
        if year:
            document["releaseDate"] = datetime(year, 1, 1, tzinfo=UTC)
        database["movies" if content_type == "movie" else "tvshows"].insert_one(document)


def hold_all(user: User, database: Documents) -> User:
    """Put all of `CATALOGUE` and one withdrawn title on a list, each an hour newer than the one before."""
    types = [content_type for *_, content_type in CATALOGUE] + ["tvshow"]
    database["mylist"].insert_many(
        {
            "userId": user.id,
            "contentId": title(number),
            "contentType": content_type,
            "addedAt": BEGAN + timedelta(hours=number),
        }
        for number, content_type in enumerate(types)
    )
    return user


def hold_many(user: User, database: Documents) -> User:
    """Put 40 movies on a list, in pairs that were added at the same moment."""
    database["mylist"].insert_many(
        {"userId": user.id, "contentId": each, "contentType": "movie", "addedAt": BEGAN + timedelta(hours=number // 2)}
        for number, each in enumerate(MOVIE_IDS)
    )
    return user


@pytest.fixture(scope="module")
def reader(client: httpx.Client, database: Documents) -> User:
    """A user with all of `CATALOGUE`, whose list no test changes."""
    return hold_all(User(client, "reader"), database)


@pytest.fixture(scope="module")
def long(client: httpx.Client, database: Documents) -> User:
    """A user with 40 movies, whose list no test changes."""
    return hold_many(User(client, "long"), database)


@pytest.fixture
def changing_reader(user: User, database: Documents) -> User:
    """A user with all of `CATALOGUE`, whose list the test may change."""
    return hold_all(user, database)


@pytest.fixture
def changing_long(user: User, database: Documents) -> User:
    """A user with 40 movies, whose list the test may change."""
    return hold_many(user, database)


def numbers(user: User, query: str) -> list[int]:
    return [int(each, 16) - 0xDEF00000 for each in user.contents(query)]


def data(user: User, query: str) -> Any:
    answer = user.items(query)
    assert answer.status_code == 200, answer.text
    return answer.json()["data"]


def links(answer: httpx.Response) -> dict[str, str]:
    return {str(name): link["url"] for name, link in answer.links.items()}


def walk(user: User, query: str, *, between: Iterable[None] = ()) -> list[str]:
    """Read by cursor from the beginning to the end, and take a step of `between` after each answer."""
    seen: list[str] = []
    steps = iter(between)
    cursor = ""
    while True:
        got = data(user, f"?{query}&cursor={cursor}")
        seen += [item["contentId"] for item in got["items"]]
        next(steps, None)
        if got["nextCursor"] is None:
            return seen
        cursor = got["nextCursor"]


class TestFilters:
    def test_by_type_select_and_count_only_that_type(self, reader: User) -> None:
        assert numbers(reader, "?type=movie") == [6, 5, 3, 2, 0]
        assert numbers(reader, "?type=tvshow") == [7, 4, 1]
        assert data(reader, "?type=tvshow&pageSize=2") | {"items": [], "nextCursor": ""} == {
            "items": [],
            "total": 3,
            "page": 1,
            "pageSize": 2,
            "totalPages": 2,
            "nextCursor": "",
        }

    def test_by_genre_ignore_case(self, reader: User) -> None:
        for genre in ("fruit", "Fruit", "FRUIT"):
            assert numbers(reader, f"?genre={genre}") == [2, 1, 0]
        assert data(reader, "?genre=fruit&type=tvshow")["total"] == 1

    def test_by_a_genre_with_special_characters_are_encoded_in_links(self, reader: User) -> None:
        answer = reader.items("?genre=B%C3%B6se%20%26%20Co&pageSize=1")
        assert [item["contentId"] for item in answer.json()["data"]["items"]] == [title(3)]
        assert "genre=b%C3%B6se+%26+co" in links(answer)["first"]
        assert reader.items(links(answer)["first"]).content == answer.content

    def test_by_a_genre_that_no_item_has_return_an_empty_page(self, user: User) -> None:
        assert data(user, "?genre=fruit") == {
            "items": [],
            "total": 0,
            "page": 1,
            "pageSize": 20,
            "totalPages": 0,
            "nextCursor": None,
        }

    def test_soon_accept_a_genre_that_is_new_in_the_catalogue(self, reader: User, database: Documents) -> None:
        reader.items("?genre=fruit")  # now the process knows the genres
        database["movies"].insert_one({"_id": ObjectId(), "title": "new", "genres": ["Freshly Invented"]})
        wait_until(lambda: reader.items("?genre=freshly invented").status_code != 400, within=PATIENCE)

    @pytest.mark.parametrize(
        ("query", "expected"),
        [
            ("genre=yellow&genre=PASTRY", [4, 0]),
            ("genre=fruit&genre=fruit", [2, 1, 0]),
            ("genre=fruit&notGenre=yellow", [2, 1]),
            ("notGenre=fruit", [7, 6, 5, 4, 3]),
            ("notGenre=fruit&notGenre=Pastry&type=tvshow", [7]),
        ],
    )
    def test_by_several_genres_require_one_wanted_genre_and_no_excluded_one(
        self, reader: User, query: str, expected: list[int]
    ) -> None:
        assert numbers(reader, f"?{query}") == expected

    @pytest.mark.parametrize(
        ("query", "expected"),
        [
            ("q=apple", [4, 1]),
            ("q=APFEL", [6]),
            ("q=%C3%84p", [6, 4, 1]),
            ("q=%C3%84pf+apf", [6]),
            ("q=pi+app", [4]),
            ("q=pie", [4]),
            ("q=pple", []),
            ("q=a&sort=title", [6, 1, 4]),
            ("q=a&type=tvshow&genre=fruit", [1]),
        ],
    )
    def test_by_title_match_the_beginnings_of_words(self, reader: User, query: str, expected: list[int]) -> None:
        assert numbers(reader, f"?{query}") == expected
        assert data(reader, f"?{query}")["total"] == len(expected)

    @pytest.mark.parametrize(
        ("query", "expected"),
        [
            ("addedAfter=2024-01-01T05:00:00Z", [7, 6, 5]),
            ("addedAfter=2024-01-01T05:00:00.001Z", [7, 6]),
            ("addedBefore=2024-01-01T02:00:00Z", [1, 0]),
            ("addedBefore=2024-01-01T02:00:00.0001Z", [2, 1, 0]),
            ("addedAfter=2024-01-01T03:00:00%2B02:00&addedBefore=2023-12-31T22:00:00-05:00", [2, 1]),
            ("addedAfter=2024-01-01T01:00:00Z&addedBefore=2024-01-01T07:00:00Z&type=tvshow&order=asc", [1, 4]),
            ("addedAfter=9999-12-31T23:59:59Z", []),
            ("addedBefore=0001-01-01T00:00:00Z", []),
        ],
    )
    def test_by_the_time_added_include_the_start_and_exclude_the_end(
        self, reader: User, query: str, expected: list[int]
    ) -> None:
        assert numbers(reader, f"?{query}") == expected

    @pytest.mark.parametrize(
        ("query", "expected"),
        [
            ("available=false", [7]),
            ("available=true", [6, 5, 4, 3, 2, 1, 0]),
            ("available=false&type=movie", []),
            ("available=false&genre=fruit", []),
            ("available=true&addedAfter=2024-01-01T05:00:00Z", [6, 5]),
        ],
    )
    def test_by_availability_select_titles_with_or_without_content(
        self, reader: User, query: str, expected: list[int]
    ) -> None:
        assert numbers(reader, f"?{query}") == expected
        assert all(
            (each["content"] is None) == ("available=false" in query) for each in data(reader, f"?{query}")["items"]
        )


class TestOrders:
    def test_default_to_newest_first(self, long: User) -> None:
        documented = long.contents("?pageSize=100")
        assert len(documented) == 40
        for query in ("sort=addedAt", "order=desc", "sort=addedAt&order=desc", "cursor="):
            assert long.contents(f"?pageSize=100&{query}") == documented

    def test_with_the_oldest_first_break_ties_by_id(self, long: User) -> None:
        assert long.contents("?order=asc&pageSize=100") == MOVIE_IDS

    def test_by_title_put_items_without_a_title_last_in_both_directions(self, reader: User) -> None:
        assert numbers(reader, "?sort=title") == [6, 1, 4, 0, 2, 3, 5, 7]
        assert numbers(reader, "?sort=title&order=asc") == [6, 1, 4, 0, 2, 3, 5, 7]
        assert numbers(reader, "?sort=title&order=desc") == [2, 0, 4, 1, 6, 3, 5, 7]

    @pytest.mark.parametrize(("language", "expected"), [("en", [6, 0, 2, 3, 1, 4, 5]), ("de", [6, 0, 3, 2, 1, 4, 5])])
    def test_by_title_ignore_accents_and_the_articles_of_the_language(
        self, serve: Serve, database: Documents, user_id: str, language: str, expected: list[int]
    ) -> None:
        titles = ["Ángel", "The Matrix", "Die Lüge", "Karl", "Übermut", {"title": "Alien", "sortTitle": "ZZ"}, ""]
        ids = [ObjectId() for _ in titles]
        database["movies"].insert_many(
            {"_id": each, **(title if isinstance(title, dict) else {"title": title})}
            for each, title in zip(ids, titles, strict=True)
        )
        with connect(serve(CATALOGUE_LANGUAGE=language)) as client:
            user = User(client, user_id)
            for each in ids:
                user.add(str(each))
            walked: list[str] = []
            cursor: str | None = ""
            while cursor is not None:
                got = data(user, f"?sort=title&pageSize=2&cursor={cursor}")
                walked += [item["contentId"] for item in got["items"]]
                cursor = got["nextCursor"]

        assert walked == [str(ids[number]) for number in expected]

    def test_by_release_put_items_without_a_date_last_in_both_directions(self, reader: User) -> None:
        assert numbers(reader, "?sort=releaseDate") == [3, 4, 0, 5, 6, 1, 2, 7]
        assert numbers(reader, "?sort=releaseDate&order=asc") == [1, 6, 0, 5, 4, 3, 2, 7]

    def test_combine_with_filters_and_pages(self, reader: User) -> None:
        got = data(reader, "?sort=title&type=movie&page=2&pageSize=2")
        assert [item["contentId"] for item in got["items"]] == [title(2), title(3)]
        assert (got["total"], got["page"], got["totalPages"]) == (5, 2, 3)

    def test_by_title_include_a_withdrawn_title_with_null_content(self, reader: User) -> None:
        assert data(reader, "?sort=title")["items"][-1]["content"] is None


class TestARandomOrder:
    def test_is_the_same_for_the_same_seed(self, long: User) -> None:
        shuffled = long.contents("?sort=random&seed=today&pageSize=100")

        assert sorted(shuffled) == MOVIE_IDS != shuffled
        assert long.contents("?sort=random&seed=tomorrow&pageSize=100") != shuffled
        assert long.contents("?sort=random&seed=today&pageSize=15&page=2") == shuffled[15:30]

    def test_without_a_seed_continues_by_cursor_and_by_link(self, long: User) -> None:
        first = long.items("?sort=random&pageSize=25")
        begun = [item["contentId"] for item in first.json()["data"]["items"]]
        by_cursor = long.contents(f"?sort=random&pageSize=25&cursor={first.json()['data']['nextCursor']}")

        assert sorted(begun + by_cursor) == MOVIE_IDS
        assert long.contents(links(first)["next"]) == by_cursor
        assert long.contents(links(first)["first"]) == begun
        assert long.contents("?sort=random&pageSize=25") != begun

    def test_with_a_filter_keeps_the_order_of_the_remaining_items(self, reader: User) -> None:
        whole = numbers(reader, "?sort=random&seed=a")
        assert numbers(reader, "?sort=random&seed=a&type=movie") == [each for each in whole if each not in {1, 4, 7}]


class TestIds:
    def test_view_returns_the_items_without_their_content(self, reader: User) -> None:
        whole = data(reader, "?sort=title")
        ids = data(reader, "?sort=title&view=ids")
        assert ids == whole | {
            "items": [{name: item[name] for name in ("contentId", "contentType", "addedAt")} for item in whole["items"]]
        }


GENRE_FORM = "must be given at most 10 times, as a genre of a movie or show"
BAD_GENRES = (
    *("genre=", "genre=no+such+genre", "genre=fruit&genre=no+such+genre", f"genre={'x' * 101}", "genre=%FF"),
    "&".join(["genre=fruit"] * 11),
)
SEARCH_FORM = "q must be given once, as 1 to 8 words of letters or digits, of at most 64 characters"
BAD_SEARCHES = ("q=", "q=%21", "q=a&q=b", "q=a+b+c+d+e+f+g+h+i", f"q={'x' * 65}", "q=%FF")
TIME_FORM = "must be given once, as a time with its zone, such as 2024-01-20T10:30:00Z or 2024-01-20T11:30:00%2B01:00"
BAD_TIMES = ("", "2024-01-20", "2024-01-20T10:30:00", "now", "0001-01-01T00:00:00%2B01:00")
SEED_FORM = (
    "seed must be given once, as 1 to 64 of the characters A-Z a-z 0-9 _ -, with sort=random, and from its page 2 on"
)
BAD_SEEDS = ("seed=a", "sort=title&seed=a", "sort=random&seed=", "sort=random&seed=%C3%A9", "sort=random&page=2")


class TestBadValues:
    @pytest.mark.parametrize(
        ("query", "says"),
        [
            ("type=book", 'type must be given once, as "movie" or "tvshow"'),
            ("type=", 'type must be given once, as "movie" or "tvshow"'),
            ("type=Movie", 'type must be given once, as "movie" or "tvshow"'),
            ("type=movie&type=movie", 'type must be given once, as "movie" or "tvshow"'),
            ("sort=rating", 'sort must be given once, as "addedAt", "title", "releaseDate" or "random"'),
            ("order=down", 'order must be given once, as "asc" or "desc"'),
            ("view=full", 'view must be given once, as "ids"'),
            *((query, f"genre {GENRE_FORM}") for query in BAD_GENRES),
            *((query.replace("genre", "notGenre"), f"notGenre {GENRE_FORM}") for query in BAD_GENRES),
            ("genre=fruit&notGenre=Fruit", f"notGenre {GENRE_FORM} that is not given as genre"),
            *((query, SEARCH_FORM) for query in BAD_SEARCHES),
            *((f"{name}={bad}", f"{name} {TIME_FORM}") for name in ("addedAfter", "addedBefore") for bad in BAD_TIMES),
            (
                "addedAfter=2024-01-20T10:30:00Z&addedBefore=2024-01-20T10:30:00Z",
                f"addedAfter {TIME_FORM}, and before addedBefore",
            ),
            ("available=no", 'available must be given once, as "true" or "false"'),
            ("available=true&available=false", 'available must be given once, as "true" or "false"'),
            ("sort=random&order=asc", 'order must be given once, as "asc" or "desc", and not with sort=random'),
            *((query, SEED_FORM) for query in BAD_SEEDS),
            (
                "cursor=&page=1",
                "cursor must be given once, as the nextCursor of an earlier answer, and without page",
            ),
            (
                "cursor=&cursor=",
                "cursor must be given once, as the nextCursor of an earlier answer, and without page",
            ),
        ],
    )
    def test_are_400_and_the_error_says_what_is_accepted(self, reader: User, query: str, says: str) -> None:
        answer = reader.items(f"?{query}")
        assert (answer.status_code, answer.json()["code"]) == (400, "INVALID_PARAMETER")
        assert answer.json()["error"] == says

    def test_of_paging_are_clamped_and_unknown_parameters_are_ignored(self, reader: User) -> None:
        got = data(reader, "?type=movie&colour=red&page=-1&pageSize=9999")
        assert (got["page"], got["pageSize"], got["total"]) == (1, 100, 5)
        assert data(reader, "?type=movie&page=99")["items"] == []


class TestCursors:
    @pytest.mark.parametrize("sort", ["addedAt", "title", "releaseDate"])
    @pytest.mark.parametrize("order", ["asc", "desc"])
    @pytest.mark.parametrize("size", [1, 3, 8, 100])
    def test_lead_through_the_whole_list_in_its_order(self, reader: User, sort: str, order: str, size: int) -> None:
        query = f"sort={sort}&order={order}"
        assert walk(reader, f"{query}&pageSize={size}") == reader.contents(f"?{query}&pageSize=100")

    @pytest.mark.parametrize("query", SELECTIONS)
    @pytest.mark.parametrize("size", [1, 3])
    def test_lead_through_the_whole_selection(self, reader: User, query: str, size: int) -> None:
        selected = reader.contents(f"?{query}&pageSize=100")
        assert len(selected) > 2
        assert walk(reader, f"{query}&pageSize={size}") == selected

    @pytest.mark.parametrize("query", SELECTIONS)
    def test_are_rejected_for_another_selection(self, reader: User, query: str) -> None:
        cursor = data(reader, f"?{query}&pageSize=1")["nextCursor"]
        for other in (each for each in SELECTIONS if each != query):
            assert reader.items(f"?{other}&cursor={cursor}").json()["code"] == "INVALID_CURSOR", other

    def test_come_without_page_numbers_and_end_with_null(self, reader: User) -> None:
        got = data(reader, "?type=movie&cursor=&pageSize=5")
        assert (got.keys(), got["nextCursor"]) == ({"items", "total", "pageSize", "nextCursor"}, None)

    def test_of_an_empty_list_end_at_once(self, user: User) -> None:
        assert data(user, "?cursor=") == {"items": [], "total": 0, "pageSize": 20, "nextCursor": None}

    def test_continue_a_page_in_another_size_and_view(self, long: User) -> None:
        page = data(long, "?sort=addedAt&pageSize=3")
        rest = data(long, f"?cursor={page['nextCursor']}&pageSize=100&view=ids")
        seen = [item["contentId"] for item in page["items"] + rest["items"]]
        assert seen == long.contents("?pageSize=100")

    @pytest.mark.parametrize("query", ["sort=addedAt", "sort=addedAt&order=asc", "sort=title", "sort=title&order=desc"])
    def test_neither_skip_nor_repeat_remaining_items_while_others_are_added_and_removed(
        self, changing_long: User, query: str
    ) -> None:
        order = changing_long.contents(f"?{query}&pageSize=100")
        staying = order[1::2]

        def changes() -> Iterator[None]:
            # Remove items before, at and after the position of the reader, and add two others.
            for step, gone in enumerate(order[::2]):
                assert changing_long.remove(gone).status_code == 200
                if step == 3:
                    assert changing_long.add(MATRIX_ID).status_code == 201
                if step == 6:
                    assert changing_long.add(SHOW_ID, "tvshow").status_code == 201
                yield

        seen = walk(changing_long, f"{query}&pageSize=3", between=changes())
        assert [each for each in seen if each in staying] == staying
        assert len(set(seen)) == len(seen)

    def test_continue_after_the_last_returned_item_was_removed(self, changing_long: User) -> None:
        order = changing_long.contents("?pageSize=100")
        cursor = data(changing_long, "?cursor=&pageSize=3")["nextCursor"]
        changing_long.remove(order[2])
        assert changing_long.contents(f"?cursor={cursor}&pageSize=3") == order[3:6]

    def test_of_another_user_or_selection_are_rejected(self, reader: User, client: httpx.Client) -> None:
        cursor = data(reader, "?sort=title&genre=fruit&pageSize=1")["nextCursor"]
        own = f"?genre=fruit&sort=title&cursor={cursor}"
        assert reader.items(own).status_code == 200
        assert User(client, "somebody-else").items(own).json()["code"] == "INVALID_CURSOR"
        for query in ("sort=title", "genre=fruit", "sort=title&genre=fruit&order=desc", "sort=title&genre=yellow"):
            assert reader.items(f"?{query}&cursor={cursor}").json()["code"] == "INVALID_CURSOR", query
        assert reader.items(f"?sort=title&genre=fruit&type=movie&cursor={cursor}").json()["code"] == "INVALID_CURSOR"

    def test_with_any_character_damaged_are_400(self, reader: User) -> None:
        cursor = data(reader, "?sort=title&pageSize=1")["nextCursor"]
        for place, good in enumerate(cursor):
            for bad in {chr(ord(good) ^ 1), "A" if good != "A" else "B", "%00", "+", "="}:
                damaged = cursor[:place] + bad + cursor[place + 1 :]
                answer = reader.items(f"?sort=title&cursor={damaged}")
                assert (answer.status_code, answer.json()["code"]) == (400, "INVALID_CURSOR"), damaged
        # Some bits of the last character have no meaning.
        for bad in set(string.ascii_letters + string.digits + "-_") - {cursor[-1]}:
            assert reader.items(f"?sort=title&cursor={cursor[:-1]}{bad}").json()["code"] == "INVALID_CURSOR", bad

    @pytest.mark.parametrize("cursor", ["x", "AAAA", "%F0%9F%8D%8E", "=" * 8, "A" * 1025, "A" * 8000, "null", "%00"])
    def test_that_the_service_never_issued_are_400(self, reader: User, cursor: str) -> None:
        answer = reader.items(f"?cursor={cursor}")
        assert (answer.status_code, answer.json()["code"]) == (400, "INVALID_CURSOR")
        assert reader.items(f"?sort=title&cursor={cursor}").json()["code"] == "INVALID_CURSOR"

    def test_cut_or_lengthened_are_400(self, reader: User) -> None:
        cursor = data(reader, "?sort=title&pageSize=1")["nextCursor"]
        for length in range(1, len(cursor)):
            assert reader.items(f"?sort=title&cursor={cursor[:length]}").json()["code"] == "INVALID_CURSOR"
        assert reader.items(f"?sort=title&cursor={cursor}A").json()["code"] == "INVALID_CURSOR"


class TestLinks:
    def follow(self, user: User, query: str, relation: str) -> list[str]:
        seen: list[str] = []
        answer = user.items(query)
        while True:
            seen += [item["contentId"] for item in answer.json()["data"]["items"]]
            if relation not in links(answer):
                return seen
            answer = user.items(links(answer)[relation])
            assert answer.status_code == 200

    @pytest.mark.parametrize(
        "query",
        [
            "pageSize=2",
            "sort=title&pageSize=3",
            "cursor=&pageSize=7",
            "view=ids&order=asc&pageSize=9",
            "sort=random&seed=a&pageSize=9",
            "sort=random&seed=a&cursor=&pageSize=9",
            "available=true&addedAfter=2024-01-01T03:00:00Z&cursor=&pageSize=9",
        ],
    )
    def test_to_the_next_page_lead_through_the_whole_list(self, long: User, query: str) -> None:
        whole = re.sub(r"pageSize=\d", "pageSize=100", query)
        assert self.follow(long, f"?{query}", "next") == long.contents(f"?{whole}")

    @pytest.mark.parametrize("query", SELECTIONS)
    @pytest.mark.parametrize("paging", ["", "&cursor="])
    def test_to_the_next_page_lead_through_the_whole_selection(self, reader: User, query: str, paging: str) -> None:
        assert self.follow(reader, f"?{query}{paging}&pageSize=2", "next") == reader.contents(f"?{query}")

    def test_name_only_existing_pages(self, long: User) -> None:
        def pages(query: str) -> dict[str, str]:
            urls = links(long.items(query))
            return {name: parse_qs(urlsplit(url).query)["page"][0] for name, url in urls.items()}

        assert pages("?pageSize=15&page=2") == {"first": "1", "prev": "1", "next": "3", "last": "3"}
        assert pages("?pageSize=15&page=9") == {"first": "1", "prev": "3", "last": "3"}
        assert pages("?order=desc&pageSize=15") == {"first": "1", "next": "2", "last": "3"}
        assert pages("?order=desc&pageSize=15&page=2") == {"first": "1", "prev": "1", "next": "3", "last": "3"}
        assert pages("?order=desc&pageSize=15&page=3") == {"first": "1", "prev": "2", "last": "3"}
        assert pages("?order=desc&pageSize=15&page=9") == {"first": "1", "prev": "3", "last": "3"}

    def test_of_an_empty_list_lead_to_its_only_page(self, user: User) -> None:
        assert user.items("?view=ids").headers["link"] == ", ".join(
            f'<?sort=addedAt&order=desc&view=ids&page=1&pageSize=20>; rel="{each}"' for each in ("first", "last")
        )

    def test_of_a_cursor_page_are_only_first_and_next(self, long: User) -> None:
        answer = long.items("?cursor=&pageSize=30")
        cursor = answer.json()["data"]["nextCursor"]
        same = "?sort=addedAt&order=desc&cursor="
        assert links(answer) == {"first": f"{same}&pageSize=30", "next": f"{same}{cursor}&pageSize=30"}

    @pytest.mark.parametrize("query", ["", "view=ids&", "cursor=&", "type=movie&"])
    @pytest.mark.parametrize(("asked", "applied"), [("500", "100"), ("0", "20"), ("x", "20"), ("-1", "1"), ("7", "7")])
    def test_use_the_applied_page_size_and_a_header_shows_it(
        self, long: User, query: str, asked: str, applied: str
    ) -> None:
        answer = long.items(f"?{query}pageSize={asked}")
        assert answer.headers["x-page-size"] == applied
        assert all(f"pageSize={applied}" in url for url in links(answer).values())

    @pytest.mark.parametrize("query", ["?pageSize=2", "?pageSize=2&sort=title", "?pageSize=2&cursor="])
    def test_resolve_under_any_path_prefix(self, long: User, query: str) -> None:
        answer = long.items(query)
        assert urljoin(f"https://tv.example/v2/lists/items{query}", links(answer)["next"]).startswith(
            "https://tv.example/v2/lists/items?"
        )

    @pytest.mark.parametrize("query", ["?pageSize=2", "?pageSize=2&view=ids"])
    def test_are_repeated_in_a_304(self, long: User, query: str) -> None:
        known = long.items(query)
        again = long.items(query, **{"if-none-match": known.headers["etag"]})
        assert (again.status_code, again.headers["link"]) == (304, known.headers["link"])

    def test_do_not_repeat_unknown_parameters(self, long: User) -> None:
        answer = long.items("?sort=title&x=%0d%0aset-cookie:%20a=b&pageSize=+3&page=2%0d%0a")
        assert "cookie" not in answer.headers["link"]
        assert answer.headers["link"].isascii()

    def test_are_exposed_to_pages_of_other_origins(self, long: User) -> None:
        for query in ("", "?order=asc"):
            exposed = long.items(query, origin="https://tv.example").headers["access-control-expose-headers"]
            assert {"Link", "X-Page-Size"} <= set(exposed.split(", "))

    @pytest.mark.parametrize("query", ["", "?page=2&pageSize=3", "?colour=red", "?page=&pageSize="])
    def test_leave_the_documented_body_as_it_is(self, long: User, query: str) -> None:
        answer = long.items(query)
        assert set(links(answer)) >= {"first", "last"}
        assert list(answer.json()["data"]) == ["items", "total", "page", "pageSize", "totalPages"]


class TestSelectedRead:
    @pytest.mark.parametrize(
        "query", ["?type=movie&sort=title", "?view=ids", "?cursor=&pageSize=3", *(f"?{each}" for each in SELECTIONS)]
    )
    def test_supports_head_and_if_none_match(self, reader: User, query: str) -> None:
        answer = reader.items(query)
        head = reader.client.head(ROUTE + query, headers=reader.headers)
        unchanged = reader.items(query, **{"if-none-match": answer.headers["etag"]})

        assert (head.status_code, head.content) == (200, b"")
        for name in ("etag", "link", "content-length", "content-type", "cache-control"):
            assert head.headers[name] == answer.headers[name]
        assert (unchanged.status_code, unchanged.content) == (304, b"")
        assert unchanged.headers["etag"] == answer.headers["etag"]

    @pytest.mark.parametrize(
        "query",
        [
            "?type=movie&sort=title",
            "?view=ids",
            "?cursor=&pageSize=3",
            "?genre=fruit&genre=scifi",
            "?notGenre=fruit",
            "?q=THE+matr&view=ids",
            "?addedAfter=2024-01-01T05:00:00Z",
            "?available=true",
            "?sort=random&seed=a",
        ],
    )
    def test_is_cached_and_shows_every_change(self, changing_reader: User, query: str) -> None:
        first, second = changing_reader.items(query), changing_reader.items(query)
        assert (first.headers["x-cache"], second.headers["x-cache"]) == ("miss", "hit")
        assert first.content == second.content
        changing_reader.add(MATRIX_ID)
        assert data(changing_reader, query)["total"] == first.json()["data"]["total"] + 1
        changing_reader.remove(MATRIX_ID)
        assert changing_reader.items(query).content == first.content

    def test_soon_moves_an_edited_title_to_its_new_position(
        self, serve: Serve, database: Documents, user_id: str
    ) -> None:
        ids = [ObjectId() for _ in range(2)]
        database["movies"].insert_many({"_id": each, "title": f"{number}"} for number, each in enumerate(ids))
        with connect(serve(CATALOGUE_TTL="1")) as client:
            user = User(client, user_id)
            for each in ids:
                user.add(str(each))
            assert user.contents("?sort=title") == [str(each) for each in ids]
            database["movies"].update_one({"_id": ids[0]}, {"$set": {"title": "9"}})
            anew = [str(each) for each in reversed(ids)]
            wait_until(lambda: user.contents("?sort=title") == anew, within=PATIENCE)

    def test_is_complete_and_sorted_for_more_titles_than_the_process_caches(
        self, serve: Serve, database: Documents, user_id: str
    ) -> None:
        ids = [ObjectId() for _ in range(150)]
        database["movies"].insert_many(
            {"_id": each, "title": f"{number * 7919 % 150:04}"} for number, each in enumerate(ids)
        )
        database["mylist"].insert_many(
            {"userId": user_id, "contentId": str(each), "contentType": "movie", "addedAt": BEGAN} for each in ids
        )
        expected = [str(ids[number]) for number in sorted(range(150), key=lambda number: number * 7919 % 150)]
        with connect(serve(CATALOGUE_SIZE="100", MAX_PAGE_SIZE="120")) as client:
            assert walk(User(client, user_id), "sort=title&pageSize=120") == expected
            assert walk(User(client, user_id), "sort=title&pageSize=120&view=ids") == expected

    def test_without_a_user_is_400(self, client: httpx.Client) -> None:
        assert client.get(f"{ROUTE}?view=ids").json()["code"] == "USER_ID_REQUIRED"
