"""A sharded cluster: the accepted shard keys; each list is on one shard, and stays correct while it moves."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event
from typing import Any

import httpx
import pytest
from pymongo import MongoClient
from pymongo.database import Database

from devtools.service_process import Service
from tests.conftest import PATIENT, NewDatabase
from tests.contract.conftest import PatientTransport, User, connect
from tests.contract.titles import MATRIX_DOCUMENT, MATRIX_ID, MOVIE_DOCUMENTS, MOVIE_IDS, SHOW_DOCUMENT
from tests.every_route import Caller, call_every_route
from tests.mongodb.deployment import stages
from tests.recorded_commands import commands, recording

pytestmark = pytest.mark.needs("shards")

Documents = Database[dict[str, Any]]
LISTS, CHANGES = "mylist", "mylist_changes"
SHARD_KEYS: dict[str, dict[str, Any]] = {"hashed": {"userId": "hashed"}, "ranged": {"userId": 1}}
MOVES = 6


class Cluster:
    """A sharded database, and a service process on it whose commands are written down."""

    def __init__(self, client: MongoClient[dict[str, Any]], database: Documents, service: Service, file: Path) -> None:
        self.admin = client.admin
        self.database = database
        self.service = service
        self.file = file


@pytest.fixture(scope="module", params=SHARD_KEYS)
def cluster(
    request: pytest.FixtureRequest,
    new_database: NewDatabase,
    redis_url: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Cluster]:
    folder = tmp_path_factory.mktemp("cluster")
    file = folder / "commands.jsonl"
    with new_database() as uri, MongoClient[dict[str, Any]](uri) as client:
        database = client.get_default_database()
        for collection in (LISTS, CHANGES):
            client.admin.command("shardCollection", f"{database.name}.{collection}", key=SHARD_KEYS[request.param])
        database["movies"].insert_many([MATRIX_DOCUMENT, *MOVIE_DOCUMENTS])
        database["tvshows"].insert_one(SHOW_DOCUMENT)
        settings = {"MONGODB_URI": uri, "REDIS_URL": redis_url, **PATIENT}
        service = Service(folder, settings, program=recording(file))
        try:
            service.wait_until_ready()
            yield Cluster(client, database, service, file)
        finally:
            service.stop()


@pytest.fixture(scope="module")
def cluster_client(cluster: Cluster) -> Iterator[httpx.Client]:
    with connect(cluster.service, transport=PatientTransport()) as client:
        yield client


def test_the_unique_index_exists_on_a_sharded_collection(cluster: Cluster) -> None:
    indexes = cluster.database[LISTS].index_information().values()

    assert {"userId": 1, "contentId": 1} in [dict(each["key"]) for each in indexes if each.get("unique")]


def test_every_find_of_every_route_asks_one_shard(
    cluster: Cluster, cluster_client: httpx.Client, record_property: Any
) -> None:
    begun = len(list(commands(cluster.file)))
    call_every_route(Caller(cluster_client), cluster.database)
    finds = [each for each in list(commands(cluster.file))[begun:] if each.name == "find" and each.collection == LISTS]
    assert finds

    for each in finds:
        wanted = ("find", "filter", "projection", "sort", "limit")
        body = {name: value for name, value in each.body.items() if name in wanted}
        plan = cluster.database.command("explain", body)["queryPlanner"]["winningPlan"]
        names = {stage["stage"] for stage in stages(plan)}
        assert "SINGLE_SHARD" in names, (each.body, names)
        if "sort" in body:
            record_property("load is covered behind SHARDING_FILTER", "FETCH" not in names)


def test_a_list_changed_while_it_moves_between_shards_stays_correct(
    cluster: Cluster, cluster_client: httpx.Client, user_id: str
) -> None:
    user, stopped = User(cluster_client, user_id), Event()
    ids = [MATRIX_ID, *MOVIE_IDS[:3]]

    def change() -> dict[str, bool]:
        there = dict.fromkeys(ids, False)
        while not stopped.is_set():
            for each in ids:
                answer = (user.remove if there[each] else user.add)(each)
                assert answer.status_code in {200, 201, 503}, answer.text
                if answer.status_code == 503:  # done or not: the list itself says
                    there[each] = each in user.contents()
                else:
                    there[each] = not there[each]
        return there

    with ThreadPoolExecutor(1) as pool:
        changing = pool.submit(change)
        try:
            for _ in range(MOVES):
                move(cluster, user_id)
        finally:
            stopped.set()
        there = changing.result()

    assert set(user.contents()) == {each for each in ids if there[each]}
    documents = [each["contentId"] for each in cluster.database[LISTS].find({"userId": user_id})]
    assert sorted(documents) == sorted(each for each in ids if there[each])


def move(cluster: Cluster, user_id: str) -> None:
    """Bring the chunk of a user's list to another shard."""
    shards = {each["_id"] for each in cluster.admin.command("listShards")["shards"]}
    plan = cluster.database.command("explain", {"find": LISTS, "filter": {"userId": user_id}})
    [owner] = [each["shardName"] for each in plan["queryPlanner"]["winningPlan"]["shards"]]
    namespace = f"{cluster.database.name}.{LISTS}"
    cluster.admin.command("moveChunk", namespace, find={"userId": user_id}, to=min(shards - {owner}))
