"""A list as a whole: clearing it, exporting it, and importing it again."""

import json
import socket
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, ClassVar

import httpx
import pytest
from bson import ObjectId
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
    """A user with three movies and a show on the list."""
    for content_id in MOVIE_IDS[:3]:
        user.add(content_id)
    user.add(SHOW_ID, "tvshow")
    return user


@pytest.fixture(scope="module")
def small(serve: Serve, titles: None) -> Iterator[httpx.Client]:  # noqa: ARG001 - inserted before the first call
    """A service whose lists may have at most three items."""
    with connect(serve(MAX_LIST_SIZE="3")) as client:
        yield client


class TestClear:
    def test_takes_everything_off_the_list(self, filled: User) -> None:
        answer = clear(filled, "?confirm=true")

        assert answer.status_code == 200
        assert answer.json() == {"success": True, "message": "Your list was cleared", "data": {"removed": 4}}
        assert filled.contents() == []
        assert clear(filled, "?confirm=true").json()["data"] == {"removed": 0}

    def test_without_confirmation_is_428(self, filled: User) -> None:
        assert told(clear(filled)) == (428, "CONFIRMATION_REQUIRED")
        assert len(filled.contents()) == 4

    @pytest.mark.parametrize("query", ["?confirm=yes", "?confirm=", "?confirm=false", "?confirm=true&confirm=true"])
    def test_with_an_invalid_confirm_parameter_is_400(self, filled: User, query: str) -> None:
        answer = clear(filled, query)

        assert told(answer) == (400, "INVALID_PARAMETER")
        assert answer.json()["error"] == "confirm must be given once, as true"
        assert len(filled.contents()) == 4

    @pytest.mark.parametrize("query", ["", "?pageSize=2", "?view=ids", "?pageSize=100"])
    def test_with_the_etag_of_a_page_is_412_and_the_error_names_the_export(self, filled: User, query: str) -> None:
        answer = clear(filled, **{"if-match": filled.items(query).headers["etag"]})

        assert told(answer) == (412, "PRECONDITION_FAILED")
        assert (
            "changed since you read it, or the ETag is not the one of GET /api/mylist/export" in answer.json()["error"]
        )
        assert len(filled.contents()) == 4

    def test_is_refused_after_a_change_that_the_first_page_does_not_show(self, filled: User) -> None:
        page, exported = filled.items("?pageSize=2").headers["etag"], export(filled).headers["etag"]
        filled.remove(MOVIE_IDS[0])
        import_(filled, line(MATRIX_ID, addedAt="2001-01-01T00:00:00Z"))

        assert filled.items("?pageSize=2").headers["etag"] == page, "as the first page has it, nothing has changed"
        for etag in (page, exported):
            assert told(clear(filled, **{"if-match": etag})) == (412, "PRECONDITION_FAILED")
        assert MATRIX_ID in filled.contents()

    @pytest.mark.parametrize("path", ["/api/mylist/items/", "/api/mylist/remove/"])
    @pytest.mark.parametrize("if_match", [None, "*", "the export's"])
    @pytest.mark.parametrize("query", ["", "?confirm=true"])
    def test_is_not_triggered_by_a_delete_with_a_missing_id(
        self, filled: User, path: str, if_match: str | None, query: str
    ) -> None:
        headers = {"if-match": if_match or ""} if if_match is not None else {}
        if if_match == "the export's":
            headers = {"if-match": export(filled).headers["etag"]}
        answer = filled.client.delete(path + query, headers=filled.headers | headers)

        assert told(answer) == (404, "ROUTE_NOT_FOUND")
        assert len(filled.contents()) == 4

    @pytest.mark.parametrize("blank", ["%20", "%09", "%00", "+", "%2F", "%20%20", "%C2%A0", "%2520", "."])
    def test_is_not_triggered_by_a_delete_with_a_blank_id(self, filled: User, blank: str) -> None:
        head = f"DELETE /api/mylist/items/{blank}?confirm=true HTTP/1.1\r\nHost: x\r\nuser-id: {filled.id}\r\n"
        answer = exchange(str(filled.client.base_url), f"{head}If-Match: *\r\nConnection: close\r\n\r\n".encode())

        assert answer.split(b" ")[1] in {b"400", b"404", b"412"}
        assert len(filled.contents()) == 4

    def test_with_a_trailing_slash_is_404_and_the_error_says_that_the_id_is_missing(self, filled: User) -> None:
        for answer in (
            clear(filled, "/", **{"if-match": "*"}),
            filled.client.put("/api/mylist/items/", json={"contentType": "movie"}, headers=filled.headers),
        ):
            assert told(answer) == (404, "ROUTE_NOT_FOUND")
            assert "content id is missing" in answer.json()["error"]
        assert filled.client.get("/api/mylist/items/", headers=filled.headers).status_code == 200

    def test_with_the_etag_of_the_current_export_needs_no_other_confirmation(self, filled: User) -> None:
        etag = export(filled).headers["etag"]
        filled.add(MATRIX_ID)
        assert told(clear(filled, **{"if-match": etag})) == (412, "PRECONDITION_FAILED")
        assert clear(filled, **{"if-match": export(filled).headers["etag"]}).json()["data"] == {"removed": 5}

    @pytest.mark.parametrize("change", ["added", "removed", "exchanged"])
    def test_with_the_etag_of_an_outdated_export_is_412(self, filled: User, change: str) -> None:
        etag = export(filled).headers["etag"]
        if change != "removed":
            filled.add(MATRIX_ID)
        if change != "added":
            filled.remove(MOVIE_IDS[0])

        for query in ("", "?confirm=true"):
            assert told(clear(filled, query, **{"if-match": etag})) == (412, "PRECONDITION_FAILED")
        assert len(filled.contents()) == {"added": 5, "removed": 3, "exchanged": 4}[change]

    @pytest.mark.parametrize("if_match", ['W/"0123456789abcdef"', '"0123456789abcdef"', "nonsense"])
    def test_with_an_unknown_or_malformed_etag_is_412(self, filled: User, if_match: str) -> None:
        assert told(clear(filled, **{"if-match": if_match})) == (412, "PRECONDITION_FAILED")

    @pytest.mark.parametrize("form", ["W/{}", "{}-gzip", "W/{}-br", "{};gzip"])
    def test_accepts_an_etag_that_a_compressing_proxy_changed(self, filled: User, form: str) -> None:
        weak, _, suffix = form.partition("{}")
        etag = weak + export(filled).headers["etag"][:-1] + suffix + '"'
        known = export(filled, **{"if-none-match": etag})

        assert known.status_code == 304
        assert clear(filled, **{"if-match": etag}).json()["data"] == {"removed": 4}

    @pytest.mark.parametrize(
        ("query", "error"),
        [
            ("?Confirm=true", "Confirm: unknown parameter, did you mean confirm?"),
            ("?confirm=true&pageSize=2", "pageSize: unknown parameter, known: confirm"),
            ("?confirmed=true", "confirmed: unknown parameter, did you mean confirm?"),
        ],
    )
    def test_with_an_unknown_parameter_is_400(self, filled: User, query: str, error: str) -> None:
        answer = clear(filled, query, **{"if-match": "*"})

        assert told(answer) == (400, "INVALID_PARAMETER")
        assert answer.json()["error"] == error
        assert len(filled.contents()) == 4

    def test_with_an_if_match_star_still_needs_confirmation(self, filled: User) -> None:
        assert told(clear(filled, **{"if-match": "*"})) == (428, "CONFIRMATION_REQUIRED")
        assert len(filled.contents()) == 4
        assert clear(filled, "?confirm=true", **{"if-match": "*"}).json()["data"] == {"removed": 4}

    @pytest.mark.parametrize(
        "body", [b'{"contentIds": ["507f1f77bcf86cd799439012"]}', b'{"type": "movie"}', b"{}", b"x", [b"{", b"}"]]
    )
    @pytest.mark.parametrize("confirmed_by", ["confirm", "if-match"])
    def test_with_a_body_is_400_and_removes_nothing(
        self, filled: User, body: bytes | list[bytes], confirmed_by: str
    ) -> None:
        """The client may expect that only the items that the body names are removed."""
        by_word = confirmed_by == "confirm"
        answer = filled.client.request(
            "DELETE",
            "/api/mylist/items" + ("?confirm=true" if by_word else ""),
            content=iter(body) if isinstance(body, list) else body,
            headers=filled.headers
            | {"content-type": "application/json"}
            | ({} if by_word else {"if-match": export(filled).headers["etag"]}),
        )

        assert told(answer) == (400, "INVALID_FIELD")
        assert len(filled.contents()) == 4

    def test_with_a_content_length_of_0_succeeds(self, filled: User) -> None:
        headers = filled.headers | {"content-type": "application/json", "content-length": "0"}
        answer = filled.client.request("DELETE", "/api/mylist/items?confirm=true", headers=headers)

        assert answer.json()["data"] == {"removed": 4}


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

    def test_comes_from_the_cache_and_is_304_until_the_list_changes(self, filled: User) -> None:
        export(filled)
        first = export(filled)
        second = export(filled, **{"if-none-match": first.headers["etag"]})
        filled.remove(SHOW_ID)
        third = export(filled, **{"if-none-match": first.headers["etag"]})

        assert first.headers["x-cache"] == "hit"
        assert (second.status_code, second.content, third.status_code) == (304, b"", 200)

    def test_supports_head(self, filled: User) -> None:
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

    def test_is_not_chunked_for_an_http_1_0_client(self, user: User, database: Documents) -> None:
        fill(database, user, 1777)
        with socket.create_connection((user.client.base_url.host, user.client.base_url.port or 80)) as connection:
            connection.sendall(
                b"GET /api/mylist/export HTTP/1.0\r\nconnection: keep-alive\r\nuser-id: %s\r\n\r\n" % user.id.encode()
            )
            received = b"".join(iter(lambda: connection.recv(65536), b""))
        head, _, body = received.partition(b"\r\n\r\n")

        assert b"transfer-encoding" not in head.lower()
        assert body == export(user).content

    def test_supports_head_for_a_long_list(self, user: User, database: Documents) -> None:
        fill(database, user, 600)
        answer = user.client.head("/api/mylist/export", headers=user.headers)

        assert (answer.status_code, answer.content) == (200, b"")
        assert user.stats().json()["data"]["total"] == 600

    @pytest.mark.parametrize("items", [1, 3, 501])
    def test_has_its_number_of_items_in_a_header(self, user: User, database: Documents, items: int) -> None:
        fill(database, user, items)
        answer = export(user, Origin="https://tv.example")
        head = user.client.head("/api/mylist/export", headers=user.headers)
        known = export(user, **{"if-none-match": answer.headers["etag"]})

        assert len(lines_of(answer)) == items
        assert [each.headers["x-total-count"] for each in (answer, head, known)] == [str(items)] * 3
        assert "X-Total-Count" in answer.headers["access-control-expose-headers"].split(", ")

    @pytest.mark.parametrize(("te", "has_trailer"), [("trailers", True), ("gzip, Trailers;q=1", True), ("gzip", False)])
    def test_has_its_number_of_items_in_a_trailer_if_the_client_accepts_trailers(
        self, user: User, database: Documents, te: str, *, has_trailer: bool
    ) -> None:
        fill(database, user, 501)
        head = f"GET /api/mylist/export HTTP/1.1\r\nHost: x\r\nuser-id: {user.id}\r\nTE: {te}\r\n"
        received = exchange(str(user.client.base_url), f"{head}Connection: TE, close\r\n\r\n".encode())

        assert received.endswith(b"\r\n0\r\nx-total-count: 501\r\n\r\n" if has_trailer else b"\r\n0\r\n\r\n")
        assert (b"\r\ntrailer: X-Total-Count\r\n" in received) == has_trailer


