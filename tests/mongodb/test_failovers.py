"""Elections, and a lost majority: no acknowledged change is lost, and no change is acknowledged without a majority."""

import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from threading import Event
from typing import Any
from uuid import uuid4

import httpx
import pytest
from bson import ObjectId
from pymongo import MongoClient
from pymongo.database import Database

from devtools.waiting import wait_until
from tests.conftest import Serve
from tests.content_ids import content_id
from tests.contract.conftest import User, connect
from tests.contract.titles import MATRIX_ID, MOVIE_IDS, SHOW_ID
from tests.mongodb.copies import Copy
from tests.mongodb.deployment import Deployment, Real

Documents = Database[dict[str, Any]]

FIRST_NUMBER = 0xADD_0000
TITLES = 400
RECOVERED_WITHIN_S = 90.0
SETTLED_WITHIN_S = 90.0
"""A token settles 30 seconds after a change; a copy may get a change again until then."""
GONE_ON = 50
"""How many changes must succeed after a failover before it counts as over."""


@pytest.fixture(scope="module")
def many_titles(database: Documents) -> list[str]:
    ids = [content_id(FIRST_NUMBER + number) for number in range(TITLES)]
    database["movies"].insert_many({"_id": ObjectId(bytes(each)), "title": each.hex()} for each in ids)
    return [each.hex() for each in ids]


class Writer:
    """Adds and removes titles one after the other, and keeps the answers."""

    def __init__(self, user: User, ids: list[str]) -> None:
        self._user = user
        self._ids = ids
        self.there: dict[str, bool | None] = {}
        """Whether each is on the list according to the last answer; None if no answer says so."""
        self.succeeded = 0
        self._stopped = Event()

    def run(self) -> None:
        """Go on until `stop`."""
        while not self._stopped.is_set():
            for each in self._ids:
                if self._stopped.is_set():
                    return
                self._change(each)

    def _change(self, each: str) -> None:
        adds = not self.there.get(each)
        path = f"/api/mylist/items/{each}"
        client, headers = self._user.client, self._user.headers
        answer = (
            client.put(path, json={"contentType": "movie"}, headers=headers)
            if adds
            else client.delete(path, headers=headers)
        )
        if answer.status_code in {200, 201, 204}:
            self.there[each] = adds
            self.succeeded += 1
        else:
            assert answer.status_code == 503, answer.text
            if answer.json()["code"] != "DATABASE_UNAVAILABLE":  # nothing was changed then
                self.there[each] = None

    def stop(self) -> None:
        self._stopped.set()

    def check(self, listed: set[str]) -> None:
        """Compare a list with the acknowledged changes."""
        lost = [each for each, there in self.there.items() if there and each not in listed]
        undone = [each for each, there in self.there.items() if there is False and each in listed]
        assert (lost, undone) == ([], [])


@contextmanager
def writing(users: list[User], ids: list[str]) -> Iterator[list[Writer]]:
    """Have one writer at each process, each with half of the titles."""
    writers = [Writer(user, ids[number :: len(users)]) for number, user in enumerate(users)]
    with ThreadPoolExecutor(len(writers)) as pool:
        runs = [pool.submit(writer.run) for writer in writers]
        try:
            wait_until(lambda: all(each.succeeded >= GONE_ON for each in writers), within=RECOVERED_WITHIN_S)
            yield writers
            before = [each.succeeded for each in writers]
            wait_until(
                lambda: all(each.succeeded >= was + GONE_ON for each, was in zip(writers, before, strict=True)),
                within=RECOVERED_WITHIN_S,
            )
        finally:
            for writer in writers:
                writer.stop()
        for run in runs:
            run.result()


def whole_list(user: User) -> set[str]:
    answer = user.client.get("/api/mylist/export", headers=user.headers)
    assert answer.status_code == 200, answer.text
    return {json.loads(line)["contentId"] for line in answer.text.splitlines()}


@pytest.mark.needs("an election")
def test_a_planned_step_down_loses_nothing(
    deployment: Deployment, users: list[User], many_titles: list[str], database: Documents
) -> None:
    check_after(deployment.step_down, users, many_titles, database)


@pytest.mark.needs("members to lose")
def test_a_killed_primary_loses_no_acknowledged_change(
    deployment: Deployment, users: list[User], many_titles: list[str], database: Documents
) -> None:
    def kill() -> None:
        revive = deployment.kill_primary()
        wait_until(lambda: users[0].add(SHOW_ID, "tvshow").status_code in {201, 409}, within=RECOVERED_WITHIN_S)
        revive()

    check_after(kill, users, many_titles, database)


