"""Which cached lists count as stale, by the successive answers of MongoDB and Redis."""

import asyncio
from collections.abc import Callable

import pytest

from mylist.cache.freshness_audit import FreshnessAudit
from mylist.domain.errors import CacheUnavailableError, DatabaseUnavailableError
from mylist.domain.item import Item
from mylist.domain.packed_list import PackedList
from mylist.telemetry import metrics
from tests.content_ids import content_id

OLD, NEW = (PackedList.of([Item(moment, content_id(0), "movie")]) for moment in (1, 2))
FENCE = b"Wa writer"


class Stores:
    """Returns the test's values, one after the other."""

    def __init__(self, loads: list[PackedList | Exception], looks: list[bytes | Exception | None]) -> None:
        self.loads = loads
        self.looks = looks

    async def load(self, _: str) -> PackedList:
        value = self.loads.pop(0)
        if isinstance(value, Exception):
            raise value
        return value

    async def look(self, _: str) -> bytes | None:
        value = self.looks.pop(0)
        if isinstance(value, Exception):
            raise value
        return value


class Audit(FreshnessAudit):
    """An audit whose hits are counted as `ListCache` counts them."""

    left: float | None = None

    def note(self, user_id: str, served: bytes) -> None:
        self.left = (self.draw() if self.left is None else self.left) - 1
        if self.left <= 0:
            self.left = self.offer(user_id, served)


@pytest.fixture
def counted() -> Callable[[], dict[str, float]]:
    """Return how often each result was counted since the test began."""

    def now() -> dict[str, float]:
        samples = (sample for family in metrics.REGISTRY.collect() for sample in family.samples)
        name = "mylist_cache_freshness_checks_total"
        return {sample.labels["result"]: sample.value for sample in samples if sample.name == name}

    before = now()
    return lambda: {result: value - before[result] for result, value in now().items() if value > before[result]}


@pytest.mark.parametrize(
    ("loads", "looks", "result"),
    [
        ([OLD], [], "fresh"),
        ([NEW, NEW], [OLD.data, OLD.data], "stale"),
        ([NEW, NEW], [NEW.data], "fresh"),  # the list has changed since, and is cached again
        ([NEW, OLD], [OLD.data], "fresh"),  # changed, and changed back
        ([NEW, NEW], [FENCE], "undecided"),
        ([NEW, NEW], [None], "undecided"),
        ([NEW, NEW], [OLD.data, FENCE], "undecided"),
        ([DatabaseUnavailableError()], [], "undecided"),
        ([NEW, DatabaseUnavailableError()], [OLD.data], "undecided"),
        ([NEW], [CacheUnavailableError()], "undecided"),
    ],
)
async def test_a_served_list_is_stale_only_if_redis_holds_it_before_and_after_a_second_load(
    loads: list[PackedList | Exception],
    looks: list[bytes | Exception | None],
    result: str,
    counted: Callable[[], dict[str, float]],
) -> None:
    stores = Stores(loads, looks)
    checks = Audit(stores.load, stores.look, every=1)

    checks.note("user", OLD.data)
    await checks.finish()

    assert counted() == {result: 1}
    assert stores.loads == stores.looks == []


async def test_there_is_one_check_at_a_time(counted: Callable[[], dict[str, float]]) -> None:
    go_on = asyncio.Event()
    loads = 0

    async def load(_: str) -> PackedList:
        nonlocal loads
        loads += 1
        await go_on.wait()
        return OLD

    checks = Audit(load, Stores([], []).look, every=1, min_interval=0)
    for _ in range(5):
        checks.note("user", OLD.data)
        await asyncio.sleep(0)
    go_on.set()
    await checks.finish()

    assert loads == 1
    assert counted() == {"fresh": 1}


async def test_a_random_sample_of_hits_is_checked_at_the_configured_rate(
    counted: Callable[[], dict[str, float]],
) -> None:
    async def load(_: str) -> PackedList:
        return OLD

    checks = Audit(load, Stores([], []).look, every=10, min_interval=0)
    for _ in range(5000):
        checks.note("user", OLD.data)
        await checks.finish()

    assert 350 < counted()["fresh"] < 650


async def test_checks_are_at_least_the_minimum_interval_apart_at_any_load(
    counted: Callable[[], dict[str, float]],
) -> None:
    now = 0
    stores = Stores([OLD] * 1000, [])
    checks = Audit(stores.load, stores.look, every=1, min_interval=20, clock=lambda: now)
    for _ in range(1000):
        checks.note("user", OLD.data)
        await checks.finish()
        now += 1

    assert counted() == {"fresh": 50}


async def test_no_hit_is_checked_if_the_audit_is_disabled(counted: Callable[[], dict[str, float]]) -> None:
    checks = Audit(Stores([], []).load, Stores([], []).look, every=0)
    for _ in range(100):
        checks.note("user", OLD.data)
    await checks.finish()

    assert counted() == {}
