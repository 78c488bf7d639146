"""The errors of requests: their status, code and message, and the order in which the service checks a request."""

import re
from collections.abc import Iterator

import httpx
import pytest

from devtools.service_process import Service
from tests.conftest import Serve
from tests.contract.conftest import User, connect
from tests.contract.raw_http import Answer, send
from tests.contract.response_schemas import check_shape
from tests.contract.titles import MATRIX_ID, MOVIE_IDS, SHOW_ID, UNKNOWN_ID

JSON = {"Content-Type": "application/json"}
KEYS = ["success", "error", "code", "statusCode", "timestamp", "path", "method", "requestId"]


def told(answer: httpx.Response | Answer) -> tuple[int, str, str]:
    """Return the parts of an error that clients rely on: status, code and message."""
    status = answer.status_code if isinstance(answer, httpx.Response) else answer.status
    body = answer.json()
    assert list(body) == KEYS
    assert body["success"] is False
    assert body["statusCode"] == status
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", body["timestamp"])
    assert body["requestId"] == answer.headers["x-request-id"]
    return status, body["code"], body["error"]


def post(user: User, content: bytes, headers: dict[str, str]) -> httpx.Response:
    return user.client.post("/api/mylist/add", content=content, headers=user.headers | headers)


USER_ID_REQUIRED = (400, "USER_ID_REQUIRED", "user-id header is required")
FIELDS_REQUIRED = (400, "CONTENT_FIELDS_REQUIRED", "contentId and contentType are required")
INVALID_CONTENT_TYPE = (400, "INVALID_CONTENT_TYPE", 'contentType must be "movie" or "tvshow"')
ALREADY_IN_LIST = (409, "ITEM_ALREADY_IN_LIST", "This item is already in your list")
NOT_IN_LIST = (404, "ITEM_NOT_IN_LIST", "Item not found in your list")
ROUTE_NOT_FOUND = (404, "ROUTE_NOT_FOUND", "Route not found")
NOT_JSON = (400, "INVALID_JSON", "The body is not valid JSON")
NOT_AN_OBJECT = (400, "INVALID_JSON", "The body must be a JSON object")
NOT_ANNOUNCED_AS_JSON = (400, "INVALID_JSON", "The body must be JSON, with Content-Type: application/json")
MALFORMED = (400, "BAD_REQUEST", "The request is malformed")


class TestEveryError:
    def test_names_the_path_and_the_method(self, user: User) -> None:
        answer = user.remove(MATRIX_ID)
        body = answer.json()

        assert answer.headers["content-type"] == "application/json; charset=utf-8"
        assert answer.headers["cache-control"] == "no-store"
        assert body["path"] == f"/api/mylist/remove/{MATRIX_ID}"
        assert body["method"] == "DELETE"

    def test_omits_the_query_from_the_path(self, client: httpx.Client) -> None:
        assert client.get("/api/mylist/items?page=2&token=secret").json()["path"] == "/api/mylist/items"


