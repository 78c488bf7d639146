"""Settings: where they come from, and how a bad value is refused."""

import os
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from mylist.config.redis_url import SCHEMES
from mylist.config.settings import InvalidSettingError, Settings, explain
from mylist.domain.external_id import ExternalIdRules
from tests.identity_provider import RSA_KEY, SECRET, pem

NO_PEM = (
    "JWT_PUBLIC_KEY is ********; "
    "it must be PEM of an RSA key of 2048 bits or more, or of one on the curve P-256, P-384, P-521 or Ed25519"
)
KEYS = "AUTH_MODE is jwt; exactly one of JWT_SECRET, JWT_PUBLIC_KEY, JWT_JWKS_URL must be set"
ANY_SCHEME = " or ".join(f"{scheme}://" for scheme in SCHEMES)


MONGODB_SCHEMES = "it must be a URL that starts with mongodb:// or mongodb+srv://"


@pytest.fixture(autouse=True)
def nowhere_special(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A directory without a `.env`, and an environment without settings."""
    monkeypatch.chdir(tmp_path)
    for each in explain():
        monkeypatch.delenv(each.variable, raising=False)


def test_defaults_are_those_of_the_documented_service() -> None:
    settings = Settings.load({})

    assert (settings.port, settings.mongodb_uri) == (3000, "mongodb://localhost:27017/mylist-ott")
    assert (settings.redis_host, settings.redis_port, settings.redis_db) == ("localhost", 6379, 0)
    assert (settings.cache_ttl, settings.default_page_size, settings.max_page_size) == (300, 20, 100)


def test_an_empty_value_counts_as_absent() -> None:
    assert Settings.load({"PORT": "", "CACHE_TTL": "  "}) == Settings()


@pytest.mark.parametrize(
    ("variable", "value", "message"),
    [
        ("PORT", "http", "PORT is 'http'; it must be a whole number from 1 to 65535"),
        ("PORT", "0", "PORT is '0'; it must be a whole number from 1 to 65535"),
        ("PORT", "65536", "PORT is '65536'; it must be a whole number from 1 to 65535"),
        ("MONGODB_TIMEOUT", "nan", "MONGODB_TIMEOUT is 'nan'; it must be seconds from 0.1 to 5"),
        ("APP_ENV", "prod", "APP_ENV is 'prod'; it must be development | test | staging | production"),
        ("CACHE_STRICT", "maybe", "CACHE_STRICT is 'maybe'; it must be true | false"),
        (
            "MONGODB_URI",
            "localhost:27017",
            "MONGODB_URI is 'localhost:27017'; it must be a URL that starts with mongodb:// or mongodb+srv://",
        ),
        (
            "REDIS_URL",
            "http://:s3cret@cache:6379",
            f"REDIS_URL is 'http://:********@cache:6379'; it must be a URL that starts with {ANY_SCHEME}",
        ),
        (
            "REDIS_URL",
            "redis+cluster://app:s3cret@one,two:7001/1?password=s4cret",
            "REDIS_URL is 'redis+cluster://app:********@one,two:7001/1?password=********'; its query may hold nothing",
        ),
        (
            "MONGODB_URI",
            "mongo//root:s3c//r:et@db",
            "MONGODB_URI is 'mongo//root:********@db'; it must be a URL that starts with mongodb:// or mongodb+srv://",
        ),
        (
            "MONGODB_URI",
            "mongo//root:s3c/ret@db",
            "MONGODB_URI is 'mongo//root:********@db'; it must be a URL that starts with mongodb:// or mongodb+srv://",
        ),
        ("AUTH_MODE", "basic", "AUTH_MODE is 'basic'; it must be header | jwt"),
        ("JWT_SECRET", "x" * 31, "JWT_SECRET is ********; it must be text of 32 bytes or more"),
        ("JWT_PUBLIC_KEY", "-----BEGIN PUBLIC KEY-----", NO_PEM),
        ("JWT_PUBLIC_KEY", pem(RSA_KEY)[:-60], NO_PEM),
        ("JWT_PUBLIC_KEY", pem(rsa.generate_private_key(public_exponent=65537, key_size=1024)), NO_PEM),  # noqa: S505
        ("JWT_PUBLIC_KEY", pem(ec.generate_private_key(ec.SECP256K1())), NO_PEM),
        (
            "JWT_JWKS_URL",
            "login.example/jwks.json",
            "JWT_JWKS_URL is 'login.example/jwks.json'; it must be a URL that starts with https:// or http://",
        ),
        (
            "JWT_JWKS_URL",
            "https:///jwks.json",
            "JWT_JWKS_URL is 'https:///jwks.json'; it must be a URL that starts with https:// or http://",
        ),
        (
            "JWT_JWKS_URL",
            "https://bad host/jwks.json",
            "JWT_JWKS_URL is 'https://bad host/jwks.json'; it must be a URL that starts with https:// or http://",
        ),
        (
            "JWT_JWKS_URL",
            "https://login.example:99999/jwks.json",
            "JWT_JWKS_URL is 'https://login.example:99999/jwks.json'; it must be a URL that starts with https:// or http://",
        ),
        (
            "REDIS_URL",
            "redis://bad host:6379",
            f"REDIS_URL is 'redis://bad host:6379'; it must be a URL that starts with {ANY_SCHEME}",
        ),
        (
            "MONGODB_URI",
            "mongodb://app:pass word@one, two/lists",
            f"MONGODB_URI is 'mongodb://app:********@one, two/lists'; {MONGODB_SCHEMES}",
        ),
        ("JWT_ISSUER", ",", "JWT_ISSUER is ','; it must be texts separated by commas, none of them empty"),
        ("JWT_ISSUER", "a, ,b", "JWT_ISSUER is 'a, ,b'; it must be texts separated by commas, none of them empty"),
        ("JWT_AUDIENCE", "a,", "JWT_AUDIENCE is 'a,'; it must be texts separated by commas, none of them empty"),
        ("REDIS_HOST", "bad host", "REDIS_HOST is 'bad host'; it must be an IP address or host name"),
        ("REDIS_HOST", "cache:6379", "REDIS_HOST is 'cache:6379'; it must be an IP address or host name"),
        ("REDIS_HOST", "redis://cache", "REDIS_HOST is 'redis://cache'; it must be an IP address or host name"),
        ("REDIS_HOST", "[::1]", "REDIS_HOST is '[::1]'; it must be an IP address or host name"),
        ("HOST", "http://0.0.0.0", "HOST is 'http://0.0.0.0'; it must be an IP address or host name"),
        (
            "CORS_ORIGINS",
            "tv.example",
            "CORS_ORIGINS is 'tv.example'; 'tv.example' is not an origin: write its scheme too, as in https://tv.example",
        ),
        ("CORS_ORIGINS", ",", "CORS_ORIGINS is ','; an origin between the commas is empty; remove a comma"),
        ("HSTS", "on", "HSTS is 'on'; it must be off, or max-age=SECONDS with or without ; includeSubDomains"),
        ("JWT_LEEWAY", "301", "JWT_LEEWAY is '301'; it must be seconds from 0 to 300"),
    ],
)
def test_a_bad_value_is_refused_with_the_accepted_values(variable: str, value: str, message: str) -> None:
    with pytest.raises(InvalidSettingError) as refused:
        Settings.load({variable: value})
    assert str(refused.value) == message


@pytest.mark.parametrize(
    ("environment", "rules"),
    [
        ({}, ExternalIdRules(("imdb", "tmdb", "tvdb"))),
        ({"EXTERNAL_ID_NAMES": "house-2, imdb"}, ExternalIdRules(("house-2", "imdb"))),
        (
            {"UNIQUE_EXTERNAL_IDS": "imdb, tmdb:type"},
            ExternalIdRules(("imdb", "tmdb", "tvdb"), frozenset({"imdb"}), frozenset({"tmdb"})),
        ),
    ],
)
def test_the_names_and_the_uniqueness_of_external_ids_are_configurable(
    environment: dict[str, str], rules: ExternalIdRules
) -> None:
    assert Settings.load(environment).external_ids == rules


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        *(("EXTERNAL_ID_NAMES", each) for each in ("IMDb", "imdb,", "imdb,imdb", "a b", "movie", "imdb:type", "$a")),
        ("EXTERNAL_ID_NAMES", ",".join(f"name{each}" for each in range(17))),
        *(("UNIQUE_EXTERNAL_IDS", each) for each in ("imdb:", "imdb:show", "imdb,imdb:type", ",", ":type")),
    ],
)
def test_an_invalid_name_of_external_ids_is_refused(variable: str, value: str) -> None:
    with pytest.raises(InvalidSettingError, match=f"{variable} is .*; it must be .*names separated by commas"):
        Settings.load({variable: value})


@pytest.mark.parametrize(
    ("environment", "message"),
    [
        ({"DEFAULT_PAGE_SIZE": "200"}, "DEFAULT_PAGE_SIZE is 200; it must be at most MAX_PAGE_SIZE, 100"),
        (
            {"EXTERNAL_ID_NAMES": "imdb", "UNIQUE_EXTERNAL_IDS": "imdb,tmdb:type"},
            "UNIQUE_EXTERNAL_IDS has tmdb; EXTERNAL_ID_NAMES must have it too, but has imdb",
        ),
        ({"AUTH_MODE": "jwt"}, KEYS),
        ({"AUTH_MODE": "jwt", "JWT_SECRET": SECRET, "JWT_JWKS_URL": "https://a/b"}, KEYS),
        ({"JWT_SECRET": SECRET}, "JWT_SECRET is set; AUTH_MODE is header, it must be jwt"),
        ({"JWT_JWKS_URL": "https://a/b"}, "JWT_JWKS_URL is set; AUTH_MODE is header, it must be jwt"),
        (
            {"CORS_CREDENTIALS": "true"},
            (
                "CORS_CREDENTIALS is true, but CORS_ORIGINS is \\*; set CORS_ORIGINS to the origins that may send "
                "credentials"
            ),
        ),
        ({"MONGODB_USER": "app"}, "MONGODB_PASSWORD is empty; it must be set when MONGODB_USER is set"),
        (
            {"REDIS_URL": "redis+sentinel://one,two,three/lists", "REDIS_TIMEOUT": "0.21"},
            "REDIS_TIMEOUT is 0.21; it must be at most 0.2 with a REDIS_URL of redis\\+sentinel://",
        ),
        (
            {"REDIS_URL": "rediss+cluster://one", "REDIS_TIMEOUT": "0.23"},
            "REDIS_TIMEOUT is 0.23; it must be at most 0.22 with a REDIS_URL of redis\\+cluster://",
        ),
    ],
)
def test_contradictory_settings_are_refused(environment: dict[str, str], message: str) -> None:
    with pytest.raises(InvalidSettingError, match=message):
        Settings.load(environment)


@pytest.mark.parametrize(
    ("url", "timeout"),
    [
        ("redis+sentinel://one,two,three/lists", 0.2),
        ("rediss+sentinel://one,two,three/lists", 0.2),
        ("redis://cache", 0.4),
        ("redis+cluster://one", 0.22),
    ],
)
def test_redis_timeout_may_be_as_long_as_the_kind_of_redis_allows(url: str, timeout: float) -> None:
    settings = Settings.load({"REDIS_URL": url, "REDIS_TIMEOUT": str(timeout)})
    assert settings.redis_timeout == timeout


@pytest.mark.parametrize(
    ("variable", "value", "expected"),
    [
        ("LOG_LEVEL", "WARNING", "warning"),
        ("CACHE_STRICT", "TRUE", True),
        ("CACHE_STRICT", "1", True),
        ("DOCS", "False", False),
        ("DOCS", "0", False),
        ("PORT", " 4000 ", 4000),
        ("MONGODB_TIMEOUT", "1", 1.0),
        ("JWT_ISSUER", " a , b", "a,b"),
        ("CORS_ORIGINS", "HTTPS://TV.example:443, http://localhost:3000", "https://tv.example,http://localhost:3000"),
        ("HSTS", "Max-Age=60;includesubdomains", "max-age=60; includeSubDomains"),
        ("REDIS_HOST", "::1", "::1"),
        ("REDIS_HOST", "redis-0.redis_headless.svc.cluster.local.", "redis-0.redis_headless.svc.cluster.local."),
    ],
)
def test_a_value_may_be_written_in_several_ways(variable: str, value: str, expected: object) -> None:
    in_force = getattr(Settings.load({variable: value}), variable.lower())
    assert (in_force, type(in_force)) == (expected, type(expected))


def test_the_environment_wins_over_the_env_file(monkeypatch: pytest.MonkeyPatch) -> None:
    Path(".env").write_text("PORT=4000\nCACHE_TTL=60\n")
    monkeypatch.setenv("PORT", "5000")

    settings = Settings.from_environment()
    sources = {each.variable: (each.value, each.source) for each in explain()}

    assert (settings.port, settings.cache_ttl) == (5000, 60)
    assert sources["PORT"] == ("5000", "environment")
    assert sources["CACHE_TTL"] == ("60", ".env")
    assert sources["REDIS_PORT"] == ("6379", "default")


@pytest.mark.parametrize("line_break", ["\n", "\\n"], ids=["line breaks", "escapes"])
@pytest.mark.parametrize("quote", ['"', "'"])
def test_a_public_key_may_be_set_in_the_env_file(line_break: str, quote: str) -> None:
    key = pem(RSA_KEY).strip()
    Path(".env").write_text(f"AUTH_MODE=jwt\nJWT_PUBLIC_KEY={quote}{key.replace(chr(10), line_break)}{quote}\n")

    assert Settings.from_environment().jwt_public_key == key
    assert {each.variable: each.value for each in explain()}["JWT_PUBLIC_KEY"] == "********"


def test_an_unreadable_env_file_is_named_in_the_error(monkeypatch: pytest.MonkeyPatch) -> None:
    nobody, me = 65534, os.geteuid()
    with TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        monkeypatch.chdir(folder)
        Path(".env").touch(mode=0)
        if me == 0:  # root may read everything
            os.seteuid(nobody)
        try:
            with pytest.raises(
                InvalidSettingError, match=r"/\.env cannot be read: Permission denied; fix or remove it"
            ):
                Settings.from_environment()
        finally:
            os.seteuid(me)
        monkeypatch.chdir("/")


def test_secrets_are_masked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REDIS_PASSWORD", "hunter2")
    monkeypatch.setenv("MONGODB_URI", "mongodb://root:p:a@s:s@db.example/lists?authSource=admin")

    shown = {each.variable: each.value for each in explain()}

    assert shown["REDIS_PASSWORD"] == "********"
    assert shown["MONGODB_PASSWORD"] == ""
    assert shown["MONGODB_URI"] == "mongodb://root:********@db.example/lists?authSource=admin"


def test_every_setting_has_a_description_and_accepted_values() -> None:
    for each in explain():
        assert each.meaning.endswith("."), each
        assert each.accepts, each
