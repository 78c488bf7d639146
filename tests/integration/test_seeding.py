"""Seeding: which data exist after a run, however often and however far it ran before."""

import asyncio
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from pymongo import MongoClient
from pymongo.database import Database

from devtools.ports import free_port
from devtools.service_process import environment
from devtools.waiting import wait_until
from mylist.cli import main
from mylist.config.settings import Settings
from mylist.devserver.embedded_servers import MongoServer, running
from mylist.mongodb.indexes import INDEXES
from mylist.seeding import sample, synthetic
from mylist.seeding.open_database import DatabaseError, open_database
from mylist.seeding.sample_titles import CREATED_AT
from mylist.seeding.synthetic_data import SyntheticData, title_id, title_type, user_id
from tests.conftest import PATIENT

USER = {"userId": sample.USER_ID}


@pytest.fixture
def seeded(own_uri: str) -> Iterator[Database[dict[str, Any]]]:
    """The database of `own_uri`."""
    with MongoClient[dict[str, Any]](own_uri) as client:
        yield client.get_default_database()


async def seed_sample(*, reset: bool = False) -> sample.Seeded:
    settings = Settings.from_environment()
    async with open_database(settings) as database:
        return await (sample.reset if reset else sample.seed)(database, settings)


async def seed_synthetic(uri: str, data: SyntheticData) -> sample.Seeded:
    async with open_database(Settings.load({"MONGODB_URI": uri, **PATIENT})) as database:
        return await synthetic.seed(database, data)


