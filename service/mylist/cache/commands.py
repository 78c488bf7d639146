"""The commands of the cache protocol that change a key. `mylist.cache.list_cache` describes when each is sent.

Each command is a Lua script in `cache/lua`, whose first lines name its KEYS and ARGV, and one typed function that calls
the script. Importing this module fails if a function's arguments differ in name or order from those of its script, or
if a constant of a script differs from Python's.

Every failure to get an answer raises `CacheUnavailableError`. A command that failed this way may still take effect
later. The protocol allows for that.
"""

import asyncio
import hashlib
import inspect
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from types import TracebackType
from typing import Any, TypeVar

from redis.exceptions import AskError, NoPermissionError, NoScriptError, RedisError
from redis.exceptions import TimeoutError as RedisTimeoutError

from mylist.background import spawn
from mylist.cache import cached_value
from mylist.cache.cached_value import EPOCH_BYTES, FENCE_TAG
from mylist.cache.topology.base import REDIS_ERRORS, Primary, Topology, name_of
from mylist.cache.topology.command_router import Router
from mylist.domain.errors import CacheUnavailableError
from mylist.domain.packed_list import COUNTS_OFFSET, LIST_TAG
from mylist.domain.reign import NO_REIGN
from mylist.telemetry import metrics, tracing

# In this time, only one of all heartbeats of all processes writes the key.
_PROBE_LIFETIME_MS = 10_000
# As Lua literals. No tag needs escaping.
_CONSTANTS = {
    "LIST_TAG": f"'{LIST_TAG.decode()}'",
    "FENCE_TAG": f"'{FENCE_TAG.decode()}'",
    "COUNTS_OFFSET": str(COUNTS_OFFSET),
}
_ARGUMENT = re.compile(r"^local (\w+) = ((?:KEYS|ARGV)\[\d+\])\s*(?:--.*)?$", re.MULTILINE)
_USE_BY_NUMBER = re.compile(r"KEYS|ARGV")
_CONSTANT = re.compile(r"^local ([A-Z_]+) = (.+)$", re.MULTILINE)


class ScriptMismatchError(Exception):
    """A Lua file and its Python function disagree."""


class Script:
    """A Lua script.

    Attributes:
        source: its text.
        digest: the name by which Redis knows it after loading it.
    """

    def __init__(self, source: str) -> None:
        self.source = source
        self.digest = hashlib.sha1(source.encode(), usedforsecurity=False).hexdigest()

    def __call__(self, key: str, *arguments: bytes | str | int) -> "ScriptCall":
        """Return a call of the script for a key."""
        return ScriptCall(self, key, arguments)


@dataclass(frozen=True, slots=True)
class ScriptCall:
    """One call of a script, to be sent to the primary of its key."""

    script: Script
    key: str
    arguments: tuple[bytes | str | int, ...]

    def by_digest(self) -> tuple[str | bytes | int, ...]:
        """Return the command for a server that has loaded the script."""
        return ("EVALSHA", self.script.digest, 1, self.key, *self.arguments)

    def by_source(self) -> tuple[str | bytes | int, ...]:
        """Return the command for a server that has not loaded the script; it loads the script."""
        return ("EVAL", self.script.source, 1, self.key, *self.arguments)


Call = Callable[..., ScriptCall]
"""A function that passes its arguments to a script."""
_Call = TypeVar("_Call", bound=Call)


