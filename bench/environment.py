"""The environment of a measurement: stores with data in them, and servers, each a process of its own."""

import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Literal

from bench import original
from bench.client import Client, UnexpectedAnswerError, request
from bench.redis_fill import CachedLists, fill, put
from devtools.ports import free_port
from devtools.scrape import Metrics
from devtools.service_process import Service, answers, environment
from devtools.tcp_proxy import TcpProxy
from devtools.waiting import wait_until
from mylist.devserver.embedded_servers import MongoServer, ValkeyServer, running
from mylist.seeding.synthetic_data import user_id

USERS = 1000
ITEMS = 25
TITLES_OF_USERS = 500
"""The lists of the users are drawn from these."""
TITLES = 5000
_DATABASE = "bench"
Reads = tuple[float, float]
"""Reads of lists: those from the cache, and all."""
_TTL_S = 86_400
_TIMEOUT_S = 30.0


@dataclass(frozen=True, slots=True)
class Redis:
    """A Valkey server, and the way to it.

    Attributes:
        delay_ms: milliseconds by which a proxy holds its answers back; None for no proxy.
        idle_users: the number of idle users whose lists it holds; None for the server that all groups share.
    """

    delay_ms: float | None = None
    idle_users: int | None = None


@dataclass(frozen=True, slots=True)
class Server:
    """A server under load.

    Attributes:
        settings: of the service, beside the defaults.
        sampled: the share of requests that is traced; 0 for no tracing.
        redis: where its lists are cached.
        program: the service, its libraries alone, or the original service.
    """

    settings: tuple[tuple[str, str], ...] = ()
    sampled: float = 0.0
    redis: Redis = field(default_factory=Redis)
    program: Literal["service", "baseline", "original"] = "service"


BASELINE = Server(program="baseline")
ORIGINAL = Server(program="original")


@dataclass(frozen=True, slots=True)
class Running:
    """A server that answers."""

    url: str
    pid: int


@dataclass(frozen=True, slots=True)
class Stores:
    """The stores that all groups share."""

    folder: Path
    mongodb: MongoServer
    redis: ValkeyServer

    @property
    def mongodb_uri(self) -> str:
        """The address of the database with the load-test data set."""
        return self.mongodb.database(_DATABASE)


@contextmanager
def stores(folder: Path) -> Iterator[Stores]:
    """Start MongoDB with a load-test data set and an empty Redis, and end them."""
    opened = Stores(folder, MongoServer(folder / "mongodb"), ValkeyServer(folder / "redis"))
    with running(opened.mongodb, opened.redis):
        _seed_all(opened, opened.mongodb_uri)
        yield opened


def _seed_all(stores: Stores, uri: str) -> None:
    _seed(stores, uri, users=USERS, titles=TITLES_OF_USERS)
    _seed(stores, uri, users=1, titles=TITLES)


def _seed(stores: Stores, uri: str, *, users: int, titles: int) -> None:
    sizes = ["--users", str(users), "--titles", str(titles), "--items", str(ITEMS)]
    command = [sys.executable, "-m", "mylist", "seed", *sizes]
    settings = environment({"MONGODB_URI": uri})
    subprocess.run(command, env=settings, cwd=stores.folder, check=True, capture_output=True)


