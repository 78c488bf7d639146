"""The headers of answers: caching, CORS, security, request ids, and whether the list came from Redis."""

import re
from functools import partial
from typing import ClassVar
from uuid import uuid4

import httpx
import pytest

from devtools.service_process import Service
from tests.conftest import Serve
from tests.contract.conftest import User, connect
from tests.contract.raw_http import send
from tests.contract.titles import MATRIX_ID, MOVIE_IDS, UNKNOWN_ID

READABLE = ["/api/mylist/items", "/api/mylist/stats", "/health", "/livez", "/readyz", "/openapi.json"]
UNCHANGING = [path for path in READABLE if path != "/health"]
ORIGIN = "https://tv.example"


class TestHead:
    @pytest.mark.parametrize("path", READABLE)
    def test_returns_the_headers_of_get_without_a_body(self, user: User, path: str) -> None:
        user.add(MATRIX_ID)
        user.client.get(path, headers=user.headers)
        of_get = user.client.get(path, headers=user.headers)
        of_head = user.client.head(path, headers=user.headers)

        assert of_head.status_code == of_get.status_code == 200
        assert of_head.content == b""
        assert of_head.headers["content-length"] == str(len(of_get.content))
        differ = {"x-request-id"} | ({"etag"} if path == "/health" else set())
        assert without(of_head, differ) == without(of_get, differ)

    def test_of_metrics_has_the_content_type_of_get_and_no_body(self, client: httpx.Client) -> None:
        of_get, of_head = client.get("/metrics"), client.head("/metrics")

        assert of_head.status_code == 200
        assert of_head.content == b""
        assert of_head.headers["content-type"] == of_get.headers["content-type"]

    def test_of_a_failing_request_has_its_status(self, client: httpx.Client) -> None:
        assert client.head("/nowhere").status_code == 404
        assert client.head("/api/mylist/add").status_code == 405
        assert client.head("/api/mylist/items").status_code == 400


class TestETag:
    @pytest.mark.parametrize("path", UNCHANGING)
    def test_is_the_same_for_the_same_body(self, user: User, path: str) -> None:
        first, second = (user.client.get(path, headers=user.headers) for _ in range(2))

        assert re.fullmatch(r'"[0-9a-f]{16}"', first.headers["etag"])
        assert second.headers["etag"] == first.headers["etag"]
        assert second.content == first.content

    @pytest.mark.parametrize("path", UNCHANGING)
    @pytest.mark.parametrize("method", ["GET", "HEAD"])
    @pytest.mark.parametrize("form", ["{}", "W/{}", '"other", {}', '{}, "other"', 'W/"other" ,W/{}', "*", '"other", *'])
    def test_that_matches_if_none_match_is_304(self, user: User, path: str, method: str, form: str) -> None:
        user.add(MATRIX_ID)
        etag = user.client.get(path, headers=user.headers).headers["etag"]
        answer = user.client.request(method, path, headers=user.headers | {"If-None-Match": form.format(etag)})

        assert answer.status_code == 304
        assert answer.content == b""
        assert answer.headers["etag"] == etag
        assert answer.headers["cache-control"] == "private, no-cache"
        assert "user-id" in answer.headers["vary"]
        assert "content-type" not in answer.headers

    @pytest.mark.parametrize("given", ['"other"', 'W/"other", "another"', "", "nonsense", '"', ",,"])
    def test_that_does_not_match_is_200(self, user: User, given: str) -> None:
        assert user.stats(**{"If-None-Match": given}).status_code == 200

    def test_changes_with_every_write(self, user: User) -> None:
        seen = [user.items().headers["etag"]]
        for change in (partial(user.add, MATRIX_ID), partial(user.add, MOVIE_IDS[0]), partial(user.remove, MATRIX_ID)):
            change()
            answer = user.items(**{"If-None-Match": seen[-1]})
            assert answer.status_code == 200
            assert answer.headers["etag"] not in seen
            seen.append(answer.headers["etag"])

    def test_differs_between_pages_and_users(self, user: User) -> None:
        user.add(MATRIX_ID)
        other = User(user.client, f"{user.id}-other")
        tags = [
            answer.headers["etag"]
            for answer in (user.items(), user.items("?page=2"), user.items("?pageSize=5"), other.items())
        ]
        assert len(set(tags)) == 4

    def test_is_absent_from_errors_and_writes(self, user: User) -> None:
        for answer in (user.add(UNKNOWN_ID), user.add(MATRIX_ID), user.remove(MATRIX_ID), user.remove(MATRIX_ID)):
            assert "etag" not in answer.headers

    def test_if_none_match_does_not_turn_an_error_into_a_304(self, client: httpx.Client) -> None:
        assert client.get("/api/mylist/items", headers={"If-None-Match": "*"}).status_code == 400


