"""The OpenAPI document: it is well-formed, and describes exactly the routes of the API."""

import json
import re
from collections.abc import Iterator
from http import HTTPStatus
from typing import Any

import httpx
import pytest
from sanic import Sanic

from mylist import __version__
from mylist.app import build_app, build_services
from mylist.config.settings import Settings

# Routes that are not for the API's clients.
NOT_OF_THE_API = {
    "/openapi.json",  # this document
    "/metrics",  # for Prometheus, in formats of its own
    "/",  # redirects to the page for people:
    *("/docs", "/docs/start.js", "/docs/swagger-ui-bundle.js", "/docs/swagger-ui.css"),  # that page
}
METHODS = {"get", "head", "post", "put", "delete"}
READABLE = (
    "/api/mylist/items",
    "/api/mylist/stats",
    "/api/mylist/changes",
    "/api/mylist/export",
    "/api/mylist/limits",
)
LINES = {"/api/mylist/export", "/api/mylist/import"}
HEADER_ONLY = {"204", "304"}


@pytest.fixture(scope="module")
def document(client: httpx.Client) -> Any:
    answer = client.get("/openapi.json")
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/json; charset=utf-8"
    return answer.json()


def operations(document: Any) -> Iterator[tuple[str, str, Any]]:
    for path, item in document["paths"].items():
        for method, operation in item.items():
            yield path, method, operation


def nodes(node: Any) -> Iterator[dict[str, Any]]:
    if isinstance(node, dict):
        yield node
    for each in node.values() if isinstance(node, dict) else node if isinstance(node, list) else ():
        yield from nodes(each)


def test_the_document_has_the_version_of_the_service(document: Any) -> None:
    assert document["openapi"].startswith("3.1.")
    assert document["info"]["title"] == "My List"
    assert document["info"]["version"] == __version__
    assert document["info"]["license"]["identifier"] == "ISC"
    assert set(document) <= {"openapi", "info", "servers", "paths", "components", "tags"}


def test_the_document_has_every_route(document: Any) -> None:
    assert {(path, method) for path, method, _ in operations(document)} == {
        ("/api/mylist/add", "post"),
        ("/api/mylist/remove/{contentId}", "delete"),
        ("/api/mylist/items/{contentId}", "put"),
        ("/api/mylist/items/{contentId}", "delete"),
        ("/api/mylist/batch", "post"),
        ("/api/mylist/contains", "post"),
        ("/api/mylist/items", "delete"),
        ("/api/mylist/import", "post"),
        *((path, method) for path in READABLE for method in ("get", "head")),
        *((path, method) for path in ("/health", "/livez", "/readyz") for method in ("get", "head")),
    }


def test_the_document_omits_only_routes_outside_the_api(document: Any) -> None:
    app = build_app(build_services(Settings()))
    try:
        served = {"/" + re.sub(r"<[^>]+>", "{}", route.path) for route in app.router.routes}
    finally:
        Sanic.unregister_app(app)

    assert served - {re.sub(r"{\w+}", "{}", path) for path in document["paths"]} == NOT_OF_THE_API


def test_every_reference_has_a_target(document: Any) -> None:
    references = {node["$ref"] for node in nodes(document) if "$ref" in node}
    assert references
    for reference in references:
        assert reference.startswith("#/")
        target = document
        for step in reference.removeprefix("#/").split("/"):
            target = target[step]


def test_schemas_are_all_used(document: Any) -> None:
    references = {node["$ref"].rpartition("/")[2] for node in nodes(document) if "$ref" in node}
    assert references == set(document["components"]["schemas"])


def test_operations_have_unique_ids_summaries_tags_and_complete_parameters_and_responses(document: Any) -> None:
    for path, method, operation in operations(document):
        assert method in METHODS
        assert operation["summary"]
        assert operation["tags"]
        for status, response in operation["responses"].items():
            assert HTTPStatus(int(status))
            assert response["description"]
            assert ("content" in response) == (method != "head" and status not in HEADER_ONLY)
            lines = path in LINES and status == "200"
            types = {"application/x-ndjson" if lines else "application/json"}
            assert set(response.get("content", {})) <= types | ({"text/csv"} if path.endswith("/export") else set())
        in_path = {each["name"] for each in operation["parameters"] if each["in"] == "path"}
        assert in_path == set(re.findall(r"{(\w+)}", path))
        assert all(each["required"] for each in operation["parameters"] if each["in"] == "path")
        names = [(each["name"], each["in"]) for each in operation["parameters"]]
        assert len(set(names)) == len(names)
    ids = [operation["operationId"] for _, _, operation in operations(document)]
    assert len(set(ids)) == len(ids)


def test_external_ids_are_described_wherever_a_request_names_a_title(document: Any) -> None:
    told = {
        path: each["description"]
        for path, _, operation in operations(document)
        for each in operation["parameters"]
        if each["name"] == "contentId"
    }
    schemas = document["components"]["schemas"]
    told |= {name: schemas[name]["properties"]["contentId"]["description"] for name in ("AddRequest", "ImportLine")}
    told["contains"] = schemas["ContainsRequest"]["properties"]["contentIds"]["items"]["description"]
    told["batch"] = schemas["BatchRequest"]["properties"]["remove"]["items"]["description"]

    assert {"/api/mylist/remove/{contentId}", "/api/mylist/items/{contentId}"} <= told.keys()
    for place, description in told.items():
        assert "an external id such as imdb:tt0133093" in description, place


def test_the_user_id_is_required_on_every_api_route_except_limits(document: Any) -> None:
    for path, _, operation in operations(document):
        required = {each["name"] for each in operation["parameters"] if each.get("required") and each["in"] == "header"}
        assert required == ({"user-id"} if path.startswith("/api/") and path != "/api/mylist/limits" else set())


def test_schemas_are_objects_with_valid_types_and_patterns(document: Any) -> None:
    types = {"string", "integer", "number", "boolean", "array", "object", "null"}
    for schema in document["components"]["schemas"].values():
        assert schema["type"] == "object"
        assert set(schema.get("required", ())) <= set(schema["properties"])
        for node in nodes(schema["properties"]):
            if isinstance(kind := node.get("type"), str):
                assert kind in types
            if isinstance(pattern := node.get("pattern"), str):
                assert re.compile(pattern)


def test_schemas_have_the_fields_in_the_order_of_the_answers(document: Any) -> None:
    schemas = document["components"]["schemas"]
    assert list(schemas["ErrorResponse"]["properties"]) == [
        *("success", "error", "code", "statusCode", "timestamp", "path", "method", "requestId")
    ]
    assert list(schemas["ItemsPage"]["properties"]) == ["items", "total", "page", "pageSize", "totalPages"]
    assert schemas["AddRequest"]["required"] == ["contentId", "contentType"]


def test_the_command_line_prints_the_same_document(document: Any, capsys: pytest.CaptureFixture[str]) -> None:
    from mylist.cli import main  # noqa: PLC0415 - only here

    main(["openapi"])
    assert json.loads(capsys.readouterr().out) == document
