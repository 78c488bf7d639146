"""Changes lists as the running service does, so that its cache and its change feeds stay correct."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import replace

from mylist.app import build_services
from mylist.cache.health import RedisHealth
from mylist.config.redis_timing import HEARTBEAT_INTERVAL_S
from mylist.config.settings import Settings
from mylist.http.services import Services


@asynccontextmanager
async def service_parts(settings: Settings) -> AsyncIterator[Services]:
    """Build the parts of the service without serving; the context closes them.

    They change lists even without Redis, and even with CACHE_STRICT: a machine that writes samples might not reach
    Redis. Afterwards `health.pending` has the lists that may still be cached.

    Raises:
        MongoRefusedError: MONGODB_URI cannot be used, or MongoDB rejects this client.
    """
    services = build_services(replace(settings, cache_strict=False))
    await services.health.heartbeat()
    done = asyncio.Event()
    watching = asyncio.create_task(_watch(services.health, done))
    try:
        await services.database.check()
        yield services
    finally:
        await services.writer.finish()
        done.set()
        await watching
        await services.health.heartbeat()  # delivers pending invalidations
        await services.cache.close()
        await services.database.close()


async def _watch(health: RedisHealth, done: asyncio.Event) -> None:
    """Send heartbeats until it is done. No heartbeat is cancelled, because that would leave its connection open."""
    while not done.is_set():
        await health.heartbeat()
        with suppress(TimeoutError):
            await asyncio.wait_for(done.wait(), HEARTBEAT_INTERVAL_S)