class TestImport:
    def test_restores_an_export(self, filled: User) -> None:
        before, exported = filled.items().json()["data"], export(filled).content
        clear(filled, "?confirm=true")
        answer = import_(filled, exported)

        assert lines_of(answer) == [
            {"line": number, "contentId": each["contentId"], "outcome": "added"}
            for number, each in enumerate(before["items"], 1)
        ]
        assert filled.items().json()["data"] == before

    def test_leaves_existing_items_unchanged(self, filled: User) -> None:
        before = filled.items().json()["data"]
        long_ago = {"addedAt": "2001-01-01T00:00:00Z"}

        assert outcomes(import_(filled, line(MOVIE_IDS[0], **long_ago) + line(MATRIX_ID, **long_ago))) == [
            "existing",
            "added",
        ]
        items = filled.items().json()["data"]["items"]
        assert items[:-1] == before["items"]
        assert (items[-1]["contentId"], items[-1]["addedAt"]) == (MATRIX_ID, "2001-01-01T00:00:00.000Z")

    @pytest.mark.parametrize("query", ["", "?mode=replace"])
    def test_of_joined_files_reads_the_first_line_of_each(self, filled: User, query: str) -> None:
        mark = b"\xef\xbb\xbf"
        body = mark + line(MOVIE_IDS[0]) + mark + line(MATRIX_ID) + b"\r\n" + mark + b"\r\n" + mark + line(MOVIE_IDS[1])

        assert outcomes(import_(filled, body, query))[:3] == ["existing", "added", "existing"]

    def test_without_a_date_uses_the_current_time(self, user: User) -> None:
        import_(user, line(MATRIX_ID))
        [item] = user.items().json()["data"]["items"]

        assert abs(datetime.fromisoformat(item["addedAt"]) - datetime.now(UTC)) < timedelta(minutes=1)

    def test_returns_the_outcome_of_each_line(self, user: User) -> None:
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
                line(MOVIE_IDS[3], "movie", title="more than is asked for").strip(),
                line(MOVIE_IDS[2], "movie").strip() + b"\r",
            ]
        )
        told_of = lines_of(import_(user, body))

        assert [each["line"] for each in told_of] == [1, *range(3, 19)]
        assert [each["outcome"] for each in told_of] == [
            "added",
            "existing",
            "not_found",
            "not_found",
            *["invalid"] * 12,
            "added",
        ]
        assert all(("error" in each) == (each["outcome"] == "invalid") for each in told_of)
        assert {each["contentId"] for each in told_of if each["outcome"] == "invalid"} == {None}
        assert set(user.contents()) == {MATRIX_ID, MOVIE_IDS[2]}

    def test_that_names_an_id_with_both_types_adds_only_the_existing_title(self, user: User) -> None:
        answer = import_(user, line(MATRIX_ID, "tvshow") + line(MATRIX_ID) + line(MATRIX_ID, "tvshow"))

        assert outcomes(answer) == ["not_found", "added", "not_found"]
        assert user.contents() == [MATRIX_ID]

    @pytest.mark.parametrize(
        ("body", "reason"),
        [
            *((each, "the body is empty") for each in (b"", b"\n", b" \n\r\n")),
            (b"x", "line 1: Not JSON"),
            (b"\n[]\n" + line("short"), "line 2: "),
            (line(MATRIX_ID, "podcast") * 101, "line 1: "),
        ],
    )
    def test_without_an_item_is_400_and_changes_nothing(self, filled: User, body: bytes, reason: str) -> None:
        answer = import_(filled, body)

        assert told(answer) == (400, "NO_ITEM")
        assert answer.json()["error"].startswith(f"No line is an item: {reason}")
        assert len(filled.contents()) == 4

    @pytest.mark.parametrize(
        "half",
        [b'"contentType":"movie"}', b'{"contentId":1,', b'{"contentId":"x"]', b'"x" "y"', b"nul", b'[{"contentId"'],
    )
    def test_reports_a_line_that_is_not_json_as_not_json(self, user: User, half: bytes) -> None:
        [first, _] = lines_of(import_(user, half + b"\n" + line(MATRIX_ID)))

        assert (first["outcome"], first["error"]) == ("invalid", "Not JSON")

    @pytest.mark.parametrize(
        ("field", "error"),
        [
            ("addedat", "addedat: unknown field, did you mean addedAt?"),
            ("added_at", "added_at: unknown field, did you mean addedAt?"),
            ("x`y` - at `$", "x`y` - at `$: unknown field, known: contentId, contentType, addedAt"),
        ],
    )
    def test_reports_a_line_with_an_unknown_field_and_suggests_known_fields(
        self, user: User, field: str, error: str
    ) -> None:
        [first, second] = lines_of(import_(user, line(MATRIX_ID, **{field: "2001-01-01T00:00:00Z"}) + line(SHOW_ID)))

        assert (first["outcome"], first["error"], second["outcome"]) == ("invalid", error, "not_found")

    @pytest.mark.parametrize("items", [2, 35])
    def test_of_lines_without_a_date_keeps_their_order(self, user: User, items: int) -> None:
        order = list(reversed(MOVIE_IDS[:items]))
        import_(user, b"".join(map(line, order)))

        assert user.contents("?pageSize=100") == order
        user.add(MATRIX_ID)
        assert user.contents("?pageSize=1") == [MATRIX_ID]

    def test_in_small_chunks_gives_the_same_outcomes(self, user: User) -> None:
        body = b"".join(map(line, [*MOVIE_IDS[:5], UNKNOWN_ID])).rstrip()
        answer = import_(user, (body[place : place + 7] for place in range(0, len(body), 7)))

        assert Counter(outcomes(answer)) == {"added": 5, "not_found": 1}

    @pytest.mark.parametrize("content_type", ["application/jsonl", "application/x-ndjson; charset=utf-8"])
    def test_accepts_either_media_type_of_json_lines(self, user: User, content_type: str) -> None:
        assert outcomes(import_(user, line(MATRIX_ID), content_type=content_type)) == ["added"]

    @pytest.mark.parametrize("content_type", ["text/plain", "application/xml", ""])
    def test_of_another_media_type_is_400_and_changes_nothing(self, user: User, content_type: str) -> None:
        assert told(import_(user, line(MATRIX_ID), content_type=content_type)) == (400, "INVALID_JSON")
        assert user.contents() == []

    @pytest.mark.parametrize(
        ("query", "error"),
        [
            ("?Mode=replace", "Mode: unknown parameter, did you mean mode?"),
            ("?MODE=replace", "MODE: unknown parameter, did you mean mode?"),
            ("?mode=replace&Total=3", "Total: unknown parameter, did you mean total?"),
            ("?x=1", "x: unknown parameter, known: mode, confirm, total, unlessRemovedSince"),
            ("?total=1", "total must be given once, as the number of items, and only with mode=replace"),
            ("?mode=replace&total=x", "total must be given once, as the number of items, and only with mode=replace"),
            ("?mode=replace&confirm=false", "confirm must be given once, as true"),
        ],
    )
    def test_with_an_invalid_parameter_is_400(self, filled: User, query: str, error: str) -> None:
        answer = import_(filled, line(MATRIX_ID), query)

        assert told(answer) == (400, "INVALID_PARAMETER")
        assert answer.json()["error"] == error
        assert len(filled.contents()) == 4

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

        assert answer.result().startswith(b"HTTP/1.1 400")
        assert answered > 30, "hundreds are answered meanwhile, and a handful where others have no turn"

    def test_needs_a_user(self, client: httpx.Client) -> None:
        answer = client.post("/api/mylist/import", content=line(MATRIX_ID), headers={"content-type": LINES})
        assert told(answer) == (400, "USER_ID_REQUIRED")


