"""The cache protocol: how lists are read through Redis, and how writes keep them right.

    read    nothing   place a lease; won: load, then fill; lost: look at what stands there instead
            L…        serve
            R…        load, do not fill
            W…        load, do not fill
    write   place a fence, change MongoDB, lift the fence; the change is acknowledged after that

Why no acknowledged write is ever hidden: a list can only be filled over the lease that its loader placed before
loading. A write replaces any lease or list by its fence before it changes MongoDB, and leaves nothing behind that was
there before it ended. So a list that stands was loaded after the last acknowledged write took effect, and no process
has to outlive any point of this: leases and fences lapse, each later than the deadline of what it covers.

`mylist.cache.link` says what happens while Redis is away.
"""

import asyncio
import logging
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from enum import Enum
from functools import partial

from mylist import metrics
from mylist.cache.commands import CacheCommands, holds, new_nonce
from mylist.cache.freshness import FreshnessChecks
from mylist.cache.link import Link
from mylist.cache.loads import SharedLoads
from mylist.cache.reads import CoalescedReads
from mylist.errors import CacheUnavailableError, ListFullError, OutcomeUnknownError
from mylist.lists.value import LIST_TAG, ListValue, UnreadableValueError, size_of
from mylist.tasks import start

_TTL_SPREAD = 0.1
LONGEST_TTL = 1 + _TTL_SPREAD
"""How long a cached list may live, in lifetimes."""
_FENCE_RETRY = 0.05
# Longer than the link takes to notice that Redis is away.
_FENCE_PATIENCE = 2.0
_MARGIN = 3.0

_logger = logging.getLogger(__name__)


class CacheResult(Enum):
    """How the cache took part in a read."""

    HIT = "hit"
    """Served from Redis."""
    MISS = "miss"
    """Nothing was cached; the list was loaded, and cached unless a write came in between."""
    FENCED = "fenced"
    """A write or another load was under way; the list was loaded and not cached."""
    BYPASSED = "bypassed"
    """Redis was away or not to be believed; the list was loaded and not cached."""


