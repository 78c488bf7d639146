"""Redis fails under a running service, and recovers."""

import json
import signal
from datetime import UTC, datetime

import pytest
from pymongo import MongoClient
from redis import Redis

from devtools.ports import free_port
from devtools.scrape import Metrics
from devtools.waiting import wait_until
from tests.faults.conftest import PATIENCE, TITLES, System
from tests.faults.outages import asked, assert_unavailable, known_to_be_away, read_until_cached, settle


@pytest.mark.parametrize("frozen", [False, True], ids=["killed", "frozen"])
def test_without_redis_reads_and_writes_go_on_and_nothing_is_stale_afterwards(system: System, frozen: bool) -> None:
    user = system.serve()
    elsewhere = system.user(system.serve().service, user.user_id)
    for title in (0, 1):
        assert user.add(title).status_code == 201
    settle(user)
    settle(elsewhere)

    system.redis.freeze() if frozen else system.redis.kill()
    assert user.titles() == [1, 0]
    assert user.add(2).status_code == 201
    assert user.titles() == elsewhere.titles() == [2, 1, 0]
    assert elsewhere.remove(0).status_code == 200
    assert user.titles() == elsewhere.titles() == [2, 1]
    assert user.http.get("/readyz").status_code == 200
    wait_until(lambda: known_to_be_away(user, "redis"), within=PATIENCE)
    before = asked(user, "redis")
    assert user.titles() == [2, 1]
    assert asked(user, "redis") == before, "once Redis is known to be away, nobody waits for it"

    system.redis.thaw() if frozen else system.redis.restart()
    read_until_cached((user, elsewhere), [2, 1])
    assert user.add(3).status_code == 201
    assert elsewhere.titles() == [3, 2, 1]


def test_no_process_serves_a_stale_list_while_invalidations_are_owed(system: System) -> None:
    """Redis keeps its data while it is frozen: the cached lists are from before the writes."""
    user = system.serve()
    others = [system.user(system.serve().service, user.user_id) for _ in range(2)]
    assert user.add(0).status_code == 201
    for each in (user, *others):
        settle(each)

    for title, settled in enumerate([True, False, True], start=1):
        system.redis.freeze()
        assert user.add(title).status_code == 201
        expected = list(range(title, -1, -1))
        assert user.titles() == expected
        system.redis.thaw()
        for _ in range(20):
            assert all(each.titles() == expected for each in (user, *others))
        if settled:  # otherwise Redis fails again while the invalidations are delivered
            read_until_cached((user, *others), expected)


def test_lists_that_redis_restores_from_a_dump_are_not_served(system: System) -> None:
    user = system.serve()
    for title in (0, 1):
        assert user.add(title).status_code == 201
    settle(user)

    with Redis.from_url(system.redis.uri) as client:
        client.save()
        assert user.remove(0).status_code == 200
        system.redis.kill()
        system.redis.restart()
        assert client.getrange(f"mylist:{{{user.user_id}}}", 0, 0) == b"L"
    read_until_cached((user,), [1])


def test_a_strict_service_refuses_writes_without_redis_and_still_serves_reads(system: System) -> None:
    user = system.serve(CACHE_STRICT="true")
    assert user.add(0).status_code == 201
    settle(user)

    system.redis.kill()
    assert_unavailable(user.add(1), "CACHE_UNAVAILABLE")
    assert_unavailable(user.remove(0), "CACHE_UNAVAILABLE")
    assert user.titles() == [0]

    system.redis.restart()
    wait_until(lambda: user.add(1).status_code == 201, within=PATIENCE)
    assert user.titles() == [1, 0]


def test_changes_by_the_only_process_without_redis_are_shown_by_all_processes(system: System) -> None:
    one = system.serve()
    assert one.add(0).status_code == 201
    settle(one)
    cut = system.launch(REDIS_URL=f"redis://127.0.0.1:{free_port()}")
    cut.wait_until_ready()

    assert system.user(cut, one.user_id).add(1).status_code == 201
    assert one.look() == ([1, 0], False)
    assert Metrics(one.service).value("mylist_cache_withheld", cause="unfenced_process") == 1
    log = one.service.log.read_text()
    assert "Lists come from MongoDB, because other processes change lists and cannot reach Redis: " in log
    cut.process.send_signal(signal.SIGTERM)

    read_until_cached((one,), [1, 0])
    assert "All processes reach the same Redis" in one.service.log.read_text()


def test_changes_during_a_move_to_another_redis_and_back_are_shown_by_all_processes(system: System) -> None:
    one = system.serve()
    assert one.add(0).status_code == 201
    settle(one)
    elsewhere = system.serve(REDIS_URL=system.redis.uri.removesuffix("/0") + "/1")

    assert system.user(elsewhere.service, one.user_id).add(1).status_code == 201
    assert one.look() == ([1, 0], False)
    elsewhere.service.process.send_signal(signal.SIGTERM)

    read_until_cached((one,), [1, 0])


def test_a_replacement_uses_the_list_in_mongodb_and_not_the_cached_one(system: System) -> None:
    """Another client has changed the list in MongoDB, so Redis has an older version."""
    one = system.serve()
    assert one.add(0).status_code == 201
    wait_until(one.cached, within=PATIENCE)
    item = {"userId": one.user_id, "contentId": TITLES[1], "contentType": "movie", "addedAt": datetime.now(UTC)}
    with MongoClient[dict[str, object]](system.mongodb.uri) as client:
        client["faults"]["mylist"].insert_one(item)
    assert one.look() == ([0], True), "it has heard of the change, so this test shows nothing"

    line = json.dumps({"contentId": TITLES[2], "contentType": "movie"})
    headers = {"content-type": "application/x-ndjson"}
    answer = one.http.post("/api/mylist/import?mode=replace", content=line, headers=headers)

    assert answer.status_code == 200
    assert one.titles() == [2]
