"""Every setting of the service: its environment variable, default, bounds and meaning.

A value comes from the environment, else from a `.env` file in the working directory, else from the default below. An
invalid value aborts the start with one line: the variable, its value and the accepted values.

msgspec reads the values by the annotations of `Settings`. The variable of a field is its name in capitals.
"""

import builtins
import os
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, fields
from functools import cache
from ipaddress import ip_address
from typing import Annotated, Any, Literal, Self, get_args, get_type_hints
from urllib.parse import urlsplit

import msgspec
from msgspec import Meta

from mylist.config import env_file
from mylist.config.browser_policy import ANY_ORIGIN, UnusableOriginError, parse_hsts, parse_origins
from mylist.config.mistyped_names import MAX_TOLD_LENGTH, meant
from mylist.config.public_key import read_pem
from mylist.config.redis_timing import DEFAULT_REDIS_TIMEOUT_S, max_redis_timeout
from mylist.config.redis_url import SCHEMES, RedisKind, RedisUrlError, parse_redis_url
from mylist.domain.articles import Language
from mylist.domain.external_id import (
    DEFAULT_EXTERNAL_ID_RULES,
    MAX_EXTERNAL_NAMES,
    ExternalIdRules,
    is_external_name,
)

_MASK = "********"
_MIN_SECRET_BYTES = 32  # of a secret for HS256 (RFC 7518, section 3.2)
_HOST_NAME = re.compile(r"[^\W_](?:[\w-]*\w)?(?:\.\w(?:[\w-]*\w)?)*\.?")
_BY_TYPE = ":type"
"""After the name of external ids that are unique among movies, and among shows."""
_TOKEN_KEYS = ("jwt_secret", "jwt_public_key", "jwt_jwks_url")


class InvalidSettingError(ValueError):
    """A setting cannot be used; the message is one line with the variable, its value and the accepted values."""


@dataclass(frozen=True, slots=True)
class _Text:
    """The properties that a text setting has beyond its type.

    Attributes:
        accepts: the accepted values, for people.
        parse: return the value in force, or raise ValueError.
        secret: whether the value is masked wherever it is shown.
    """

    accepts: str = "any text"
    parse: Callable[[str], str] = str
    secret: bool = False


def _url(*schemes: str, check: Callable[[str], object] = lambda _: None) -> _Text:
    def parse(raw: str) -> str:
        parts = urlsplit(raw)
        hosts = parts.netloc.rpartition("@")[2]
        if parts.scheme not in schemes or not (parts.netloc or parts.path) or re.search(r"\s", hosts):
            raise ValueError
        check(raw)
        return raw

    return _Text("a URL that starts with " + " or ".join(f"{scheme}://" for scheme in schemes), parse)


def _shared_secret(raw: str) -> str:
    if len(raw.encode()) < _MIN_SECRET_BYTES:
        raise ValueError
    return raw


def _public_key(raw: str) -> str:
    pem = raw.replace("\\n", "\n")
    read_pem(pem)
    return pem


def _with_host(url: str) -> None:
    parts = urlsplit(url)
    if not parts.hostname or parts.port == 0 or re.search(r"\s", parts.path):
        raise ValueError
    _host(parts.hostname)


def _host(raw: str) -> str:
    if not _HOST_NAME.fullmatch(raw):
        ip_address(raw)
    return raw


def _listed(raw: str) -> tuple[str, ...]:
    return tuple(each.strip() for each in raw.split(","))


def _full_list(raw: str) -> str:
    members = _listed(raw)
    if not all(members):
        raise ValueError
    return ",".join(members)


def _external_names(raw: str) -> str:
    names = _listed(raw)
    if not all(map(is_external_name, names)) or len(set(names)) < len(names) or len(names) > MAX_EXTERNAL_NAMES:
        raise ValueError
    return ",".join(names)


def _unique_names(raw: str) -> str:
    names = _listed(raw)
    _external_names(",".join(each.removesuffix(_BY_TYPE) for each in names))
    return ",".join(names)


