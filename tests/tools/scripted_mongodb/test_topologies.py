"""The driver recognizes each simulated deployment."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest
from bson import ObjectId
from pymongo.errors import PyMongoError

from devtools.scripted_mongodb import ScriptedMongoDB, Topology
from devtools.waiting import eventually
from tests.tools.scripted_mongodb.conftest import PATIENCE_S, Collection, Connect, Deploy, code_of


@pytest.mark.parametrize(
    ("topology", "seen_as"),
    [
        (Topology.REPLICA_SET, "ReplicaSetWithPrimary"),
        (Topology.SHARDED, "Sharded"),
        (Topology.STANDALONE, "Single"),
        (Topology.DOCUMENTDB, "ReplicaSetWithPrimary"),
        (Topology.DOCUMENTDB_GATEWAY, "Sharded"),
    ],
)
async def test_the_driver_recognizes_the_topology_and_works_with_it(
    deploy: Deploy, connect: Connect, topology: Topology, seen_as: str
) -> None:
    collection = connect(deploy(topology).uri(), retryWrites=False)

    await collection.insert_one({"_id": 1})
    await collection.insert_many([{"_id": number} for number in range(2, 500)])

    assert [each["_id"] for each in await collection.find({}, sort=[("_id", 1)]).to_list()] == list(range(1, 500))
    assert collection.database.client.topology_description.topology_type_name == seen_as


class TestReplicaSet:
    async def test_the_driver_knows_all_members(self, mongodb: ScriptedMongoDB, collection: Collection) -> None:
        client = collection.database.client
        await collection.insert_one({})

        async def all_known() -> bool:
            return len(await client.secondaries) == 2

        await eventually(all_known, within=PATIENCE_S)
        known = {await client.primary, *await client.secondaries}
        assert {f"{host}:{port}" for host, port in filter(None, known)} == set(mongodb.addresses())

    async def test_hello_has_the_fields_of_a_primary(self, mongodb: ScriptedMongoDB, collection: Collection) -> None:
        hello = await collection.database.command("hello")

        assert (hello["setName"], hello["setVersion"]) == ("rs0", 1)
        assert (hello["isWritablePrimary"], hello["secondary"]) == (True, False)
        assert hello["hosts"] == mongodb.addresses()
        assert hello["primary"] == hello["me"] == mongodb.addresses()[0]
        assert hello["electionId"] == ObjectId("7fffffff0000000000000001")
        last = hello["lastWrite"]
        assert last["opTime"] == last["majorityOpTime"]
        assert last["opTime"]["t"] == 1
        assert last["lastWriteDate"] == last["majorityWriteDate"]
        assert hello["localTime"].replace(tzinfo=UTC) - datetime.now(UTC) < timedelta(minutes=1)

    async def test_a_write_advances_the_op_times_in_hello(self, collection: Collection) -> None:
        before = (await collection.database.command("hello"))["lastWrite"]
        await collection.insert_one({})
        after = (await collection.database.command("hello"))["lastWrite"]

        assert after["opTime"]["ts"] > before["opTime"]["ts"]
        assert after["opTime"] == after["majorityOpTime"]

    async def test_the_majority_fields_of_hello_can_be_hidden(
        self, mongodb: ScriptedMongoDB, collection: Collection
    ) -> None:
        mongodb.hide_majority()
        assert set((await collection.database.command("hello"))["lastWrite"]) == {"opTime", "lastWriteDate"}

        mongodb.hide_majority(hides=False)
        assert "majorityOpTime" in (await collection.database.command("hello"))["lastWrite"]

    async def test_fields_of_hello_can_be_overridden(self, mongodb: ScriptedMongoDB, collection: Collection) -> None:
        mongodb.say(localTime=1, lastWrite=None)
        hello = await collection.database.command("hello")

        assert hello["localTime"] == 1
        assert "lastWrite" not in hello

    async def test_an_awaitable_hello_waits_for_a_topology_change(
        self, mongodb: ScriptedMongoDB, collection: Collection
    ) -> None:
        known = (await collection.database.command("hello"))["topologyVersion"]
        question = {"hello": 1, "topologyVersion": known, "maxAwaitTimeMS": 30_000}
        asking = asyncio.create_task(collection.database.command(question))

        async def was_asked() -> bool:
            return any(each.document.get("maxAwaitTimeMS") == 30_000 for each in mongodb.commands("hello"))

        await eventually(was_asked, within=PATIENCE_S)
        await collection.insert_one({})
        assert not asking.done()
        mongodb.step_down(1)
        news = await asking
        assert not news["isWritablePrimary"]
        assert news["topologyVersion"]["counter"] > known["counter"]

    async def test_an_awaitable_hello_returns_the_same_version_if_nothing_changes(self, collection: Collection) -> None:
        known = (await collection.database.command("hello"))["topologyVersion"]
        question = {"hello": 1, "topologyVersion": known, "maxAwaitTimeMS": 50}
        assert (await collection.database.command(question))["topologyVersion"] == known

    async def test_a_secondary_reads_and_does_not_write(self, mongodb: ScriptedMongoDB, connect: Connect) -> None:
        primary, secondary = (connect(mongodb.member_uri(member)) for member in (0, 1))
        await primary.insert_one({"_id": 1})
        hello = await secondary.database.command("hello")

        assert (hello["isWritablePrimary"], hello["secondary"]) == (False, True)
        assert hello["primary"] == mongodb.addresses()[0]
        assert "electionId" not in hello
        assert await secondary.find_one() == {"_id": 1}
        with pytest.raises(PyMongoError) as refused:
            await secondary.insert_one({})
        assert code_of(refused.value) == 10107

    async def test_the_last_member_may_be_an_arbiter(self, deploy: Deploy, connect: Connect) -> None:
        mongodb = deploy(has_arbiter=True)
        collection = connect(mongodb.uri())
        hello = await collection.database.command("hello")

        assert hello["hosts"] == mongodb.addresses()[:2]
        assert hello["arbiters"] == mongodb.addresses()[2:]
        assert (await connect(mongodb.member_uri(2)).database.command("hello"))["arbiterOnly"]


async def test_a_sharded_cluster_has_several_mongos_whose_hello_has_no_replica_set_fields(
    deploy: Deploy, connect: Connect
) -> None:
    mongodb = deploy(Topology.SHARDED)
    collection = connect(mongodb.uri())
    hello = await collection.database.command("hello")

    assert hello["msg"] == "isdbgrid"
    assert not {"lastWrite", "setName", "electionId"} & set(hello)

    async def all_known() -> bool:
        return len(collection.database.client.nodes) == 3

    await eventually(all_known, within=PATIENCE_S)


@pytest.mark.parametrize("topology", [Topology.STANDALONE, Topology.DOCUMENTDB_GATEWAY])
async def test_hello_outside_a_replica_set_has_no_replica_set_fields(
    deploy: Deploy, connect: Connect, topology: Topology
) -> None:
    hello = await connect(deploy(topology).uri()).database.command("hello")

    assert not {"lastWrite", "setName", "electionId", "$clusterTime"} & set(hello)


async def test_the_documentdb_gateway_returns_its_local_time_as_a_number(deploy: Deploy, connect: Connect) -> None:
    hello = await connect(deploy(Topology.DOCUMENTDB_GATEWAY).uri()).database.command("hello")

    assert hello["msg"] == "isdbgrid"
    assert abs(hello["localTime"] / 1000 - datetime.now(UTC).timestamp()) < 60


@pytest.mark.parametrize(("topology", "code"), [(Topology.STANDALONE, 20), (Topology.DOCUMENTDB, 301)])
async def test_a_server_without_retryable_writes_refuses_a_transaction_number(
    deploy: Deploy, connect: Connect, topology: Topology, code: int
) -> None:
    collection = connect(deploy(topology).uri())
    numbered = {"update": "mylist", "updates": [{"q": {}, "u": {"$set": {"a": 1}}}], "txnNumber": 1}
    async with collection.database.client.start_session() as session:
        with pytest.raises(PyMongoError) as refused:
            await collection.database.command(numbered, session=session)
    assert code_of(refused.value) == code


async def test_each_site_has_addresses_of_its_own(deploy: Deploy, connect: Connect) -> None:
    mongodb = deploy(sites=2)
    for site in range(2):
        hello = await connect(mongodb.uri(site=site)).database.command("hello")
        assert hello["hosts"] == mongodb.addresses(site=site)
    assert not set(mongodb.addresses(site=0)) & set(mongodb.addresses(site=1))
