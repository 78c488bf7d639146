"""The forms that REDIS_URL may have.

- `redis://[user[:password]@]host[:port][/db]`: one server
- `unix://[user[:password]@]/path[?db=n]`: one server, by its socket
- `redis+sentinel://[user[:password]@]host[:port],…/name[/db]`: the primary that Sentinels know by this name
- `redis+cluster://[user[:password]@]host[:port],…`: a Redis Cluster, by some of its nodes

`rediss` instead of `redis` means TLS, to Sentinels as well. User, password and name may be percent-encoded. The query
of a TLS URL may name files, `ssl_ca_certs`, `ssl_certfile` and `ssl_keyfile`, and turn `ssl_check_hostname` off. The
query of a Sentinel URL may hold `sentinel_username` and `sentinel_password`; those of the servers are the default.

redis-py's own parser is not used: it knows one server only, ignores a database that is not a number, passes any option
on to the connection, and its errors quote parts of passwords.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

Address = tuple[str, int]

_PORT = 6379
_SENTINEL_PORT = 26379
_NO_ADDRESS = (
    "it must have host:port after //, or several separated by commas where its form allows them; "
    "in a user or password, percent-encode all characters except letters, digits and - . _ ~"
)
_TLS_FILES = ("ssl_ca_certs", "ssl_certfile", "ssl_keyfile")


class RedisUrlError(ValueError):
    """A URL cannot be used. The message says why without quoting the URL, because any part may belong to a password."""


class RedisKind(Enum):
    """The kind of deployment, named by the scheme without TLS."""

    SERVER = "redis"
    SOCKET = "unix"
    SENTINEL = "redis+sentinel"
    CLUSTER = "redis+cluster"


@dataclass(frozen=True, slots=True, kw_only=True)
class RedisUrl:
    """The parts of a URL.

    Attributes:
        form: the kind of deployment.
        addresses: host and port of the server, of the Sentinels, or of some nodes; none for a socket.
        path: path of the socket.
        name: the name of the primary at the Sentinels.
        db: number of the database.
        username, password: for the servers; empty for none.
        sentinel_username, sentinel_password: for the Sentinels; None for those of the servers.
        tls: the options of redis-py for TLS; None without TLS.
    """

    form: RedisKind
    addresses: tuple[Address, ...] = ()
    path: str = ""
    name: str = ""
    db: int = 0
    username: str = ""
    password: str = ""
    sentinel_username: str | None = None
    sentinel_password: str | None = None
    tls: Mapping[str, str | bool] | None = None


SCHEMES = (
    "redis",
    "rediss",
    "unix",
    "redis+sentinel",
    "rediss+sentinel",
    "redis+cluster",
    "rediss+cluster",
)
"""The accepted schemes."""


def parse_redis_url(url: str) -> RedisUrl:
    """Return the parts of a URL that has one of the schemes.

    Raises:
        RedisUrlError: the URL cannot be used.
    """
    try:
        parts = urlsplit(url)
    except ValueError:
        raise RedisUrlError(_NO_ADDRESS) from None
    secure = parts.scheme.startswith("rediss")
    form = RedisKind(parts.scheme.replace("rediss", "redis"))
    credentials, _, hosts = parts.netloc.rpartition("@")
    username, _, password = credentials.partition(":")
    query = _query(parts, form, secure=secure)
    path = parts.path.strip("/")
    name, db = "", path
    if form is RedisKind.SOCKET:
        if not path or hosts:
            raise RedisUrlError("it must name a socket by its path alone, as in unix:///run/redis.sock")
        db = query.get("db", "")
    elif form is RedisKind.SENTINEL:
        name, _, db = path.partition("/")
        if not name:
            raise RedisUrlError("it must name the primary, as in redis+sentinel://host:26379,host:26379/name")
    elif form is RedisKind.CLUSTER and path:
        raise RedisUrlError("it must end after the hosts: a Redis Cluster has no databases")
    return RedisUrl(
        form=form,
        addresses=() if form is RedisKind.SOCKET else _addresses(hosts, form),
        path=unquote(parts.path) if form is RedisKind.SOCKET else "",
        name=unquote(name),
        db=_database(db),
        username=unquote(username),
        password=unquote(password),
        sentinel_username=query.get("sentinel_username"),
        sentinel_password=query.get("sentinel_password"),
        tls=_tls(query) if secure else None,
    )


def _addresses(hosts: str, form: RedisKind) -> tuple[Address, ...]:
    addresses = []
    for each in hosts.split(","):
        try:
            parts = urlsplit(f"//{each}")
            host, port = parts.hostname, parts.port
        except ValueError:
            raise RedisUrlError(_NO_ADDRESS) from None
        if not host or port == 0:
            raise RedisUrlError(_NO_ADDRESS)
        addresses.append((host, port or (_SENTINEL_PORT if form is RedisKind.SENTINEL else _PORT)))
    if form is RedisKind.SERVER and len(addresses) > 1:
        raise RedisUrlError("it may name only one host; for several, begin with redis+sentinel:// or redis+cluster://")
    return tuple(addresses)


def _database(text: str) -> int:
    if text and not (text.isascii() and text.isdigit()):
        raise RedisUrlError("its database must be a number")
    return int(text or "0")


def _query(parts: SplitResult, form: RedisKind, *, secure: bool) -> dict[str, str]:
    allowed: tuple[str, ...] = (*_TLS_FILES, "ssl_check_hostname") if secure else ()
    if form is RedisKind.SENTINEL:
        allowed += ("sentinel_username", "sentinel_password")
    if form is RedisKind.SOCKET:
        allowed += ("db",)
    query = dict(parse_qsl(parts.query, keep_blank_values=True))
    if not set(query) <= set(allowed):
        raise RedisUrlError(f"its query may hold {', '.join(allowed) or 'nothing'}")
    return query


def _tls(query: Mapping[str, str]) -> dict[str, str | bool]:
    files = {name: query[name] for name in _TLS_FILES if name in query}
    for name, file in files.items():
        try:
            Path(file).read_bytes()
        except OSError as error:
            raise RedisUrlError(f"its {name} cannot be read: {error.strerror}; name a readable file") from None
    if ("ssl_certfile" in files) is not ("ssl_keyfile" in files):
        raise RedisUrlError("its ssl_certfile and ssl_keyfile go together; give both or none")
    check = query.get("ssl_check_hostname", "true")
    if check not in {"true", "false"}:
        raise RedisUrlError("its ssl_check_hostname must be true or false")
    return {**files, "ssl_check_hostname": check == "true"}
