"""The cache protocol: how lists are read through Redis, and how writes keep them right.

A read depends on the value of the key:

- nothing: place a lease. If this succeeds, load the list, then fill the key. Otherwise go on by the value that the key
  then holds.
- `L…`: serve the list.
- `R…` or `W…`: load the list, do not fill the key.

A write places a fence, changes MongoDB, and lifts the fence. The change is acknowledged after these steps.

Why no acknowledged write is ever hidden: a process can fill a key only over the lease that it placed before it began to
load. A write replaces any lease or list with its fence before it changes MongoDB. When the write ends, it leaves
nothing in the key that was there before. So every cached list was loaded after the last acknowledged write took effect.
A process may die at any point: leases and fences expire, each later than the deadline of the operation that it covers.

`mylist.cache.cached_value` explains the letters. `mylist.cache.health` explains what happens while Redis is away.
"""

import asyncio
import logging
import os
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from functools import partial
from typing import Literal, NamedTuple

from mylist.background import spawn
from mylist.cache.cached_value import FENCE_TAG, LEASE_TAG, NONCE_BYTES, unstamped
from mylist.cache.commands import CacheCommands
from mylist.cache.freshness_audit import FreshnessAudit
from mylist.cache.health import RedisHealth
from mylist.cache.read_batcher import ReadBatcher
from mylist.cache.singleflight import SingleFlight
from mylist.config.redis_timing import EXPIRY_MARGIN_S, FENCE_PATIENCE_S
from mylist.domain.cache_result import CacheResult
from mylist.domain.errors import CacheUnavailableError, ListFullError, OutcomeUnknownError
from mylist.domain.packed_list import LIST_TAG, PackedList, UnreadableListError, packed_size
from mylist.telemetry import metrics
from mylist.telemetry.line_limit import LineLimit

_TTL_SPREAD = 0.1
_HELD: dict[bytes, Literal["list", "lease", "fence"]] = {LIST_TAG: "list", LEASE_TAG: "lease", FENCE_TAG: "fence"}
MAX_TTL_FACTOR = 1 + _TTL_SPREAD
"""Maximum lifetime of a cached list, as a multiple of its TTL."""
_FENCE_RETRY_INTERVAL_S = 0.05

_logger = logging.getLogger(__name__)
_unreadable_lines = LineLimit(1, period_s=60)


class CacheEntry(NamedTuple):
    """The content of a list's key.

    Attributes:
        key: the key.
        holds: a list (of any epoch), a lease, a fence, or none of these.
        items: the number of items; None if this version cannot read the list.
        lifetime_ms: the remaining lifetime in milliseconds; None if Redis does not report it.
    """

    key: str
    holds: Literal["list", "lease", "fence", "something else"]
    items: int | None
    lifetime_ms: int | None


