"""The freshness checker follows `mylist events`. If the command has a fault, the same run must find it."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from typing import Any

import pytest
from pymongo import MongoClient

from devtools.scripted_mongodb import ScriptedMongoDB
from devtools.scripted_mongodb.failures import Failure
from devtools.waiting import wait_until
from tests.faults.freshness.followed_events import MUST_FIND, EventFindings, FollowedEvents, events_program

pytestmark = pytest.mark.extended

_ENOUGH_ENDS = 3
_PATIENCE_S = 120.0
_FAILURES = 4
"""How many commands of a stream fail: more than the driver retries by itself."""


@pytest.fixture
def mongodb(mongodb_server: str) -> Iterator[ScriptedMongoDB]:
    with ScriptedMongoDB(mongodb_server) as mongodb:
        yield mongodb


def until_over(failure: Failure) -> None:
    """Wait until a failure has happened as often as intended."""
    wait_until(lambda: failure.hits == _FAILURES, within=_PATIENCE_S)


@contextmanager
def changing_lists(uri: str, database: str) -> Iterator[None]:
    """Change the lists of three users all the time."""
    over = threading.Event()

    def change() -> None:
        dice = Random(1)
        with MongoClient[dict[str, Any]](uri, w="majority") as client:
            lists = client[database]["mylist"]
            while not over.is_set():
                item = {"userId": f"user-{dice.randrange(3)}", "contentId": f"{dice.randrange(9):024x}"}
                now = {"addedAt": datetime.now(UTC)}
                if dice.random() < 1 / 3:
                    lists.delete_one(item)
                else:
                    lists.update_one(item, {"$set": now, "$setOnInsert": {"contentType": "movie"}}, upsert=True)

    changing = threading.Thread(target=change)
    changing.start()
    try:
        yield
    finally:
        over.set()
        changing.join()


def follow(folder: Path, mongodb: ScriptedMongoDB, server: str, database: str, fault: str) -> EventFindings:
    """Follow lists that change all the time, while processes end and streams must be opened again."""

    async def run() -> EventFindings:
        followed = FollowedEvents(
            folder,
            server=server,
            uri=mongodb.uri(database),
            database=database,
            seed=1,
            program=events_program(fault),
        )
        await followed.start()
        try:
            with changing_lists(mongodb.uri(database), database):
                while followed.processes <= _ENOUGH_ENDS:
                    failure = mongodb.fail_command("getMore", "aggregate", code=6, count=_FAILURES)
                    await asyncio.to_thread(until_over, failure)
            return await followed.finish(mongodb.rolled_back())
        finally:
            followed.kill()

    return asyncio.run(run())


def test_events_without_a_fault_have_all_changes_in_order(
    mongodb: ScriptedMongoDB, mongodb_server: str, user_id: str, tmp_path: Path
) -> None:
    findings = follow(tmp_path, mongodb, mongodb_server, user_id, "")
    assert findings.troubles == []
    assert findings.reopened > 0
    assert findings.told.lines > findings.told.changes > 100


@pytest.mark.parametrize("fault", MUST_FIND)
def test_the_checker_finds_each_fault(
    mongodb: ScriptedMongoDB, mongodb_server: str, user_id: str, tmp_path: Path, fault: str
) -> None:
    findings = follow(tmp_path, mongodb, mongodb_server, user_id, fault)
    kind, _ = MUST_FIND[fault]
    assert getattr(findings.told, kind) > 0, findings
    assert findings.troubles
