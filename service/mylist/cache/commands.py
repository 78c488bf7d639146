"""The commands of the cache protocol that change a key (`mylist.cache.list_cache` says when).

Any failure to get an answer is `CacheUnavailableError`. A command that failed this way may still take effect later, and
the protocol allows for that.
"""

import asyncio
from collections.abc import Mapping, Sequence

from redis.exceptions import RedisError
from redis.exceptions import TimeoutError as RedisTimeoutError

from mylist.background import spawn
from mylist.cache import cached_value, scripts
from mylist.cache.cached_value import EPOCH_BYTES
from mylist.cache.redis_operation import redis_operation
from mylist.cache.topology.base import Primary, Topology, name_of
from mylist.cache.topology.command_router import Router
from mylist.domain.errors import CacheUnavailableError

# Of all heartbeats of all processes, one really writes in this time.
_PROBE_LIFETIME_MS = 10_000


class SomePrimariesAwayError(CacheUnavailableError):
    """Some primaries of a Cluster do not answer, and the others do.

    Attributes:
        failures: why each of them did not.
        answered: the others.
    """

    def __init__(self, failures: Mapping[Primary, Exception], answered: Sequence[Primary]) -> None:
        super().__init__()
        self.failures = failures
        self.answered = answered


class CacheCommands:
    """The commands that the protocol is made of, without reads (`mylist.cache.read_batcher`).

    Every coroutine raises `CacheUnavailableError` when Redis does not answer in time, or refuses.

    Attributes:
        topology: the primaries.
        router: sends commands to them.
    """

    def __init__(self, topology: Topology) -> None:
        self.topology = topology
        self.router = Router(topology)
        self._suspecting: asyncio.Task[None] | None = None
        self._unanswered: dict[Primary, asyncio.Task[None]] = {}
        self._silent: set[Primary] = set()

    async def ping(self) -> None:
        """Check that every primary answers, and would take a fence.

        Raises:
            SomePrimariesAwayError: not every one does; else as all coroutines here.
        """
        with redis_operation("heartbeat"):
            await self.topology.watch()
            primaries = self.topology.all
            failures = await self._ask(primaries)
            if not failures:
                return
            first = next(iter(failures.values()))
            if len(failures) == len(primaries):
                await self.topology.suspect()
                raise first
            # The others are asked again meanwhile: who does not answer holds up nobody.
            if self._suspecting is None or self._suspecting.done():
                self._suspecting = spawn(self.topology.suspect())
            raise SomePrimariesAwayError(failures, [each for each in primaries if each not in failures]) from first

    async def _ask(self, primaries: Sequence[Primary]) -> dict[Primary, Exception]:
        """Ask each primary for a heartbeat; return why some of them have not answered.

        Wait for those that did not time out last, or for all if all did: one that is silent delays nobody's heartbeat.
        """
        late = {primary: asked for primary, asked in self._unanswered.items() if primary in primaries}
        asked = {primary: late.get(primary) or spawn(self._ping(primary)) for primary in primaries}
        prompt = [each for primary, each in asked.items() if primary not in self._silent]
        if asked:
            await asyncio.wait(prompt or asked.values())
        failures: dict[Primary, Exception] = {}
        for primary, answer in asked.items():
            if not answer.done():
                failures[primary] = RedisTimeoutError(f"{name_of(primary.client)} does not answer")
            elif error := answer.exception():
                failures[primary] = error if isinstance(error, Exception) else RedisError(repr(error))
            elif primary in late:  # its answer is to an earlier heartbeat; it is waited for at the next
                failures[primary] = RedisTimeoutError(f"{name_of(primary.client)} answers too late")
        self._unanswered = {primary: each for primary, each in asked.items() if not each.done()}
        self._silent = {primary for primary in failures if _is_silent(asked[primary])}
        return failures

    async def _ping(self, primary: Primary) -> None:
        call = self.router.run(primary, scripts.heartbeat(primary.probe, _PROBE_LIFETIME_MS))
        if not primary.is_asked_apart:
            info = await call
        else:
            info = b"".join(await asyncio.gather(call, primary.ask()))
        if not info:
            info = await primary.ask()
        primary.learn(info)

    def new_lease(self, key: str) -> bytes:
        """Draw a read lease for a key, of the epoch of its primary."""
        primary = self.topology.owner(key)
        return cached_value.new_lease(primary.epoch if primary else bytes(EPOCH_BYTES))

    async def place_lease(self, key: str, lease: bytes, *, lifetime_ms: int) -> bytes | None:
        """Place a read lease on a key that holds nothing; return what it holds otherwise, None if it was placed."""
        with redis_operation("place_lease"):
            primary = await self.router.owner(key)
            held = await self.router.run(primary, scripts.place_lease(key, lease, lifetime_ms, primary.epoch))
            return cached_value.unstamped(held, primary.epoch)

    async def fill(self, key: str, lease: bytes, packed_list: bytes, *, lifetime_ms: int) -> bool:
        """Replace a lease that still stands by the list; return whether it did."""
        with redis_operation("fill"):
            primary = await self.router.owner(key)
            # With the epoch of the lease: whoever trusts the list in this epoch knows of every fence placed since.
            stamped = cached_value.stamped(packed_list, cached_value.epoch_of(lease))
            return bool(await self.router.run(primary, scripts.fill(key, lease, stamped, lifetime_ms)))

    async def drop_lease(self, key: str, lease: bytes) -> None:
        """Delete a lease that will not be used, if it still stands."""
        with redis_operation("drop_lease"):
            await self.router.run(await self.router.owner(key), scripts.drop_lease(key, lease))

    async def place_fence(self, key: str, nonce: bytes, *, lifetime_ms: int, max_items: int = 0) -> int | None:
        """Fence a key for one write; return the number of items that were cached, None if no list was.

        A list that has `max_items` already is not fenced (0: any list is).
        """
        with redis_operation("place_fence"):
            primary = await self.router.owner(key)
            call = scripts.place_fence(key, nonce, lifetime_ms, max_items, primary.epoch)
            cached = int(await self.router.run(primary, call))
        return None if cached < 0 else cached

    async def lift_fence(self, key: str, nonce: bytes) -> None:
        """Take one write's nonce out of the fence; leave nothing that could predate the write."""
        with redis_operation("lift_fence"):
            await self.router.run(await self.router.owner(key), scripts.lift_fence(key, nonce))

    async def lift_fences(self, fences: Sequence[tuple[str, bytes]]) -> None:
        """Lift the fences of many writes, each a key and a nonce, in one round trip to each primary concerned."""
        with redis_operation("lift_fences"):
            await self.router.run_many([scripts.lift_fence(key, nonce) for key, nonce in fences])

    async def close(self) -> None:
        """Close every connection."""
        going_on = [*self._unanswered.values(), *([self._suspecting] if self._suspecting else [])]
        if going_on:
            await asyncio.wait(going_on)
        await self.topology.close()


def _is_silent(asked: asyncio.Task[None]) -> bool:
    return not asked.done() or isinstance(asked.exception(), TimeoutError | RedisTimeoutError)
