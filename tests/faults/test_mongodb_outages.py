"""MongoDB fails under a running service, and recovers."""

import re
import threading
import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from uuid import uuid4

import httpx
import pytest

from devtools.waiting import wait_until
from tests.faults.conftest import PATIENCE, TITLES, System, User
from tests.faults.cutting_proxy import CuttingProxy
from tests.faults.outages import DEADLINE, SLACK, asked, assert_unavailable, settle


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
    wait_until(lambda: user.http.get("/readyz").json()["mongodb"] == "unavailable", within=PATIENCE)
    before = asked(user, "mongodb")
    assert_unavailable(user.add(2))
    assert_unavailable(user.remove(0))
    assert asked(user, "mongodb") == before, "once MongoDB is known to be away, nobody waits for it"
    assert user.titles() == [1, 0], "a change that cannot be made does not cost the cached list"
    for path in ("/health", "/livez", "/readyz"):
        assert user.http.get(path).status_code == 200

    system.mongodb.thaw() if frozen else system.mongodb.restart()
    wait_until(lambda: user.http.get("/readyz").json()["mongodb"] == "available", within=PATIENCE)
    assert stranger.titles() == []
    wait_until(lambda: user.add(2).status_code in {201, 409}, within=PATIENCE)
    assert user.titles() == [2, 1, 0]


# The service's availability check as the driver encodes it: the first field of a message, an integer, and then the
# session. The driver's own `hello` has no session.
HELLO = b"\x10hello\x00\x01\x00\x00\x00\x03lsid\x00"


@pytest.mark.parametrize("resets", [False, True], ids=["closed", "reset"])
def test_a_lost_connection_of_the_availability_check_rejects_no_request(system: System, resets: bool) -> None:
    with CuttingProxy(system.mongodb.port, HELLO, cuts=lambda number: number % 4 == 0, resets=resets) as proxy:
        uri = f"mongodb://127.0.0.1:{proxy.port}/faults?directConnection=true"
        user = system.serve(MONGODB_URI=uri, MONGODB_TIMEOUT=str(DEADLINE))
        refused = 0
        while proxy.cut < 4:
            # None of them is cached, so each needs MongoDB.
            answer = user.http.get("/api/mylist/stats", headers={"user-id": f"user-{uuid4().hex}"})
            refused += answer.status_code != 200
        told = user.service.log.read_text()  # before the proxy to MongoDB ends

    assert refused == 0
    assert "is not available" not in told


def test_an_outage_in_which_every_availability_check_fails_is_noticed_in_time(system: System) -> None:
    away = threading.Event()
    with CuttingProxy(system.mongodb.port, HELLO, cuts=lambda _: away.is_set()) as proxy:
        uri = f"mongodb://127.0.0.1:{proxy.port}/faults?directConnection=true"
        user = system.serve(MONGODB_URI=uri, MONGODB_TIMEOUT=str(DEADLINE))
        away.set()
        began = time.monotonic()
        wait_until(lambda: user.http.get("/readyz").json()["mongodb"] == "unavailable", within=PATIENCE)
        took = time.monotonic() - began
        away.clear()
        wait_until(lambda: user.http.get("/readyz").json()["mongodb"] == "available", within=PATIENCE)

    assert took < DEADLINE + SLACK


def test_a_service_starts_without_its_stores_and_serves_once_they_are_up(system: System) -> None:
    system.mongodb.kill()
    system.redis.kill()
    service = system.launch()
    user = system.user(service)

    def readiness() -> httpx.Response | None:
        try:
            return user.http.get("/readyz")
        except httpx.TransportError:
            return None

    starting = wait_until(readiness, within=PATIENCE)
    assert starting.status_code == 503
    assert starting.json() == {"status": "starting", "mongodb": "unavailable"}
    assert user.http.get("/livez").status_code == 200
    assert_unavailable(user.items())

    system.mongodb.restart()
    wait_until(lambda: user.http.get("/readyz").status_code == 200, within=PATIENCE)
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


def test_an_import_interrupted_by_mongodb_reports_its_progress_and_can_be_repeated(system: System) -> None:
    user = system.serve(MONGODB_TIMEOUT=str(DEADLINE))
    watcher = system.user(user.service, user.user_id)
    settle(user)

    known, new = [*map(line, range(25))], [*map(line, range(25, 30))]

    with ThreadPoolExecutor() as pool:
        # The import takes seconds. It begins with the known lines, and the fault waits until their items are listed.
        sending = pool.submit(send, user, known * 600 + new)
        wait_until(lambda: watcher.http.get("/api/mylist/stats").json()["data"]["total"] == 25, within=PATIENCE)
        system.mongodb.freeze()
        answer = sending.result()
    system.mongodb.thaw()

    assert (answer.status_code, answer.json()["code"]) == (503, "PARTLY_APPLIED")
    assert re.search(r"the lines up to \d+00 took effect, the rest may or may not$", answer.json()["error"])
    assert answer.headers["retry-after"] == "1"
    wait_until(lambda: send(user, map(line, range(30))).status_code == 200, within=PATIENCE)
    assert user.http.get("/api/mylist/stats").json()["data"]["total"] == 30


def test_a_replacement_interrupted_by_mongodb_loses_no_item(system: System) -> None:
    user = system.serve(MONGODB_TIMEOUT=str(DEADLINE))
    for title in (0, 1, 2):
        assert user.add(title).status_code == 201
    settle(user)

    system.mongodb.freeze()
    answer = send(user, [line(3)], "replace")
    assert_unavailable(answer, answer.json()["code"])
    system.mongodb.thaw()

    assert {0, 1, 2} <= set(user.titles())
    wait_until(lambda: send(user, [line(3)], "replace").status_code == 200, within=PATIENCE)
    assert user.titles() == [3]


def test_without_mongodb_cached_lists_are_sorted_and_exported_and_changes_are_unavailable(system: System) -> None:
    user = system.serve(MONGODB_TIMEOUT=str(DEADLINE))
    for title in (0, 1, 2):
        assert user.add(title).status_code == 201
    settle(user)

    system.mongodb.kill()
    wait_until(lambda: user.http.get("/readyz").json()["mongodb"] == "unavailable", within=PATIENCE)
    arranged = user.http.get("/api/mylist/items?sort=title&order=desc&type=movie")
    assert (arranged.status_code, arranged.json()["data"]["total"]) == (200, 3)
    assert user.http.get("/api/mylist/items?view=ids").status_code == 200
    assert len(user.http.get("/api/mylist/export").text.splitlines()) == 3
    assert_unavailable(user.http.get("/api/mylist/changes"))
    assert_unavailable(user.http.delete("/api/mylist/items?confirm=true"))
    assert_unavailable(send(user, [line(4)]))

    system.mongodb.restart()
    wait_until(lambda: user.http.get("/api/mylist/changes").status_code == 200, within=PATIENCE)
    assert [each["change"] for each in user.http.get("/api/mylist/changes").json()["data"]["changes"]] == ["added"] * 3
