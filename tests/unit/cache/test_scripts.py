"""A Lua script and the Python function that calls it must agree."""

from importlib import resources

import pytest

from mylist.cache import commands as scripts
from mylist.cache.commands import Script, ScriptCall, ScriptMismatchError, check

SOURCE = """
local key = KEYS[1]    -- the key
local lease = ARGV[1]  -- the lease
local epoch = ARGV[2]

local LIST_TAG = 'L'

return redis.call('SET', key, lease .. epoch .. LIST_TAG)
"""
SCRIPT = Script(SOURCE)


def call(key: str, lease: bytes, epoch: bytes) -> ScriptCall:
    return SCRIPT(key, lease, epoch)


def test_a_function_that_fits_its_script_is_accepted() -> None:
    check(SCRIPT, call)

    assert call("key", b"lease", b"epoch").by_source() == ("EVAL", SOURCE, 1, "key", b"lease", b"epoch")
    assert call("key", b"lease", b"epoch").by_digest()[:3] == ("EVALSHA", SCRIPT.digest, 1)


def renamed(key: str, nonce: bytes, epoch: bytes) -> ScriptCall:
    return SCRIPT(key, nonce, epoch)


def in_another_order(key: str, epoch: bytes, lease: bytes) -> ScriptCall:
    return SCRIPT(key, lease, epoch)


def incomplete(key: str, lease: bytes) -> ScriptCall:
    return SCRIPT(key, lease)


def mixed_up(key: str, lease: bytes, epoch: bytes) -> ScriptCall:
    return SCRIPT(key, epoch, lease)


def of_another_script(key: str, lease: bytes, epoch: bytes) -> ScriptCall:
    return Script("return 1")(key, lease, epoch)


@pytest.mark.parametrize("function", [renamed, in_another_order, incomplete, mixed_up, of_another_script])
def test_a_function_that_does_not_fit_its_script_is_refused(function: scripts.Call) -> None:
    with pytest.raises(ScriptMismatchError, match=function.__name__):
        check(SCRIPT, function)


@pytest.mark.parametrize(
    ("line", "instead"),
    [
        ("local key = KEYS[1]", "local key = KEYS[2]"),
        ("local epoch = ARGV[2]", "local epoch = ARGV[3]"),
        ("local lease = ARGV[1]", "local nonce = ARGV[1]"),
        ("local epoch = ARGV[2]\n", ""),
        ("lease .. epoch", "ARGV[1] .. epoch"),
        ("local LIST_TAG = 'L'", "local LIST_TAG = 'l'"),
        ("local LIST_TAG = 'L'", "local UNKNOWN = 'L'"),
    ],
)
def test_a_script_that_does_not_fit_its_function_is_refused(
    monkeypatch: pytest.MonkeyPatch, line: str, instead: str
) -> None:
    assert line in SOURCE
    changed = Script(SOURCE.replace(line, instead))
    monkeypatch.setitem(globals(), "SCRIPT", changed)

    with pytest.raises(ScriptMismatchError, match="call"):
        check(changed, call)


def test_every_lua_file_has_a_script_with_its_name() -> None:
    files = [file.name for file in resources.files("mylist.cache").joinpath("lua").iterdir()]

    assert {name.removesuffix(".lua").upper() for name in files} <= vars(scripts).keys()
