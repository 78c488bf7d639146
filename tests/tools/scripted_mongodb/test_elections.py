"""Step-downs, dead and frozen members, and how the driver reacts to them."""

import asyncio

import pytest
from bson import ObjectId
from pymongo.errors import (
    AutoReconnect,
    NotPrimaryError,
    PyMongoError,
    ServerSelectionTimeoutError,
)

from devtools.scripted_mongodb import ScriptedMongoDB
from devtools.waiting import eventually
from tests.tools.scripted_mongodb.conftest import PATIENCE_S, Collection, Connect, Deploy, code_of, until_primary


class TestStepDown:
    @pytest.mark.parametrize("code", [10107, 11602, 189])
    @pytest.mark.parametrize("streams", [True, False])
    async def test_the_driver_retries_a_write_on_the_new_primary(
        self, deploy: Deploy, connect: Connect, code: int, streams: bool
    ) -> None:
        mongodb = deploy(streams=streams)
        collection = connect(mongodb.uri())
        await collection.insert_one({"_id": 1})
        mongodb.step_down(1, after_s=0.3, code=code)

        await collection.insert_one({"_id": 2})
        assert mongodb.primary() == 1
        assert await collection.count_documents({}) == 2
        assert mongodb.commands("insert")[-1].member == 1

    async def test_a_write_without_retries_fails_with_not_primary(
        self, mongodb: ScriptedMongoDB, connect: Connect
    ) -> None:
        collection = connect(mongodb.member_uri(0), retryWrites=False)
        mongodb.step_down(1)
        with pytest.raises(NotPrimaryError) as refused:
            await collection.insert_one({})
        assert code_of(refused.value) == 10107
        with pytest.raises(NotPrimaryError) as refused:
            await collection.insert_one({})
        assert code_of(refused.value) == 10107

    async def test_the_former_primary_refuses_reads_of_clients_that_require_a_primary(
        self, deploy: Deploy, connect: Connect
    ) -> None:
        mongodb = deploy(streams=False)
        collection = connect(mongodb.uri(), retryReads=False)
        await collection.find_one()
        mongodb.step_down(1)
        with pytest.raises(NotPrimaryError) as refused:
            await collection.find_one()
        assert code_of(refused.value) == 13435

    async def test_the_new_primary_has_a_higher_election_id_and_term(
        self, mongodb: ScriptedMongoDB, collection: Collection
    ) -> None:
        await collection.insert_one({})
        mongodb.step_down(2)
        await until_primary(collection, mongodb.addresses()[2])
        hello = await collection.database.command("hello")
        assert hello["electionId"] == ObjectId("7fffffff0000000000000002")
        assert hello["lastWrite"]["opTime"]["t"] == hello["lastWrite"]["majorityOpTime"]["t"] == 2

    async def test_keeps_connections_open(self, mongodb: ScriptedMongoDB, connect: Connect) -> None:
        collection = connect(mongodb.member_uri(0))
        await collection.insert_one({"_id": 1})
        handshakes = mongodb.count("ismaster")
        mongodb.step_down(1)

        assert await collection.find_one() == {"_id": 1}
        assert mongodb.count("ismaster") == handshakes

    async def test_a_write_that_waits_for_a_majority_fails(self, mongodb: ScriptedMongoDB, connect: Connect) -> None:
        collection = connect(mongodb.member_uri(0), retryWrites=False)
        mongodb.lose_majority()
        adding = asyncio.create_task(collection.insert_one({"_id": 1}))

        async def waits() -> bool:
            return mongodb.count("insert") == 1

        await eventually(waits, within=PATIENCE_S)
        mongodb.step_down(1)
        with pytest.raises(PyMongoError) as failed:
            await adding
        assert code_of(failed.value) in {11602, 10107}

    async def test_leaves_no_primary_until_the_election(self, mongodb: ScriptedMongoDB, connect: Connect) -> None:
        collection = connect(mongodb.uri(), timeoutMS=500)
        mongodb.step_down(1, after_s=600)
        assert mongodb.primary() is None
        with pytest.raises(ServerSelectionTimeoutError):
            await collection.find_one()


class TestKill:
    async def test_ends_the_connections_of_the_member_and_refuses_new_ones(
        self, mongodb: ScriptedMongoDB, connect: Connect
    ) -> None:
        collection = connect(mongodb.member_uri(0), retryReads=False, timeoutMS=1000)
        await collection.find_one()
        mongodb.kill(0)
        with pytest.raises((AutoReconnect, ServerSelectionTimeoutError)):
            await collection.find_one()
        host, _, port = mongodb.addresses()[0].partition(":")
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection(host, int(port))

    async def test_the_driver_finds_the_next_primary_and_later_the_revived_member(
        self, mongodb: ScriptedMongoDB, collection: Collection
    ) -> None:
        await collection.insert_one({"_id": 1})
        mongodb.kill(0)
        mongodb.elect(2, after_s=0.2)
        await collection.insert_one({"_id": 2})
        assert mongodb.commands("insert")[-1].member == 2

        mongodb.revive(0)

        async def knows_it() -> bool:
            return len(await collection.database.client.secondaries) == 2

        await eventually(knows_it, within=PATIENCE_S)


class TestFreezeAndCut:
    async def test_a_frozen_member_answers_nothing_until_it_is_thawed(
        self, mongodb: ScriptedMongoDB, collection: Collection
    ) -> None:
        await collection.insert_one({"_id": 1})
        mongodb.freeze(0)
        adding = asyncio.create_task(collection.insert_one({"_id": 2}))
        await asyncio.sleep(0.3)
        assert not adding.done()
        mongodb.thaw(0)
        await adding

    async def test_one_site_can_be_cut_off_while_another_is_not(self, deploy: Deploy, connect: Connect) -> None:
        mongodb = deploy(sites=2)
        near, far = (connect(mongodb.uri(site=site), timeoutMS=3000) for site in range(2))
        await near.insert_one({"_id": 1})
        await far.insert_one({"_id": 2})
        mongodb.cut(0, site=1)

        await near.insert_one({"_id": 3})
        with pytest.raises(PyMongoError) as failed:
            await far.insert_one({"_id": 4})
        assert failed.value.timeout
        mongodb.heal(0, site=1)
        await far.insert_one({"_id": 5})

    async def test_a_client_that_is_cut_off_does_not_reach_a_thawed_member(
        self, mongodb: ScriptedMongoDB, connect: Connect
    ) -> None:
        collection = connect(mongodb.member_uri(0))
        await collection.insert_one({"_id": 1})
        mongodb.freeze(0)
        mongodb.cut(0, site=0)
        mongodb.thaw(0)
        reading = asyncio.create_task(collection.find_one())
        await asyncio.sleep(0.3)
        assert not reading.done()
        mongodb.heal(0, site=0)
        assert await reading == {"_id": 1}

    async def test_a_frozen_member_can_be_killed_and_revived(self, mongodb: ScriptedMongoDB, connect: Connect) -> None:
        collection = connect(mongodb.member_uri(0))
        await collection.insert_one({"_id": 1})
        mongodb.freeze(0)
        mongodb.kill(0)
        mongodb.revive(0)
        assert await collection.find_one() == {"_id": 1}
