"""Redis as a group: Sentinel (a primary, two replicas, three Sentinels) and Cluster (three primaries, a replica each).

    with SentinelGroup(folder) as group:
        Service(folder, {"REDIS_URL": group.url, …})
        killed = group.kill_primary()
        group.wait_for_failover(killed)
        killed.restart()

Every process listens on loopback, keeps nothing on disk and ends with the test. A failover takes two to four seconds.
"""

from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Protocol, Self, cast

from redis import Redis
from redis.crc import REDIS_CLUSTER_HASH_SLOTS, key_slot
from redis.exceptions import RedisError

from devtools.ports import free_port
from devtools.waiting import wait_until
from mylist.devserver.embedded_servers import ValkeyServer, running

PRIMARY_NAME = "mylist-primary"
TIMEOUT_S = 30.0
_HOST = "127.0.0.1"
_DOWN_AFTER_MS = 1000
"""Milliseconds of silence until the other servers consider a server dead."""


class DistributedRedis(Protocol):
    """The common part of both groups."""

    url: str
    """The kinds of REDIS_URL."""
    servers: Sequence["Member"]
    replicas: int
    """How many of them are replicas when all is well."""

    def primary(self, key: str = "") -> "Member":
        """The server that is the primary (in a Cluster: of this key) at the moment."""
        ...

    def kill_primary(self, key: str = "") -> "Member":
        """Kill the primary by SIGKILL; return it, to be restarted (as a replica, after the failover)."""
        ...

    def wait_for_failover(self, former: "Member", key: str = "") -> "Member":
        """Wait until another server than the former primary has taken its place, and return it."""
        ...

    def failover(self, key: str = "") -> "Member":
        """Have a replica take the primary's place, both alive; return the new primary once it is one."""
        ...

    def replicas_of(self, primary: "Member") -> Sequence["Member"]:
        """The servers that copy a primary when all is well: any of them may take its place."""
        ...


class Member(ValkeyServer):
    """A server of a group."""

    def __init__(self, folder: Path, *options: str) -> None:
        super().__init__(folder)
        self._options = options
        self.primary: Member | None = None
        """The primary that it follows from its start; None for a primary or in a Cluster."""

    def command(self) -> list[str]:
        following = ["--replicaof", f"{_HOST} {self.primary.port}"] if self.primary else []
        # Replicas get a copy within the second.
        return [*super().command(), "--repl-diskless-sync-delay", "0", *self._options, *following]

    def ask(self, *command: str | int) -> Any:
        """Send a command; return the answer, decoded."""
        with Redis(port=self.port, socket_timeout=5, decode_responses=True) as client:
            execute = cast("Callable[..., Any]", client.execute_command)
            return execute(*command)

    def role(self) -> str:
        """`master` or `slave`; empty while it does not answer."""
        try:
            return str(self.ask("ROLE")[0])
        except RedisError:
            return ""

    def stop_replication(self) -> None:
        """Let no replica hear of anything from now on, while clients notice nothing."""
        self.ask("ACL SETUSER", "default", "-psync", "-sync")
        self.ask("CLIENT KILL", "TYPE", "replica")

    def has_copied(self, primary: "Member | None" = None) -> bool:
        """Return whether this replica has completed its first copy.

        With `primary`, return whether it follows this primary and has all of its data now.
        """
        expected = primary.ask("ROLE")[1] if primary else 0
        role = self.ask("ROLE")
        if role[0] != "slave" or role[3] != "connected" or int(role[4]) < int(expected):
            return False
        return primary is None or int(role[2]) == primary.port


class SentinelServer(Member):
    """A Sentinel."""

    name = "Sentinel"
    epoch = 0
    """Of the last failover that it knows of when it starts."""

    def command(self) -> list[str]:
        assert self.primary is not None
        configuration = self.folder / "sentinel.conf"
        configuration.write_text(
            f"bind {_HOST}\nport {self.port}\ndir {self.folder}\n"
            f"sentinel monitor {PRIMARY_NAME} {_HOST} {self.primary.port} 2\n"
            f"sentinel down-after-milliseconds {PRIMARY_NAME} {_DOWN_AFTER_MS}\n"
            f"sentinel failover-timeout {PRIMARY_NAME} 2000\n"
            f"sentinel parallel-syncs {PRIMARY_NAME} 2\n"
            f"sentinel config-epoch {PRIMARY_NAME} {self.epoch}\n"
        )
        return [super().command()[0], str(configuration), "--sentinel"]


