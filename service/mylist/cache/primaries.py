"""Who holds the lists: one server, the primary of a Sentinel group, or the primaries of a Redis Cluster.

Everything is read and written at primaries; a replica may be behind. A primary has a reign: the time from its promotion
or start until the next, during which it loses nothing. Redis draws a replication id for each, and what a failover, or a
restart with an old dump, brings back bears the tag of another reign (`mylist.cache.commands`). To make that sound, a
connection is used only once it has told the reign it was opened in.
"""

import asyncio
import re
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import suppress
from typing import Any

from redis.asyncio import Redis
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError

from mylist.cache.channel import Channel
from mylist.cache.redis_url import Address

REIGN_SIZE = 8
# What it looks like when a server does not answer; RuntimeError is what uvloop says of a connection that just closed.
FAILURES = (RedisError, OSError, RuntimeError)

OnConnect = Callable[[Any], Awaitable[None]]
MakeClient = Callable[[Address, OnConnect | None], Redis]
"""Makes a client of the server at an address, which runs the hook on each connection, or just logs in."""
Execute = Callable[..., Awaitable[Any]]


class Primary:
    """A server that is a primary, as far as is known.

    Attributes:
        address: where it is.
        client: its client, for pipelines.
        execute: sends it one command.
        channel: asks it for lists.
        reign: tells this reign from others; `REIGN_SIZE` bytes.
        probe: a key that it holds, for its heartbeats.
    """

    def __init__(self, address: Address, make_client: MakeClient, changed: Callable[[], None]) -> None:
        self.address = address
        self.client = make_client(address, self._connected)
        self.execute: Execute = self.client.execute_command
        pool = self.client.connection_pool
        self.channel = Channel(pool.make_connection, pool.connection_kwargs["socket_timeout"])
        self.reign = bytes(REIGN_SIZE)
        self.probe = probe_key(0)
        self._changed = changed

    async def _connected(self, connection: Any) -> None:  # noqa: ANN401 - one of redis-py's several classes
        await connection.on_connect()
        await connection.send_command("INFO", "replication", check_health=False)
        self.learn(await connection.read_response())

    def learn(self, info: bytes) -> None:
        """Takes note of what `INFO replication` says.

        Raises:
            RedisConnectionError: the server is no primary.
        """
        fields = dict(re.findall(rb"^(role|master_replid):(\w+)", info, re.MULTILINE))
        if fields.get(b"role") != b"master":
            raise RedisConnectionError(f"{name_of(self.client)} is not a primary")
        replication_id = fields.get(b"master_replid")
        if replication_id is None:
            raise RedisConnectionError(f"{name_of(self.client)} does not tell its replication id")
        reign = bytes.fromhex(replication_id[: 2 * REIGN_SIZE].decode())
        if reign != self.reign:
            self.reign = reign
            self._changed()

    async def close(self) -> None:
        """Closes every connection."""
        self.channel.close()
        await close(self.client)


class Primaries(ABC):
    """The primaries that hold the lists.

    Attributes:
        all: each of them once; none before they were found.
        changes: how often it has become known that a list may be held by another primary or in another reign.
        takeovers: how often other servers than before were found to be the primaries.
    """

    sharded = False
    """Whether keys are spread over primaries, so that a command may name those of one hash tag only."""

    def __init__(self, make_client: MakeClient) -> None:
        self.all: Sequence[Primary] = ()
        self.changes = 0
        self.takeovers = 0
        self._make_client = make_client
        self._known: dict[Address, Primary] = {}

    @abstractmethod
    def owner(self, key: str) -> Primary | None:
        """Gives the primary that holds a key; None when it is not known."""

    @abstractmethod
    async def owner_after(self, key: str, former: Primary | None) -> Primary:
        """Gives the primary of a key that its `former` one says it does not hold; raises `RedisError` without one."""

    @abstractmethod
    async def watch(self) -> None:
        """Does, before each heartbeat, what it takes to notice another primary while the old one answers."""

    @abstractmethod
    async def suspect(self) -> None:
        """Does, after a heartbeat that failed, what it takes to find the primary that follows."""

    def at(self, address: Address) -> Primary:
        """Gives the primary at an address, also one that holds nothing yet."""
        if address not in self._known:
            self._known[address] = Primary(address, self._make_client, self._note_change)
        return self._known[address]

    async def close(self) -> None:
        """Closes every connection."""
        for primary in self._known.values():
            await primary.close()

    def _note_change(self) -> None:
        self.changes += 1


class OneServer(Primaries):
    """The one server that the settings name."""

    def __init__(self, address: Address, make_client: MakeClient) -> None:
        super().__init__(make_client)
        self.all = (self.at(address),)
        self._stray: RedisError | None = None

    def owner(self, _: str) -> Primary:
        """Gives the server."""
        return self.all[0]

    async def owner_after(self, *_: object) -> Primary:
        """Fails: no other server is known."""
        self._stray = RedisError(f"{name_of(self.all[0].client)} is a node of a Redis Cluster, and REDIS_URL is not")
        raise self._stray

    async def watch(self) -> None:
        """Fails once it is known that the server holds only some of the keys."""
        if self._stray:
            raise self._stray

    async def suspect(self) -> None:
        """Does nothing: it is this server or none."""


class DiscoveredPrimaries(Primaries):
    """Primaries that change, and that others tell of."""

    def __init__(self, make_client: MakeClient) -> None:
        super().__init__(make_client)
        self._finding = asyncio.Lock()

    @abstractmethod
    async def _find(self) -> None:
        """Finds out who they are now; raises `RedisError` when nobody tells."""

    async def find(self) -> None:
        """Finds out who they are now; raises `RedisError` when nobody tells."""
        async with self._finding:
            await self._find()

    async def owner_after(self, key: str, former: Primary | None) -> Primary:
        """Gives the primary that others tell of; of all that ask at once, one asks them."""
        async with self._finding:
            if self.owner(key) is former:
                await self._find()
        owner = self.owner(key)
        if owner is None:
            raise RedisConnectionError("no primary holds the list")
        return owner

    def _adopt(self, addresses: Iterable[Address]) -> None:
        """Takes those at the addresses for the primaries from now on."""
        former, self.all = self.all, tuple(self.at(address) for address in dict.fromkeys(addresses))
        if set(former) != set(self.all):
            self.takeovers += 1
            self._note_change()

    async def _drop_others(self) -> None:
        """Ends whatever is still under way with those that are not."""
        for address, primary in list(self._known.items()):
            if primary not in self.all:
                del self._known[address]
                await primary.close()


def probe_key(number: int) -> str:
    """Gives a key that is no user's: theirs have the brace right after the first colon."""
    return f"mylist:heartbeat:{{{number}}}"


def name_of(client: Redis) -> str:
    """Says where a client connects to."""
    known = client.connection_pool.connection_kwargs
    return f"{known['host']}:{known['port']}" if "host" in known else str(known["path"])


async def close(client: Redis) -> None:
    """Closes every connection of a client."""
    with suppress(*FAILURES):  # the other side of a TLS connection may not say goodbye
        await client.aclose()
        await client.connection_pool.disconnect()