class TestUserId:
    @pytest.mark.parametrize(
        ("method", "path"),
        [
            ("POST", "/api/mylist/add"),
            ("DELETE", f"/api/mylist/remove/{MATRIX_ID}"),
            ("GET", "/api/mylist/items"),
            ("GET", "/api/mylist/stats"),
        ],
    )
    @pytest.mark.parametrize("header", ["", "user-id:\r\n", "user-id: \t \r\n"], ids=["missing", "empty", "blank"])
    def test_is_required(self, service: Service, method: str, path: str, header: str) -> None:
        request = f"{method} {path} HTTP/1.1\r\nHost: x\r\n{header}Content-Length: 0\r\n\r\n"
        assert told(send(service.url, request.encode())) == USER_ID_REQUIRED

    def test_is_not_required_by_the_health_check(self, client: httpx.Client) -> None:
        assert client.get("/health").status_code == 200

    @pytest.mark.parametrize(
        "user_id",
        [
            "a",
            "ABCXYZabcxyz0189._~:@|/+=-",
            "507f1f77bcf86cd799439011",
            "f47ac10b-58cc-4372-a567-0e02b2c3d479",
            "someone@example.com",
            "auth0|5f7c8ec7c33c6c004bbafe82",
            "urn:user:1/2",
            "dGVzdA+/==",
            "x" * 128,
        ],
    )
    def test_may_have_any_form_that_identity_providers_use(self, client: httpx.Client, user_id: str) -> None:
        user = User(client, user_id)
        assert user.add(MATRIX_ID).json()["data"]["userId"] == user_id
        [item] = user.items().json()["data"]["items"]
        assert item["userId"] == user_id

    @pytest.mark.parametrize(
        "user_id",
        [
            "x" * 129,
            "two words",
            "a,b",
            "a;b",
            "a*",
            "a?",
            "[a]",
            "a{b}",
            "a\\b",
            'a"b',
            "<a>",
            "a$b",
            "a%20b",
            "a#",
            "a\tb",
        ],
    )
    def test_with_a_forbidden_character_or_over_128_characters_is_400(self, client: httpx.Client, user_id: str) -> None:
        message = "user-id header must be given once, as 1 to 128 of the characters A-Z a-z 0-9 . _ ~ : @ | / + = -"
        assert told(User(client, user_id).items()) == (400, "INVALID_USER_ID", message)

    @pytest.mark.parametrize("user_id", [b"m\xc3\xbcller", b"a\xff", b"\xe2\x80\xae"])
    def test_with_non_ascii_characters_is_400(self, service: Service, user_id: bytes) -> None:
        answer = send(service.url, b"GET /api/mylist/items HTTP/1.1\r\nHost: x\r\nuser-id: " + user_id + b"\r\n\r\n")
        assert told(answer)[:2] == (400, "INVALID_USER_ID")

    def test_sent_twice_is_400(self, client: httpx.Client) -> None:
        twice = [("user-id", "one"), ("user-id", "two")]
        assert told(client.get("/api/mylist/items", headers=twice))[:2] == (400, "INVALID_USER_ID")
        same = [("user-id", "one"), ("User-ID", "one")]
        assert told(client.get("/api/mylist/items", headers=same))[:2] == (400, "INVALID_USER_ID")

    def test_is_stripped_of_surrounding_blanks(self, user: User, service: Service) -> None:
        user.add(MATRIX_ID)
        request = f"GET /api/mylist/stats HTTP/1.1\r\nHost: x\r\nuser-id:  \t {user.id} \t \r\n\r\n"
        assert send(service.url, request.encode()).json()["data"]["total"] == 1

    def test_is_case_sensitive_but_its_header_name_is_not(self, user: User) -> None:
        user.add(MATRIX_ID)
        assert user.client.get("/api/mylist/stats", headers={"USER-ID": user.id}).json()["data"]["total"] == 1
        assert User(user.client, user.id.upper()).stats().json()["data"]["total"] == 0


