"""Add, read and remove an item through the Service, as a new user. `helm test` runs this.

If the tokens are signed with a key that the test does not have, it only checks that a request without a token gets 401.

On a network that enforces NetworkPolicies, a new pod can connect only after a moment, which differs between nodes. So
the test waits until its connections are accepted before it judges an answer. The last line of the log is the failure.
"""

import json
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection, HTTPException
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

from bson import ObjectId
from pymongo import MongoClient
from pymongo.errors import ConfigurationError, OperationFailure, PyMongoError

from mylist.auth.development_token import development_token
from mylist.config.settings import InvalidSettingError, Settings

API = os.environ["API"]
CONTENT_TYPE = os.environ.get("CONTENT_TYPE") or "movie"
USER = f"helm-test-{uuid4().hex}/profile"
TITLE = "A title of helm test"
PATIENCE_S = 10.0
"""Maximum time in which connections may be refused or time out before the test begins."""
CONNECTIONS_IN_A_ROW = 30
"""Connections that must succeed in a row before the test begins: the Service chooses a pod for each."""
PAUSE_S = 0.2
CONNECT_TIMEOUT_S = 3.0
ANSWER_TIMEOUT_S = 10.0
MAX_SHOWN = 300
"""Maximum number of characters of an answer in a failure."""
NO_WAY = "check that its pods are ready, and that a NetworkPolicy lets this pod reach them"


class FailedError(Exception):
    """The test fails; the message is one line."""


def main() -> None:
    """Add, read and remove one item. The first wrong answer ends the test."""
    settings = Settings.from_environment()
    wait_until_let_in()
    expect("GET", "/health", 200)
    expect("GET", "/readyz", 200)
    user = identity(settings)
    if not user:
        expect("GET", "/api/mylist/items", 401)
        say("passed, except the checks that need a token")
        return
    with content(settings) as content_id:
        item = {"contentId": content_id, "contentType": CONTENT_TYPE}
        remove = f"/api/mylist/remove/{content_id}"
        expect("POST", "/api/mylist/add", 201, user, item)
        expect("POST", "/api/mylist/add", 409, user, item)
        expect_list(user, content_id)
        expect("DELETE", remove, 200, user)
        expect_list(user)
        expect("DELETE", remove, 404, user)
    say("passed")


def identity(settings: Settings) -> dict[str, str]:
    """Return the header that names the user; empty if it needs a token that the test cannot sign."""
    if settings.auth_mode == "header":
        return {"user-id": USER}
    if not settings.jwt_secret:
        return {}
    return {"authorization": f"Bearer {development_token(settings, USER, lifetime_s=60)}"}


def wait_until_let_in() -> None:
    """Wait until the Service accepts connections. An answer of any kind comes from the service."""
    began = time.monotonic()
    in_a_row, refused = 0, False
    while in_a_row < CONNECTIONS_IN_A_ROW:
        try:
            send("GET", "/health", {})
        except OSError as error:
            if time.monotonic() - began > PATIENCE_S:
                raise FailedError(f"GET {API}/health: {told(error)} for {PATIENCE_S:g} s; {NO_WAY}") from None
            in_a_row, refused = 0, True
            time.sleep(PAUSE_S)
        except HTTPException:
            return  # the test judges the answers
        else:
            in_a_row += 1
    if refused:
        say(f"connections are accepted after {time.monotonic() - began:.1f} s")


def expect_list(user: dict[str, str], *content_ids: str) -> None:
    """Read the list and its statistics. It reads the list twice, because the second answer may come from the cache."""
    for _ in range(2):
        path = "/api/mylist/items"
        answer = expect("GET", path, 200, user)
        try:
            listed = [each["contentId"] for each in answer["data"]["items"] if each["content"]]
        except (LookupError, TypeError):
            raise FailedError(f"GET {API}{path}: there is no list in {shown(answer)}") from None
        check(listed == list(content_ids), f"GET {API}{path}: the list has {listed}, not {list(content_ids)}")
    path = "/api/mylist/stats"
    answer = expect("GET", path, 200, user)
    try:
        total = answer["data"]["total"]
    except (LookupError, TypeError):
        raise FailedError(f"GET {API}{path}: there is no total in {shown(answer)}") from None
    check(total == len(content_ids), f"GET {API}{path}: the total is {total}, not {len(content_ids)}")


def expect(method: str, path: str, status: int, user: dict[str, str] | None = None, body: object = None) -> Any:  # noqa: ANN401 - JSON
    """Send a request, and return the body of the answer, which must have this status."""
    asked = f"{method} {API}{path}"
    try:
        answered, text = send(method, path, user or {}, body)
    except OSError as error:
        raise FailedError(f"{asked}: {told(error)}; {NO_WAY}") from None
    except HTTPException as error:
        raise FailedError(f"{asked}: not an HTTP answer: {told(error)}") from None
    say(f"{method} {path}: {answered}")
    check(answered == status, f"{asked}: {answered}, not {status}: {shown(text)}")
    try:
        return json.loads(text)
    except ValueError:
        raise FailedError(f"{asked}: {answered}, not JSON: {shown(text)}") from None


