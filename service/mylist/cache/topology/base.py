"""The servers that hold the lists: one server, the primary of a Sentinel group, or the primaries of a Redis Cluster.

All reads and writes go to primaries; a replica may be behind. A primary has epochs: the time from its promotion or
start until the next one, during which it loses no data. Redis generates a replication id for each epoch. A list that a
failover or a restart from an old dump brings back carries the tag of another epoch (`mylist.cache.cached_value`). To
make that sound, a connection is used only after the server has reported its epoch on it.

Some servers do not report a replication id, or do not allow clients to ask. All lists on such a server have the same
epoch.
"""

import asyncio
import logging
import re
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import suppress
from typing import Any

from redis.asyncio import Redis
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import NoPermissionError, RedisError, ResponseError

from mylist.cache import cached_value
from mylist.cache.cached_value import EPOCH_BYTES
from mylist.cache.read_connection import ReadConnection
from mylist.config.redis_url import Address
from mylist.domain.reign import NO_REIGN

REDIS_ERRORS = (RedisError, OSError, RuntimeError)
"""The errors raised if a server does not answer. uvloop raises RuntimeError for a connection that was just closed."""

OnConnect = Callable[[Any], Awaitable[None]]
MakeClient = Callable[[Address, OnConnect | None], Redis]
"""Creates a client for an address. The client runs the hook on each new connection; without a hook it only logs in."""
Execute = Callable[..., Awaitable[Any]]

_ONLY_EPOCH = b"untold".ljust(EPOCH_BYTES, b"_")
"""The epoch of every primary that does not report its replication id."""
_DENIED = re.compile(r"unknown command|unknown subcommand|not allowed|disabled|not supported|permission", re.IGNORECASE)

_logger = logging.getLogger(__name__)


class Primary:
    """A server that is a primary, as far as this process knows.

    Args:
        address: its host and port.
        make_client: creates its client.
        note_epoch: called whenever its epoch has changed.
        note_untold: called whenever it does not report its replication id; may raise `RedisConnectionError`.

    Attributes:
        address: as given.
        client: its client, for pipelines.
        execute: sends it one command.
        read_connection: asks it for lists.
        epoch: the epoch that its lists must carry, `EPOCH_BYTES` bytes, derived from its replication id and from the
            epoch of the registry (`mylist.domain.process_registry`).
        probe: a key on this server, for its heartbeats.
        has_answered: whether it has ever answered.
        is_asked_apart: whether scripts must not ask it for its epoch, so that `ask` does.
        reign_answer: the reign that its last heartbeat announced, and the reign that the heartbeat found there (None:
            none).
    """

    def __init__(
        self,
        address: Address,
        make_client: MakeClient,
        note_epoch: Callable[[], None],
        note_untold: Callable[[str], None],
    ) -> None:
        self.address = address
        self.client = make_client(address, self._connected)
        self.execute: Execute = self.client.execute_command
        pool = self.client.connection_pool
        self.read_connection = ReadConnection(pool.make_connection, pool.connection_kwargs["socket_timeout"])
        self.epoch = self._own_epoch = bytes(EPOCH_BYTES)
        self._registry_epoch = ""
        self.probe = probe_key(0)
        self.has_answered = False
        self.is_asked_apart = False
        self.reign_answer: tuple[str, str | None] = NO_REIGN, None
        self._tells_nobody = False
        self._note_epoch = note_epoch
        self._note_untold = note_untold
        self.client.set_response_callback("INFO", _as_it_came)

    async def _connected(self, connection: Any) -> None:  # noqa: ANN401 - one of redis-py's several classes
        await connection.on_connect()
        await connection.send_command("INFO", "replication", check_health=False)
        self._tells_nobody = False
        self.learn(await self._unless_denied(connection.read_response()))

    async def ask(self) -> bytes:
        """Return the answer to `INFO replication`, asked without a script; empty if the server denies it."""
        self.is_asked_apart = True
        return b"" if self._tells_nobody else await self._unless_denied(self.execute("INFO", "replication"))

    async def _unless_denied(self, asked: Awaitable[Any]) -> bytes:
        try:
            return bytes(await asked)
        except ResponseError as error:
            if not isinstance(error, NoPermissionError) and not _DENIED.search(str(error)):
                raise
            self._tells_nobody = True  # do not retry before the next connection: the server may log each attempt
            return b""

    def learn(self, info: bytes) -> None:
        """Record the answer to `INFO replication`. A server that denies it counts as a primary: heartbeats write.

        Raises:
            RedisConnectionError: the server is not a primary, or does not report its replication id where that is
                needed.
        """
        self.has_answered = True
        fields = dict(re.findall(rb"^(role|master_replid):(\w+)", info, re.MULTILINE))
        if fields.get(b"role", b"master") != b"master":
            raise RedisConnectionError(f"{name_of(self.client)} is not a primary")
        epoch = _epoch_of(fields.get(b"master_replid", b""))
        if epoch == _ONLY_EPOCH:
            self._note_untold(name_of(self.client))
        if epoch != self._own_epoch:
            self._own_epoch = epoch
            self.begin_epoch(self._registry_epoch)
            self._note_epoch()

    @property
    def replication_epoch(self) -> bytes | None:
        """The beginning of its replication id; None before it has answered, or if it does not report the id."""
        return self._own_epoch if self._own_epoch not in {_ONLY_EPOCH, bytes(EPOCH_BYTES)} else None

    def begin_epoch(self, registry_epoch: str) -> None:
        """From now on, ignore lists of another epoch of the registry."""
        self._registry_epoch = registry_epoch
        self.epoch = cached_value.epoch_in(registry_epoch, self._own_epoch)

    async def close(self) -> None:
        """Close every connection."""
        self.read_connection.close()
        await close(self.client)