def check(script: Script, function: Call) -> None:
    """Check that a function's arguments match the first lines of a script.

    Raises:
        ScriptMismatchError: they do not match, or a constant of the script differs from Python's.
    """
    name = function.__name__
    declared = _ARGUMENT.findall(script.source)
    names = [argument for argument, _ in declared]
    places = [place for _, place in declared]
    if places != ["KEYS[1]", *(f"ARGV[{number}]" for number in range(1, len(places)))]:
        raise ScriptMismatchError(f"{name}.lua must name KEYS[1], then each of ARGV in order; it names {places}")
    if len(_USE_BY_NUMBER.findall(script.source)) != len(places):
        raise ScriptMismatchError(f"{name}.lua must use KEYS and ARGV by name only")
    parameters = list(inspect.signature(function).parameters)
    if parameters != names:
        raise ScriptMismatchError(f"{name}.lua takes {names}, and the function {name} takes {parameters}")
    call = function(*names)
    if call != ScriptCall(script, names[0], tuple(names[1:])):  # the names instead of values
        raise ScriptMismatchError(f"the function {name} must pass its arguments to {name}.lua in order: {call}")
    for constant, value in _CONSTANT.findall(script.source):
        if value != _CONSTANTS.get(constant):
            raise ScriptMismatchError(f"{name}.lua has {constant} = {value}; it must be {_CONSTANTS.get(constant)}")


def _load(name: str) -> Script:
    return Script(resources.files(__package__).joinpath("lua", f"{name}.lua").read_text(encoding="utf-8"))


def _runs(script: Script) -> Callable[[_Call], _Call]:
    def decorate(function: _Call) -> _Call:
        check(script, function)
        return function

    return decorate


HEARTBEAT = _load("heartbeat")
PLACE_LEASE = _load("place_lease")
FILL = _load("fill")
DROP_LEASE = _load("drop_lease")
PLACE_FENCE = _load("place_fence")
LIFT_FENCE = _load("lift_fence")


class _Calls:
    """The calls of the scripts, each with typed arguments."""

    @staticmethod
    @_runs(HEARTBEAT)
    def heartbeat(key: str, reign: str, lifetime_ms: int) -> ScriptCall:
        """Announce a reign at `key`, which belongs to no user.

        Returns the reign that was announced there before (None: none), and the answer to `INFO replication` if the
        server gave one.
        """
        return HEARTBEAT(key, reign, lifetime_ms)

    @staticmethod
    @_runs(PLACE_LEASE)
    def place_lease(key: str, lease: bytes, lifetime_ms: int, epoch: bytes) -> ScriptCall:
        """Place a lease on an empty key. Returns None if the lease was placed, else what the key holds."""
        return PLACE_LEASE(key, lease, lifetime_ms, epoch)

    @staticmethod
    @_runs(FILL)
    def fill(key: str, lease: bytes, stamped_list: bytes, lifetime_ms: int) -> ScriptCall:
        """Replace a lease that is still there with a list. Returns 1 if it replaced the lease, else 0."""
        return FILL(key, lease, stamped_list, lifetime_ms)

    @staticmethod
    @_runs(DROP_LEASE)
    def drop_lease(key: str, lease: bytes) -> ScriptCall:
        """Delete a lease that is still there."""
        return DROP_LEASE(key, lease)

    @staticmethod
    @_runs(PLACE_FENCE)
    def place_fence(key: str, nonce: bytes, lifetime_ms: int, max_items: int, epoch: bytes) -> ScriptCall:
        """Fence a key for one write. Returns the number of items of the cached list, -1 if no list was cached."""
        return PLACE_FENCE(key, nonce, lifetime_ms, max_items, epoch)

    @staticmethod
    @_runs(LIFT_FENCE)
    def lift_fence(key: str, nonce: bytes) -> ScriptCall:
        """Remove the nonce of one write from a fence. A key without a fence is deleted."""
        return LIFT_FENCE(key, nonce)


class SomePrimariesAwayError(CacheUnavailableError):
    """Some primaries of a Cluster do not answer; the others do.

    Attributes:
        failures: why each silent primary did not answer.
        answered: the primaries that answered.
    """

    def __init__(self, failures: Mapping[Primary, Exception], answered: Sequence[Primary]) -> None:
        super().__init__()
        self.failures = failures
        self.answered = answered


