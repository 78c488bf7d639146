"""Operators' commands during elections: none reports success on the data of a deposed or uncommitted primary."""

import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from bson import ObjectId
from pymongo import MongoClient
from pymongo.collection import Collection
from redis import Redis

from devtools.scripted_mongodb import ScriptedMongoDB
from devtools.waiting import eventually
from mylist.config.settings import Settings
from mylist.seeding.open_database import DatabaseError, open_database
from mylist.support import erase, withdraw
from mylist.support.kept_documents import Subject
from tests.conftest import PATIENT

_TITLE = "a" * 24


@pytest.fixture
def mongodb(mongodb_server: str) -> Iterator[ScriptedMongoDB]:
    with ScriptedMongoDB(mongodb_server) as mongodb:
        yield mongodb


@pytest.fixture
def settings(mongodb: ScriptedMongoDB, redis_url: str, user_id: str) -> Settings:
    with Redis.from_url(redis_url) as redis:
        redis.flushall()  # it may know of a later election of another set
    return Settings.load({"MONGODB_URI": mongodb.uri(user_id), "REDIS_URL": redis_url, **PATIENT})


@pytest.fixture
def lists(mongodb: ScriptedMongoDB, user_id: str) -> Iterator[Collection[dict[str, Any]]]:
    with MongoClient[dict[str, Any]](mongodb.uri(user_id), w="majority", readConcernLevel="majority") as client:
        lists = client[user_id]["mylist"]
        lists.create_index([("userId", 1), ("contentId", 1)], unique=True)
        yield lists


def now() -> datetime:
    return datetime.now(UTC)


def elect_one_that_does_not_show(
    mongodb: ScriptedMongoDB, lists: Collection[dict[str, Any]], user_id: str, before: int
) -> None:
    """Elect a primary that shows the data before the write, until a majority has a write of its term."""
    item = {"_id": ObjectId(), "userId": user_id, "contentId": _TITLE, "contentType": "movie", "addedAt": now()}
    lists.database["mylist_adopted"].insert_one({"_id": item["_id"]})
    lists.insert_one(item)
    mongodb.step_down(1, reads_from=before)
    mongodb.lose_majority()


async def run(name: str, settings: Settings, user_id: str, *, dry: bool) -> int:
    """Run a command that concerns an item of a profile; return how many such items it reports."""
    async with open_database(settings) as database:
        if name == "withdraw":
            return (await withdraw.withdraw(database, settings, _TITLE, dry=dry)).lists
        subject = Subject(account=user_id) if name == "erase --account" else Subject(user=f"{user_id}/kids")
        return (await erase.erase(database, settings, subject, dry=dry)).erased["mylist"]


@pytest.mark.parametrize(
    ("name", "look", "dry"),
    [
        ("withdraw", "find", True),
        ("withdraw", "find", False),
        ("erase --user", "find", False),
        ("erase --account", "distinct", True),
        ("erase --account", "distinct", False),
    ],
)
async def test_a_command_fails_if_a_new_primary_does_not_show_an_item_yet(  # noqa: PLR0913 - fixtures and parameters
    mongodb: ScriptedMongoDB,
    lists: Collection[dict[str, Any]],
    settings: Settings,
    user_id: str,
    name: str,
    look: str,
    *,
    dry: bool,
) -> None:
    """A primary that was elected just before answers the command's first read of the lists."""
    before = mongodb.remember()
    looking = mongodb.fail_command(look, collection="mylist", delay_s=1)
    running = asyncio.create_task(run(name, settings, user_id, dry=dry))

    async def looks() -> bool:
        return looking.hits > 0

    await eventually(looks, within=30)
    elect_one_that_does_not_show(mongodb, lists, f"{user_id}/kids", before)

    async def looks_again() -> bool:
        return sum(command.collection == "mylist" for command in mongodb.commands(look)) > 1

    await eventually(looks_again, within=30)
    mongodb.regain_majority()
    with pytest.raises(DatabaseError):
        await running
    assert await run(name, settings, user_id, dry=dry) == 1
    if not dry and name != "withdraw":
        assert lists.database["mylist_adopted"].find_one() is None
