"""The commands for operators while MongoDB elects: none says that it is done by what a primary showed that is not."""

import asyncio
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

import pytest
from bson import ObjectId
from pymongo import MongoClient
from pymongo.collection import Collection
from redis import Redis

from devtools.scripted_mongodb import ScriptedMongoDB
from devtools.scripted_mongodb.failures import Failure
from devtools.waiting import eventually
from mylist.config.settings import Settings
from mylist.seeding.open_database import DatabaseError, open_database
from mylist.support import erase, withdraw
from mylist.support.kept_documents import Subject
from tests.conftest import PATIENT

_TITLE = "a" * 24
_MOMENT_S = 1.5


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
    """Have a primary that shows what was there before, until a majority has something of its term."""
    item = {"_id": ObjectId(), "userId": user_id, "contentId": _TITLE, "contentType": "movie", "addedAt": now()}
    lists.database["mylist_adopted"].insert_one({"_id": item["_id"]})
    lists.insert_one(item)
    mongodb.step_down(1, reads_from=before)
    mongodb.lose_majority()


async def run(name: str, settings: Settings, user_id: str, *, dry: bool) -> int:
    """Run a command that is about an item of a profile; return how many such items it says that it found."""
    async with open_database(settings) as database:
        if name == "withdraw":
            return (await withdraw.withdraw(database, settings, _TITLE, dry=dry)).lists
        subject = Subject(account=user_id) if name == "erase" else Subject(user=f"{user_id}/kids")
        return (await erase.erase(database, settings, subject, dry=dry)).erased["mylist"]


@pytest.mark.parametrize(("name", "dry"), [("withdraw", True), ("withdraw", False), ("erase", False)])
async def test_nothing_is_passed_over_that_a_new_primary_does_not_show(  # noqa: PLR0913 - fixtures and parameters
    mongodb: ScriptedMongoDB,
    lists: Collection[dict[str, Any]],
    settings: Settings,
    user_id: str,
    name: str,
    *,
    dry: bool,
) -> None:
    """The first look at the lists is answered by a primary that was elected just before."""
    before = mongodb.remember()
    looking = mongodb.fail_command("find", collection="mylist", delay_s=1)
    running = asyncio.create_task(run(name, settings, user_id, dry=dry))
    await eventually_hit(looking)
    elect_one_that_does_not_show(mongodb, lists, user_id, before)
    with pytest.raises(DatabaseError):
        await running
    mongodb.regain_majority()
    assert await run(name, settings, user_id, dry=dry) == 1
    if name == "erase":
        assert lists.database["mylist_adopted"].find_one() is None


@pytest.mark.parametrize("dry", [True, False])
async def test_all_profiles_are_erased_though_a_new_primary_does_not_show_all(
    mongodb: ScriptedMongoDB, lists: Collection[dict[str, Any]], settings: Settings, user_id: str, *, dry: bool
) -> None:
    before = mongodb.remember()
    elect_one_that_does_not_show(mongodb, lists, f"{user_id}/kids", before)

    async def looks_for_profiles() -> bool:
        return mongodb.count("distinct") > 0

    running = asyncio.create_task(run("erase", settings, user_id, dry=dry))
    with suppress(AssertionError):  # it may as well wait for a primary that shows all
        await eventually(looks_for_profiles, within=_MOMENT_S)
    mongodb.regain_majority()
    try:
        assert await running == 1
    except DatabaseError:
        assert await run("erase", settings, user_id, dry=dry) == 1


async def eventually_hit(failure: Failure) -> None:
    """Wait until a command came that the failure concerns."""

    async def is_hit() -> bool:
        return failure.hits > 0

    await eventually(is_hit, within=30)