@pytest.fixture(scope="module")
def large(serve: Serve, database: Documents) -> Iterator[httpx.Client]:
    """A service whose lists may have up to 6,000 items, and as many titles in its catalogue."""
    database["movies"].insert_many({"_id": ObjectId(f"{number:024x}"), "title": str(number)} for number in range(6000))
    with connect(serve(MAX_LIST_SIZE="6000")) as client:
        yield client
    database["movies"].delete_many({"_id": {"$lt": ObjectId(f"{6000:024x}")}})


def repeated_while_busy(ask: Callable[[], httpx.Response]) -> httpx.Response:
    """Repeat a request while a busy machine answers 503, after the time that the answer gives."""
    answer = ask()
    for _ in range(30):
        if answer.status_code != 503:
            break
        time.sleep(float(answer.headers["retry-after"]))
        answer = ask()
    assert answer.status_code == 200, answer.text
    return answer


@pytest.mark.extended
class TestALongList:
    """A list of 5,000 items, the maximum by default, and one of 6,000, with a higher maximum."""

    @pytest.mark.parametrize(("items", "mode"), [(5000, "merge"), (6000, "replace")])
    def test_is_exported_cleared_and_imported(
        self, large: httpx.Client, database: Documents, user_id: str, items: int, mode: str
    ) -> None:
        user = User(large, user_id)
        fill(database, user, items)
        exported = repeated_while_busy(partial(export, user)).content
        assert exported.count(b"\n") == items

        cleared = repeated_while_busy(partial(clear, user, "?confirm=true"))
        assert cleared.json()["data"]["removed"] <= items
        assert repeated_while_busy(partial(export, user)).content == b""
        imported = repeated_while_busy(partial(import_, user, exported, f"?mode={mode}"))
        assert set(outcomes(imported)) <= {"added", "existing"}
        assert repeated_while_busy(partial(export, user)).content == exported
        assert database["mylist"].count_documents({"userId": user.id}) == items


