"""Finding the primaries: slots that move in a Cluster, and Sentinels that disagree or stay silent."""

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from uuid import uuid4

import pytest
from redis.crc import REDIS_CLUSTER_HASH_SLOTS, key_slot

from devtools.redis_groups import PRIMARY_NAME, ClusterNode, Member, RedisCluster, SentinelGroup, SentinelServer
from devtools.waiting import eventually
from mylist.cache.clients import connect
from mylist.cache.commands import CacheCommands
from mylist.cache.read_batcher import ReadBatcher
from mylist.config.settings import Settings
from mylist.devserver.embedded_servers import running
from mylist.domain.errors import CacheUnavailableError
from mylist.domain.packed_list import PackedList

EMPTY = PackedList.of([]).data
Connect = Callable[[str], CacheCommands]


@pytest.fixture
async def commands_of() -> AsyncIterator[Connect]:
    """Return the commands for a REDIS_URL, with a timeout that is long enough for a slow machine."""
    opened = []

    def open_one(url: str) -> CacheCommands:
        opened.append(CacheCommands(connect(replace(Settings.load({"REDIS_URL": url}), redis_timeout=5.0))))
        return opened[-1]

    yield open_one
    for each in opened:
        await each.close()


@pytest.fixture(scope="module")
def primary(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Member]:
    server = Member(tmp_path_factory.mktemp("primary"))
    with running(server):
        yield server