def _origins(raw: str) -> str:
    return ",".join(parse_origins(raw))


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The settings in force. Durations are in seconds, sizes in the unit that their meaning names."""

    host: Annotated[str, "Address to listen on.", _Text(accepts="an IP address or host name", parse=_host)] = "0.0.0.0"  # noqa: S104 - a container serves on all its interfaces
    port: Annotated[int, "TCP port to listen on.", Meta(ge=1, le=65535)] = 3000
    app_env: Annotated[
        Literal["development", "test", "staging", "production"],
        "Name of the environment; `production` logs JSON even on a terminal.",
    ] = "development"
    log_level: Annotated[Literal["debug", "info", "warning", "error"], "Lowest level that is logged."] = "info"

    mongodb_uri: Annotated[
        str,
        "MongoDB connection string; the path names the database (`mylist-ott` when it names none).",
        _url("mongodb", "mongodb+srv"),
    ] = "mongodb://localhost:27017/mylist-ott"
    mongodb_user: Annotated[str, "MongoDB user; overrides the one in the URI."] = ""
    mongodb_password: Annotated[str, "MongoDB password, verbatim: it is not percent-encoded.", _Text(secret=True)] = ""
    mongodb_timeout: Annotated[float, "Deadline of one MongoDB operation, connecting included.", Meta(ge=0.1, le=5)] = (
        2.0
    )
    mongodb_pool_size: Annotated[
        int,
        "Maximum number of connections to MongoDB, and of concurrent operations; further operations wait for up to a "
        "second, and then fail with 503.",
        Meta(ge=1, le=1000),
    ] = 100

    redis_host: Annotated[str, "Redis host.", _Text(accepts="an IP address or host name", parse=_host)] = "localhost"
    redis_port: Annotated[int, "Redis port.", Meta(ge=1, le=65535)] = 6379
    redis_password: Annotated[str, "Redis password, unless REDIS_URL has one; empty for none.", _Text(secret=True)] = ""
    redis_db: Annotated[int, "Redis database number.", Meta(ge=0, le=1000)] = 0
    redis_url: Annotated[
        str,
        "Redis as one URL, also for TLS (`rediss`), Sentinel and Cluster; replaces host, port and database.",
        _url(*SCHEMES, check=parse_redis_url),
    ] = ""
    redis_timeout: Annotated[
        float,
        f"Deadline of one Redis command, connecting included; at most {max_redis_timeout(RedisKind.SENTINEL)} with "
        f"Sentinel, {max_redis_timeout(RedisKind.CLUSTER)} with Cluster.",
        Meta(ge=0.01, le=max_redis_timeout(RedisKind.SERVER)),
    ] = DEFAULT_REDIS_TIMEOUT_S

    cache_ttl: Annotated[int, "Seconds that a cached list lives, ± 10 %.", Meta(ge=1, le=86400)] = 300
    cache_strict: Annotated[
        bool, "Refuse writes with 503 while Redis is unreachable, instead of invalidating later."
    ] = False

    default_page_size: Annotated[int, "Items on a page when the client names no size.", Meta(ge=1, le=1000)] = 20
    max_page_size: Annotated[int, "Maximum of items on a page.", Meta(ge=1, le=1000)] = 100
    max_list_size: Annotated[int, "Maximum of items on one user's list.", Meta(ge=1, le=100_000)] = 5000
    max_items_per_account: Annotated[
        int,
        "Maximum of items on the lists of one account (`ACCOUNT` and `ACCOUNT/…`) together; 0 for none.",
        Meta(ge=0, le=1_000_000),
    ] = 0
    freshness_check_every: Annotated[
        int,
        "One cached read in this many is compared with MongoDB afterwards, at most five a second; 0 for none.",
        Meta(ge=0, le=1_000_000),
    ] = 1000

    catalogue_ttl: Annotated[
        float, "Maximum time until a change of a movie or show is visible.", Meta(ge=1, le=3600)
    ] = 60.0
    catalogue_size: Annotated[
        int,
        "Maximum number of movies and shows that one process keeps in memory, rendered.",
        Meta(ge=100, le=1_000_000),
    ] = 20_000
    catalogue_language: Annotated[
        Language, "Language whose leading articles are ignored when lists are sorted by title; `none` for no articles."
    ] = "en"

    external_id_names: Annotated[
        str,
        "Names of the external ids that titles may have and requests may use, as in `imdb:tt0133093`.",
        _Text(accepts=f"up to {MAX_EXTERNAL_NAMES} names separated by commas, such as imdb", parse=_external_names),
    ] = ",".join(DEFAULT_EXTERNAL_ID_RULES.names)
    unique_external_ids: Annotated[
        str,
        "Names in EXTERNAL_ID_NAMES whose ids must be unique: no two titles may have the same id. With `:type`, "
        "as in `tmdb:type`, ids must be unique only among titles of the same type. `mylist indexes` creates the unique "
        "indexes.",
        _Text(
            accepts="names separated by commas, each of EXTERNAL_ID_NAMES, with or without the suffix :type",
            parse=_unique_names,
        ),
    ] = ""

    page_memory: Annotated[
        int, "Megabytes of rendered pages that one process keeps for unchanged lists; 0 for none.", Meta(ge=0, le=4096)
    ] = 32

    auth_mode: Annotated[
        Literal["header", "jwt"],
        "How users are identified: by the header `user-id`, which is trusted, or by a bearer token, which is verified.",
    ] = "header"
    jwt_secret: Annotated[
        str,
        "Shared secret that tokens are signed with (HS256).",
        _Text(accepts=f"text of {_MIN_SECRET_BYTES} bytes or more", parse=_shared_secret, secret=True),
    ] = ""
    jwt_public_key: Annotated[
        str,
        "Public key of the issuer of tokens (RS256 to RS512, PS256 to PS512, ES256 to ES512 or EdDSA); "
        "a line break may be written as `\\n`.",
        _Text(
            accepts="PEM of an RSA key of 2048 bits or more, or of one on the curve P-256, P-384, P-521 or Ed25519",
            parse=_public_key,
            secret=True,
        ),
    ] = ""
    jwt_jwks_url: Annotated[str, "URL of the issuer's JSON Web Key Set.", _url("https", "http", check=_with_host)] = ""
    jwt_audience: Annotated[
        str,
        "Accepted audiences, separated by commas: a token must name one of them. If empty, all are accepted.",
        _Text(accepts="texts separated by commas, none of them empty", parse=_full_list),
    ] = ""
    jwt_issuer: Annotated[
        str,
        "Accepted issuers, separated by commas: a token must name one of them exactly. If empty, all are accepted.",
        _Text(accepts="texts separated by commas, none of them empty", parse=_full_list),
    ] = ""
    jwt_leeway: Annotated[float, "Clock skew that is tolerated when a token is verified.", Meta(ge=0, le=300)] = 30.0
    jwt_user_claim: Annotated[str, "Claim of a token that names the user."] = "sub"
    jwt_profile_claim: Annotated[
        str,
        "Claim of a token that names the profile. With it the user is `account/profile`; JWT_USER_CLAIM names the "
        "account.",
    ] = ""

    cors_origins: Annotated[
        str,
        "Browser origins that may call the API; `https://*.example.com` stands for every subdomain.",
        _Text(accepts="* or origins separated by commas, such as https://tv.example.com", parse=_origins),
    ] = ANY_ORIGIN
    cors_credentials: Annotated[
        bool, "Let browsers send cookies and other credentials; CORS_ORIGINS must name origins then."
    ] = False
    hsts: Annotated[
        str,
        "`Strict-Transport-Security` of every answer; `off` leaves it to the proxy that terminates TLS.",
        _Text(accepts="off, or max-age=SECONDS with or without ; includeSubDomains", parse=parse_hsts),
    ] = "max-age=31536000"
    max_concurrent_requests: Annotated[
        int,
        "Maximum number of concurrent list requests; further ones get 503. One user may have 10 % of that number, "
        "but at least 4; further ones get 429.",
        Meta(ge=1, le=100_000),
    ] = 500
    keep_alive_timeout: Annotated[
        int,
        "Seconds before an idle connection is closed; must be longer than the load balancer's own idle timeout.",
        Meta(ge=1, le=7200),
    ] = 620
    slow_request: Annotated[float, "Duration from which a request is logged as slow.", Meta(ge=0.001, le=60)] = 1.0
    docs: Annotated[bool, "Serve the interactive documentation at `/docs`."] = True
    revision: Annotated[str, "Commit that runs, as `/metrics` reports it; the image sets it."] = "unknown"
    shutdown_delay: Annotated[
        float, "Pause between failing readiness and closing the port, so that load balancers notice.", Meta(ge=0, le=60)
    ] = 1.0
    shutdown_timeout: Annotated[float, "Maximum wait for requests in flight to end.", Meta(ge=1, le=300)] = 15.0

    @classmethod
    def load(cls, environment: Mapping[str, str | None]) -> Self:
        """Return the settings that variables hold; an empty value counts as absent.

        Raises:
            InvalidSettingError: a value cannot be used, or two contradict each other.
        """
        values = {}
        for setting in _declared():
            raw = (environment.get(setting.variable) or "").strip()
            if raw:
                values[setting.name] = setting.parse(raw)
        settings = cls(**values)
        settings._refuse_contradictions()
        return settings

    @classmethod
    def from_environment(cls) -> Self:
        """Return the settings of this process: its environment over `.env`.

        Raises:
            InvalidSettingError: as `load`.
        """
        return cls.load(dict(_environment()))

    @property
    def jwt_audiences(self) -> tuple[str, ...]:
        """The accepted audiences: a token must name one of them; none for any."""
        return _listed(self.jwt_audience) if self.jwt_audience else ()

    @property
    def jwt_issuers(self) -> tuple[str, ...]:
        """The accepted issuers: a token must name one of them; none for any."""
        return _listed(self.jwt_issuer) if self.jwt_issuer else ()

    @property
    def external_ids(self) -> ExternalIdRules:
        """The platform's rules for external ids."""
        unique = _listed(self.unique_external_ids) if self.unique_external_ids else ()
        return ExternalIdRules(
            _listed(self.external_id_names),
            frozenset(each for each in unique if not each.endswith(_BY_TYPE)),
            frozenset(each.removesuffix(_BY_TYPE) for each in unique if each.endswith(_BY_TYPE)),
        )

    def _refuse_contradictions(self) -> None:
        if self.default_page_size > self.max_page_size:
            raise InvalidSettingError(
                f"DEFAULT_PAGE_SIZE is {self.default_page_size}; it must be at most MAX_PAGE_SIZE, {self.max_page_size}"
            )
        if unknown := self.external_ids.unique_in_collection - set(self.external_ids.names):
            raise InvalidSettingError(
                f"UNIQUE_EXTERNAL_IDS has {min(unknown)}; EXTERNAL_ID_NAMES must have it too, but has "
                f"{self.external_id_names}"
            )
        if self.mongodb_user and not self.mongodb_password:
            raise InvalidSettingError("MONGODB_PASSWORD is empty; it must be set when MONGODB_USER is set")
        keys = [name.upper() for name in _TOKEN_KEYS if getattr(self, name)]
        if self.auth_mode == "jwt" and len(keys) != 1:
            raise InvalidSettingError(
                f"AUTH_MODE is jwt; exactly one of {', '.join(map(str.upper, _TOKEN_KEYS))} must be set"
            )
        if self.auth_mode != "jwt" and keys:
            raise InvalidSettingError(f"{keys[0]} is set; AUTH_MODE is {self.auth_mode}, it must be jwt")
        if self.cors_credentials and self.cors_origins == ANY_ORIGIN:
            raise InvalidSettingError(
                "CORS_CREDENTIALS is true, but CORS_ORIGINS is *; set CORS_ORIGINS to the origins that may send "
                "credentials"
            )
        kind = parse_redis_url(self.redis_url).form if self.redis_url else RedisKind.SERVER
        if self.redis_timeout > max_redis_timeout(kind):
            raise InvalidSettingError(
                f"REDIS_TIMEOUT is {self.redis_timeout:g}; it must be at most {max_redis_timeout(kind)} "
                f"with a REDIS_URL of {kind.value}://"
            )


