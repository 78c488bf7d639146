"""A majority that lags or is lost, as clients and `hello` see it."""

import asyncio

import pytest
from pymongo import WriteConcern
from pymongo.errors import DuplicateKeyError, PyMongoError, WTimeoutError

from devtools.scripted_mongodb import ScriptedMongoDB, Topology
from devtools.waiting import eventually
from tests.tools.scripted_mongodb.conftest import PATIENCE_S, Collection, Connect, Deploy


async def test_a_write_takes_effect_and_its_wtimeout_is_reported(mongodb: ScriptedMongoDB, connect: Connect) -> None:
    collection = connect(mongodb.uri(), timeoutMS=None)  # with a timeout, the driver would leave wtimeout out
    mongodb.lose_majority()
    impatient = collection.with_options(write_concern=WriteConcern("majority", wtimeout=50))

    with pytest.raises(WTimeoutError) as failed:
        await impatient.insert_one({"_id": 1})
    assert failed.value.code == 64
    with pytest.raises(DuplicateKeyError):  # the driver hides that the write concern failed too
        await impatient.insert_one({"_id": 1})


async def test_an_expired_max_time_ms_is_reported_as_a_write_concern_error(
    mongodb: ScriptedMongoDB, connect: Connect
) -> None:
    collection = connect(mongodb.uri(), timeoutMS=None)
    mongodb.lose_majority()
    reply = await collection.database.command(
        {
            "insert": "mylist",
            "documents": [{"_id": 1}, {"_id": 1}],
            "ordered": False,
            "maxTimeMS": 50,
            "writeConcern": {"w": "majority"},
        },
        check=False,
    )
    assert reply["n"] == 1
    assert [error["code"] for error in reply["writeErrors"]] == [11000]
    assert reply["writeConcernError"]["code"] == 50


async def test_the_drivers_own_deadline_ends_an_operation(mongodb: ScriptedMongoDB, connect: Connect) -> None:
    collection = connect(mongodb.uri(), timeoutMS=1000)
    await collection.database.command("ping")
    mongodb.lose_majority()
    with pytest.raises(PyMongoError) as failed:
        await collection.insert_one({"_id": 1})
    assert failed.value.timeout


async def test_a_write_with_w_1_does_not_wait_for_the_majority(
    mongodb: ScriptedMongoDB, collection: Collection
) -> None:
    mongodb.lose_majority()
    await collection.with_options(write_concern=WriteConcern(1)).insert_one({"_id": 1})


@pytest.mark.parametrize("topology", [Topology.REPLICA_SET, Topology.SHARDED])
async def test_a_majority_write_waits_until_the_majority_is_back(
    deploy: Deploy, connect: Connect, topology: Topology
) -> None:
    mongodb = deploy(topology)
    collection = connect(mongodb.uri())
    mongodb.lose_majority()
    adding = asyncio.create_task(collection.insert_one({"_id": 1}))
    local = collection.with_options(read_concern=None)

    async def took_effect() -> bool:
        return await collection.database.command("count", "mylist") == {"n": 1} or mongodb.count("insert") == 1

    await eventually(took_effect, within=PATIENCE_S)
    assert not adding.done()
    mongodb.regain_majority()
    await adding
    assert await local.find_one() == {"_id": 1}


async def test_a_majority_that_is_lost_for_a_given_time_comes_back_by_itself(
    mongodb: ScriptedMongoDB, collection: Collection
) -> None:
    mongodb.lose_majority(for_s=0.2)
    await collection.insert_one({"_id": 1})
    assert await collection.find_one() == {"_id": 1}


async def test_hello_reports_the_lag_of_the_majority(mongodb: ScriptedMongoDB, collection: Collection) -> None:
    await collection.insert_one({})
    mongodb.lose_majority()
    lagging = (await collection.database.command("hello"))["lastWrite"]
    assert lagging["opTime"]["ts"] > lagging["majorityOpTime"]["ts"]
    assert lagging["lastWriteDate"] >= lagging["majorityWriteDate"]

    await collection.with_options(write_concern=WriteConcern(1)).insert_one({})
    later = (await collection.database.command("hello"))["lastWrite"]
    assert later["opTime"]["ts"] > lagging["opTime"]["ts"]
    assert later["majorityOpTime"] == lagging["majorityOpTime"]

    mongodb.regain_majority()
    after = (await collection.database.command("hello"))["lastWrite"]
    assert after["opTime"] == after["majorityOpTime"] == later["opTime"]
