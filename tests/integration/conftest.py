"""Connections to the run's stores."""

import shutil
from collections.abc import AsyncIterator, Iterator

import pytest
from pymongo import AsyncMongoClient
from redis.asyncio import Redis

from mylist.development.servers import ValkeyServer, running
from mylist.settings import Settings
from mylist.store.connection import Database, Document, connect
from mylist.store.indexes import create_indexes


class DistributionRedis(ValkeyServer):
    """The Redis that the operating system's distribution has, which is older than the run's own."""

    name = "redis-server"

    def command(self) -> list[str]:
        return ["redis-server", *super().command()[1:]]


@pytest.fixture(scope="session")
def distribution_redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DistributionRedis]:
    server = DistributionRedis(tmp_path_factory.mktemp("redis"))
    with running(server):
        yield server


@pytest.fixture(params=["the run's Redis", *filter(shutil.which, ["redis-server"])])
async def redis_client(request: pytest.FixtureRequest, redis_url: str) -> AsyncIterator[Redis]:
    """Connects to the run's Redis, and to the distribution's where there is one."""
    distribution = request.param == "redis-server"
    client = Redis.from_url(request.getfixturevalue("distribution_redis").uri if distribution else redis_url)
    yield client
    await client.aclose()


@pytest.fixture
def settings(mongodb_uri: str, redis_url: str) -> Settings:
    # As patient as it may be: how fast the machine is at the moment is no matter of these tests.
    return Settings.load({"MONGODB_URI": mongodb_uri, "REDIS_URL": redis_url, "MONGODB_TIMEOUT": "5"})


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
