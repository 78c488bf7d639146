"""The composition root: puts the parts together, starts them, and stops them in order.

Order of stopping: readiness fails and connections are told to close; a pause, in which requests are still served, for
load balancers to notice; the port closes and requests under way end (Sanic does that); then writes under way end, owed
invalidations are delivered, and the clients close.
"""

import asyncio
import gc
import logging
import signal
import time
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any

from sanic import Sanic
from sanic.config import Config

from mylist import logs, metrics, tracing
from mylist.api import changes, docs, error_handler, health, limits, mylist, openapi, whole_list
from mylist.api import metrics as api_metrics
from mylist.api.bearer import BearerRequest
from mylist.api.context import Context
from mylist.api.request import ApiRequest
from mylist.cache import connection as cache_connection
from mylist.cache.commands import CacheCommands
from mylist.cache.link import Link
from mylist.cache.list_cache import LONGEST_TTL, ListCache
from mylist.catalogue.catalogue import Catalogue
from mylist.errors import StoreUnavailableError
from mylist.lists.service import Lists
from mylist.lists.value import ListValue
from mylist.settings import Settings, without_password
from mylist.store import connection
from mylist.store.connection import Database, StoreRefusedError
from mylist.store.content import ContentStore
from mylist.store.indexes import create_indexes
from mylist.store.lists import ListStore

App = Sanic[Config, Context]

_CHECK_INTERVAL = 0.5
_REPORT_INTERVAL = 10
_LAG_INTERVAL = 0.1

_logger = logging.getLogger(__name__)


def create_app(settings: Settings, *, announce: Callable[[], None] = lambda: None) -> App:
    """Makes the application; `announce` is called once it is ready for requests."""
    app: App = Sanic(
        "mylist",
        config=_sanic_config(settings),
        ctx=Context(settings),
        request_class=BearerRequest if settings.auth_mode == "jwt" else ApiRequest,  # type: ignore[arg-type]  # declared for a plain context only
        configure_logging=False,
    )
    app.blueprint([mylist.blueprint, changes.blueprint, whole_list.blueprint, limits.blueprint])
    app.blueprint([health.blueprint, openapi.blueprint, api_metrics.blueprint])
    if settings.docs:
        app.blueprint(docs.blueprint())
    app.error_handler.add(Exception, error_handler.handle)
    service = _Service(app, announce)
    app.before_server_start(service.open)
    app.after_server_start(service.start)
    app.before_server_stop(service.drain)
    app.after_server_stop(service.close)
    return app


def _sanic_config(settings: Settings) -> Config:
    return Config(
        {
            "AUTO_EXTEND": False,
            "ACCESS_LOG": False,
            "MOTD": False,
            "USE_UVLOOP": True,  # without it one idle connection delays a shutdown by many seconds
            "REQUEST_MAX_SIZE": 64 * 1024,
            "REQUEST_MAX_HEADER_SIZE": 16 * 1024,
            "REQUEST_TIMEOUT": 10,
            # Counts from the first byte. Later than every deadline within: a request ends by its own reasons.
            "RESPONSE_TIMEOUT": 40,
            "KEEP_ALIVE_TIMEOUT": 75,  # longer than the idle timeout of the usual load balancers
            "GRACEFUL_SHUTDOWN_TIMEOUT": settings.shutdown_timeout,
        },
        env_prefix="",
    )


