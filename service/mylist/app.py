"""The composition root: builds the parts of the service and the application that serves them. Nothing connects yet."""

from collections import Counter

from sanic import Sanic
from sanic.config import Config

from mylist.api import error_handler
from mylist.api.router import register_routes
from mylist.auth.key_source import KeySource
from mylist.cache import clients as redis_clients
from mylist.cache.commands import CacheCommands
from mylist.cache.health import RedisHealth, RedisState
from mylist.cache.list_cache import MAX_TTL_FACTOR, ListCache
from mylist.cache.pending_invalidations import MAX_PENDING
from mylist.catalogue.catalogue import Catalogue
from mylist.config.settings import Settings, without_password
from mylist.domain.limits import MAX_BODY_BYTES, MAX_HEAD_BYTES
from mylist.domain.packed_list import PackedList
from mylist.http.bearer import BearerRequest
from mylist.http.dispatch import refuse_bypassed
from mylist.http.request import ApiRequest
from mylist.http.sanic_overrides import StrictRouter
from mylist.http.services import ConcurrencyLimit, Services
from mylist.lists.change_feed import ChangeFeed
from mylist.lists.page_cache import PageCache
from mylist.lists.reader import ListReader
from mylist.lists.writer import ListWriter
from mylist.mongodb import database as mongodb
from mylist.mongodb.content import ContentStore
from mylist.mongodb.database import Database
from mylist.mongodb.lists import ListStore
from mylist.telemetry.state_gauges import State

App = Sanic[Config, Services]

_BREAKER_STATES = {RedisState.UP: "closed", RedisState.RECOVERING: "half_open", RedisState.DOWN: "open"}


def build_services(settings: Settings) -> Services:
    """Build the parts of the service; tracing must have been started.

    Raises:
        MongoRefusedError: MONGODB_URI cannot be used.
    """
    database = Database(mongodb.connect(settings), settings)
    store = ListStore(database)

    async def load(user_id: str) -> PackedList:
        return PackedList.of(await store.load(user_id))

    commands = CacheCommands(redis_clients.connect(settings))
    redis = without_password(settings.redis_url) or f"{settings.redis_host}:{settings.redis_port}"
    health = RedisHealth(commands, forget_after=MAX_TTL_FACTOR * settings.cache_ttl, name=f"Redis at {redis}")
    cache = ListCache(
        commands,
        health,
        load,
        ttl=settings.cache_ttl,
        strict=settings.cache_strict,
        load_deadline=settings.mongodb_timeout,
        write_deadline=settings.mongodb_timeout,
        check_every=settings.freshness_check_every,
    )
    catalogue = Catalogue(
        ContentStore(database),
        ttl=settings.catalogue_ttl,
        capacity=settings.catalogue_size,
        language=settings.catalogue_language,
    )
    pages = PageCache(settings.page_memory * 1_000_000)
    tokens = None
    if settings.auth_mode == "jwt":
        from mylist.auth.tokens import tokens_of  # noqa: PLC0415 - what it needs is large, and few need it

        tokens = tokens_of(settings)
    return Services(
        settings=settings,
        allowed_origins=frozenset(map(str.strip, settings.cors_origins.split(","))),
        reader=ListReader(cache, catalogue, pages),
        writer=ListWriter(store, cache, catalogue, max_items=settings.max_list_size),
        change_feed=ChangeFeed(store),
        pages=pages,
        request_limit=ConcurrencyLimit(settings.max_concurrent_requests),
        import_limit=ConcurrencyLimit(max(settings.max_concurrent_requests // 10, 1)),
        cache=cache,
        health=health,
        database=database,
        keys=tokens.source if tokens else KeySource(),
        tokens=tokens,
    )


def build_app(services: Services) -> App:
    """Build the application that serves the routes."""
    settings = services.settings
    app: App = Sanic(
        "mylist",
        config=_sanic_config(settings),
        ctx=services,
        router=StrictRouter(),
        request_class=BearerRequest if settings.auth_mode == "jwt" else ApiRequest,  # type: ignore[arg-type]  # declared for a plain context only
        configure_logging=False,
    )
    register_routes(app, auth_mode=settings.auth_mode, with_docs=settings.docs)
    app.error_handler.add(Exception, error_handler.handle)
    app.before_server_start(refuse_bypassed)
    return app


def snapshot(services: Services) -> State:
    """Return the state of the process, for its metrics."""
    health, database, state = services.health, services.database, services.state
    active = filter(None, (connection.active_request for connection in state.connections))
    return State(
        active_requests=Counter(active),
        pending_invalidations=len(health.pending),
        is_up={"mongodb": database.available, "redis": health.is_current},
        breakers={"mongodb": "closed" if database.available else "open", "redis": _BREAKER_STATES[health.state]},
        shed=state.shed,
        pages_reused=services.pages.reused,
        pages_rendered=services.pages.rendered,
        page_bytes=services.pages.size,
        in_use={
            "requests": services.request_limit.in_flight,
            "mongodb_operations": database.in_flight,
            "invalidations": len(health.pending),
        },
        capacity={
            "requests": services.request_limit.maximum,
            "mongodb_operations": database.pool_size,
            "invalidations": MAX_PENDING,
        },
        revision=services.settings.revision,
    )


def _sanic_config(settings: Settings) -> Config:
    return Config(
        {
            "AUTO_EXTEND": False,
            "ACCESS_LOG": False,
            "MOTD": False,
            "USE_UVLOOP": True,  # without it one idle connection delays a shutdown by many seconds
            "REQUEST_MAX_SIZE": MAX_BODY_BYTES,
            "REQUEST_MAX_HEADER_SIZE": MAX_HEAD_BYTES,
            "REQUEST_TIMEOUT": 10,
            # Counts from the first byte. Longer than every deadline inside: a request ends for a reason of its own.
            "RESPONSE_TIMEOUT": 40,
            "KEEP_ALIVE_TIMEOUT": 75,  # longer than the idle timeout of common load balancers
            "GRACEFUL_SHUTDOWN_TIMEOUT": settings.shutdown_timeout,
        },
        env_prefix="",
    )
