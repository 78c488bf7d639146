"""The documentation at `/docs`: the files as they are served, and what a browser makes of them."""

import gzip
import json
import re
import shutil
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from selenium.webdriver import Chrome, ChromeOptions
from selenium.webdriver.chrome.service import Service as Driver
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import WebDriverWait

from devtools.service_process import Service
from tests.conftest import Serve
from tests.contract import test_headers
from tests.contract.conftest import User, connect
from tests.contract.titles import MOVIE_IDS
from tests.contract.wire import send
from tests.requirements import cannot

pytestmark = pytest.mark.extended

JAVASCRIPT = "text/javascript; charset=utf-8"
CONTENT_TYPES = {
    "/docs": "text/html; charset=utf-8",
    "/docs/start.js": JAVASCRIPT,
    "/docs/swagger-ui-bundle.js": JAVASCRIPT,
    "/docs/swagger-ui.css": "text/css; charset=utf-8",
}
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
ENCODINGS = ["gzip", "identity"]
PATIENCE = 60


@pytest.mark.parametrize("path", CONTENT_TYPES)
class TestFiles:
    @pytest.mark.parametrize("encoding", ENCODINGS)
    def test_have_the_headers_of_every_answer_and_their_own(
        self, client: httpx.Client, path: str, encoding: str
    ) -> None:
        answer = client.get(path, headers={"Accept-Encoding": encoding})

        assert answer.status_code == 200
        assert answer.headers["content-type"] == CONTENT_TYPES[path]
        assert answer.headers["cache-control"] == "private, no-cache"
        assert "Accept-Encoding" in answer.headers["vary"]
        assert re.fullmatch(r'"[0-9a-f]{16}"', answer.headers["etag"])
        policy = {"content-security-policy": POLICY} if path == "/docs" else {}
        assert (test_headers.TestSecurityHeaders.EXPECTED | policy).items() <= dict(answer.headers).items()

    @pytest.mark.parametrize("encoding", ENCODINGS)
    def test_are_answered_without_the_body_to_head_and_to_who_has_them(
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
    def test_are_compressed_for_who_can_take_it(self, service: Service, path: str, accepted: str, given: str) -> None:
        plain = send(service.url, f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        head = f"GET {path} HTTP/1.1\r\nHost: x\r\nAccept-Encoding: {accepted}\r\n\r\n"
        answer = send(service.url, head.encode())

        assert answer.headers.get("content-encoding", "") == given
        assert (gzip.decompress(answer.body) if given else answer.body) == plain.body
        assert (answer.headers["etag"] == plain.headers["etag"]) == (not given)

    @pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
    def test_are_only_read(self, client: httpx.Client, path: str, method: str) -> None:
        answer = client.request(method, path)
        assert answer.status_code == 405
        assert answer.headers["allow"] == "GET, HEAD, OPTIONS"


@pytest.mark.parametrize(
    "path",
    [
        "/docs/",
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
def test_nothing_else_is_served(service: Service, path: str) -> None:
    answer = send(service.url, f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
    assert (answer.status, answer.json()["code"]) == (404, "ROUTE_NOT_FOUND")


def test_can_be_off(serve: Serve) -> None:
    with connect(serve(DOCS="false")) as client:
        for path in CONTENT_TYPES:
            answer = client.get(path)
            assert (answer.status_code, answer.json()["code"]) == (404, "ROUTE_NOT_FOUND")
        assert client.get("/openapi.json").status_code == 200


@pytest.fixture(scope="module")
def browser() -> Iterator[Chrome]:
    """A browser that reaches nothing but this machine."""
    programs = [shutil.which(name) for name in ("chromium", "chromedriver")]
    if not all(programs):
        cannot("there is no Chromium with its driver")
    options = ChromeOptions()
    options.binary_location = str(programs[0])
    for argument in (
        "--headless",
        "--no-sandbox",  # which needs rights that a container and root lack; the only page is the service's own
        "--disable-dev-shm-usage",  # small in a container
        "--no-proxy-server",
        "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
    ):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    with Chrome(options, Driver(programs[1])) as browser:
        browser.set_page_load_timeout(PATIENCE)
        yield browser


@pytest.fixture
def page(browser: Chrome, service: Service) -> Chrome:
    """The browser, with the page as it is once the routes are shown."""
    drain(browser)
    browser.get(f"{service.url}/docs")
    WebDriverWait(browser, PATIENCE).until(lambda _: browser.find_elements(By.CLASS_NAME, "opblock"))
    return browser


def test_page_shows_every_route(page: Chrome, service: Service, client: httpx.Client) -> None:
    paths: Any = client.get("/openapi.json").json()["paths"]
    shown = [
        (
            operation.find_element(By.CLASS_NAME, "opblock-summary-path").get_attribute("data-path"),
            operation.find_element(By.CLASS_NAME, "opblock-summary-method").text.lower(),
        )
        for operation in page.find_elements(By.CLASS_NAME, "opblock")
    ]

    assert sorted(shown) == sorted((path, method) for path, item in paths.items() for method in item)
    assert page.title == "My List"
    requested, complaints = drain(page)
    assert requested == {f"{service.url}{path}" for path in (*CONTENT_TYPES, "/openapi.json")}
    assert complaints == []


def test_page_adds_an_item(page: Chrome, service: Service, user: User) -> None:
    other_than_the_example = MOVIE_IDS[0]
    wait = WebDriverWait(page, PATIENCE)
    operation = page.find_element(By.ID, "operations-list-addItem")

    def find(selector: str) -> Any:
        return wait.until(lambda _: next(iter(operation.find_elements(By.CSS_SELECTOR, selector)), None))

    def fill(selector: str, text: str) -> None:
        find(selector).send_keys(Keys.CONTROL, "a")
        page.execute_cdp_cmd("Input.insertText", {"text": text})  # as pasted: Swagger UI takes its time for each key

    find(".opblock-summary-control").click()
    find(".try-out__btn").click()
    fill("[data-param-name='user-id'] input", user.id)
    fill("textarea", json.dumps({"contentId": other_than_the_example, "contentType": "movie"}))
    find(".execute").click()

    assert find(".live-responses-table tbody .response-col_status").text.startswith("201")
    assert user.contents() == [other_than_the_example]
    requested, complaints = drain(page)
    assert f"{service.url}/api/mylist/add" in requested
    assert all(url.startswith(f"{service.url}/") for url in requested)
    assert complaints == []


def test_page_runs_and_asks_nothing_that_is_not_its_own(page: Chrome) -> None:
    page.execute_script("""
        const script = document.createElement("script")
        script.textContent = "window.ran = true"
        document.body.append(script)
    """)
    failed = page.execute_async_script("fetch('http://other.example/').catch(error => arguments[0](error.name))")

    assert page.execute_script("return window.ran") is None
    assert failed == "TypeError"
    _, complaints = drain(page)
    assert len([each for each in complaints if "Content Security Policy" in each]) >= 2


def drain(browser: Chrome) -> tuple[set[str], list[str]]:
    """What was asked of whom since the last look, and what the browser complained of meanwhile."""
    traffic, console = (browser.get_log(name) for name in ("performance", "browser"))  # type: ignore[no-untyped-call]
    events = [json.loads(entry["message"])["message"] for entry in traffic]
    urls = {each["params"]["request"]["url"] for each in events if each["method"] == "Network.requestWillBeSent"}
    return {url for url in urls if not url.startswith("data:")}, [entry["message"] for entry in console]
