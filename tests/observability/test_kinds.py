"""Rules and dashboards select requests by the `kind` that each route declares, and not by a pattern of the path."""

import re
from itertools import chain

from mylist.api.router import ROUTES
from tests.observability.rules import FOLDER, ROOT, TEST_FILES, load

PATTERN = re.compile(r"http_route\s*[=!]~")
LABEL = re.compile(r'(\w+)="([^"]*)"')


def test_no_expression_matches_routes_by_a_pattern() -> None:
    files = [path for path in chain(FOLDER.rglob("*"), (ROOT / "charts").rglob("*")) if path.is_file()]
    texts = {path: path.read_text() for path in files if path.suffix != ".pyc"}

    assert any('kind="write"' in text for text in texts.values())
    assert [path for path, text in texts.items() if PATTERN.search(text)] == []


def test_only_routes_outside_the_api_are_of_the_kind_other() -> None:
    of_api = {route.endpoint.labels.template for route in ROUTES if route.kind != "other"}

    assert of_api == {path for route in ROUTES if (path := route.endpoint.labels.template).startswith("/api/mylist/")}


def test_routes_that_change_a_list_are_writes_except_the_import() -> None:
    changing = {(route.method, route.endpoint.labels.template) for route in ROUTES if route.kind in {"write", "import"}}
    posts_that_read = {("POST", "/api/mylist/contains")}

    assert changing == {(route.method, route.endpoint.labels.template) for route in ROUTES if route.method != "GET"} - (
        posts_that_read
    )
    assert [route.endpoint.labels.template for route in ROUTES if route.kind == "import"] == ["/api/mylist/import"]


def test_rule_tests_use_only_declared_routes() -> None:
    declared = {(method, *route.endpoint.labels) for route in ROUTES for method in route.methods}
    given = [
        tuple(labels[name] for name in ("http_request_method", "http_route", "kind"))
        for path in TEST_FILES
        for test in load(path)["tests"]
        for each in test["input_series"]
        if "http_route" in (labels := dict(LABEL.findall(each["series"])))
    ]

    assert given
    assert set(given) <= declared