class _operation:  # noqa: N801 - used like a function
    """Measure and trace one operation, and turn every failure of Redis into `CacheUnavailableError`."""

    __slots__ = ("_measured", "_traced")

    def __init__(self, name: str) -> None:
        self._traced = tracing.operation("redis", name) if tracing.in_flight else None
        self._measured = metrics.operation("redis", name)

    def __enter__(self) -> None:
        if self._traced:
            self._traced.__enter__()
        self._measured.__enter__()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._measured.__exit__(kind, error, traceback)
        if self._traced:
            self._traced.__exit__(kind, error, traceback)
        if isinstance(error, REDIS_ERRORS):
            raise CacheUnavailableError from error


class CacheCommands:
    """The commands of the protocol, except reads (`mylist.cache.read_batcher`).

    Every coroutine raises `CacheUnavailableError` if Redis does not answer in time or rejects the command.

    Attributes:
        topology: the primaries.
        router: finds the primary of a key and follows redirections.
        reign: returns the reign that a heartbeat announces.
    """

    def __init__(self, topology: Topology) -> None:
        self.topology = topology
        self.router = Router(topology)
        self.reign: Callable[[], str] = lambda: NO_REIGN
        self._suspecting: asyncio.Task[None] | None = None
        self._unanswered: dict[Primary, asyncio.Task[None]] = {}
        self._silent: set[Primary] = set()

    async def ping(self) -> None:
        """Check that every primary answers and would accept a fence.

        Raises:
            SomePrimariesAwayError: some primaries do not answer, and others do.
            CacheUnavailableError: no primary answers, or it is unknown which servers are the primaries.
        """
        with _operation("heartbeat"):
            await self.topology.watch()
            primaries = self.topology.all
            failures = await self._ask(primaries)
            if not failures:
                return
            first = next(iter(failures.values()))
            if len(failures) == len(primaries):
                await self.topology.suspect()
                raise first
            # Heartbeats to the other primaries go on meanwhile. A silent primary delays none of them.
            if self._suspecting is None or self._suspecting.done():
                self._suspecting = spawn(self.topology.suspect())
            raise SomePrimariesAwayError(failures, [each for each in primaries if each not in failures]) from first

    async def _ask(self, primaries: Sequence[Primary]) -> dict[Primary, Exception]:
        """Send each primary a heartbeat; return why the silent ones have not answered.

        Wait only for the primaries that did not time out last time, or for all if all timed out. A silent primary thus
        delays no heartbeat of the others.
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
            elif primary in late:  # this answer belongs to an earlier heartbeat; wait for it at the next one
                failures[primary] = RedisTimeoutError(f"{name_of(primary.client)} answers too late")
        self._unanswered = {primary: each for primary, each in asked.items() if not each.done()}
        self._silent = {primary for primary in failures if _is_silent(asked[primary])}
        return failures

    async def _ping(self, primary: Primary) -> None:
        announced = self.reign()
        call = self._run(primary, _Calls.heartbeat(primary.probe, announced, _PROBE_LIFETIME_MS))
        if not primary.is_asked_apart:
            found, info = await call
        else:
            answers = await asyncio.gather(call, primary.ask())
            found, info = answers[0][0], answers[0][1] + answers[1]
        if not info:
            info = await primary.ask()
        primary.learn(info)
        primary.reign_answer = announced, None if found is None else found.decode()

    def new_lease(self, key: str) -> bytes:
        """Return a new read lease for a key, of its primary's epoch."""
        primary = self.topology.owner(key)
        return cached_value.new_lease(primary.epoch if primary else bytes(EPOCH_BYTES))

    async def place_lease(self, key: str, lease: bytes, *, lifetime_ms: int) -> bytes | None:
        """Place a read lease on an empty key. Return None if it was placed, else what the key holds."""
        with _operation("place_lease"):
            primary = await self._owner(key)
            call = _Calls.place_lease(key, lease, lifetime_ms, primary.epoch)
            held: bytes | None = await self._run(primary, call)
            return held

    async def fill(self, key: str, lease: bytes, packed_list: bytes, *, lifetime_ms: int) -> bool:
        """Replace a lease that is still there with the list; return whether it was replaced."""
        with _operation("fill"):
            primary = await self._owner(key)
            # With the epoch of the lease: a process that trusts lists of this epoch knows of every fence placed since.
            stamped = cached_value.stamped(packed_list, cached_value.epoch_of(lease))
            return bool(await self._run(primary, _Calls.fill(key, lease, stamped, lifetime_ms)))

    async def drop_lease(self, key: str, lease: bytes) -> None:
        """Delete a lease that will not be used, if it is still there."""
        with _operation("drop_lease"):
            await self._run(await self._owner(key), _Calls.drop_lease(key, lease))

    async def place_fence(self, key: str, nonce: bytes, *, lifetime_ms: int, max_items: int = 0) -> int | None:
        """Fence a key for one write. Return the number of items of the cached list, None if no list was cached.

        A list that already has `max_items` items is not fenced (0: every list is fenced).
        """
        with _operation("place_fence"):
            primary = await self._owner(key)
            call = _Calls.place_fence(key, nonce, lifetime_ms, max_items, primary.epoch)
            cached = int(await self._run(primary, call))
        return None if cached < 0 else cached

    async def lift_fence(self, key: str, nonce: bytes) -> None:
        """Remove one write's nonce from the fence; leave nothing in the key that could predate the write."""
        with _operation("lift_fence"):
            await self._run(await self._owner(key), _Calls.lift_fence(key, nonce))

    async def lift_fences(self, fences: Sequence[tuple[str, bytes]]) -> None:
        """Lift the fences of many writes in one round trip to each primary concerned. A write is a key and a nonce."""
        with _operation("lift_fences"):
            calls = [_Calls.lift_fence(key, nonce) for key, nonce in fences]
            places = await self.router.places_by_owner(call.key for call in calls)
            await asyncio.gather(
                *(self._run_all(primary, [calls[place] for place in theirs]) for primary, theirs in places.items())
            )

    async def look(self, key: str) -> tuple[bytes | None, int | None]:
        """Return the raw value of a key, and its remaining lifetime in milliseconds.

        The lifetime is unknown (None) if the server forbids `PTTL`. The service does not need this command otherwise.
        """
        with _operation("look"):
            owner = await self._owner(key)
            held: bytes | None = await self.router.send(owner, key, "GET", key)
            try:
                lifetime_ms = int(await self.router.send(owner, key, "PTTL", key))
            except NoPermissionError:
                return held, None
        return held, max(lifetime_ms, 0)

    async def _owner(self, key: str) -> Primary:
        return self.topology.single or await self.router.owner(key)

    async def _run(self, primary: Primary, call: ScriptCall) -> Any:  # noqa: ANN401 - as Redis answers
        """Run a script at the primary of its key, or where that primary redirects; return the answer."""
        try:
            return await primary.execute(*call.by_digest())
        except NoScriptError:  # the script is not loaded, or no longer; this call loads it
            return await self.router.send(primary, call.key, *call.by_source())
        except AskError as redirection:  # the script might not be loaded there
            return await self.router.redirect(redirection, primary, call.key, *call.by_source())

    async def _run_all(self, primary: Primary, calls: Sequence[ScriptCall]) -> None:
        """Run scripts at the primary of their keys, in one round trip unless the primary redirects."""
        pipeline = primary.client.pipeline(transaction=False)
        for call in calls:
            pipeline.execute_command(*call.by_digest())
        for call, answer in zip(calls, await pipeline.execute(raise_on_error=False), strict=True):
            if isinstance(answer, (NoScriptError, AskError)):  # the script is not loaded there, or the key is elsewhere
                await self._run(await self._owner(call.key), call)
            elif isinstance(answer, Exception):
                raise answer

    async def close(self) -> None:
        """Close every connection."""
        going_on = [*self._unanswered.values(), *([self._suspecting] if self._suspecting else [])]
        if going_on:
            await asyncio.wait(going_on)
        await self.topology.close()


def _is_silent(asked: asyncio.Task[None]) -> bool:
    return not asked.done() or isinstance(asked.exception(), TimeoutError | RedisTimeoutError)