class TestAdd:
    @pytest.mark.parametrize(
        "content",
        [
            b"",
            b"{}",
            b'{"contentId": "507f1f77bcf86cd799439012"}',
            b'{"contentType": "movie"}',
            b'{"contentId": "", "contentType": "movie"}',
            b'{"contentId": "507f1f77bcf86cd799439012", "contentType": ""}',
            b'{"contentId": null, "contentType": "movie"}',
            b'{"contentId": "507f1f77bcf86cd799439012", "contentType": null}',
            b'{"content_id": "507f1f77bcf86cd799439012", "content_type": "movie"}',
        ],
    )
    def test_needs_both_fields(self, user: User, content: bytes) -> None:
        assert told(post(user, content, JSON)) == FIELDS_REQUIRED

    def test_needs_a_body(self, user: User) -> None:
        assert told(post(user, b"", {})) == FIELDS_REQUIRED

    @pytest.mark.parametrize("content_type", ["film", "Movie", "tv show", "series", "movie ", "*"])
    def test_of_an_unknown_content_type_is_400(self, user: User, content_type: str) -> None:
        assert told(user.add(MATRIX_ID, content_type)) == INVALID_CONTENT_TYPE

    @pytest.mark.parametrize("content_type", ["movie", "tvshow"])
    def test_of_an_unknown_id_is_404(self, user: User, content_type: str) -> None:
        expected = (404, "CONTENT_NOT_FOUND", f"{content_type} with id {UNKNOWN_ID} not found")
        assert told(user.add(UNKNOWN_ID, content_type)) == expected

    def test_of_an_id_of_the_other_type_is_404(self, user: User) -> None:
        assert told(user.add(SHOW_ID, "movie"))[2] == f"movie with id {SHOW_ID} not found"
        assert told(user.add(MATRIX_ID, "tvshow"))[2] == f"tvshow with id {MATRIX_ID} not found"

    @pytest.mark.parametrize(
        "content_id",
        ["x", "123", MATRIX_ID + "0", MATRIX_ID[:-1], MATRIX_ID[:-1] + "g", f" {MATRIX_ID}", "é" * 24, "$ne"],
    )
    def test_of_a_malformed_id_is_404_like_any_unknown_one(self, user: User, content_id: str) -> None:
        assert told(user.add(content_id)) == (404, "CONTENT_NOT_FOUND", f"movie with id {content_id} not found")

    def test_truncates_a_long_id_in_the_error(self, user: User) -> None:
        assert told(user.add("9" * 5000)) == (404, "CONTENT_NOT_FOUND", f"movie with id {'9' * 100}… not found")

    def test_of_an_item_on_the_list_is_409(self, user: User) -> None:
        user.add(MATRIX_ID)
        assert told(user.add(MATRIX_ID)) == ALREADY_IN_LIST
        assert user.contents() == [MATRIX_ID]

    @pytest.mark.parametrize("content", [b"{", b"{]", b"nope", b" ", b'{"contentId": "x" "contentType"}', b"{'a': 1}"])
    def test_of_malformed_json_is_400(self, user: User, content: bytes) -> None:
        assert told(post(user, content, JSON)) == NOT_JSON

    @pytest.mark.parametrize(
        ("content", "error"),
        [
            (b'{"contentId": "\xff", "contentType": "movie"}', "The body is not UTF-8: save it as UTF-8"),
            (b'{"contentId": "\\ud800", "contentType": "movie"}', "The body is not valid JSON"),
        ],
    )
    def test_of_text_that_is_not_valid_unicode_is_400(self, user: User, content: bytes, error: str) -> None:
        assert told(post(user, content, JSON)) == (400, "INVALID_JSON", error)

    @pytest.mark.parametrize(
        "content", [b"[]", b"null", b"1", b"true", b'"text"', b'[{"contentId": "x"}]', b"[" * 50_000]
    )
    def test_of_anything_but_an_object_is_400(self, user: User, content: bytes) -> None:
        assert told(post(user, content, JSON)) == NOT_AN_OBJECT

    @pytest.mark.parametrize(
        "content_id", [1, 1.5, True, [], {}, [MATRIX_ID], {"$gt": ""}, {"$oid": MATRIX_ID}], ids=repr
    )
    def test_of_a_field_that_is_not_text_is_400(self, user: User, content_id: object) -> None:
        for answer, field in ((user.add(content_id), "contentId"), (user.add(MATRIX_ID, content_id), "contentType")):
            status, code, message = told(answer)
            assert (status, code) == (400, "INVALID_FIELD")
            assert field in message

    @pytest.mark.parametrize(
        "headers",
        [
            {},
            {"Content-Type": "text/plain"},
            {"Content-Type": ""},
        ],
    )
    def test_of_a_body_without_the_json_content_type_is_400(self, user: User, headers: dict[str, str]) -> None:
        content = f'{{"contentId": "{MATRIX_ID}", "contentType": "movie"}}'.encode()
        assert told(post(user, content, headers)) == NOT_ANNOUNCED_AS_JSON

    def test_changes_nothing_when_it_fails(self, user: User) -> None:
        user.add("x")
        user.add(MATRIX_ID, "film")
        user.add(UNKNOWN_ID)
        assert user.stats().json()["data"]["total"] == 0


class TestRemove:
    @pytest.mark.parametrize(
        "content_id",
        [MATRIX_ID, UNKNOWN_ID, "x", MATRIX_ID + "0", "%20", "%2e%2e", "a%2Fb", "%00", "%FF", "*", "$ne", "%E2%80%A6"],
    )
    def test_of_an_id_that_is_not_on_the_list_is_404(self, user: User, content_id: str) -> None:
        assert told(user.remove(content_id)) == NOT_IN_LIST

    def test_of_a_removed_item_is_404(self, user: User) -> None:
        user.add(MATRIX_ID)
        user.remove(MATRIX_ID)
        assert told(user.remove(MATRIX_ID)) == NOT_IN_LIST

    def test_of_an_item_of_another_user_is_404(self, user: User, client: httpx.Client) -> None:
        user.add(MATRIX_ID)
        assert told(User(client, f"{user.id}-other").remove(MATRIX_ID)) == NOT_IN_LIST
        assert user.contents() == [MATRIX_ID]


