"""Clients of Redis as the settings describe it: one server, Sentinel or Cluster, with or without TLS.

Every timeout is set here: the defaults of redis-py are many times longer than a request may take.
"""

import hashlib
import ssl
from functools import partial
from typing import Any

from redis.asyncio import BlockingConnectionPool, Redis, UnixDomainSocketConnection
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.maint_notifications import MaintNotificationsConfig

from mylist.cache.connections import ServerConnection, TlsServerConnection
from mylist.cache.topology.base import OnConnect, Topology
from mylist.cache.topology.cluster import ClusterTopology
from mylist.cache.topology.sentinel import SentinelTopology
from mylist.cache.topology.standalone import Standalone
from mylist.config.redis_url import Address, RedisKind, RedisUrl, parse_redis_url
from mylist.config.settings import Settings, without_password

_MAX_CONNECTIONS = 64
_PLACE_BYTES = 8


def connect(settings: Settings) -> Topology:
    """Create the clients. They connect at their first use and belong to the event loop that runs at that time."""
    if settings.redis_url:
        url = parse_redis_url(settings.redis_url)
    else:
        server = (settings.redis_host, settings.redis_port)
        url = RedisUrl(form=RedisKind.SERVER, addresses=(server,), db=settings.redis_db)
    topology = _topology(settings, url)
    topology.needs_epochs = settings.cache_strict
    topology.place, topology.database = _place(url), url.db
    return topology


def address(settings: Settings) -> str:
    """Return the address of Redis without a password, for messages. It names the database, unless it is number 0."""
    if settings.redis_url:
        return without_password(settings.redis_url)
    database = f"/{settings.redis_db}" if settings.redis_db else ""
    return f"{settings.redis_host}:{settings.redis_port}{database}"


def _place(url: RedisUrl) -> str:
    words = repr((url.form.value, sorted(url.addresses), url.path, url.name, url.db))
    return hashlib.blake2b(words.encode(), digest_size=_PLACE_BYTES).hexdigest()


def _topology(settings: Settings, url: RedisUrl) -> Topology:
    password = url.password or settings.redis_password
    shared = _options(settings, url)
    data = partial(_client, shared | {"db": url.db} | _credentials(url.username, password))
    match url.form:
        case RedisKind.SENTINEL:
            sentinel_credentials = _credentials(
                url.username if url.sentinel_username is None else url.sentinel_username,
                password if url.sentinel_password is None else url.sentinel_password,
            )
            return SentinelTopology(url.addresses, url.name, data, partial(_client, shared | sentinel_credentials))
        case RedisKind.CLUSTER:
            return ClusterTopology(url.addresses, data, data)
        case RedisKind.SOCKET:
            return Standalone(("", 0), data)
        case RedisKind.SERVER:
            return Standalone(url.addresses[0], data)


def _options(settings: Settings, url: RedisUrl) -> dict[str, Any]:
    options: dict[str, Any] = {
        "socket_timeout": settings.redis_timeout,
        "socket_connect_timeout": settings.redis_timeout,
        # Retry once if a pooled connection turns out to be dead, but never after a timeout.
        "retry": Retry(NoBackoff(), 1, supported_errors=(RedisConnectionError,)),
        "max_connections": _MAX_CONNECTIONS,
        "timeout": settings.redis_timeout,
        "client_name": "mylist",
        "driver_info": None,  # saves two commands per connection, and their ACL permissions
        "maint_notifications_config": MaintNotificationsConfig(enabled=False),  # retries would exceed the timeouts
    }
    if url.form is RedisKind.SOCKET:
        return options | {"connection_class": UnixDomainSocketConnection, "path": url.path}
    if url.tls is None:
        return options | {"connection_class": ServerConnection}
    # Since Python 3.13 the default rejects a certificate authority without keyUsage. `openssl req -x509` creates such
    # authorities, and PyMongo accepts them for MongoDB.
    tls = {"connection_class": TlsServerConnection, "ssl_exclude_verify_flags": [ssl.VERIFY_X509_STRICT]}
    return options | tls | dict(url.tls)


def _credentials(username: str, password: str) -> dict[str, str]:
    return {name: value for name, value in (("username", username), ("password", password)) if value}


def _client(options: dict[str, Any], address: Address, on_connect: OnConnect | None) -> Redis:
    host, port = address
    location: dict[str, Any] = {"host": host, "port": port} if host else {}
    return Redis.from_pool(BlockingConnectionPool(**options, **location, redis_connect_func=on_connect))
