"""The service with its titles, and users who call it."""

import re
import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from devtools.service_process import NO_TLS, Service
from tests.contract.response_schemas import check_response

# The secrets of the accounts of the tests' clients; a log must not contain them.
SECRET = "hunter2"
PATIENCE = 60.0
"""Seconds for what takes a moment on a machine that has nothing else to do."""
# A busy machine makes Redis slow, for this process or another. The log reports refusals up to ten seconds later.
_OF_ANOTHER_MOMENT = (
    '"message":"Redis at',
    '"message":"Lists come from MongoDB, because other processes',
    '"message":"Rejected in the last',
)


class User:
    """Someone with a list; every answer is held against its documented shape."""

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
        """The ids on the list, in the order the API gives them."""
        return [item["contentId"] for item in self.items(query).json()["data"]["items"]]


@pytest.fixture(scope="module")
def client(service: Service, titles: None) -> Iterator[httpx.Client]:  # noqa: ARG001 - there before the first call
    """Calls the service, which trusts its cache."""
    with connect(service, transport=PatientTransport()) as client:
        caches = [User(client, "first").stats().headers["x-cache"] for _ in range(2)]
        assert caches[1] == "hit"
        yield client


@pytest.fixture
def user(client: httpx.Client, user_id: str) -> User:
    """Someone with an empty list."""
    return User(client, user_id)


class PatientTransport(httpx.HTTPTransport):
    """Retries while a read is bypassed: a process that has just started, or was held up, does not trust its cache.

    A test's expectations of the cache then do not depend on how busy the machine is.
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
    """Make a client that looks at the shape of every answer."""
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
    """After any request of a test: the service runs, and its log has neither complaints nor secrets."""
    begin = service.log.stat().st_size
    yield
    assert client.get("/health").status_code == 200
    with service.log.open() as log:
        log.seek(begin)
        written = "".join(line for line in log if not any(words in line for words in _OF_ANOTHER_MOMENT))
    assert not re.search(rf'"level":"(warning|error|critical)"|traceback|{SECRET}', written, re.IGNORECASE), written