def check_after(fault: Callable[[], None], users: list[User], ids: list[str], database: Documents) -> None:
    """Cause a fault while both processes change a list, then compare the list with the answers."""
    copy = Copy(users[0])
    with writing(users, ids) as writers:
        fault()
        copy.catch_up()
    lists = [whole_list(user) for user in users]
    documents = list(database["mylist"].find({"userId": users[0].id, "addedAt": {"$exists": True}}))

    assert lists[0] == lists[1] == {each["contentId"] for each in documents}
    assert len(documents) == len(lists[0])
    for writer in writers:
        writer.check(lists[0])
    copy.catch_up()
    assert set(copy.items) == lists[0]


@pytest.mark.needs("members to lose")
def test_without_a_majority_every_change_returns_503(deployment: Deployment, users: list[User]) -> None:
    first, second = users
    assert first.add(SHOW_ID, "tvshow").status_code == 201
    assert set(second.contents()) == {SHOW_ID}
    requests: list[Callable[[], httpx.Response]] = [
        lambda: first.add(MATRIX_ID),
        lambda: first.add(MATRIX_ID),  # 409 would mean that it is certainly on the list
        lambda: second.client.put(
            f"/api/mylist/items/{MATRIX_ID}", json={"contentType": "movie"}, headers=second.headers
        ),
        lambda: second.client.post(
            "/api/mylist/batch",
            json={"add": [{"contentId": MOVIE_IDS[0], "contentType": "movie"}]},
            headers=second.headers,
        ),
    ]
    with deployment.without_majority():
        statuses = [request().status_code for request in requests]
    assert statuses == [503] * len(requests)

    wait_until(lambda: first.add(MOVIE_IDS[1]).status_code in {201, 409}, within=RECOVERED_WITHIN_S)
    lists = [whole_list(user) for user in users]
    assert lists[0] == lists[1] >= {SHOW_ID, MOVIE_IDS[1]}
    again = first.add(MATRIX_ID).status_code
    assert again == (409 if MATRIX_ID in lists[0] else 201)


@pytest.mark.needs("fail points", "an election")
def test_a_new_primary_never_shows_less_than_was_acknowledged(
    deployment: Deployment, serve: Serve, users: list[User]
) -> None:
    """SERVER-53813: right after an election, a majority read on the new primary may return old data."""
    assert isinstance(deployment, Real)
    former = deployment.primary()
    heir = next(each for each in deployment.facts.members if each != former)
    deployment.fail_point("disableSnapshotting", "alwaysOn", member=heir)
    try:
        assert users[0].add(MATRIX_ID).status_code == 201  # the others are a majority without the heir
        deployment.step_up(heir)
        with connect(serve()) as client:  # a process that has seen nothing before
            for _ in range(20):
                answer = User(client, users[0].id).items()
                assert answer.status_code in {200, 503}, answer.text
                if answer.status_code == 200:
                    assert MATRIX_ID in answer.text, "an acknowledged item is missing"
    finally:
        deployment.fail_point("disableSnapshotting", "off", member=heir)
    wait_until(lambda: users[1].items().status_code == 200, within=RECOVERED_WITHIN_S)
    assert users[1].contents() == [MATRIX_ID]


@pytest.mark.needs("compose")
def test_a_restore_while_no_process_runs_brings_back_the_dumped_lists(
    deployment: Deployment, serve: Serve, database: Documents
) -> None:
    """The steps of docs/mongodb.md, “Restore”: no process runs, the data comes back, Redis is empty."""
    assert isinstance(deployment, Real)
    user_id = f"user-{uuid4().hex}"
    service = serve()
    with connect(service) as client:
        user = User(client, user_id)
        assert user.add(MATRIX_ID).status_code == 201
        uri = f"mongodb://{deployment.primary()}/?directConnection=true"
        quietly = ("--quiet", "--archive", "--gzip", f"--uri={uri}")
        dump = deployment.in_primary("mongodump", *quietly, f"--db={database.name}")
        assert user.add(SHOW_ID, "tvshow").status_code == 201
    service.stop()
    deployment.in_primary("mongorestore", *quietly, "--drop", f"--nsInclude={database.name}.*", given=dump)

    with connect(serve()) as client:
        assert User(client, user_id).contents() == [MATRIX_ID]
        with MongoClient[dict[str, Any]](deployment.uri) as mongodb:
            indexes = mongodb[database.name]["mylist"].index_information()
        assert any(each.get("unique") for each in indexes.values())