@dataclass(frozen=True, slots=True)
class _Setting:
    """One field of `Settings`, as its annotation declares it."""

    name: str
    annotation: Any
    default: Any

    @property
    def variable(self) -> str:
        return self.name.upper()

    @property
    def meaning(self) -> str:
        _, meaning, *_ = get_args(self.annotation)
        return str(meaning)

    @property
    def text(self) -> _Text:
        return next((each for each in get_args(self.annotation) if isinstance(each, _Text)), _Text())

    @property
    def choices(self) -> tuple[str, ...]:
        kind, *_ = get_args(self.annotation)
        return get_args(kind)

    @property
    def accepts(self) -> str:
        match get_args(self.annotation):
            case (builtins.int, _, Meta(ge=low, le=high)):
                return f"a whole number from {low} to {high}"
            case (builtins.float, _, Meta(ge=low, le=high)):
                return f"seconds from {low:g} to {high:g}"
            case (builtins.bool, *_):
                return "true | false"
            case _:
                return " | ".join(self.choices) or self.text.accepts

    def parse(self, raw: str) -> Any:
        """Return the value that a variable holds.

        Raises:
            InvalidSettingError: it cannot be used.
        """
        try:
            value = msgspec.convert(raw.lower() if self.choices else raw, self.annotation, strict=False)
            return self.text.parse(value) if isinstance(value, str) else value
        except ValueError as error:
            explained = isinstance(error, RedisUrlError | UnusableOriginError)
            reason = error if explained else f"it must be {self.accepts}"
            shown = _MASK if self.text.secret else repr(without_password(raw))
            raise InvalidSettingError(f"{self.variable} is {shown}; {reason}") from None


