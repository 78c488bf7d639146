"""Connections to the run's stores."""

from collections.abc import AsyncIterator, Iterator
from dataclasses import replace

import pytest
from pymongo import AsyncMongoClient
from redis.asyncio import Redis, RedisCluster

from devtools import redis_groups
from devtools.waiting import eventually
from mylist.cache import clients as cache_connection
from mylist.cache.commands import CacheCommands
from mylist.cache.topology.base import Topology
from mylist.config.settings import Settings
from mylist.devserver.embedded_servers import running
from mylist.domain.errors import CacheUnavailableError
from mylist.mongodb.database import Database, Document, connect
from mylist.mongodb.indexes import create_indexes
from tests.conftest import PATIENT, NewDatabase
from tests.integration.distribution import DistributionRedis


@pytest.fixture(scope="session")
def distribution_redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DistributionRedis]:
    server = DistributionRedis(tmp_path_factory.mktemp("redis"))
    with running(server):
        yield server


@pytest.fixture(scope="session")
def sentinel_group(tmp_path_factory: pytest.TempPathFactory) -> Iterator[redis_groups.SentinelGroup]:
    with redis_groups.SentinelGroup(tmp_path_factory.mktemp("sentinel")) as group:
        yield group


@pytest.fixture(scope="session")
def redis_cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[redis_groups.RedisCluster]:
    with redis_groups.RedisCluster(tmp_path_factory.mktemp("cluster")) as cluster:
        yield cluster


def in_extended(name: str) -> object:
    return pytest.param(name, marks=pytest.mark.extended)


@pytest.fixture(params=["the run's Redis", *map(in_extended, ("redis-server", "Sentinel", "Cluster"))])
def each_redis_url(request: pytest.FixtureRequest, redis_url: str) -> str:
    """The REDIS_URL of the run's Redis; in the extended tier also of another build and of groups."""
    match request.param:
        case "redis-server":
            return str(request.getfixturevalue("distribution_redis").uri)
        case "Sentinel":
            return str(request.getfixturevalue("sentinel_group").url)
        case "Cluster":
            return str(request.getfixturevalue("redis_cluster").url)
    return redis_url


@pytest.fixture
async def primaries(each_redis_url: str) -> AsyncIterator[Topology]:
    """Each Redis with the service's settings, but with a longer timeout, because the machine may be slow."""
    primaries = cache_connection.connect(replace(Settings.load({"REDIS_URL": each_redis_url}), redis_timeout=5.0))
    commands = CacheCommands(primaries)

    async def answers() -> bool:
        try:
            await commands.ping()
        except CacheUnavailableError:
            return False
        return True

    await eventually(answers, within=30)
    yield primaries
    await primaries.close()


@pytest.fixture
async def redis_client(primaries: Topology) -> AsyncIterator[Redis | RedisCluster]:
    """A client that reads each Redis directly; for a Cluster, it does not use the service's topology."""
    if not primaries.sharded:
        yield primaries.all[0].client
        return
    host, port = primaries.all[0].address
    async with RedisCluster(host=host, port=port) as client:
        yield client


@pytest.fixture
def own_uri(new_database: NewDatabase, redis_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The URI of this test's own database; the environment variables refer to it and to Redis."""
    with new_database() as uri:
        for name, value in {"MONGODB_URI": uri, "REDIS_URL": redis_url, **PATIENT}.items():
            monkeypatch.setenv(name, value)
        yield uri


@pytest.fixture
def settings(mongodb_uri: str, redis_url: str) -> Settings:
    return Settings.load({"MONGODB_URI": mongodb_uri, "REDIS_URL": redis_url, **PATIENT})


@pytest.fixture
async def mongodb(settings: Settings) -> AsyncIterator[AsyncMongoClient[Document]]:
    client = connect(settings)
    yield client
    await client.close()


@pytest.fixture
async def store_database(mongodb: AsyncMongoClient[Document], settings: Settings) -> Database:
    """The database of this module, checked and with its indexes."""
    database = Database(mongodb, settings)
    await database.check()
    await create_indexes(database.handle)
    return database