class SentinelGroup:
    """A primary and two replicas, watched by three Sentinels. Use it as a context manager."""

    replicas = 2

    def __init__(self, folder: Path) -> None:
        self.servers = [Member(folder / f"server-{number}") for number in range(3)]
        self.sentinels = [SentinelServer(folder / f"sentinel-{number}") for number in range(3)]
        self._running = ExitStack()

    @property
    def url(self) -> str:
        hosts = ",".join(f"{_HOST}:{sentinel.port}" for sentinel in self.sentinels)
        return f"redis+sentinel://{hosts}/{PRIMARY_NAME}"

    def __enter__(self) -> Self:
        with ExitStack() as starting:
            primary, *replicas = self.servers
            starting.enter_context(running(primary))
            for each in (*replicas, *self.sentinels):
                each.primary = primary
            starting.enter_context(running(*replicas))
            wait_until(lambda: all(replica.has_copied() for replica in replicas), within=TIMEOUT_S)
            starting.enter_context(running(*self.sentinels))
            wait_until(lambda: all(map(self._is_complete, self.sentinels)), within=TIMEOUT_S)
            self._running = starting.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._running.close()

    def primary(self, _key: str = "") -> Member:
        """The primary that the Sentinels report."""
        return wait_until(self._agreed_primary, within=TIMEOUT_S)

    def kill_primary(self, _key: str = "") -> Member:
        """Kill the primary by SIGKILL; return it, to be restarted (as a replica, after the failover)."""
        primary = self.primary()
        primary.kill()
        return primary

    def wait_for_failover(self, former: Member, _key: str = "") -> Member:
        """Wait until every Sentinel reports another primary than `former`, and return it."""

        def successor() -> Member | None:
            primary = self._agreed_primary()
            return primary if primary and primary is not former and primary.role() == "master" else None

        found = wait_until(successor, within=TIMEOUT_S)
        former.primary, found.primary = found, None
        return found

    def failover(self, _key: str = "") -> Member:
        """Have a replica take the primary's place, both alive; return the new primary once it is one."""
        former = self.primary()
        wait_until(self._start_failover, within=TIMEOUT_S)
        return self.wait_for_failover(former)

    def replicas_of(self, primary: Member) -> Sequence[Member]:
        """The servers that copy a primary when all is well: any of them may take its place."""
        return [server for server in self.servers if server is not primary]

    def _agreed_primary(self) -> Member | None:
        ports = {int(self._state(sentinel)["port"]) for sentinel in self.sentinels}
        return next((server for server in self.servers if ports == {server.port}), None)

    def _start_failover(self) -> bool:
        try:
            self.sentinels[0].ask("SENTINEL", "FAILOVER", PRIMARY_NAME)
        except RedisError:  # no replica is good enough yet, or a failover is in flight
            return False
        return True

    def _state(self, sentinel: Member) -> dict[str, Any]:
        return cast("dict[str, Any]", sentinel.ask("SENTINEL MASTER", PRIMARY_NAME))

    def _is_complete(self, sentinel: Member) -> bool:
        state = self._state(sentinel)
        return (int(state["num-slaves"]), int(state["num-other-sentinels"])) == (2, 2)


class ClusterNode(Member):
    """A node of a Cluster."""

    name = "Cluster node"
    bus_port = 0

    def command(self) -> list[str]:
        if not self._was_ready:  # another may have taken the port meanwhile
            self.bus_port = free_port()
        return [
            *super().command(),
            *("--cluster-enabled", "yes"),
            *("--cluster-port", str(self.bus_port)),
            *("--cluster-node-timeout", str(_DOWN_AFTER_MS)),
            *("--cluster-replica-validity-factor", "0"),
        ]


