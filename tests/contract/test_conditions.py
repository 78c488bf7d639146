"""Conditions of changes: `If-Match`, `If-None-Match` and `unlessRemovedSince` on every route that changes a list."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar

import httpx
import pytest

from tests.contract.conftest import User
from tests.contract.titles import MATRIX_ID, MOVIE_IDS, SHOW_ID

LINES = {"content-type": "application/x-ndjson"}
LINE = f'{{"contentId":"{MATRIX_ID}","contentType":"movie"}}\n'
LISTED = MOVIE_IDS[0]
Headers = list[tuple[str, str]]
CHANGES: dict[str, Callable[[User, Headers], httpx.Response]] = {
    "add": lambda user, headers: user.client.post(
        "/api/mylist/add", json={"contentId": MATRIX_ID, "contentType": "movie"}, headers=headers
    ),
    "put": lambda user, headers: user.client.put(
        f"/api/mylist/items/{MATRIX_ID}", json={"contentType": "movie"}, headers=headers
    ),
    "put what is there": lambda user, headers: user.client.put(
        f"/api/mylist/items/{LISTED}", json={"contentType": "movie"}, headers=headers
    ),
    "discard": lambda user, headers: user.client.delete(f"/api/mylist/items/{LISTED}", headers=headers),
    "discard what is not there": lambda user, headers: user.client.delete(
        f"/api/mylist/items/{MATRIX_ID}", headers=headers
    ),
    "remove": lambda user, headers: user.client.delete(f"/api/mylist/remove/{LISTED}", headers=headers),
    "batch": lambda user, headers: user.client.post(
        "/api/mylist/batch",
        json={"add": [{"contentId": MATRIX_ID, "contentType": "movie"}], "remove": [LISTED]},
        headers=headers,
    ),
    "merge": lambda user, headers: user.client.post(
        "/api/mylist/import", content=LINE, headers=[*headers, *LINES.items()]
    ),
    "replace": lambda user, headers: user.client.post(
        "/api/mylist/import?mode=replace&confirm=true", content=LINE, headers=[*headers, *LINES.items()]
    ),
    "clear": lambda user, headers: user.client.delete("/api/mylist/items?confirm=true", headers=headers),
}


def told(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["code"]


def etag_of(user: User) -> str:
    return user.client.get("/api/mylist/export", headers=user.headers).headers["etag"]


def put(user: User, content_id: str, query: str = "", **headers: str) -> httpx.Response:
    return user.client.put(
        f"/api/mylist/items/{content_id}{query}", json={"contentType": "movie"}, headers=user.headers | headers
    )


def token_of(user: User, since: str = "") -> str:
    answer = user.client.get("/api/mylist/changes", params={"since": since} if since else {}, headers=user.headers)
    return str(answer.json()["data"]["token"])


@pytest.fixture
def filled(user: User) -> User:
    """Someone with three movies on the list."""
    for content_id in MOVIE_IDS[:3]:
        user.add(content_id)
    return user


@pytest.mark.parametrize("change", CHANGES.values(), ids=list(CHANGES))
class TestEveryChange:
    @pytest.mark.parametrize(
        "conditions",
        [
            [("if-match", '"nope"')],
            [("if-match", '"nope"'), ("if-match", 'W/"0123456789abcdef"')],
            [("if-match", "nonsense")],
            [("if-match", "")],
            [("if-none-match", "CURRENT")],
            [("if-none-match", '"nope"'), ("if-none-match", "CURRENT")],
            [("if-match", "CURRENT"), ("if-none-match", "CURRENT")],
        ],
    )
    def test_is_refused_when_a_condition_is_false(
        self, filled: User, change: Callable[[User, Headers], httpx.Response], conditions: Headers
    ) -> None:
        etag = etag_of(filled)
        headers = [(name, value.replace("CURRENT", etag)) for name, value in conditions]

        assert told(change(filled, [*filled.headers.items(), *headers])) == (412, "PRECONDITION_FAILED")
        assert etag_of(filled) == etag

    @pytest.mark.parametrize(
        "conditions",
        [
            [("if-match", "CURRENT")],
            [("if-match", '"nope"'), ("if-match", "W/CURRENT")],
            [("if-none-match", '"nope"')],
        ],
    )
    def test_is_made_when_the_condition_is_true(
        self, filled: User, change: Callable[[User, Headers], httpx.Response], conditions: Headers
    ) -> None:
        headers = [(name, value.replace("CURRENT", etag_of(filled))) for name, value in conditions]

        assert change(filled, [*filled.headers.items(), *headers]).is_success

    @pytest.mark.parametrize("position", [0, 1])
    def test_is_refused_with_an_unknown_parameter(
        self, filled: User, change: Callable[[User, Headers], httpx.Response], position: int
    ) -> None:
        def misspell(request: httpx.Request) -> None:
            names = [["Confirm", "true"], ["_", "1"]][position]
            request.url = request.url.copy_add_param(*names)

        etag = etag_of(filled)
        with httpx.Client(base_url=filled.client.base_url, event_hooks={"request": [misspell]}) as client:
            answer = change(User(client, filled.id), [*filled.headers.items()])

        assert told(answer) == (400, "INVALID_PARAMETER")
        assert "unknown parameter" in answer.json()["error"]
        assert etag_of(filled) == etag


class TestSeveralHeaderLines:
    @pytest.mark.parametrize("path", ["items", "items?sort=title", "export", "stats"])
    def test_of_if_none_match_are_combined_for_reads(self, filled: User, path: str) -> None:
        url = f"/api/mylist/{path}"
        etag = filled.client.get(url, headers=filled.headers).headers["etag"]
        for headers in ([("if-none-match", '"x"'), ("if-none-match", etag)], [("if-none-match", f'"x", {etag}')]):
            assert filled.client.get(url, headers=[*filled.headers.items(), *headers]).status_code == 304
        others = [("if-none-match", '"x"'), ("if-none-match", '"y"')]
        assert filled.client.get(url, headers=[*filled.headers.items(), *others]).status_code == 200


class TestOnlyIfAbsent:
    STAR = {"if-none-match": "*"}  # noqa: RUF012 - not changed

    def test_an_offline_device_does_not_restore_an_item_removed_elsewhere(self, filled: User) -> None:
        filled.remove(LISTED)

        assert told(put(filled, LISTED, **self.STAR)) == (412, "PRECONDITION_FAILED")
        assert LISTED not in filled.contents()
        assert put(filled, LISTED).status_code == 201

    def test_a_present_item_is_412_and_a_never_listed_one_is_added(self, filled: User) -> None:
        assert told(put(filled, LISTED, **self.STAR)) == (412, "PRECONDITION_FAILED")
        assert put(filled, MATRIX_ID, **self.STAR).status_code == 201

    def test_applies_to_add_as_well(self, filled: User) -> None:
        filled.remove(LISTED)
        for content_id, status in ((LISTED, 412), (MOVIE_IDS[1], 412), (MATRIX_ID, 201)):
            body = {"contentId": content_id, "contentType": "movie"}
            answer = filled.client.post("/api/mylist/add", json=body, headers=filled.headers | self.STAR)
            assert answer.status_code == status

    def test_removing_an_absent_item_with_if_match_star_is_412(self, filled: User) -> None:
        for path in ("items", "remove"):
            url = f"/api/mylist/{path}/{MATRIX_ID}"
            answer = filled.client.delete(url, headers=filled.headers | {"if-match": "*"})
            assert told(answer) == (412, "PRECONDITION_FAILED")

    @pytest.mark.parametrize("change", ["batch", "merge", "replace", "clear"])
    def test_a_list_always_exists_so_batch_import_and_clear_are_412(self, filled: User, change: str) -> None:
        headers = [*filled.headers.items(), ("if-none-match", "*")]
        assert told(CHANGES[change](filled, headers)) == (412, "PRECONDITION_FAILED")
        assert len(filled.contents()) == 3


class TestUnlessRemovedSince:
    def test_with_a_token_refuses_items_removed_after_it(self, filled: User) -> None:
        token = token_of(filled)
        filled.remove(LISTED)

        answer = put(filled, LISTED, f"?unlessRemovedSince={token}")
        assert told(answer) == (412, "PRECONDITION_FAILED")
        assert "removed from your list after unlessRemovedSince" in answer.json()["error"]
        assert put(filled, MATRIX_ID, f"?unlessRemovedSince={token}").status_code == 201
        assert put(filled, MOVIE_IDS[1], f"?unlessRemovedSince={token}").status_code == 200
        assert put(filled, LISTED, f"?unlessRemovedSince={token_of(filled, token)}").status_code == 201

    def test_with_a_time_refuses_items_removed_after_it(self, filled: User) -> None:
        before = (datetime.now(UTC) - timedelta(minutes=1)).isoformat().replace("+00:00", "Z")
        after = (datetime.now(UTC) + timedelta(minutes=1)).isoformat().replace("+00:00", "Z")
        filled.remove(LISTED)

        assert told(put(filled, LISTED, f"?unlessRemovedSince={before}")) == (412, "PRECONDITION_FAILED")
        assert put(filled, LISTED, f"?unlessRemovedSince={after}").status_code == 201

    def test_in_a_batch_or_import_is_checked_for_each_item(self, filled: User) -> None:
        token = token_of(filled)
        filled.remove(LISTED)
        add = [{"contentId": each, "contentType": "movie"} for each in (LISTED, MATRIX_ID, MOVIE_IDS[1])]
        url = f"/api/mylist/batch?unlessRemovedSince={token}"
        batched = filled.client.post(url, json={"add": add}, headers=filled.headers).json()["data"]["add"]
        body = "".join(f'{{"contentId":"{each}","contentType":"movie"}}\n' for each in (LISTED, MOVIE_IDS[5]))
        url = f"/api/mylist/import?unlessRemovedSince={token}"
        imported = filled.client.post(url, content=body, headers=filled.headers | LINES)

        assert [each["outcome"] for each in batched] == ["removed_since", "added", "existing"]
        assert ['"removed_since"' in each for each in imported.text.splitlines()] == [True, False]
        assert set(filled.contents()) == {MATRIX_ID, MOVIE_IDS[5], *MOVIE_IDS[1:3]}

    @pytest.mark.parametrize("value", ["9999-12-31T23:59:59-23:59", "2999-01-01T00:00:00Z", "9999-12-31T23:59:59Z"])
    def test_in_the_future_is_400(self, filled: User, value: str) -> None:
        for content_id in (LISTED, MATRIX_ID):
            assert told(put(filled, content_id, f"?unlessRemovedSince={value}")) == (400, "INVALID_PARAMETER")

    @pytest.mark.parametrize("until", ["token", "time"])
    def test_lets_a_batch_add_an_item_that_it_removes_itself(self, filled: User, until: str) -> None:
        a_minute_ago = (datetime.now(UTC) - timedelta(minutes=1)).isoformat().replace("+00:00", "Z")
        known = token_of(filled) if until == "token" else a_minute_ago
        item = {"contentId": LISTED, "contentType": "movie"}
        url = f"/api/mylist/batch?unlessRemovedSince={known}"
        body = {"remove": [LISTED], "add": [item]}

        for _ in range(2):
            told_of = filled.client.post(url, json=body, headers=filled.headers).json()["data"]
            assert told_of["remove"] == [{"contentId": LISTED, "outcome": "removed"}]
            assert told_of["add"] == [{"contentId": LISTED, "outcome": "added"}]
        assert filled.contents()[0] == LISTED
        filled.remove(LISTED)
        told_of = filled.client.post(url, json=body, headers=filled.headers).json()["data"]
        assert told_of["add"] == [{"contentId": LISTED, "outcome": "removed_since"}]

    def test_requires_confirmation_if_a_replace_would_empty_the_list(self, filled: User) -> None:
        token = token_of(filled)
        filled.remove(LISTED)
        url = f"/api/mylist/import?mode=replace&unlessRemovedSince={token}"
        body = f'{{"contentId":"{LISTED}","contentType":"movie"}}\n'
        answer = filled.client.post(url, content=body, headers=filled.headers | LINES)

        assert told(answer) == (428, "CONFIRMATION_REQUIRED")
        assert set(filled.contents()) == set(MOVIE_IDS[1:3])

    @pytest.mark.parametrize("value", ["", "yesterday", "2024-01-01T00:00:00", "TOKENTOKENTOKEN", "1700000000"])
    def test_in_an_invalid_format_is_400(self, filled: User, value: str) -> None:
        assert told(put(filled, LISTED, f"?unlessRemovedSince={value}")) == (400, "INVALID_PARAMETER")

    def test_with_the_token_of_another_user_is_400(self, filled: User, client: httpx.Client) -> None:
        token = token_of(User(client, f"other-{filled.id}"))
        assert told(put(filled, LISTED, f"?unlessRemovedSince={token}")) == (400, "INVALID_PARAMETER")

    def test_older_than_the_record_of_removals_is_410(self, filled: User) -> None:
        answer = put(filled, MATRIX_ID, "?unlessRemovedSince=2020-01-01T00:00:00Z")
        assert told(answer) == (410, "SYNC_TOKEN_EXPIRED")
        assert MATRIX_ID not in filled.contents()


class TestTwoClients:
    """Two clients that send the same ETag at the same moment."""

    HALVES: ClassVar[tuple[str, str]] = (
        "".join(f'{{"contentId":"{each}","contentType":"movie"}}\n' for each in MOVIE_IDS[:2]),
        f'{{"contentId":"{MOVIE_IDS[2]}","contentType":"movie"}}\n',
    )
    BOTH: ClassVar[dict[str, Callable[[User, int, dict[str, str]], httpx.Response]]] = {
        "clear": lambda user, _, headers: user.client.delete("/api/mylist/items", headers=headers),
        "discard": lambda user, which, headers: user.client.delete(
            f"/api/mylist/items/{MOVIE_IDS[which]}", headers=headers
        ),
        "batch": lambda user, which, headers: user.client.post(
            "/api/mylist/batch", json={"remove": [MOVIE_IDS[which]]}, headers=headers
        ),
        "put": lambda user, which, headers: user.client.put(
            f"/api/mylist/items/{(MATRIX_ID, MOVIE_IDS[4])[which]}", json={"contentType": "movie"}, headers=headers
        ),
        "merge": lambda user, which, headers: user.client.post(
            "/api/mylist/import",
            content=LINE.replace(MATRIX_ID, (MATRIX_ID, MOVIE_IDS[4])[which]),
            headers=headers | LINES,
        ),
        "replace": lambda user, which, headers: user.client.post(
            "/api/mylist/import?mode=replace", content=TestTwoClients.HALVES[which], headers=headers | LINES
        ),
    }

    @pytest.mark.parametrize("change", BOTH.values(), ids=list(BOTH))
    def test_with_the_same_etag_cannot_both_change_the_list(
        self, user: User, change: Callable[[User, int, dict[str, str]], httpx.Response]
    ) -> None:
        with ThreadPoolExecutor(2) as pool:
            for _ in range(5):
                for content_id in MOVIE_IDS[:3]:
                    put(user, content_id)
                for content_id in (MATRIX_ID, MOVIE_IDS[4]):
                    user.remove(content_id)
                headers = user.headers | {"if-match": etag_of(user)}
                answers = list(pool.map(change, [user] * 2, range(2), [headers] * 2))

                assert sorted(each.is_success for each in answers) == [False, True]
                assert {told(each) for each in answers if not each.is_success} == {(412, "PRECONDITION_FAILED")}

    def test_that_replace_without_a_condition_do_not_empty_the_list(self, user: User) -> None:
        def replace(half: str) -> httpx.Response:
            url = "/api/mylist/import?mode=replace"
            return user.client.post(url, content=half, headers=user.headers | LINES)

        with ThreadPoolExecutor(2) as pool:
            for _ in range(5):
                for content_id in MOVIE_IDS[:3]:
                    put(user, content_id)
                assert [each.status_code for each in pool.map(replace, self.HALVES)] == [200, 200]

                assert set(user.contents()) in ({*MOVIE_IDS[:2]}, {MOVIE_IDS[2]})


class TestABatch:
    @pytest.mark.parametrize(
        ("body", "error"),
        [
            ({"adds": []}, "adds: unknown field, did you mean add?"),
            ({"add": [], "delete": [LISTED]}, "delete: unknown field, known: add, remove"),
            ({"Remove": [LISTED]}, "Remove: unknown field, did you mean remove?"),
            (
                {"add": [{"contentId": MATRIX_ID, "contentType": "movie", "addedAt": "2001-01-01T00:00:00Z"}]},
                "addedAt: unknown field, known: contentId, contentType",
            ),
        ],
    )
    def test_with_an_unknown_field_is_400_and_changes_nothing(self, filled: User, body: Any, error: str) -> None:
        answer = filled.client.post("/api/mylist/batch", json=body, headers=filled.headers)

        assert told(answer) == (400, "INVALID_FIELD")
        assert answer.json()["error"] == error
        assert len(filled.contents()) == 3

    def test_put_with_an_unknown_field_is_400(self, filled: User) -> None:
        body = {"contentType": "movie", "addedAt": "2001-01-01T00:00:00Z"}
        answer = filled.client.put(f"/api/mylist/items/{MATRIX_ID}", json=body, headers=filled.headers)

        assert told(answer) == (400, "INVALID_FIELD")
        assert MATRIX_ID not in filled.contents()

    def test_keeps_its_order_on_the_list_with_the_first_item_on_top(self, filled: User) -> None:
        order = [MOVIE_IDS[9], SHOW_ID, MOVIE_IDS[4], MATRIX_ID, MOVIE_IDS[7]]
        add = [{"contentId": each, "contentType": "tvshow" if each == SHOW_ID else "movie"} for each in order]
        filled.client.post("/api/mylist/batch", json={"add": add}, headers=filled.headers)

        assert [each for each in filled.contents() if each in order] == order