class TestRequestId:
    def test_is_returned_in_the_answer(self, user: User) -> None:
        request_id = str(uuid4())
        assert user.stats(**{"X-Request-ID": request_id}).headers["x-request-id"] == request_id
        failed = user.client.get("/nowhere", headers={"X-Request-ID": request_id})
        assert failed.headers["x-request-id"] == failed.json()["requestId"] == request_id
        assert (
            user.client.options("/health", headers={"X-Request-ID": request_id}).headers["x-request-id"] == request_id
        )

    def test_is_generated_if_the_client_sends_none(self, client: httpx.Client) -> None:
        made = [client.get("/livez").headers["x-request-id"] for _ in range(3)]
        assert all(made)
        assert len(set(made)) == 3

    @pytest.mark.parametrize("given", [b"", b"two words", b"x" * 129, b'a"b', b"{}", b"\xff\xfe", b"caf\xc3\xa9"])
    def test_that_is_malformed_is_replaced(self, service: Service, given: bytes) -> None:
        answer = send(service.url, b"GET /livez HTTP/1.1\r\nHost: x\r\nX-Request-ID: " + given + b"\r\n\r\n")
        assert answer.status == 200
        assert re.fullmatch(r"[0-9a-f-]+", answer.headers["x-request-id"])

    def test_is_not_reused_for_the_next_request_on_the_connection(self, client: httpx.Client) -> None:
        assert client.get("/livez", headers={"X-Request-ID": "first"}).headers["x-request-id"] == "first"
        assert client.get("/livez").headers["x-request-id"] != "first"