@cache
def _declared() -> tuple[_Setting, ...]:
    annotations = get_type_hints(Settings, include_extras=True)
    return tuple(_Setting(field.name, annotations[field.name], field.default) for field in fields(Settings))


@dataclass(frozen=True, slots=True)
class Explanation:
    """One setting for people.

    Attributes:
        variable: its environment variable.
        value: the value in force, masked when it is secret.
        source: "environment", ".env" or "default".
        default: the value unless it is set.
        meaning: what it does, as a sentence.
        accepts: the accepted values.
    """

    variable: str
    value: str
    source: str
    default: str
    meaning: str
    accepts: str


def explain() -> list[Explanation]:
    """Return every setting of this process, with its value and the source of the value.

    Raises:
        InvalidSettingError: as `Settings.load`.
    """
    settings = Settings.from_environment()
    sources = {name: "environment" if os.environ.get(name) else ".env" for name, value in _environment() if value}
    return [
        Explanation(
            variable=setting.variable,
            value=_shown(getattr(settings, setting.name), secret=setting.text.secret),
            source=sources.get(setting.variable, "default"),
            default=_shown(setting.default, secret=False),
            meaning=setting.meaning,
            accepts=setting.accepts,
        )
        for setting in _declared()
    ]


def doubts() -> list[str]:
    """Return a sentence, without values, about each variable and each line of `.env` that sets nothing by mistake.

    Raises:
        InvalidSettingError: the file cannot be read.
    """
    settings = [setting.variable for setting in _declared()]
    with _readable_env_file():
        of_file = env_file.doubtful_lines(settings)
    given = {name for name, value in _environment() if value}
    mistyped = {name: meant(name, settings) for name in sorted(os.environ) if name in given}
    return [
        f"the environment variable {name[:MAX_TOLD_LENGTH]!a} is not a setting; did you mean {setting}?"
        for name, setting in mistyped.items()
        if setting and setting not in given
    ] + of_file


def _environment() -> Iterator[tuple[str, str | None]]:
    with _readable_env_file():
        yield from env_file.read().items()
    yield from ((name, value) for name, value in os.environ.items() if value)


@contextmanager
def _readable_env_file() -> Iterator[None]:
    try:
        yield
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise InvalidSettingError(f"{env_file.FILE.absolute()} cannot be read: {why}; fix or remove it") from None


def _shown(value: Any, *, secret: bool) -> str:
    if secret and value:
        return _MASK
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:g}" if isinstance(value, float) else without_password(str(value))


def without_password(text: str) -> str:
    """Return a URL, even a malformed one, with its passwords masked; any other text as it is."""
    text = re.sub(r"((?:password|properties)=)[^&]*", rf"\1{_MASK}", text, flags=re.IGNORECASE)
    head, at, hosts = text.rpartition("@")
    before, slashes, after = head.partition("//")
    scheme, credentials = (before, after) if slashes else ("", before)
    user, colon, _ = credentials.partition(":")
    return f"{scheme}{slashes}{user}:{_MASK}@{hosts}" if at and colon else text
