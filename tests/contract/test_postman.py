"""The Postman collection: each request, sent in its order to a service with the sample data, succeeds as documented."""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest

from devtools.service_process import environment
from tests.conftest import Serve

COLLECTION = Path(__file__).parents[2] / "docs" / "postman_collection.json"
SAMPLE = {
    "baseUrl": "http://localhost:3000",
    "userId": "507f1f77bcf86cd799439011",
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
    return json.loads(COLLECTION.read_text())


@pytest.fixture(scope="module")
def service_url(serve: Serve, mongodb_uri: str, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A service on the sample data."""
    subprocess.run(
        [sys.executable, "-m", "mylist", "seed"],
        check=True,
        env=environment({"MONGODB_URI": mongodb_uri}),
        cwd=tmp_path_factory.mktemp("seed"),
    )
    return serve().url


def test_is_a_collection_of_format_2_1(collection: Any) -> None:
    assert collection["info"]["name"] == "My List OTT API"
    assert collection["info"]["schema"] == "https://schema.getpostman.com/json/collection/v2.1.0/collection.json"


def test_variables_are_preset_to_the_sample(collection: Any) -> None:
    assert {variable["key"]: variable["value"] for variable in collection["variable"]} == SAMPLE


def test_has_every_request_with_a_test_of_its_status(collection: Any) -> None:
    assert {item["name"]: status_asked_for(item) for item in collection["item"]} == DOCUMENTED


def test_urls_are_the_sum_of_their_parts(collection: Any) -> None:
    for item in collection["item"]:
        url = item["request"]["url"]
        query = "&".join(f"{each['key']}={each['value']}" for each in url.get("query", ()))
        assert url["raw"] == "/".join([*url["host"], *url["path"]]) + (f"?{query}" if query else "")


def test_requests_sent_in_their_order_succeed(collection: Any, service_url: str) -> None:
    for item in collection["item"]:
        answer = httpx.request(**request(item, SAMPLE | {"baseUrl": service_url}), trust_env=False)
        assert answer.status_code == DOCUMENTED[item["name"]], (item["name"], answer.text)


def request(item: Any, variables: dict[str, str]) -> dict[str, Any]:
    """A request of the collection as Postman would send it."""

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
    """The status that the request's own test script asks for."""
    [event] = item["event"]
    assert event["listen"] == "test"
    [status] = re.findall(r"to\.have\.status\((\d+)\)", "\n".join(event["script"]["exec"]))
    return int(status)