def send(method: str, path: str, user: dict[str, str], body: object = None) -> tuple[int, str]:
    """Send a request over a new connection, and return the status and the body of the answer.

    Raises:
        OSError: there is no connection, or no answer.
        HTTPException: the answer is not HTTP.
    """
    url = urlsplit(API)
    connection = HTTPConnection(url.hostname or "", url.port, timeout=CONNECT_TIMEOUT_S)
    try:
        connection.connect()
        connection.sock.settimeout(ANSWER_TIMEOUT_S)
        content = None if body is None else json.dumps(body).encode()
        connection.request(method, path, content, {"content-type": "application/json"} | user)
        response = connection.getresponse()
        return response.status, response.read().decode(errors="replace")
    finally:
        connection.close()


@contextmanager
def content(settings: Settings) -> Iterator[str]:
    """Yield the id of the title in the values; without one, that of a title that is in MongoDB only during the test."""
    if given := os.environ.get("CONTENT_ID"):
        yield given
        return
    with mongodb(settings) as client:
        titles = client.get_default_database("mylist-ott")["movies" if CONTENT_TYPE == "movie" else "tvshows"]
        with explained(settings, "insert a title"):
            title = titles.insert_one({"_id": ObjectId(), "title": TITLE, "genres": []}).inserted_id
        try:
            yield str(title)
        finally:
            with explained(settings, f"remove the title {title}"):
                titles.delete_one({"_id": title})


@contextmanager
def mongodb(settings: Settings) -> Iterator[MongoClient[dict[str, Any]]]:
    """Yield a client whose first command was answered. Until then, refused connections are retried."""
    credentials: dict[str, Any] = {}
    if settings.mongodb_user:
        credentials = {"username": settings.mongodb_user, "password": settings.mongodb_password}
    with explained(settings, "ping"):
        client: MongoClient[dict[str, Any]] = connected(settings.mongodb_uri, credentials)
    with client:
        yield client


def connected(uri: str, credentials: dict[str, Any]) -> MongoClient[dict[str, Any]]:
    """Return a client that has pinged MongoDB. It retries for `PATIENCE_S`, unless MongoDB refuses the command."""
    began = time.monotonic()
    while True:
        client: MongoClient[dict[str, Any]] | None = None
        try:
            # For mongodb+srv, the constructor looks up names in DNS.
            client = MongoClient(uri, timeoutMS=int(PATIENCE_S * 1000), **credentials)
            client.admin.command("ping")
        except PyMongoError as error:
            if client:
                client.close()
            is_final = isinstance(error, ConfigurationError) and error.__cause__ is None
            if is_final or isinstance(error, OperationFailure) or time.monotonic() - began > PATIENCE_S:
                raise
            time.sleep(PAUSE_S)
        else:
            return client


@contextmanager
def explained(settings: Settings, asked: str) -> Iterator[None]:
    """Turn an error of the driver into a failure in one line, with the command, the hosts and the error."""
    hosts = settings.mongodb_uri.partition("//")[2].rpartition("@")[2].partition("/")[0].partition("?")[0]
    try:
        yield
    except OperationFailure as error:
        raise FailedError(f"{asked} at MongoDB, {hosts}: refused: {told(error)}") from None
    except ValueError as error:
        raise FailedError(f"{asked} at MongoDB: the connection string cannot be used: {told(error)}") from None
    except PyMongoError as error:
        way = "check that it is running, and that a NetworkPolicy lets this pod reach it"
        raise FailedError(f"{asked} at MongoDB, {hosts}: {told(error)}; {way}") from None


def told(error: Exception) -> str:
    """Return an error in one line, without the driver's description of the servers."""
    words = (error.strerror or str(error)) if isinstance(error, OSError) else str(error)
    return shown(words.partition(", full error:")[0].partition(", Timeout:")[0]) or type(error).__name__


def shown(answer: object) -> str:
    """Return the beginning of an answer in one line."""
    words = " ".join(str(answer).split())
    return words if len(words) <= MAX_SHOWN else f"{words[:MAX_SHOWN]} ..."


def check(is_so: bool, otherwise: str) -> None:
    """End the test with a failure unless `is_so`."""
    if not is_so:
        raise FailedError(otherwise)


def say(text: str) -> None:
    """Write a line to the log of the test."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def run() -> int:
    """Return the exit status of the test."""
    try:
        main()
    except (FailedError, InvalidSettingError) as failure:
        say(f"failed: {failure}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(run())
