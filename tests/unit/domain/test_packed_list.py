"""The binary form of a list."""

import random

import pytest

from mylist.domain.content import ContentId, content_key
from mylist.domain.item import Item
from mylist.domain.packed_list import (
    RECORD_SIZE,
    PackedList,
    UnreadableListError,
    items_of,
    key_at,
    keys_of,
    moment_at,
    packed_size,
    records_at,
    records_of_type,
)
from tests.content_ids import content_id


def item(number: int, added_at: int = 0, *, show: bool = False) -> Item:
    return Item(added_at, content_id(number), "tvshow" if show else "movie")


def records(packed: PackedList, page: int, page_size: int) -> list[tuple[int, bytes]]:
    """Return when each item of a page was added, and its content key."""
    found = packed.records(*packed.bounds(page, page_size))
    moments = [moment_at(found, index) for index in range(len(found) // RECORD_SIZE)]
    assert [(each.added_at, content_key(each.content_id, each.content_type)) for each in items_of(found)] == list(
        zip(moments, keys_of(found), strict=True)
    )
    return list(zip(moments, [key_at(found, index) for index in range(len(moments))], strict=True))


def test_a_packed_list_has_the_documented_binary_form() -> None:
    moment = (0x010203 * 3600 + 0x0405) * 1000 + 0x0306
    packed = PackedList.of([Item(moment, ContentId(bytes(range(12))), "tvshow")])

    assert packed.data == (
        b"L\x02\x00\x00"  # tag, version, padding
        b"\x00\x00\x00\x00\x00\x00\x00\x01"  # no movie, one show
        b"\x00\x01\x02\x03\x04\x05\x03\x06" + bytes(range(12)) + b"t"  # hours, seconds, milliseconds
    )


def test_items_are_sorted_newest_first_then_by_id() -> None:
    items = [item(4, 20), item(1, 10, show=True), item(3, 10), item(2, -5)]
    random.Random(1).shuffle(items)

    assert list(PackedList.of(items)) == [item(4, 20), item(1, 10, show=True), item(3, 10), item(2, -5)]


def test_counts_are_by_type() -> None:
    packed = PackedList.of([item(1), item(2), item(3, show=True)])

    assert (packed.movies, packed.shows, packed.total) == (2, 1, 3)


def test_equal_lists_have_equal_bytes() -> None:
    items = [item(number, number % 3) for number in range(20)]

    assert PackedList.of(items).data == PackedList.of(reversed(items)).data


@pytest.mark.parametrize(
    ("page", "page_size", "numbers"),
    [
        (1, 2, [1, 2]),
        (2, 2, [3, 4]),
        (3, 2, [5]),
        (4, 2, []),
        (1, 100, [1, 2, 3, 4, 5]),
        (2**53, 100, []),
    ],
)
def test_a_page_is_a_slice(page: int, page_size: int, numbers: list[int]) -> None:
    packed = PackedList.of([item(number, -number) for number in range(1, 6)])

    assert records(packed, page, page_size) == [(-number, content_id(number) + b"m") for number in numbers]


@pytest.mark.parametrize("page_size", [1, 99, 100, 101, 250])
def test_pages_of_any_size_together_contain_every_item_once(page_size: int) -> None:
    packed = PackedList.of([item(number, -number * 1_234_567) for number in range(250)])

    paged = [record for page in range(1, 251) for record in records(packed, page, page_size)]
    assert paged == [(-number * 1_234_567, content_id(number) + b"m") for number in range(250)]


def test_records_are_chosen_by_index_and_by_type() -> None:
    packed = PackedList.of([item(1), item(2, -1, show=True), item(3, -2), item(4, -3, show=True)])
    every = packed.records(0, 4)

    assert packed.data == packed.header + every
    assert list(items_of(records_at(every, [2, 0, 2]))) == [item(3, -2), item(1), item(3, -2)]
    assert records_at(every, []) == b""
    assert list(items_of(records_of_type(every, "tvshow"))) == [item(2, -1, show=True), item(4, -3, show=True)]
    assert list(items_of(records_of_type(every, "movie"))) == [item(1), item(3, -2)]
    assert records_of_type(b"", "movie") == b""


@pytest.mark.parametrize("max_items", [0, 1, 2, 5, 6])
def test_a_prefix_of_a_list_has_the_counts_and_the_first_pages_of_the_list(max_items: int) -> None:
    whole = PackedList.of([item(number, -number, show=number > 3) for number in range(1, 6)])
    packed = PackedList(whole.prefix(max_items), max_items=max_items)

    assert (packed.movies, packed.shows, packed.total) == (3, 2, 5)
    assert list(packed) == list(whole)[:max_items]
    assert records(packed, 1, max_items) == records(whole, 1, max_items)
    assert len(packed.data) == packed_size(min(max_items, 5))
    if max_items < 5:
        with pytest.raises(IndexError, match=f"do not reach item {max_items + 1}"):
            packed.bounds(max_items + 1, 1)


@pytest.mark.parametrize("max_items", [None, 1, 3])
def test_a_list_cut_to_a_length_other_than_max_items_is_unreadable(max_items: int | None) -> None:
    whole = PackedList.of([item(number) for number in range(5)])

    with pytest.raises(UnreadableListError, match="54 bytes for 5 items"):
        PackedList(whole.prefix(2), max_items=max_items)


def test_an_empty_list_is_only_a_header() -> None:
    packed = PackedList.of([])

    assert (len(packed.data), packed.total, records(packed, 1, 20), list(packed)) == (12, 0, [], [])


@pytest.mark.parametrize("size", [25, 5000])
def test_an_item_costs_21_bytes(size: int) -> None:
    assert len(PackedList.of(item(number) for number in range(size)).data) == 12 + 21 * size


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "shorter than a header"),
        (b"L\x02\x00\x00\x00\x00\x00\x00\x00\x00\x00", "shorter than a header"),
        (b"R\x01" + bytes(10), "tag b'R'"),
        (b"L\x01" + bytes(10), "version 1"),
        (b"L\x02" + bytes(9) + b"\x01", "12 bytes for 1 items"),
        (PackedList.of([item(1)]).data + b"\x00", "34 bytes for 1 items"),
    ],
)
def test_malformed_data_is_unreadable(data: bytes, why: str) -> None:
    with pytest.raises(UnreadableListError, match=why):
        PackedList(data)
