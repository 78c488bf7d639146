"""The documented routes, when everything goes well."""

import re
from datetime import UTC, datetime, timedelta

import httpx
import pytest
from bson import ObjectId
from pymongo.database import Database

from devtools.waiting import wait_until
from tests.conftest import Serve
from tests.contract.conftest import PATIENCE, User, connect
from tests.contract.titles import MATRIX, MATRIX_ID, MOVIE_IDS, SHOW, SHOW_ID, UNKNOWN_ID

DATE = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")

Documents = Database[dict[str, object]]


class TestAdd:
    def test_answers_201_with_the_new_item(self, user: User) -> None:
        answer = user.add(MATRIX_ID)

        assert answer.status_code == 201
        body = answer.json()
        assert list(body) == ["success", "message", "data"]
        assert body["success"] is True
        assert body["message"] == "Item added to your list"
        assert list(body["data"]) == ["userId", "contentId", "contentType", "addedAt"]
        assert body["data"] | {"addedAt": ""} == {
            "userId": user.id,
            "contentId": MATRIX_ID,
            "contentType": "movie",
            "addedAt": "",
        }

    def test_records_the_current_time(self, user: User) -> None:
        before = datetime.now(UTC)
        added_at = user.add(MATRIX_ID).json()["data"]["addedAt"]
        after = datetime.now(UTC)

        assert DATE.fullmatch(added_at)
        assert before - timedelta(milliseconds=1) <= datetime.fromisoformat(added_at) <= after

    def test_accepts_a_show(self, user: User) -> None:
        assert user.add(SHOW_ID, "tvshow").json()["data"]["contentType"] == "tvshow"

    def test_writes_one_document_of_the_documented_form(self, user: User, database: Documents) -> None:
        added_at = user.add(MATRIX_ID).json()["data"]["addedAt"]

        [document] = database["mylist"].find({"userId": user.id})
        assert isinstance(document.pop("_id"), ObjectId)
        assert document == {
            "userId": user.id,
            "contentId": MATRIX_ID,
            "contentType": "movie",
            "addedAt": datetime.fromisoformat(added_at),
        }

    @pytest.mark.parametrize(
        ("field", "error"),
        [
            ("addedAt", "addedAt: unknown field, known: contentId, contentType"),
            ("userId", "userId: unknown field, known: contentId, contentType"),
            ("ContentType", "ContentType: unknown field, did you mean contentType?"),
            ("content_id", "content_id: unknown field, did you mean contentId?"),
        ],
    )
    def test_with_an_unknown_field_is_400_and_suggests_known_fields(self, user: User, field: str, error: str) -> None:
        body = {"contentId": MATRIX_ID, "contentType": "movie", field: "someone-else"}
        answer = user.client.post("/api/mylist/add", json=body, headers=user.headers)

        assert (answer.status_code, answer.json()["code"]) == (400, "INVALID_FIELD")
        assert answer.json()["error"] == error
        assert user.contents() == []

    @pytest.mark.parametrize(
        "content_type", ["application/json; charset=utf-8", "APPLICATION/JSON", "application/json ;"]
    )
    def test_accepts_json_under_any_spelling_of_its_content_type(self, user: User, content_type: str) -> None:
        answer = user.client.post(
            "/api/mylist/add",
            content=f'{{"contentId": "{MATRIX_ID}", "contentType": "movie"}}',
            headers=user.headers | {"Content-Type": content_type},
        )
        assert answer.status_code == 201


class TestRemove:
    def test_answers_200_with_the_message(self, user: User) -> None:
        user.add(MATRIX_ID)
        answer = user.remove(MATRIX_ID)

        assert answer.status_code == 200
        assert answer.text == '{"success":true,"message":"Item removed from your list"}'

    def test_takes_only_the_named_item_off_the_list(self, user: User) -> None:
        for content_id in MOVIE_IDS[:3]:
            user.add(content_id)
        user.remove(MOVIE_IDS[1])

        assert set(user.contents()) == {MOVIE_IDS[0], MOVIE_IDS[2]}

    def test_leaves_other_users_alone(self, user: User, client: httpx.Client) -> None:
        other = User(client, user.id + "-other")
        for each in (user, other):
            each.add(MATRIX_ID)
        user.remove(MATRIX_ID)

        assert user.contents() == []
        assert other.contents() == [MATRIX_ID]

    def test_a_removed_item_can_be_added_again(self, user: User) -> None:
        user.add(MATRIX_ID)
        user.remove(MATRIX_ID)
        assert user.add(MATRIX_ID).status_code == 201
        assert user.contents() == [MATRIX_ID]