@pytest.fixture(scope="module")
def lone_sentinel(primary: Member, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The REDIS_URL of a primary that one Sentinel watches."""
    sentinel = SentinelServer(tmp_path_factory.mktemp("sentinel"))
    sentinel.primary = primary
    with running(sentinel):
        yield f"redis+sentinel://127.0.0.1:{sentinel.port}/{PRIMARY_NAME}"


@pytest.fixture(scope="module")
def lone_node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The REDIS_URL of a Cluster of one node, which has every slot."""
    node = ClusterNode(tmp_path_factory.mktemp("node"))
    with running(node):
        node.ask("CLUSTER ADDSLOTSRANGE", 0, REDIS_CLUSTER_HASH_SLOTS - 1)
        yield f"redis+cluster://127.0.0.1:{node.port}"


async def answers(commands: CacheCommands) -> bool:
    try:
        await commands.ping()
    except CacheUnavailableError:
        return False
    return True


async def why_not(commands: CacheCommands) -> str:
    with pytest.raises(CacheUnavailableError) as refused:
        await commands.ping()
    return str(refused.value.__cause__)


async def exercise(commands: CacheCommands, key: str) -> None:
    """Go through the protocol once; the key then holds a list."""
    assert await commands.place_fence(key, b"a writer", lifetime_ms=5000) is None
    assert await ReadBatcher(commands.router).get_many([(key, None)]) == [b"Wa writer"]
    await commands.lift_fence(key, b"a writer")
    lease = commands.new_lease(key)
    assert await commands.place_lease(key, lease, lifetime_ms=5000) is None
    assert await ReadBatcher(commands.router).get_many([(key, None)]) == [lease]
    assert await commands.fill(key, lease, EMPTY, lifetime_ms=5000)


@pytest.mark.parametrize("group", ["lone_sentinel", "lone_node"])
async def test_a_lone_sentinel_or_cluster_node_serves_the_protocol(
    commands_of: Connect, request: pytest.FixtureRequest, group: str
) -> None:
    commands = commands_of(request.getfixturevalue(group))
    await eventually(lambda: answers(commands), within=30)
    key = f"mylist:{{{uuid4().hex}}}"

    await exercise(commands, key)

    assert await ReadBatcher(commands.router).get_many([(key, None)]) == [EMPTY]


@pytest.mark.extended
async def test_one_call_reads_keys_of_several_primaries(commands_of: Connect, redis_cluster: RedisCluster) -> None:
    commands = commands_of(redis_cluster.url)
    keys = [f"mylist:{{{uuid4().hex}}}" for _ in range(50)]
    for key in keys[::2]:
        await exercise(commands, key)

    assert await ReadBatcher(commands.router).get_many([(key, None) for key in keys]) == [EMPTY, None] * 25


@pytest.mark.extended
async def test_a_key_is_found_during_and_after_the_move_of_its_slot(
    commands_of: Connect, redis_cluster: RedisCluster
) -> None:
    commands = commands_of(redis_cluster.url)
    stays, leaves = (f"mylist:{{{user}}}" for user in ("moving", "moving}2"))
    slot = key_slot(stays.encode())
    source = redis_cluster.primary(stays)
    target = next(server for server in redis_cluster.servers if server.role() == "master" and server is not source)
    await exercise(commands, stays)
    names = {server: server.ask("CLUSTER MYID") for server in (source, target)}

    target.ask("CLUSTER SETSLOT", slot, "IMPORTING", names[source])
    source.ask("CLUSTER SETSLOT", slot, "MIGRATING", names[target])
    try:
        await exercise(commands, leaves)
        assert target.ask("DBSIZE") > 0
        assert await ReadBatcher(commands.router).get_many([(stays, None)]) == [EMPTY]
        await commands.lift_fence(leaves, b"a writer")
        source.ask("DEL", stays)
    finally:
        settle_slot(redis_cluster, slot, names[target])
    try:
        assert await ReadBatcher(commands.router).get_many([(stays, None), (leaves, None)]) == [None, None]
        await exercise(commands, leaves)
        assert await ReadBatcher(commands.router).get_many([(leaves, None)]) == [EMPTY]
        assert await answers(commands)
    finally:
        target.ask("DEL", leaves)
        settle_slot(redis_cluster, slot, names[source])


def settle_slot(cluster: RedisCluster, slot: int, owner: str) -> None:
    for server in sorted(cluster.servers, key=Member.role):  # "master" first, because replicas follow them
        if server.role() == "master":
            server.ask("CLUSTER SETSLOT", slot, "NODE", owner)


@pytest.mark.extended
async def test_a_cluster_node_is_refused_as_a_standalone_redis(
    commands_of: Connect, redis_cluster: RedisCluster
) -> None:
    node = redis_cluster.primary("mylist:{someone}")
    elsewhere = next(f"mylist:{{{n}}}" for n in range(100) if redis_cluster.primary(f"mylist:{{{n}}}") is not node)
    commands = commands_of(f"redis://127.0.0.1:{node.port}")

    with pytest.raises(CacheUnavailableError):
        await ReadBatcher(commands.router).get_many([(elsewhere, None)])
    assert "is a node of a Redis Cluster" in await why_not(commands)


async def test_a_replica_is_not_accepted_as_a_primary(
    commands_of: Connect, primary: Member, tmp_path_factory: pytest.TempPathFactory
) -> None:
    replica = Member(tmp_path_factory.mktemp("replica"))
    replica.primary = primary
    with running(replica):
        assert "is not a primary" in await why_not(commands_of(replica.uri))


async def test_a_primary_name_that_the_sentinels_do_not_know_is_reported(
    commands_of: Connect, lone_sentinel: str
) -> None:
    commands = commands_of(lone_sentinel.replace(PRIMARY_NAME, "another"))
    reason = "no majority of the Sentinels names the same address of another: No such master with that name"

    async def say_so() -> bool:  # a Sentinel that answers too late gives another reason
        return await why_not(commands) == reason

    await eventually(say_so, within=30)


@pytest.mark.extended
async def test_the_primary_stays_usable_without_one_of_three_sentinels(
    commands_of: Connect, sentinel_group: SentinelGroup
) -> None:
    commands = commands_of(sentinel_group.url)
    await eventually(lambda: answers(commands), within=30)

    with frozen(sentinel_group.sentinels[0]):
        await eventually(lambda: answers(commands), within=30)


@pytest.mark.extended
async def test_the_primary_is_not_used_without_a_majority_of_the_sentinels(
    commands_of: Connect, sentinel_group: SentinelGroup
) -> None:
    commands = commands_of(sentinel_group.url)
    await eventually(lambda: answers(commands), within=30)

    with frozen(*sentinel_group.sentinels[:2]):
        assert "no majority of the Sentinels names" in await why_not(commands)
    await eventually(lambda: answers(commands), within=30)


@pytest.mark.extended
async def test_a_minority_of_the_sentinels_cannot_change_the_primary(
    commands_of: Connect, sentinel_group: SentinelGroup
) -> None:
    """One Sentinel reports another primary, as if it had led a failover and been cut off from the others."""
    primary = sentinel_group.primary()
    replica = next(server for server in sentinel_group.servers if server is not primary)
    misled = SentinelServer(sentinel_group.sentinels[0].folder.with_name("misled"))
    misled.primary, misled.epoch = replica, 1000
    with running(misled):
        others = sentinel_group.url.replace(str(sentinel_group.sentinels[0].port), str(misled.port))
        commands = commands_of(others)
        await eventually(lambda: answers(commands), within=30)
        key = f"mylist:{{{uuid4().hex}}}"
        assert await commands.place_fence(key, b"a writer", lifetime_ms=5000) is None
    assert primary.ask("GET", key) == "Wa writer"


@contextmanager
def frozen(*members: Member) -> Iterator[None]:
    for member in members:
        member.freeze()
    try:
        yield
    finally:
        for member in members:
            member.thaw()
