"""The service's assumptions about any MongoDB, each in a few lines of the driver and without the service.

A substitute for MongoDB that fails one of these also fails tests of the service; then the service is not at fault.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from pymongo import MongoClient, UpdateOne
from pymongo.collection import Collection
from pymongo.errors import BulkWriteError, DuplicateKeyError, OperationFailure

from tests.conftest import NewDatabase
from tests.mongodb.deployment import stages

Documents = Collection[dict[str, Any]]
CLIENTS = 8
OF_EACH = 50
TIMEOUT_MS = 20_000


@pytest.fixture
def documents(new_database: NewDatabase) -> Iterator[Documents]:
    """An empty collection, in a database of this test's own."""
    with new_database() as uri, MongoClient[dict[str, Any]](uri, timeoutMS=TIMEOUT_MS) as client:
        yield client.get_default_database()["documents"]


def at_once(work: Callable[[int], int]) -> int:
    """Have all clients call `work` at the same moment; return the sum of their results."""
    with ThreadPoolExecutor(CLIENTS) as pool:
        return sum(pool.map(work, range(CLIENTS)))


def test_concurrent_updates_of_one_document_all_take_effect(documents: Documents) -> None:
    documents.insert_one({"_id": 1, "n": 0})

    def count(_: int) -> int:
        return sum(documents.update_one({"_id": 1}, {"$inc": {"n": 1}}).modified_count for _ in range(OF_EACH))

    assert at_once(count) == CLIENTS * OF_EACH
    assert documents.find_one() == {"_id": 1, "n": CLIENTS * OF_EACH}


def test_exactly_one_of_several_concurrent_upserts_inserts_and_the_others_update_or_report_a_duplicate(
    documents: Documents,
) -> None:
    def upsert(number: int) -> str:
        try:
            # The server itself retries an upsert only if its filter is `_id` alone.
            done = documents.update_one({"_id": number, "shard": 1}, {"$set": {"n": 1}}, upsert=True)
        except DuplicateKeyError:
            return "refused"
        return "inserted" if done.did_upsert else "updated"

    for number in range(OF_EACH):
        with ThreadPoolExecutor(CLIENTS) as pool:
            told = Counter(pool.map(upsert, [number] * CLIENTS))
        assert told["inserted"] == 1, told
    assert documents.count_documents({}) == OF_EACH


def test_find_and_delete_gives_each_document_to_only_one_client(documents: Documents) -> None:
    documents.insert_many([{"_id": number} for number in range(OF_EACH)])

    assert at_once(lambda _: len(list(iter(lambda: documents.find_one_and_delete({}), None)))) == OF_EACH


def test_a_bulk_write_of_100_updates_takes_effect(documents: Documents) -> None:
    count = 100  # as many as the service sends at once
    documents.insert_many([{"_id": number} for number in range(count)])

    updates = [UpdateOne({"_id": number}, {"$set": {"n": 1}}) for number in range(count)]
    assert documents.bulk_write(updates, ordered=False).matched_count == count
    assert documents.count_documents({"n": 1}) == count


def test_a_bulk_write_of_upserts_reports_the_duplicates_and_applies_the_rest(documents: Documents) -> None:
    documents.create_index([("a", 1)], unique=True)
    documents.insert_one({"a": 1, "taken": True})

    upserts = [UpdateOne({"a": number, "taken": None}, {"$set": {"b": 1}}, upsert=True) for number in range(3)]
    with pytest.raises(BulkWriteError) as failed:
        documents.bulk_write(upserts, ordered=False)
    assert [(each["index"], each["code"]) for each in failed.value.details["writeErrors"]] == [(1, 11000)]
    assert documents.count_documents({"b": 1}) == 2


def test_find_and_modify_returns_only_the_requested_fields(documents: Documents) -> None:
    documents.insert_one({"_id": 1, "n": 0, "other": True})

    found = documents.find_one_and_update({"_id": 1}, {"$inc": {"n": 1}}, projection={"_id": False, "n": True})
    assert found == {"n": 0}


def test_distinct_accepts_a_time_limit(documents: Documents) -> None:
    documents.insert_many([{"genres": ["a", "b"]}, {"genres": ["b"]}])

    assert sorted(documents.distinct("genres", maxTimeMS=TIMEOUT_MS)) == ["a", "b"]


def test_nested_arrays_are_stored(documents: Documents) -> None:
    documents.insert_one({"_id": 1, "genres": [["a"]]})

    assert documents.find_one() == {"_id": 1, "genres": [["a"]]}


def test_a_query_uses_an_index(documents: Documents) -> None:
    documents.create_index([("a", 1)])
    documents.insert_many([{"a": number} for number in range(OF_EACH)])

    plan = documents.find({"a": 1}).explain()["queryPlanner"]
    assert "IXSCAN" in str([each["stage"] for each in stages(plan)]), plan


@pytest.mark.parametrize(
    ("name", "option"),
    [
        ("expireAfterSeconds", 60),
        ("partialFilterExpression", {"a": {"$gt": 1}}),
        ("collation", {"locale": "en"}),
    ],
)
def test_an_index_keeps_each_option(documents: Documents, name: str, option: Any) -> None:
    documents.create_index([("a", 1)], **{name: option})

    assert name in documents.index_information()["a_1"]


def test_a_unique_index_on_the_fields_of_a_plain_one_is_refused(documents: Documents) -> None:
    documents.create_index([("a", 1)])

    with pytest.raises(OperationFailure) as refused:
        documents.create_index([("a", 1)], unique=True)
    assert refused.value.code in {85, 86}


def test_a_unique_index_on_duplicates_is_refused(documents: Documents) -> None:
    documents.insert_many([{"a": 1}, {"a": 1}])

    with pytest.raises(DuplicateKeyError):
        documents.create_index([("a", 1)], unique=True)


def test_an_aggregation_lists_duplicates(documents: Documents) -> None:
    documents.insert_many([{"_id": number, "a": number // 2} for number in range(3)])

    group = {"_id": {"a": "$a"}, "ids": {"$push": "$_id"}, "n": {"$sum": 1}}
    stages: list[dict[str, Any]] = [{"$group": group}, {"$match": {"n": {"$gt": 1}}}]
    assert list(documents.aggregate(stages)) == [{"_id": {"a": 0}, "ids": [0, 1], "n": 2}]
