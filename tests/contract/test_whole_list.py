"""A list as a whole: clearing it, taking it elsewhere, and bringing it back."""

import json
import socket
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from pymongo.database import Database

from devtools.service_process import Service
from tests.conftest import Serve
from tests.contract.conftest import PATIENCE, User, connect
from tests.contract.raw_http import exchange
from tests.contract.titles import MATRIX_ID, MOVIE_IDS, SHOW_ID, UNKNOWN_ID

Documents = Database[dict[str, Any]]
LINES = "application/x-ndjson"


def clear(user: User, query: str = "", **headers: str) -> httpx.Response:
    return user.client.delete(f"/api/mylist/items{query}", headers=user.headers | headers)


def export(user: User, **headers: str) -> httpx.Response:
    return user.client.get("/api/mylist/export", headers=user.headers | headers)


def import_(user: User, body: Any, query: str = "", content_type: str = LINES) -> httpx.Response:
    headers = user.headers | {"content-type": content_type}
    return user.client.post(f"/api/mylist/import{query}", content=body, headers=headers)


def lines_of(answer: httpx.Response) -> list[dict[str, Any]]:
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == LINES
    return [json.loads(line) for line in answer.text.splitlines()]


def outcomes(answer: httpx.Response) -> list[str]:
    return [line["outcome"] for line in lines_of(answer)]


def line(content_id: Any, content_type: Any = "movie", **others: Any) -> bytes:
    return json.dumps({"contentId": content_id, "contentType": content_type, **others}).encode() + b"\n"


