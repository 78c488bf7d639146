"""MongoDB and Redis for the tests: those the environment names, else containers, else embedded servers.

Each is chosen for itself, and a run says at its top what was chosen.
"""

import gc
import os
import warnings
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager, nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import parse_qs, urlsplit

import docker  # type: ignore[import-untyped]
from docker.errors import DockerException, ImageNotFound  # type: ignore[import-untyped]
from pymongo import MongoClient
from pymongo.errors import PyMongoError
from redis import Redis
from redis.exceptions import RedisError
from requests.exceptions import RequestException
from testcontainers.core.config import testcontainers_config
from testcontainers.core.container import DockerContainer

from mylist.development.servers import EmbeddedServer, MongoServer, ValkeyServer, running
from tests.waiting import wait_until

_MONGODB_IMAGE = "mongo:8"
_REDIS_IMAGE = "redis:8"
# How long a Docker engine or the registry behind it may keep silent, in seconds.
_ENGINE_PATIENCE = 5
_START_TIMEOUT = 60.0


@dataclass(frozen=True)
class Store:
    """One store: what it is, and how to have its URI for as long as it is needed."""

    source: str
    start: Callable[[], AbstractContextManager[str]]


def choose_mongodb() -> Store:
    """Chooses the MongoDB of this run."""
    if uri := os.environ.get("TEST_MONGODB_URI"):
        return Store("the one that TEST_MONGODB_URI names", lambda: nullcontext(uri))
    if _obtainable(_MONGODB_IMAGE):
        start = partial(_container, _MONGODB_IMAGE, 27017, "mongodb", _mongodb_answers)
        return Store(f"a container of {_MONGODB_IMAGE}", start)
    return Store("embedded SecantusDB", partial(_embedded, MongoServer))


def choose_redis() -> Store:
    """Chooses the Redis of this run."""
    if url := os.environ.get("TEST_REDIS_URL"):
        return Store("the one that TEST_REDIS_URL names", lambda: nullcontext(url))
    if _obtainable(_REDIS_IMAGE):
        return Store(f"a container of {_REDIS_IMAGE}", partial(_container, _REDIS_IMAGE, 6379, "redis", _redis_answers))
    return Store("embedded Valkey", partial(_embedded, ValkeyServer))


def with_database(uri: str, name: str) -> str:
    """Gives a MongoDB URI that names another database and still logs in where the old one did."""
    parts = urlsplit(uri)
    query = parts.query
    if "@" in parts.netloc and "authSource" not in parse_qs(query):
        query += f"{'&' if query else ''}authSource={parts.path.strip('/') or 'admin'}"
    return parts._replace(path=f"/{name}", query=query).geturl()


@contextmanager
def _embedded(kind: Callable[[Path], EmbeddedServer]) -> Iterator[str]:
    with TemporaryDirectory(prefix="mylist-test-") as folder:
        server = kind(Path(folder))
        with running(server):
            yield server.uri


@contextmanager
def _container(image: str, port: int, scheme: str, answers: Callable[[str], bool]) -> Iterator[str]:
    with DockerContainer(image).with_exposed_ports(port) as container:
        uri = f"{scheme}://{container.get_container_host_ip()}:{container.get_exposed_port(port)}"
        wait_until(lambda: answers(uri), within=_START_TIMEOUT)
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


def _obtainable(image: str) -> bool:
    """Says whether an engine answers and has this image, or can get it, and the one that cleans up after a crash."""
    images = [image] if testcontainers_config.ryuk_disabled else [image, testcontainers_config.ryuk_image]
    # The client forgets to close the socket of a connection that fails.
    with warnings.catch_warnings(action="ignore", category=ResourceWarning):
        try:
            with closing(docker.from_env(timeout=_ENGINE_PATIENCE)) as client:
                for needed in images:
                    try:
                        client.images.get(needed)
                    except ImageNotFound:
                        client.images.pull(needed)
        except (DockerException, RequestException):
            return False
        finally:
            gc.collect()
    return True
