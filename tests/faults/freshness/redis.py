"""Redis as a target of faults: one server with a link for each service process, a Sentinel group, a Cluster."""

import asyncio
import time
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from enum import StrEnum
from pathlib import Path
from random import Random

from redis import Redis as Client

from devtools.redis_groups import RedisCluster, SentinelGroup
from devtools.tcp_proxy import TcpProxy
from devtools.waiting import wait_until
from mylist.devserver.embedded_servers import ValkeyServer, running

KILL, FREEZE, FLUSH, LINK_CUT, FAILOVER = "redis-kill", "redis-freeze", "redis-flush", "link-cut", "redis-failover"
REPLACED, MOVE = "cut-and-replaced", "redis-move"
"""These concern the service processes as well (`tests.faults.freshness.faults`)."""

LOSES_DATA = (KILL, FLUSH, FAILOVER)
"""After these a fence may be gone while its change is still in flight."""

_FLUSHES = 8
_REPLICATION_TIMEOUT_S = 120.0
"""Seconds until a group has all its replicas again; a primary that was frozen learns late that it was replaced."""

Fault = Callable[[Random], Awaitable[str]]
"""Causes a fault and heals it; returns the details."""


class Topology(StrEnum):
    """The topologies of Redis."""

    SERVER = "server"
    SENTINEL = "sentinel"
    CLUSTER = "cluster"


FAULTS = {
    Topology.SERVER: (KILL, FREEZE, FLUSH, LINK_CUT, REPLACED, MOVE),
    Topology.SENTINEL: (KILL, FREEZE, FLUSH, FAILOVER),
    Topology.CLUSTER: (KILL, FREEZE, FLUSH, FAILOVER),
}
"""The faults of each. A group gives its clients the addresses of its servers, so there is no proxy in between."""


class Redis(ABC):
    """A Redis to strike.

    Attributes:
        faults: what can happen to it.
    """

    faults: Mapping[str, Fault]

    @abstractmethod
    def running(self) -> AbstractContextManager[object]:
        """Start it, and end it at the end."""

    @property
    @abstractmethod
    def urls(self) -> Sequence[str]:
        """The REDIS_URL of each service process, while it is running."""


class OneServer(Redis):
    """One server; each service process has a link to it that can be cut while the others hold.

    Processes can move to another server and back. Faults strike the first server, which is in use between two faults.
    """

    def __init__(self, folder: Path, processes: int) -> None:
        self._server = ValkeyServer(folder / "first")
        self._other = ValkeyServer(folder / "other")
        self._processes = processes
        self._links: TcpProxy
        self.faults = {KILL: self._kill, FREEZE: self._freeze, FLUSH: self._flush, LINK_CUT: self._cut_link}

    @contextmanager
    def running(self) -> Iterator[None]:
        """Start it and the links, and end both at the end."""
        with running(self._server, self._other), TcpProxy(self._server.port, links=self._processes) as self._links:
            yield

    @property
    def urls(self) -> Sequence[str]:
        """The REDIS_URL of each service process: its own link."""
        return [f"redis://127.0.0.1:{port}/0" for port in self._links.ports]

    @property
    def other_url(self) -> str:
        """The REDIS_URL of the other server."""
        return self._other.uri

    async def cut(self, link: int, *, stalled: bool) -> None:
        """Let a link break, or pass nothing on."""
        await asyncio.to_thread(self._links.stall if stalled else self._links.cut, link)

    async def heal(self, link: int) -> None:
        """Restore a link."""
        await asyncio.to_thread(self._links.heal, link)

    async def _kill(self, dice: Random) -> str:
        seconds = _short_or_long(dice)
        await asyncio.to_thread(self._server.kill)
        await asyncio.sleep(seconds)
        await asyncio.to_thread(self._server.restart)
        return f"for {seconds:.2f} s"

    async def _freeze(self, dice: Random) -> str:
        return await _freeze(self._server, _short_or_long(dice))

    async def _flush(self, dice: Random) -> str:
        return await _flush_often([self._server.port], dice)

    async def _cut_link(self, dice: Random) -> str:
        victim, how = dice.randrange(self._processes), dice.choice(["cut", "stall"])
        seconds = dice.uniform(1.5, 5)
        await self.cut(victim, stalled=how == "stall")
        try:
            await asyncio.sleep(seconds)
        finally:
            await self.heal(victim)
        return f"{how} for process {victim} for {seconds:.2f} s"


