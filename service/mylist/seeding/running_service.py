"""Changes lists as the running service does, so that what it has cached and its change feeds stay right."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

from mylist.app import build_services
from mylist.config.settings import Settings
from mylist.http.services import Services


@asynccontextmanager
async def service_parts(settings: Settings) -> AsyncIterator[Services]:
    """Make the parts of the service without serving; the context closes them.

    Without Redis they change lists all the same, with CACHE_STRICT too: where samples are, there may be no way to it.
    Afterwards `health.pending` has the lists that may still be cached.

    Raises:
        MongoRefusedError: MONGODB_URI cannot be used, or MongoDB rejects this client.
    """
    services = build_services(replace(settings, cache_strict=False))
    await services.health.heartbeat()
    heartbeats = asyncio.create_task(services.health.heartbeats())
    try:
        await services.database.check()
        yield services
        await services.health.heartbeat()  # delivers what is pending
    finally:
        heartbeats.cancel()
        await asyncio.gather(heartbeats, return_exceptions=True)
        await services.writer.finish()
        await services.cache.close()
        await services.database.close()
