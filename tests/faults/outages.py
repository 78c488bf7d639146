"""Helpers for the tests of outages: the state of a service whose Redis or MongoDB is down."""

from collections.abc import Sequence

import httpx

from devtools.scrape import Metrics
from devtools.waiting import wait_until
from tests.faults.conftest import PATIENCE, User

# MONGODB_TIMEOUT in the tests, and how much longer a request may take on a busy machine. Together they are less than
# the time that the driver would wait by itself.
DEADLINE = 2.0
SLACK = 8.0

_OF_THE_PROCESS = {"hello", "heartbeat", "read_registry", "change_registry"}
"""Operations that no request asks for."""


def assert_unavailable(answer: httpx.Response, code: str = "DATABASE_UNAVAILABLE") -> None:
    assert answer.status_code == 503, answer.text
    assert answer.headers["retry-after"] == "1"
    assert answer.json()["code"] == code
    assert answer.elapsed.total_seconds() < DEADLINE + SLACK


def settle(user: User) -> None:
    """Wait until the service trusts Redis and the user's list is cached."""
    wait_until(user.cached, within=PATIENCE)


def known_to_be_away(user: User, store: str) -> bool:
    return Metrics(user.service).value("mylist_breaker_state", dependency=store, state="open") == 1


def asked(user: User, store: str) -> float:
    """Return how many operations the service has sent to a store for requests."""
    counted = [
        sample
        for sample in Metrics(user.service).samples
        if sample.name == "db_client_operation_duration_seconds_count" and sample.labels["db_system_name"] == store
    ]
    return sum(each.value for each in counted if each.labels["db_operation_name"] not in _OF_THE_PROCESS)


def read_until_cached(users: Sequence[User], titles: list[int]) -> None:
    """Read at all of them until each is served from Redis; none may see anything but these."""

    def all_cached() -> bool:
        looks = [user.look() for user in users]
        assert [shown for shown, _ in looks] == [titles] * len(users)
        return all(cached for _, cached in looks)

    wait_until(all_cached, within=PATIENCE)
