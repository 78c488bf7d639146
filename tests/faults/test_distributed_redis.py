"""Services on a Sentinel group and on a Cluster, and their failovers."""

import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from devtools.redis_groups import DistributedRedis, Member, RedisCluster, SentinelGroup
from devtools.waiting import wait_until
from mylist.devserver.embedded_servers import MongoServer, ValkeyServer, running
from tests.faults.conftest import System, User, fill_catalogue

pytestmark = pytest.mark.extended

RECOVERY = 60.0
"""Seconds within which lists must come from Redis again; a failover takes about four of them."""


class Services:
    """Three services on one group, one of them strict."""

    def __init__(self, system: System, group: DistributedRedis) -> None:
        self.group = group
        self._system = system
        services = [
            # The default deadline: with a longer one, a heartbeat notices later that a primary is gone.
            system.launch(REDIS_URL=group.url, CACHE_STRICT=strict, REDIS_TIMEOUT="0.2")
            for strict in ("false", "false", "true")
        ]
        for service in services:
            service.wait_until_ready()
        self._one, self._other, self._strict = services

    def user(self) -> tuple[User, User, User]:
        """Return a user with a cached list of one item, at each of the services; the strict one is the last."""
        one = self._system.user(self._one)
        assert one.add(0).status_code == 201
        users = one, self._system.user(self._other, one.user_id), self._system.user(self._strict, one.user_id)
        for each in users:
            wait_until(each.cached, within=RECOVERY)
        return users

    def primary(self, user: User) -> Member:
        """The server that has the user's list."""
        return self.group.primary(key(user))


def key(user: User) -> str:
    return f"mylist:{{{user.user_id}}}"


@pytest.fixture(scope="module", params=[SentinelGroup, RedisCluster])
def services(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Services]:
    folder: Path = tmp_path_factory.mktemp("distributed")
    mongodb = MongoServer(folder / "mongodb")
    with running(mongodb), request.param(folder) as group:
        system = System(folder, mongodb, ValkeyServer(folder / "redis"))
        fill_catalogue(mongodb)
        try:
            yield Services(system, group)
        finally:
            system.stop()


@pytest.fixture
def users(services: Services) -> tuple[User, User, User]:
    return services.user()


def assert_all_see(users: tuple[User, User, User], titles: list[int]) -> None:
    assert [user.titles() for user in users] == [titles] * 3


def read_until_cached(users: tuple[User, User, User], titles: list[int]) -> None:
    deadline = time.monotonic() + RECOVERY
    cached = [False]
    while not all(cached):
        looks = [user.look() for user in users]
        cached = [cached for _, cached in looks]
        assert [shown for shown, _ in looks] == [titles] * 3
        assert time.monotonic() < deadline


def test_a_list_is_cached_and_changed_as_on_a_single_server(users: tuple[User, User, User]) -> None:
    one, other, strict = users

    assert strict.add(1).status_code == 201
    assert_all_see(users, [1, 0])
    assert all(user.cached() for user in users)
    assert other.remove(0).status_code == 200
    assert_all_see(users, [1])
    assert all(user.cached() for user in users)
    assert one.http.get("/api/mylist/stats").json()["data"]["total"] == 1


def test_when_the_primary_dies_reads_and_writes_go_on_and_nothing_is_stale(
    services: Services, users: tuple[User, User, User]
) -> None:
    one, other, strict = users

    killed = services.group.kill_primary(key(one))
    refused = strict.add(20)
    assert (refused.status_code, refused.json()["code"]) == (503, "CACHE_UNAVAILABLE")
    titles = [0]
    for title in range(1, 8):
        changing, reading = (one, other) if title % 2 else (other, one)
        assert changing.add(title).status_code == 201
        titles.insert(0, title)
        assert reading.titles() == titles
        if title > 2:
            assert changing.remove(title - 1).status_code == 200
            titles.remove(title - 1)
        assert_all_see(users, titles)
        time.sleep(0.3)
    services.group.wait_for_failover(killed, key(one))
    read_until_cached(users, titles)
    assert strict.add(20).status_code == 201
    assert_all_see(users, [20, *titles])
    killed.restart()
    wait_until(killed.has_copied, within=RECOVERY)


def test_an_outdated_list_that_a_failover_restores_is_not_served(
    services: Services, users: tuple[User, User, User]
) -> None:
    """The replicas do not receive an acknowledged change, and one of them becomes the primary."""
    one, _, _ = users
    primary = services.primary(one)
    before = primary.ask("GETRANGE", key(one), 0, 0), primary.ask("STRLEN", key(one))
    assert before[0] == "L"
    # After the previous test, a server may still be copying. Without the list, this test would prove nothing.
    for replica in services.group.replicas_of(primary):
        wait_until(partial(replica.has_copied, primary), within=RECOVERY)

    primary.stop_replication()
    assert one.remove(0).status_code == 200
    assert_all_see(users, [])
    services.group.kill_primary(key(one))
    successor = services.group.wait_for_failover(primary, key(one))
    after = successor.ask("GETRANGE", key(one), 0, 0), successor.ask("STRLEN", key(one))
    assert after == before, "nothing was lost, so this test shows nothing"

    read_until_cached(users, [])
    primary.restart()
    wait_until(primary.has_copied, within=RECOVERY)


def test_a_primary_that_was_frozen_and_replaced_causes_no_stale_read(
    services: Services, users: tuple[User, User, User]
) -> None:
    one, other, _ = users
    primary = services.primary(one)

    primary.freeze()
    added = one.add(1)
    assert added.status_code == 201, added.text
    services.group.wait_for_failover(primary, key(one))
    primary.thaw()
    for title in range(2, 6):
        assert other.add(title).status_code == 201
        assert_all_see(users, list(range(title, -1, -1)))
    read_until_cached(users, [5, 4, 3, 2, 1, 0])


def test_a_planned_failover_refuses_no_write(services: Services, users: tuple[User, User, User]) -> None:
    one, other, strict = users

    services.group.failover(key(one))
    for title, user in enumerate((one, other, strict) * 2, start=1):
        assert user.add(title).status_code == 201
        assert_all_see(users, list(range(title, -1, -1)))
    read_until_cached(users, [6, 5, 4, 3, 2, 1, 0])
