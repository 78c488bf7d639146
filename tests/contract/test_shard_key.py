"""Every operation on lists names its user, and so its shard: the driver records what the service sends to MongoDB."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from pymongo.database import Database

from devtools.service_process import Service
from tests.contract.conftest import PatientTransport, connect
from tests.every_route import Caller, call_every_route, routes_of_lists
from tests.recorded_commands import Command, commands

LISTS = frozenset({"mylist", "mylist_changes"})


@pytest.fixture(scope="module")
def recording_client(recording_service: Service) -> Iterator[httpx.Client]:
    with connect(recording_service, transport=PatientTransport()) as client:
        yield client


def unnamed(command: Command, user_id: str) -> list[dict[str, Any]]:
    """Return the filters of a command that do not select this user by equality."""
    return [each for each in command.filters() if each.get("userId") != user_id]


def test_every_operation_on_lists_names_its_user(
    recording_client: httpx.Client, recorded: Path, database: Database[dict[str, object]]
) -> None:
    caller = Caller(recording_client)
    begun = len(list(commands(recorded)))
    call_every_route(caller, database)
    routes = routes_of_lists(recording_client)

    assert routes - caller.called == {("GET", "/api/mylist/limits")} & routes
    sent = [each for each in list(commands(recorded))[begun:] if each.collection in LISTS]
    assert len(sent) > 50
    assert {each.name for each in sent} >= {"find", "update"}
    wrong = [(each.name, each.collection, each.filters()) for each in sent if unnamed(each, caller.user.id)]
    assert wrong == []


@pytest.mark.parametrize(
    ("name", "body", "named"),
    [
        ("find", {"find": "mylist", "filter": {"userId": "a", "contentId": "b"}}, True),
        ("find", {"find": "mylist", "filter": {"contentId": "b"}}, False),
        ("find", {"find": "mylist", "filter": {"userId": {"$in": ["a"]}}}, False),
        ("find", {"find": "mylist", "filter": {"userId": "b"}}, False),
        ("find", {"find": "mylist"}, False),
        ("update", {"update": "mylist", "updates": [{"q": {"userId": "a"}}, {"q": {"_id": 1}}]}, False),
        ("delete", {"delete": "mylist", "deletes": [{"q": {"userId": "a"}}]}, True),
        ("insert", {"insert": "mylist", "documents": [{"userId": "a"}, {"userId": "b"}]}, False),
        ("aggregate", {"aggregate": "mylist", "pipeline": [{"$match": {"userId": "a"}}, {"$count": "n"}]}, True),
        ("aggregate", {"aggregate": "mylist", "pipeline": [{"$count": "n"}, {"$match": {"userId": "a"}}]}, False),
        ("getMore", {"getMore": 1, "collection": "mylist"}, True),
        ("createIndexes", {"createIndexes": "mylist"}, True),
    ],
)
def test_a_filter_without_equality_on_the_user_is_detected(name: str, body: dict[str, Any], named: bool) -> None:
    command = Command(name, "database", body)

    assert command.collection == "mylist"
    assert (unnamed(command, "a") == []) is named


def test_a_command_of_an_unknown_kind_raises_an_error() -> None:
    with pytest.raises(ValueError, match="where does mapReduce have its filter"):
        Command("mapReduce", "database", {"mapReduce": "mylist"}).filters()
