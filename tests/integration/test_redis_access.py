"""TLS and users with few rights: what the service needs, and what it says when it lacks that."""

import re
import ssl
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import quote
from uuid import uuid4

import httpx
import pytest
from bson import ObjectId
from pymongo.database import Database

from devtools.certificates import (
    Certificates,
    authority_without_key_usage,
    make_certificates,
    self_signed_certificate,
)
from devtools.redis_groups import Member, RedisCluster, SentinelGroup
from devtools.service_process import Service
from devtools.tls_front import TlsFront
from devtools.waiting import wait_until
from mylist.cache.clients import connect
from mylist.cache.commands import CacheCommands
from mylist.cache.read_batcher import ReadBatcher
from mylist.config.settings import Settings
from mylist.devserver.embedded_servers import running
from mylist.domain.errors import CacheUnavailableError
from mylist.domain.packed_list import PackedList
from tests.conftest import Serve
from tests.integration.distribution import DistributionTlsRedis

DECISION = Path(__file__).parents[2] / "docs/decisions/0009-distributed-redis.md"
TROUBLESHOOTING = Path(__file__).parents[2] / "docs" / "troubleshooting.md"
PASSWORD = "p@ss/w:rd?"
MOVIE = "507f1f77bcf86cd799439012"


@dataclass(frozen=True)
class TlsRedis:
    """A Redis that asks its clients for a certificate on one port, and has another without TLS for the tests."""

    server: Member
    tls_port: int

    def url(self, user: str, **query: Path) -> str:
        return tls_url(self.tls_port, user, **query)


def tls_url(port: int, user: str, **query: Path) -> str:
    parameters = "&".join(f"{name}={value}" for name, value in query.items())
    return f"rediss://{user}:{quote(PASSWORD, safe='')}@127.0.0.1:{port}/0?{parameters}"


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return make_certificates(tmp_path_factory.mktemp("certificates"))


@pytest.fixture(scope="module")
def valkey(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Member]:
    server = Member(tmp_path_factory.mktemp("valkey"))
    with running(server):
        yield server


