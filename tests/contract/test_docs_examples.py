"""The examples of `/docs`: each operation's request, sent unchanged to a service with the sample, succeeds."""

import asyncio
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import quote

import httpx
import pytest

from devtools.service_process import NO_TLS, Service
from mylist.api.route import JSON_LINES
from mylist.api.router import ROUTES
from mylist.config.settings import Settings
from mylist.seeding import sample
from mylist.seeding.open_database import open_database
from tests.conftest import PATIENT, Serve

pytestmark = pytest.mark.own_logic

# Clearing a list needs a confirmation, which the example does not contain.
STATUSES = {"clearItems": 428}

Json = dict[str, Any]
Execute = Callable[[str], httpx.Response]


@pytest.fixture(scope="module")
def served(serve: Serve) -> Service:
    return serve()


@pytest.fixture(scope="module")
def document(served: Service) -> Json:
    answer = httpx.get(f"{served.url}/openapi.json", trust_env=False, verify=NO_TLS)
    content: Json = answer.json()
    return content


@pytest.fixture
def execute(served: Service, document: Json, mongodb_uri: str, redis_url: str) -> Execute:
    """Reset the sample data; return a function that sends an operation's request as "Try it out" fills it in."""
    settings = Settings.load({"MONGODB_URI": mongodb_uri, "REDIS_URL": redis_url, **PATIENT})

    async def reset() -> None:
        async with open_database(settings) as database:
            await sample.reset(database, settings)

    def execute(operation_id: str) -> httpx.Response:
        path, method, operation = find(document, operation_id)
        given = {name: filled_in(document, operation, name) for name in ("path", "query", "header")}
        headers = given["header"]
        content = None
        if "requestBody" in operation:
            content_type, media = next(iter(operation["requestBody"]["content"].items()))  # the preselected media type
            headers |= {"Content-Type": content_type}
            content = media["example"] if "example" in media else example_of(document, media["schema"])
        for name, value in given["path"].items():
            path = path.replace(f"{{{name}}}", quote(value, safe=""))
        return httpx.request(
            method,
            f"{served.url}{path}",
            params=given["query"],
            headers=headers,
            content=content if isinstance(content, str) else None,
            json=None if isinstance(content, str) else content,
            trust_env=False,
            verify=NO_TLS,
        )

    asyncio.run(reset())
    return execute


def find(document: Json, operation_id: str) -> tuple[str, str, Json]:
    [found] = [
        (path, method, operation)
        for path, item in document["paths"].items()
        for method, operation in item.items()
        if operation["operationId"] == operation_id
    ]
    return found


def filled_in(document: Json, operation: Json, place: str) -> dict[str, str]:
    """Return the parameters in this place that have an example, or else a default, with that value."""
    values = {}
    for parameter in operation["parameters"]:
        schema = resolved(document, parameter["schema"])
        value = parameter.get("example", schema.get("default"))
        if parameter["in"] == place and value is not None:
            values[parameter["name"]] = str(value)
    return values


def example_of(document: Json, schema: Json) -> Any:
    schema = resolved(document, schema)
    if "examples" in schema:
        return schema["examples"][0]
    if "properties" in schema:
        return {name: example_of(document, each) for name, each in schema["properties"].items()}
    if schema.get("type") == "array":
        return [example_of(document, schema["items"])]
    raise AssertionError(f"{schema} has no example: the page would make one up")


def resolved(document: Json, schema: Mapping[str, Any]) -> Json:
    if "$ref" not in schema:
        return dict(schema)
    found: Json = document["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    return found


@pytest.mark.parametrize("operation_id", [route.operation for route in ROUTES])
def test_each_example_succeeds_except_the_unconfirmed_clear(execute: Execute, operation_id: str) -> None:
    answer = execute(operation_id)

    assert answer.status_code == STATUSES.get(operation_id, answer.status_code), answer.text
    assert answer.is_success == (operation_id not in STATUSES), answer.text


def test_the_example_of_items_returns_the_list_without_a_filter(execute: Execute) -> None:
    data = execute("getItems").json()["data"]

    assert data["total"] == 24
    assert "nextCursor" not in data


def test_the_example_of_an_import_is_from_an_export_and_is_answered_as_shown(execute: Execute, document: Json) -> None:
    _, _, imports = find(document, "importItems")
    _, _, exports = find(document, "getExport")
    shown, exported = (each["responses"]["200"]["content"][JSON_LINES] for each in (imports, exports))

    answer = execute("importItems")

    assert answer.text == shown["example"]
    assert len(answer.text.splitlines()) == 2
    assert exported["example"] == imports["requestBody"]["content"][JSON_LINES]["example"]
    assert set(exported["example"].splitlines()) <= set(execute("getExport").text.splitlines())
