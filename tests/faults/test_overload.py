"""Overload: the service rejects requests at once, and finishes accepted ones in time."""

import asyncio
import re
from collections import Counter

import httpx
from redis import Redis

from devtools.scrape import Metrics
from devtools.service_process import NO_TLS
from devtools.waiting import eventually, wait_until
from tests.faults.conftest import PATIENCE, System, User

DEADLINE = 5.0
"""MONGODB_TIMEOUT of tests in which requests hang; rejected requests do not wait."""
LATE = 8.0
"""Seconds by which a request may exceed its deadline on a busy machine."""


async def read(client: httpx.AsyncClient, user_id: str) -> httpx.Response:
    return await client.get("/api/mylist/items", headers={"user-id": user_id})


async def read_all(user: User, users: int) -> list[httpx.Response]:
    """Read the lists of that many users at once."""
    limits = httpx.Limits(max_connections=None)
    async with httpx.AsyncClient(base_url=user.service.url, limits=limits, timeout=PATIENCE, verify=NO_TLS) as client:
        return await asyncio.gather(*(read(client, f"{user.user_id}-{number}") for number in range(users)))


async def gather_reads(client: httpx.AsyncClient, user_id: str, count: int) -> list[httpx.Response]:
    """Read one user's list that many times at once."""
    return await asyncio.gather(*(read(client, user_id) for _ in range(count)))


def refused_by_share(user: User) -> float:
    return Metrics(user.service).value("mylist_shed_total", cause="too_many_requests")


def outcomes(answers: list[httpx.Response]) -> Counter[str]:
    """Count `ok` and the codes of the errors, which all must have `Retry-After`."""
    counted: Counter[str] = Counter()
    for answer in answers:
        if answer.status_code == 200:
            counted["ok"] += 1
        else:
            assert answer.status_code in {429, 503}, answer.text
            assert answer.headers["retry-after"] == "1"
            counted[answer.json()["code"]] += 1
    return counted


def turned_away(answers: list[httpx.Response]) -> list[float]:
    """How long each 503 took, in seconds."""
    return [answer.elapsed.total_seconds() for answer in answers if answer.status_code == 503]


def counted(user: User) -> list[float]:
    """The numbers of rejected requests that the service reports, by cause."""
    metrics = Metrics(user.service)
    causes = ("database_busy", "database_unavailable", "overloaded")
    return [metrics.value("mylist_shed_total", cause=cause) for cause in causes]


async def until_counted(user: User, expected: list[float]) -> None:
    async def is_so() -> bool:
        return await asyncio.to_thread(counted, user) == expected

    await eventually(is_so, within=DEADLINE)


async def assert_normal(system: System, user: User) -> None:
    """Check that a new user is served."""
    async with httpx.AsyncClient(base_url=user.service.url, timeout=PATIENCE, verify=NO_TLS) as client:

        async def served() -> bool:
            return (await read(client, system.user(user.service).user_id)).status_code == 200

        await eventually(served, within=PATIENCE)


async def test_while_every_mongodb_connection_hangs_further_requests_are_rejected(system: System) -> None:
    user = system.serve(MONGODB_POOL_SIZE="4", MONGODB_TIMEOUT=str(DEADLINE))

    system.mongodb.freeze()
    reading = asyncio.create_task(read_all(user, 20))
    await until_counted(user, [16, 0, 0])
    assert not reading.done()
    system.mongodb.thaw()
    answers = await reading

    assert outcomes(answers) == {"ok": 4, "DATABASE_BUSY": 16}
    assert counted(user) == [16, 0, 0]
    await assert_normal(system, user)

    def told() -> int:
        lines = re.findall(r"Rejected in the last 10 s: DATABASE_BUSY (\d+)", user.service.log.read_text())
        return sum(map(int, lines))

    wait_until(lambda: told() == 16, within=PATIENCE)


async def test_no_request_is_rejected_after_a_flush_of_redis(system: System) -> None:
    user = system.serve(MONGODB_POOL_SIZE="4")
    wait_until(user.cached, within=PATIENCE)

    for _ in range(3):
        assert outcomes(await read_all(user, 12)) == {"ok": 12}
        with Redis.from_url(system.redis.uri) as client:
            client.flushall()

    assert counted(user) == [0, 0, 0]


