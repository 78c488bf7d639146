"""Invalidations that wait for Redis: which of them are kept, delivered and forgotten."""

from collections.abc import Sequence

import pytest

from mylist.cache.pending_invalidations import MAX_PENDING, PendingInvalidations
from mylist.domain.errors import CacheUnavailableError


class Clock:
    """A clock that the test moves."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


class Redis:
    """Takes all invalidations, or fails."""

    def __init__(self, *, fails: bool = False) -> None:
        self.fails = fails
        self.taken: list[list[tuple[str, bytes]]] = []

    async def lift_fences(self, fences: Sequence[tuple[str, bytes]]) -> None:
        if self.fails:
            raise CacheUnavailableError
        self.taken.append(sorted(fences))


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def pending(clock: Clock) -> PendingInvalidations:
    return PendingInvalidations(forget_after=60, clock=clock)


async def test_pending_writes_of_all_keys_are_delivered_together_without_duplicates(
    pending: PendingInvalidations,
) -> None:
    redis = Redis()
    for key, nonce in [("a", b"1"), ("b", b"2"), ("a", b"3"), ("a", b"3")]:
        pending.add(key, nonce)
    assert len(pending) == 2

    await pending.deliver(redis.lift_fences)

    assert redis.taken == [[("a", b"1"), ("a", b"3"), ("b", b"2")]]
    assert not pending


async def test_an_invalidation_that_cannot_be_delivered_stays_pending(pending: PendingInvalidations) -> None:
    pending.add("a", b"1")

    with pytest.raises(CacheUnavailableError):
        await pending.deliver(Redis(fails=True).lift_fences)

    assert pending.by_key.keys() == {"a"}


async def test_an_invalidation_added_during_a_delivery_is_delivered_too(pending: PendingInvalidations) -> None:
    delivered: list[tuple[str, bytes]] = []

    async def lift_fences(fences: Sequence[tuple[str, bytes]]) -> None:
        if not delivered:
            pending.add("a", b"2")
        delivered.extend(fences)

    pending.add("a", b"1")
    await pending.deliver(lift_fences)

    assert delivered == [("a", b"1"), ("a", b"2")]
    assert not pending


def test_an_expired_invalidation_is_forgotten(pending: PendingInvalidations, clock: Clock) -> None:
    for moment, key in [(0, "a"), (30, "b"), (50, "a")]:
        clock.now = moment
        pending.add(key, b"%d" % moment)
    clock.now = 89
    pending.forget_expired()
    assert pending.by_key.keys() == {"a", "b"}, "the latest write of a list counts"

    clock.now = 90
    pending.forget_expired()
    assert pending.by_key.keys() == {"a"}
    clock.now = 110
    pending.forget_expired()
    assert not pending


def test_there_is_room_for_max_pending_lists(pending: PendingInvalidations) -> None:
    for number in range(MAX_PENDING):
        assert pending.has_room
        pending.add(str(number), b"1")
    assert not pending.has_room
