"""Commands fail as the test requests, and are counted."""

import time
from typing import Literal

import pytest
from pymongo import InsertOne, UpdateOne
from pymongo.errors import (
    AutoReconnect,
    BulkWriteError,
    DuplicateKeyError,
    NotPrimaryError,
    OperationFailure,
    PyMongoError,
    WriteConcernError,
    WTimeoutError,
)

from devtools.scripted_mongodb import ScriptedMongoDB
from tests.tools.scripted_mongodb.conftest import Collection, Connect, code_of


@pytest.fixture
def collection(mongodb: ScriptedMongoDB, connect: Connect) -> Collection:
    """A collection without the driver's own retries."""
    return connect(mongodb.uri(), retryWrites=False, retryReads=False)


@pytest.mark.parametrize("code", [6, 13, 50, 91, 112, 133, 189, 262, 8000, 10107, 13388])
async def test_the_given_number_of_commands_fails_without_effect(
    mongodb: ScriptedMongoDB, collection: Collection, code: int
) -> None:
    failure = mongodb.fail_command("insert", code=code, count=2)
    for _ in range(2):
        with pytest.raises(PyMongoError) as refused:
            await collection.insert_one({})
        assert code_of(refused.value) == code

    assert failure.hits == 2
    assert await collection.count_documents({}) == 0
    await collection.insert_one({})


async def test_a_failure_without_a_count_lasts_until_mend_is_called(
    mongodb: ScriptedMongoDB, collection: Collection
) -> None:
    mongodb.fail_command("find", "aggregate", code=133, count=None)
    for _ in range(5):
        with pytest.raises(PyMongoError):
            await collection.find_one()
        with pytest.raises(PyMongoError):
            await collection.count_documents({})
    mongodb.mend()
    assert await collection.find_one() is None


async def test_a_failure_can_be_limited_to_one_collection_or_member(
    mongodb: ScriptedMongoDB, collection: Collection
) -> None:
    mongodb.fail_command("insert", code=91, count=None, collection="other")
    mongodb.fail_command("insert", code=91, count=None, member=1)
    await collection.insert_one({})

    with pytest.raises(PyMongoError):
        await collection.database["other"].insert_one({})


@pytest.mark.parametrize(("code", "labelled"), [(91, True), (10107, True), (112, False)])
async def test_a_failed_retryable_write_has_the_error_label_of_a_real_server(
    mongodb: ScriptedMongoDB, connect: Connect, code: int, labelled: bool
) -> None:
    collection = connect(mongodb.uri(), timeoutMS=None)
    mongodb.fail_command("insert", code=code, count=2)

    with pytest.raises(PyMongoError) as refused:
        await collection.insert_one({})
    assert refused.value.has_error_label("RetryableWriteError") is labelled
    assert mongodb.count("insert") == (2 if labelled else 1)


@pytest.mark.parametrize(("code", "tells"), [(91, True), (189, True), (10107, True), (11602, True), (112, False)])
async def test_only_errors_about_the_topology_contain_the_topology_version(
    mongodb: ScriptedMongoDB, collection: Collection, code: int, tells: bool
) -> None:
    known = (await collection.database.command("hello"))["topologyVersion"]
    mongodb.fail_command("insert", code=code)
    with pytest.raises((OperationFailure, NotPrimaryError)) as refused:
        await collection.insert_one({})
    details = getattr(refused.value, "details", None)
    assert isinstance(details, dict)
    assert details.get("topologyVersion") == (known if tells else None)


async def test_an_error_can_have_other_labels(mongodb: ScriptedMongoDB, collection: Collection) -> None:
    mongodb.fail_command("insert", code=462, labels=["SystemOverloadedError"])
    with pytest.raises(PyMongoError) as refused:
        await collection.insert_one({})
    assert refused.value.has_error_label("SystemOverloadedError")


async def test_a_write_with_only_a_write_concern_error_takes_effect(
    mongodb: ScriptedMongoDB, collection: Collection
) -> None:
    mongodb.fail_command("update", write_concern_error=64)
    with pytest.raises(WTimeoutError):
        await collection.update_one({"_id": 1}, {"$set": {"a": 1}}, upsert=True)
    assert await collection.find_one() == {"_id": 1, "a": 1}

    mongodb.fail_command("delete", write_concern_error=100)
    with pytest.raises(WriteConcernError):
        await collection.delete_one({"_id": 1})
    assert await collection.find_one() is None


