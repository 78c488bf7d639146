"""On a database of the original service, a start fails with one line instead of serving empty lists."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from pymongo import MongoClient
from pymongo.database import Database

from devtools.ports import free_port
from devtools.service_process import Service, environment
from tests.conftest import PATIENT, NewDatabase

REMEDY = "run `mylist adopt`, then start again (docs/coming-from-express.md)"
ITEM = {"userId": "ada", "contentId": "65A0C0FFEE65A0C0FFEE65A0", "contentType": "movie", "__v": 0}

Lists = Database[dict[str, Any]]


@pytest.fixture
def settings(new_database: NewDatabase, redis_url: str) -> Iterator[dict[str, str]]:
    """The settings of a process on a database of this test's own."""
    with new_database() as uri:
        yield {"MONGODB_URI": uri, "REDIS_URL": redis_url, **PATIENT}


@pytest.fixture
def lists(settings: dict[str, str]) -> Iterator[Lists]:
    with MongoClient[dict[str, Any]](settings["MONGODB_URI"], tz_aware=True) as client:
        yield client.get_default_database()


def refusal(settings: dict[str, str], folder: Path, *command: str) -> str:
    """Run a command that must exit with status 1 by itself; return its error message."""
    ended = subprocess.run(
        [sys.executable, "-m", "mylist", *command],
        env=environment({"PORT": str(free_port()), "HOST": "127.0.0.1", **settings}),
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert ended.returncode == 1, ended.stderr
    [line] = [line for line in ended.stderr.splitlines() if line.startswith("mylist: ")]
    return line


def assert_serves(settings: dict[str, str], folder: Path) -> None:
    service = Service(folder, settings)
    try:
        service.wait_until_ready()
        service.stop()
    finally:
        service.kill()


def no_lists_here(lists: Lists) -> None:
    lists["mylists"].insert_one(dict(ITEM))


def broken_off(lists: Lists) -> None:
    no_lists_here(lists)
    lists["mylist"].insert_one(dict(ITEM))
    lists["mylist_adopted"].insert_one({"_id": "state", "finished": False})


@pytest.mark.parametrize("command", [["serve"], ["seed"], ["seed", "--reset"], ["seed", "--users", "1"], ["dev"]])
@pytest.mark.parametrize("state", [no_lists_here, broken_off])
def test_start_and_seeding_refuse_lists_that_are_not_adopted_and_name_the_command(
    settings: dict[str, str], lists: Lists, tmp_path: Path, state: Callable[[Lists], None], command: list[str]
) -> None:
    state(lists)
    before = {name: lists[name].count_documents({}) for name in lists.list_collection_names()}
    line = refusal(settings, tmp_path, *command)
    other_way = (
        "; or remove MONGODB_URI, also from .env: then `mylist dev` starts its own" if command == ["dev"] else ""
    )
    assert line.endswith(f"{REMEDY}{other_way}")
    assert ("`mylists`, and none in `mylist`" if state is no_lists_here else "taken over only in part") in line
    assert {name: lists[name].count_documents({}) for name in lists.list_collection_names()} == before


def nothing_there(_: Lists) -> None:
    """A new database."""


def no_documents_there(lists: Lists) -> None:
    lists.create_collection("mylists")


def lists_on_both_sides(lists: Lists) -> None:
    no_lists_here(lists)
    lists["mylist"].insert_one(dict(ITEM))


def all_removed_after_the_adoption(lists: Lists) -> None:
    no_lists_here(lists)
    lists["mylist_adopted"].insert_one({"_id": "state", "finished": True})


@pytest.mark.parametrize(
    "state", [nothing_there, no_documents_there, lists_on_both_sides, all_removed_after_the_adoption]
)
def test_the_service_starts_with_any_database_that_needs_no_adoption(
    settings: dict[str, str], lists: Lists, tmp_path: Path, state: Callable[[Lists], None]
) -> None:
    state(lists)
    assert_serves(settings, tmp_path)


def test_the_service_starts_once_the_lists_are_adopted(settings: dict[str, str], lists: Lists, tmp_path: Path) -> None:
    no_lists_here(lists)
    adopting = [sys.executable, "-m", "mylist", "adopt"]
    subprocess.run(adopting, env=environment(settings), cwd=tmp_path, check=True, capture_output=True)
    assert_serves(settings, tmp_path)