class TestOrderOfChecks:
    """If a request has several faults, the error names the fault that the service checks first."""

    def test_add_checks_user_fields_type_content_and_list_in_order(self, user: User) -> None:
        nobody = User(user.client, "")
        assert told(nobody.add("", "film")) == USER_ID_REQUIRED
        assert told(post(nobody, b"{", {})) == USER_ID_REQUIRED
        assert told(user.add("", "film")) == FIELDS_REQUIRED
        assert told(user.add("malformed", "film")) == INVALID_CONTENT_TYPE
        assert told(user.add("malformed", "movie"))[1] == "CONTENT_NOT_FOUND"
        assert user.add(MATRIX_ID).status_code == 201
        assert told(user.add(MATRIX_ID)) == ALREADY_IN_LIST

    def test_remove_checks_the_user_before_the_list(self, client: httpx.Client) -> None:
        assert told(User(client, "").remove("malformed")) == USER_ID_REQUIRED
        assert told(User(client, "nobody").remove("malformed")) == NOT_IN_LIST

    def test_route_and_method_are_checked_before_the_user(self, client: httpx.Client) -> None:
        assert told(client.post("/api/mylist/nothing")) == ROUTE_NOT_FOUND
        assert told(client.put("/api/mylist/add"))[0] == 405


class TestFullList:
    @pytest.fixture(scope="class")
    @staticmethod
    def small(serve: Serve, titles: None) -> Iterator[httpx.Client]:  # noqa: ARG004 - there before the first call
        with connect(serve(MAX_LIST_SIZE="3")) as client:
            yield client

    @pytest.mark.parametrize("reads_before", [True, False], ids=["cached", "uncached"])
    def test_refuses_another_item(self, small: httpx.Client, user_id: str, reads_before: bool) -> None:
        user = User(small, user_id)
        for content_id in MOVIE_IDS[:3]:
            assert user.add(content_id).status_code == 201
            assert user.items().status_code == 200 or not reads_before

        assert told(user.add(MATRIX_ID)) == (422, "LIST_FULL", "Your list is full: it may hold 3 items")
        assert told(user.add(SHOW_ID, "tvshow"))[:2] == (422, "LIST_FULL")
        assert set(user.contents()) == set(MOVIE_IDS[:3])

    def test_returns_409_for_an_item_that_is_already_on_it(self, small: httpx.Client, user_id: str) -> None:
        user = User(small, user_id)
        for content_id in MOVIE_IDS[:3]:
            user.add(content_id)
        assert told(user.add(MOVIE_IDS[2])) == ALREADY_IN_LIST
        assert user.items().status_code == 200
        assert told(user.add(MOVIE_IDS[2])) == ALREADY_IN_LIST

    def test_still_returns_404_for_an_unknown_title(self, small: httpx.Client, user_id: str) -> None:
        user = User(small, user_id)
        for content_id in MOVIE_IDS[:3]:
            user.add(content_id)
        assert told(user.add(UNKNOWN_ID))[1] == "CONTENT_NOT_FOUND"

    def test_accepts_another_item_after_a_removal(self, small: httpx.Client, user_id: str) -> None:
        user = User(small, user_id)
        for content_id in MOVIE_IDS[:3]:
            user.add(content_id)
        user.remove(MOVIE_IDS[1])
        assert user.add(MATRIX_ID).status_code == 201


class TestRoutes:
    @pytest.mark.parametrize(
        "path",
        [
            "/api",
            "/api/mylist",
            "/api/mylist/",
            "/api/mylist/remove/",
            "/api/mylist/items/1/2",
            "//health",
            "/favicon.ico",
        ],
    )
    @pytest.mark.parametrize("method", ["GET", "POST", "DELETE", "OPTIONS"])
    def test_that_do_not_exist_are_404(self, service: Service, method: str, path: str) -> None:
        answer = send(service.url, f"{method} {path} HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n".encode())
        assert told(answer) == ROUTE_NOT_FOUND
        assert answer.json()["path"] == path
        assert answer.json()["method"] == method

    @pytest.mark.parametrize(
        ("path", "allowed"),
        [
            ("/api/mylist/add", "OPTIONS, POST"),
            (f"/api/mylist/remove/{MATRIX_ID}", "DELETE, OPTIONS"),
            ("/api/mylist/items", "DELETE, GET, HEAD, OPTIONS"),
            ("/api/mylist/stats", "GET, HEAD, OPTIONS"),
            ("/health", "GET, HEAD, OPTIONS"),
            ("/livez", "GET, HEAD, OPTIONS"),
            ("/readyz", "GET, HEAD, OPTIONS"),
            ("/openapi.json", "GET, HEAD, OPTIONS"),
        ],
    )
    def test_name_the_allowed_methods_in_a_405(self, user: User, path: str, allowed: str) -> None:
        for method in {"GET", "POST", "PUT", "PATCH", "DELETE", "BREW"} - set(allowed.split(", ")):
            answer = user.client.request(method, path, headers=user.headers)
            assert told(answer) == (405, "METHOD_NOT_ALLOWED", "Method not allowed")
            assert answer.headers["allow"] == allowed


