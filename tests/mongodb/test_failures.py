"""The answers to clients when MongoDB refuses a command, and the state afterwards."""

from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from devtools.service_process import Service
from devtools.waiting import wait_until
from tests.contract.conftest import User
from tests.contract.titles import MATRIX_ID, SHOW_ID
from tests.mongodb.deployment import Deployment
from tests.recorded_commands import commands

pytestmark = pytest.mark.needs("failures")

MOST_COMMANDS = 20
"""The limit for one request, with any answer of MongoDB."""
CODES = (6, 7, 13, 20, 50, 89, 91, 112, 133, 134, 189, 211, 262, 10107, 11602, 13388, 13435)
"""HostUnreachable to NotPrimaryOrSecondary: what clusters answer in failovers, and what is refused for good."""
RECOVERED_WITHIN_S = 30.0


def add(user: User) -> httpx.Response:
    return user.add(MATRIX_ID)


def discard(user: User) -> httpx.Response:
    return user.client.delete(f"/api/mylist/items/{SHOW_ID}", headers=user.headers)


def clear(user: User) -> httpx.Response:
    return user.client.delete("/api/mylist/items?confirm=true", headers=user.headers)


def read(user: User) -> httpx.Response:
    return user.client.get("/api/mylist/export", headers=user.headers)


def changes(user: User) -> httpx.Response:
    return user.client.get("/api/mylist/changes", headers=user.headers)


CHANGES = (add, discard, clear)
READS = (read, changes)
WRITING, READING = ("update", "delete", "insert", "findAndModify", "bulkWrite"), ("find", "aggregate")
UNAVAILABLE = {"OUTCOME_UNKNOWN", "DATABASE_UNAVAILABLE", "PARTLY_APPLIED"}
REFUSED_FOR_GOOD = (13, 20)
"""Unauthorized and IllegalOperation, as for a user without rights or a server without retryable writes."""


@pytest.fixture
def user(recording_client: httpx.Client, user_id: str) -> User:
    """A user with one item, at a service that knows that MongoDB is available."""
    user = User(recording_client, user_id)
    wait_until(lambda: user.add(SHOW_ID, "tvshow").status_code in {201, 409}, within=RECOVERED_WITHIN_S)
    return user


@pytest.mark.parametrize("code", CODES)
@pytest.mark.parametrize("request_", [*CHANGES, *READS], ids=lambda each: each.__name__)
def test_an_error_of_mongodb_returns_503_after_a_limited_number_of_commands(
    deployment: Deployment,
    recorded: Path,
    user: User,
    request_: Callable[[User], httpx.Response],
    code: int,
) -> None:
    before = len(list(commands(recorded)))
    refused = WRITING if request_ in CHANGES else READING
    with deployment.failing(*refused, code=code):
        answer = request_(user)
    sent = [each.name for each in list(commands(recorded))[before:] if each.name in refused]

    assert answer.status_code == 503, answer.text
    assert answer.json()["code"] in ({"DATABASE_REFUSED"} if code in REFUSED_FOR_GOOD else UNAVAILABLE)
    assert "retry-after" in answer.headers
    assert len(sent) <= MOST_COMMANDS, f"{len(sent)} commands"


@pytest.mark.parametrize("request_", [*CHANGES, *READS], ids=lambda each: each.__name__)
def test_a_connection_that_always_closes_returns_503(
    deployment: Deployment, user: User, request_: Callable[[User], httpx.Response]
) -> None:
    with deployment.failing(*(WRITING if request_ in CHANGES else READING), closes=True):
        answer = request_(user)

    assert answer.status_code == 503, answer.text
    assert answer.json()["code"] in UNAVAILABLE


@pytest.mark.parametrize("code", [64, 91])
def test_an_add_without_a_majority_returns_503_and_not_201_or_409(
    deployment: Deployment, user: User, code: int
) -> None:
    with deployment.failing(*WRITING, write_concern_code=code):
        first, again = add(user), add(user)

    for answer in (first, again):
        assert answer.status_code == 503, answer.text
        assert answer.json()["code"] in UNAVAILABLE


@pytest.mark.parametrize("code", [6, 91, 189, 10107])
def test_an_add_that_mongodb_refused_succeeds_once_mongodb_recovers(
    deployment: Deployment, recording_service: Service, user: User, code: int
) -> None:
    assert recording_service.process.poll() is None
    with deployment.failing(*WRITING, code=code):
        add(user)
    status = wait_until(
        lambda: answer.status_code if (answer := add(user)).status_code != 503 else None, within=RECOVERED_WITHIN_S
    )

    assert status == 201  # it was refused before, so it was not there
    assert set(user.contents()) == {MATRIX_ID, SHOW_ID}
