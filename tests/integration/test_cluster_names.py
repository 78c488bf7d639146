"""The names that the nodes of a Cluster use for each other, and their addresses."""

import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack
from dataclasses import replace
from uuid import uuid4

import pytest
from redis.crc import REDIS_CLUSTER_HASH_SLOTS

from devtools.redis_groups import ClusterNode, RedisCluster
from devtools.waiting import eventually, wait_until
from mylist.cache.clients import connect
from mylist.cache.commands import CacheCommands
from mylist.cache.read_batcher import ReadBatcher
from mylist.cache.topology.base import Primary
from mylist.config.settings import Settings
from mylist.devserver.embedded_servers import running
from mylist.domain.errors import CacheUnavailableError
from mylist.domain.packed_list import PackedList
from tests.redis_front import OTHER_HOST, Command, RedisFront, array, error

EMPTY = PackedList.of([]).data
Connect = Callable[[str], CacheCommands]
NodeOf = Callable[..., Awaitable[int]]


@pytest.fixture
async def commands_of() -> AsyncIterator[Connect]:
    async with AsyncExitStack() as opened:

        def make(url: str) -> CacheCommands:
            commands = CacheCommands(connect(replace(Settings.load({"REDIS_URL": url}), redis_timeout=5.0)))
            opened.push_async_callback(commands.close)
            return commands

        yield make


@pytest.fixture(scope="module")
def lone_node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClusterNode]:
    node = ClusterNode(tmp_path_factory.mktemp("node"))
    with running(node):
        node.ask("CLUSTER ADDSLOTSRANGE", 0, REDIS_CLUSTER_HASH_SLOTS - 1)
        wait_until(lambda: node.ask("CLUSTER INFO")["cluster_state"] == "ok", within=30)
        yield node


@pytest.fixture
async def node_of(lone_node: ClusterNode) -> AsyncIterator[NodeOf]:
    """Return the port of a node that announces this name, with this metadata."""
    async with AsyncExitStack() as opened:

        async def make(host: str | None, *metadata: object) -> int:
            def answer(command: Command) -> bytes | None:
                if command[0] != b"CLUSTER" or command[1].upper() != b"SLOTS":
                    return None
                return array([0, REDIS_CLUSTER_HASH_SLOTS - 1, [host, front.port, "id", *metadata]])

            front = RedisFront(lone_node.port, answer)
            await opened.enter_async_context(front)
            return front.port

        yield make


async def exercise(commands: CacheCommands) -> Primary:
    """Go through the protocol once; return the key's primary."""
    key = f"mylist:{{{uuid4().hex}}}"
    await commands.ping()
    lease = commands.new_lease(key)
    assert await commands.place_lease(key, lease, lifetime_ms=5000) is None
    assert await commands.fill(key, lease, EMPTY, lifetime_ms=5000)
    assert await ReadBatcher(commands.router).get_many([(key, None)]) == [EMPTY]
    return await commands.router.owner(key)


@pytest.mark.parametrize(
    ("host", "metadata", "expected"),
    [
        ("?", [["ip", OTHER_HOST]], OTHER_HOST),
        ("?", [{"ip": OTHER_HOST}], OTHER_HOST),
        ("?", [["hostname", "localhost"]], "localhost"),
        ("?", [["hostname", "?", "ip", OTHER_HOST]], OTHER_HOST),
        ("?", [["ip", ""]], "127.0.0.1"),
        ("?", [[]], "127.0.0.1"),
        ("?", [], "127.0.0.1"),
        ("", [["ip", OTHER_HOST]], OTHER_HOST),
        ("", [], "127.0.0.1"),
        # As Redis documents: behind address translation, clients cannot reach the address that a node has.
        (None, [["ip", "10.255.255.1"]], "127.0.0.1"),
        (None, [], "127.0.0.1"),
        ("localhost", [["ip", "10.255.255.1"]], "localhost"),
    ],
)
async def test_a_node_without_an_announced_host_is_found(
    node_of: NodeOf, commands_of: Connect, host: str | None, metadata: list[object], expected: str
) -> None:
    port = await node_of(host, *metadata)
    commands = commands_of(f"redis+cluster://127.0.0.1:{port}")

    primary = await exercise(commands)

    assert primary.address == (expected, port)