async def test_requests_to_a_hanging_mongodb_end_at_their_deadline(system: System) -> None:
    user = system.serve(MONGODB_TIMEOUT="1")

    system.mongodb.freeze()
    answers = await read_all(user, 20)
    system.mongodb.thaw()

    assert outcomes(answers) == {"DATABASE_UNAVAILABLE": 20}
    assert counted(user) == [0, 20, 0]
    assert max(turned_away(answers)) < 1 + LATE
    await assert_normal(system, user)


async def test_requests_above_the_limit_of_a_process_are_rejected_at_once(system: System) -> None:
    user = system.serve(MAX_CONCURRENT_REQUESTS="5", MONGODB_TIMEOUT=str(DEADLINE))

    system.mongodb.freeze()
    reading = asyncio.create_task(read_all(user, 20))
    await until_counted(user, [0, 0, 15])
    assert user.http.get("/livez").status_code == 200, "health is never turned away"
    assert not reading.done()
    system.mongodb.thaw()
    answers = await reading

    assert outcomes(answers) == {"ok": 5, "OVERLOADED": 15}
    assert counted(user) == [0, 0, 15]
    await assert_normal(system, user)


async def test_a_user_above_the_share_is_refused_while_other_users_are_served(system: System) -> None:
    user = system.serve(MAX_CONCURRENT_REQUESTS="100", MONGODB_TIMEOUT=str(DEADLINE))
    other = system.user(user.service)
    assert other.add(1).status_code == 201
    wait_until(other.cached, within=PATIENCE)

    system.mongodb.freeze()
    limits = httpx.Limits(max_connections=None)
    async with httpx.AsyncClient(base_url=user.service.url, limits=limits, timeout=PATIENCE, verify=NO_TLS) as client:
        reading = asyncio.create_task(gather_reads(client, user.user_id, 30))

        async def refused() -> bool:
            return await asyncio.to_thread(refused_by_share, user) >= 20

        await eventually(refused, within=DEADLINE)
        for _ in range(20):
            answer = await read(client, other.user_id)
            assert answer.status_code == 200, answer.text
        assert counted(user)[2] == 0, "there is room for others"
        system.mongodb.thaw()
        answers = await reading

    seen = outcomes(answers)
    assert set(seen) <= {"ok", "TOO_MANY_REQUESTS"}
    assert seen["ok"] >= 8
    assert seen["TOO_MANY_REQUESTS"] >= 20
    async with httpx.AsyncClient(base_url=user.service.url, limits=limits, timeout=PATIENCE, verify=NO_TLS) as client:
        assert outcomes(await gather_reads(client, user.user_id, 10)) == {"ok": 10}


async def test_a_hanging_redis_delays_reads_but_rejects_none(system: System) -> None:
    user = system.serve(REDIS_TIMEOUT="0.1")
    wait_until(user.cached, within=PATIENCE)

    system.redis.freeze()
    answers = await read_all(user, 50)
    metrics = Metrics(user.service)
    system.redis.thaw()

    assert outcomes(answers) == {"ok": 50}
    assert {answer.headers["x-cache"] for answer in answers} == {"bypassed"}
    assert metrics.value("mylist_cache_requests_total", result="bypassed") >= 50
    assert metrics.value("db_client_operation_duration_seconds_count", db_system_name="redis", outcome="error") > 0
    assert max(answer.elapsed.total_seconds() for answer in answers) < LATE


async def test_after_a_burst_of_reads_every_read_is_a_hit_with_a_reused_page(system: System) -> None:
    user = system.serve(MAX_CONCURRENT_REQUESTS="20")
    for title in range(20):
        assert user.add(title).status_code == 201
    wait_until(user.cached, within=PATIENCE)

    limits = httpx.Limits(max_connections=None)
    async with httpx.AsyncClient(base_url=user.service.url, limits=limits, timeout=PATIENCE, verify=NO_TLS) as client:
        for _ in range(2):
            seen = outcomes(await gather_reads(client, user.user_id, 100))
            assert seen["ok"] >= 4
            assert set(seen) <= {"ok", "TOO_MANY_REQUESTS"}

    def are_hits_with_a_page_in_memory() -> bool:
        before = Metrics(user.service)
        for _ in range(50):
            assert user.items().status_code == 200
        after = Metrics(user.service)
        hits = after.value("mylist_cache_requests_total", result="hit")
        reused = after.value("mylist_pages_total", result="reused")
        assert after.value("mylist_in_use", resource="requests") == 0
        return (
            hits - before.value("mylist_cache_requests_total", result="hit")
            == reused - before.value("mylist_pages_total", result="reused")
            == 50
        )

    wait_until(are_hits_with_a_page_in_memory, within=PATIENCE)
