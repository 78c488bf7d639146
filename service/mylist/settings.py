"""Every setting of the service: its environment variable, default, bounds and meaning.

A value is taken from the environment, else from a `.env` file in the working directory, else from the default
below. A value that cannot be used stops the start with one line: the variable, what it holds, what it may hold.
"""

import os
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import MISSING, dataclass, field, fields
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlsplit

from dotenv import dotenv_values

from mylist.cache.redis_url import SCHEMES, RedisUrlError, parse_redis_url

_MASK = "********"
# Of a secret for HS256, in bytes (RFC 7518, section 3.2).
_LEAST_SECRET = 32
_KEYS = ("jwt_secret", "jwt_public_key", "jwt_jwks_url")


class InvalidSettingError(ValueError):
    """A setting cannot be used; the message is one line that says which, what it holds and what it may hold."""


@dataclass(frozen=True, slots=True)
class _Variable:
    """How one environment variable is read: its name, meaning, accepted values and parser."""

    name: str
    meaning: str
    accepts: str
    parse: Callable[[str], Any]
    secret: bool = False


def _text(  # noqa: PLR0913 - one line per part of a setting
    name: str,
    default: str,
    meaning: str,
    *,
    accepts: str = "any text",
    parse: Callable[[str], str] = str,
    secret: bool = False,
) -> Any:
    return field(default=default, metadata={"variable": _Variable(name, meaning, accepts, parse, secret=secret)})


def _integer(name: str, default: int, meaning: str, *, low: int, high: int) -> Any:
    def parse(raw: str) -> int:
        value = int(raw)
        if not low <= value <= high:
            raise ValueError
        return value

    accepts = f"a whole number from {low} to {high}"
    return field(default=default, metadata={"variable": _Variable(name, meaning, accepts, parse)})


def _seconds(name: str, default: float, meaning: str, *, low: float, high: float) -> Any:
    def parse(raw: str) -> float:
        value = float(raw)
        if not low <= value <= high:
            raise ValueError
        return value

    accepts = f"seconds from {low:g} to {high:g}"
    return field(default=default, metadata={"variable": _Variable(name, meaning, accepts, parse)})


def _choice(name: str, default: str, meaning: str, *, among: tuple[str, ...]) -> Any:
    def parse(raw: str) -> str:
        if raw.lower() not in among:
            raise ValueError
        return raw.lower()

    return field(default=default, metadata={"variable": _Variable(name, meaning, " | ".join(among), parse)})


def _switch(name: str, default: bool, meaning: str) -> Any:
    def parse(raw: str) -> bool:
        return {"true": True, "1": True, "false": False, "0": False}[raw.lower()]

    return field(default=default, metadata={"variable": _Variable(name, meaning, "true | false", parse)})


def _url(
    name: str,
    default: str,
    meaning: str,
    *,
    schemes: tuple[str, ...],
    check: Callable[[str], object] = lambda _: None,
) -> Any:
    def parse(raw: str) -> str:
        parts = urlsplit(raw)
        if parts.scheme not in schemes or not (parts.netloc or parts.path):
            raise ValueError
        check(raw)
        return raw

    accepts = "a URL that starts with " + " or ".join(f"{scheme}://" for scheme in schemes)
    return field(default=default, metadata={"variable": _Variable(name, meaning, accepts, parse)})


def _shared_secret(raw: str) -> str:
    if len(raw.encode()) < _LEAST_SECRET:
        raise ValueError
    return raw


def _public_key(raw: str) -> str:
    from mylist.identity.keys import key_of_pem  # noqa: PLC0415 - what it needs is large, and few need it

    pem = raw.replace("\\n", "\n")
    key_of_pem(pem)
    return pem


