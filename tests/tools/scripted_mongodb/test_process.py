"""The scripted MongoDB in a process of its own."""

import socket

import pytest
from pymongo.errors import PyMongoError

from devtools.scripted_mongodb import Topology, in_process
from tests.tools.scripted_mongodb.conftest import Connect, code_of, until_primary


async def test_the_process_can_be_controlled_from_outside(mongodb_server: str, connect: Connect) -> None:
    with in_process(mongodb_server, sites=2) as mongodb:
        collection = connect(mongodb.uri(site=1), retryWrites=False)
        await collection.insert_one({"_id": 1})
        mongodb.fail_command("insert", code=112)
        with pytest.raises(PyMongoError) as refused:
            await collection.insert_one({"_id": 2})
        assert code_of(refused.value) == 112
        assert [each.document["documents"] for each in mongodb.commands("insert")] == [[{"_id": 1}], [{"_id": 2}]]

        before = mongodb.remember()
        await collection.insert_one({"_id": 3})
        mongodb.step_down(1, reads_from=before)
        await until_primary(collection, mongodb.addresses(site=1)[1])
        assert await collection.count_documents({}) == 1
        assert mongodb.primary() == 1


async def test_the_process_can_run_another_topology(mongodb_server: str, connect: Connect) -> None:
    with in_process(mongodb_server, topology=Topology.SHARDED) as mongodb:
        assert (await connect(mongodb.uri()).database.command("hello"))["msg"] == "isdbgrid"


def test_the_process_ends_with_its_context(mongodb_server: str) -> None:
    with in_process(mongodb_server) as mongodb:
        host, _, port = mongodb.addresses()[0].partition(":")
        socket.create_connection((host, int(port))).close()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((host, int(port)))


def test_an_impossible_command_raises_the_error_of_the_process(mongodb_server: str) -> None:
    with in_process(mongodb_server) as mongodb:
        mongodb.kill(0)
        with pytest.raises(AssertionError, match="no primary"):
            mongodb.step_down(1)