class _Service:
    """The running service: what has to be opened, watched and closed."""

    def __init__(self, app: App, announce: Callable[[], None]) -> None:
        self._app = app
        self._context = app.ctx
        self._announce = announce
        self._state = api_metrics.State(app.ctx)
        self._watchers: list[asyncio.Task[None]] = []
        self._draining: asyncio.Task[None] | None = None
        self._closing: asyncio.Task[None] | None = None

    async def open(self, _: App) -> None:
        """Makes the clients and the parts; nothing connects yet."""
        settings = self._context.settings
        self._mongodb = connection.connect(settings)
        database = Database(self._mongodb, settings)
        store = ListStore(database)

        async def load(user_id: str) -> ListValue:
            return ListValue.of(await store.load(user_id))

        self._redis = CacheCommands(cache_connection.connect(settings))
        redis = without_password(settings.redis_url) or f"{settings.redis_host}:{settings.redis_port}"
        self._link = Link(self._redis, forget_after=LONGEST_TTL * settings.cache_ttl, name=f"Redis at {redis}")
        self._cache = ListCache(
            self._redis,
            self._link,
            load,
            ttl=settings.cache_ttl,
            strict=settings.cache_strict,
            load_deadline=settings.mongodb_timeout,
            write_deadline=settings.mongodb_timeout,
            check_every=settings.freshness_check_every,
        )
        catalogue = Catalogue(ContentStore(database), ttl=settings.catalogue_ttl, capacity=settings.catalogue_size)
        if settings.auth_mode == "jwt":
            from mylist.identity.tokens import tokens_of  # noqa: PLC0415 - what it needs is large, and few need it

            self._context.tokens = tokens_of(settings)
        self._context.database = database
        self._context.link = self._link
        self._context.lists = Lists(database, store, self._cache, catalogue, max_items=settings.max_list_size)

    async def start(self, _: App) -> None:
        """Begins to watch the stores; the service is ready when MongoDB has its indexes."""
        self._watchers = [
            asyncio.create_task(self._keep(self._link.heartbeats())),
            asyncio.create_task(self._keep(self._watch_mongodb())),
            asyncio.create_task(self._keep(self._report_turned_away())),
            asyncio.create_task(self._keep(_watch_event_loop())),
        ]
        if self._context.settings.auth_mode == "jwt":
            self._watchers.append(asyncio.create_task(self._keep(self._context.tokens.source.keep_fresh())))
        metrics.REGISTRY.register(self._state)
        # What there is by now stays. To go through it at each full collection would hold the event loop for 20 ms.
        gc.collect()
        gc.freeze()
        asyncio.get_running_loop().add_signal_handler(signal.SIGUSR1, logs.switch_debug, self._context.settings)

    async def drain(self, _: App) -> None:
        """Makes load balancers and clients look elsewhere, while requests are still served."""
        if self._draining is None:
            self._draining = asyncio.create_task(self._drain())
        # Sanic asks again when a signal interrupts it; what has begun goes on.
        await asyncio.shield(self._draining)

    async def close(self, _: App) -> None:
        """Ends what is under way and closes the clients."""
        if self._closing is None:
            self._closing = asyncio.create_task(self._close())
        await asyncio.shield(self._closing)

    async def _drain(self) -> None:
        # The end has come, and a second signal should not cut it short; SIGKILL always can.
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_IGN)
        self._context.draining = True
        self._app.config.KEEP_ALIVE = False
        await asyncio.sleep(self._context.settings.shutdown_delay)

    async def _close(self) -> None:
        await self._context.lists.finish()
        await self._cache.finish()
        for watcher in self._watchers:
            watcher.cancel()
        await asyncio.gather(*self._watchers, return_exceptions=True)
        if self._context.settings.auth_mode == "jwt":
            await self._context.tokens.source.close()
        if self._link.owed:
            await self._link.heartbeat()
        if self._link.owed:
            _logger.error("%d lists may be stale until CACHE_TTL: Redis did not come back", self._link.owed)
        await self._redis.close()
        await connection.close(self._mongodb)
        await asyncio.to_thread(tracing.stop)
        with suppress(KeyError):  # it had not started
            metrics.REGISTRY.unregister(self._state)

    async def _watch_mongodb(self) -> None:
        database = self._context.database
        while True:
            try:
                await database.check()
                if database.available and not self._context.started:
                    await create_indexes(database.handle)
                    self._context.started = True
                    self._announce()
            except StoreUnavailableError:
                pass  # it went away before its indexes were there
            except StoreRefusedError as error:
                if not self._context.started:
                    self._fail(f"MongoDB at {connection.address(self._context.settings)} refuses: {error}")
                    return
            await asyncio.sleep(_CHECK_INTERVAL)

    async def _report_turned_away(self) -> None:
        turned_away = self._context.turned_away
        reported = turned_away.copy()
        while True:
            await asyncio.sleep(_REPORT_INTERVAL)
            if new := turned_away - reported:
                counts = ", ".join(f"{code} {count}" for code, count in sorted(new.items()))
                _logger.warning("Turned away in the last %d s: %s", _REPORT_INTERVAL, counts)
                reported = turned_away.copy()

    def _fail(self, reason: str) -> None:
        self._context.failure = reason
        self._app.stop(terminate=False)

    async def _keep(self, watch: Coroutine[Any, Any, None]) -> None:
        try:
            await watch
        except Exception:
            # A process that no longer watches its stores must not go on.
            _logger.exception("A background check failed")
            self._fail("a background check failed")


async def _watch_event_loop() -> None:
    while True:
        began = time.perf_counter()
        await asyncio.sleep(_LAG_INTERVAL)
        metrics.EVENT_LOOP_LAG.observe(time.perf_counter() - began - _LAG_INTERVAL)
