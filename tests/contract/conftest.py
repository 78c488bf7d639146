"""Fixtures: clients of the service and its titles, and users with lists."""

import re
import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from devtools.service_process import NO_TLS, Service
from tests.contract.response_schemas import check_response

# A secret that the clients of the tests send; no log may contain it.
SECRET = "hunter2"
PATIENCE = 60.0
"""A time limit in seconds, for steps that take only a moment on an idle machine."""
# Log entries that the test itself does not cause. On a busy machine, Redis is slow for this process or another, and the
# log reports refusals of an earlier test up to ten seconds later.
_OF_ANOTHER_MOMENT = (
    '"message":"Redis at',
    '"message":"Lists come from MongoDB, because other processes',
    '"message":"Rejected in the last',
)


class User:
    """A user with a list; `check_response` compares every answer with its documented shape."""

    def __init__(self, client: httpx.Client, user_id: str) -> None:
        self.client = client
        self.id = user_id
        self.headers = {"user-id": user_id}

    def add(self, content_id: Any, content_type: Any = "movie") -> httpx.Response:
        body = {"contentId": content_id, "contentType": content_type}
        return self.client.post("/api/mylist/add", json=body, headers=self.headers)

    def remove(self, content_id: str) -> httpx.Response:
        return self.client.delete(f"/api/mylist/remove/{content_id}", headers=self.headers)

    def items(self, query: str = "", **headers: str) -> httpx.Response:
        return self.client.get(f"/api/mylist/items{query}", headers=self.headers | headers)

    def stats(self, **headers: str) -> httpx.Response:
        return self.client.get("/api/mylist/stats", headers=self.headers | headers)

    def contents(self, query: str = "") -> list[str]:
        """Return the content ids on the list, in the order in which the API returns them."""
        return [item["contentId"] for item in self.items(query).json()["data"]["items"]]


@pytest.fixture(scope="module")
def client(service: Service, titles: None) -> Iterator[httpx.Client]:  # noqa: ARG001 - there before the first call
    """A client of the service, once the service trusts its cache."""
    with connect(service, transport=PatientTransport()) as client:
        caches = [User(client, "first").stats().headers["x-cache"] for _ in range(2)]
        assert caches[1] == "hit"
        yield client


@pytest.fixture
def user(client: httpx.Client, user_id: str) -> User:
    """A user with an empty list."""
    return User(client, user_id)


class PatientTransport(httpx.HTTPTransport):
    """Retries while a read is bypassed: a process that has just started, or was held up, does not trust its cache.

    So the expectations of a test do not depend on how busy the machine is.
    """

    def __init__(self) -> None:
        super().__init__(verify=NO_TLS, trust_env=False)

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        deadline = time.monotonic() + PATIENCE
        while True:
            answer = super().handle_request(request)
            if answer.headers.get("x-cache") != "bypassed" or time.monotonic() > deadline:
                return answer
            answer.read()
            answer.close()
            time.sleep(0.05)


def connect(service: Service, *, transport: httpx.BaseTransport | None = None) -> httpx.Client:
    """Make a client that checks the shape of every answer."""
    return httpx.Client(
        base_url=service.url,
        transport=transport,
        event_hooks={"response": [check_response]},
        timeout=PATIENCE,
        trust_env=False,
        verify=NO_TLS,
    )


@pytest.fixture
def unharmed(service: Service, client: httpx.Client) -> Iterator[None]:
    """Check after the test that the service runs, and that its log has neither complaints nor secrets."""
    begin = service.log.stat().st_size
    yield
    assert client.get("/health").status_code == 200
    with service.log.open() as log:
        log.seek(begin)
        written = "".join(line for line in log if not any(words in line for words in _OF_ANOTHER_MOMENT))
    assert not re.search(rf'"level":"(warning|error|critical)"|traceback|{SECRET}', written, re.IGNORECASE), written