async def test_a_node_without_a_name_is_logged_once(
    node_of: NodeOf, commands_of: Connect, caplog: pytest.LogCaptureFixture
) -> None:
    port = await node_of("?", ["ip", "127.0.0.1"])
    commands = commands_of(f"redis+cluster://127.0.0.1:{port}")

    for _ in range(3):
        await commands.topology.suspect()

    assert [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING] == [
        (
            f"A node of the Cluster has no announced name (cluster-announce-hostname); "
            f"the service uses 127.0.0.1:{port} for it"
        )
    ]


async def test_a_cluster_that_prefers_hostnames_but_has_none_works(
    lone_node: ClusterNode, commands_of: Connect
) -> None:
    lone_node.ask("CONFIG SET", "cluster-preferred-endpoint-type", "hostname")
    try:
        [[_, _, [host, *_], *_]] = lone_node.ask("CLUSTER SLOTS")
        assert host == "?"
        await exercise(commands_of(f"redis+cluster://127.0.0.1:{lone_node.port}"))
    finally:
        lone_node.ask("CONFIG SET", "cluster-preferred-endpoint-type", "ip")


@pytest.mark.extended
async def test_a_cluster_works_with_one_of_three_nodes_unnamed(
    redis_cluster: RedisCluster, commands_of: Connect
) -> None:
    primaries = [server for server in redis_cluster.servers if server.role() == "master"]
    for server in redis_cluster.servers:
        server.ask("CONFIG SET", "cluster-preferred-endpoint-type", "hostname")
    for server in primaries[1:]:
        server.ask("CONFIG SET", "cluster-announce-hostname", "localhost")
    try:

        async def named() -> bool:
            hosts = [each[2][0] for server in redis_cluster.servers for each in server.ask("CLUSTER SLOTS")]
            return sorted(set(hosts)) == ["?", "localhost"] and hosts.count("?") == len(redis_cluster.servers)

        await eventually(named, within=30)
        commands = commands_of(redis_cluster.url)
        await eventually(lambda: answers(commands), within=30)
        for _ in range(20):
            await exercise(commands)
    finally:
        for server in redis_cluster.servers:
            server.ask("CONFIG SET", "cluster-announce-hostname", "")
            server.ask("CONFIG SET", "cluster-preferred-endpoint-type", "ip")


async def answers(commands: CacheCommands) -> bool:
    try:
        await commands.ping()
    except CacheUnavailableError:
        return False
    return True


@pytest.mark.parametrize("host", ["", "?"])
async def test_a_redirect_to_a_node_without_a_host_is_followed(
    lone_node: ClusterNode, commands_of: Connect, host: str
) -> None:
    """The service uses the address of the node in the slot map that has the same port."""
    moving = f"mylist:{{{uuid4().hex}}}"
    async with RedisFront(lone_node.port, lambda _: None) as target:

        def answer(command: Command) -> bytes | None:
            if command[0] == b"CLUSTER":
                half = REDIS_CLUSTER_HASH_SLOTS // 2
                return array(
                    [0, half - 1, ["127.0.0.1", source.port]], [half, 2 * half - 1, ["127.0.0.1", target.port]]
                )
            if moving.encode() in command:
                return error(f"ASK 1 {host}:{target.port}")
            return None

        async with RedisFront(lone_node.port, answer) as source:
            commands = commands_of(f"redis+cluster://localhost:{source.port}")
            await commands.ping()
            primary = commands.topology.at(("127.0.0.1", source.port))

            assert await commands.router.send(primary, moving, "GETRANGE", moving, 0, 0) == b""
        assert [command[0] for command in target.seen][-2:] == [b"ASKING", b"GETRANGE"]
