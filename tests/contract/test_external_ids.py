"""External ids: every route that accepts a content id accepts them, and says what is wrong with an invalid one."""

import json
from typing import Any

import httpx
import pytest
from bson import ObjectId
from pymongo.database import Database

from tests.contract.conftest import User
from tests.contract.titles import MATRIX_ID, MOVIE_IDS, SHOW_ID, UNKNOWN_ID

MATRIX = "imdb:tt0133093"
BOTH = "tmdb:603"
TWICE = "imdb:tt1"
UNKNOWN = "imdb:tt404"
IDS = {
    MATRIX_ID: {"imdb": "tt0133093", "tmdb": "603", "eidr": "1"},
    MOVIE_IDS[0]: {"imdb": "tt1"},
    MOVIE_IDS[1]: {"imdb": "tt1"},
    MOVIE_IDS[2]: {"tvdb": "a/b%c"},
    MOVIE_IDS[3]: {"tmdb": 42},
}


@pytest.fixture(autouse=True, scope="module")
def external_ids(titles: None, database: Database[dict[str, object]]) -> None:  # noqa: ARG001 - there before
    for content_id, ids in IDS.items():
        database["movies"].update_one({"_id": ObjectId(content_id)}, {"$set": {"externalIds": ids}})
    database["tvshows"].update_one({"_id": ObjectId(SHOW_ID)}, {"$set": {"externalIds": {"tmdb": "603"}}})


def put(user: User, content_id: str, content_type: str = "movie") -> httpx.Response:
    path = f"/api/mylist/items/{content_id}"
    return user.client.put(path, json={"contentType": content_type}, headers=user.headers)


def discard(user: User, content_id: str) -> httpx.Response:
    return user.client.delete(f"/api/mylist/items/{content_id}", headers=user.headers)


def batch(user: User, add: list[tuple[str, str]], remove: list[str]) -> httpx.Response:
    body = {"add": [{"contentId": each, "contentType": kind} for each, kind in add], "remove": remove}
    return user.client.post("/api/mylist/batch", json=body, headers=user.headers)


def contains(user: User, *ids: str) -> httpx.Response:
    return user.client.post("/api/mylist/contains", json={"contentIds": ids}, headers=user.headers)


def import_(user: User, *lines: dict[str, str], mode: str = "merge", confirm: str = "&confirm=true") -> httpx.Response:
    body = "".join(str(each).replace("'", '"') + "\n" for each in lines)
    headers = user.headers | {"content-type": "application/x-ndjson"}
    return user.client.post(f"/api/mylist/import?mode={mode}{confirm}", content=body, headers=headers)


def told(answer: httpx.Response) -> list[dict[str, Any]]:
    assert answer.status_code == 200, answer.text
    return [json.loads(line) for line in answer.text.splitlines()]


def test_content_shows_external_ids_as_stored(user: User) -> None:
    user.add(MATRIX)
    [listed] = user.items().json()["data"]["items"]
    assert listed["content"]["externalIds"] == IDS[MATRIX_ID]


@pytest.mark.parametrize("text", [MATRIX, f"movie:{MATRIX}", "tmdb:603"])
def test_add_by_external_id_returns_the_content_id(user: User, text: str) -> None:
    answer = user.add(text)
    assert (answer.status_code, answer.json()["data"]["contentId"]) == (201, MATRIX_ID)
    assert user.add(MATRIX_ID).json()["code"] == user.add(text).json()["code"] == "ITEM_ALREADY_IN_LIST"


def test_an_external_id_stored_as_a_number_is_found(user: User) -> None:
    assert user.add("tmdb:42").json()["data"]["contentId"] == MOVIE_IDS[3]


@pytest.mark.parametrize("text", [MATRIX, MATRIX.replace(":", "%3A"), f"movie:{BOTH}"])
def test_put_remove_and_discard_accept_an_external_id_in_the_path(user: User, text: str) -> None:
    assert [put(user, text).status_code, put(user, text).status_code] == [201, 200]
    assert put(user, text).json()["data"]["contentId"] == MATRIX_ID
    assert user.remove(text).json() == {"success": True, "message": "Item removed from your list"}
    assert user.remove(text).json()["code"] == "ITEM_NOT_IN_LIST"
    assert [discard(user, text).status_code, put(user, text).status_code, discard(user, text).status_code] == [
        204,
        201,
        204,
    ]
    assert user.contents() == []


