"""What is said to Redis: each command and each Lua script as one typed function.

A key holds one of four things, told apart by the first byte:

    nothing
    L<reign>…         a list (`mylist.lists.value`; the reign comes after its first byte)
    R<nonce><reign>   a read lease: whoever placed it may fill the key, if it still stands then
    W<nonce>…         a write fence: one nonce for each write under way; nobody may fill the key

The reign is that of the primary (`mylist.cache.primaries`) when the lease was placed. A list of another reign counts as
nothing: the primary that took over, or started again from a dump, may have missed the fence that replaced it.

Any failure to get an answer is `CacheUnavailableError`; a command that failed this way may still take effect later, and
the protocol allows for that.
"""

import asyncio
import hashlib
import os
from collections.abc import Sequence
from types import TracebackType
from typing import Any

from redis.exceptions import AskError, MovedError, NoScriptError

from mylist import metrics, tracing
from mylist.cache.channel import Refusal
from mylist.cache.primaries import FAILURES, REIGN_SIZE, Primaries, Primary
from mylist.errors import CacheUnavailableError
from mylist.lists.value import LIST_TAG

LEASE_TAG = b"R"
FENCE_TAG = b"W"
NONCE_SIZE = 8

Wanted = tuple[str, int | None]
"""A key, and how many bytes of a list are wanted at least, of which it may hold fewer; None for all."""

# Long enough that of all the heartbeats one in a thousand writes.
_PROBE_LIFETIME = 10_000

# KEYS: a key of no user. ARGV: its lifetime (ms). Says who the server is, if it lets this client write.
HEARTBEAT = """
redis.call('SET', KEYS[1], '', 'NX', 'PX', ARGV[1])
return redis.call('INFO', 'replication')
"""

# KEYS: the list. ARGV: lease, its lifetime (ms), reign. Answers what the key holds if that is no list of another reign.
PLACE_LEASE = """
local tag = redis.call('GETRANGE', KEYS[1], 0, 0)
if tag ~= '' and (tag ~= 'L' or redis.call('GETRANGE', KEYS[1], 1, #ARGV[3]) == ARGV[3]) then
    return redis.call('GET', KEYS[1])
end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return false
"""

# KEYS: the list. ARGV: nonce, fence lifetime (ms), most items the list may have (0: do not look), reign.
# Answers the number of items of the list that was cached, -1 when none was. A list that is full is left as it is.
PLACE_FENCE = """
local cached = -1
local tag = redis.call('GETRANGE', KEYS[1], 0, 0)
if tag == 'W' then
    redis.call('APPEND', KEYS[1], ARGV[1])
    redis.call('PEXPIRE', KEYS[1], ARGV[2])
    return cached
end
if tag == 'L' and redis.call('GETRANGE', KEYS[1], 1, #ARGV[4]) == ARGV[4] then
    local movies, shows = struct.unpack('>I4I4', redis.call('GETRANGE', KEYS[1], #ARGV[4] + 4, #ARGV[4] + 11))
    cached = movies + shows
    local most = tonumber(ARGV[3])
    if most > 0 and cached >= most then
        return cached
    end
end
redis.call('SET', KEYS[1], 'W' .. ARGV[1], 'PX', ARGV[2])
return cached
"""

# KEYS: the list. ARGV: nonce. Without a fence whatever is there may predate the write, so it goes.
LIFT_FENCE = """
local tag = redis.call('GETRANGE', KEYS[1], 0, 0)
if tag ~= 'W' then
    return redis.call('DEL', KEYS[1])
end
local held = redis.call('GET', KEYS[1])
local others = {}
for at = 2, #held, #ARGV[1] do
    local nonce = string.sub(held, at, at + #ARGV[1] - 1)
    if nonce ~= ARGV[1] then
        others[#others + 1] = nonce
    end
end
if #others == 0 then
    return redis.call('DEL', KEYS[1])
end
redis.call('SET', KEYS[1], 'W' .. table.concat(others), 'KEEPTTL')
return 0
"""

# KEYS: the list. ARGV: the lease as it was placed, the list, its lifetime (ms). Answers 1 when it was stored.
FILL = """
if redis.call('GETRANGE', KEYS[1], 0, #ARGV[1]) ~= ARGV[1] then
    return 0
end
redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
return 1
"""


# KEYS: the list. ARGV: the lease as it was placed.
DROP_LEASE = """
if redis.call('GETRANGE', KEYS[1], 0, #ARGV[1]) == ARGV[1] then
    redis.call('DEL', KEYS[1])
end
return 0
"""


def new_nonce() -> bytes:
    """Draws the nonce of one write or one lease."""
    return os.urandom(NONCE_SIZE)


