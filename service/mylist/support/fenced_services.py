"""The parts of the service for a command that must leave no outdated list in the cache."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

from mylist.cache.clients import address as address_of
from mylist.config.redis_timing import FENCE_PATIENCE_S
from mylist.config.settings import Settings
from mylist.domain.errors import DatabaseUnavailableError
from mylist.domain.process_registry import BEAT_INTERVAL_S, Entry
from mylist.http.services import Services
from mylist.mongodb.process_registry import ProcessRegistry
from mylist.seeding.running_service import service_parts

BATCH_TIMEOUT_S = 10.0
"""For a change of hundreds of items, from its stamps to its end.

Less than the 30 seconds that the change feed waits for it. No client waits for an answer here.
"""
_POLL_S = 0.1
_BEAT_WAIT_S = BEAT_INTERVAL_S + 1.0
_READ_PATIENCE_S = 5.0


class CacheOutOfReachError(Exception):
    """Redis does not answer, or is not the running service's Redis; the message is one line. Nothing was changed."""


@asynccontextmanager
async def fenced_services(settings: Settings, *, step_timeout_s: float = BATCH_TIMEOUT_S) -> AsyncIterator[Services]:
    """Build the parts of the service as `service_parts` does, if the Redis of the running service can be reached.

    Args:
        settings: the settings of the running service.
        step_timeout_s: timeout of each operation instead of MONGODB_TIMEOUT; fences last as long.

    Raises:
        CacheOutOfReachError: it cannot be reached.
        MongoRefusedError, UnavailableError: MongoDB fails.
    """
    async with service_parts(replace(settings, mongodb_timeout=step_timeout_s)) as services:
        if not await answers(services):
            raise CacheOutOfReachError(
                f"Redis at {address_of(settings)} does not answer, and may hold a copy of the lists: start it, or "
                "set REDIS_HOST or REDIS_URL as for the service; nothing was changed"
            )
        await _require_redis_of_others(services, settings)
        yield services


async def answers(services: Services) -> bool:
    """Wait for a moment until Redis answers; return whether it does."""
    deadline = time.monotonic() + FENCE_PATIENCE_S
    while not services.health.is_current:
        if time.monotonic() > deadline:
            return False
        await asyncio.sleep(_POLL_S)
    return True


async def _require_redis_of_others(services: Services, settings: Settings) -> None:
    """Compare this Redis with the Redis that the running processes use.

    Ignore entries of killed processes: a live process renews its entry.
    """
    first = await _elsewhere(services)
    deadline = time.monotonic() + _BEAT_WAIT_S
    while first and time.monotonic() < deadline:
        await asyncio.sleep(_POLL_S)
        now = await _elsewhere(services)
        for process_id, entry in now.items():
            if process_id not in first or entry.beat != first[process_id].beat:
                raise CacheOutOfReachError(
                    f"this command uses Redis at {address_of(settings)}, but the service at {entry.host} uses "
                    f"{entry.redis}: set REDIS_HOST or REDIS_URL as for the service; nothing was changed"
                )


async def _elsewhere(services: Services) -> dict[str, Entry]:
    """Return the entries of the processes that name another Redis."""
    registry = ProcessRegistry(services.database)
    deadline = time.monotonic() + _READ_PATIENCE_S
    while True:
        try:
            entries = (await registry.read()).entries
        except DatabaseUnavailableError:
            # At the beginning, or after a late heartbeat, the current reign is unknown.
            if time.monotonic() > deadline:
                raise
            await asyncio.sleep(_POLL_S)
        else:
            return {each: entry for each, entry in entries.items() if entry.cache not in {"", services.health.identity}}