def test_an_external_id_in_the_path_may_be_percent_encoded(user: User) -> None:
    assert put(user, "tvdb:a%2Fb%25c").json()["data"]["contentId"] == MOVIE_IDS[2]


def test_the_type_in_the_request_selects_between_titles_with_one_external_id(user: User) -> None:
    assert user.add(BOTH, "tvshow").json()["data"]["contentId"] == SHOW_ID
    assert user.add(BOTH, "movie").json()["data"]["contentId"] == MATRIX_ID


def test_a_batch_returns_each_outcome_with_its_external_id(user: User) -> None:
    user.add(MATRIX_ID)
    answer = batch(user, [(BOTH, "tvshow"), (TWICE, "movie"), (UNKNOWN, "movie")], [MATRIX, BOTH, UNKNOWN, UNKNOWN_ID])

    assert answer.json()["data"] == {
        "add": [
            {"contentId": SHOW_ID, "outcome": "added", "externalId": BOTH},
            {"contentId": None, "outcome": "ambiguous", "externalId": TWICE},
            {"contentId": None, "outcome": "not_found", "externalId": UNKNOWN},
        ],
        "remove": [
            {"contentId": MATRIX_ID, "outcome": "removed", "externalId": MATRIX},
            {"contentId": None, "outcome": "ambiguous", "externalId": BOTH},
            {"contentId": None, "outcome": "missing", "externalId": UNKNOWN},
            {"contentId": UNKNOWN_ID, "outcome": "missing"},
        ],
    }
    assert user.contents() == [SHOW_ID]


def test_contains_answers_for_external_ids_in_order(user: User) -> None:
    user.add(MATRIX)
    for _ in range(2):
        answer = contains(user, f"movie:{BOTH}", f"tvshow:{BOTH}", MATRIX_ID, UNKNOWN)
        assert answer.json()["data"]["contains"] == [True, False, True, False]
    user.remove(MATRIX)
    assert contains(user, f"movie:{BOTH}").json()["data"]["contains"] == [False]


def test_an_import_resolves_external_ids_line_by_line(user: User) -> None:
    lines = [
        {"contentId": each, "contentType": "movie"}
        for each in (MATRIX, MOVIE_IDS[5], UNKNOWN, TWICE, "imbd:1", "IMDb:1")
    ]
    results = told(import_(user, *lines))

    assert [(each["line"], each["contentId"], each["outcome"]) for each in results] == [
        (1, MATRIX_ID, "added"),
        (2, MOVIE_IDS[5], "added"),
        (3, None, "unmatched"),
        (4, None, "ambiguous"),
        *[(number, None, "invalid") for number in (5, 6)],
    ]
    unmatched, ambiguous = results[2:4]
    assert unmatched["error"] == f"No movie has the external id {UNKNOWN}"
    assert (unmatched["title"], unmatched["year"], unmatched["candidates"]) == (UNKNOWN, None, [])
    assert (ambiguous["title"], ambiguous["year"], ambiguous.get("error")) == (TWICE, None, None)
    assert sorted(each["contentId"] for each in ambiguous["candidates"]) == sorted(MOVIE_IDS[:2])
    assert all(each["contentType"] == "movie" and each["title"] for each in ambiguous["candidates"])
    assert user.contents() == [MATRIX_ID, MOVIE_IDS[5]]
    refused = import_(user, *lines[:5], mode="replace")
    assert (refused.status_code, refused.json()["code"]) == (400, "INVALID_LINE")
    assert user.contents() == [MATRIX_ID, MOVIE_IDS[5]]


def test_an_import_without_a_match_needs_confirmation_and_keeps_ambiguous_titles(user: User) -> None:
    user.add(MOVIE_IDS[0])
    user.add(MOVIE_IDS[5])
    lines = [{"contentId": each, "contentType": "movie"} for each in (UNKNOWN, TWICE)]

    assert [each["outcome"] for each in told(import_(user, *lines))] == ["unmatched", "ambiguous"]
    assert import_(user, *lines, mode="replace", confirm="").json()["code"] == "CONFIRMATION_REQUIRED"
    assert user.contents() == [MOVIE_IDS[5], MOVIE_IDS[0]]
    replaced = told(import_(user, *lines, mode="replace"))
    assert [each["outcome"] for each in replaced] == ["unmatched", "ambiguous", "removed"]
    assert user.contents() == [MOVIE_IDS[0]], "which an ambiguous line may mean"


