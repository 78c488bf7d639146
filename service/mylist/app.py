"""The composition root: builds the parts of the service and the application that serves them. Nothing connects yet."""

import asyncio
import socket
import sys
import time
from collections import Counter
from uuid import uuid4

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
from mylist.config.browser_policy import BrowserPolicy
from mylist.config.redis_timing import DECLARATION_WAIT_S
from mylist.config.settings import Settings
from mylist.domain.errors import TooManyImportsError, TooManyRequestsError
from mylist.domain.limits import MAX_BODY_BYTES, MAX_HEAD_BYTES, USER_IMPORTS, import_memory_bytes, user_requests
from mylist.domain.packed_list import PackedList
from mylist.domain.process_registry import CacheAgreement
from mylist.http.bearer import BearerRequest
from mylist.http.body_memory import BodyMemory
from mylist.http.dispatch import refuse_bypassed
from mylist.http.request import ApiRequest
from mylist.http.sanic_overrides import StrictRouter
from mylist.http.services import Admission, ConcurrencyLimit, Services
from mylist.http.user_shares import UserShares
from mylist.list_files.matching import TitleMatcher
from mylist.lists.change_feed import ChangeFeed
from mylist.lists.page_cache import PageCache
from mylist.lists.reader import ListReader
from mylist.lists.writer import ListWriter
from mylist.mongodb import database as mongodb
from mylist.mongodb.content import ContentStore
from mylist.mongodb.database import MAX_REIGN_WAIT_S, Database
from mylist.mongodb.lists import ListStore
from mylist.mongodb.operation_limit import MAX_WAIT_S
from mylist.mongodb.title_search import TitleSearch
from mylist.telemetry.state_gauges import State

App = Sanic[Config, Services]

_KEEP_ALIVE_MARGIN_S = 1
_MAX_ADDRESS_LENGTH = 200
"""Characters of REDIS_URL that the registry of processes keeps, for messages."""
_USER_REQUESTS_AT_ONCE = 8
"""Together, these limit how long other users wait when one user sends as much as possible."""
_IMPORTS_AT_ONCE = 2
"""Imports that use the stores at the same time, each with one or two connections to MongoDB."""

_BREAKER_STATES = {RedisState.UP: "closed", RedisState.RECOVERING: "half_open", RedisState.DOWN: "open"}


def build_services(settings: Settings) -> Services:
    """Build the parts of the service. Tracing must be started before.

    Raises:
        MongoRefusedError: MONGODB_URI cannot be used.
    """
    share = user_requests(settings.max_concurrent_requests)
    database = Database(mongodb.connect(settings), settings)
    store = ListStore(database)

    async def load(user_id: str) -> PackedList:
        return PackedList.of(await store.load(user_id))

    commands = CacheCommands(redis_clients.connect(settings))
    redis = redis_clients.address(settings)
    agreement = CacheAgreement(
        uuid4().hex,
        clock=time.monotonic,
        wait_s=DECLARATION_WAIT_S,
        host=f"{socket.gethostname()}:{settings.port}",
        redis=redis[:_MAX_ADDRESS_LENGTH],
        last_success=lambda: database.last_success,
    )
    health = RedisHealth(
        commands,
        forget_after=MAX_TTL_FACTOR * settings.cache_ttl,
        name=f"Redis at {redis}",
        reigns=database.reigns,
        agreement=agreement,
    )
    cache = ListCache(
        commands,
        health,
        load,
        ttl=settings.cache_ttl,
        strict=settings.cache_strict,
        load_deadline=settings.mongodb_timeout + MAX_REIGN_WAIT_S + MAX_WAIT_S,
        write_deadline=settings.mongodb_timeout + MAX_WAIT_S,
        check_every=settings.freshness_check_every,
    )
    catalogue = Catalogue(
        ContentStore(database),
        max_age=settings.catalogue_ttl,
        capacity=settings.catalogue_size,
        language=settings.catalogue_language,
        external_ids=settings.external_ids,
    )
    titles = TitleSearch(database)
    pages = PageCache(settings.page_memory * 1_000_000)
    tokens = None
    if settings.auth_mode == "jwt":
        from mylist.auth.tokens import tokens_of  # noqa: PLC0415 - what it needs is large, and few need it

        tokens = tokens_of(settings)
    return Services(
        settings=settings,
        kept_connection=f"keep-alive\r\nkeep-alive: timeout={settings.keep_alive_timeout}",
        browser_policy=BrowserPolicy.of(
            origins=settings.cors_origins, credentials=settings.cors_credentials, hsts=settings.hsts
        ),
        catalogue=catalogue,
        reader=ListReader(cache, catalogue, pages),
        titles=titles,
        matcher=TitleMatcher(catalogue, titles, settings.catalogue_language),
        writer=ListWriter(
            store,
            cache,
            catalogue,
            max_items=settings.max_list_size,
            max_account_items=settings.max_items_per_account,
        ),
        change_feed=ChangeFeed(store, catalogue),
        pages=pages,
        requests=Admission(
            ConcurrencyLimit(settings.max_concurrent_requests),
            UserShares(share=share, at_once=min(share, _USER_REQUESTS_AT_ONCE), refusal=TooManyRequestsError),
        ),
        imports=Admission(
            ConcurrencyLimit(sys.maxsize),
            UserShares(share=USER_IMPORTS, at_once=USER_IMPORTS, refusal=TooManyImportsError),
        ),
        import_places=ConcurrencyLimit(max(settings.max_concurrent_requests // 10, 1)),
        import_bodies=BodyMemory(import_memory_bytes(settings.max_list_size)),
        import_turns=asyncio.Semaphore(_IMPORTS_AT_ONCE),
        cache=cache,
        health=health,
        agreement=agreement,
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
        cache_withheld=services.agreement.withheld,
        is_up={"mongodb": database.available, "redis": health.is_current},
        breakers={"mongodb": database.breaker, "redis": _BREAKER_STATES[health.state]},
        index_is_missing={(index.collection, index.name): index.is_missing for index in state.indexes},
        majority_lag_s=database.majority_lag_s,
        shed=state.shed,
        pages_reused=services.pages.reused,
        pages_rendered=services.pages.rendered,
        page_bytes=services.pages.size,
        catalogue_requests=services.catalogue.requests,
        in_use={
            "requests": services.requests.limit.in_flight,
            "imports": services.import_places.in_flight,
            "import_bytes": services.import_bodies.held_bytes,
            "mongodb_operations": database.limit.running,
            "invalidations": len(health.pending),
        },
        capacity={
            "requests": services.requests.limit.maximum,
            "imports": services.import_places.maximum,
            "import_bytes": services.import_bodies.max_bytes,
            "mongodb_operations": database.limit.maximum,
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
            "USE_UVLOOP": True,  # otherwise one idle connection delays a shutdown by many seconds
            "REQUEST_MAX_SIZE": MAX_BODY_BYTES,
            "REQUEST_MAX_HEADER_SIZE": MAX_HEAD_BYTES,
            "REQUEST_TIMEOUT": 10,
            # Counts from the first byte of the request. It is longer than every deadline inside the service, so that
            # those end a request first.
            "RESPONSE_TIMEOUT": 60,
            # Longer than the time announced to clients, so that a request in flight at its end still arrives.
            "KEEP_ALIVE_TIMEOUT": settings.keep_alive_timeout + _KEEP_ALIVE_MARGIN_S,
            "GRACEFUL_SHUTDOWN_TIMEOUT": settings.shutdown_timeout,
        },
        env_prefix="",
    )