def holds(tag: bytes, held: bytes) -> bool:
    """Says whether what a key holds is of the kind that `tag` names."""
    return held[:1] == tag


class CacheCommands:
    """The commands that the protocol is made of.

    Every method but the synchronous ones raises `CacheUnavailableError` when Redis does not answer in time, or refuses.
    """

    def __init__(self, primaries: Primaries) -> None:
        self._primaries = primaries
        self._heartbeat = _Script(HEARTBEAT)
        self._place_lease = _Script(PLACE_LEASE)
        self._place_fence = _Script(PLACE_FENCE)
        self._lift_fence = _Script(LIFT_FENCE)
        self._fill = _Script(FILL)
        self._drop_lease = _Script(DROP_LEASE)

    @property
    def changes(self) -> int:
        """How often it has become known that Redis may have lost something; see `Primaries`."""
        return self._primaries.changes

    @property
    def takeovers(self) -> int:
        """How often other servers than before were found to be the primaries; see `Primaries`."""
        return self._primaries.takeovers

    async def ping(self) -> None:
        """Makes sure that every primary answers, and would take a fence."""
        with _command("heartbeat"):
            await self._primaries.watch()
            try:
                await asyncio.gather(*map(self._ping, self._primaries.all))
            except FAILURES:
                await self._primaries.suspect()
                raise

    async def _ping(self, primary: Primary) -> None:
        primary.learn(await self._run(primary, self._heartbeat, primary.probe, _PROBE_LIFETIME))

    async def get_many(self, wanted: Sequence[Wanted]) -> list[bytes | None]:
        """Gives what each key holds, as much of it as is wanted, in one round trip to each primary concerned."""
        with _command("get"):
            if self._primaries.sharded:
                return await self._get_sharded(wanted)
            return await self._get_from(await self._owner(wanted[0][0]), wanted)

    async def _get_sharded(self, wanted: Sequence[Wanted]) -> list[bytes | None]:
        places: dict[Primary, list[int]] = {}
        for place, (key, _) in enumerate(wanted):
            places.setdefault(await self._owner(key), []).append(place)
        held: list[bytes | None] = [None] * len(wanted)

        async def get_from(primary: Primary, places: list[int]) -> None:
            answers = await self._get_from(primary, [wanted[place] for place in places])
            for place, answer in zip(places, answers, strict=True):
                held[place] = answer

        await asyncio.gather(*(get_from(primary, theirs) for primary, theirs in places.items()))
        return held

    async def _get_from(self, primary: Primary, wanted: Sequence[Wanted]) -> list[bytes | None]:
        answers = await primary.channel.ask([("GETRANGE", key, 0, _last(size)) for key, size in wanted])
        for place, answer in enumerate(answers):
            if isinstance(answer, Refusal):  # not held there, or no string: the long way, which sees nothing then
                key, size = wanted[place]
                (whole,) = await self._send(primary, key, "MGET", key)
                answers[place] = whole and whole[: _last(size) + 1 or None]
        return [_valid(answer, primary) for answer in answers]

    def new_lease(self, key: str) -> bytes:
        """Draws a read lease for a key, of the reign of its primary."""
        primary = self._primaries.owner(key)
        return LEASE_TAG + new_nonce() + (primary.reign if primary else bytes(REIGN_SIZE))

    async def place_lease(self, key: str, lease: bytes, *, milliseconds: int) -> bytes | None:
        """Places a read lease on a key that holds nothing; gives what it holds otherwise, None when it was placed."""
        with _command("place_lease"):
            primary = await self._owner(key)
            return _valid(await self._run(primary, self._place_lease, key, lease, milliseconds, primary.reign), primary)

    async def fill(self, key: str, lease: bytes, value: bytes, *, milliseconds: int) -> bool:
        """Replaces a lease that still stands by the list; says whether it did."""
        with _command("fill"):
            primary = await self._owner(key)
            # Of the reign of the lease: from then on every fence is known to whoever believes this list.
            return bool(
                await self._run(primary, self._fill, key, lease, stamped(value, lease[-REIGN_SIZE:]), milliseconds)
            )

    async def drop_lease(self, key: str, lease: bytes) -> None:
        """Takes away a lease that will not be used, if it still stands."""
        with _command("drop_lease"):
            await self._run(await self._owner(key), self._drop_lease, key, lease)

    async def place_fence(self, key: str, nonce: bytes, *, milliseconds: int, most_items: int = 0) -> int | None:
        """Fences a key for one write; gives the number of items that were cached, None when no list was.

        A list that has `most_items` already is not fenced (0: whatever it has).
        """
        with _command("place_fence"):
            primary = await self._owner(key)
            cached = int(
                await self._run(primary, self._place_fence, key, nonce, milliseconds, most_items, primary.reign)
            )
        return None if cached < 0 else cached

    async def lift_fence(self, key: str, nonce: bytes) -> None:
        """Takes one write's nonce out of the fence; leaves nothing that could predate the write."""
        with _command("lift_fence"):
            await self._run(await self._owner(key), self._lift_fence, key, nonce)

    async def lift_fences(self, fences: Sequence[tuple[str, bytes]]) -> None:
        """Lifts the fences of many writes, each a key and a nonce, in one round trip to each primary concerned."""
        with _command("lift_fences"):
            places: dict[Primary, list[tuple[str, bytes]]] = {}
            for key, nonce in fences:
                places.setdefault(await self._owner(key), []).append((key, nonce))
            await asyncio.gather(*(self._lift_at(primary, theirs) for primary, theirs in places.items()))

    async def _lift_at(self, primary: Primary, fences: Sequence[tuple[str, bytes]]) -> None:
        pipeline = primary.client.pipeline(transaction=False)
        for key, nonce in fences:
            pipeline.execute_command("EVALSHA", self._lift_fence.digest, 1, key, nonce)
        for (key, nonce), answer in zip(fences, await pipeline.execute(raise_on_error=False), strict=True):
            if isinstance(answer, (NoScriptError, AskError)):  # not loaded there, or not held there: the long way
                await self._run(await self._owner(key), self._lift_fence, key, nonce)
            elif isinstance(answer, Exception):
                raise answer

    async def close(self) -> None:
        """Closes every connection."""
        await self._primaries.close()

    async def _owner(self, key: str) -> Primary:
        return self._primaries.owner(key) or await self._primaries.owner_after(key, None)

    async def _run(self, primary: Primary, script: "_Script", key: str, *arguments: bytes | int) -> Any:  # noqa: ANN401 - as Redis answers
        try:
            return await self._send(primary, key, "EVALSHA", script.digest, 1, key, *arguments)
        except NoScriptError:  # not yet, or not any more; this loads it
            return await self._send(primary, key, "EVAL", script.source, 1, key, *arguments)

    async def _send(self, primary: Primary, key: str, *command: str | bytes | int) -> Any:  # noqa: ANN401 - as Redis answers
        try:
            return await primary.execute(*command)
        except AskError as redirection:
            return await self._redirect(redirection, primary, key, *command)

    async def _redirect(self, redirection: AskError, former: Primary, key: str, *command: str | bytes | int) -> Any:  # noqa: ANN401 - as Redis answers
        """Sends a command again, to where the primary that had the key says that it is."""
        if isinstance(redirection, MovedError):
            owner = await self._primaries.owner_after(key, former)
            return await owner.execute(*command)
        # The key's slot is being moved, and this key is not there any more.
        host, port = redirection.node_addr
        importing = self._primaries.at((host or former.address[0], port))
        pipeline = importing.client.pipeline(transaction=False)
        pipeline.execute_command("ASKING")
        pipeline.execute_command(*command)
        return (await pipeline.execute())[-1]