class TestReplace:
    def test_makes_the_list_equal_to_the_lines(self, filled: User) -> None:
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

    BODIES: ClassVar[list[tuple[str, bytes | list[bytes] | None]]] = [
        ("no length", None),
        ("length 0", b""),
        ("no chunk", []),
        ("a blank line", b"\n"),
        ("blank lines", b" \r\n\t\n\n"),
        ("a blank line in chunks", [b" ", b"\n"]),
        ("unknown ids", line(UNKNOWN_ID) + line("f" * 23 + "e")),
        ("the wrong type", line(MOVIE_IDS[0], "tvshow")),
    ]

    @pytest.mark.parametrize("body", [each for _, each in BODIES], ids=[name for name, _ in BODIES])
    def test_with_a_body_without_any_known_title_needs_confirmation(
        self, filled: User, body: bytes | list[bytes] | None
    ) -> None:
        def replace(query: str = "", **headers: str) -> httpx.Response:
            content = iter(body) if isinstance(body, list) else body
            return filled.client.post(
                f"/api/mylist/import?mode=replace{query}",
                content=content,
                headers=filled.headers | {"content-type": LINES} | headers,
            )

        assert told(replace()) == (428, "CONFIRMATION_REQUIRED")
        assert told(replace(**{"if-match": "*"})) == (428, "CONFIRMATION_REQUIRED")
        assert told(replace("&confirm=true", **{"if-match": '"nope"'})) == (412, "PRECONDITION_FAILED")
        assert told(replace("&confirm=false")) == (400, "INVALID_PARAMETER")
        assert told(replace(**{"if-match": "*"})) == (428, "CONFIRMATION_REQUIRED")
        assert len(filled.contents()) == 4
        removed = lines_of(replace(**{"if-match": export(filled).headers["etag"]}))
        assert {each["outcome"] for each in removed} >= {"removed"}
        assert len(filled.contents()) <= 1

    def test_with_only_a_byte_order_mark_changes_nothing(self, filled: User) -> None:
        assert import_(filled, b"\xef\xbb\xbf", "?mode=replace").status_code in {400, 428}
        assert len(filled.contents()) == 4

    @pytest.mark.parametrize("known", ["a time", "a token"])
    def test_with_only_items_that_were_removed_since_needs_confirmation(self, filled: User, known: str) -> None:
        changes = filled.client.get("/api/mylist/changes", headers=filled.headers).json()["data"]
        hour_ago = datetime.now(UTC) - timedelta(hours=1)
        since = changes["token"] if known == "a token" else hour_ago.isoformat().replace("+00:00", "Z")
        filled.remove(MOVIE_IDS[0])
        query = f"?mode=replace&unlessRemovedSince={since}"

        for body in (line(MOVIE_IDS[0]), line(MOVIE_IDS[0]) * 3, line(MOVIE_IDS[0]) + line(UNKNOWN_ID)):
            assert told(import_(filled, body, query)) == (428, "CONFIRMATION_REQUIRED")
        assert len(filled.contents()) == 3
        answer = import_(filled, line(MOVIE_IDS[0]) + line(MOVIE_IDS[1]), query)
        assert outcomes(answer)[:2] == ["removed_since", "existing"]
        assert filled.contents() == [MOVIE_IDS[1]]

    def test_with_an_empty_body_clears_the_list_if_confirmed(self, filled: User) -> None:
        assert set(outcomes(import_(filled, b"", "?mode=replace&confirm=true"))) == {"removed"}
        assert filled.contents() == []

    def test_with_the_etag_of_an_outdated_export_is_412(self, filled: User) -> None:
        etag = export(filled).headers["etag"]
        headers = filled.headers | {"content-type": LINES, "if-match": etag}
        filled.add(MATRIX_ID)
        url = "/api/mylist/import?mode=replace"

        assert told(filled.client.post(url, content=line(MOVIE_IDS[0]), headers=headers)) == (
            412,
            "PRECONDITION_FAILED",
        )
        assert len(filled.contents()) == 5
        headers["if-match"] = export(filled).headers["etag"]
        assert filled.client.post(url, content=line(MOVIE_IDS[0]), headers=headers).status_code == 200
        assert filled.contents() == [MOVIE_IDS[0]]

    def test_keeps_an_item_that_a_line_names_with_the_wrong_type_and_says_so(self, filled: User) -> None:
        answer = lines_of(import_(filled, line(SHOW_ID, "movie") + line(MOVIE_IDS[0]), "?mode=replace"))

        assert answer[0] == {
            "line": 1,
            "contentId": SHOW_ID,
            "outcome": "not_found",
            "error": "It is on the list as tvshow, and stays there",
        }
        assert filled.contents() == [SHOW_ID, MOVIE_IDS[0]]

    def test_adopts_the_dates_of_the_lines_and_the_change_feed_returns_them(self, filled: User) -> None:
        def changes(**query: str) -> Any:
            return filled.client.get("/api/mylist/changes", params=query, headers=filled.headers).json()["data"]

        token = changes()["token"]
        exported = export(filled).text.splitlines()
        lines = [
            json.loads(each) | {"addedAt": f"200{number}-01-01T00:00:00.000Z"} for number, each in enumerate(exported)
        ]
        told_of = outcomes(
            import_(filled, b"".join(json.dumps(each).encode() + b"\n" for each in lines), "?mode=replace")
        )

        assert told_of == ["dated"] * 4
        assert [json.loads(each) for each in export(filled).text.splitlines()] == lines[::-1]
        assert {each["addedAt"] for each in changes(since=token)["changes"]} == {each["addedAt"] for each in lines}
        assert outcomes(import_(filled, export(filled).content, "?mode=replace")) == ["existing"] * 4

    def test_with_a_truncated_export_is_400_if_the_total_is_given(self, filled: User) -> None:
        exported = export(filled)
        cut = b"".join(exported.content.splitlines(keepends=True)[:2])
        query = f"?mode=replace&total={exported.headers['x-total-count']}"

        assert told(import_(filled, cut, query)) == (400, "TOTAL_MISMATCH")
        assert len(filled.contents()) == 4
        assert outcomes(import_(filled, exported.content, query)) == ["existing"] * 4

    def test_with_an_invalid_line_is_400_and_changes_nothing(self, filled: User) -> None:
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

    def test_a_merge_fills_the_list_and_reports_the_remaining_lines_as_full(self, owner: User) -> None:
        owner.add(MATRIX_ID)
        answer = import_(owner, b"".join(map(line, [*MOVIE_IDS[:4], MATRIX_ID])))

        assert outcomes(answer) == ["added", "added", "full", "full", "existing"]
        assert owner.stats().json()["data"]["total"] == 3

    def test_a_full_list_can_be_replaced(self, owner: User) -> None:
        for content_id in MOVIE_IDS[:3]:
            owner.add(content_id)
        import_(owner, b"".join(map(line, [MATRIX_ID, *MOVIE_IDS[3:5]])), "?mode=replace")

        assert set(owner.contents()) == {MATRIX_ID, *MOVIE_IDS[3:5]}

    def test_a_replacement_with_too_many_items_is_422_and_changes_nothing(self, owner: User) -> None:
        owner.add(MATRIX_ID)

        assert told(import_(owner, b"".join(map(line, MOVIE_IDS[:4])), "?mode=replace")) == (422, "LIST_FULL")
        assert owner.contents() == [MATRIX_ID]

    def test_a_list_above_the_maximum_can_be_replaced_only_by_some_of_its_own_items(
        self, owner: User, database: Documents
    ) -> None:
        """A list is above the maximum if a replacement was interrupted before it removed the old items."""
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
    def test_an_import_with_too_large_a_content_length_is_413_and_changes_nothing(
        self, owner: User, query: str
    ) -> None:
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
    def test_a_chunked_import_that_is_too_long_is_413_and_changes_nothing(self, owner: User, query: str) -> None:
        answer = import_(owner, iter([line(MATRIX_ID), b" " * 1024]), query)

        assert told(answer) == (413, "BODY_TOO_LARGE")
        assert owner.contents() == []

    def test_a_chunked_import_of_megabytes_that_is_too_long_is_413_and_changes_nothing(
        self, client: httpx.Client, user_id: str
    ) -> None:
        user = User(client, user_id)
        parts = [line(MATRIX_ID), *[line(UNKNOWN_ID)] * 99, *[b" " * 1_000_000] * 2]

        assert told(import_(user, iter(parts))) == (413, "BODY_TOO_LARGE")
        assert user.contents() == []

    @pytest.mark.parametrize("media_type", ["text/csv", "application/json"])
    def test_a_file_of_another_service_is_limited_to_the_published_number_of_bytes(
        self, owner: User, media_type: str
    ) -> None:
        size = owner.client.get("/api/mylist/limits").json()["data"]["maxListFileBytes"]
        file = (
            b"title,year\nThe Matrix,1999\n" if media_type == "text/csv" else b'[{"title": "The Matrix", "year": 1999}]'
        )
        headers = owner.headers | {"content-type": media_type}
        url = "/api/mylist/import"

        too_long = owner.client.post(url, content=file + b" " * (size + 1 - len(file)), headers=headers)
        assert told(too_long) == (413, "BODY_TOO_LARGE")
        assert owner.contents() == []
        assert outcomes(owner.client.post(url, content=file + b" " * (size - len(file)), headers=headers)) == ["added"]

    def test_the_limits_are_published(self, small: httpx.Client) -> None:
        answer = small.get("/api/mylist/limits")

        assert answer.json() == {
            "success": True,
            "data": {
                "maxListSize": 3,
                "maxItemsPerAccount": 0,
                "defaultPageSize": 20,
                "maxPageSize": 100,
                "maxContentIds": 100,
                "maxChanges": 1000,
                "changesKnownForDays": 30,
                "maxBodyBytes": 65536,
                "maxImportBytes": 1024,
                "maxListFileBytes": 4096,
                "maxImportLines": 16,
                "maxConcurrentRequests": 50,
                "maxConcurrentImports": 2,
            },
        }
        assert "etag" in answer.headers
