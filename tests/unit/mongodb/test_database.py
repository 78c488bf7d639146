"""A MongoDB connection string: the messages about an unusable one, and the options that it cannot override."""

import importlib.util

import pytest
from pymongo import ReadPreference

from mylist.config.settings import Settings
from mylist.mongodb.database import MongoRefusedError, address, connect
from tests.requirements import skip_or_fail

SECRET = "hunter2"


@pytest.mark.parametrize(
    ("uri", "words"),
    [
        ("mongodb://host:port/lists", "Port contains non-digit characters"),
        ("mongodb:///lists", "Empty host"),
        ("mongodb://host/my lists", 'Bad database name "my lists"'),
        ("mongodb+srv://host:27017/lists", "must not include a port number"),
        (f"mongodb://me:{SECRET}/x@host/lists", "user and password must be percent-encoded"),
        (f"mongodb://me:{SECRET}//x@host/lists", "user and password must be percent-encoded"),
        (f"mongodb://me:{SECRET}@x@host/lists", "must be escaped"),
        (f"mongodb://me:{SECRET}%@host/lists", "must be escaped"),
        (f"mongodb://:{SECRET}@host/lists", "not valid username"),
        ("mongodb://host/lists?tls=true&tlsCAFile=nowhere.pem", "nowhere.pem: No such file or directory"),
    ],
)
def test_an_unusable_uri_is_refused_with_the_reason_and_an_example(uri: str, words: str) -> None:
    message = refused(uri)
    assert message.startswith("MONGODB_URI cannot be used: ")
    assert words in message
    assert message.endswith("mongodb://host:27017/mylist-ott, with MONGODB_USER and MONGODB_PASSWORD set separately")


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("tls=maybe", "The value of tls must be 'true' or 'false'"),
        ("tlss=true", "Unknown option: tlss"),
        ("readPreference=x", "x is not a valid read preference"),
        (f"tls=maybe&tlsCertificateKeyFilePassword={SECRET}", "The value of tls"),
        (f"tls=maybe&authMechanismProperties=AWS_SESSION_TOKEN:{SECRET}", "The value of tls"),
    ],
)
def test_a_uri_option_that_the_driver_would_ignore_with_a_warning_is_refused(query: str, words: str) -> None:
    assert words in refused(f"mongodb://host/lists?{query}")


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("authMechanism=MONGODB-AWS", "needs the package pymongo-auth-aws: install mylist[aws]"),
        ("authmechanism=mongodb-aws&tls=true", "needs the package pymongo-auth-aws: install mylist[aws]"),
        ("authMechanism=MONGODB-X509", "MONGODB-X509 needs tls=true and tlsCertificateKeyFile"),
        ("authMechanism=MONGODB-X509&tls=true", "MONGODB-X509 needs tls=true and tlsCertificateKeyFile"),
        ("authMechanism=MONGODB-OIDC", "requires providing either a callback or a environment"),
        ("authMechanism=MONGODB-OIDC&authMechanismProperties=ENVIRONMENT:azure", "requires a TOKEN_RESOURCE"),
        ("compressors=zstd", "zstd"),
    ],
)
def test_a_uri_that_lacks_a_package_or_an_option_is_refused(query: str, words: str) -> None:
    if "aws" in query.lower() and importlib.util.find_spec("pymongo_auth_aws"):
        skip_or_fail("pymongo-auth-aws is installed")
    assert words in refused(f"mongodb://host/lists?{query}")


def test_kerberos_without_its_package_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    assert "needs the package kerberos" in refused("mongodb://me:x@host/lists?authMechanism=GSSAPI")


@pytest.mark.parametrize(
    ("uri", "expected"),
    [
        ("mongodb://one:1,two:2/lists?w=1", "one:1,two:2"),
        (f"mongodb://me:{SECRET}@one", "one"),
        (f"mongodb://me:{SECRET}/x@one:1?w=1", "one:1"),
        ("mongodb://[::1]:27017/", "[::1]:27017"),
    ],
)
def test_the_address_has_only_the_hosts(uri: str, expected: str) -> None:
    assert address(Settings(mongodb_uri=uri)) == expected


async def test_a_uri_cannot_weaken_the_read_and_write_concerns() -> None:
    """A failover may roll back a write that only one member has, so such a write must not get into a cached list."""
    client = connect(
        Settings(mongodb_uri="mongodb://host/lists?w=1&journal=false&readConcernLevel=local&readPreference=nearest")
    )

    assert client.write_concern.document == {"w": "majority", "j": True}
    assert client.read_concern.level == "majority"
    assert client.read_preference == ReadPreference.PRIMARY
    await client.close()


def refused(uri: str) -> str:
    with pytest.raises(MongoRefusedError) as error:
        connect(Settings(mongodb_uri=uri))
    message = str(error.value)
    assert SECRET not in message
    assert "\n" not in message
    return message
