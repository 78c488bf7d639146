"""The documentation at `/docs`: the files as served. test_docs_in_browser.py opens them in a browser."""

import gzip
import re

import httpx
import pytest

from devtools.service_process import Service
from tests.conftest import Serve
from tests.contract import test_headers
from tests.contract.conftest import connect
from tests.contract.raw_http import send

JAVASCRIPT = "text/javascript; charset=utf-8"
CONTENT_TYPES = {
    "/docs": "text/html; charset=utf-8",
    "/docs/": "text/html; charset=utf-8",
    "/docs/start.js": JAVASCRIPT,
    "/docs/swagger-ui-bundle.js": JAVASCRIPT,
    "/docs/swagger-ui.css": "text/css; charset=utf-8",
}
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
ENCODINGS = ["gzip", "identity"]


@pytest.mark.parametrize("path", CONTENT_TYPES)
class TestFiles:
    @pytest.mark.parametrize("encoding", ENCODINGS)
    def test_have_the_common_headers_and_their_own(self, client: httpx.Client, path: str, encoding: str) -> None:
        answer = client.get(path, headers={"Accept-Encoding": encoding})

        assert answer.status_code == 200
        assert answer.headers["content-type"] == CONTENT_TYPES[path]
        assert answer.headers["cache-control"] == "private, no-cache"
        assert "Accept-Encoding" in answer.headers["vary"]
        assert re.fullmatch(r'"[0-9a-f]{16}"', answer.headers["etag"])
        policy = {"content-security-policy": POLICY} if path in {"/docs", "/docs/"} else {}
        assert (test_headers.TestSecurityHeaders.EXPECTED | policy).items() <= dict(answer.headers).items()

    @pytest.mark.parametrize("encoding", ENCODINGS)
    def test_have_no_body_for_head_and_for_a_matching_etag(
        self, client: httpx.Client, path: str, encoding: str
    ) -> None:
        def ask(method: str, **headers: str) -> httpx.Response:
            return client.request(method, path, headers={"Accept-Encoding": encoding} | headers)

        of_get, of_head = ask("GET"), ask("HEAD")
        known = ask("GET", **{"If-None-Match": of_get.headers["etag"]})
        changed = ask("GET", **{"If-None-Match": '"other"'})

        assert (of_head.status_code, of_head.content) == (200, b"")
        assert test_headers.without(of_head, {"x-request-id"}) == test_headers.without(of_get, {"x-request-id"})
        assert (known.status_code, known.content) == (304, b"")
        for name in ("etag", "cache-control", "vary", "content-security-policy"):
            assert known.headers[name] == of_get.headers[name]
        assert changed.status_code == 200

    @pytest.mark.parametrize(
        ("accepted", "given"),
        [
            *((each, "gzip") for each in ("gzip", "br, gzip", "deflate,GZIP;q=0.1", "gzip ; q=1.0, br", "gzip;q=0.01")),
            *((each, "") for each in ("", "identity", "br", "x-gzip", "gzip;q=0", "gzip; q=0.0, br", "*")),
        ],
    )
    def test_are_compressed_if_the_client_accepts_gzip(
        self, service: Service, path: str, accepted: str, given: str
    ) -> None:
        plain = send(service.url, f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        head = f"GET {path} HTTP/1.1\r\nHost: x\r\nAccept-Encoding: {accepted}\r\n\r\n"
        answer = send(service.url, head.encode())

        assert answer.headers.get("content-encoding", "") == given
        assert (gzip.decompress(answer.body) if given else answer.body) == plain.body
        assert (answer.headers["etag"] == plain.headers["etag"]) == (not given)

    @pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
    def test_are_read_only(self, client: httpx.Client, path: str, method: str) -> None:
        answer = client.request(method, path)
        assert answer.status_code == 405
        assert answer.headers["allow"] == "GET, HEAD, OPTIONS"


@pytest.mark.parametrize(
    "path",
    [
        "/docs/page.html",
        "/docs/__init__.py",
        "/docs/swagger-ui-bundle.js/",
        "/docs/swagger-ui-bundle.js.map",
        "/docs/../docs",
        "/docs/..%2fapp.py",
        "/docs/%2e%2e/app.py",
        "/docs//etc/passwd",
    ],
)
def test_no_other_path_below_docs_is_served(service: Service, path: str) -> None:
    answer = send(service.url, f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
    assert (answer.status, answer.json()["code"]) == (404, "ROUTE_NOT_FOUND")


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_the_root_path_redirects_to_the_docs(client: httpx.Client, method: str) -> None:
    answer = client.request(method, "/")

    # The location is relative, so it is correct below any prefix.
    assert (answer.status_code, answer.headers["location"]) == (307, "docs")
    assert answer.headers["content-type"] == "application/json; charset=utf-8"
    assert client.request(method, "/", follow_redirects=True).headers["content-type"] == CONTENT_TYPES["/docs"]
    for link in client.get("/").json().values():
        assert client.get(f"/{link}").status_code == 200


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
def test_the_root_path_is_read_only(client: httpx.Client, method: str) -> None:
    answer = client.request(method, "/")
    assert (answer.status_code, answer.headers["allow"]) == (405, "GET, HEAD, OPTIONS")


def test_the_docs_can_be_switched_off(serve: Serve) -> None:
    with connect(serve(DOCS="false")) as client:
        for path in ("/", *CONTENT_TYPES):
            answer = client.get(path)
            assert (answer.status_code, answer.json()["code"]) == (404, "ROUTE_NOT_FOUND")
        assert client.get("/openapi.json").status_code == 200
