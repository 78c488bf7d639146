"""The requests that ask for or set the state of items, and are safe to repeat: contains, put, discard, batch."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
from pymongo.database import Database

from mylist.domain.limits import MAX_IDS_PER_REQUEST
from tests.conftest import Serve
from tests.contract.conftest import User, connect
from tests.contract.titles import MATRIX_ID, MOVIE_IDS, SHOW_ID, UNKNOWN_ID

Documents = Database[dict[str, object]]


def contains(user: User, content_ids: Any) -> httpx.Response:
    return user.client.post("/api/mylist/contains", json={"contentIds": content_ids}, headers=user.headers)


def put(user: User, content_id: str, content_type: Any = "movie") -> httpx.Response:
    return user.client.put(f"/api/mylist/items/{content_id}", json={"contentType": content_type}, headers=user.headers)


def discard(user: User, content_id: str) -> httpx.Response:
    return user.client.delete(f"/api/mylist/items/{content_id}", headers=user.headers)


class TestContains:
    def test_answers_in_the_order_of_the_request(self, user: User) -> None:
        user.add(MATRIX_ID)
        user.add(SHOW_ID, "tvshow")
        answer = contains(user, [UNKNOWN_ID, SHOW_ID, MATRIX_ID, UNKNOWN_ID, SHOW_ID])

        assert answer.status_code == 200
        assert answer.json() == {"success": True, "data": {"contains": [False, True, True, False, True]}}

    def test_is_answered_from_the_cache_and_shows_every_change(self, user: User) -> None:
        seen = [contains(user, [MATRIX_ID])]
        seen.append(contains(user, [MATRIX_ID]))
        user.add(MATRIX_ID)
        seen.append(contains(user, [MATRIX_ID]))
        user.remove(MATRIX_ID)
        seen.append(contains(user, [MATRIX_ID]))

        assert [each.json()["data"]["contains"] for each in seen] == [[False], [False], [True], [False]]
        assert [each.headers["x-cache"] for each in seen] == ["miss", "hit", "miss", "miss"]

    def test_of_a_repeated_body_still_checks_its_media_type(self, user: User) -> None:
        user.add(MATRIX_ID)
        bodies = [f'{{"contentIds":["{each}"]}}' for each in (MATRIX_ID, UNKNOWN_ID, MATRIX_ID, UNKNOWN_ID)]
        json, text = ({**user.headers, "content-type": each} for each in ("application/json", "text/plain"))
        answers = [user.client.post("/api/mylist/contains", content=each, headers=json) for each in bodies]

        assert [each.json()["data"]["contains"] for each in answers] == [[True], [False], [True], [False]]
        refused = user.client.post("/api/mylist/contains", content=bodies[0], headers=text)
        assert refused.json()["code"] == "INVALID_JSON"

    def test_finds_an_id_in_upper_case(self, user: User) -> None:
        user.add(MATRIX_ID)
        assert contains(user, [MATRIX_ID.upper()]).json()["data"]["contains"] == [True]

    def test_of_a_malformed_id_is_false(self, user: User) -> None:
        user.add(MATRIX_ID)
        assert contains(user, ["", "matrix", MATRIX_ID[:-1]]).json()["data"]["contains"] == [False] * 3

    def test_of_no_ids_is_an_empty_list(self, user: User) -> None:
        assert contains(user, []).json()["data"]["contains"] == []

    def test_of_the_maximum_number_of_ids_succeeds_and_of_one_more_is_413(self, user: User) -> None:
        assert len(contains(user, [UNKNOWN_ID] * MAX_IDS_PER_REQUEST).json()["data"]["contains"]) == MAX_IDS_PER_REQUEST
        answer = contains(user, [UNKNOWN_ID] * (MAX_IDS_PER_REQUEST + 1))

        assert (answer.status_code, answer.json()["code"]) == (413, "TOO_MANY_IDS")
        assert answer.json()["error"] == "One request may name at most 100 content ids"

    @pytest.mark.parametrize(
        ("body", "code"),
        [
            ({}, "INVALID_FIELD"),
            ({"contentIds": None}, "INVALID_FIELD"),
            ({"contentIds": MATRIX_ID}, "INVALID_FIELD"),
            ({"contentIds": [1]}, "INVALID_FIELD"),
            ([MATRIX_ID], "INVALID_JSON"),
        ],
    )
    def test_with_a_malformed_body_is_400(self, user: User, body: Any, code: str) -> None:
        answer = user.client.post("/api/mylist/contains", json=body, headers=user.headers)

        assert (answer.status_code, answer.json()["code"]) == (400, code)
        if code == "INVALID_FIELD":
            assert answer.json()["error"] == "contentIds must be an array of strings"

    def test_without_a_user_is_400(self, client: httpx.Client) -> None:
        answer = client.post("/api/mylist/contains", json={"contentIds": []})
        assert answer.json()["code"] == "USER_ID_REQUIRED"


class TestPut:
    def test_is_201_once_and_then_200_with_the_same_body(self, user: User) -> None:
        first, second = put(user, MATRIX_ID), put(user, MATRIX_ID)

        assert (first.status_code, second.status_code) == (201, 200)
        assert first.content == second.content
        assert first.json()["message"] == "Item is in your list"
        assert first.json()["data"] | {"addedAt": ""} == {
            "userId": user.id,
            "contentId": MATRIX_ID,
            "contentType": "movie",
            "addedAt": "",
        }
        assert user.contents() == [MATRIX_ID]

    def test_of_an_item_on_the_list_returns_that_item(self, user: User) -> None:
        added = user.add(MATRIX_ID).json()["data"]
        assert put(user, MATRIX_ID.upper()).json()["data"] == added

    def test_from_several_devices_at_once_adds_one_item(self, user: User) -> None:
        with ThreadPoolExecutor(8) as devices:
            answers = list(devices.map(lambda _: put(user, MATRIX_ID), range(8)))

        assert sorted(each.status_code for each in answers) == [200] * 7 + [201]
        assert len({each.content for each in answers}) == 1

    def test_of_an_unknown_title_is_404(self, user: User) -> None:
        for content_id, content_type in ((UNKNOWN_ID, "movie"), ("matrix", "movie"), (MATRIX_ID, "tvshow")):
            answer = put(user, content_id, content_type)
            assert (answer.status_code, answer.json()["code"]) == (404, "CONTENT_NOT_FOUND")

    def test_of_an_item_listed_as_the_other_type_is_409(self, user: User, database: Documents) -> None:
        database["mylist"].insert_one(
            {"userId": user.id, "contentId": MATRIX_ID, "contentType": "tvshow", "addedAt": datetime.now(UTC)}
        )
        assert put(user, MATRIX_ID).json()["code"] == "ITEM_ALREADY_IN_LIST"

    @pytest.mark.parametrize(
        ("body", "code"),
        [
            ({}, "CONTENT_TYPE_REQUIRED"),
            ({"contentType": ""}, "CONTENT_TYPE_REQUIRED"),
            ({"contentType": "book"}, "INVALID_CONTENT_TYPE"),
            ({"contentType": 1}, "INVALID_FIELD"),
            ([], "INVALID_JSON"),
        ],
    )
    def test_with_a_malformed_body_is_400(self, user: User, body: Any, code: str) -> None:
        answer = user.client.put(f"/api/mylist/items/{MATRIX_ID}", json=body, headers=user.headers)
        assert (answer.status_code, answer.json()["code"]) == (400, code)

    def test_without_a_body_is_400(self, user: User) -> None:
        answer = user.client.put(f"/api/mylist/items/{MATRIX_ID}", headers=user.headers)
        assert answer.json()["code"] == "CONTENT_TYPE_REQUIRED"


class TestDiscard:
    def test_is_204_whether_or_not_the_item_is_on_the_list(self, user: User) -> None:
        user.add(MATRIX_ID)
        user.add(MOVIE_IDS[0])
        answers = [discard(user, MATRIX_ID), discard(user, MATRIX_ID), discard(user, "matrix")]

        assert [each.status_code for each in answers] == [204] * 3
        assert [each.content for each in answers] == [b""] * 3
        assert user.contents() == [MOVIE_IDS[0]]

    def test_url_allows_only_delete_put_and_options(self, user: User) -> None:
        answer = user.client.get(f"/api/mylist/items/{MATRIX_ID}", headers=user.headers)
        assert answer.status_code == 405
        assert answer.headers["allow"] == "DELETE, OPTIONS, PUT"

    def test_preflight_of_an_item_url_allows_delete_put_and_options(self, user: User) -> None:
        answer = user.client.options(
            f"/api/mylist/items/{MATRIX_ID}",
            headers={"origin": "https://tv.example", "access-control-request-method": "PUT"},
        )
        assert answer.headers["access-control-allow-methods"] == "DELETE, OPTIONS, PUT"


def change(user: User, **body: Any) -> httpx.Response:
    return user.client.post("/api/mylist/batch", json=body, headers=user.headers)


def movie(content_id: str) -> dict[str, str]:
    return {"contentId": content_id, "contentType": "movie"}


class TestBatch:
    def test_returns_the_outcome_of_each_id(self, user: User) -> None:
        user.add(MATRIX_ID)
        user.add(SHOW_ID, "tvshow")
        answer = change(
            user,
            add=[movie(MOVIE_IDS[0]), movie(MATRIX_ID), movie(UNKNOWN_ID), movie("matrix")],
            remove=[SHOW_ID, MOVIE_IDS[1], "show"],
        )

        assert answer.status_code == 200
        assert answer.json() == {
            "success": True,
            "data": {
                "add": [
                    {"contentId": MOVIE_IDS[0], "outcome": "added"},
                    {"contentId": MATRIX_ID, "outcome": "existing"},
                    {"contentId": UNKNOWN_ID, "outcome": "not_found"},
                    {"contentId": "matrix", "outcome": "not_found"},
                ],
                "remove": [
                    {"contentId": SHOW_ID, "outcome": "removed"},
                    {"contentId": MOVIE_IDS[1], "outcome": "missing"},
                    {"contentId": "show", "outcome": "missing"},
                ],
            },
        }
        assert user.contents() == [MOVIE_IDS[0], MATRIX_ID]

    def test_that_is_repeated_returns_existing_and_missing(self, user: User) -> None:
        user.add(SHOW_ID, "tvshow")
        wanted = {"add": [movie(MATRIX_ID)], "remove": [SHOW_ID]}
        outcomes = [change(user, **wanted).json()["data"] for _ in range(2)]

        assert [each["add"][0]["outcome"] for each in outcomes] == ["added", "existing"]
        assert [each["remove"][0]["outcome"] for each in outcomes] == ["removed", "missing"]

    def test_applies_a_repeated_id_once(self, user: User) -> None:
        user.add(SHOW_ID, "tvshow")
        data = change(user, add=[movie(MATRIX_ID), movie(MATRIX_ID.upper())], remove=[SHOW_ID, SHOW_ID]).json()["data"]

        assert [each["outcome"] for each in data["add"]] == ["added", "existing"]
        assert [each["outcome"] for each in data["remove"]] == ["removed", "missing"]
        assert user.contents() == [MATRIX_ID]

    def test_removes_before_it_adds(self, user: User) -> None:
        before = user.add(MATRIX_ID).json()["data"]["addedAt"]
        data = change(user, add=[movie(MATRIX_ID)], remove=[MATRIX_ID]).json()["data"]

        assert [each["outcome"] for each in (*data["add"], *data["remove"])] == ["added", "removed"]
        assert put(user, MATRIX_ID).json()["data"]["addedAt"] > before

    def test_without_ids_returns_no_outcomes(self, user: User) -> None:
        assert change(user).json()["data"] == {"add": [], "remove": []}

    def test_limits_the_number_of_additions_and_removals_together(self, user: User) -> None:
        ids = [f"{number:024x}" for number in range(MAX_IDS_PER_REQUEST + 1)]
        assert change(user, add=[movie(each) for each in ids[:50]], remove=ids[50:-1]).status_code == 200
        answer = change(user, add=[movie(each) for each in ids[:50]], remove=ids[50:])
        assert (answer.status_code, answer.json()["code"]) == (413, "TOO_MANY_IDS")

    @pytest.mark.parametrize(
        ("body", "code", "message"),
        [
            ({"add": [MATRIX_ID]}, "INVALID_FIELD", "add must be an array of objects"),
            ({"add": [movie(MATRIX_ID) | {"contentId": 1}]}, "INVALID_FIELD", "add must be an array of objects"),
            ({"add": None}, "INVALID_FIELD", "add must be an array of objects"),
            ({"remove": [1]}, "INVALID_FIELD", "remove must be an array of strings"),
            ({"add": [{"contentId": MATRIX_ID}]}, "CONTENT_FIELDS_REQUIRED", "required"),
            ({"add": [movie(MATRIX_ID) | {"contentType": "book"}]}, "INVALID_CONTENT_TYPE", "movie"),
        ],
    )
    def test_with_a_malformed_body_is_400_and_changes_nothing(
        self, user: User, body: Any, code: str, message: str
    ) -> None:
        answer = change(user, **body)

        assert (answer.status_code, answer.json()["code"]) == (400, code)
        assert message in answer.json()["error"]
        assert user.contents() == []

    def test_is_refused_if_the_list_would_exceed_its_maximum_size(
        self,
        serve: Serve,
        titles: None,  # noqa: ARG002 - inserted before the first call
        user_id: str,
    ) -> None:
        with connect(serve(MAX_LIST_SIZE="2")) as client:
            user = User(client, user_id)
            change(user, add=[movie(MATRIX_ID), movie(MOVIE_IDS[0])])
            full = change(user, add=[movie(MOVIE_IDS[1])])
            seen = [user.contents()]
            exchanged = change(user, add=[movie(MOVIE_IDS[1])], remove=[MATRIX_ID])
            far_too_many = change(user, add=[movie(each) for each in MOVIE_IDS[:4]])

            assert (full.status_code, full.json()["code"]) == (422, "LIST_FULL")
            assert sorted(seen[0]) == sorted([MATRIX_ID, MOVIE_IDS[0]])
            assert exchanged.status_code == 200
            assert far_too_many.json()["code"] == "LIST_FULL"
            assert sorted(user.contents()) == sorted(MOVIE_IDS[:2])