class RedisCluster:
    """Three primaries with a third of the slots each, and a replica of each. Use it as a context manager."""

    replicas = 3

    def __init__(self, folder: Path) -> None:
        self._nodes = [ClusterNode(folder / f"node-{number}") for number in range(6)]
        self.servers: Sequence[Member] = self._nodes
        self._running = ExitStack()

    @property
    def url(self) -> str:
        return "redis+cluster://" + ",".join(f"{_HOST}:{node.port}" for node in self._nodes[:3])

    def __enter__(self) -> Self:
        with ExitStack() as starting:
            starting.enter_context(running(*self._nodes))
            first = self._nodes[0]
            for number, node in enumerate(self._nodes):
                node.ask("CLUSTER SET-CONFIG-EPOCH", number + 1)
                if node is not first:
                    node.ask("CLUSTER MEET", _HOST, first.port, first.bus_port)
            bounds = [REDIS_CLUSTER_HASH_SLOTS * third // 3 for third in range(4)]
            for node, low, high in zip(self._nodes, bounds, bounds[1:], strict=False):
                node.ask("CLUSTER ADDSLOTSRANGE", low, high - 1)
            wait_until(
                lambda: all(self._knows(node, "cluster_known_nodes", "6") for node in self._nodes), within=TIMEOUT_S
            )
            for primary, replica in zip(self._nodes[:3], self._nodes[3:], strict=True):
                self._replicate(replica, primary)
            wait_until(lambda: all(node.has_copied() for node in self._nodes[3:]), within=TIMEOUT_S)
            wait_until(lambda: all(self._knows(node, "cluster_state", "ok") for node in self._nodes), within=TIMEOUT_S)
            wait_until(lambda: all(len(self._ranges(node)) == 3 for node in self._nodes), within=TIMEOUT_S)
            self._running = starting.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._running.close()

    def primary(self, key: str = "") -> Member:
        """The primary of a key."""
        return wait_until(lambda: self._primary(key, self._nodes), within=TIMEOUT_S)

    def kill_primary(self, key: str = "") -> Member:
        """Kill the primary of a key by SIGKILL; return it, to be restarted (as a replica, after the failover)."""
        primary = self.primary(key)
        primary.kill()
        return primary

    def wait_for_failover(self, former: Member, key: str = "") -> Member:
        """Wait until another node than the former primary holds the key, and return it."""

        def successor() -> Member | None:
            # The former primary may be frozen.
            primary = self._primary(key, [node for node in self._nodes if node is not former])
            return primary if primary and primary is not former and primary.role() == "master" else None

        return wait_until(successor, within=TIMEOUT_S)

    def failover(self, key: str = "") -> Member:
        """Have the replica of a key's primary take its place, both alive; return the new primary once it is one."""
        former = self.primary(key)
        self.replicas_of(former)[0].ask("CLUSTER FAILOVER")
        return self.wait_for_failover(former, key)

    def replicas_of(self, primary: Member) -> Sequence[Member]:
        """The servers that copy a primary when all is well: any of them may take its place."""

        def found() -> list[Member]:
            replicas = (node for node in self._nodes if node.role() == "slave")
            return [node for node in replicas if node.ask("ROLE")[2] == primary.port]

        return wait_until(found, within=TIMEOUT_S)

    def _primary(self, key: str, witnesses: Iterable[Member]) -> Member | None:
        """Return the primary of a key if all witnesses that answer agree, else None."""
        slot = key_slot(key.encode())
        ports = set()
        for node in witnesses:
            try:
                ranges = self._ranges(node)
            except RedisError:
                continue
            ports |= {primary[1] for low, high, primary, *_ in ranges if low <= slot <= high}
        return next((node for node in self._nodes if ports == {node.port}), None)

    def _replicate(self, replica: ClusterNode, primary: ClusterNode) -> None:
        name = primary.ask("CLUSTER MYID")
        wait_until(lambda: name in str(replica.ask("CLUSTER NODES")), within=TIMEOUT_S)
        replica.ask("CLUSTER REPLICATE", name)

    @staticmethod
    def _ranges(node: Member) -> list[Any]:
        return cast("list[Any]", node.ask("CLUSTER SLOTS"))

    @staticmethod
    def _knows(node: Member, field: str, value: str) -> bool:
        return bool(node.ask("CLUSTER INFO")[field] == value)
