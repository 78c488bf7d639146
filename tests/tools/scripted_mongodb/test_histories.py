"""Reads while members have different data: a majority that lags, two primaries, stale reads, rollbacks."""

import asyncio
from typing import Any

import pytest
from bson import ObjectId
from pymongo import AsyncMongoClient, UpdateOne, WriteConcern
from pymongo.errors import BulkWriteError, DuplicateKeyError, PyMongoError
from pymongo.read_concern import ReadConcern

from devtools.scripted_mongodb import ScriptedMongoDB, Topology
from devtools.waiting import eventually
from tests.tools.scripted_mongodb.conftest import PATIENCE_S, Collection, Connect, Deploy, code_of, until_primary


def locally(collection: Collection) -> Collection:
    """Return the collection with one member's own data."""
    return collection.with_options(read_concern=ReadConcern("local"), write_concern=WriteConcern(1))


async def ids(collection: Collection) -> list[int]:
    """Return the ids of the documents, read in every way that the service reads."""
    found = sorted([each["_id"] for each in await collection.find({}, batch_size=2).to_list()])
    assert await collection.count_documents({}) == len(found)
    assert sorted(await collection.distinct("_id")) == found
    assert sorted([each["_id"] async for each in await collection.aggregate([{"$match": {}}])]) == found
    return found


async def until_waiting(mongodb: ScriptedMongoDB, collection: Collection, name: str, count: int = 1) -> None:
    """Wait until this many commands of a name have arrived, and their writes are visible."""

    async def waits() -> bool:
        await locally(collection).find_one()
        return mongodb.count(name) == count

    await eventually(waits, within=PATIENCE_S)


class TestLag:
    @pytest.mark.parametrize("topology", [Topology.REPLICA_SET, Topology.SHARDED])
    async def test_majority_reads_see_only_data_that_a_majority_has(
        self, deploy: Deploy, connect: Connect, topology: Topology
    ) -> None:
        mongodb = deploy(topology)
        collection = connect(mongodb.uri())
        await collection.insert_many([{"_id": number} for number in range(5)])
        mongodb.lose_majority()
        await locally(collection).insert_one({"_id": 5})
        await locally(collection).delete_one({"_id": 0})
        await locally(collection).update_one({"_id": 1}, {"$set": {"a": 1}})

        assert await ids(collection) == [0, 1, 2, 3, 4]
        assert await collection.find_one({"_id": 1}) == {"_id": 1}
        assert await ids(locally(collection)) == [1, 2, 3, 4, 5]

        mongodb.regain_majority()
        assert await ids(collection) == [1, 2, 3, 4, 5]
        assert await collection.find_one({"_id": 1}) == {"_id": 1, "a": 1}

    async def test_a_majority_can_be_lost_repeatedly(self, mongodb: ScriptedMongoDB, collection: Collection) -> None:
        for number in range(3):
            mongodb.lose_majority()
            await locally(collection).insert_one({"_id": number})
            assert await ids(collection) == list(range(number))
            mongodb.regain_majority()
            assert await ids(collection) == list(range(number + 1))

    async def test_a_duplicate_key_and_a_wtimeout_come_in_one_reply(
        self, mongodb: ScriptedMongoDB, connect: Connect
    ) -> None:
        collection = connect(mongodb.uri(), timeoutMS=None, w=1)
        await collection.create_index([("user", 1), ("content", 1)], unique=True)
        mongodb.lose_majority()
        impatient = collection.with_options(write_concern=WriteConcern("majority", wtimeout=50))
        item = {"user": "u", "content": "c"}
        add = UpdateOne(item | {"at": None}, {"$set": {"at": 1}}, upsert=True)
        with pytest.raises(BulkWriteError) as failed:
            await impatient.bulk_write([add])
        assert failed.value.details["writeErrors"] == []
        with pytest.raises(BulkWriteError) as failed:
            await impatient.bulk_write([add])
        assert [each["code"] for each in failed.value.details["writeErrors"]] == [11000]
        assert [each["code"] for each in failed.value.details["writeConcernErrors"]] == [64]

    async def test_an_election_rolls_back_writes_that_no_majority_has(
        self, mongodb: ScriptedMongoDB, collection: Collection
    ) -> None:
        await collection.insert_many([{"_id": 1}, {"_id": 2}])
        await collection.create_index("a")
        mongodb.lose_majority()
        await locally(collection).insert_one({"_id": 3})
        await locally(collection).delete_one({"_id": 1})
        await locally(collection).update_one({"_id": 2}, {"$set": {"a": 1}})
        await locally(collection.database["other"]).insert_one({})
        mongodb.kill(0)
        mongodb.elect(1)

        assert await collection.find({}, sort=[("_id", 1)]).to_list() == [{"_id": 1}, {"_id": 2}]
        assert await collection.database.list_collection_names() == ["mylist"]
        assert "a_1" in await collection.index_information()
        await collection.insert_one({"_id": 3})
        assert await ids(collection) == [1, 2, 3]

    async def test_regaining_the_majority_after_the_primary_died_restores_no_lost_write(
        self, mongodb: ScriptedMongoDB, collection: Collection
    ) -> None:
        await collection.insert_one({"_id": 1})
        mongodb.lose_majority()
        await locally(collection).insert_one({"_id": 2})
        mongodb.kill(0)
        mongodb.regain_majority()
        mongodb.elect(1)
        assert await ids(collection) == [1]

    async def test_the_retry_of_a_rolled_back_write_is_applied(
        self, mongodb: ScriptedMongoDB, collection: Collection
    ) -> None:
        await collection.insert_one({"_id": 1, "count": 0})
        mongodb.lose_majority()
        counting = asyncio.create_task(collection.update_one({"_id": 1}, {"$inc": {"count": 1}}))
        await until_waiting(mongodb, collection, "update")
        mongodb.step_down(1)

        await counting
        assert mongodb.count("update") == 2
        assert await collection.find_one() == {"_id": 1, "count": 1}

    async def test_the_retry_of_a_write_that_a_majority_has_is_not_applied_again(
        self, mongodb: ScriptedMongoDB, collection: Collection
    ) -> None:
        await collection.insert_one({"_id": 1, "count": 0})
        mongodb.fail_command("update", closes="after")
        mongodb.lose_majority()
        counting = asyncio.create_task(collection.update_one({"_id": 1}, {"$inc": {"count": 1}}))
        await until_waiting(mongodb, collection, "update")
        mongodb.regain_majority()
        await counting
        mongodb.step_down(1)
        assert await collection.find_one() == {"_id": 1, "count": 1}