class TestItems:
    def test_each_have_the_documented_fields_and_their_movie_or_show(self, user: User) -> None:
        added_movie = user.add(MATRIX_ID).json()["data"]
        added_show = user.add(SHOW_ID, "tvshow").json()["data"]
        answer = user.items()

        assert answer.status_code == 200
        body = answer.json()
        assert list(body) == ["success", "data"]
        assert body["success"] is True
        assert list(body["data"]) == ["items", "total", "page", "pageSize", "totalPages"]
        by_type = {item["contentType"]: item for item in body["data"]["items"]}
        assert by_type == {"movie": added_movie | {"content": MATRIX}, "tvshow": added_show | {"content": SHOW}}
        for item in by_type.values():
            assert list(item) == ["userId", "contentId", "contentType", "addedAt", "content"]
        assert list(by_type["movie"]["content"]) == list(MATRIX)
        assert list(by_type["tvshow"]["content"]) == list(SHOW)

    def test_hide_the_fields_of_the_driver_at_any_depth(self, user: User) -> None:
        user.add(MATRIX_ID)
        user.add(SHOW_ID, "tvshow")

        for hidden in ("_id", "__v", "createdAt", "updatedAt"):
            assert f'"{hidden}"' not in user.items().text

    def test_omit_the_fields_that_a_title_lacks(self, user: User) -> None:
        user.add(MOVIE_IDS[7])
        [item] = user.items().json()["data"]["items"]
        assert item["content"] == {"id": MOVIE_IDS[7], "title": "Movie 7"}

    def test_have_null_content_for_an_unknown_title(self, user: User, database: Documents) -> None:
        database["mylist"].insert_one(
            {"userId": user.id, "contentId": UNKNOWN_ID, "contentType": "movie", "addedAt": datetime.now(UTC)}
        )
        [item] = user.items().json()["data"]["items"]
        assert item["contentId"] == UNKNOWN_ID
        assert item["content"] is None

    def test_soon_have_null_content_for_a_withdrawn_title(
        self, serve: Serve, user_id: str, database: Documents
    ) -> None:
        withdrawn = ObjectId()
        database["movies"].insert_one({"_id": withdrawn, "title": "Here today"})
        with connect(serve(CATALOGUE_TTL="1")) as client:
            user = User(client, user_id)
            user.add(str(withdrawn))
            [item] = user.items().json()["data"]["items"]
            assert item["content"]["title"] == "Here today"

            database["movies"].delete_one({"_id": withdrawn})
            wait_until(lambda: user.items().json()["data"]["items"][0]["content"] is None, within=PATIENCE)
            assert user.stats().json()["data"]["total"] == 1

    def test_of_an_empty_list_are_returned_as_an_empty_first_page(self, user: User) -> None:
        answer = user.items()
        assert answer.status_code == 200
        assert answer.text == ('{"success":true,"data":{"items":[],"total":0,"page":1,"pageSize":20,"totalPages":0}}')

    def test_are_served_for_a_user_without_a_document(self, user: User, database: Documents) -> None:
        assert user.add(MATRIX_ID).status_code == 201
        assert database["users"].count_documents({}) == 0
        assert user.contents() == [MATRIX_ID]


class TestOrder:
    def test_is_newest_first(self, user: User) -> None:
        added = [user.add(content_id).json()["data"] for content_id in MOVIE_IDS[:10]]
        # Two may have been added within one millisecond.
        by_id = sorted(added, key=lambda item: str(item["contentId"]))
        newest_first = sorted(by_id, key=lambda item: str(item["addedAt"]), reverse=True)
        assert user.contents() == [item["contentId"] for item in newest_first]

    def test_of_items_with_equal_dates_is_by_id(self, user: User, database: Documents) -> None:
        moment = datetime(2024, 1, 20, 10, 30, tzinfo=UTC)
        insert(database, user, dict.fromkeys(reversed(MOVIE_IDS[:10]), moment))
        assert user.contents() == MOVIE_IDS[:10]

    def test_is_the_same_across_pages(self, user: User, database: Documents) -> None:
        moment = datetime(2024, 1, 20, 10, 30, tzinfo=UTC)
        # Five moments, five items each: every page border falls between equal dates.
        insert(
            database,
            user,
            {content_id: moment - timedelta(hours=place % 5) for place, content_id in enumerate(MOVIE_IDS[:25])},
        )
        whole = user.contents("?pageSize=100")
        paged = [content_id for page in range(1, 10) for content_id in user.contents(f"?pageSize=3&page={page}")]

        assert paged == whole
        assert whole == sorted(MOVIE_IDS[:25], key=lambda content_id: (MOVIE_IDS.index(content_id) % 5, content_id))