class Group(Redis):
    """A Sentinel group or a Cluster. A fault strikes the server of some user's list; the group is whole afterwards."""

    def __init__(self, group: SentinelGroup | RedisCluster, processes: int, keys: Sequence[str]) -> None:
        self._group = group
        self._processes = processes
        self._keys = keys
        self.faults = {KILL: self._kill, FREEZE: self._freeze, FLUSH: self._flush, FAILOVER: self._fail_over}

    def running(self) -> AbstractContextManager[object]:
        """Start it, and end it at the end."""
        return self._group

    @property
    def urls(self) -> Sequence[str]:
        """The REDIS_URL of each service process: the same for all."""
        return [self._group.url] * self._processes

    async def _kill(self, dice: Random) -> str:
        key = dice.choice(self._keys)
        began = time.monotonic()
        killed = await asyncio.to_thread(self._group.kill_primary, key)
        await asyncio.to_thread(self._group.wait_for_failover, killed, key)
        seconds = time.monotonic() - began
        await asyncio.to_thread(killed.restart)
        await self._until_whole()
        return f"replaced after {seconds:.2f} s"

    async def _freeze(self, dice: Random) -> str:
        primary = await asyncio.to_thread(self._group.primary, dice.choice(self._keys))
        # The longest ones outlast a failover: the old primary wakes up and does not know that it was replaced.
        details = await _freeze(primary, dice.choice([dice.uniform(0, 0.9), dice.uniform(3, 6)]))
        await self._until_whole()
        return f"{details}{', replaced' if primary.role() == 'slave' else ''}"

    async def _flush(self, dice: Random) -> str:
        return await _flush_often([server.port for server in self._group.servers if server.role() == "master"], dice)

    async def _fail_over(self, dice: Random) -> str:
        began = time.monotonic()
        await asyncio.to_thread(self._group.failover, dice.choice(self._keys))
        seconds = time.monotonic() - began
        await self._until_whole()
        return f"in {seconds:.2f} s"

    async def _until_whole(self) -> None:
        await asyncio.to_thread(wait_until, self._is_whole, within=_REPLICATION_TIMEOUT_S)

    def _is_whole(self) -> bool:
        roles = [server.role() for server in self._group.servers]
        replicas = [server for server, role in zip(self._group.servers, roles, strict=True) if role == "slave"]
        return len(replicas) == self._group.replicas and all(replica.has_copied() for replica in replicas)


def make(topology: Topology, folder: Path, processes: int, users: Sequence[str]) -> Redis:
    """Return a Redis for so many service processes and for the lists of these users; it is not started yet."""
    keys = [f"mylist:{{{user}}}" for user in users]
    match topology:
        case Topology.SERVER:
            return OneServer(folder, processes)
        case Topology.SENTINEL:
            return Group(SentinelGroup(folder), processes, keys)
        case Topology.CLUSTER:
            return Group(RedisCluster(folder), processes, keys)


async def _freeze(server: ValkeyServer, seconds: float) -> str:
    server.freeze()
    try:
        await asyncio.sleep(seconds)
    finally:
        server.thaw()
    return f"for {seconds:.2f} s"


async def _flush_often(ports: Sequence[int], dice: Random) -> str:
    for _ in range(_FLUSHES):
        await asyncio.to_thread(_flush, ports)
        await asyncio.sleep(dice.uniform(0, 0.3))
    return f"{_FLUSHES} times"


def _flush(ports: Sequence[int]) -> None:
    for port in ports:
        with Client(port=port, socket_timeout=5) as client:
            client.flushall()


def _short_or_long(dice: Random) -> float:
    # Short: about as long as the deadlines of the service for commands to Redis.
    return dice.choice([dice.uniform(0, 0.9), dice.uniform(1, 4)])
