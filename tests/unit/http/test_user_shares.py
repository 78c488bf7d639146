"""One user's requests: some run at once, some wait in order, and the rest are refused."""

import asyncio

import pytest

from mylist.domain.errors import TooManyRequestsError
from mylist.http.user_shares import UserShares

pytestmark = pytest.mark.usefixtures("quick")


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mylist.http.user_shares._REFUSED_AFTER_S", (0.05, 0.05))
    monkeypatch.setattr("mylist.http.user_shares._MAX_WAIT_S", 0.2)
    monkeypatch.setattr("mylist.http.user_shares._PAUSE_S", 0)


def shares(*, share: int = 5, at_once: int = 2) -> UserShares:
    return UserShares(share=share, at_once=at_once, refusal=TooManyRequestsError)


async def entering(some: UserShares, user_id: str, count: int) -> list[asyncio.Task[None]]:
    """Begin requests that must wait."""
    tasks = [asyncio.create_task(some.enter(user_id)) for _ in range(count)]
    await asyncio.sleep(0)
    return tasks


async def test_requests_above_the_concurrency_limit_wait_in_order() -> None:
    some = shares()
    await some.enter("eve")
    await some.enter("eve")
    first, second = await entering(some, "eve", 2)
    assert not first.done()

    some.leave("eve")
    await first
    assert not second.done()
    some.leave("eve")
    await second
    assert some.held == {"eve": 2}


async def test_a_request_above_the_share_is_refused_after_a_delay() -> None:
    some = shares()
    await some.enter("eve")
    await some.enter("eve")
    await entering(some, "eve", 3)

    (refused,) = await entering(some, "eve", 1)
    await asyncio.sleep(0.02)
    assert not refused.done()
    with pytest.raises(TooManyRequestsError):
        await refused


async def test_a_user_who_is_alone_is_served_without_a_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mylist.http.user_shares._PAUSE_S", 60)
    some = shares()
    for _ in range(2):
        await some.enter("eve")
    (first,) = await entering(some, "eve", 1)

    some.leave("eve")
    await first
    assert some.held == {"eve": 2}


async def test_a_user_is_paced_after_another_user_was_active(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mylist.http.user_shares._PAUSE_S", 0.05)
    some = shares()
    for _ in range(2):
        await some.enter("eve")
    (earlier,) = await entering(some, "eve", 1)
    await some.enter("adam")
    some.leave("eve")
    some.leave("adam")
    await earlier
    (first,) = await entering(some, "eve", 1)

    some.leave("eve")  # another user was there a moment ago
    await asyncio.sleep(0.02)
    assert not first.done()
    await first
    some.leave("eve")  # no request waits now
    assert some.held == {"eve": 1}


async def test_users_do_not_wait_for_each_other() -> None:
    some = shares()
    for _ in range(2):
        await some.enter("eve")
    await entering(some, "eve", 3)

    await some.enter("adam")
    assert some.held == {"eve": 2, "adam": 1}


async def test_a_request_that_waits_too_long_is_refused() -> None:
    some = shares()
    for _ in range(2):
        await some.enter("eve")

    with pytest.raises(TooManyRequestsError):
        await some.enter("eve")
    for _ in range(2):
        some.leave("eve")
    assert some.held == {}


async def test_a_cancelled_request_gives_up_its_turn_and_leaves_nothing_behind() -> None:
    some = shares()
    for _ in range(2):
        await some.enter("eve")
    given_up, late, patient = await entering(some, "eve", 3)

    given_up.cancel()
    await asyncio.wait({given_up})
    some.leave("eve")
    late.cancel()  # its turn has come, but it has not run yet
    await patient
    assert late.cancelled()
    assert some.held == {"eve": 2}

    for _ in range(2):
        some.leave("eve")
    assert some.held == {}
