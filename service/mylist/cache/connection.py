"""Clients of Redis as the settings ask for it: one server, Sentinel or Cluster, with or without TLS.

Every timeout is set here: those of redis-py are many times longer than what a request may take.
"""

import ssl
from functools import partial
from typing import Any

from redis.asyncio import BlockingConnectionPool, Connection, Redis, SSLConnection, UnixDomainSocketConnection
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.maint_notifications import MaintNotificationsConfig

from mylist.cache.cluster import Cluster
from mylist.cache.primaries import OnConnect, OneServer, Primaries
from mylist.cache.redis_url import Address, Form, RedisUrl, parse_redis_url
from mylist.cache.sentinel import SentinelGroup
from mylist.settings import Settings

_MAX_CONNECTIONS = 64


def connect(settings: Settings) -> Primaries:
    """Makes the clients; they connect when first used. They belong to the event loop that is running."""
    if settings.redis_url:
        url = parse_redis_url(settings.redis_url)
    else:
        server = (settings.redis_host, settings.redis_port)
        url = RedisUrl(form=Form.SERVER, addresses=(server,), db=settings.redis_db)
    password = url.password or settings.redis_password
    shared = _options(settings, url)
    data = partial(_client, shared | {"db": url.db} | _credentials(url.username, password))
    match url.form:
        case Form.SENTINEL:
            theirs = _credentials(
                url.username if url.sentinel_username is None else url.sentinel_username,
                password if url.sentinel_password is None else url.sentinel_password,
            )
            return SentinelGroup(url.addresses, url.name, data, partial(_client, shared | theirs))
        case Form.CLUSTER:
            return Cluster(url.addresses, data, data)
        case Form.SOCKET:
            return OneServer(("", 0), data)
        case Form.SERVER:
            return OneServer(url.addresses[0], data)


def _options(settings: Settings, url: RedisUrl) -> dict[str, Any]:
    options: dict[str, Any] = {
        "socket_timeout": settings.redis_timeout,
        "socket_connect_timeout": settings.redis_timeout,
        # One more try when a pooled connection turns out dead; never after a timeout.
        "retry": Retry(NoBackoff(), 1, supported_errors=(RedisConnectionError,)),
        "max_connections": _MAX_CONNECTIONS,
        "timeout": settings.redis_timeout,
        "client_name": "mylist",
        "driver_info": None,  # two commands less for each connection, and two less that its user has to be allowed
        "maint_notifications_config": MaintNotificationsConfig(enabled=False),  # they would stretch the timeouts
    }
    if url.form is Form.SOCKET:
        return options | {"connection_class": UnixDomainSocketConnection, "path": url.path}
    if url.tls is None:
        return options | {"connection_class": Connection}
    # From Python 3.13 on the default refuses an authority without keyUsage, as `openssl req -x509` makes them and as
    # PyMongo accepts them for MongoDB.
    lenient = {"connection_class": SSLConnection, "ssl_exclude_verify_flags": [ssl.VERIFY_X509_STRICT]}
    return options | lenient | dict(url.tls)


def _credentials(username: str, password: str) -> dict[str, str]:
    return {name: value for name, value in (("username", username), ("password", password)) if value}


def _client(options: dict[str, Any], address: Address, on_connect: OnConnect | None) -> Redis:
    host, port = address
    place: dict[str, Any] = {"host": host, "port": port} if host else {}
    return Redis.from_pool(BlockingConnectionPool(**options, **place, redis_connect_func=on_connect))
