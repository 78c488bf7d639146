"""Connections to the run's stores."""

from collections.abc import AsyncIterator

import pytest
from pymongo import AsyncMongoClient
from redis.asyncio import Redis

from mylist.settings import Settings
from mylist.store.connection import Database, Document, connect
from mylist.store.indexes import create_indexes


@pytest.fixture
async def redis_client(redis_url: str) -> AsyncIterator[Redis]:
    client = Redis.from_url(redis_url)
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
