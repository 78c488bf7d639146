"""MongoDB and Redis for the tests: embedded servers, unless the environment names others or asks for containers.

`TEST_MONGODB_URI` and `TEST_REDIS_URL` name servers; `TEST_STORES=containers` takes the others from a Docker
engine, which may pull images. Choosing starts nothing: a store starts when the first test needs it, and each
pytest-xdist worker has its own. The header of a run names the choice.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import parse_qs, urlsplit

from pymongo import MongoClient
from pymongo.errors import PyMongoError
from redis import Redis
from redis.exceptions import RedisError

from devtools.unmeasured import unmeasured
from devtools.waiting import wait_until
from mylist.devserver.embedded_servers import EmbeddedServer, MongoServer, ValkeyServer, running

_MONGODB_IMAGE = "mongo:8.0"
_REDIS_IMAGE = "redis:8"
_START_TIMEOUT_S = 60.0


class StoreChoiceError(Exception):
    """The environment asks for stores that do not exist; the message is one line."""


@dataclass(frozen=True)
class Store:
    """One store: its description, a context manager for its URI, and whether it is available."""

    source: str
    start: Callable[[], AbstractContextManager[str]]
    check: Callable[[], None] = lambda: None
    """Raise `ServerMissingError` when it cannot start here."""
    outlives_run: bool = False
    """Whether the data of a run outlives it; otherwise removing the data is a waste of time."""


def choose_mongodb() -> Store:
    """Return the MongoDB of this run.

    Raises:
        StoreChoiceError: `TEST_STORES` is neither `embedded` nor `containers`.
    """
    if uri := os.environ.get("TEST_MONGODB_URI"):
        return Store("the one that TEST_MONGODB_URI names", lambda: nullcontext(uri), outlives_run=True)
    if _containers():
        start = partial(_container, _MONGODB_IMAGE, 27017, "mongodb", _mongodb_answers)
        return Store(f"a container of {_MONGODB_IMAGE}", start)
    check = partial(MongoServer.check_installed, setting="TEST_MONGODB_URI", target="test")
    return Store("embedded SecantusDB", partial(_embedded, MongoServer), check)


def choose_redis() -> Store:
    """Return the Redis of this run.

    Raises:
        StoreChoiceError: as `choose_mongodb`.
    """
    if url := os.environ.get("TEST_REDIS_URL"):
        return Store("the one that TEST_REDIS_URL names", lambda: nullcontext(_of_this_worker(url)))
    if _containers():
        return Store(f"a container of {_REDIS_IMAGE}", partial(_container, _REDIS_IMAGE, 6379, "redis", _redis_answers))
    return Store("embedded Valkey", partial(_embedded, ValkeyServer))


def with_database(uri: str, name: str) -> str:
    """Return a MongoDB URI that names another database and still logs in where the old one did."""
    parts = urlsplit(uri)
    query = parts.query
    if "@" in parts.netloc and "authSource" not in parse_qs(query):
        query += f"{'&' if query else ''}authSource={parts.path.strip('/') or 'admin'}"
    return parts._replace(path=f"/{name}", query=query).geturl()


@contextmanager
def _embedded(kind: Callable[[Path], EmbeddedServer]) -> Iterator[str]:
    with TemporaryDirectory(prefix="mylist-test-") as folder, ExitStack() as stack:
        server = kind(Path(folder))
        with unmeasured():
            stack.enter_context(running(server))
        yield server.uri


@contextmanager
def _container(image: str, port: int, scheme: str, answers: Callable[[str], bool]) -> Iterator[str]:
    from testcontainers.core.container import DockerContainer  # noqa: PLC0415 - installed where it is asked for

    with DockerContainer(image).with_exposed_ports(port) as container:
        uri = f"{scheme}://{container.get_container_host_ip()}:{container.get_exposed_port(port)}"
        wait_until(lambda: answers(uri), within=_START_TIMEOUT_S)
        yield uri


def _mongodb_answers(uri: str) -> bool:
    with MongoClient[dict[str, object]](uri, timeoutMS=1000) as client:
        try:
            client.admin.command("ping")
        except PyMongoError:
            return False
    return True


def _redis_answers(url: str) -> bool:
    with Redis.from_url(url, socket_timeout=1) as client:
        try:
            return bool(client.ping())
        except RedisError:
            return False


def _containers() -> bool:
    chosen = os.environ.get("TEST_STORES", "embedded")
    if chosen not in {"embedded", "containers"}:
        raise StoreChoiceError(f"TEST_STORES is {chosen!r}; it must be embedded or containers")
    return chosen == "containers"


def _of_this_worker(url: str) -> str:
    """Return the URL with the database of this pytest-xdist worker, counted from the named one."""
    parts = urlsplit(url)
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    return parts._replace(path=f"/{int(parts.path.strip('/') or 0) + worker}").geturl()
