"""Redis or MongoDB goes away under a running service, and comes back."""

import json
import time
from collections.abc import Iterable, Iterator

import httpx
import pytest
from redis import Redis

from devtools.ports import free_port
from devtools.waiting import wait_until
from tests.faults.conftest import TITLES, System, User

# MONGODB_TIMEOUT of the tests below, and what a request may take beyond it.
DEADLINE = 2.0
SLACK = 1.5


def assert_unavailable(answer: httpx.Response, code: str = "DATABASE_UNAVAILABLE") -> None:
    assert answer.status_code == 503, answer.text
    assert answer.headers["retry-after"] == "1"
    assert answer.json()["code"] == code
    assert answer.elapsed.total_seconds() < DEADLINE + SLACK


def settle(user: User) -> None:
    """Waits until the service believes Redis and the user's list is cached."""
    wait_until(user.cached, within=10)


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
    began = time.monotonic()
    assert user.titles() == [2, 1]
    assert time.monotonic() - began < 0.2, "once Redis is known to be away, nobody waits for it"

    system.redis.thaw() if frozen else system.redis.restart()
    while not (user.cached() and elsewhere.cached()):
        assert user.titles() == elsewhere.titles() == [2, 1]
    assert user.titles() == elsewhere.titles() == [2, 1]
    assert user.add(3).status_code == 201
    assert elsewhere.titles() == [3, 2, 1]


def test_an_invalidation_owed_from_an_outage_is_delivered_before_anybody_believes_the_cache(system: System) -> None:
    """Redis keeps its data while it is frozen: the cached lists are from before the writes."""
    user = system.serve()
    others = [system.user(system.serve().service, user.user_id) for _ in range(2)]
    assert user.add(0).status_code == 201
    for each in (user, *others):
        settle(each)

    for title in range(1, 8):
        system.redis.freeze()
        assert user.add(title).status_code == 201
        expected = list(range(title, -1, -1))
        assert user.titles() == expected
        system.redis.thaw()
        for _ in range(40):
            assert all(each.titles() == expected for each in (user, *others))


def test_lists_that_redis_brings_back_from_a_dump_are_not_shown(system: System) -> None:
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
    cached = False
    while not cached:
        titles, cached = user.look()
        assert titles == [1]


def test_a_strict_service_refuses_writes_without_redis_and_still_reads(system: System) -> None:
    user = system.serve(CACHE_STRICT="true")
    assert user.add(0).status_code == 201
    settle(user)

    system.redis.kill()
    assert_unavailable(user.add(1), "CACHE_UNAVAILABLE")
    assert_unavailable(user.remove(0), "CACHE_UNAVAILABLE")
    assert user.titles() == [0]

    system.redis.restart()
    wait_until(lambda: user.add(1).status_code == 201, within=5)
    assert user.titles() == [1, 0]


def test_a_list_is_replaced_as_it_is_and_not_as_it_is_cached(system: System) -> None:
    """One process alone has no Redis, so nobody else hears of what it changes."""
    one = system.serve()
    cut = system.launch(REDIS_URL=f"redis://127.0.0.1:{free_port()}")
    cut.wait_until_ready()
    assert one.add(0).status_code == 201
    wait_until(one.cached, within=5)
    assert system.user(cut, one.user_id).add(1).status_code == 201
    assert one.look() == ([0], True), "it has heard of the change, so this test shows nothing"

    line = json.dumps({"contentId": TITLES[2], "contentType": "movie"})
    headers = {"content-type": "application/x-ndjson"}
    answer = one.http.post("/api/mylist/import?mode=replace", content=line, headers=headers)

    assert answer.status_code == 200
    assert one.titles() == [2]


@pytest.mark.parametrize("frozen", [False, True], ids=["killed", "frozen"])
def test_without_mongodb_cached_reads_go_on_and_the_rest_is_unavailable(system: System, frozen: bool) -> None:
    user = system.serve(MONGODB_TIMEOUT=str(DEADLINE))
    stranger = system.user(user.service)
    for title in (0, 1):
        assert user.add(title).status_code == 201
    settle(user)

    system.mongodb.freeze() if frozen else system.mongodb.kill()
    assert user.titles() == [1, 0]
    assert user.http.get("/api/mylist/stats").json()["data"]["total"] == 2
    assert_unavailable(stranger.items())
    assert_unavailable(stranger.add(5))
    wait_until(lambda: user.http.get("/readyz").json()["mongodb"] == "unavailable", within=5)
    answer = user.add(2)
    assert_unavailable(answer)
    assert answer.elapsed.total_seconds() < 0.5, "once MongoDB is known to be away, nobody waits for it"
    assert_unavailable(user.remove(0))
    assert user.titles() == [1, 0], "a change that cannot be made does not cost the cached list"
    for path in ("/health", "/livez", "/readyz"):
        assert user.http.get(path).status_code == 200

    system.mongodb.thaw() if frozen else system.mongodb.restart()
    wait_until(lambda: user.http.get("/readyz").json()["mongodb"] == "available", within=10)
    assert stranger.titles() == []
    wait_until(lambda: user.add(2).status_code in {201, 409}, within=5)
    assert user.titles() == [2, 1, 0]