class Topology(ABC):
    """The primaries that hold the lists.

    Attributes:
        all: each primary once; empty before they were found.
        single: the primary of every key; None if keys are sharded, and before it was found.
        generation: increases whenever this process learns that a list may be on another primary or in another epoch.
        failovers: how often the primaries turned out to be other servers than before.
        needs_epochs: whether a primary must report its replication id.
        place: identifies the configured Redis: from the settings, without credentials.
        database: the number of the Redis database.
        note_generation: called whenever `generation` increases.
        note_moved: called with the former and the new primary of slots that moved.
    """

    sharded = False
    """Whether keys are sharded over primaries. A command may then name only keys of one hash tag."""

    def __init__(self, make_client: MakeClient) -> None:
        self.all: Sequence[Primary] = ()
        self.single: Primary | None = None
        self.generation = 0
        self.failovers = 0
        self.needs_epochs = False
        self.place = ""
        self.database = 0
        self.note_generation: Callable[[], None] = lambda: None
        self.note_moved: Callable[[Primary | None, Primary], None] = lambda *_: None
        self._registry_epoch = ""
        self._untold = ""
        self._make_client = make_client
        self._known: dict[Address, Primary] = {}

    @abstractmethod
    def owner(self, key: str) -> Primary | None:
        """Return the primary that holds a key; None if it is not known."""

    @abstractmethod
    async def find_owner(self, key: str, former: Primary | None) -> Primary:
        """Find the primary of a key, if it is unknown or if the `former` primary says that it does not hold the key.

        Raises:
            RedisError: the key has no primary.
        """

    @abstractmethod
    async def watch(self) -> None:
        """Before each heartbeat: look for a new primary while the old one still answers."""

    @abstractmethod
    async def suspect(self) -> None:
        """After a failed heartbeat: look for the next primary."""

    def at(self, address: Address) -> Primary:
        """Return the primary at an address, even if it holds nothing yet."""
        if address not in self._known:
            self._known[address] = Primary(address, self._make_client, self._begin_generation, self._note_untold)
            self._known[address].begin_epoch(self._registry_epoch)
        return self._known[address]

    def begin_epoch(self, registry_epoch: str) -> None:
        """From now on, ignore lists of another epoch of the registry on all primaries."""
        if registry_epoch != self._registry_epoch:
            self._registry_epoch = registry_epoch
            for primary in self._known.values():
                primary.begin_epoch(registry_epoch)

    @property
    def identity(self) -> str:
        """The identity of this Redis, independent of its name; empty before it has answered.

        The settings do not say where a name leads. So one server, or the primary of a Sentinel group, is identified by
        its replication id. A Cluster, or a server that does not report its id, is identified by the settings.
        """
        if not any(primary.has_answered for primary in self.all):
            return ""
        replication = self.single.replication_epoch if self.single else None
        return self.place if replication is None else f"{replication.hex()}/{self.database}"

    def importing(self, host: str, port: int, former: Primary) -> Primary:
        """Return the node at this host and port, which imports a slot from the `former` primary."""
        return self.at((host or former.address[0], port))

    async def close(self) -> None:
        """Close every connection."""
        for primary in self._known.values():
            await primary.close()

    def _begin_generation(self) -> None:
        self.generation += 1
        self.note_generation()

    def _note_untold(self, name: str) -> None:
        if self.needs_epochs:
            raise RedisConnectionError(
                f"{name} does not report its replication id (INFO replication), which CACHE_STRICT=true needs: "
                "grant its user +info, or use another Redis"
            )
        if not self._untold:
            self._untold = name
            _logger.warning(
                "%s does not report its replication id (INFO replication): after a failover, or a restart from a dump, "
                "lists may be stale for up to CACHE_TTL; if its user lacks +info, grant it",
                name,
            )