class TestCors:
    def test_lets_any_origin_read_the_answers(self, user: User) -> None:
        for answer in (user.items(Origin=ORIGIN), user.client.get("/nowhere", headers={"Origin": ORIGIN})):
            assert answer.headers["access-control-allow-origin"] == "*"
            exposed = answer.headers["access-control-expose-headers"].split(", ")
            assert exposed == [
                "ETag",
                "Link",
                "Retry-After",
                "WWW-Authenticate",
                "X-Cache",
                "X-List-Format",
                "X-Page-Size",
                "X-Request-ID",
                "X-Total-Count",
            ]
            assert "access-control-allow-credentials" not in answer.headers

    @pytest.mark.parametrize(
        ("path", "methods"),
        [
            ("/api/mylist/add", "OPTIONS, POST"),
            (f"/api/mylist/remove/{MATRIX_ID}", "DELETE, OPTIONS"),
            ("/api/mylist/items", "DELETE, GET, HEAD, OPTIONS"),
            ("/api/mylist/stats", "GET, HEAD, OPTIONS"),
            ("/health", "GET, HEAD, OPTIONS"),
        ],
    )
    def test_preflight_names_methods_and_headers(self, client: httpx.Client, path: str, methods: str) -> None:
        answer = client.options(
            path,
            headers={
                "Origin": ORIGIN,
                "Access-Control-Request-Method": methods.split(", ", maxsplit=1)[0],
                "Access-Control-Request-Headers": "content-type, user-id",
            },
        )
        assert answer.status_code == 204
        assert answer.content == b""
        assert answer.headers["allow"] == answer.headers["access-control-allow-methods"] == methods
        assert answer.headers["access-control-allow-headers"] == "content-type, user-id"
        assert answer.headers["access-control-allow-origin"] == "*"
        assert answer.headers["access-control-max-age"] == "600"

    def test_a_plain_options_request_gets_the_allow_header_but_no_cors_methods(self, client: httpx.Client) -> None:
        answer = client.options("/api/mylist/stats")
        assert answer.status_code == 204
        assert answer.headers["allow"] == "GET, HEAD, OPTIONS"
        assert "access-control-allow-methods" not in answer.headers

    @pytest.mark.parametrize("wanted", [b"user-id\xff", b"a;b", b"x" * 501, b"<script>"])
    def test_preflight_does_not_repeat_invalid_header_names(self, service: Service, wanted: bytes) -> None:
        answer = send(
            service.url,
            b"OPTIONS /health HTTP/1.1\r\nHost: x\r\nAccess-Control-Request-Method: GET\r\n"
            b"Access-Control-Request-Headers: " + wanted + b"\r\n\r\n",
        )
        assert answer.status == 204
        assert "access-control-allow-headers" not in answer.headers

    def test_can_be_limited_to_some_origins(self, serve: Serve) -> None:
        with connect(serve(CORS_ORIGINS=f"{ORIGIN}, https://other.example")) as client:
            for origin in (ORIGIN, "https://other.example"):
                allowed = client.get("/livez", headers={"Origin": origin})
                assert allowed.headers["access-control-allow-origin"] == origin
                assert allowed.headers["vary"] == "user-id, Origin"
            for headers in ({"Origin": "https://evil.example"}, {"Origin": "null"}, {}):
                refused = client.get("/livez", headers=headers)
                assert refused.status_code == 200
                assert "access-control-allow-origin" not in refused.headers
                assert refused.headers["vary"] == "user-id, Origin"

    def test_normalizes_the_configured_origins(self, serve: Serve) -> None:
        with connect(serve(CORS_ORIGINS="HTTPS://TV.example:443 , http://Localhost:5173")) as client:
            for origin in (ORIGIN, "http://localhost:5173"):
                answer = client.get("/livez", headers={"Origin": origin})
                assert answer.headers["access-control-allow-origin"] == origin
                assert "access-control-allow-credentials" not in answer.headers

    def test_allows_subdomains_by_wildcard(self, serve: Serve) -> None:
        with connect(serve(CORS_ORIGINS="https://*.ott.example,https://tv.example")) as client:
            for origin in ("https://web.ott.example", "https://a.b.ott.example", ORIGIN):
                answer = client.get("/api/mylist/items", headers={"Origin": origin})
                assert answer.headers["access-control-allow-origin"] == origin
                assert answer.headers["vary"] == "user-id, Origin"
            for origin in ("https://ott.example", "https://evilott.example", "http://web.ott.example"):
                answer = client.get("/api/mylist/items", headers={"Origin": origin})
                assert "access-control-allow-origin" not in answer.headers

    def test_allows_credentials_if_configured(self, serve: Serve) -> None:
        with connect(serve(CORS_ORIGINS=ORIGIN, CORS_CREDENTIALS="true")) as client:
            preflight = {"Access-Control-Request-Method": "GET", "Access-Control-Request-Headers": "authorization"}
            for answer in (
                client.get("/livez", headers={"Origin": ORIGIN}),
                client.options("/api/mylist/items", headers={"Origin": ORIGIN} | preflight),
            ):
                assert answer.headers["access-control-allow-credentials"] == "true"
                assert answer.headers["access-control-allow-origin"] == ORIGIN
                assert answer.headers["vary"] == "user-id, Origin"
            for headers in ({"Origin": "https://evil.example"}, {}):
                assert "access-control-allow-credentials" not in client.get("/livez", headers=headers).headers