class TestTwoPrimaries:
    """One site is cut off with the former primary, as in a partition of the network."""

    @pytest.fixture
    def mongodb(self, deploy: Deploy) -> ScriptedMongoDB:
        return deploy(sites=2)

    @pytest.fixture
    async def near(self, mongodb: ScriptedMongoDB, connect: Connect) -> Collection:
        return connect(mongodb.uri(site=0))

    @pytest.fixture
    async def far(self, mongodb: ScriptedMongoDB, connect: Connect) -> Collection:
        return connect(mongodb.uri(site=1), retryWrites=False)

    async def part(self, mongodb: ScriptedMongoDB, near: Collection, far: Collection) -> None:
        await near.insert_one({"_id": 1})
        assert await ids(far) == [1]
        mongodb.cut(1, site=1)
        mongodb.cut(2, site=1)
        mongodb.elect(1)
        await until_primary(near, mongodb.addresses()[1])
        await near.insert_one({"_id": 2})

    async def test_the_former_primary_reads_the_data_from_before_the_election(
        self, mongodb: ScriptedMongoDB, near: Collection, far: Collection
    ) -> None:
        await self.part(mongodb, near, far)
        assert (await ids(near), await ids(far)) == ([1, 2], [1])

    async def test_both_claim_to_be_primary_and_the_new_one_has_the_higher_election_id(
        self, mongodb: ScriptedMongoDB, near: Collection, far: Collection
    ) -> None:
        await self.part(mongodb, near, far)
        hellos = [await each.database.command("hello") for each in (far, near)]
        for number, hello in enumerate(hellos):
            assert hello["isWritablePrimary"]
            assert hello["electionId"] == ObjectId(f"7fffffff{number + 1:016x}")
            assert hello["lastWrite"]["opTime"] == hello["lastWrite"]["majorityOpTime"]
            assert hello["lastWrite"]["opTime"]["t"] == number + 1

    async def test_writes_of_the_former_primary_reach_no_majority_and_are_rolled_back(
        self, mongodb: ScriptedMongoDB, near: Collection, far: Collection
    ) -> None:
        await self.part(mongodb, near, far)
        adding = asyncio.create_task(far.insert_one({"_id": 3}))
        await until_waiting(mongodb, far, "insert", 3)
        assert (await ids(far), await ids(locally(far)), await ids(near)) == ([1], [1, 3], [1, 2])
        last = (await far.database.command("hello"))["lastWrite"]
        assert last["opTime"]["ts"] > last["majorityOpTime"]["ts"]
        with pytest.raises(DuplicateKeyError):
            await locally(far).insert_one({"_id": 3})

        mongodb.inform(0)
        with pytest.raises(PyMongoError) as failed:
            await adding
        assert code_of(failed.value) == 11602
        mongodb.heal(1, site=1)
        mongodb.heal(2, site=1)
        assert await ids(far) == [1, 2]
        await far.insert_one({"_id": 3})
        assert await ids(near) == [1, 2, 3]

    async def test_the_former_primary_keeps_its_local_writes_from_before_the_election(
        self, mongodb: ScriptedMongoDB, near: Collection, far: Collection
    ) -> None:
        await near.insert_one({"_id": 0})
        await far.find_one()
        mongodb.lose_majority()
        await locally(near).insert_one({"_id": 9})
        mongodb.cut(1, site=1)
        mongodb.cut(2, site=1)
        mongodb.elect(1)
        await until_primary(near, mongodb.addresses()[1])

        assert (await ids(near), await ids(far), await ids(locally(far))) == ([0], [0], [0, 9])

    async def test_the_driver_switches_to_the_new_primary_when_it_sees_it(
        self, mongodb: ScriptedMongoDB, near: Collection
    ) -> None:
        await near.insert_one({"_id": 1})
        mongodb.elect(1)
        await until_primary(near, mongodb.addresses()[1])
        await near.insert_one({"_id": 2})

    async def test_a_thawed_primary_has_its_old_data_until_it_learns_of_the_election(
        self, mongodb: ScriptedMongoDB, near: Collection, connect: Connect
    ) -> None:
        alone = connect(mongodb.member_uri(0))
        await alone.insert_one({"_id": 1})
        assert await near.find_one() == {"_id": 1}
        mongodb.freeze(0)
        reading = asyncio.create_task(alone.find_one({"_id": 2}))
        mongodb.elect(1)
        await until_primary(near, mongodb.addresses()[1])
        await near.insert_one({"_id": 2})
        mongodb.thaw(0)
        assert await reading is None

        mongodb.inform(0)
        assert await ids(alone) == [1, 2]

    async def test_the_former_primary_can_be_elected_again(
        self, mongodb: ScriptedMongoDB, near: Collection, far: Collection
    ) -> None:
        await self.part(mongodb, near, far)
        adding = asyncio.create_task(far.insert_one({"_id": 3}))
        await until_waiting(mongodb, far, "insert", 3)
        mongodb.elect(0)
        with pytest.raises(PyMongoError) as failed:
            await adding
        assert code_of(failed.value) == 11602
        await until_primary(near, mongodb.addresses()[0])
        assert (await ids(near), await ids(far)) == ([1, 2], [1, 2])


