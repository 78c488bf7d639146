"""The Lua scripts that change a key: one typed function for each file of `cache/lua`.

A file begins by giving names to KEYS and ARGV. Importing this module fails unless each function has the arguments that
its file names, in the same order, and unless the constants of the files are those of Python.
"""

import hashlib
import inspect
import re
from collections.abc import Callable
from dataclasses import dataclass
from importlib import resources
from typing import TypeVar

from mylist.cache.cached_value import FENCE_TAG
from mylist.domain.packed_list import COUNTS_OFFSET, LIST_TAG

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

    def __call__(self, key: str, *arguments: bytes | int) -> "ScriptCall":
        """Return the call of the script for a key."""
        return ScriptCall(self, key, arguments)


@dataclass(frozen=True, slots=True)
class ScriptCall:
    """One call of a script, to be sent to the primary of its key."""

    script: Script
    key: str
    arguments: tuple[bytes | int, ...]

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


@_runs(HEARTBEAT)
def heartbeat(key: str, lifetime_ms: int) -> ScriptCall:
    """Write `key`, which belongs to no user; returns what INFO says of the replication, if anything."""
    return HEARTBEAT(key, lifetime_ms)


@_runs(PLACE_LEASE)
def place_lease(key: str, lease: bytes, lifetime_ms: int, epoch: bytes) -> ScriptCall:
    """Place a lease on a key that holds nothing; returns what the key holds otherwise, None if the lease was placed."""
    return PLACE_LEASE(key, lease, lifetime_ms, epoch)


@_runs(FILL)
def fill(key: str, lease: bytes, stamped_list: bytes, lifetime_ms: int) -> ScriptCall:
    """Replace a lease that still stands by a list; returns 1 if it did, else 0."""
    return FILL(key, lease, stamped_list, lifetime_ms)


@_runs(DROP_LEASE)
def drop_lease(key: str, lease: bytes) -> ScriptCall:
    """Delete a lease that still stands."""
    return DROP_LEASE(key, lease)


@_runs(PLACE_FENCE)
def place_fence(key: str, nonce: bytes, lifetime_ms: int, max_items: int, epoch: bytes) -> ScriptCall:
    """Fence a key for one write; returns the number of items that were cached, -1 for no list."""
    return PLACE_FENCE(key, nonce, lifetime_ms, max_items, epoch)


@_runs(LIFT_FENCE)
def lift_fence(key: str, nonce: bytes) -> ScriptCall:
    """Take the nonce of one write out of a fence, or delete what the key holds without one."""
    return LIFT_FENCE(key, nonce)
