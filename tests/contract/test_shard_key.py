"""Every operation on lists names its user, and so its shard: what the service sends to MongoDB, seen by the driver."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest
from pymongo.database import Database

from devtools.service_process import Service
from mylist.domain.content import parse_content_id
from tests.conftest import PATIENT
from tests.contract.conftest import PatientTransport, User, connect
from tests.contract.titles import MATRIX_ID, MOVIE_IDS, SHOW_ID
from tests.recorded_commands import Command, commands, recording

LISTS = frozenset({"mylist", "mylist_changes"})
JSON_LINES = {"Content-Type": "application/x-ndjson"}


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("commands") / "commands.jsonl"


@pytest.fixture(scope="module")
def recording_client(
    mongodb_uri: str,
    redis_url: str,
    recorded: Path,
    titles: None,  # noqa: ARG001 - there before the first call
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[httpx.Client]:
    settings = {"MONGODB_URI": mongodb_uri, "REDIS_URL": redis_url, **PATIENT}
    service = Service(tmp_path_factory.mktemp("service"), settings, program=recording(recorded))
    try:
        service.wait_until_ready()
        with connect(service, transport=PatientTransport()) as client:
            yield client
    finally:
        service.stop()


class Caller:
    """Calls one route after the other as one user, and keeps which it has called."""

    def __init__(self, client: httpx.Client) -> None:
        self.user = User(client, f"user-{uuid4().hex}")
        self.called: set[tuple[str, str]] = set()

    def ask(self, method: str, path: str, *expected: int, **more: Any) -> httpx.Response:
        headers = self.user.headers | more.pop("headers", {})
        answer = self.user.client.request(method, path, headers=headers, **more)
        assert answer.status_code in expected, answer.text
        template = "/".join("{contentId}" if parse_content_id(part) else part for part in answer.url.path.split("/"))
        self.called.add((method, template))
        return answer


def change_one_at_a_time(caller: Caller) -> None:
    """Add and remove an item: once, once more, and under each condition."""
    ask, movie = caller.ask, MATRIX_ID
    token = ask("GET", "/api/mylist/changes", 200).json()["data"]["token"]
    body = {"contentId": movie, "contentType": "movie"}
    for expected in (201, 409):
        ask("POST", "/api/mylist/add", expected, json=body)
    ask("POST", "/api/mylist/add", 412, json=body, headers={"If-None-Match": "*"})
    ask("DELETE", f"/api/mylist/remove/{movie}", 412, headers={"If-None-Match": "*"})
    for expected in (200, 404):
        ask("DELETE", f"/api/mylist/remove/{movie}", expected)
    ask("POST", f"/api/mylist/add?unlessRemovedSince={token}", 412, json=body)
    ask("PUT", f"/api/mylist/items/{movie}?unlessRemovedSince={token}", 412, json={"contentType": "movie"})
    for expected in (201, 200):
        ask("PUT", f"/api/mylist/items/{movie}", expected, json={"contentType": "movie"})
    ask("PUT", f"/api/mylist/items/{movie}", 200, json={"contentType": "movie"}, headers={"If-Match": "*"})
    for _ in range(2):
        ask("DELETE", f"/api/mylist/items/{movie}", 204)


def change_many(caller: Caller) -> None:
    """Change several items by one request: a batch, and imports of both modes, which add, date and remove."""
    ask, ids = caller.ask, [MATRIX_ID, *MOVIE_IDS[:2]]
    token = ask("GET", "/api/mylist/changes", 200).json()["data"]["token"]
    batch = {"add": [{"contentId": each, "contentType": "movie"} for each in ids[:2]], "remove": [ids[2], SHOW_ID]}
    for query in ("", f"?unlessRemovedSince={token}"):
        ask("POST", f"/api/mylist/batch{query}", 200, json=batch)
    ask("POST", "/api/mylist/batch", 200, json={"remove": ids[:2]})
    for number, query in enumerate(
        ("", "?mode=merge", f"?unlessRemovedSince={token}", "?mode=replace", "?mode=replace")
    ):
        lines = [
            {"contentId": each, "contentType": "movie", "addedAt": f"2024-01-01T1{number}:00:00.000Z"}
            for each in ids[number // 4 :]
        ]
        text = "".join(json.dumps(line) + "\n" for line in lines)
        ask("POST", f"/api/mylist/import{query}", 200, content=text, headers=JSON_LINES)


def read(caller: Caller) -> None:
    """Read the list in every form, on a miss and on a hit, and what changed: page by page, and since a token."""
    for path in ("items", "items?sort=title&type=movie", "items?view=ids", "stats", "export"):
        for _ in range(2):
            caller.ask("GET", f"/api/mylist/{path}", 200)
    caller.ask("POST", "/api/mylist/contains", 200, json={"contentIds": [MATRIX_ID, SHOW_ID]})
    query = ""
    for _ in range(50):
        data = caller.ask("GET", f"/api/mylist/changes?{query}limit=1", 200).json()["data"]
        query = f"since={data['token']}&"
        if not data["hasMore"]:
            break
    caller.ask("PUT", f"/api/mylist/items/{MATRIX_ID}", 200, 201, json={"contentType": "movie"})
    caller.ask("GET", f"/api/mylist/changes?{query}", 200)


def clear(caller: Caller) -> None:
    """Clear the list: what was seen of it, and all of it."""
    caller.ask("PUT", f"/api/mylist/items/{MATRIX_ID}", 200, 201, json={"contentType": "movie"})
    etag = caller.ask("GET", "/api/mylist/export", 200).headers["etag"]
    caller.ask("DELETE", "/api/mylist/items", 200, headers={"If-Match": etag})
    caller.ask("PUT", f"/api/mylist/items/{MATRIX_ID}", 201, json={"contentType": "movie"})
    caller.ask("DELETE", "/api/mylist/items?confirm=true", 200)


def remove_what_the_original_kept_in_capitals(caller: Caller, database: Database[dict[str, object]]) -> None:
    item = {"userId": caller.user.id, "contentId": SHOW_ID.upper(), "contentType": "tvshow"}
    database["mylist"].insert_one({**item, "addedAt": datetime.now(UTC)})
    caller.ask("DELETE", f"/api/mylist/remove/{SHOW_ID}", 200)


def routes_of_lists(client: httpx.Client) -> set[tuple[str, str]]:
    paths = client.get("/openapi.json").json()["paths"]
    return {
        (method.upper(), path)
        for path, methods in paths.items()
        for method in methods
        if path.startswith("/api/mylist/") and method in {"get", "put", "post", "delete", "patch"}
    }


def unnamed(command: Command, user_id: str) -> list[dict[str, Any]]:
    """Return those filters of a command that do not say by equality that they are about this user."""
    return [each for each in command.filters() if each.get("userId") != user_id]


def test_every_operation_on_lists_names_its_user(
    recording_client: httpx.Client, recorded: Path, database: Database[dict[str, object]]
) -> None:
    caller = Caller(recording_client)
    begun = len(list(commands(recorded)))
    change_one_at_a_time(caller)
    change_many(caller)
    read(caller)
    clear(caller)
    remove_what_the_original_kept_in_capitals(caller, database)
    routes = routes_of_lists(recording_client)

    assert routes - caller.called == {("GET", "/api/mylist/limits")} & routes
    sent = [each for each in list(commands(recorded))[begun:] if each.collection in LISTS]
    assert len(sent) > 50
    assert {each.name for each in sent} >= {"find", "update"}
    wrong = [(each.name, each.collection, each.filters()) for each in sent if unnamed(each, caller.user.id)]
    assert wrong == []


@pytest.mark.parametrize(
    ("name", "body", "named"),
    [
        ("find", {"find": "mylist", "filter": {"userId": "a", "contentId": "b"}}, True),
        ("find", {"find": "mylist", "filter": {"contentId": "b"}}, False),
        ("find", {"find": "mylist", "filter": {"userId": {"$in": ["a"]}}}, False),
        ("find", {"find": "mylist", "filter": {"userId": "b"}}, False),
        ("find", {"find": "mylist"}, False),
        ("update", {"update": "mylist", "updates": [{"q": {"userId": "a"}}, {"q": {"_id": 1}}]}, False),
        ("delete", {"delete": "mylist", "deletes": [{"q": {"userId": "a"}}]}, True),
        ("insert", {"insert": "mylist", "documents": [{"userId": "a"}, {"userId": "b"}]}, False),
        ("aggregate", {"aggregate": "mylist", "pipeline": [{"$match": {"userId": "a"}}, {"$count": "n"}]}, True),
        ("aggregate", {"aggregate": "mylist", "pipeline": [{"$count": "n"}, {"$match": {"userId": "a"}}]}, False),
        ("getMore", {"getMore": 1, "collection": "mylist"}, True),
        ("createIndexes", {"createIndexes": "mylist"}, True),
    ],
)
def test_a_command_that_names_no_user_is_noticed(name: str, body: dict[str, Any], named: bool) -> None:
    command = Command(name, "database", body)

    assert command.collection == "mylist"
    assert (unnamed(command, "a") == []) is named


def test_a_command_of_another_kind_is_noticed() -> None:
    with pytest.raises(ValueError, match="where does mapReduce have its filter"):
        Command("mapReduce", "database", {"mapReduce": "mylist"}).filters()
