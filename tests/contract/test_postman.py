"""The Postman collection: its requests, sent in turn to a service with the sample data, succeed as documented.

`devtools.postman` generates the collection from the declarations of the routes.
"""

import json
import re
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import httpx
import pytest

from devtools import documents, postman
from devtools.service_process import environment
from mylist.api.openapi import openapi_path
from mylist.api.router import ROUTES
from tests.conftest import Serve

Send = Callable[[Sequence[Any]], None]
pytestmark = pytest.mark.own_logic

SAMPLE = {
    "baseUrl": "http://localhost:3000",
    "userId": "postman-collection",
    "movieId": "507f1f77bcf86cd799439012",
    "contentId": "507f1f77bcf86cd799439012",
}
DOCUMENTED = {
    "Health Check": 200,
    "Add Movie to List": 201,
    "Get My List Items": 200,
    "Get Movies by Title": 200,
    "Walk My List by Cursor": 200,
    "Get List Stats": 200,
    "Remove from List": 200,
    "Put Item": 201,
    "Contains": 200,
    "Batch": 200,
    "Discard Item": 204,
    "Changes": 200,
    "Export List": 200,
    "Clear List": 200,
    "Import List": 200,
    "Limits": 200,
    "Liveness": 200,
    "Readiness": 200,
    "OpenAPI Document": 200,
}


@pytest.fixture(scope="module")
def collection() -> Any:
    return json.loads(documents.POSTMAN_COLLECTION.read_text())