def everything(database: Database[dict[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    return {name: list(database[name].find().sort("_id")) for name in ("users", "movies", "tvshows", "mylist")}


async def test_sample_is_complete_and_indexed(seeded: Database[dict[str, Any]]) -> None:
    assert await seed_sample() == sample.Seeded(titles=30, users=3, items=29)
    assert {name: len(documents) for name, documents in everything(seeded).items()} == {
        "users": 3,
        "movies": 20,
        "tvshows": 10,
        "mylist": 29,
    }
    assert seeded["mylist"].count_documents(USER) == 24
    for name, models in INDEXES.items():
        assert {model.document["name"] for model in models} <= set(seeded[name].index_information())


async def test_sample_seeded_again_changes_nothing(seeded: Database[dict[str, Any]]) -> None:
    await seed_sample()
    before = everything(seeded)
    assert await seed_sample() == sample.Seeded(titles=0, users=0, items=0)
    assert await seed_sample(reset=True) == sample.Seeded(titles=0, users=0, items=0)
    assert everything(seeded) == before


async def test_sample_does_not_restore_items_that_the_user_removed(seeded: Database[dict[str, Any]]) -> None:
    await seed_sample()
    removed = seeded["mylist"].find_one_and_delete(USER)
    assert removed
    assert await seed_sample() == sample.Seeded(titles=0, users=0, items=0, removed=1)
    assert seeded["mylist"].count_documents(USER) == 23
    assert not seeded["mylist"].find_one(USER | {"contentId": removed["contentId"]})


def as_listed(database: Database[dict[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    """Everything that a client can see."""
    seen = everything(database)
    seen["mylist"] = sorted(database["mylist"].find({}, {"_id": 0}), key=lambda each: sorted(each.items()))
    return seen


async def change(database: Database[dict[str, Any]], case: str) -> None:
    lists = database["mylist"]
    match case:
        case "removed":
            lists.delete_many(USER | {"contentType": "movie"})
        case "all removed":
            lists.delete_many({"userId": {"$ne": "other"}})
        case "added":
            lists.insert_one(
                USER | {"contentId": sample.MATRIX_ID, "contentType": "movie", "addedAt": datetime.now(UTC)}
            )
        case "added by another":
            lists.update_one(USER, {"$set": {"addedAt": datetime.now(UTC)}})
        case "titles":
            database["movies"].update_one({}, {"$set": {"title": "Other", "sortTitle": "x"}})
            database["tvshows"].delete_one({})
        case "users":
            database["users"].update_many({}, {"$set": {"preferences": {}}})


@pytest.mark.parametrize("case", ["removed", "all removed", "added", "added by another", "titles", "users"])
async def test_sample_is_reset_to_its_original_state(seeded: Database[dict[str, Any]], case: str) -> None:
    await seed_sample()
    of_others = {"userId": "other", "contentId": sample.MATRIX_ID, "contentType": "movie", "addedAt": CREATED_AT}
    seeded["mylist"].insert_one(of_others)
    at_first = as_listed(seeded)
    await change(seeded, case)
    assert as_listed(seeded) != at_first

    done = await seed_sample(reset=True)

    assert as_listed(seeded) == at_first
    assert done.titles + done.users + done.items > 0
    assert await seed_sample(reset=True) == sample.Seeded(titles=0, users=0, items=0)
    assert await seed_sample() == sample.Seeded(titles=0, users=0, items=0)


async def test_sample_is_seeded_and_reset_without_redis(
    seeded: Database[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REDIS_URL", f"redis://127.0.0.1:{free_port()}")
    monkeypatch.setenv("CACHE_STRICT", "true")
    assert await seed_sample() == sample.Seeded(titles=30, users=3, items=29, stale_lists=3)
    seeded["mylist"].delete_many(USER)

    assert await seed_sample(reset=True) == sample.Seeded(titles=0, users=0, items=24, stale_lists=1)
    assert seeded["mylist"].count_documents(USER) == 24


async def test_sample_of_an_interrupted_run_is_completed_by_the_next(seeded: Database[dict[str, Any]]) -> None:
    await seed_sample()
    for item in seeded["mylist"].find(USER).limit(10):
        seeded["mylist"].delete_one(item)
    seeded["users"].delete_one({"username": "ada"})
    assert await seed_sample() == sample.Seeded(titles=0, users=1, items=10)
    assert seeded["mylist"].count_documents(USER) == 24


async def test_concurrent_runs_seed_only_one_sample(seeded: Database[dict[str, Any]]) -> None:
    await asyncio.gather(*(seed_sample() for _ in range(4)))
    assert sum(map(len, everything(seeded).values())) == 3 + 30 + 29


async def test_synthetic_data_has_the_requested_users_titles_and_items(
    own_uri: str, seeded: Database[dict[str, Any]]
) -> None:
    data = SyntheticData(users=250, titles=40, items=10)
    assert await seed_synthetic(own_uri, data) == sample.Seeded(titles=40, users=250, items=2500)

    assert seeded["mylist"].count_documents({}) == 2500
    assert seeded["movies"].count_documents({}) == 27
    assert seeded["tvshows"].count_documents({}) == 13
    for user in (1, 137, 250):
        items = seeded["mylist"].find({"userId": user_id(user)}).sort("addedAt", -1)
        assert [(item["contentId"], item["contentType"]) for item in items] == [
            (title_id(number), title_type(number)) for number in data.list_of(user)
        ]
        assert seeded["users"].find_one({"username": user_id(user)})
    collection = {"movie": "movies", "tvshow": "tvshows"}
    for item in seeded["mylist"].find({"userId": user_id(1)}):
        assert str(item["contentId"]) in {str(each) for each in seeded[collection[item["contentType"]]].distinct("_id")}


async def test_synthetic_data_seeded_again_adds_only_what_is_missing(
    own_uri: str, seeded: Database[dict[str, Any]]
) -> None:
    await seed_synthetic(own_uri, SyntheticData(users=30, titles=40, items=10))
    before = everything(seeded)
    assert await seed_synthetic(own_uri, SyntheticData(users=30, titles=40, items=10)) == sample.Seeded(0, 0, 0)
    assert everything(seeded) == before
    assert await seed_synthetic(own_uri, SyntheticData(users=35, titles=50, items=10)) == sample.Seeded(10, 5, 50)


def test_synthetic_data_of_a_killed_run_is_completed_by_the_next(
    own_uri: str, seeded: Database[dict[str, Any]], tmp_path: Path
) -> None:
    # Five batches of a hundred users: the test has time to kill the process in the second batch.
    command = [sys.executable, "-m", "mylist", "seed", "--users", "500", "--titles", "100", "--items", "20"]
    users, items = seeded["users"], seeded["mylist"]
    settings = environment({"MONGODB_URI": own_uri, **PATIENT})
    with subprocess.Popen(command, cwd=tmp_path, env=settings) as process:
        wait_until(users.find_one, within=60)
        wait_until(lambda: items.count_documents({}) > 20 * users.count_documents({}), within=60)
        process.kill()
    assert 0 < users.count_documents({}) < 500

    ended = subprocess.run(command, cwd=tmp_path, env=settings, capture_output=True, text=True, check=True)
    assert ended.stderr == ""  # no progress bar where there is no terminal
    assert ended.stdout.startswith("Added 0 titles, ")
    assert users.count_documents({}) == 500
    assert items.count_documents({}) == 10_000
    per_user = items.aggregate([{"$group": {"_id": "$userId", "items": {"$sum": 1}}}])
    assert {each["items"] for each in per_user} == {20}


def test_the_commands_seed_and_indexes_print_what_they_did(
    seeded: Database[dict[str, Any]], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    main(["indexes"])
    assert "mylist.userId_1_contentId_1" in capsys.readouterr().out.splitlines()
    main(["seed"])
    assert capsys.readouterr().out == "Added 30 titles, 3 users and 29 items; the rest already existed.\n"
    for _ in range(2):
        seeded["mylist"].delete_one(USER)
    main(["seed"])
    assert capsys.readouterr().out == (
        "Added 0 titles, 0 users and 0 items; 2 items were removed by their users and stay removed; "
        "--reset brings them back.\n"
    )
    main(["seed", "--reset"])
    assert capsys.readouterr().out == "Reset 0 titles, 0 users and 2 items; the sample is in its original state.\n"
    monkeypatch.setenv("REDIS_URL", f"redis://127.0.0.1:{free_port()}")
    seeded["mylist"].delete_one(USER)
    main(["seed", "--reset"])
    captured = capsys.readouterr()
    assert captured.out.splitlines()[1:] == [
        "Redis did not answer: users may see outdated lists for up to 300 s (CACHE_TTL)."
    ]
    assert captured.err == ""
    main(["seed", "--users", "2", "--titles", "3", "--items", "1"])
    assert capsys.readouterr().out == "Added 3 titles, 2 users and 2 items; the rest already existed.\n"
    assert seeded["mylist"].count_documents({}) == 31


class GuardedMongoServer(MongoServer):
    """A MongoDB that requires authentication once its users exist."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.guarded = False

    def command(self) -> list[str]:
        return [*super().command(), *(["--auth"] if self.guarded else [])]


async def test_refused_credentials_are_reported_in_one_line_with_the_settings_to_check(tmp_path: Path) -> None:
    server = GuardedMongoServer(tmp_path)
    with running(server):
        with MongoClient[dict[str, Any]](server.uri) as client:
            client.admin.command({"createUser": "me", "pwd": "right", "roles": ["root"]})
        server.guarded = True
        server.restart()
        known = {"MONGODB_URI": server.uri, "MONGODB_USER": "me", **PATIENT}
        right = Settings.load(known | {"MONGODB_PASSWORD": "right"})
        async with open_database(right) as database:
            await sample.seed(database, right)
        with pytest.raises(DatabaseError) as error:
            async with open_database(Settings.load(known | {"MONGODB_PASSWORD": "wrong"})):
                pass
        message = str(error.value)
        assert message.startswith(f"MongoDB at 127.0.0.1:{server.port} refuses: ")
        assert message.endswith("; check MONGODB_USER, MONGODB_PASSWORD and the authSource of MONGODB_URI")
        assert "\n" not in message
        nobody = Settings.load({"MONGODB_URI": server.uri, **PATIENT})
        with pytest.raises(DatabaseError, match=f"127.0.0.1:{server.port} refuses: .*requires authentication"):
            async with open_database(nobody) as database:
                await sample.seed(database, nobody)
