"""The loops over the items of a page: in Python, and compiled where this machine could compile them."""

import gc
import importlib.util
import random
import struct
import sys
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import msgspec
import pytest

from mylist.domain import hot_loops, plain_loops
from mylist.domain.catalogue_entry import CatalogueEntry
from mylist.domain.content import content_key
from mylist.domain.item import Item
from mylist.domain.packed_list import RECORD_SIZE, PackedList, keys_of
from mylist.domain.timestamps import iso_format, to_datetime
from tests.content_ids import content_id, records_with

COMPILED = "mylist.domain._hot_loops"
FIRST_MOMENT = -62_135_596_800_000
"""The start of the year 1, in milliseconds."""
LAST_MOMENT = 253_402_300_799_999
"""The end of the year 9999."""
LENGTHS = [0, 1, 2, 20, 99, 100, 101, 250, 1000]


def loops() -> Iterator[Any]:
    yield pytest.param(plain_loops, id="plain")
    if importlib.util.find_spec(COMPILED):
        yield pytest.param(importlib.import_module(COMPILED), id="compiled")


every_implementation = pytest.mark.parametrize("implementation", list(loops()))


def some_entry(dice: random.Random, key: bytes) -> CatalogueEntry:
    beginning = dice.choice([b"", b"a", b"the same beginning ", bytes(12), b"\xff" * 9])
    return CatalogueEntry(
        key,
        b'","contentId":"%b","addedAt":"' % key[:-1].hex().encode(),
        b'","content":"%b"}' % (b"x" * dice.randrange(900)),
        refresh_at=1,
        expires_at=1,
        exists_until=1,
        title=dice.choice([None, beginning, beginning + dice.randbytes(3).replace(b"\0", b"")]),
    )


def some_page(dice: random.Random, length: int) -> tuple[bytes, dict[bytes, CatalogueEntry]]:
    """Return records, and an entry for each and for some others."""
    moments = [dice.choice([dice.randrange(FIRST_MOMENT, LAST_MOMENT), dice.randrange(2**41)]) for _ in range(length)]
    packed = PackedList.of(
        Item(moment, content_id(dice.getrandbits(96)), dice.choice(("movie", "tvshow"))) for moment in moments
    )
    records = packed.records(0, length)
    keys = [*keys_of(records), content_key(content_id(1), "movie")]
    return records, {key: some_entry(dice, key) for key in keys}


@every_implementation
@pytest.mark.parametrize("length", LENGTHS)
def test_entries_are_found_in_the_order_of_the_records(implementation: ModuleType, length: int) -> None:
    records, entries = some_page(random.Random(length), length)

    assert implementation.find_entries(records, entries) == [entries[key] for key in keys_of(records)]


