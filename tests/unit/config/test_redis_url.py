"""The accepted forms of REDIS_URL, and the reasons for which others are refused."""

from pathlib import Path

import pytest

from mylist.config.redis_url import RedisKind, RedisUrl, RedisUrlError, parse_redis_url


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("redis://cache", RedisUrl(form=RedisKind.SERVER, addresses=(("cache", 6379),))),
        ("redis://:pw@cache:1/3", RedisUrl(form=RedisKind.SERVER, addresses=(("cache", 1),), password="pw", db=3)),
        (
            "redis://us%3Aer:p%40ss%2Fword@[::1]:7000",
            RedisUrl(form=RedisKind.SERVER, addresses=(("::1", 7000),), username="us:er", password="p@ss/word"),
        ),
        ("unix:///run/redis.sock?db=2", RedisUrl(form=RedisKind.SOCKET, path="/run/redis.sock", db=2)),
        (
            "unix://app:pw@/run/redis.sock",
            RedisUrl(form=RedisKind.SOCKET, path="/run/redis.sock", username="app", password="pw"),
        ),
        (
            "redis+sentinel://app:pw@one,two:26380/the%20primary/4",
            RedisUrl(
                form=RedisKind.SENTINEL,
                addresses=(("one", 26379), ("two", 26380)),
                name="the primary",
                db=4,
                username="app",
                password="pw",
            ),
        ),
        (
            "redis+sentinel://:pw@one/p?sentinel_username=watch&sentinel_password=",
            RedisUrl(
                form=RedisKind.SENTINEL,
                addresses=(("one", 26379),),
                name="p",
                password="pw",
                sentinel_username="watch",
                sentinel_password="",
            ),
        ),
        (
            "redis+cluster://app:pw@one:7001,two",
            RedisUrl(form=RedisKind.CLUSTER, addresses=(("one", 7001), ("two", 6379)), username="app", password="pw"),
        ),
        (
            "rediss+cluster://one",
            RedisUrl(form=RedisKind.CLUSTER, addresses=(("one", 6379),), tls={"ssl_check_hostname": True}),
        ),
        (
            "rediss://cache?ssl_check_hostname=false",
            RedisUrl(form=RedisKind.SERVER, addresses=(("cache", 6379),), tls={"ssl_check_hostname": False}),
        ),
    ],
)
def test_a_url_of_each_form_is_parsed(url: str, expected: RedisUrl) -> None:
    assert parse_redis_url(url) == expected


def test_a_tls_url_may_name_a_certificate_file(tmp_path: Path) -> None:
    authority = tmp_path / "ca.pem"
    authority.touch()

    parsed = parse_redis_url(f"rediss+sentinel://one/p?ssl_ca_certs={authority}")

    assert parsed.tls == {"ssl_ca_certs": str(authority), "ssl_check_hostname": True}


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("redis://", "it must have host:port after //"),
        ("redis:cache", "it must have host:port after //"),
        ("redis://cache:99999", "it must have host:port after //"),
        ("redis://cache:0", "it must have host:port after //"),
        ("redis://[::1", "it must have host:port after //"),
        ("redis+cluster://one,,two", "it must have host:port after //"),
        ("redis://:s3/cret@cache", "percent-encode"),
        ("redis://one,two", "it may name only one host"),
        ("redis://cache/lists", "its database must be a number"),
        ("redis+sentinel://one", "it must name the primary"),
        ("redis+sentinel://one/p/x", "its database must be a number"),
        ("redis+cluster://one/1", "it must end after the hosts"),
        ("unix://host/run/redis.sock", "it must name a socket by its path alone"),
        ("unix://", "it must name a socket by its path alone"),
        ("redis://cache?socket_timeout=60", "its query may hold nothing"),
        ("redis://cache?ssl_ca_certs=/ca.pem", "its query may hold nothing"),
        ("rediss://cache?ssl_cert_reqs=none", "its query may hold ssl_ca_certs, ssl_certfile, ssl_keyfile"),
        ("rediss://cache?ssl_ca_certs=/not/there", "its ssl_ca_certs cannot be read: No such file or directory"),
        ("rediss://cache?ssl_certfile=/dev/null", "its ssl_certfile and ssl_keyfile go together"),
        ("rediss://cache?ssl_check_hostname=perhaps", "its ssl_check_hostname must be true or false"),
    ],
)
def test_a_bad_url_is_refused_with_a_reason_that_does_not_quote_its_password(url: str, reason: str) -> None:
    with pytest.raises(RedisUrlError) as refused:
        parse_redis_url(url)
    assert reason in str(refused.value)
    assert "cret" not in str(refused.value)