@pytest.mark.parametrize("code", [50, 64, 11602])
async def test_a_duplicate_and_a_write_concern_error_come_in_one_reply(
    mongodb: ScriptedMongoDB, collection: Collection, code: int
) -> None:
    await collection.insert_one({"_id": 1})
    mongodb.fail_command("insert", write_concern_error=code, count=2)

    with pytest.raises(DuplicateKeyError):
        await collection.insert_one({"_id": 1})
    with pytest.raises(BulkWriteError) as refused:
        await collection.bulk_write([InsertOne({"_id": 1}), InsertOne({"_id": 2})], ordered=False)
    assert [error["code"] for error in refused.value.details["writeErrors"]] == [11000]
    assert [error["code"] for error in refused.value.details["writeConcernErrors"]] == [code]
    assert await collection.count_documents({}) == 2


async def test_a_write_with_a_scripted_write_error_has_no_effect(
    mongodb: ScriptedMongoDB, collection: Collection
) -> None:
    mongodb.fail_command("update", write_error=11000, write_concern_error=64)
    with pytest.raises(BulkWriteError) as refused:
        await collection.bulk_write([UpdateOne({"_id": 1}, {"$set": {"a": 1}}, upsert=True)])

    assert [error["code"] for error in refused.value.details["writeErrors"]] == [11000]
    assert [error["code"] for error in refused.value.details["writeConcernErrors"]] == [64]
    assert await collection.find_one() is None


@pytest.mark.parametrize(("when", "takes_effect"), [("before", False), ("after", True)])
async def test_the_connection_can_end_before_or_after_the_write_takes_effect(
    mongodb: ScriptedMongoDB, collection: Collection, when: Literal["before", "after"], takes_effect: bool
) -> None:
    mongodb.fail_command("insert", closes=when)
    with pytest.raises(AutoReconnect):
        await collection.insert_one({"_id": 1})
    assert await collection.count_documents({}) == takes_effect


async def test_a_retried_write_whose_reply_was_lost_is_applied_once(mongodb: ScriptedMongoDB, connect: Connect) -> None:
    collection = connect(mongodb.uri())
    await collection.insert_one({"_id": 1, "count": 0})
    mongodb.fail_command("update", closes="after")

    await collection.update_one({"_id": 1}, {"$inc": {"count": 1}})
    assert mongodb.count("update") == 2
    assert await collection.find_one() == {"_id": 1, "count": 1}


async def test_a_command_can_be_slow(mongodb: ScriptedMongoDB, collection: Collection) -> None:
    mongodb.fail_command("find", delay_s=0.3)
    began = time.monotonic()
    await collection.find_one()
    assert time.monotonic() - began >= 0.3


async def test_hello_can_fail_on_the_database_of_the_application_alone(
    mongodb: ScriptedMongoDB, collection: Collection
) -> None:
    mongodb.fail_command("hello", code=91, count=None, database=collection.database.name)
    with pytest.raises(PyMongoError) as refused:
        await collection.database.command("hello")
    assert code_of(refused.value) == 91
    await collection.database.client["admin"].command("hello")
    await collection.insert_one({})


class TestCounting:
    async def test_commands_are_recorded_with_their_documents(
        self, mongodb: ScriptedMongoDB, collection: Collection
    ) -> None:
        await collection.insert_many([{"_id": number} for number in range(3)])
        await collection.update_one({"_id": 1}, {"$set": {"a": 1}})
        await collection.find({"_id": 1}).to_list()

        [insert, update, find] = mongodb.commands("insert", "update", "find")
        assert (insert.database, insert.collection) == (collection.database.name, "mylist")
        assert [each["_id"] for each in insert.document["documents"]] == [0, 1, 2]
        assert update.document["updates"][0]["q"] == {"_id": 1}
        assert find.document["filter"] == {"_id": 1}
        assert find.document["readConcern"] == {"level": "majority"}

    async def test_counts_are_by_name_and_can_be_reset(self, mongodb: ScriptedMongoDB, collection: Collection) -> None:
        for _ in range(3):
            await collection.find_one()
        assert mongodb.count("find") == mongodb.count() == 3
        assert mongodb.count("hello", "ismaster") > 0

        mongodb.forget_commands()
        await collection.insert_one({})
        assert (mongodb.count(), mongodb.count("find"), mongodb.count("insert")) == (1, 0, 1)