class TestHttp:
    """Requests that no well-behaved client sends."""

    def call(self, service: Service, request: bytes, *, timeout_s: float = 5.0) -> Answer:
        answer = send(service.url, request, timeout_s=timeout_s)
        check_shape("", "", answer.status, answer.body)
        assert answer.headers["connection"] == "close"
        return answer

    @pytest.mark.parametrize(
        "request_line",
        [
            b"NONSENSE",
            b"GET",
            b"GET /health",
            b"GET  HTTP/1.1",
            b"GET /health HTTP/9.9",
            b"GET /h\xffealth HTTP/1.1",
            b"\x00\x01",
        ],
    )
    def test_malformed_request_line_is_400(self, service: Service, request_line: bytes) -> None:
        assert told(self.call(service, request_line + b"\r\nHost: x\r\n\r\n")) == MALFORMED

    @pytest.mark.parametrize(
        "header",
        [b"no colon", b"Content-Length: some", b"Content-Length: -1", b"Content-Length: 1\r\nContent-Length: 2"],
    )
    def test_malformed_header_is_400(self, service: Service, header: bytes) -> None:
        request = b"POST /api/mylist/add HTTP/1.1\r\nHost: x\r\nuser-id: a\r\n" + header + b"\r\n\r\n"
        assert told(self.call(service, request)) == MALFORMED

    def test_malformed_chunk_is_400(self, service: Service) -> None:
        head = b"POST /api/mylist/add HTTP/1.1\r\nHost: x\r\nuser-id: a\r\nTransfer-Encoding: chunked\r\n"
        head += b"Content-Type: application/json\r\n\r\n"
        assert told(self.call(service, head + b"zz\r\n{}\r\n0\r\n\r\n")) == MALFORMED

    def test_body_over_64_kib_is_413(self, user: User, service: Service) -> None:
        expected = (413, "BODY_TOO_LARGE", "The body is too large")
        head = f"POST /api/mylist/add HTTP/1.1\r\nHost: x\r\nuser-id: {user.id}\r\nContent-Type: application/json\r\n"
        announced = f"{head}Content-Length: {64 * 1024 + 1}\r\n\r\n".encode()
        chunked = f"{head}Transfer-Encoding: chunked\r\n\r\n{64 * 1024 + 1:x}\r\n".encode() + b" " * (64 * 1024 + 1)

        assert told(self.call(service, announced)) == expected
        assert told(self.call(service, chunked + b"\r\n0\r\n\r\n")) == expected

    def test_body_of_64_kib_is_read(self, user: User) -> None:
        content = f'{{"contentId": "{MATRIX_ID}", "contentType": "movie"}}'.encode().ljust(64 * 1024)
        assert post(user, content, JSON).status_code == 201

    def test_url_over_16_kib_is_414(self, service: Service) -> None:
        expected = (414, "URI_TOO_LONG", "The URL is too long")
        url = b"GET /health?" + b"x" * 17_000
        assert told(self.call(service, url)) == expected
        assert told(self.call(service, url + b" HTTP/1.1\r\nHost: x\r\n\r\n")) == expected

    @pytest.mark.parametrize(
        "headers", [b"X: " + b"x" * 17_000, b"".join(b"X-%d: some text\r\n" % each for each in range(1200))]
    )
    def test_headers_over_16_kib_are_431(self, service: Service, headers: bytes) -> None:
        request = b"GET /health HTTP/1.1\r\nHost: x\r\n" + headers + b"\r\n\r\n"
        assert told(self.call(service, request)) == (431, "HEADERS_TOO_LARGE", "The headers are too large")

    def test_expectation_that_cannot_be_met_is_417(self, service: Service) -> None:
        request = b"POST /api/mylist/add HTTP/1.1\r\nHost: x\r\nExpect: wonders\r\nContent-Length: 2\r\n\r\n{}"
        assert told(self.call(service, request))[:2] == (417, "EXPECTATION_FAILED")

    def test_service_still_answers_after_these_requests(self, user: User) -> None:
        assert user.add(MATRIX_ID).status_code == 201
