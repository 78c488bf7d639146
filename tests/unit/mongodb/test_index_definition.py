"""Which existing index is equivalent to a wanted one, and the mongosh commands that operators get."""

from typing import Any

import pytest
from pymongo import ASCENDING, DESCENDING, IndexModel

from mylist.mongodb.index_definition import duplicates_command, find_equivalent, mending_command

UNIQUE = IndexModel([("userId", ASCENDING), ("contentId", ASCENDING)], unique=True)
ORDERED = IndexModel([("userId", ASCENDING), ("addedAt", DESCENDING)])
EXPIRING = IndexModel([("removedAt", ASCENDING)], expireAfterSeconds=60)
ITEMS = "db.getSiblingDB('lists').getCollection('mylist')"


def index(key: dict[str, Any], **options: Any) -> dict[str, Any]:
    return {"v": 2, "key": key, "name": "another name"} | options


@pytest.mark.parametrize(
    ("wanted", "there"),
    [
        (UNIQUE, index({"userId": 1, "contentId": 1}, unique=True)),
        (UNIQUE, index({"userId": 1.0, "contentId": 1.0}, unique=True, background=True, sparse=True)),
        (UNIQUE, index({"userId": 1, "contentId": 1}, unique=True, collation={"locale": "simple"})),
        (ORDERED, index({"userId": 1, "addedAt": -1}, unique=True, storageEngine={})),
        (EXPIRING, index({"removedAt": 1}, expireAfterSeconds=60.0)),
    ],
)
def test_an_index_with_another_name_and_harmless_options_is_equivalent(
    wanted: IndexModel, there: dict[str, Any]
) -> None:
    assert find_equivalent(wanted, [index({"_id": 1}), there]) == there


@pytest.mark.parametrize(
    ("wanted", "there"),
    [
        (UNIQUE, index({"userId": 1, "contentId": 1})),
        (UNIQUE, index({"contentId": 1, "userId": 1}, unique=True)),
        (UNIQUE, index({"userId": 1}, unique=True)),
        (UNIQUE, index({"userId": 1, "contentId": 1}, unique=True, partialFilterExpression={"addedAt": {"$gt": 0}})),
        (UNIQUE, index({"userId": 1, "contentId": 1}, unique=True, collation={"locale": "de"})),
        (UNIQUE, index({"userId": 1, "contentId": 1}, unique=True, hidden=True)),
        (UNIQUE, index({"userId": "hashed", "contentId": 1}, unique=True)),
        (ORDERED, index({"userId": 1, "addedAt": 1})),
        (EXPIRING, index({"removedAt": 1})),
        (EXPIRING, index({"removedAt": 1}, expireAfterSeconds=61)),
    ],
)
def test_an_index_that_behaves_differently_is_not_equivalent(wanted: IndexModel, there: dict[str, Any]) -> None:
    assert find_equivalent(wanted, [there]) is None


def test_the_repair_command_creates_the_wanted_index() -> None:
    assert mending_command("lists", "mylist", UNIQUE, []) == (
        f"{ITEMS}.createIndex({{userId: 1, contentId: 1}}, {{name: 'userId_1_contentId_1', unique: true}})"
    )


def test_the_repair_command_drops_a_conflicting_index_first() -> None:
    there = index({"removedAt": 1}, name="it's old", expireAfterSeconds=5)
    assert mending_command("lists", "mylist", EXPIRING, [there]) == (
        f"{ITEMS}.dropIndex('it\\'s old'); "
        f"{ITEMS}.createIndex({{removedAt: 1}}, {{name: 'removedAt_1', expireAfterSeconds: 60}})"
    )


def test_the_repair_command_uses_another_name_if_the_default_one_is_taken() -> None:
    there = index({"text": 1}, name="removedAt_1")
    assert mending_command("lists", "mylist", EXPIRING, [there]) == (
        f"{ITEMS}.createIndex({{removedAt: 1}}, {{name: 'mylist_removedAt_1', expireAfterSeconds: 60}})"
    )


def test_the_duplicates_command_groups_by_the_fields_of_the_index() -> None:
    unique = IndexModel([("userId", ASCENDING), ("contentId", ASCENDING)], unique=True)
    assert duplicates_command("lists", "mylist", unique) == (
        f"{ITEMS}.aggregate([{{$group: {{_id: {{userId: '$userId', contentId: '$contentId'}}, ids: {{$push: '$_id'}}, "
        "n: {$sum: 1}}}, {$match: {n: {$gt: 1}}}], {allowDiskUse: true})"
    )


def test_the_duplicates_command_of_a_sparse_index_skips_documents_without_the_field() -> None:
    unique = IndexModel([("externalIds.imdb", ASCENDING)], unique=True, sparse=True)
    assert duplicates_command("lists", "mylist", unique) == (
        f"{ITEMS}.aggregate([{{$match: {{'externalIds.imdb': {{$exists: true}}}}}}, {{$group: {{_id: {{imdb: "
        "'$externalIds.imdb'}, ids: {$push: '$_id'}, n: {$sum: 1}}}, {$match: {n: {$gt: 1}}}], {allowDiskUse: true})"
    )
