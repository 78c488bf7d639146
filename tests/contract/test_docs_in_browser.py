"""The documentation at `/docs` in a browser."""

import json
import shutil
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import httpx
import pytest
from selenium.webdriver import Chrome, ChromeOptions
from selenium.webdriver.chrome.service import Service as Driver
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import Select, WebDriverWait

from devtools.service_process import Service
from tests.contract.conftest import User
from tests.contract.test_docs import CONTENT_TYPES
from tests.contract.titles import MOVIE_IDS
from tests.requirements import skip_or_fail

pytestmark = pytest.mark.extended

PATIENCE = 60


@pytest.fixture(scope="module")
def browser() -> Iterator[Chrome]:
    """A browser that reaches nothing but this machine."""
    programs = [shutil.which(name) for name in ("chromium", "chromedriver")]
    if not all(programs):
        skip_or_fail("there is no Chromium with its driver")
    options = ChromeOptions()
    options.binary_location = str(programs[0])
    for argument in (
        "--headless",
        "--no-sandbox",  # a sandbox needs rights that a container and root lack; the only page is the service's own
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
    """The browser, after the page has shown the routes."""
    drain(browser)
    browser.get(f"{service.url}/docs")
    WebDriverWait(browser, PATIENCE).until(lambda _: browser.find_elements(By.CLASS_NAME, "opblock"))
    return browser


def test_page_shows_every_route_except_head_routes(page: Chrome, service: Service, client: httpx.Client) -> None:
    paths: Any = client.get("/openapi.json").json()["paths"]
    shown = [
        (
            operation.find_element(By.CLASS_NAME, "opblock-summary-path").get_attribute("data-path"),
            operation.find_element(By.CLASS_NAME, "opblock-summary-method").text.lower(),
        )
        for operation in page.find_elements(By.CLASS_NAME, "opblock")
    ]

    assert sorted(shown) == sorted(
        (path, method) for path, item in paths.items() for method in item if method != "head"
    )
    assert page.title == "My List"
    requested, complaints = drain(page)
    assert requested == {f"{service.url}{path}" for path in (*CONTENT_TYPES, "/openapi.json") if path != "/docs/"}
    assert complaints == []


class _Gateway(BaseHTTPRequestHandler):
    """Forwards each path that begins with the prefix, without the prefix."""

    prefix = "/v2/lists"
    upstream: str

    def do_GET(self) -> None:
        self._forward()

    def do_POST(self) -> None:
        self._forward()

    def _forward(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        headers = dict(self.headers) | {"Accept-Encoding": "identity"}
        is_ours = self.path.startswith(f"{self.prefix}/")
        url = self.upstream + self.path.removeprefix(self.prefix) if is_ours else f"{self.upstream}/outside"
        answer = httpx.request(self.command, url, content=body, headers=headers)
        self.send_response(answer.status_code)
        for name, value in answer.headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(answer.content)

    def log_message(self, *_: object) -> None:
        """Log nothing."""


@pytest.fixture
def gateway(service: Service) -> Iterator[str]:
    """The URL of the service behind a gateway that serves it below a prefix."""
    handler = type("Gateway", (_Gateway,), {"upstream": service.url})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}{_Gateway.prefix}"
        server.shutdown()
        thread.join()


@pytest.mark.parametrize("path", ["/docs", "/docs/"])
def test_page_adds_an_item_below_a_path_prefix(browser: Chrome, gateway: str, user: User, path: str) -> None:
    drain(browser)
    browser.get(f"{gateway}{path}")
    WebDriverWait(browser, PATIENCE).until(lambda _: browser.find_elements(By.CLASS_NAME, "opblock"))
    add_in(browser, gateway, user)


def test_page_adds_an_item(page: Chrome, service: Service, user: User) -> None:
    add_in(page, service.url, user)


def add_in(page: Chrome, url: str, user: User) -> None:
    """Add an item on the page of the service that is at this URL."""
    other_than_the_example = MOVIE_IDS[0]
    find = try_out(page, "addItem")

    def fill(selector: str, text: str) -> None:
        find(selector).send_keys(Keys.CONTROL, "a")
        page.execute_cdp_cmd("Input.insertText", {"text": text})  # as pasted: Swagger UI is slow to handle each key

    fill("[data-param-name='user-id'] input", user.id)
    fill("textarea", json.dumps({"contentId": other_than_the_example, "contentType": "movie"}))
    find(".execute").click()

    assert find(".live-responses-table tbody .response-col_status").text.startswith("201")
    assert user.contents() == [other_than_the_example]
    requested, complaints = drain(page)
    assert f"{url}/api/mylist/add" in requested
    assert all(each.startswith(f"{url}/") for each in requested)
    assert complaints == []


def try_out(page: Chrome, operation_id: str) -> Any:
    """Open the form of an operation; return a function that finds an element within the form."""
    wait = WebDriverWait(page, PATIENCE)
    operation = page.find_element(By.ID, f"operations-list-{operation_id}")

    def find(selector: str) -> Any:
        return wait.until(lambda _: next(iter(operation.find_elements(By.CSS_SELECTOR, selector)), None))

    page.execute_script("arguments[0].click()", find(".opblock-summary-control"))
    page.execute_script("arguments[0].click()", find(".try-out__btn"))
    return find


def test_page_prefills_an_example_import_in_each_format(page: Chrome, client: httpx.Client) -> None:
    operation: Any = client.get("/openapi.json").json()["paths"]["/api/mylist/import"]["post"]
    content = operation["requestBody"]["content"]
    find = try_out(page, "importItems")
    names = Select(find("[aria-label='Request content type']"))
    assert [each.get_attribute("value") for each in names.options] == list(content)

    for name, media in content.items():
        names.select_by_value(name)
        shown = find("textarea").get_attribute("value").strip()
        if name == "application/json":
            assert json.loads(shown) == media["example"]
        else:  # two lines; of CSV, the first is the header
            assert shown.splitlines() == media["example"].splitlines(), name
            assert len(shown.splitlines()) == 2


def test_page_prefills_no_filter(page: Chrome) -> None:
    find = try_out(page, "getItems")

    assert find("[data-param-name='user-id'] input").get_attribute("value") == "507f1f77bcf86cd799439011"
    assert find("[data-param-name='q'] input").get_attribute("value") == ""
    assert find("[data-param-name='sort'] select").get_attribute("value") == ""
    # The page shows an input only for a genre that its reader adds.
    assert not find("[data-param-name='genre']").find_elements(By.CSS_SELECTOR, "input")


def test_page_runs_no_inline_script_and_sends_no_request_to_another_host(page: Chrome) -> None:
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
    """Return the URLs that the browser has requested since the last call, and its complaints."""
    traffic, console = (browser.get_log(name) for name in ("performance", "browser"))  # type: ignore[no-untyped-call]
    events = [json.loads(entry["message"])["message"] for entry in traffic]
    urls = {each["params"]["request"]["url"] for each in events if each["method"] == "Network.requestWillBeSent"}
    return {url for url in urls if not url.startswith("data:")}, [entry["message"] for entry in console]
