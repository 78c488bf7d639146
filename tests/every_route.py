"""Every route of lists, called so that the service sends every kind of operation to MongoDB."""

import json
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import httpx
from pymongo.database import Database

from mylist.domain.content import parse_content_id
from tests.contract.conftest import User
from tests.contract.titles import MATRIX_ID, MOVIE_IDS, SHOW_ID

_JSON_LINES = {"Content-Type": "application/x-ndjson"}


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


def _change_one_at_a_time(caller: Caller) -> None:
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


def _change_many(caller: Caller) -> None:
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
        ask("POST", f"/api/mylist/import{query}", 200, content=text, headers=_JSON_LINES)


def _read(caller: Caller) -> None:
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


def _clear(caller: Caller) -> None:
    """Clear the list: first the items that the client has seen, then all."""
    caller.ask("PUT", f"/api/mylist/items/{MATRIX_ID}", 200, 201, json={"contentType": "movie"})
    etag = caller.ask("GET", "/api/mylist/export", 200).headers["etag"]
    caller.ask("DELETE", "/api/mylist/items", 200, headers={"If-Match": etag})
    caller.ask("PUT", f"/api/mylist/items/{MATRIX_ID}", 201, json={"contentType": "movie"})
    caller.ask("DELETE", "/api/mylist/items?confirm=true", 200)


def _remove_what_the_original_kept_in_capitals(caller: Caller, database: Database[dict[str, object]]) -> None:
    item = {"userId": caller.user.id, "contentId": SHOW_ID.upper(), "contentType": "tvshow"}
    database["mylist"].insert_one({**item, "addedAt": datetime.now(UTC)})
    caller.ask("DELETE", f"/api/mylist/remove/{SHOW_ID}", 200)


def call_every_route(caller: Caller, database: Database[dict[str, object]]) -> None:
    """Call them all as one user, whose list is empty before and after."""
    _change_one_at_a_time(caller)
    _change_many(caller)
    _read(caller)
    _clear(caller)
    _remove_what_the_original_kept_in_capitals(caller, database)


def routes_of_lists(client: httpx.Client) -> set[tuple[str, str]]:
    """Return method and path of each."""
    paths = client.get("/openapi.json").json()["paths"]
    return {
        (method.upper(), path)
        for path, methods in paths.items()
        for method in methods
        if path.startswith("/api/mylist/") and method in {"get", "put", "post", "delete", "patch"}
    }