class ListCache:
    """Users' lists, in Redis where possible and from `load` where not.

    Args:
        commands: says things to Redis.
        link: knows whether Redis may be asked and believed.
        load: loads a user's list from MongoDB.
        ttl: lifetime of a cached list, in seconds.
        strict: whether a write is refused while it cannot be fenced.
        load_deadline: longest time that `load` takes, in seconds.
        write_deadline: longest time that the body of `writing` takes, in seconds.
        check_every: how many hits there are to one that is compared with MongoDB; 0 for no comparison.
    """

    def __init__(  # noqa: PLR0913 - the protocol's parameters, each named at the one call
        self,
        commands: CacheCommands,
        link: Link,
        load: Callable[[str], Awaitable[ListValue]],
        *,
        ttl: float,
        strict: bool,
        load_deadline: float,
        write_deadline: float,
        check_every: int,
    ) -> None:
        self._commands = commands
        self._link = link
        self._reads = CoalescedReads(commands)
        self._loads = SharedLoads(load)
        self._checks = FreshnessChecks(load, self._look, every=check_every)
        self._leasing: dict[str, asyncio.Task[bytes]] = {}
        self._leased: dict[bytes, asyncio.Task[ListValue]] = {}
        self._ttl = ttl
        self._strict = strict
        # A load may have to wait for the one before it.
        self._lease_lifetime = int((2 * load_deadline + _MARGIN) * 1000)
        self._fence_lifetime = int((write_deadline + _MARGIN) * 1000)

    async def read(self, user_id: str, *, first: int | None = None) -> tuple[ListValue, CacheResult]:
        """Gives a user's list, which shows every write acknowledged before this call.

        It may be cut after its `first` items (None: it is whole), so that a long list costs no more than a short one.

        Raises whatever `load` raises when the list has to be loaded.
        """
        if not self._link.believed:
            return await self._loads.load(user_id), CacheResult.BYPASSED
        key = _key(user_id)
        try:
            held = await self._reads.get(key, None if first is None else size_of(first))
            if held is None:
                held = await self._lease(user_id, key)
        except CacheUnavailableError:
            return await self._loads.load(user_id), CacheResult.BYPASSED
        if not holds(LIST_TAG, held):
            return await self._load(user_id, held)
        try:
            value = ListValue(held, first=first)
        except UnreadableValueError as error:
            _logger.warning("Cached list of user %s cannot be read: %s", user_id, error)
            return await self._loads.load(user_id), CacheResult.BYPASSED
        self._checks.note(user_id, held)
        return value, CacheResult.HIT

    def _lease(self, user_id: str, key: str) -> Awaitable[bytes]:
        """Places a lease on a key that holds nothing, and begins to load under it; gives what the key holds then.

        Reads that find nothing at the same time share one, which is placed after all of them were asked for.
        """
        if key not in self._leasing:
            self._leasing[key] = start(self._place_lease(user_id, key))
        return asyncio.shield(self._leasing[key])

    async def _place_lease(self, user_id: str, key: str) -> bytes:
        del self._leasing[key]
        lease = self._commands.new_lease(key)
        held = await self._commands.place_lease(key, lease, milliseconds=self._lease_lifetime)
        if held is not None:
            return held
        self._leased[lease] = start(self._load_and_fill(user_id, key, lease))
        return lease

    async def _load(self, user_id: str, held: bytes) -> tuple[ListValue, CacheResult]:
        # The lease still stands, so no write has begun since it was placed: a load under it is as good as a new one.
        if task := self._leased.get(held):
            return await asyncio.shield(task), CacheResult.MISS
        return await self._loads.load(user_id), CacheResult.FENCED

    async def finish(self) -> None:
        """Waits until what goes on beside the requests has ended."""
        await self._checks.finish()

    def _look(self, user_id: str) -> Awaitable[bytes | None]:
        return self._reads.get(_key(user_id))

    async def _load_and_fill(self, user_id: str, key: str, lease: bytes) -> ListValue:
        try:
            value = await self._loads.load(user_id)
        except BaseException:
            # Otherwise nobody could fill the key before the lease lapses.
            with suppress(CacheUnavailableError):
                await self._commands.drop_lease(key, lease)
            raise
        else:
            lifetime = self._ttl * random.uniform(1 - _TTL_SPREAD, 1 + _TTL_SPREAD)  # noqa: S311 - spreads expiries
            try:
                stored = await self._commands.fill(key, lease, value.data, milliseconds=int(lifetime * 1000))
            except CacheUnavailableError:
                metrics.FILLS["failed"].inc()
            else:
                metrics.FILLS["stored" if stored else "refused"].inc()
            return value
        finally:
            del self._leased[lease]

    @asynccontextmanager
    async def writing(self, user_id: str, *, most_items: int = 0) -> AsyncIterator[int | None]:
        """Surrounds one change of a user's list in MongoDB; the change may be acknowledged after it.

        Gives the number of items that were cached, None when no list was.

        Raises:
            ListFullError: the cached list has `most_items` already (0: it may have any number).
            CacheUnavailableError: the write cannot be fenced, and may not go without.
            OutcomeUnknownError: the write has taken effect, but others may not see it yet, and have to.
        """
        key, nonce = _key(user_id), new_nonce()
        cached = await self._place_fence(key, nonce, most_items)
        if cached is not None and 0 < most_items <= cached:
            raise ListFullError(most_items)
        try:
            yield cached
        except OutcomeUnknownError:
            # The change may still take effect: its fence stands until it lapses, whatever has become of the first one.
            await self._fence_again(key, nonce)
            raise
        except BaseException:
            await self._lift_fence(key, nonce)
            raise
        else:
            # Redis may have been replaced, fence and all, by one that this process cannot see.
            if not await self._lift_fence(key, nonce) and self._strict:
                raise OutcomeUnknownError

    async def _place_fence(self, key: str, nonce: bytes, most_items: int) -> int | None:
        give_up = time.monotonic() + _FENCE_PATIENCE
        while self._link.reachable:
            try:
                cached = await self._commands.place_fence(
                    key, nonce, milliseconds=self._fence_lifetime, most_items=most_items
                )
            except CacheUnavailableError:
                # Redis may be away for this process only; others may believe it still, so there is no going on without
                # a fence until the link has been down for as long as they need to stop.
                if time.monotonic() > give_up:
                    raise
                await asyncio.sleep(_FENCE_RETRY)
            else:
                await self._link.handed_over()
                return cached
        if self._strict or not self._link.may_owe:
            raise CacheUnavailableError
        return None

    async def _fence_again(self, key: str, nonce: bytes) -> None:
        place = partial(self._commands.place_fence, key, nonce, milliseconds=self._fence_lifetime)
        await self._do_or_owe(place, key, nonce)

    async def _lift_fence(self, key: str, nonce: bytes) -> bool:
        return await self._do_or_owe(partial(self._commands.lift_fence, key, nonce), key, nonce)

    async def _do_or_owe(self, do: Callable[[], Awaitable[object]], key: str, nonce: bytes) -> bool:
        give_up = time.monotonic() + _FENCE_PATIENCE
        while self._link.reachable and time.monotonic() < give_up:
            changes = self._link.changes
            with suppress(CacheUnavailableError):
                await do()
                # A process that was held up for long may have done it where nobody looks any more.
                if self._link.knows_primary and self._link.changes == changes:
                    return True
            await asyncio.sleep(_FENCE_RETRY)
        self._link.owe(key, nonce)
        return False


def _key(user_id: str) -> str:
    # The braces make the user id the hash tag of Redis Cluster.
    return f"mylist:{{{user_id}}}"