class Environment:
    """The servers of one group, each started when it is first asked for.

    Args:
        stores: of the servers.
        stack: ends them.
        original_command: the command line of the original service; None where it is not measured.
    """

    def __init__(self, stores: Stores, stack: ExitStack, original_command: Sequence[str] | None = None) -> None:
        self._stores = stores
        self._stack = stack
        self._original_command = original_command
        # Each is started once.
        self.redis = cache(self._start_redis)
        self.service = cache(self._start_service)
        self.fill_redis = cache(self._fill_redis)
        self.fill_original = cache(self._fill_original)
        self._other = cache(lambda server: stack.enter_context(self._started_other(server)))

    @property
    def mongodb_uri(self) -> str:
        """The address of the database with the load-test data set."""
        return self._stores.mongodb_uri

    @property
    def etags(self) -> Path:
        """A file with the users and the ETags of their first pages; there from the first service on."""
        return self._stores.folder / "etags"

    def url(self, server: Server) -> str:
        """Return the address of a server that runs; of a service, when every user's list is cached."""
        return self.service(server).url if server.program == "service" else self._other(server).url

    def pid(self, server: Server) -> int:
        """Return the process of a server that runs."""
        return self.service(server).process.pid if server.program == "service" else self._other(server).pid

    def reads(self, server: Server) -> Reads | None:
        """Return the reads that a service answered from the cache, and all reads; None without such a metric."""
        if server.program != "service":
            return None
        metrics, name = Metrics(self.service(server)), "mylist_cache_requests_total"
        return metrics.value(name, result="hit"), metrics.value(name)

    @contextmanager
    def started(self, server: Server) -> Iterator[Running]:
        """Start a server that has answered nothing yet, wait until it is ready, and stop it."""
        if server.program == "service":
            with self._started_service(server) as service:
                yield Running(service.url, service.process.pid)
        else:
            with self._started_other(server) as running:
                yield running

    def settings_of(self, server: Server) -> dict[str, str]:
        """Return the settings of a service."""
        settings = {
            "REDIS_URL": self.redis(server.redis),
            "MONGODB_URI": self._database(server.redis),
            "LOG_LEVEL": "error",
            "MONGODB_TIMEOUT": "5",  # a machine that is measured is busy
            "CACHE_TTL": str(_TTL_S),  # so that cached lists stay cached during the measurement
        }
        if server.sampled:
            settings["OTEL_EXPORTER_OTLP_ENDPOINT"] = self.url(BASELINE)
            settings["OTEL_TRACES_SAMPLER_ARG"] = str(server.sampled)
        return settings | dict(server.settings)

    @contextmanager
    def _started_service(self, server: Server) -> Iterator[Service]:
        service = Service(self._stores.folder, self.settings_of(server))
        try:
            service.wait_until_ready()
            yield service
        finally:
            service.stop()

    def _database(self, redis: Redis) -> str:
        """Return the address of the database for a Redis. Processes that use one database must use one Redis."""
        if redis.idle_users is None:
            return self.mongodb_uri
        return self._stores.mongodb.database(f"{_DATABASE}-{redis.idle_users}")

    def _fill_redis(self, lists: CachedLists, server: Server) -> None:
        """Put lists into the Redis of a service, and make sure that it takes them for its own."""
        fill(self.redis(server.redis), lists, TITLES)
        with Client(self.url(server)) as client:
            first = request("GET", "/api/mylist/items", user=f"{lists.prefix}{1:08d}")
            client.measure(first, status=200, cache="hit")

    def _fill_original(self, server: Server) -> None:
        """Give the original every user's page, as a service answers it, and make sure that it answers the same."""
        users = [user_id(number) for number in range(1, USERS + 1)]
        pages = {}
        with Client(self.url(server)) as client:
            for user in users:
                client.measure(request("GET", "/api/mylist/items", user=user), status=200, cache="hit")
                pages[user] = original.cached(client.answer.body)
        put(self._stores.redis.uri, ((original.key_of(user), page) for user, page in pages.items()))
        with Client(self.url(ORIGINAL)) as client:
            for user in users:
                client.measure(request("GET", "/api/mylist/items", user=user), status=200)
                if client.answer.body != original.answered(pages[user]):
                    raise UnexpectedAnswerError(f"the original does not answer the page of {user} that is in Redis")

    def _start_redis(self, redis: Redis) -> str:
        if redis.idle_users is not None:
            crowded = ValkeyServer(self._stores.folder / f"redis-{redis.idle_users}")
            self._stack.enter_context(running(crowded))
            fill(crowded.uri, CachedLists("other-", redis.idle_users, ITEMS), TITLES)
            _seed_all(self._stores, self._database(redis))
            return crowded.uri
        if redis.delay_ms is None:
            return self._stores.redis.uri
        proxy = self._stack.enter_context(TcpProxy(self._stores.redis.port))
        proxy.delay(0, redis.delay_ms / 1000)
        return f"redis://127.0.0.1:{proxy.ports[0]}/0"

    @contextmanager
    def _started_other(self, server: Server) -> Iterator[Running]:
        port = free_port()
        if server.program == "baseline":
            ready, variables = "/empty", {}
            command = [sys.executable, "-m", "bench.baseline", str(port), self._stores.redis.uri]
        else:
            assert self._original_command is not None  # noqa: S101 - without it the group is left out
            ready, command = "/health", [*self._original_command]
            # A database of its own: it makes indexes. It has no lists there, so what it answers is from the cache.
            variables = original.settings(port, self._stores.mongodb.database("original"), self._stores.redis.port)
        process = subprocess.Popen(
            command, env=environment(variables), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        try:
            url = f"http://127.0.0.1:{port}"
            wait_until(lambda: answers(f"{url}{ready}"), within=_TIMEOUT_S)
            yield Running(url, process.pid)
        finally:
            process.terminate()
            try:
                process.wait(_TIMEOUT_S)
            except subprocess.TimeoutExpired:  # seen once, of an empty Sanic under load
                process.kill()
                process.wait()

    def _start_service(self, server: Server) -> Service:
        service = self._stack.enter_context(self._started_service(server))
        self._warm(service)
        return service

    def _warm(self, service: Service) -> None:
        with Client(service.url) as client, self.etags.open("w") as file:
            wait_until(lambda: _is_trusted(client), within=_TIMEOUT_S)
            for user in map(user_id, range(1, USERS + 1)):
                client.measure(request("GET", "/api/mylist/items", user=user), status=200)
                file.write(f"{user} {client.answer.headers['etag']}\n")


def _is_trusted(client: Client) -> bool:
    """Return whether the service trusts its cache."""
    client.measure(request("GET", "/api/mylist/stats", user=user_id(1)), status=200)
    return client.answer.headers["x-cache"] == "hit"
