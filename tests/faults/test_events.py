"""`mylist events` on a simulated replica set with elections, frozen members and a lost majority."""

import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from pymongo import MongoClient
from pymongo.collection import Collection

from devtools.scripted_mongodb import ScriptedMongoDB
from devtools.waiting import wait_until
from tests.events_process import PATIENCE_S, Events

BEGUN = "The position is saved"


@pytest.fixture
def mongodb(mongodb_server: str) -> Iterator[ScriptedMongoDB]:
    with ScriptedMongoDB(mongodb_server) as mongodb:
        yield mongodb


@pytest.fixture
def lists(mongodb: ScriptedMongoDB, user_id: str) -> Iterator[Collection[dict[str, Any]]]:
    with MongoClient[dict[str, Any]](mongodb.uri(user_id), w="majority", readConcernLevel="majority") as client:
        yield client[user_id]["mylist"]


@pytest.fixture
def events(mongodb: ScriptedMongoDB, lists: Collection[dict[str, Any]]) -> Iterator[Events]:
    events = Events(mongodb.uri(lists.database.name))
    events.until_log(BEGUN)
    yield events
    assert events.end() == 0


def item(number: int) -> dict[str, Any]:
    return {"userId": "u", "contentId": f"{number:024x}", "contentType": "movie", "addedAt": datetime.now(UTC)}


def numbers(lines: list[dict[str, Any]]) -> list[int]:
    return [int(line["contentId"], 16) for line in lines]


def test_each_change_is_reported_once_while_members_die_one_after_another(
    mongodb: ScriptedMongoDB, lists: Collection[dict[str, Any]], events: Events
) -> None:
    told = []
    for number, (dead, next_one) in enumerate([(0, 1), (1, 2)]):
        lists.insert_one(item(2 * number))
        told += numbers(events.take(1))
        mongodb.kill(dead)
        mongodb.elect(next_one)
        lists.insert_one(item(2 * number + 1))
        told += numbers(events.take(1))
        mongodb.revive(dead)
    assert (told, events.lines) == ([0, 1, 2, 3], [])


def test_a_change_is_not_reported_before_a_majority_has_it(
    mongodb: ScriptedMongoDB, lists: Collection[dict[str, Any]], events: Events
) -> None:
    lists.insert_one(item(1))
    assert numbers(events.take(1)) == [1]
    mongodb.lose_majority()
    writing = threading.Thread(target=lists.insert_one, args=[item(2)])
    writing.start()
    wait_until(lambda: len(mongodb.commands("insert")) == 2, within=PATIENCE_S)
    lists.database.command("insert", "mylist", documents=[item(3)], writeConcern={"w": 1})
    mongodb.regain_majority()
    writing.join()
    assert sorted(numbers(events.take(2))) == [2, 3]

    mongodb.lose_majority()
    lists.database.command("insert", "mylist", documents=[item(4)], writeConcern={"w": 1})
    mongodb.step_down(1)  # it is rolled back
    lists.insert_one(item(5))
    assert numbers(events.take(1)) == [5]
    assert events.lines == []


def test_changes_of_a_new_primary_are_reported_while_the_old_one_is_frozen(
    mongodb: ScriptedMongoDB, lists: Collection[dict[str, Any]], events: Events
) -> None:
    mongodb.freeze(0)
    mongodb.elect(1)
    with MongoClient[dict[str, Any]](mongodb.member_uri(1, lists.database.name)) as client:
        client[lists.database.name]["mylist"].insert_one(item(1))
    assert numbers(events.take(1)) == [1]
    mongodb.thaw(0)
    mongodb.inform(0)


@pytest.mark.parametrize("code", [6, 91, 133, 262, 10107, 11600, 13388, 43])
def test_temporary_errors_are_retried(
    mongodb: ScriptedMongoDB, lists: Collection[dict[str, Any]], events: Events, code: int
) -> None:
    lists.insert_one(item(1))
    assert numbers(events.take(1)) == [1]
    failure = mongodb.fail_command("getMore", "aggregate", code=code, count=4)
    wait_until(lambda: failure.hits == 4, within=PATIENCE_S)
    lists.insert_one(item(2))
    assert numbers(events.take(1)) == [2]


def test_the_command_waits_until_mongodb_is_available(
    mongodb: ScriptedMongoDB, lists: Collection[dict[str, Any]]
) -> None:
    for member in range(3):
        mongodb.kill(member)
    events = Events(mongodb.uri(lists.database.name))
    events.until_log("the process resumes at the same position once MongoDB answers")
    for member in range(3):
        mongodb.revive(member)
    mongodb.elect(2)
    events.until_log(BEGUN)
    lists.insert_one(item(1))
    assert numbers(events.take(1)) == [1]
    assert events.end() == 0