class TestSecurityHeaders:
    EXPECTED: ClassVar = {
        "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
        "cross-origin-opener-policy": "same-origin",
        "cross-origin-resource-policy": "same-origin",
        "origin-agent-cluster": "?1",
        "referrer-policy": "no-referrer",
        "strict-transport-security": "max-age=31536000",
        "x-content-type-options": "nosniff",
        "x-dns-prefetch-control": "off",
        "x-download-options": "noopen",
        "x-frame-options": "SAMEORIGIN",
        "x-permitted-cross-domain-policies": "none",
        "x-xss-protection": "0",
    }

    def test_are_on_every_answer(self, user: User) -> None:
        answers = [
            user.add(MATRIX_ID),
            user.items(),
            user.stats(**{"If-None-Match": "*"}),
            user.remove(UNKNOWN_ID),
            user.client.get("/nowhere"),
            user.client.put("/health"),
            user.client.options("/health"),
            user.client.head("/readyz"),
        ]
        assert [answer.status_code for answer in answers] == [201, 200, 304, 404, 404, 405, 204, 200]
        for answer in answers:
            assert self.EXPECTED.items() <= dict(answer.headers).items()

    def test_are_on_answers_to_malformed_requests(self, service: Service) -> None:
        assert self.EXPECTED.items() <= send(service.url, b"NONSENSE\r\n\r\n").headers.items()

    @pytest.mark.parametrize(
        ("hsts", "sent"),
        [
            ("off", None),
            ("max-age=0", "max-age=0"),
            ("max-age=600;includesubdomains", "max-age=600; includeSubDomains"),
        ],
    )
    def test_contain_the_configured_hsts_value(self, serve: Serve, hsts: str, sent: str | None) -> None:
        with connect(serve(HSTS=hsts)) as client:
            for path in ("/livez", "/nowhere", "/api/mylist/items"):
                assert client.get(path).headers.get("strict-transport-security") == sent

    def test_do_not_name_the_server_software(self, client: httpx.Client) -> None:
        for answer in (client.get("/health"), client.get("/nowhere")):
            assert not {"server", "x-powered-by"} & set(answer.headers)


class TestCacheControl:
    def test_answers_about_lists_are_private_and_must_be_revalidated(self, user: User) -> None:
        assert user.items().headers["cache-control"] == "private, no-cache"
        assert user.add(MATRIX_ID).headers["cache-control"] == "private, no-cache"
        assert user.items().headers["vary"] == "user-id"

    def test_errors_are_not_stored(self, user: User) -> None:
        assert user.remove(MATRIX_ID).headers["cache-control"] == "no-store"


class TestXCache:
    def test_first_read_is_a_miss_and_later_reads_are_hits(self, user: User) -> None:
        assert user.items().headers["x-cache"] == "miss"
        assert user.items().headers["x-cache"] == "hit"
        assert user.items("?page=2&pageSize=3").headers["x-cache"] == "hit"
        assert user.stats().headers["x-cache"] == "hit"

    def test_read_after_a_write_misses_again(self, user: User) -> None:
        for write in (partial(user.add, MATRIX_ID), partial(user.add, MOVIE_IDS[0]), partial(user.remove, MATRIX_ID)):
            assert user.stats().headers["x-cache"] == "miss"
            assert user.stats().headers["x-cache"] == "hit"
            write()
        assert user.stats().headers["x-cache"] == "miss"

    def test_write_of_one_user_leaves_the_list_of_another_cached(self, user: User) -> None:
        other = User(user.client, f"{user.id}-other")
        other.items()
        user.add(MATRIX_ID)
        assert other.items().headers["x-cache"] == "hit"

    def test_is_on_304_and_head_too(self, user: User) -> None:
        user.items()
        assert user.items(**{"If-None-Match": "*"}).headers["x-cache"] == "hit"
        assert user.client.head("/api/mylist/stats", headers=user.headers).headers["x-cache"] == "hit"

    def test_is_absent_from_answers_that_read_no_list(self, user: User) -> None:
        for answer in (user.add(MATRIX_ID), user.client.get("/health"), user.client.get("/api/mylist/items")):
            assert "x-cache" not in answer.headers


def without(answer: httpx.Response, names: set[str]) -> dict[str, str]:
    """Return the headers of an answer, except for these."""
    return {name: value for name, value in answer.headers.items() if name not in names}