@pytest.fixture(scope="module")
def service_url(serve: Serve, mongodb_uri: str, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The URL of a service with the sample data."""
    subprocess.run(
        [sys.executable, "-m", "mylist", "seed"],
        check=True,
        env=environment({"MONGODB_URI": mongodb_uri}),
        cwd=tmp_path_factory.mktemp("seed"),
    )
    return serve().url


def test_the_collection_has_format_2_1(collection: Any) -> None:
    assert collection["info"]["name"] == "My List OTT API"
    assert collection["info"]["schema"] == "https://schema.getpostman.com/json/collection/v2.1.0/collection.json"


def test_variables_are_preset_to_the_sample_data(collection: Any) -> None:
    assert {variable["key"]: variable["value"] for variable in collection["variable"]} == SAMPLE


def test_the_committed_collection_is_the_generated_one() -> None:
    assert documents.POSTMAN_COLLECTION.read_text() == postman.collection(), f"run {documents.COMMAND}"


def test_the_collection_has_every_request_with_its_expected_status(collection: Any) -> None:
    asked = {item["name"]: status_asked_for(item) for item in collection["item"]}
    assert len(asked) == len(collection["item"])
    assert asked.items() >= DOCUMENTED.items()


def test_external_ids_are_described_exactly_where_a_request_names_a_title(collection: Any) -> None:
    requests = [each["request"] for each in collection["item"]]
    naming = [
        each for each in requests if "{{contentId}}" in each["url"]["raw"] or "contentId" in str(each.get("body"))
    ]

    assert len(naming) == 7
    for each in requests:
        assert ("imdb:tt0133093" in each["description"]) == (each in naming), each["url"]["raw"]


def test_the_collection_requests_every_route(collection: Any) -> None:
    requested = {
        (item["request"]["method"], re.sub(r"{{(\w+)}}", r"{\1}", "/" + "/".join(item["request"]["url"]["path"])))
        for item in collection["item"]
    }
    assert requested == {(route.method, openapi_path(route)) for route in ROUTES} | {("GET", "/openapi.json")}


def test_a_route_without_a_request_gets_a_generated_one_at_the_end() -> None:
    [put] = [route for route in ROUTES if route.operation == "putItem"]
    route = replace(put, operation="pinItem", path="/api/mylist/pins/<content_id:str>", summary="Pin an item")

    added = json.loads(postman.collection([route, *ROUTES]))["item"][-1]

    assert added["name"] == "Pin Item"
    assert status_asked_for(added) == 200
    assert request(added, SAMPLE) == {
        "method": "PUT",
        "url": "http://localhost:3000/api/mylist/pins/507f1f77bcf86cd799439012",
        "headers": {"Content-Type": "application/json", "user-id": "postman-collection"},
        "content": '{"contentType": "movie"}',
    }


def test_a_request_of_an_undeclared_route_is_rejected() -> None:
    with pytest.raises(ValueError, match="no route declares getLimits"):
        postman.collection([route for route in ROUTES if route.operation != "getLimits"])


def test_a_request_that_expects_an_undeclared_status_is_rejected() -> None:
    routes = [replace(route, answers={204: next(iter(route.answers.values()))}) for route in ROUTES]
    with pytest.raises(ValueError, match=r"PUT .* does not declare 201, which Put Item expects"):
        postman.collection(routes)


def test_raw_urls_match_their_parts(collection: Any) -> None:
    for item in collection["item"]:
        url = item["request"]["url"]
        query = "&".join(f"{each['key']}={each['value']}" for each in url.get("query", ()))
        assert url["raw"] == "/".join([*url["host"], *url["path"]]) + (f"?{query}" if query else "")


@pytest.fixture
def send(service_url: str) -> Iterator[Send]:
    """Send requests of the collection, and check that each answer has the status that the request's test expects."""
    with httpx.Client(trust_env=False) as client:

        def send(items: Sequence[Any]) -> None:
            for item in items:
                answer = client.request(**request(item, SAMPLE | {"baseUrl": service_url}))
                assert answer.status_code == status_asked_for(item), (item["name"], answer.text)

        yield send


def exported(service_url: str, user: str) -> str:
    return httpx.get(f"{service_url}/api/mylist/export", headers={"user-id": user}, trust_env=False).text


def test_repeated_runs_succeed_and_leave_the_lists_unchanged(collection: Any, service_url: str, send: Send) -> None:
    sample = exported(service_url, "507f1f77bcf86cd799439011")
    assert len(sample.splitlines()) == 24
    for _ in range(2):
        send(collection["item"])
        assert exported(service_url, SAMPLE["userId"]) == ""
        assert exported(service_url, "507f1f77bcf86cd799439011") == sample


def test_a_run_succeeds_after_one_that_was_interrupted_at_any_request(collection: Any, send: Send) -> None:
    for end in range(1, len(collection["item"])):
        send(collection["item"][:end])
        send(collection["item"])


def test_a_run_succeeds_after_changes_to_the_list_of_the_sample_user(
    collection: Any, service_url: str, send: Send
) -> None:
    user = {"user-id": "507f1f77bcf86cd799439011"}
    item = {"contentId": SAMPLE["movieId"], "contentType": "movie"}
    with httpx.Client(base_url=f"{service_url}/api/mylist", headers=user, trust_env=False) as client:
        client.post("/add", json=item)
        client.delete("/items", params={"confirm": "true"})
        client.post("/add", json=item)

    send(collection["item"])


def test_the_walk_by_cursor_returns_a_next_cursor(collection: Any, service_url: str, send: Send) -> None:
    names = [item["name"] for item in collection["item"]]
    at = names.index("Walk My List by Cursor")
    send(collection["item"][:at])

    walk = httpx.request(**request(collection["item"][at], SAMPLE | {"baseUrl": service_url}), trust_env=False)

    assert isinstance(walk.json()["data"]["nextCursor"], str)


def request(item: Any, variables: dict[str, str]) -> dict[str, Any]:
    """Return a request of the collection as Postman would send it."""

    def filled(text: str) -> str:
        return re.sub(r"{{(\w+)}}", lambda match: variables[match[1]], text)

    described = item["request"]
    return {
        "method": described["method"],
        "url": filled(described["url"]["raw"]),
        "headers": {header["key"]: filled(header["value"]) for header in described["header"]},
        "content": filled(described.get("body", {"raw": ""})["raw"]) or None,
    }


def status_asked_for(item: Any) -> int:
    """Return the status that the request's own test script expects."""
    [event] = item["event"]
    assert event["listen"] == "test"
    [status] = re.findall(r"to\.have\.status\((\d+)\)", "\n".join(event["script"]["exec"]))
    return int(status)