@pytest.mark.parametrize("media_type", ["text/csv", "application/json"])
def test_a_csv_or_json_import_accepts_external_ids_as_content_ids(user: User, media_type: str) -> None:
    ids = [MATRIX, f"tvshow:{BOTH}", MOVIE_IDS[5], UNKNOWN, TWICE, BOTH, f"tvshow:{MATRIX}", f"movie:{BOTH}", "imdb:"]
    types = ["", "", "movie", "movie", "", "", "", "tvshow", ""]
    rows = list(zip(ids, types, strict=True))
    if media_type == "text/csv":
        body = "contentId,contentType\n" + "".join(f"{content_id},{kind}\n" for content_id, kind in rows)
    else:
        body = json.dumps([{"contentId": content_id, "contentType": kind} for content_id, kind in rows])
    headers = user.headers | {"content-type": media_type}
    lines = told(user.client.post("/api/mylist/import", content=body, headers=headers))

    assert [each["outcome"] for each in lines] == [
        *["added"] * 3, "unmatched", "ambiguous", "ambiguous", "unmatched", "invalid", "invalid",
    ]  # fmt: skip
    assert [each["contentId"] for each in lines[:3]] == [MATRIX_ID, SHOW_ID, MOVIE_IDS[5]]
    assert lines[3]["error"] == f"No movie has the external id {UNKNOWN}"
    assert {each["contentId"] for each in lines[5]["candidates"]} == {MATRIX_ID, SHOW_ID}
    assert lines[7]["error"] == f"the type is tvshow, and the contentId is 'movie:{BOTH}'; remove one of them"
    assert "or an external id such as imdb:tt0133093" in lines[8]["error"]


CHANGES: dict[str, Any] = {
    "add": lambda user, text: user.add(text),
    "put": put,
    "remove": lambda user, text: user.remove(text),
    "discard": discard,
    "contains": contains,
}


class TestErrors:
    @pytest.mark.parametrize("text", ["imbd:tt1", "eidr:1", "imdb:", "IMDB:tt0133093", "movie:603"])
    @pytest.mark.parametrize("change", [*CHANGES, "batch"])
    def test_an_invalid_external_id_is_400_and_the_error_describes_the_format(
        self, user: User, change: str, text: str
    ) -> None:
        answer = batch(user, [], [MATRIX, text]) if change == "batch" else CHANGES[change](user, text)

        assert (answer.status_code, answer.json()["code"]) == (400, "INVALID_EXTERNAL_ID")
        assert answer.json()["error"] == (
            f"{text} is not an id: it must be a contentId, or NAME:ID such as imdb:tt0133093, with or without a "
            f"type as in "
            "movie:NAME:ID; the names are imdb, tmdb, tvdb"
        )

    @pytest.mark.parametrize("change", CHANGES)
    def test_an_external_id_of_several_titles_is_409_and_the_error_names_them(self, user: User, change: str) -> None:
        answer = CHANGES[change](user, TWICE)

        assert (answer.status_code, answer.json()["code"]) == (409, "AMBIGUOUS_EXTERNAL_ID")
        assert f"movie {MOVIE_IDS[0]}, movie {MOVIE_IDS[1]}" in answer.json()["error"]

    @pytest.mark.parametrize("change", ["add", "put"])
    @pytest.mark.parametrize("text", [UNKNOWN, UNKNOWN_ID, "tt0133093"])
    def test_an_external_id_of_no_title_is_404_like_an_unknown_content_id(
        self, user: User, change: str, text: str
    ) -> None:
        answer = CHANGES[change](user, text)

        assert (answer.status_code, answer.json()["code"]) == (404, "CONTENT_NOT_FOUND")
        assert answer.json()["error"] == f"movie with id {text} not found"

    @pytest.mark.parametrize("text", [UNKNOWN, UNKNOWN_ID])
    def test_an_external_id_of_no_title_is_not_on_the_list(self, user: User, text: str) -> None:
        assert user.remove(text).json()["code"] == "ITEM_NOT_IN_LIST"
        assert discard(user, text).status_code == 204
        assert contains(user, text).json()["data"]["contains"] == [False]