@every_implementation
def test_no_entries_are_found_if_one_is_missing(implementation: ModuleType) -> None:
    for length in LENGTHS[1:]:
        records, entries = some_page(random.Random(length), length)
        for key in {keys_of(records)[index] for index in (0, length // 2, length - 1)}:
            assert implementation.find_entries(records, {k: each for k, each in entries.items() if k != key}) is None


@every_implementation
def test_the_versions_are_joined_in_the_order_of_the_entries(implementation: ModuleType) -> None:
    _, entries = some_page(random.Random(1), 30)

    assert implementation.join_versions(list(entries.values())) == b"".join(e.version for e in entries.values())
    assert implementation.join_versions([]) == b""


@every_implementation
@pytest.mark.parametrize("length", LENGTHS)
def test_items_are_joined_with_their_moments(implementation: ModuleType, length: int) -> None:
    records, entries = some_page(random.Random(length), length)
    found = [entries[key] for key in keys_of(records)]

    told = msgspec.json.decode(b"[" + implementation.join_items("us:er", records, found) + b"]")
    packed = PackedList(PackedList.of([]).data[:4] + length.to_bytes(4) + bytes(4) + records)
    assert [(each["userId"], each["contentId"], each["addedAt"]) for each in told] == [
        ("us:er", item.content_id.hex(), iso_format(to_datetime(item.added_at))) for item in packed
    ]
    assert [each["content"] for each in told] == [entry.after[len('","content":"') : -2].decode() for entry in found]


@every_implementation
@pytest.mark.parametrize("length", LENGTHS)
@pytest.mark.parametrize("count", [0, 1, 20, 100, 101, 1000])
def test_the_first_entries_by_title_are_those_of_a_complete_sort(
    implementation: ModuleType, length: int, count: int
) -> None:
    dice = random.Random(length)
    for _ in range(5):
        entries = list(some_page(dice, length)[1].values())

        order = implementation.first_by_title(entries, count)
        assert [entries[index].title_place for index in order] == sorted(e.title_place for e in entries)[:count]
        assert len(set(order)) == len(order)


@every_implementation
@pytest.mark.parametrize("length", LENGTHS)
def test_listed_ids_are_found_in_any_case(implementation: ModuleType, length: int) -> None:
    dice = random.Random(length)
    records, _ = some_page(dice, length)
    listed = [key[:-1].hex() for key in keys_of(records)]
    others = [content_id(dice.getrandbits(96)).hex() for _ in range(100)]
    others += [f"{digit:x}{each[1:]}" for each in listed[:20] for digit in range(16) if f"{digit:x}" != each[0]]
    asked = [*listed, *map(str.upper, listed), *map(str.title, listed), *others, *map(str.upper, others)]
    dice.shuffle(asked)

    found = implementation.are_listed(asked, records)
    assert found == [each.lower() in set(listed) for each in asked]
    assert found.count(True) == 3 * length
    assert all(type(each) is bool for each in found)


@every_implementation
def test_ids_that_differ_in_any_digit_are_not_listed(implementation: ModuleType) -> None:
    listed = content_id(random.Random(3).getrandbits(96))
    records = records_with(content_key(listed, "tvshow"))
    changed = [
        listed.hex()[:at] + f"{int(digit, 16) ^ 1:x}" + listed.hex()[at + 1 :] for at, digit in enumerate(listed.hex())
    ]

    assert implementation.are_listed([listed.hex(), *changed], records) == [True, *[False] * 24]


@every_implementation
@pytest.mark.parametrize(
    "digit", ["g", "G", "/", ":", "@", "`", " ", "\0", "\x7f", "é", "ÿ", "a\u0301", "\uff11", "\U0001d7d8"]
)
def test_a_malformed_id_is_not_listed(implementation: ModuleType, digit: str) -> None:
    records = records_with(*(content_key(content_id(int(each * 24, 16)), "movie") for each in "0f"))

    for at in range(24):
        for filling in "0f":
            assert implementation.are_listed([filling * at + digit + filling * (23 - at)], records) == [False]
    for length in (0, 1, 23, 25, 48):
        assert implementation.are_listed(["0" * length, "f" * length], records) == [False, False]


@every_implementation
@pytest.mark.parametrize("wrong", [None, 7])
def test_only_texts_are_looked_up(implementation: ModuleType, wrong: Any) -> None:
    with pytest.raises((TypeError, AttributeError)):
        implementation.are_listed(["0" * 24, wrong], bytes(RECORD_SIZE))


@every_implementation
@pytest.mark.parametrize("hours", [(LAST_MOMENT + 1) // 3_600_000, FIRST_MOMENT // 3_600_000 - 1, 2**31 - 1, -(2**31)])
def test_a_moment_beyond_the_years_that_have_a_text_is_an_error(implementation: ModuleType, hours: int) -> None:
    record = hours.to_bytes(4, signed=True) + bytes(4) + content_key(content_id(1), "movie")

    with pytest.raises(OverflowError):
        implementation.join_items("user", record, [some_entry(random.Random(1), record[8:])])


@every_implementation
@pytest.mark.parametrize("part", [b"\x0e\x10\x00\x00", b"\xff\xff\x00\x00", b"\x00\x00\x03\xe8", b"\x00\x00\xff\xff"])
def test_seconds_and_milliseconds_out_of_range_are_errors(implementation: ModuleType, part: bytes) -> None:
    record = bytes(4) + part + content_key(content_id(1), "movie")

    with pytest.raises(IndexError):
        implementation.join_items("user", record, [some_entry(random.Random(1), record[8:])])


@every_implementation
@pytest.mark.parametrize("size", [0, RECORD_SIZE - 1, RECORD_SIZE + 1, 2 * RECORD_SIZE])
def test_records_that_do_not_fit_the_entries_are_an_error(implementation: ModuleType, size: int) -> None:
    entry = some_entry(random.Random(1), content_key(content_id(1), "movie"))

    with pytest.raises((ValueError, struct.error), match=r"bytes of records|unpack requires"):
        implementation.join_items("user", bytes(size), [entry])


@every_implementation
@pytest.mark.parametrize("wrong", [None, b"bytes", 7])
def test_only_entries_are_read(implementation: ModuleType, wrong: Any) -> None:
    with pytest.raises((TypeError, AttributeError)):
        implementation.join_versions([wrong])
    with pytest.raises((TypeError, AttributeError)):
        implementation.join_items("user", bytes(RECORD_SIZE), [wrong])
    with pytest.raises((TypeError, AttributeError)):
        implementation.first_by_title([wrong], 1)


@every_implementation
def test_nothing_is_kept_in_memory(implementation: ModuleType) -> None:
    records, entries = some_page(random.Random(7), 50)
    found = [entries[key] for key in keys_of(records)]
    ids = [key[:-1].hex() for key in keys_of(records)]

    def use() -> None:
        assert implementation.find_entries(records, entries) == found
        implementation.join_versions(found)
        implementation.join_items("user", records, found)
        implementation.first_by_title(found, 20)
        implementation.are_listed(ids, records)

    use()
    gc.collect()
    counted = [sys.getrefcount(each) for entry in found for each in (entry, entry.before, entry.title_place)]
    counted += map(sys.getrefcount, [*ids, records])
    for _ in range(100):
        use()
    gc.collect()
    now = [sys.getrefcount(each) for e in found for each in (e, e.before, e.title_place)]
    assert now + list(map(sys.getrefcount, [*ids, records])) == counted


def test_the_service_uses_the_compiled_functions_where_there_are_any() -> None:
    is_compiled = importlib.util.find_spec(COMPILED) is not None

    assert hot_loops.IS_COMPILED is is_compiled
    for name in set(hot_loops.__all__) - {"IS_COMPILED"}:
        home = getattr(hot_loops, name).__module__
        assert home == (COMPILED if is_compiled else plain_loops.__name__), name
