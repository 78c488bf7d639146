"""The commands of the cache protocol that change a key (`mylist.cache.list_cache` says when).

Each is a Lua script, a file of `cache/lua`, which begins by giving names to KEYS and ARGV, and one typed function that
calls it. Importing this module fails unless each function has the arguments that its file names, in the same order, and
unless the constants of the files are those of Python.

Any failure to get an answer is `CacheUnavailableError`. A command that failed this way may still take effect later, and
the protocol allows for that.
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

# Of all heartbeats of all processes, one really writes in this time.
_PROBE_LIFETIME_MS = 10_000
# In Lua. None of the tags needs escaping.
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
        digest: the name that Redis knows it by once it was loaded.
    """

    def __init__(self, source: str) -> None:
        self.source = source
        self.digest = hashlib.sha1(source.encode(), usedforsecurity=False).hexdigest()

    def __call__(self, key: str, *arguments: bytes | str | int) -> "ScriptCall":
        """Return the call of the script for a key."""
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
        """Return the command for a server that has not; it loads the script."""
        return ("EVAL", self.script.source, 1, self.key, *self.arguments)


Call = Callable[..., ScriptCall]
"""A function that calls a script with its own arguments."""
_Call = TypeVar("_Call", bound=Call)


def check(script: Script, function: Call) -> None:
    """Check that a function calls a script as the first lines of the script say.

    Raises:
        ScriptMismatchError: it does not, or the script has a constant that differs from Python's.
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
    if call != ScriptCall(script, names[0], tuple(names[1:])):  # names in place of values
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
    """The calls of the scripts, each with its types."""

    @staticmethod
    @_runs(HEARTBEAT)
    def heartbeat(key: str, reign: str, lifetime_ms: int) -> ScriptCall:
        """Announce a reign at `key`, which belongs to no user.

        Returns the reign that was announced there, None for none, and what INFO says of the replication, if anything.
        """
        return HEARTBEAT(key, reign, lifetime_ms)

    @staticmethod
    @_runs(PLACE_LEASE)
    def place_lease(key: str, lease: bytes, lifetime_ms: int, epoch: bytes) -> ScriptCall:
        """Place a lease on a key that holds nothing; returns what it holds otherwise, None if the lease was placed."""
        return PLACE_LEASE(key, lease, lifetime_ms, epoch)

    @staticmethod
    @_runs(FILL)
    def fill(key: str, lease: bytes, stamped_list: bytes, lifetime_ms: int) -> ScriptCall:
        """Replace a lease that still stands by a list; returns 1 if it did, else 0."""
        return FILL(key, lease, stamped_list, lifetime_ms)

    @staticmethod
    @_runs(DROP_LEASE)
    def drop_lease(key: str, lease: bytes) -> ScriptCall:
        """Delete a lease that still stands."""
        return DROP_LEASE(key, lease)

    @staticmethod
    @_runs(PLACE_FENCE)
    def place_fence(key: str, nonce: bytes, lifetime_ms: int, max_items: int, epoch: bytes) -> ScriptCall:
        """Fence a key for one write; returns the number of items that were cached, -1 for no list."""
        return PLACE_FENCE(key, nonce, lifetime_ms, max_items, epoch)

    @staticmethod
    @_runs(LIFT_FENCE)
    def lift_fence(key: str, nonce: bytes) -> ScriptCall:
        """Take the nonce of one write out of a fence, or delete what the key holds without one."""
        return LIFT_FENCE(key, nonce)


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
    """The commands that the protocol is made of, without reads (`mylist.cache.read_batcher`).

    Every coroutine raises `CacheUnavailableError` when Redis does not answer in time, or refuses.

    Attributes:
        topology: the primaries.
        router: finds them by key, and follows their redirections.
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
        """Check that every primary answers, and would take a fence.

        Raises:
            SomePrimariesAwayError: not every one does; else as all coroutines here.
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
        """Draw a read lease for a key, of the epoch of its primary."""
        primary = self.topology.owner(key)
        return cached_value.new_lease(primary.epoch if primary else bytes(EPOCH_BYTES))

    async def place_lease(self, key: str, lease: bytes, *, lifetime_ms: int) -> bytes | None:
        """Place a read lease on a key that holds nothing; return what it holds otherwise, None if it was placed."""
        with _operation("place_lease"):
            primary = await self._owner(key)
            call = _Calls.place_lease(key, lease, lifetime_ms, primary.epoch)
            held: bytes | None = await self._run(primary, call)
            return held

    async def fill(self, key: str, lease: bytes, packed_list: bytes, *, lifetime_ms: int) -> bool:
        """Replace a lease that still stands by the list; return whether it did."""
        with _operation("fill"):
            primary = await self._owner(key)
            # With the epoch of the lease: whoever trusts the list in this epoch knows of every fence placed since.
            stamped = cached_value.stamped(packed_list, cached_value.epoch_of(lease))
            return bool(await self._run(primary, _Calls.fill(key, lease, stamped, lifetime_ms)))

    async def drop_lease(self, key: str, lease: bytes) -> None:
        """Delete a lease that will not be used, if it still stands."""
        with _operation("drop_lease"):
            await self._run(await self._owner(key), _Calls.drop_lease(key, lease))

    async def place_fence(self, key: str, nonce: bytes, *, lifetime_ms: int, max_items: int = 0) -> int | None:
        """Fence a key for one write; return the number of items that were cached, None if no list was.

        A list that has `max_items` already is not fenced (0: any list is).
        """
        with _operation("place_fence"):
            primary = await self._owner(key)
            call = _Calls.place_fence(key, nonce, lifetime_ms, max_items, primary.epoch)
            cached = int(await self._run(primary, call))
        return None if cached < 0 else cached

    async def lift_fence(self, key: str, nonce: bytes) -> None:
        """Take one write's nonce out of the fence; leave nothing that could predate the write."""
        with _operation("lift_fence"):
            await self._run(await self._owner(key), _Calls.lift_fence(key, nonce))

    async def lift_fences(self, fences: Sequence[tuple[str, bytes]]) -> None:
        """Lift the fences of many writes, each a key and a nonce, in one round trip to each primary concerned."""
        with _operation("lift_fences"):
            calls = [_Calls.lift_fence(key, nonce) for key, nonce in fences]
            places = await self.router.places_by_owner(call.key for call in calls)
            await asyncio.gather(
                *(self._run_all(primary, [calls[place] for place in theirs]) for primary, theirs in places.items())
            )

    async def look(self, key: str) -> tuple[bytes | None, int | None]:
        """Return what a key holds as it stands there, and how many milliseconds it lives.

        The latter is None where the server does not say: the command `PTTL` is none that the service needs otherwise.
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
        """Run a script at the primary of its key, or where that one redirects; return the answer."""
        try:
            return await primary.execute(*call.by_digest())
        except NoScriptError:  # not loaded yet, or not any more; this loads it
            return await self.router.send(primary, call.key, *call.by_source())
        except AskError as redirection:  # where the script may not be loaded
            return await self.router.redirect(redirection, primary, call.key, *call.by_source())

    async def _run_all(self, primary: Primary, calls: Sequence[ScriptCall]) -> None:
        """Run scripts at the primary of their keys, in one round trip unless it redirects."""
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