def told(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["code"]


def fill(database: Documents, user: User, items: int) -> None:
    moment = datetime(2026, 1, 1, tzinfo=UTC)
    database["mylist"].insert_many(
        {"userId": user.id, "contentId": f"{number:024x}", "contentType": "movie", "addedAt": moment}
        for number in range(items)
    )


@pytest.fixture
def filled(user: User) -> User:
    """Someone with three movies and a show on the list."""
    for content_id in MOVIE_IDS[:3]:
        user.add(content_id)
    user.add(SHOW_ID, "tvshow")
    return user


@pytest.fixture(scope="module")
def small(serve: Serve, titles: None) -> Iterator[httpx.Client]:  # noqa: ARG001 - there before the first call
    """A service whose lists may have three items."""
    with connect(serve(MAX_LIST_SIZE="3")) as client:
        yield client


class TestClear:
    def test_takes_everything_off_the_list(self, filled: User) -> None:
        answer = clear(filled, "?confirm=true")

        assert answer.status_code == 200
        assert answer.json() == {"success": True, "message": "Your list was cleared", "data": {"removed": 4}}
        assert filled.contents() == []
        assert clear(filled, "?confirm=true").json()["data"] == {"removed": 0}

    def test_has_to_be_meant(self, filled: User) -> None:
        assert told(clear(filled)) == (428, "CONFIRMATION_REQUIRED")
        assert len(filled.contents()) == 4

    @pytest.mark.parametrize("query", ["?confirm=yes", "?confirm=", "?confirm=false", "?confirm=true&confirm=true"])
    def test_has_to_be_meant_in_so_many_words(self, filled: User, query: str) -> None:
        answer = clear(filled, query)

        assert told(answer) == (400, "INVALID_PARAMETER")
        assert answer.json()["error"] == "confirm must be given once, as true"
        assert len(filled.contents()) == 4

    @pytest.mark.parametrize("query", ["", "?pageSize=2"])
    def test_of_the_list_that_was_read_needs_no_other_word(self, filled: User, query: str) -> None:
        etag = filled.items(query).headers["etag"]

        assert clear(filled, query, **{"if-match": f'"something", {etag}'}).json()["data"] == {"removed": 4}
        assert filled.contents() == []

    def test_of_the_list_that_was_exported_needs_no_other_word(self, filled: User) -> None:
        etag = export(filled).headers["etag"]
        filled.add(MATRIX_ID)
        assert told(clear(filled, **{"if-match": etag})) == (412, "PRECONDITION_FAILED")
        assert clear(filled, **{"if-match": export(filled).headers["etag"]}).json()["data"] == {"removed": 5}

    @pytest.mark.parametrize("change", ["added", "removed", "exchanged"])
    def test_of_a_list_that_has_changed_since_is_refused(self, filled: User, change: str) -> None:
        etag = filled.items("?pageSize=1").headers["etag"]
        if change != "removed":
            filled.add(MATRIX_ID)
        if change != "added":
            filled.remove(MOVIE_IDS[0])  # the oldest, which is on no first page of one

        for query in ("?pageSize=1", "?pageSize=1&confirm=true"):
            assert told(clear(filled, query, **{"if-match": etag})) == (412, "PRECONDITION_FAILED")
        assert len(filled.contents()) == {"added": 5, "removed": 3, "exchanged": 4}[change]

    @pytest.mark.parametrize("if_match", ['W/"0123456789abcdef"', '"0123456789abcdef"', "nonsense"])
    def test_of_another_list_is_refused(self, filled: User, if_match: str) -> None:
        assert told(clear(filled, **{"if-match": if_match})) == (412, "PRECONDITION_FAILED")

    def test_by_a_weak_etag_is_refused(self, filled: User) -> None:
        assert clear(filled, **{"if-match": "W/" + filled.items().headers["etag"]}).status_code == 412

    def test_of_whatever_there_is_can_be_said_with_a_star(self, filled: User) -> None:
        assert clear(filled, **{"if-match": "*"}).status_code == 200


class TestExport:
    def test_has_a_line_for_each_item_newest_first(self, filled: User) -> None:
        answer = export(filled)
        listed = filled.items().json()["data"]["items"]

        assert lines_of(answer) == [
            {name: each[name] for name in ("contentId", "contentType", "addedAt")} for each in listed
        ]
        assert answer.text.endswith("}\n")

    def test_of_an_empty_list_is_empty(self, user: User) -> None:
        answer = export(user)

        assert (answer.status_code, answer.content) == (200, b"")

    def test_comes_from_the_cache_and_is_not_modified(self, filled: User) -> None:
        export(filled)
        first = export(filled)
        second = export(filled, **{"if-none-match": first.headers["etag"]})
        filled.remove(SHOW_ID)
        third = export(filled, **{"if-none-match": first.headers["etag"]})

        assert first.headers["x-cache"] == "hit"
        assert (second.status_code, second.content, third.status_code) == (304, b"", 200)

    def test_has_a_head(self, filled: User) -> None:
        answer = filled.client.head("/api/mylist/export", headers=filled.headers)

        assert (answer.status_code, answer.content) == (200, b"")
        assert answer.headers["etag"] == export(filled).headers["etag"]

    @pytest.mark.parametrize("items", [499, 500, 501, 1777])
    def test_of_a_long_list_is_whole_and_leaves_the_connection_usable(
        self, user: User, database: Documents, items: int
    ) -> None:
        fill(database, user, items)
        answer = export(user)

        assert [each["contentId"] for each in lines_of(answer)] == [f"{number:024x}" for number in range(items)]
        assert ("transfer-encoding" in answer.headers) == (items > 500)
        assert user.stats().json()["data"]["total"] == items

    def test_has_no_chunks_for_a_client_that_knows_none(self, user: User, database: Documents) -> None:
        fill(database, user, 1777)
        with socket.create_connection((user.client.base_url.host, user.client.base_url.port or 80)) as connection:
            connection.sendall(
                b"GET /api/mylist/export HTTP/1.0\r\nconnection: keep-alive\r\nuser-id: %s\r\n\r\n" % user.id.encode()
            )
            received = b"".join(iter(lambda: connection.recv(65536), b""))
        head, _, body = received.partition(b"\r\n\r\n")

        assert b"transfer-encoding" not in head.lower()
        assert body == export(user).content

    def test_has_a_head_for_a_long_list_too(self, user: User, database: Documents) -> None:
        fill(database, user, 600)
        answer = user.client.head("/api/mylist/export", headers=user.headers)

        assert (answer.status_code, answer.content) == (200, b"")
        assert user.stats().json()["data"]["total"] == 600


class TestImport:
    def test_brings_an_export_back(self, filled: User) -> None:
        before, exported = filled.items().json()["data"], export(filled).content
        clear(filled, "?confirm=true")
        answer = import_(filled, exported)

        assert lines_of(answer) == [
            {"line": number, "contentId": each["contentId"], "outcome": "added"}
            for number, each in enumerate(before["items"], 1)
        ]
        assert filled.items().json()["data"] == before

    def test_leaves_what_is_there_as_it_is(self, filled: User) -> None:
        before = filled.items().json()["data"]
        long_ago = {"addedAt": "2001-01-01T00:00:00Z"}

        assert outcomes(import_(filled, line(MOVIE_IDS[0], **long_ago) + line(MATRIX_ID, **long_ago))) == [
            "existing",
            "added",
        ]
        items = filled.items().json()["data"]["items"]
        assert items[:-1] == before["items"]
        assert (items[-1]["contentId"], items[-1]["addedAt"]) == (MATRIX_ID, "2001-01-01T00:00:00.000Z")

    def test_without_a_date_is_of_now(self, user: User) -> None:
        import_(user, line(MATRIX_ID))
        [item] = user.items().json()["data"]["items"]

        assert abs(datetime.fromisoformat(item["addedAt"]) - datetime.now(UTC)) < timedelta(minutes=1)

    def test_tells_of_each_line_what_became_of_it(self, user: User) -> None:
        body = b"\n".join(
            [
                line(MATRIX_ID).strip(),
                b"",
                line(MATRIX_ID.upper()).strip(),
                line(UNKNOWN_ID).strip(),
                line(SHOW_ID).strip(),
                b"{",
                b"\xff",
                b"[]",
                line("short").strip(),
                line(MATRIX_ID + "\n").strip(),
                line(MOVIE_IDS[0], "podcast").strip(),
                line(MOVIE_IDS[0], addedAt="yesterday").strip(),
                line(MOVIE_IDS[0], addedAt="2024-01-01T00:00:00").strip(),
                line(MOVIE_IDS[0], addedAt="1969-12-31T23:59:59Z").strip(),
                line(MOVIE_IDS[0], addedAt="2999-01-01T00:00:00Z").strip(),
                b'{"contentId":"' + MOVIE_IDS[1].encode() + b'"}',
                line(MOVIE_IDS[2], "movie", title="more than is asked for").strip() + b"\r",
            ]
        )
        told_of = lines_of(import_(user, body))

        assert [each["line"] for each in told_of] == [1, *range(3, 18)]
        assert [each["outcome"] for each in told_of] == [
            "added",
            "existing",
            "not_found",
            "not_found",
            *["invalid"] * 11,
            "added",
        ]
        assert all(("error" in each) == (each["outcome"] == "invalid") for each in told_of)
        assert {each["contentId"] for each in told_of if each["outcome"] == "invalid"} == {None}
        assert set(user.contents()) == {MATRIX_ID, MOVIE_IDS[2]}

    def test_that_names_an_id_as_both_types_says_which_of_them_there_is(self, user: User) -> None:
        answer = import_(user, line(MATRIX_ID, "tvshow") + line(MATRIX_ID) + line(MATRIX_ID, "tvshow"))

        assert outcomes(answer) == ["not_found", "added", "not_found"]
        assert user.contents() == [MATRIX_ID]

    @pytest.mark.parametrize("body", [b"", b"\n", b" \n\r\n"])
    def test_of_nothing_changes_nothing(self, filled: User, body: bytes) -> None:
        assert lines_of(import_(filled, body)) == []
        assert len(filled.contents()) == 4

    def test_in_chunks_of_any_size_is_the_same(self, user: User) -> None:
        body = b"".join(map(line, [*MOVIE_IDS[:5], UNKNOWN_ID])).rstrip()
        answer = import_(user, (body[place : place + 7] for place in range(0, len(body), 7)))

        assert Counter(outcomes(answer)) == {"added": 5, "not_found": 1}

    @pytest.mark.parametrize("content_type", ["application/jsonl", "application/x-ndjson; charset=utf-8"])
    def test_goes_by_either_name(self, user: User, content_type: str) -> None:
        assert outcomes(import_(user, line(MATRIX_ID), content_type=content_type)) == ["added"]

    @pytest.mark.parametrize("content_type", ["application/json", "text/plain", ""])
    def test_of_something_else_is_400_and_the_connection_goes_on(self, user: User, content_type: str) -> None:
        assert told(import_(user, line(MATRIX_ID), content_type=content_type)) == (400, "INVALID_JSON")
        assert user.contents() == []

    @pytest.mark.parametrize("query", ["?mode=", "?mode=append", "?mode=merge&mode=replace"])
    def test_in_an_unknown_mode_is_400(self, user: User, query: str) -> None:
        answer = import_(user, line(MATRIX_ID), query)

        assert told(answer) == (400, "INVALID_PARAMETER")
        assert answer.json()["error"] == "mode must be given once, as merge or replace"

    def test_in_tiny_chunks_does_not_keep_others_waiting(self, service: Service) -> None:
        head = f"POST /api/mylist/import HTTP/1.1\r\nHost: x\r\nuser-id: tiny\r\nContent-Type: {LINES}\r\n".encode()
        framing = b"Connection: close\r\nTransfer-Encoding: chunked\r\n\r\n"
        chunks = b"1\r\nx\r\n" * 30_000 + b"0\r\n\r\n"
        answered = 0
        with connect(service) as other, ThreadPoolExecutor() as sender:
            answer = sender.submit(exchange, service.url, head + framing + chunks, timeout_s=PATIENCE)
            while not answer.done():
                answered += other.get("/livez").is_success

        assert answer.result().startswith(b"HTTP/1.1 200")
        assert answered > 30, "hundreds are answered meanwhile, and a handful where others have no turn"

    def test_needs_a_user(self, client: httpx.Client) -> None:
        answer = client.post("/api/mylist/import", content=line(MATRIX_ID), headers={"content-type": LINES})
        assert told(answer) == (400, "USER_ID_REQUIRED")


class TestReplace:
    def test_makes_the_list_what_the_lines_say(self, filled: User) -> None:
        before = filled.items().json()["data"]["items"]
        answer = lines_of(import_(filled, line(MATRIX_ID) + line(MOVIE_IDS[1]) + line(UNKNOWN_ID), "?mode=replace"))

        assert [(each["line"], each["contentId"], each["outcome"]) for each in answer] == [
            (1, MATRIX_ID, "added"),
            (2, MOVIE_IDS[1], "existing"),
            (3, UNKNOWN_ID, "not_found"),
            *((None, each, "removed") for each in sorted([MOVIE_IDS[0], MOVIE_IDS[2], SHOW_ID])),
        ]
        after = filled.items().json()["data"]["items"]
        assert [each["contentId"] for each in after] == [MATRIX_ID, MOVIE_IDS[1]]
        assert after[1] in before

    def test_with_a_line_that_is_none_changes_nothing(self, filled: User) -> None:
        answer = import_(filled, line(MATRIX_ID) + b"\n" + line("oops"), "?mode=replace")

        assert told(answer) == (400, "INVALID_LINE")
        assert answer.json()["error"].startswith("Line 3: ")
        assert len(filled.contents()) == 4
        assert MATRIX_ID not in filled.contents()

    def test_keeps_a_withdrawn_title_that_a_line_names(self, user: User, database: Documents) -> None:
        gone = {"userId": user.id, "contentId": UNKNOWN_ID, "contentType": "movie"}
        database["mylist"].insert_one(gone | {"addedAt": datetime.now(UTC)})
        exported = export(user).content

        assert outcomes(import_(user, exported, "?mode=replace")) == ["not_found"]
        assert user.contents() == [UNKNOWN_ID]


class TestCap:
    @pytest.fixture
    def owner(self, small: httpx.Client, user_id: str) -> User:
        return User(small, user_id)

    def test_a_merge_fills_the_list_up_and_says_of_which_lines_there_was_no_room(self, owner: User) -> None:
        owner.add(MATRIX_ID)
        answer = import_(owner, b"".join(map(line, [*MOVIE_IDS[:4], MATRIX_ID])))

        assert outcomes(answer) == ["added", "added", "full", "full", "existing"]
        assert owner.stats().json()["data"]["total"] == 3

    def test_a_full_list_can_be_replaced(self, owner: User) -> None:
        for content_id in MOVIE_IDS[:3]:
            owner.add(content_id)
        import_(owner, b"".join(map(line, [MATRIX_ID, *MOVIE_IDS[3:5]])), "?mode=replace")

        assert set(owner.contents()) == {MATRIX_ID, *MOVIE_IDS[3:5]}

    def test_more_than_a_list_may_have_cannot_replace_one(self, owner: User) -> None:
        owner.add(MATRIX_ID)

        assert told(import_(owner, b"".join(map(line, MOVIE_IDS[:4])), "?mode=replace")) == (422, "LIST_FULL")
        assert owner.contents() == [MATRIX_ID]

    def test_a_replacement_that_never_came_to_its_end_can_be_repeated_but_not_followed_by_others(
        self, owner: User, database: Documents
    ) -> None:
        moment = datetime(2026, 1, 1, tzinfo=UTC)
        database["mylist"].insert_many(
            {"userId": owner.id, "contentId": content_id, "contentType": "movie", "addedAt": moment}
            for content_id in MOVIE_IDS[:5]
        )

        assert told(import_(owner, line(MATRIX_ID) + line(SHOW_ID, "tvshow"), "?mode=replace")) == (422, "LIST_FULL")
        assert len(owner.contents()) == 5
        import_(owner, b"".join(map(line, MOVIE_IDS[2:5])), "?mode=replace")
        assert set(owner.contents()) == set(MOVIE_IDS[2:5])

    @pytest.mark.parametrize("query", ["", "?mode=replace"])
    def test_an_import_that_says_it_is_too_long_is_413_and_changes_nothing(self, owner: User, query: str) -> None:
        answer = import_(owner, line(MATRIX_ID) + b" " * 1024, query)

        assert told(answer) == (413, "BODY_TOO_LARGE")
        assert owner.contents() == []

    @pytest.mark.parametrize("query", ["", "?mode=replace"])
    def test_an_import_of_too_many_lines_is_413_and_changes_nothing(self, owner: User, query: str) -> None:
        answer = import_(owner, b"\n" * 16 + line(MATRIX_ID), query)

        assert told(answer) == (413, "BODY_TOO_LARGE")
        assert owner.contents() == []
        assert outcomes(import_(owner, b"\n" * 15 + line(MATRIX_ID), query)) == ["added"]

    @pytest.mark.parametrize("query", ["", "?mode=replace"])
    def test_an_import_that_turns_out_too_long_is_413_and_changes_nothing(self, owner: User, query: str) -> None:
        answer = import_(owner, iter([line(MATRIX_ID), b" " * 1024]), query)

        assert told(answer) == (413, "BODY_TOO_LARGE")
        assert owner.contents() == []

    def test_a_long_import_that_turns_out_too_long_is_413_and_changes_nothing(
        self, client: httpx.Client, user_id: str
    ) -> None:
        user = User(client, user_id)
        parts = [line(MATRIX_ID), *[line(UNKNOWN_ID)] * 99, *[b" " * 1_000_000] * 2]

        assert told(import_(user, iter(parts))) == (413, "BODY_TOO_LARGE")
        assert user.contents() == []

    def test_are_published(self, small: httpx.Client) -> None:
        answer = small.get("/api/mylist/limits")

        assert answer.json() == {
            "success": True,
            "data": {
                "maxListSize": 3,
                "defaultPageSize": 20,
                "maxPageSize": 100,
                "maxContentIds": 100,
                "maxChanges": 1000,
                "changesKnownForDays": 30,
                "maxBodyBytes": 65536,
                "maxImportBytes": 1024,
                "maxImportLines": 16,
                "maxConcurrentRequests": 50,
                "maxConcurrentImports": 2,
            },
        }
        assert "etag" in answer.headers
