"""Adds, reads and removes an item through the Service, as a user that nobody else is. Run by `helm test`.

Where tokens are signed with a key that is not here, no user can be told, and being refused is what there is to see.
"""

import json
import os
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from uuid import uuid4

from bson import ObjectId
from pymongo import MongoClient

from mylist.auth.development_token import development_token
from mylist.config.settings import Settings

API = os.environ["API"]
CONTENT_TYPE = os.environ.get("CONTENT_TYPE") or "movie"
USER = f"helm-test-{uuid4().hex}"
TITLE = "A title of helm test"
SETTINGS = Settings.from_environment()


def main() -> None:
    """Walks through the life of one item; the first answer that is not as it should be ends the test."""
    expect("GET", "/health", 200)
    expect("GET", "/readyz", 200)
    if not identity():
        expect("GET", "/api/mylist/items", 401)
        say("passed, as far as it goes without a token")
        return
    with content() as content_id:
        item = {"contentId": content_id, "contentType": CONTENT_TYPE}
        remove = f"/api/mylist/remove/{content_id}"
        expect("POST", "/api/mylist/add", 201, item)
        expect("POST", "/api/mylist/add", 409, item)
        expect_list(content_id)
        expect("DELETE", remove, 200)
        expect_list()
        expect("DELETE", remove, 404)
    say("passed")


def identity() -> dict[str, str]:
    """Gives the header that says who asks; none where that takes a token that cannot be made here."""
    if SETTINGS.auth_mode == "header":
        return {"user-id": USER}
    if not SETTINGS.jwt_secret:
        return {}
    return {"authorization": f"Bearer {development_token(SETTINGS, USER, lifetime_s=60)}"}


def expect_list(*content_ids: str) -> None:
    """Reads the list twice, as the second answer may come from the cache, and its statistics."""
    for _ in range(2):
        data = expect("GET", "/api/mylist/items", 200)["data"]
        found = [each["contentId"] for each in data["items"] if each["content"]]
        check(found == list(content_ids), f"the list holds {found}, not {list(content_ids)}")
    stats = expect("GET", "/api/mylist/stats", 200)["data"]
    check(stats["total"] == len(content_ids), f"the statistics count {stats['total']}, not {len(content_ids)}")


def expect(method: str, path: str, status: int, body: object = None) -> Any:  # noqa: ANN401 - JSON
    """Sends a request and gives the answer's body; it has to have this status."""
    request = urllib.request.Request(  # noqa: S310 - the Service, by HTTP
        API + path,
        method=method,
        data=None if body is None else json.dumps(body).encode(),
        headers={"content-type": "application/json"} | identity(),
    )
    try:
        with urllib.request.urlopen(request, timeout=10) as response:  # noqa: S310 - likewise
            answered, text = response.status, response.read()
    except urllib.error.HTTPError as error:
        answered, text = error.code, error.read()
    say(f"{method} {path}: {answered}")
    check(answered == status, f"expected {status}: {text.decode()}")
    return json.loads(text)


@contextmanager
def content() -> Iterator[str]:
    """Gives the id of a title: the one that the values name, or one that is in MongoDB for as long as the test is."""
    if given := os.environ.get("CONTENT_ID"):
        yield given
        return
    credentials: dict[str, Any] = {}
    if SETTINGS.mongodb_user:
        credentials = {"username": SETTINGS.mongodb_user, "password": SETTINGS.mongodb_password}
    client: MongoClient[dict[str, Any]] = MongoClient(SETTINGS.mongodb_uri, timeoutMS=10_000, **credentials)
    with client:
        titles = client.get_default_database("mylist-ott")["movies" if CONTENT_TYPE == "movie" else "tvshows"]
        title = titles.insert_one({"_id": ObjectId(), "title": TITLE, "genres": []}).inserted_id
        try:
            yield str(title)
        finally:
            titles.delete_one({"_id": title})


def check(is_so: bool, otherwise: str) -> None:
    """Ends the test unless it is so."""
    if not is_so:
        say(f"failed: {otherwise}")
        sys.exit(1)


def say(text: str) -> None:
    """Writes a line of the test's log."""
    sys.stdout.write(f"{text}\n")


if __name__ == "__main__":
    main()