class ListCache:
    """Users' lists: from Redis where possible, else from `load`.

    Args:
        commands: sends commands to Redis.
        health: knows whether Redis may be asked and trusted.
        load: loads a user's list from MongoDB.
        ttl: lifetime of a cached list, in seconds.
        strict: whether a write that cannot be fenced is refused.
        load_deadline: maximum duration of `load`, in seconds.
        write_deadline: maximum duration of the body of `writing`, in seconds.
        check_every: hits per comparison with MongoDB; 0 disables the comparison.
    """

    def __init__(  # noqa: PLR0913 - the protocol's parameters, each named at the one call
        self,
        commands: CacheCommands,
        health: RedisHealth,
        load: Callable[[str], Awaitable[PackedList]],
        *,
        ttl: float,
        strict: bool,
        load_deadline: float,
        write_deadline: float,
        check_every: int,
    ) -> None:
        self._commands = commands
        self._health = health
        self._reads = ReadBatcher(commands.router)
        self._loads = SingleFlight(load)
        self._audit = FreshnessAudit(load, self._look, every=check_every)
        self._hits_to_audit = self._audit.draw()
        self._leasing: dict[str, asyncio.Task[bytes]] = {}
        self._leased: dict[bytes, asyncio.Task[PackedList]] = {}
        self._ttl = ttl
        self._strict = strict
        # A load sometimes waits for the previous load.
        self._lease_lifetime_ms = int((2 * load_deadline + EXPIRY_MARGIN_S) * 1000)
        self._fence_lifetime_ms = int((write_deadline + EXPIRY_MARGIN_S) * 1000)

    async def read(self, user_id: str, *, max_items: int | None = None) -> tuple[PackedList, CacheResult]:
        """Return a user's list, with every write that was acknowledged before this call.

        The list may be truncated after `max_items` items (None: it is whole), so that a long list costs no more than a
        short list.

        If the list must be loaded, this raises what `load` raises.
        """
        key = _key(user_id)
        health = self._health
        if health.clock() > health.trusted_until and not health.trusts(key):
            return await self._loads.load(user_id), CacheResult.BYPASSED
        try:
            held = await self._reads.get(key, None if max_items is None else packed_size(max_items))
            if held is None:
                held = await self._lease(user_id, key)
        except CacheUnavailableError:
            return await self._loads.load(user_id), CacheResult.BYPASSED
        if not held.startswith(LIST_TAG):
            return await self._load(user_id, held)
        try:
            packed_list = PackedList(held, max_items=max_items)
        except UnreadableListError as error:
            if _unreadable_lines.allows():
                _logger.warning("A cached list cannot be read: %s", error)
            return await self._loads.load(user_id), CacheResult.BYPASSED
        self._hits_to_audit -= 1
        if self._hits_to_audit <= 0:
            self._hits_to_audit = self._audit.offer(user_id, held)
        return packed_list, CacheResult.HIT

    def _lease(self, user_id: str, key: str) -> Awaitable[bytes]:
        """Place a lease on an empty key and begin to load under it. Return what the key then holds.

        Concurrent reads that find nothing share one lease. The lease is placed after all of these reads arrived.
        """
        if key not in self._leasing:
            self._leasing[key] = spawn(self._place_lease(user_id, key))
        return asyncio.shield(self._leasing[key])

    async def _place_lease(self, user_id: str, key: str) -> bytes:
        del self._leasing[key]
        if not self._health.trusts(key):  # by now; only a process that trusts an epoch may cache in it
            raise CacheUnavailableError
        lease = self._commands.new_lease(key)
        held = await self._commands.place_lease(key, lease, lifetime_ms=self._lease_lifetime_ms)
        if held is not None:
            return held
        self._leased[lease] = spawn(self._load_and_fill(user_id, key, lease))
        return lease

    async def _load(self, user_id: str, held: bytes) -> tuple[PackedList, CacheResult]:
        # The lease is still there, so no write has begun since it was placed. A load under it is as fresh as a new
        # load.
        if task := self._leased.get(held):
            return await asyncio.shield(task), CacheResult.MISS
        return await self._loads.load(user_id), CacheResult.FENCED

    async def entry(self, user_id: str) -> CacheEntry | None:
        """Return what Redis holds for a user, even if it would not be served; None for nothing.

        Raises:
            CacheUnavailableError: Redis does not answer in time or rejects the command.
        """
        key = _key(user_id)
        held, lifetime_ms = await self._commands.look(key)
        if held is None:
            return None
        holds = _HELD.get(held[:1])
        items = None
        if holds == "list":
            with suppress(UnreadableListError):
                items = PackedList(unstamped(held)).total
        return CacheEntry(key, holds or "something else", items, lifetime_ms)

    async def finish(self) -> None:
        """Wait until a freshness check in flight has ended."""
        await self._audit.finish()

    async def close(self) -> None:
        """Close every connection to Redis."""
        await self._commands.close()

    def _look(self, user_id: str) -> Awaitable[bytes | None]:
        return self._reads.get(_key(user_id))

    async def _load_and_fill(self, user_id: str, key: str, lease: bytes) -> PackedList:
        try:
            packed_list = await self._loads.load(user_id)
        except BaseException:
            # Otherwise no process could fill the key before the lease expires.
            with suppress(CacheUnavailableError):
                await self._commands.drop_lease(key, lease)
            raise
        else:
            ttl = self._ttl * random.uniform(1 - _TTL_SPREAD, 1 + _TTL_SPREAD)  # noqa: S311 - spreads expiries
            try:
                stored = await self._commands.fill(key, lease, packed_list.data, lifetime_ms=int(ttl * 1000))
            except CacheUnavailableError:
                metrics.FILLS["failed"].inc()
            else:
                metrics.FILLS["stored" if stored else "refused"].inc()
            return packed_list
        finally:
            del self._leased[lease]

    @asynccontextmanager
    async def writing(self, user_id: str, *, max_items: int = 0) -> AsyncIterator[int | None]:
        """Surround one change of a user's list in MongoDB. After this block the change may be acknowledged.

        Yield the number of items of the cached list, None if no list was cached.

        Raises:
            ListFullError: the cached list already has `max_items` items (0: no maximum).
            CacheUnavailableError: the write cannot be fenced, and must not go on unfenced.
            OutcomeUnknownError: the write has taken effect, but other clients might still read an older list.
        """
        key, nonce = _key(user_id), os.urandom(NONCE_BYTES)
        cached = await self._place_fence(key, nonce, max_items)
        if cached is not None and 0 < max_items <= cached:
            raise ListFullError(max_items)
        try:
            yield cached
        except OutcomeUnknownError:
            # The change may still take effect. This fence remains until it expires, even if the first one is gone.
            await self._fence_again(key, nonce)
            raise
        except BaseException:
            await self._lift_fence(key, nonce)
            raise
        else:
            is_lifted, is_reign_known = await self._lift_fence(key, nonce)
            # Another Redis, which this process cannot see, may have replaced this one and the fence on it.
            if self._strict and not (is_lifted and is_reign_known):
                raise OutcomeUnknownError
            is_settled = is_lifted and self._health.clock() <= self._health.settled_until
            if not is_settled and not await self._health.wait_for_cover(key, fenced=is_lifted):
                raise OutcomeUnknownError

    async def _place_fence(self, key: str, nonce: bytes, max_items: int) -> int | None:
        deadline = time.monotonic() + FENCE_PATIENCE_S
        health = self._health
        while health.clock() <= health.settled_until or health.is_available(key):
            try:
                cached = await self._commands.place_fence(
                    key, nonce, lifetime_ms=self._fence_lifetime_ms, max_items=max_items
                )
            except CacheUnavailableError:
                # Redis may be away for this process only, and other processes may still trust it. So the write goes on
                # without a fence only after Redis has been down for as long as they need to stop trusting it.
                if time.monotonic() > deadline:
                    raise
                await asyncio.sleep(_FENCE_RETRY_INTERVAL_S)
            else:
                if health.clock() > health.settled_until:
                    await health.wait_for_handover()
                    if not await health.wait_for_cover(key, fenced=True):
                        raise CacheUnavailableError  # the fence expires by itself
                return cached
        if self._strict or not health.pending.has_room:
            raise CacheUnavailableError
        if not await health.wait_for_cover(key, fenced=False):
            raise CacheUnavailableError
        return None

    async def _fence_again(self, key: str, nonce: bytes) -> None:
        place = partial(self._commands.place_fence, key, nonce, lifetime_ms=self._fence_lifetime_ms)
        await self._run_or_owe(place, key, nonce)

    async def _lift_fence(self, key: str, nonce: bytes) -> tuple[bool, bool]:
        """Return whether the fence was lifted (not owed), and whether all processes know the reign of the change."""
        # MongoDB's primary may have been replaced meanwhile, and other processes may still load from the replaced
        # primary.
        health = self._health
        is_settled = health.clock() <= health.settled_until and health.seen_reign() == health.settled_reign
        is_known = is_settled or await health.wait_for_reign(key)
        return await self._run_or_owe(partial(self._commands.lift_fence, key, nonce), key, nonce), is_known

    async def _run_or_owe(self, command: Callable[[], Awaitable[object]], key: str, nonce: bytes) -> bool:
        """Run a command that ends a write; return whether it certainly ran where all processes read, else owe it."""
        deadline = time.monotonic() + FENCE_PATIENCE_S
        health, topology = self._health, self._commands.topology
        while (health.clock() <= health.settled_until or health.is_available(key)) and time.monotonic() < deadline:
            generation = topology.generation
            with suppress(CacheUnavailableError):
                await command()
                # A process that was paused for long may have run it on a primary that no process reads any more.
                is_primary_known = health.clock() <= health.settled_until or health.knows_primary(key)
                if is_primary_known and topology.generation == generation:
                    return True
            await asyncio.sleep(_FENCE_RETRY_INTERVAL_S)
        health.pending.add(key, nonce)
        return False


def _key(user_id: str) -> str:
    # The braces make the user id the hash tag of Redis Cluster.
    return f"mylist:{{{user_id}}}"
