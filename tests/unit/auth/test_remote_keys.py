"""Keys that the service fetches: when, how often, and what happens if they cannot be fetched."""

import asyncio
import logging
from collections.abc import Iterator

import pytest

from mylist.auth import remote_keys
from mylist.auth.remote_keys import MAX_AGE_S, MAX_JWKS_BYTES, MIN_RENEWAL_INTERVAL_S, RemoteKeys
from tests.identity_provider import ANOTHER_RSA_KEY, RSA_KEY, IdentityProvider, jwk


class Clock:
    """A clock that stands still unless it is moved."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def provider(monkeypatch: pytest.MonkeyPatch) -> Iterator[IdentityProvider]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setattr(remote_keys, "FETCH_TIMEOUT_S", 30.0)  # the first fetch of a busy machine takes seconds
    with IdentityProvider().serving() as provider:
        provider.keys = [jwk(RSA_KEY, "first")]
        yield provider


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def keys(provider: IdentityProvider, clock: Clock) -> RemoteKeys:
    return RemoteKeys(provider.url, clock=clock)


def names(keys: RemoteKeys) -> list[str | None]:
    return [key.key_id for key in keys.keys]


async def test_keys_are_renewed_at_most_once_per_interval(
    keys: RemoteKeys, provider: IdentityProvider, clock: Clock
) -> None:
    assert await keys.renew()
    provider.keys = [jwk(ANOTHER_RSA_KEY, "second")]
    assert not await keys.renew()
    clock.now += MIN_RENEWAL_INTERVAL_S
    assert await keys.renew()

    assert (names(keys), provider.asked) == (["second"], 2)


async def test_unchanged_keys_remain_the_same_object(keys: RemoteKeys, clock: Clock) -> None:
    await keys.renew()
    before = keys.keys
    clock.now += MIN_RENEWAL_INTERVAL_S

    assert not await keys.renew()
    assert keys.keys is before


async def test_concurrent_renewals_fetch_the_keys_once(keys: RemoteKeys, provider: IdentityProvider) -> None:
    provider.delay = 0.2

    assert await asyncio.gather(*(keys.renew() for _ in range(20))) == [True] * 20
    assert provider.asked == 1


async def test_a_cancelled_waiter_does_not_cancel_the_fetch_for_the_others(
    keys: RemoteKeys, provider: IdentityProvider
) -> None:
    provider.delay = 0.2
    first, second = asyncio.create_task(keys.renew()), asyncio.create_task(keys.renew())
    await asyncio.sleep(0.05)
    first.cancel()

    assert await second
    assert first.cancelled()
    assert (names(keys), provider.asked) == (["first"], 1)


async def test_a_renewal_during_a_periodic_fetch_fetches_again(
    keys: RemoteKeys, provider: IdentityProvider, clock: Clock
) -> None:
    await keys.renew()
    clock.now += MIN_RENEWAL_INTERVAL_S
    provider.delay = 0.2
    watching = asyncio.create_task(keys.keep_fresh())
    while provider.asked < 2:
        await asyncio.sleep(0.01)
    provider.keys = [jwk(ANOTHER_RSA_KEY, "second")]

    assert await keys.renew()
    assert (names(keys), provider.asked) == (["second"], 3)
    watching.cancel()


async def test_keys_are_refreshed_periodically(
    keys: RemoteKeys, provider: IdentityProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(remote_keys, "REFRESH_INTERVAL_S", 0.05)
    watching = asyncio.create_task(keys.keep_fresh())
    while not keys.keys:
        await asyncio.sleep(0.01)
    provider.keys = [jwk(ANOTHER_RSA_KEY, "second")]
    while names(keys) != ["second"]:
        await asyncio.sleep(0.01)

    watching.cancel()
    await keys.close()
    assert provider.asked >= 2


async def test_closing_cancels_a_renewal_in_flight(keys: RemoteKeys, provider: IdentityProvider) -> None:
    provider.delay = 0.5
    waiting = asyncio.create_task(keys.renew())
    await asyncio.sleep(0.05)
    await keys.close()

    with pytest.raises(asyncio.CancelledError):
        await waiting


async def test_keys_expire_after_a_day_if_the_provider_fails(
    keys: RemoteKeys, provider: IdentityProvider, clock: Clock
) -> None:
    await keys.renew()
    provider.status = 500
    clock.now += MAX_AGE_S
    await keys.renew()
    assert names(keys) == ["first"]
    clock.now += MIN_RENEWAL_INTERVAL_S
    await keys.renew()
    assert names(keys) == []
    provider.status = 200
    clock.now += MIN_RENEWAL_INTERVAL_S
    await keys.renew()
    assert names(keys) == ["first"]


@pytest.mark.parametrize(
    ("status", "body", "why"),
    [
        (404, None, "the answer is 404"),
        (302, None, "the answer is 302"),  # it is not followed
        (200, b"<html>", "not a JSON Web Key Set"),
        (200, b"[]", "not a JSON Web Key Set"),
        (200, b'{"keys": {}}', "not a JSON Web Key Set"),
        (200, b"\xff", "not a JSON Web Key Set"),
        (200, b"[" * 100_000, "not a JSON Web Key Set"),
        (200, b'{"keys": []}', "no key that can be used"),
        (200, b'{"keys": [{"kty": "oct", "k": "AAAA"}, 1]}', "no key that can be used"),
        (200, b" " * (MAX_JWKS_BYTES + 1), "more than 1000000 bytes"),
    ],
    ids=lambda given: str(given)[:20],
)
async def test_an_unusable_answer_keeps_the_previous_keys_and_is_logged_once(  # noqa: PLR0913 - a fixture each
    keys: RemoteKeys,
    provider: IdentityProvider,
    clock: Clock,
    caplog: pytest.LogCaptureFixture,
    status: int,
    body: bytes | None,
    why: str,
) -> None:
    await keys.renew()
    provider.status, provider.body = status, body
    for _ in range(3):
        clock.now += MIN_RENEWAL_INTERVAL_S
        assert not await keys.renew()

    assert names(keys) == ["first"]
    [line] = [each for each in caplog.records if each.levelno >= logging.WARNING]
    assert why in line.message


async def test_a_slow_fetch_times_out(
    keys: RemoteKeys, provider: IdentityProvider, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(remote_keys, "FETCH_TIMEOUT_S", 0.1)
    provider.delay = 0.5

    assert not await keys.renew()
    assert "TimeoutError" in caplog.text


async def test_an_unreachable_provider_is_logged_without_its_password(caplog: pytest.LogCaptureFixture) -> None:
    with IdentityProvider().serving() as provider:
        url = provider.url
    keys = RemoteKeys(url.replace("://", "://me:hunter2@"))

    assert not await keys.renew()
    assert "cannot be fetched" in caplog.text
    assert "hunter2" not in caplog.text