class _Script:
    """A script and the digest that Redis knows it by."""

    def __init__(self, source: str) -> None:
        self.source = source
        self.digest = hashlib.sha1(source.encode(), usedforsecurity=False).hexdigest()


def stamped(value: bytes, reign: bytes) -> bytes:
    """Gives a list as Redis holds it, with the reign that it was loaded in."""
    return value[:1] + reign + value[1:]


def _last(size: int | None) -> int:
    """Gives the place of the last byte that Redis has to give of so many of a list."""
    return -1 if size is None else size + REIGN_SIZE - 1


def _valid(held: bytes | None, primary: Primary) -> bytes | None:
    """Gives what a key holds without the reign of a list; nothing for a list of another reign."""
    if not held:  # where there is nothing, there is no byte either
        return None
    if not holds(LIST_TAG, held):
        return held
    return held[:1] + held[1 + REIGN_SIZE :] if held.startswith(primary.reign, 1) else None


class _command:  # noqa: N801 - used like a function
    """Surrounds one of the protocol's commands: measures it, traces it, and says in one way that it failed."""

    __slots__ = ("_measured", "_traced")

    def __init__(self, name: str) -> None:
        self._traced = tracing.operation("redis", name)
        self._measured = metrics.operation("redis", name)

    def __enter__(self) -> None:
        self._traced.__enter__()
        self._measured.__enter__()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._measured.__exit__(kind, error, traceback)
        self._traced.__exit__(kind, error, traceback)
        if isinstance(error, FAILURES):
            raise CacheUnavailableError from error