class TestStaleReadsAfterAnElection:
    async def test_last_until_the_first_write_of_the_term(
        self, mongodb: ScriptedMongoDB, collection: Collection
    ) -> None:
        await collection.insert_one({"_id": 1})
        before = mongodb.remember()
        await collection.insert_one({"_id": 2})
        mongodb.step_down(1, reads_from=before)

        assert await ids(collection) == [1]
        last = (await collection.database.command("hello"))["lastWrite"]
        assert (last["opTime"]["t"], last["majorityOpTime"]["t"]) == (2, 1)

        await collection.insert_one({"_id": 3})
        assert await ids(collection) == [1, 2, 3]
        last = (await collection.database.command("hello"))["lastWrite"]
        assert last["opTime"]["t"] == last["majorityOpTime"]["t"] == 2

    async def test_last_until_the_majority_has_caught_up(
        self, mongodb: ScriptedMongoDB, collection: Collection
    ) -> None:
        before = mongodb.remember()
        await collection.insert_one({"_id": 1})
        mongodb.kill(0)
        mongodb.elect(1, reads_from=before)
        assert await ids(collection) == []
        mongodb.regain_majority()
        assert await ids(collection) == [1]


@pytest.mark.parametrize("keeps", [True, False])
async def test_snapshots_are_dropped_when_the_context_ends_unless_they_must_be_kept(
    mongodb_server: str, connect: Connect, keeps: bool
) -> None:
    with ScriptedMongoDB(mongodb_server, keeps_snapshots=keeps) as mongodb:
        collection = connect(mongodb.uri())
        await collection.insert_one({"_id": 1})
        mongodb.lose_majority()
        assert await ids(collection) == [1]

    async with AsyncMongoClient[dict[str, Any]](mongodb_server) as client:
        assert (f"snapshot-1-{collection.database.name}" in await client.list_database_names()) is keeps
        await client.drop_database(f"snapshot-1-{collection.database.name}")
