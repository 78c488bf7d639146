"""Deployments in front of the MongoDB of the run, and the driver that the service uses."""

import gc
import warnings
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack
from typing import Any
from uuid import uuid4

import pymongo
import pytest
from pymongo import AsyncMongoClient
from pymongo.asynchronous.collection import AsyncCollection
from pymongo.errors import PyMongoError

from devtools.scripted_mongodb import ScriptedMongoDB
from devtools.waiting import eventually

Collection = AsyncCollection[dict[str, Any]]
Deploy = Callable[..., ScriptedMongoDB]
Connect = Callable[..., Collection]
PATIENCE_S = 20.0
LIMIT_MS = 60_000
"""Milliseconds that an operation may take on a busy machine."""


def code_of(error: PyMongoError) -> int | None:
    """Return the code of a server's error: only some classes of the driver have it."""
    details = getattr(error, "details", None) or {}
    code: int | None = getattr(error, "code", None) or details.get("code")
    return code


async def until_primary(collection: Collection, address: str) -> None:
    """Wait until the driver regards this member as the primary."""

    async def is_primary() -> bool:
        host, port = await collection.database.client.primary or ("", 0)
        return f"{host}:{port}" == address

    await eventually(is_primary, within=PATIENCE_S)


@pytest.fixture
def deploy(mongodb_server: str) -> Iterator[Deploy]:
    """Put a deployment in front of the server."""
    with ExitStack() as deployed:
        yield lambda *args, **kwargs: deployed.enter_context(ScriptedMongoDB(mongodb_server, *args, **kwargs))


@pytest.fixture
def mongodb(deploy: Deploy) -> ScriptedMongoDB:
    """A replica set of three."""
    return deploy()


@pytest.fixture
async def connect() -> AsyncIterator[Connect]:
    """Open a collection of the test's own at a URI, with the service's guarantees."""
    clients: list[AsyncMongoClient[dict[str, Any]]] = []
    name = f"test-{uuid4().hex[:12]}"

    def connected(uri: str, **options: Any) -> Collection:
        guarantees: dict[str, Any] = {"w": "majority", "readConcernLevel": "majority", "timeoutMS": LIMIT_MS}
        client: AsyncMongoClient[dict[str, Any]] = AsyncMongoClient(uri, **(guarantees | options))
        clients.append(client)
        return client[name]["mylist"]

    yield connected
    for client in clients:
        with pymongo.timeout(1):  # it would look for a primary to end its sessions
            await client.close()
    with warnings.catch_warnings(action="ignore"):
        gc.collect()  # it leaves sockets behind whose connection was in flight


@pytest.fixture
def collection(mongodb: ScriptedMongoDB, connect: Connect) -> Collection:
    """A collection of the test's own on the replica set."""
    return connect(mongodb.uri())
