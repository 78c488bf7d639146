"""The entries that need not be fetched again yet."""

from mylist.catalogue.fresh_entries import FreshEntries
from mylist.domain.catalogue_entry import CatalogueEntry
from tests.content_ids import records_with

INTERVAL = 5.0
ONE, TWO = b"1" * 12 + b"m", b"2" * 12 + b"m"


def entry(key: bytes, due: float) -> CatalogueEntry:
    return CatalogueEntry(key, b"", b"", refresh_at=due, expires_at=due + INTERVAL, exists_until=due + INTERVAL)


def test_entries_are_found_in_the_order_of_the_records_and_only_all_together() -> None:
    fresh = FreshEntries(INTERVAL)
    one, two = entry(ONE, 60), entry(TWO, 60)
    fresh.add({ONE: one, TWO: two}, 0)

    assert fresh.find(records_with(TWO, ONE, TWO), 1) == [two, one, two]
    assert fresh.find(records_with(ONE, b"3" * 12 + b"m"), 1) is None
    fresh.discard(TWO)
    fresh.discard(TWO)
    assert (fresh.find(records_with(TWO), 1), fresh.find(records_with(ONE), 1)) == (None, [one])


def test_due_entries_are_removed_once_per_interval() -> None:
    fresh = FreshEntries(INTERVAL)
    one, two = entry(ONE, 10), entry(TWO, 11)
    fresh.add({ONE: one, TWO: two}, 0)

    assert (fresh.find(records_with(ONE), 9), fresh.valid_until) == ([one], 14)
    assert (fresh.find(records_with(ONE), 13.9), fresh.valid_until) == ([one], 14)
    assert (fresh.find(records_with(ONE), 14), fresh.find(records_with(TWO), 14), fresh.valid_until) == (None, None, 19)


def test_an_entry_that_was_fetched_early_stays_beyond_its_former_date() -> None:
    fresh = FreshEntries(INTERVAL)
    new = entry(ONE, 70)
    fresh.add({ONE: entry(ONE, 10)}, 0)
    fresh.add({ONE: new}, 9)

    assert fresh.find(records_with(ONE), 20) == [new]
    assert fresh.find(records_with(ONE), 70) is None


def test_an_entry_that_is_due_when_it_arrives_replaces_the_former_one_by_none() -> None:
    fresh = FreshEntries(INTERVAL)
    old = entry(ONE, 60)
    fresh.add({ONE: old}, 0)
    assert fresh.find(records_with(ONE), 20) == [old]
    fresh.add({ONE: entry(ONE, 20)}, 20)

    assert fresh.find(records_with(ONE), 21) is None
