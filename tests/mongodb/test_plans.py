"""The query plans of the commands that the service sends to MongoDB."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from pymongo.database import Database

from tests.contract.conftest import User
from tests.contract.titles import MATRIX_ID
from tests.every_route import Caller, call_every_route
from tests.mongodb.deployment import stages
from tests.recorded_commands import Command, commands

Documents = Database[dict[str, Any]]

pytestmark = pytest.mark.needs("plans")

LISTS, CHANGES = "mylist", "mylist_changes"
BY_DATE = {"userId": 1, "addedAt": -1, "contentId": 1, "contentType": 1}
LENGTHS = (0, 1, 25, 5_000)
CHANGES_OF_LONGEST = 5_000
_EXPLAINED = {"find", "update", "delete", "aggregate", "distinct", "count", "findAndModify"}
# Fields of the connection or the session, which `explain` does not take.
_OF_THE_DRIVER = {"lsid", "txnNumber", "$clusterTime", "$db", "writeConcern", "ordered", "maxTimeMS", "readConcern"}


class Plan:
    """The plan of one command, and how much its execution examined."""

    def __init__(self, command: Command, explained: dict[str, Any]) -> None:
        self.command = command
        self.stages = list(stages(explained["queryPlanner"]))
        self.names = {each["stage"] for each in self.stages}
        statistics = explained.get("executionStats", {})
        self.keys_examined: int = statistics.get("totalKeysExamined", 0)
        self.documents_examined: int = statistics.get("totalDocsExamined", 0)

    @property
    def indexes(self) -> list[dict[str, Any]]:
        """The key patterns of the indexes that it reads."""
        return [dict(each["keyPattern"]) for each in self.stages if "keyPattern" in each]

    def __repr__(self) -> str:
        return f"{self.command.name} {self.command.filters()}: {self.stages}"


class Planner:
    """Returns the plans of the commands that a service has sent."""

    def __init__(self, database: Documents, file: Path) -> None:
        self._database = database
        self._file = file
        self._seen = 0

    def forget(self) -> None:
        """Leave out what was sent until now."""
        self._seen = len(list(commands(self._file)))

    def plans(self, *collections: str) -> list[Plan]:
        """Return the plan of each command on these collections since `forget`."""
        sent = list(commands(self._file))[self._seen :]
        return [plan for command in sent if command.collection in collections for plan in self._explained(command)]

    def _explained(self, command: Command) -> Iterator[Plan]:
        if command.name not in _EXPLAINED:
            return
        for body in _each_alone(command.body):
            explained = self._database.command("explain", body, verbosity="executionStats")
            yield Plan(command, explained)


def _each_alone(body: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield a command for each update or delete of a command, because `explain` takes only one."""
    plain = {name: value for name, value in body.items() if name not in _OF_THE_DRIVER}
    for part in ("updates", "deletes"):
        if part in plain:
            yield from ({**plain, part: [each]} for each in plain[part])
            return
    yield plain


@pytest.fixture(scope="module")
def planner(database: Documents, recorded: Path) -> Planner:
    return Planner(database, recorded)


@pytest.fixture(scope="module")
def lists(recording_client: httpx.Client, database: Documents) -> dict[int, User]:
    """A user with a list of each length; the longest list has as many changes."""
    users = {length: User(recording_client, f"user-of-{length}") for length in LENGTHS}
    start = datetime(2024, 1, 1, tzinfo=UTC)
    for length, user in users.items():
        items = [
            {
                "userId": user.id,
                "contentId": f"{number:024x}",
                "contentType": "movie",
                "addedAt": start + timedelta(minutes=number),
            }
            for number in range(length)
        ]
        if items:
            database[LISTS].insert_many(items)
    longest = users[max(LENGTHS)]
    database[CHANGES].insert_many(
        {
            "_id": f"{longest.id}/{number:024x}",
            "userId": longest.id,
            "contentId": f"{number:024x}",
            "contentType": "movie",
            "change": "removed",
            "changedAt": datetime.now(UTC) - timedelta(days=1, seconds=number),
        }
        for number in range(max(LENGTHS), max(LENGTHS) + CHANGES_OF_LONGEST)
    )
    return users


@pytest.mark.parametrize("length", LENGTHS)
def test_a_list_is_loaded_by_one_command_that_reads_only_one_index(
    planner: Planner, lists: dict[int, User], length: int
) -> None:
    planner.forget()
    assert lists[length].stats().headers["x-cache"] == "miss"
    [plan] = planner.plans(LISTS)

    assert plan.indexes == [BY_DATE]
    assert not plan.names & {"FETCH", "SORT", "COLLSCAN"}
    assert plan.documents_examined == 0
    assert plan.keys_examined <= length + 1


def test_changes_are_read_in_index_order_and_only_up_to_the_limit(planner: Planner, lists: dict[int, User]) -> None:
    user, limit = lists[max(LENGTHS)], 50
    query = ""
    for _ in range(3):  # the first page, and the next ones
        planner.forget()
        answer = user.client.get(f"/api/mylist/changes?limit={limit}{query}", headers=user.headers)
        assert answer.status_code == 200, answer.text
        query = f"&since={answer.json()['data']['token']}"
        for plan in planner.plans(LISTS, CHANGES):
            assert not plan.names & {"SORT", "COLLSCAN"}, plan
            assert plan.documents_examined <= 2 * limit + 2, plan


def test_an_operation_on_one_item_examines_at_most_three_keys(planner: Planner, lists: dict[int, User]) -> None:
    user = lists[max(LENGTHS)]
    planner.forget()
    assert user.add(MATRIX_ID).status_code == 201
    assert user.add(MATRIX_ID).status_code == 409
    assert user.remove(MATRIX_ID).status_code == 200
    plans = planner.plans(LISTS, CHANGES)

    assert plans
    for plan in plans:
        if plan.command.name == "update" or "contentId" in plan.command.filters()[0]:
            assert plan.keys_examined <= 3, plan


@pytest.fixture(scope="module")
def plans_of_all_routes(
    planner: Planner,
    lists: dict[int, User],
    recording_client: httpx.Client,
    database: Documents,
) -> list[Plan]:
    assert lists  # so that a plan has something to choose from
    planner.forget()
    call_every_route(Caller(recording_client), database)
    plans = planner.plans(LISTS, CHANGES, "movies", "tvshows")
    assert len(plans) > 50
    return plans


def test_no_command_of_any_route_scans_a_collection(plans_of_all_routes: list[Plan]) -> None:
    assert [each for each in plans_of_all_routes if "COLLSCAN" in each.names] == []
    of_lists = [each for each in plans_of_all_routes if each.command.collection in {LISTS, CHANGES}]
    begin = {next(iter(index)) for each in of_lists for index in each.indexes}
    assert "userId" in begin <= {"userId", "_id"}


def test_no_command_of_any_route_sorts_in_memory(plans_of_all_routes: list[Plan]) -> None:
    assert [each for each in plans_of_all_routes if "SORT" in each.names] == []


def test_genres_are_read_from_their_index(planner: Planner, recording_client: httpx.Client) -> None:
    planner.forget()
    answer = recording_client.get("/api/mylist/items?genre=none-such", headers={"user-id": "reader"})
    assert answer.status_code == 400
    plans = [each for each in planner.plans("movies", "tvshows") if each.command.name == "distinct"]

    assert len(plans) == 2
    assert all("DISTINCT_SCAN" in each.names for each in plans)