def _with_host(url: str) -> None:
    if not urlsplit(url).hostname:
        raise ValueError


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The settings in force. Durations are in seconds, sizes in the unit their meaning names."""

    host: str = _text("HOST", "0.0.0.0", "Address to listen on.", accepts="an IP address or host name")  # noqa: S104 - a container serves on all its interfaces
    port: int = _integer("PORT", 3000, "TCP port to listen on.", low=1, high=65535)
    app_env: str = _choice(
        "APP_ENV",
        "development",
        "Names the environment; `production` logs JSON even on a terminal.",
        among=("development", "test", "staging", "production"),
    )
    log_level: str = _choice(
        "LOG_LEVEL", "info", "Least severe level that is logged.", among=("debug", "info", "warning", "error")
    )

    mongodb_uri: str = _url(
        "MONGODB_URI",
        "mongodb://localhost:27017/mylist-ott",
        "MongoDB connection string; the path names the database (`mylist-ott` when it names none).",
        schemes=("mongodb", "mongodb+srv"),
    )
    mongodb_user: str = _text("MONGODB_USER", "", "MongoDB user; overrides one in the URI.")
    mongodb_password: str = _text(
        "MONGODB_PASSWORD", "", "MongoDB password; taken as it is, never quoted.", secret=True
    )
    mongodb_timeout: float = _seconds(
        "MONGODB_TIMEOUT", 2.0, "Deadline of one MongoDB operation, connecting included.", low=0.1, high=5
    )
    mongodb_pool_size: int = _integer(
        "MONGODB_POOL_SIZE",
        100,
        "Most connections to MongoDB, and most operations at once; what needs one more is shed with 503.",
        low=1,
        high=1000,
    )

    redis_host: str = _text("REDIS_HOST", "localhost", "Redis host.", accepts="an IP address or host name")
    redis_port: int = _integer("REDIS_PORT", 6379, "Redis port.", low=1, high=65535)
    redis_password: str = _text(
        "REDIS_PASSWORD", "", "Redis password, where REDIS_URL has none; empty for none.", secret=True
    )
    redis_db: int = _integer("REDIS_DB", 0, "Redis database number.", low=0, high=1000)
    redis_url: str = _url(
        "REDIS_URL",
        "",
        "Redis as one URL, for TLS (`rediss`), Sentinel and Cluster too; replaces host, port and database.",
        schemes=SCHEMES,
        check=parse_redis_url,
    )
    redis_timeout: float = _seconds(
        "REDIS_TIMEOUT", 0.2, "Deadline of one Redis command, connecting included.", low=0.01, high=0.4
    )

    cache_ttl: int = _integer("CACHE_TTL", 300, "Seconds a cached list lives, give or take 10 %.", low=1, high=86400)
    cache_strict: bool = _switch(
        "CACHE_STRICT",
        False,
        "Refuse a write with 503 while Redis cannot be reached, instead of invalidating later.",
    )

    default_page_size: int = _integer("DEFAULT_PAGE_SIZE", 20, "Items on a page when none is asked.", low=1, high=1000)
    max_page_size: int = _integer("MAX_PAGE_SIZE", 100, "Most items on a page.", low=1, high=1000)
    max_list_size: int = _integer("MAX_LIST_SIZE", 5000, "Most items on one user's list.", low=1, high=100_000)
    freshness_check_every: int = _integer(
        "FRESHNESS_CHECK_EVERY",
        1000,
        "Cached reads to each one that is compared with MongoDB afterwards, at most five a second; 0 for none.",
        low=0,
        high=1_000_000,
    )

    catalogue_ttl: float = _seconds(
        "CATALOGUE_TTL", 60.0, "Age from which a movie or show is fetched again.", low=1, high=3600
    )
    catalogue_size: int = _integer(
        "CATALOGUE_SIZE", 20_000, "Movies and shows that one process keeps rendered.", low=100, high=1_000_000
    )

    page_memory: int = _integer(
        "PAGE_MEMORY",
        32,
        "Megabytes of rendered pages that one process keeps, for lists that have not changed; 0 for none.",
        low=0,
        high=4096,
    )

    auth_mode: str = _choice(
        "AUTH_MODE",
        "header",
        "What says who asks: the header `user-id`, which is trusted, or a bearer token, which is verified.",
        among=("header", "jwt"),
    )
    jwt_secret: str = _text(
        "JWT_SECRET",
        "",
        "Shared secret that tokens are signed with (HS256).",
        accepts=f"text of {_LEAST_SECRET} bytes or more",
        parse=_shared_secret,
        secret=True,
    )
    jwt_public_key: str = _text(
        "JWT_PUBLIC_KEY",
        "",
        "Public key of who signs tokens (RS256 to RS512, ES256 to ES512), with its line breaks or `\\n` for them.",
        accepts="PEM of an RSA key of 2048 bits or more, or of one on the curve P-256, P-384 or P-521",
        parse=_public_key,
        secret=True,
    )
    jwt_jwks_url: str = _url(
        "JWT_JWKS_URL",
        "",
        "Where who signs tokens publishes the keys, as a JSON Web Key Set.",
        schemes=("https", "http"),
        check=_with_host,
    )
    jwt_audience: str = _text("JWT_AUDIENCE", "", "Audience that a token has to name; any when empty.")
    jwt_issuer: str = _text("JWT_ISSUER", "", "Issuer that a token has to name; any when empty.")
    jwt_leeway: float = _seconds(
        "JWT_LEEWAY", 30.0, "How far the clocks of who signs and who verifies may differ.", low=0, high=300
    )
    jwt_user_claim: str = _text("JWT_USER_CLAIM", "sub", "Claim of a token that names the user.")

    cors_origins: str = _text(
        "CORS_ORIGINS",
        "*",
        "Browser origins that may call the API.",
        accepts="* or origins separated by commas",
    )
    max_concurrent_requests: int = _integer(
        "MAX_CONCURRENT_REQUESTS",
        500,
        "Most list requests under way at once; one more is shed with 503.",
        low=1,
        high=100_000,
    )
    slow_request: float = _seconds(
        "SLOW_REQUEST", 1.0, "Time from which a request is logged as slow.", low=0.001, high=60
    )
    metrics: bool = _switch("METRICS", True, "Measure requests, and serve `/metrics`.")
    docs: bool = _switch("DOCS", True, "Serve the interactive documentation at `/docs`.")
    revision: str = _text("REVISION", "unknown", "Which commit runs, as `/metrics` tells; the image knows it.")
    shutdown_delay: float = _seconds(
        "SHUTDOWN_DELAY",
        1.0,
        "Pause between failing readiness and closing the port, for load balancers to notice.",
        low=0,
        high=60,
    )
    shutdown_timeout: float = _seconds(
        "SHUTDOWN_TIMEOUT", 15.0, "Longest wait for requests under way to end.", low=1, high=300
    )

    @classmethod
    def load(cls, environment: Mapping[str, str | None]) -> Self:
        """Builds the settings from variables; an empty value counts as absent.

        Raises:
            InvalidSettingError: a value cannot be used, or two contradict each other.
        """
        values = {}
        for name, variable in _variables():
            raw = (environment.get(variable.name) or "").strip()
            if not raw:
                continue
            try:
                values[name] = variable.parse(raw)
            except (ValueError, KeyError) as error:
                may = error if isinstance(error, RedisUrlError) else f"it may be {variable.accepts}"
                held = _MASK if variable.secret else repr(without_password(raw))
                raise InvalidSettingError(f"{variable.name} is {held}; {may}") from None
        settings = cls(**values)
        if settings.default_page_size > settings.max_page_size:
            raise InvalidSettingError(
                f"DEFAULT_PAGE_SIZE is {settings.default_page_size}; "
                f"it may be at most MAX_PAGE_SIZE, {settings.max_page_size}"
            )
        if settings.mongodb_user and not settings.mongodb_password:
            raise InvalidSettingError("MONGODB_PASSWORD is empty; MONGODB_USER is set, so it may not be")
        keys = [name for name in _KEYS if name in values]
        if settings.auth_mode == "jwt" and len(keys) != 1:
            raise InvalidSettingError(
                f"AUTH_MODE is jwt; exactly one of {', '.join(map(str.upper, _KEYS))} has to be set"
            )
        if settings.auth_mode != "jwt" and keys:
            raise InvalidSettingError(f"{keys[0].upper()} is set; AUTH_MODE is {settings.auth_mode}, it has to be jwt")
        return settings

    @classmethod
    def from_environment(cls) -> Self:
        """Builds the settings of this process: its environment over `.env`.

        Raises:
            InvalidSettingError: as `load`.
        """
        return cls.load(dict(_environment()))


@dataclass(frozen=True, slots=True)
class Explanation:
    """One setting for people: variable, value in force (masked when secret), source, default, meaning, range."""

    variable: str
    value: str
    source: str
    default: str
    meaning: str
    accepts: str


def explain() -> list[Explanation]:
    """Lists every setting of this process with its value and where that came from.

    Raises:
        InvalidSettingError: as `Settings.load`.
    """
    settings = Settings.from_environment()
    sources = {name: "environment" if os.environ.get(name) else ".env" for name, value in _environment() if value}
    return [
        Explanation(
            variable=variable.name,
            value=_shown(getattr(settings, name), secret=variable.secret),
            source=sources.get(variable.name, "default"),
            default=_shown(default, secret=False),
            meaning=variable.meaning,
            accepts=variable.accepts,
        )
        for (name, variable), default in zip(_variables(), _defaults(), strict=True)
    ]


def _variables() -> Iterator[tuple[str, _Variable]]:
    return ((each.name, each.metadata["variable"]) for each in fields(Settings))


def _defaults() -> Iterator[Any]:
    return (each.default for each in fields(Settings) if each.default is not MISSING)


def _environment() -> Iterator[tuple[str, str | None]]:
    try:
        yield from dotenv_values(Path(".env")).items()
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise InvalidSettingError(f"{Path('.env').absolute()} cannot be read: {why}; mend or remove it") from None
    yield from ((name, value) for name, value in os.environ.items() if value)


def _shown(value: Any, *, secret: bool) -> str:
    if secret and value:
        return _MASK
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:g}" if isinstance(value, float) else without_password(str(value))


def without_password(text: str) -> str:
    """Masks the passwords of a URL, also of a malformed one; any other text is returned as it is."""
    text = re.sub(r"((?:password|properties)=)[^&]*", rf"\1{_MASK}", text, flags=re.IGNORECASE)
    head, at, hosts = text.rpartition("@")
    before, slashes, after = head.partition("//")
    scheme, credentials = (before, after) if slashes else ("", before)
    user, colon, _ = credentials.partition(":")
    return f"{scheme}{slashes}{user}:{_MASK}@{hosts}" if at and colon else text
