"""Servers that these tests may kill and freeze, and services on them."""

from collections.abc import Generator, Iterator
from contextlib import ExitStack
from pathlib import Path
from uuid import uuid4

import httpx
import pytest
from bson import ObjectId
from pymongo import MongoClient
from redis import Redis

from devtools.service_process import NO_TLS, Container, Service
from devtools.unmeasured import unmeasured
from mylist.devserver.embedded_servers import MongoServer, ValkeyServer, running
from tests.conftest import PATIENT

PATIENCE = 60.0
"""Seconds to wait for something that takes a moment on an idle machine."""
LOG_LINES = 40
"""Lines of a service's log that a failed test shows."""
TITLES = [f"{number:024x}" for number in range(1, 31)]


class System:
    """A MongoDB, a Redis and the services on them."""

    def __init__(self, folder: Path, mongodb: MongoServer, redis: ValkeyServer) -> None:
        self._folder = folder
        self.mongodb = mongodb
        self.redis = redis
        self.services: list[Service] = []
        self._users: list[User] = []

    def serve(self, *, image: str = "", **settings: str) -> "User":
        """Start a service; return a new user of the service."""
        service = self.launch(image=image, **settings)
        service.wait_until_ready()
        return self.user(service)

    def launch(self, *, image: str = "", **settings: str) -> Service:
        """Start a service, as a container if an image is named, without waiting for it."""
        given = {"MONGODB_URI": self.mongodb.database("faults"), "REDIS_URL": self.redis.uri} | PATIENT | settings
        service = Container(image, self._folder, given) if image else Service(self._folder, given)
        self.services.append(service)
        return service

    def user(self, service: Service, user_id: str = "") -> "User":
        """Return a user of a service; a new one unless named."""
        user = User(service, user_id or f"user-{uuid4().hex}")
        self._users.append(user)
        return user

    def stop(self) -> None:
        """Stop the services, and check that each stops cleanly."""
        for user in self._users:
            user.http.close()
        for service in self.services:
            service.stop()


class User:
    """A user with a list."""

    def __init__(self, service: Service, user_id: str) -> None:
        self.service = service
        self.user_id = user_id
        self.http = httpx.Client(base_url=service.url, headers={"user-id": user_id}, timeout=PATIENCE, verify=NO_TLS)

    def add(self, title: int) -> httpx.Response:
        return self.http.post("/api/mylist/add", json={"contentId": TITLES[title], "contentType": "movie"})

    def remove(self, title: int) -> httpx.Response:
        return self.http.delete(f"/api/mylist/remove/{TITLES[title]}")

    def items(self) -> httpx.Response:
        return self.http.get("/api/mylist/items")

    def look(self) -> tuple[list[int], bool]:
        """The numbers of the titles on the list, newest first, and whether they were served from Redis."""
        answer = self.items()
        assert answer.status_code == 200, answer.text
        items = answer.json()["data"]["items"]
        return [TITLES.index(item["contentId"]) for item in items], answer.headers["x-cache"] == "hit"

    def titles(self) -> list[int]:
        """The numbers of the titles on the list, newest first."""
        return self.look()[0]

    def cached(self) -> bool:
        """Whether the list is served from Redis."""
        return self.look()[1]


def fill_catalogue(mongodb: MongoServer) -> None:
    """Put the titles where the services of a system look for them."""
    with MongoClient[dict[str, object]](mongodb.uri) as client:
        client["faults"]["movies"].insert_many(
            [{"_id": ObjectId(title), "title": f"Movie {number}"} for number, title in enumerate(TITLES)]
        )


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Report a failure together with the end of the log of each service."""
    report = yield
    system = item.funcargs.get("system") if isinstance(item, pytest.Function) else None
    if report.failed and isinstance(system, System):
        for service in system.services:
            lines = service.log.read_text(errors="replace").splitlines()
            report.sections.append((f"end of {service.log.name}", "\n".join(lines[-LOG_LINES:])))
    return report


@pytest.fixture(scope="module")
def stores(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[MongoServer, ValkeyServer]]:
    """The servers of the tests of a module; each test finds them running and without cached lists."""
    folder = tmp_path_factory.mktemp("stores")
    mongodb, redis = MongoServer(folder / "mongodb"), ValkeyServer(folder / "redis")
    with ExitStack() as stack:
        with unmeasured():
            stack.enter_context(running(mongodb, redis))
        fill_catalogue(mongodb)
        yield mongodb, redis


@pytest.fixture
def system(tmp_path: Path, stores: tuple[MongoServer, ValkeyServer]) -> Iterator[System]:
    system = System(tmp_path, *stores)
    try:
        yield system
    finally:
        try:
            system.stop()
        finally:
            for server in stores:
                if server.pid:
                    server.thaw()
                else:
                    server.restart()
            with Redis.from_url(system.redis.uri) as client:
                client.flushall()