class TestPaging:
    @pytest.fixture(scope="class")
    @staticmethod
    def reader(client: httpx.Client, database: Documents) -> User:
        """A user with 25 items."""
        user = User(client, "paging-reader")
        moment = datetime(2024, 1, 20, tzinfo=UTC)
        insert(
            database,
            user,
            {content_id: moment - timedelta(days=place) for place, content_id in enumerate(MOVIE_IDS[:25])},
        )
        return user

    @pytest.mark.parametrize(
        ("query", "page", "page_size"),
        [
            ("", 1, 20),
            ("?page=2", 2, 20),
            ("?page=2&pageSize=10", 2, 10),
            ("?pageSize=7&page=4", 4, 7),
            ("?page=0", 1, 20),
            ("?page=-3", 1, 20),
            ("?page=", 1, 20),
            ("?page=abc", 1, 20),
            ("?page=2abc", 2, 20),
            ("?page=1.9", 1, 20),
            ("?page=%202", 2, 20),
            ("?page=%2B2", 2, 20),
            ("?page=NaN", 1, 20),
            ("?page=%D9%A2", 1, 20),
            ("?page=%FF", 1, 20),
            ("?page=2&page=1", 2, 20),
            ("?page[]=2", 1, 20),
            ("?Page=2", 1, 20),
            ("?pageSize=0", 1, 20),
            ("?pageSize=", 1, 20),
            ("?pageSize=abc", 1, 20),
            ("?pageSize=-5", 1, 1),
            ("?pageSize=1", 1, 1),
            ("?pageSize=100", 1, 100),
            ("?pageSize=101", 1, 100),
            ("?pageSize=99999999999999999999", 1, 100),
            ("?pagesize=5", 1, 20),
            ("?unknown=1&page=2&pageSize=5", 2, 5),
        ],
    )
    def test_tolerates_bad_values_and_returns_the_applied_page_and_size(
        self, reader: User, query: str, page: int, page_size: int
    ) -> None:
        answer = reader.items(query)

        assert answer.status_code == 200
        data = answer.json()["data"]
        assert (data["page"], data["pageSize"]) == (page, page_size)
        assert (data["total"], data["totalPages"]) == (25, -(-25 // page_size))
        expected = MOVIE_IDS[:25][(page - 1) * page_size : page * page_size]
        assert [item["contentId"] for item in data["items"]] == expected

    @pytest.mark.parametrize(
        ("query", "page"), [("?page=3", 3), ("?page=1000000", 1000000), ("?page=123456789012345", 123456789012345)]
    )
    def test_past_the_end_is_an_empty_page(self, reader: User, query: str, page: int) -> None:
        answer = reader.items(query)

        assert answer.status_code == 200
        assert answer.json()["data"] == {"items": [], "total": 25, "page": page, "pageSize": 20, "totalPages": 2}

    def test_uses_the_page_sizes_of_the_settings(self, serve: Serve, reader: User) -> None:
        with connect(serve(DEFAULT_PAGE_SIZE="5", MAX_PAGE_SIZE="10")) as client:
            other = User(client, reader.id)
            assert len(other.contents()) == 5
            assert len(other.contents("?pageSize=0")) == 5
            assert len(other.contents("?pageSize=100")) == 10
            assert other.items("?pageSize=100").json()["data"]["totalPages"] == 3


class TestStats:
    def test_count_by_type(self, user: User) -> None:
        for content_id in MOVIE_IDS[:3]:
            user.add(content_id)
        user.add(SHOW_ID, "tvshow")
        answer = user.stats()

        assert answer.status_code == 200
        assert answer.text == '{"success":true,"data":{"total":4,"byType":{"movie":3,"tvshow":1}}}'

    def test_of_an_empty_list_are_zeros(self, user: User) -> None:
        assert user.stats().text == '{"success":true,"data":{"total":0,"byType":{"movie":0,"tvshow":0}}}'

    def test_follow_every_change(self, user: User) -> None:
        user.add(MATRIX_ID)
        assert user.stats().json()["data"] == {"total": 1, "byType": {"movie": 1, "tvshow": 0}}
        user.add(SHOW_ID, "tvshow")
        assert user.stats().json()["data"] == {"total": 2, "byType": {"movie": 1, "tvshow": 1}}
        user.remove(MATRIX_ID)
        assert user.stats().json()["data"] == {"total": 1, "byType": {"movie": 0, "tvshow": 1}}


class TestContentIds:
    def test_in_upper_case_name_the_same_item(self, user: User) -> None:
        added = user.add(MATRIX_ID.upper())
        assert added.status_code == 201
        assert added.json()["data"]["contentId"] == MATRIX_ID

        assert user.add(MATRIX_ID).status_code == 409
        assert user.contents() == [MATRIX_ID]
        assert user.remove(MATRIX_ID.upper()).status_code == 200
        assert user.contents() == []


class TestHealth:
    def test_answers_as_documented(self, client: httpx.Client) -> None:
        before = datetime.now(UTC)
        answer = client.get("/health")
        after = datetime.now(UTC)

        assert answer.status_code == 200
        body = answer.json()
        assert list(body) == ["status", "timestamp"]
        assert body["status"] == "ok"
        assert DATE.fullmatch(body["timestamp"])
        assert before - timedelta(milliseconds=1) <= datetime.fromisoformat(body["timestamp"]) <= after

    def test_probes_answer_too(self, client: httpx.Client) -> None:
        assert client.get("/livez").text == '{"status":"ok"}'
        assert client.get("/readyz").text == '{"status":"ready","mongodb":"available"}'


def insert(database: Documents, user: User, added_at: dict[str, datetime]) -> None:
    """Put movies on a list that has not been read yet."""
    database["mylist"].insert_many(
        {"userId": user.id, "contentId": content_id, "contentType": "movie", "addedAt": moment}
        for content_id, moment in added_at.items()
    )