def test_a_service_without_its_stores_starts_and_serves_once_they_are_there(system: System) -> None:
    system.mongodb.kill()
    system.redis.kill()
    service = system.launch()
    user = system.user(service)

    def readiness() -> httpx.Response | None:
        try:
            return user.http.get("/readyz")
        except httpx.TransportError:
            return None

    starting = wait_until(readiness, within=10)
    assert starting.status_code == 503
    assert starting.json() == {"status": "starting", "mongodb": "unavailable"}
    assert user.http.get("/livez").status_code == 200
    assert_unavailable(user.items())

    system.mongodb.restart()
    wait_until(lambda: user.http.get("/readyz").status_code == 200, within=10)
    assert user.add(0).status_code == 201
    assert user.items().headers["x-cache"] == "bypassed"
    system.redis.restart()
    settle(user)
    assert user.titles() == [0]


def line(title: int) -> bytes:
    return b'{"contentId":"%s","contentType":"movie"}\n' % TITLES[title].encode()


def send(user: User, body: Iterable[bytes], mode: str = "merge") -> httpx.Response:
    headers = {"content-type": "application/x-ndjson"}
    return user.http.post(f"/api/mylist/import?mode={mode}", content=body, headers=headers)


def test_an_import_in_which_mongodb_goes_away_says_what_was_done_and_can_be_sent_again(system: System) -> None:
    user = system.serve(MONGODB_TIMEOUT=str(DEADLINE))
    watcher = system.user(user.service, user.user_id)
    settle(user)

    def lines_and_a_fault() -> Iterator[bytes]:
        for title in range(25):
            yield line(title) * 4
        wait_until(lambda: len(watcher.titles()) == 20, within=10)  # the first page of 25
        wait_until(lambda: watcher.http.get("/api/mylist/stats").json()["data"]["total"] == 25, within=10)
        system.mongodb.freeze()
        for title in range(25, 30):
            yield line(title)

    answer = send(user, lines_and_a_fault())
    system.mongodb.thaw()

    assert (answer.status_code, answer.json()["code"]) == (503, "PARTLY_APPLIED")
    assert answer.json()["error"].endswith("the lines up to 100 took effect, the rest may or may not")
    assert answer.headers["retry-after"] == "1"
    wait_until(lambda: send(user, map(line, range(30))).status_code == 200, within=10)
    assert user.http.get("/api/mylist/stats").json()["data"]["total"] == 30


def test_a_list_whose_replacement_mongodb_does_not_survive_loses_nothing(system: System) -> None:
    user = system.serve(MONGODB_TIMEOUT=str(DEADLINE))
    for title in (0, 1, 2):
        assert user.add(title).status_code == 201
    settle(user)

    system.mongodb.freeze()
    answer = send(user, [line(3)], "replace")
    assert_unavailable(answer, answer.json()["code"])
    system.mongodb.thaw()

    assert {0, 1, 2} <= set(user.titles())
    wait_until(lambda: send(user, [line(3)], "replace").status_code == 200, within=10)
    assert user.titles() == [3]


def test_without_mongodb_known_titles_are_still_arranged_and_what_needs_it_is_unavailable(system: System) -> None:
    user = system.serve(MONGODB_TIMEOUT=str(DEADLINE))
    for title in (0, 1, 2):
        assert user.add(title).status_code == 201
    settle(user)

    system.mongodb.kill()
    wait_until(lambda: user.http.get("/readyz").json()["mongodb"] == "unavailable", within=10)
    arranged = user.http.get("/api/mylist/items?sort=title&order=desc&type=movie")
    assert (arranged.status_code, arranged.json()["data"]["total"]) == (200, 3)
    assert user.http.get("/api/mylist/items?view=ids").status_code == 200
    assert len(user.http.get("/api/mylist/export").text.splitlines()) == 3
    assert_unavailable(user.http.get("/api/mylist/changes"))
    assert_unavailable(user.http.delete("/api/mylist/items?confirm=true"))
    assert_unavailable(send(user, [line(4)]))

    system.mongodb.restart()
    wait_until(lambda: user.http.get("/api/mylist/changes").status_code == 200, within=10)
    assert [each["change"] for each in user.http.get("/api/mylist/changes").json()["data"]["changes"]] == ["added"] * 3