class DiscoveredTopology(Topology):
    """Primaries that may change, and that other servers name."""

    def __init__(self, make_client: MakeClient) -> None:
        super().__init__(make_client)
        self._finding = asyncio.Lock()

    @abstractmethod
    async def _find(self) -> None:
        """Find the present primaries; raise `RedisError` if no server names them."""

    async def find(self) -> None:
        """Find the present primaries; raise `RedisError` if no server names them."""
        async with self._finding:
            await self._find()

    async def find_owner(self, key: str, former: Primary | None) -> Primary:
        """Find the primary that other servers name. Only one of several concurrent callers asks them."""
        async with self._finding:
            if self.owner(key) is former:
                await self._find()
        owner = self.owner(key)
        if owner is None:
            raise RedisConnectionError("no primary holds the list")
        return owner

    def _adopt(self, addresses: Iterable[Address]) -> None:
        """Use the servers at these addresses as the primaries from now on."""
        former, self.all = self.all, tuple(self.at(address) for address in dict.fromkeys(addresses))
        if not self.sharded:
            (self.single,) = self.all
        if set(former) != set(self.all):
            self.failovers += 1
            self._begin_generation()

    async def _drop_others(self) -> None:
        """Forget every other server, and end its commands in flight."""
        for address, primary in list(self._known.items()):
            if primary not in self.all:
                del self._known[address]
                await primary.close()


def _as_it_came(response: Any, **_: Any) -> Any:  # noqa: ANN401 - as redis-py declares it
    """Return the raw answer, which redis-py would otherwise parse."""
    return response


def _epoch_of(replication_id: bytes) -> bytes:
    """Return the epoch of a replication id."""
    try:
        epoch = bytes.fromhex(replication_id[: 2 * EPOCH_BYTES].decode())
    except ValueError:
        return _ONLY_EPOCH
    # Some managed servers report only zeros.
    return epoch if len(epoch) == EPOCH_BYTES and any(epoch) else _ONLY_EPOCH


def probe_key(number: int) -> str:
    """Return a key that belongs to no user: a user's key has the brace right after the first colon."""
    return f"mylist:heartbeat:{{{number}}}"


def name_of(client: Redis) -> str:
    """Return the address to which a client connects."""
    known = client.connection_pool.connection_kwargs
    return f"{known['host']}:{known['port']}" if "host" in known else str(known["path"])


async def close(client: Redis) -> None:
    """Close every connection of a client."""
    with suppress(*REDIS_ERRORS):  # the server may end a TLS connection without a close_notify
        await client.aclose()
        await client.connection_pool.disconnect()
