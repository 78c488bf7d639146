"""Change streams deliver the writes that a majority has, and never those that an election rolls back."""

import time

import pymongo
import pytest
from pymongo.asynchronous.change_stream import AsyncChangeStream
from pymongo.errors import OperationFailure, PyMongoError

from devtools.scripted_mongodb import ScriptedMongoDB, Topology
from tests.tools.scripted_mongodb.conftest import PATIENCE_S, Collection, Connect, Deploy, code_of

_QUIET_S = 0.5


async def next_of(stream: AsyncChangeStream[dict[str, object]]) -> tuple[object, object]:
    """Return the kind and the `_id` of the next event."""
    deadline = time.monotonic() + PATIENCE_S
    while (event := await stream.try_next()) is None:
        assert time.monotonic() < deadline, "no event"
    return event["operationType"], event["documentKey"]["_id"]  # type: ignore[index]


async def nothing_of(stream: AsyncChangeStream[dict[str, object]]) -> None:
    until = time.monotonic() + _QUIET_S
    while time.monotonic() < until:
        assert await stream.try_next() is None


async def test_a_stream_delivers_writes_and_resumes_from_any_token(collection: Collection) -> None:
    async with await collection.watch(max_await_time_ms=100) as stream:
        await collection.insert_one({"_id": 1})
        await collection.delete_one({"_id": 1})
        assert await next_of(stream) == ("insert", 1)
        token = stream.resume_token
        assert await next_of(stream) == ("delete", 1)
    async with await collection.watch(max_await_time_ms=100, start_after=token) as stream:
        assert await next_of(stream) == ("delete", 1)


async def test_a_write_is_not_delivered_until_a_majority_has_it(
    mongodb: ScriptedMongoDB, collection: Collection
) -> None:
    await collection.insert_one({"_id": 1})
    async with await collection.watch(max_await_time_ms=100) as stream:
        await collection.insert_one({"_id": 2})
        assert await next_of(stream) == ("insert", 2)
        mongodb.lose_majority()
        await collection.database.command("insert", collection.name, documents=[{"_id": 3}], writeConcern={"w": 1})
        await nothing_of(stream)
        # A new stream does not get it either.
        async with await collection.watch(max_await_time_ms=100, start_after=stream.resume_token) as other:
            await nothing_of(other)
        mongodb.regain_majority()
        assert await next_of(stream) == ("insert", 3)


async def test_a_rolled_back_write_is_never_delivered(mongodb: ScriptedMongoDB, collection: Collection) -> None:
    await collection.insert_one({"_id": 1})
    async with await collection.watch(max_await_time_ms=100) as stream:
        mongodb.lose_majority()
        command = collection.database.command
        await command("insert", collection.name, documents=[{"_id": 2}], writeConcern={"w": 1})
        await command("delete", collection.name, deletes=[{"q": {"_id": 1}, "limit": 1}], writeConcern={"w": 1})
        await nothing_of(stream)
        mongodb.step_down(1)
        await collection.insert_one({"_id": 3})
        assert await next_of(stream) == ("insert", 3)
        assert await collection.distinct("_id") == [1, 3]
        assert len(mongodb.rolled_back()) == 1


async def test_a_stream_resumes_on_another_member(mongodb: ScriptedMongoDB, collection: Collection) -> None:
    async with await collection.watch(max_await_time_ms=100) as stream:
        await collection.insert_one({"_id": 1})
        assert await next_of(stream) == ("insert", 1)
        mongodb.kill(0)
        mongodb.elect(2)
        await collection.insert_one({"_id": 2})
        # The driver looks for the member that had the cursor.
        with pytest.raises(PyMongoError), pymongo.timeout(0.5):
            await stream.try_next()
    async with await collection.watch(max_await_time_ms=100, start_after=stream.resume_token) as stream:
        assert await next_of(stream) == ("insert", 2)


async def test_a_standalone_server_refuses_change_streams(deploy: Deploy, connect: Connect) -> None:
    with pytest.raises(OperationFailure) as refused:
        await connect(deploy(Topology.STANDALONE).uri()).watch()
    assert code_of(refused.value) == 40573
