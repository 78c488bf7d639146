"""A service shuts down while clients use it."""

import asyncio
import os
import signal
import time
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from devtools.scrape import Metrics
from devtools.service_process import NO_TLS
from devtools.waiting import wait_until
from tests.faults.conftest import PATIENCE, TITLES, System, User

CLIENTS = 16
SOON = 10.0
"""Seconds, enough on a busy machine, and less than the service grants to requests in flight."""
IMAGES = ["", *filter(None, [os.environ.get("TEST_IMAGE")])]
"""How the service is rolled out: as a process and, if TEST_IMAGE names an image, as a container of that image."""


@pytest.mark.parametrize("image", IMAGES, ids=lambda image: image or "process")
async def test_a_rollout_loses_no_request_and_no_write(system: System, image: str) -> None:
    """`Connection: close` moves clients to the successor, as behind a load balancer."""
    user = system.serve(image=image, SHUTDOWN_DELAY="2")
    old, new = user.service, system.serve(image=image).service
    answered = {old.url: 0, new.url: 0}
    told_to_close = 0
    acknowledged: set[str] = set()

    async def use(client: httpx.AsyncClient, number: int) -> None:
        nonlocal told_to_close
        url = old.url
        for turn in range(100_000):
            if turn % 10 == 5:
                owner = f"{user.user_id}-{number}-{turn}"
                body = {"contentId": TITLES[0], "contentType": "movie"}
                answer = await client.post(f"{url}/api/mylist/add", json=body, headers={"user-id": owner})
                acknowledged.add(owner)
            else:
                answer = await client.get(f"{url}/api/mylist/items")
            assert answer.status_code in {200, 201}, answer.text
            answered[url] += 1
            if answer.headers["connection"] == "close":
                told_to_close += 1
                url = new.url
            if answered[new.url] > 20 * CLIENTS:
                return

    headers = {"user-id": user.user_id}
    async with (
        asyncio.TaskGroup() as clients,
        httpx.AsyncClient(headers=headers, timeout=PATIENCE, verify=NO_TLS) as client,
    ):
        running = [clients.create_task(use(client, number)) for number in range(CLIENTS)]
        async with asyncio.timeout(PATIENCE):
            while answered[old.url] < 200:
                await asyncio.sleep(0.01)
        old.process.send_signal(signal.SIGTERM)
        await asyncio.wait(running)

    assert await asyncio.to_thread(old.process.wait, PATIENCE) == 0
    assert told_to_close == CLIENTS
    assert len(acknowledged) > 2 * CLIENTS
    for owner in acknowledged:
        answer = user.http.get(f"{new.url}/api/mylist/items", headers={"user-id": owner})
        assert answer.json()["data"]["total"] == 1, owner


def test_a_draining_service_says_so_and_still_serves(system: System) -> None:
    user = system.serve(SHUTDOWN_DELAY="2")
    assert user.add(0).status_code == 201

    user.service.process.send_signal(signal.SIGTERM)
    readiness = wait_until(
        lambda: answer if (answer := user.http.get("/readyz")).status_code == 503 else None, within=PATIENCE
    )

    assert readiness.json()["status"] == "draining"
    assert readiness.headers["connection"] == "close"
    assert user.titles() == [0]
    assert user.add(1).status_code == 201


def test_a_request_in_flight_at_shutdown_is_answered_and_its_connection_closed(system: System) -> None:
    user = system.serve(SHUTDOWN_DELAY="0.5", MONGODB_TIMEOUT="5")
    process = user.service.process
    system.mongodb.freeze()
    with ThreadPoolExecutor(1) as threads:
        reading = threads.submit(user.items)
        arrived = {"http_route": "/api/mylist/items"}
        wait_until(lambda: Metrics(user.service).value("http_server_active_requests", **arrived), within=PATIENCE)
        process.send_signal(signal.SIGTERM)
        wait_until(lambda: refuses(user), within=PATIENCE)
        system.mongodb.thaw()
        answer = reading.result(PATIENCE)

    assert (answer.status_code, answer.headers["connection"]) == (200, "close")
    wait_until(lambda: process.poll() is not None, within=SOON)


def test_a_second_signal_does_not_cut_the_drain_short(system: System) -> None:
    user = system.serve(SHUTDOWN_DELAY="1.5")
    process = user.service.process
    assert user.add(0).status_code == 201

    began = time.monotonic()
    process.send_signal(signal.SIGTERM)
    wait_until(lambda: user.http.get("/readyz").status_code == 503, within=PATIENCE)
    process.send_signal(signal.SIGTERM)
    process.send_signal(signal.SIGINT)

    assert process.wait(PATIENCE) == 0
    assert time.monotonic() - began > 1.5


def refuses(user: User) -> bool:
    """Whether the port is closed. A connection that was not accepted before that ends without an answer."""
    try:
        httpx.get(f"{user.service.url}/livez", verify=NO_TLS)
    except httpx.ConnectError:
        return True
    except httpx.TransportError:
        return False
    return False


def test_an_idle_keep_alive_connection_does_not_delay_the_stop(system: System) -> None:
    user = system.serve()
    assert user.http.get("/health").status_code == 200

    user.service.process.send_signal(signal.SIGTERM)

    wait_until(lambda: user.service.process.poll() is not None, within=SOON)


def test_unavailable_stores_do_not_delay_the_stop(system: System) -> None:
    user = system.serve()
    system.mongodb.kill()
    system.redis.kill()
    wait_until(lambda: user.http.get("/readyz").json()["mongodb"] == "unavailable", within=PATIENCE)

    user.service.process.send_signal(signal.SIGTERM)

    wait_until(lambda: user.service.process.poll() is not None, within=SOON)


def test_a_client_that_closes_after_the_response_head_loses_no_write(system: System) -> None:
    user = system.serve()
    wait_until(user.cached, within=PATIENCE)
    for title in range(20):
        with httpx.stream(
            "POST",
            f"{user.service.url}/api/mylist/add",
            json={"contentId": TITLES[title], "contentType": "movie"},
            headers={"user-id": user.user_id},
            verify=NO_TLS,
        ):
            pass  # closed as soon as the head of the answer is there
    assert sorted(user.titles()) == list(range(20))
    wait_until(user.cached, within=PATIENCE)