@pytest.fixture(
    scope="module", params=["a front", pytest.param("the distribution's Redis", marks=pytest.mark.extended)]
)
def redis(
    request: pytest.FixtureRequest, certificates: Certificates, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[TlsRedis]:
    """A TLS front before Valkey, or a Redis that is built with TLS."""
    if request.param == "a front":
        server = request.getfixturevalue("valkey")
        with TlsFront(server.port, certificates) as front:
            yield TlsRedis(server, front.port)
        return
    redis = DistributionTlsRedis(
        tmp_path_factory.mktemp("redis"),
        *("--tls-cert-file", str(certificates.certificate)),
        *("--tls-key-file", str(certificates.key)),
        *("--tls-ca-cert-file", str(certificates.authority)),
    )
    with running(redis):
        yield TlsRedis(redis, redis.tls_port)


def documented_rights(of: str) -> list[str]:
    """The rights that the decision requires of operators."""
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
    wait_until(cached, within=30)
    assert http.get(f"{service.url}/api/mylist/items").json()["data"]["total"] == 1
    assert http.delete(f"{service.url}/api/mylist/remove/{title}").status_code == 200
    assert http.get(f"{service.url}/api/mylist/items").json()["data"]["total"] == 0
    wait_until(cached, within=30)


def test_a_service_caches_lists_over_tls_with_the_documented_rights(
    serve: Serve, redis: TlsRedis, certificates: Certificates, http: httpx.Client, title: str
) -> None:
    allow(redis.server, "lists", documented_rights("mylist"))
    url = redis.url(
        "lists",
        ssl_ca_certs=certificates.authority,
        ssl_certfile=certificates.certificate,
        ssl_keyfile=certificates.key,
    )

    service = serve(REDIS_URL=url)

    assert_served_and_cached(service, http, title)
    assert redis.server.ask("ACL LOG") == []
    service.stop()  # processes on one database that use different Redis servers cache nothing


def test_a_missing_right_is_logged_once(serve: Serve, redis: TlsRedis, http: httpx.Client, title: str) -> None:
    allow(redis.server, "few", [right for right in documented_rights("mylist") if right != "+evalsha"])
    service = serve(REDIS_URL=f"redis://few@127.0.0.1:{redis.server.port}", REDIS_PASSWORD=PASSWORD)

    line = wait_until(lambda: re.search(r".* is down: .*", service.log.read_text()), within=30)[0]

    assert "evalsha" in line
    assert (
        http.post(f"{service.url}/api/mylist/add", json={"contentId": title, "contentType": "movie"}).status_code == 201
    )
    http.get(f"{service.url}/api/mylist/items")
    assert service.log.read_text().count("evalsha") == 1
    service.stop()
    assert PASSWORD not in service.log.read_text()


@pytest.mark.parametrize(
    ("query", "reason"),
    [
        ({}, "certificate verify failed"),
        ({"ssl_ca_certs": "authority"}, "certificate required|Connection closed|reset by peer|closed by server"),
    ],
    ids=["an authority that is not known", "no certificate of its own"],
)
async def test_redis_is_unavailable_without_the_certificates_that_tls_requires(
    redis: TlsRedis, certificates: Certificates, query: dict[str, str], reason: str
) -> None:
    allow(redis.server, "lists", documented_rights("mylist"))
    files = {name: getattr(certificates, what) for name, what in query.items()}
    commands = CacheCommands(connect(patient(redis.url("lists", **files))))

    with pytest.raises(CacheUnavailableError) as refused:
        await commands.ping()
    assert re.search(reason, str(refused.value.__cause__)), refused.value.__cause__
    await commands.close()


@pytest.fixture
def strict_python(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make every Python check certificates as strictly as Python 3.13 and later do."""
    make = ssl.create_default_context

    def make_strict(*arguments: Any, **named: Any) -> ssl.SSLContext:
        context = make(*arguments, **named)
        context.verify_flags |= ssl.VERIFY_X509_STRICT
        return context

    monkeypatch.setattr(ssl, "create_default_context", make_strict)


@pytest.mark.usefixtures("strict_python")
async def test_an_authority_without_key_usage_is_accepted(valkey: Member, tmp_path: Path) -> None:
    certificates = make_certificates(tmp_path, authority_without_key_usage())
    allow(valkey, "lists", documented_rights("mylist"))
    with TlsFront(valkey.port, certificates, asks_clients=False) as front:
        url = tls_url(front.port, "lists", ssl_ca_certs=certificates.authority)
        commands = CacheCommands(connect(patient(url)))
        await commands.ping()
        await commands.close()


@pytest.fixture(params=[True, False], ids=["that may sign others", "of a server alone"])
def own_certificate(request: pytest.FixtureRequest, tmp_path: Path) -> Certificates:
    """A self-signed certificate of a server, for another host than the address that clients use."""
    return self_signed_certificate(tmp_path, is_authority=request.param)


@pytest.mark.parametrize("is_strict", [False, True], ids=["this Python", "Python 3.13"])
async def test_a_self_signed_certificate_is_accepted_with_the_documented_options(
    request: pytest.FixtureRequest, valkey: Member, own_certificate: Certificates, is_strict: bool
) -> None:
    if is_strict:
        request.getfixturevalue("strict_python")
    assert "?ssl_ca_certs=redis.pem&ssl_check_hostname=false" in TROUBLESHOOTING.read_text()
    allow(valkey, "lists", documented_rights("mylist"))
    with TlsFront(valkey.port, own_certificate, asks_clients=False) as front:
        url = tls_url(front.port, "lists", ssl_ca_certs=own_certificate.certificate)
        commands = CacheCommands(connect(patient(f"{url}&ssl_check_hostname=false")))
        await commands.ping()
        await commands.close()


async def test_the_error_says_what_is_wrong_with_a_certificate(
    valkey: Member, own_certificate: Certificates, certificates: Certificates
) -> None:
    allow(valkey, "lists", documented_rights("mylist"))
    with TlsFront(valkey.port, own_certificate, asks_clients=False) as front:
        for query, words in (
            ({}, "self.signed certificate"),
            ({"ssl_ca_certs": certificates.authority}, "self.signed certificate"),
            # The name differs, as on a managed server that clients reach by an address.
            ({"ssl_ca_certs": own_certificate.certificate}, "IP address mismatch|Hostname mismatch"),
        ):
            assert re.search(words, await refusal(tls_url(front.port, "lists", **query)))


async def test_a_self_signed_certificate_other_than_the_configured_one_is_refused(
    valkey: Member, own_certificate: Certificates, tmp_path_factory: pytest.TempPathFactory
) -> None:
    other = self_signed_certificate(tmp_path_factory.mktemp("other"), is_authority=True)
    with TlsFront(valkey.port, own_certificate, asks_clients=False) as front:
        url = tls_url(front.port, "lists", ssl_ca_certs=other.certificate)
        assert "certificate verify failed" in await refusal(f"{url}&ssl_check_hostname=false")


async def refusal(url: str) -> str:
    """Return the reason for which a heartbeat fails."""
    commands = CacheCommands(connect(patient(url)))
    with pytest.raises(CacheUnavailableError) as refused:
        await commands.ping()
    await commands.close()
    return str(refused.value.__cause__)


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


@pytest.mark.extended
@pytest.mark.parametrize("group", ["Sentinel", "Cluster"])
async def test_the_documented_rights_are_enough_for_sentinel_and_cluster(
    users_of_groups: dict[str, tuple[CacheCommands, list[Member]]], group: str
) -> None:
    commands, servers = users_of_groups[group]
    for _ in range(10):
        key = f"mylist:{{{uuid4().hex}}}"
        await commands.ping()
        await commands.place_fence(key, b"a writer", lifetime_ms=5000)
        await commands.place_fence(key, b"another!", lifetime_ms=5000)
        await commands.lift_fence(key, b"a writer")
        await commands.lift_fence(key, b"another!")
        lease = commands.new_lease(key)
        assert await commands.place_lease(key, lease, lifetime_ms=5000) is None
        assert await commands.fill(key, lease, PackedList.of([]).data, lifetime_ms=5000)
        assert await ReadBatcher(commands.router).get_many([(key, None)]) == [PackedList.of([]).data]

    assert [server.ask("ACL LOG") for server in servers] == [[]] * len(servers)


def patient(url: str) -> Settings:
    return replace(Settings.load({"REDIS_URL": url}), redis_timeout=5.0)
