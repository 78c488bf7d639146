"""Stores and identity providers whose names are unknown: only the service's own messages are logged."""

import asyncio
import gc
import socket
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

import pytest
import uvloop

from mylist.auth.remote_keys import RemoteKeys
from mylist.cache import clients
from mylist.cache.commands import CacheCommands
from mylist.cache.read_connection import range_command
from mylist.config.settings import Settings
from mylist.mongodb import database

NAME = "nohost.invalid"
STEPS = range(1, 40, 4)
"""Turns of the event loop until the caller gives up: some before the lookup, some during and some after."""
Ask = Callable[[], Awaitable[object]]
Close = Callable[[], Awaitable[None]]


def redis(url: str) -> tuple[Ask, Close]:
    topology = clients.connect(Settings.load({"REDIS_URL": url}))
    return CacheCommands(topology).ping, topology.close


def read(url: str) -> tuple[Ask, Close]:
    """The connection over which lists are read."""
    topology = clients.connect(Settings.load({"REDIS_URL": url}))
    return lambda: topology.all[0].read_connection.ask([range_command("a", -1)]), topology.close


def mongodb() -> tuple[Ask, Close]:
    client = database.connect(Settings.load({"MONGODB_URI": f"mongodb://{NAME}:27017/mylist-ott"}))
    return lambda: client.admin.command("ping"), lambda: database.close(client)


def keys() -> tuple[Ask, Close]:
    """Return the request for keys, which the test cancels."""
    provider = RemoteKeys(f"https://{NAME}/keys")
    return provider._get, provider.close  # noqa: SLF001 - the fetch itself catches what comes


@pytest.mark.parametrize(
    "make",
    [
        lambda: redis(f"redis://{NAME}:6379/0"),
        lambda: redis(f"rediss://{NAME}:6379/0"),
        lambda: redis(f"redis+sentinel://{NAME}:26379/mylist"),
        lambda: redis(f"redis+cluster://{NAME}:6379"),
        lambda: read(f"redis://{NAME}:6379/0"),
        mongodb,
        keys,
    ],
    ids=["redis", "redis-tls", "sentinel", "cluster", "reads", "mongodb", "keys"],
)
def test_a_call_that_is_cancelled_during_its_name_lookup_leaves_no_error_behind(
    make: Callable[[], tuple[Ask, Close]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RES_OPTIONS", "timeout:1 attempts:1")  # not every network answers such a lookup at once
    told: list[dict[str, Any]] = []

    async def give_up_at_every_step() -> None:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _, context: told.append(context))
        ask, close = make()
        for steps in STEPS:
            asked = asyncio.ensure_future(ask())
            for _ in range(steps):
                await asyncio.sleep(0)
            asked.cancel()
            with suppress(asyncio.CancelledError, Exception):
                await asked
            # This lookup comes after the cancelled ones, and runs in the same threads.
            with pytest.raises(socket.gaierror):
                await loop.getaddrinfo(NAME, 1)
        await close()
        gc.collect()

    uvloop.run(give_up_at_every_step())

    assert [context.get("message") for context in told] == []
