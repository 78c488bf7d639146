"""The binary form of a list."""

import random

import pytest

from mylist.lists.item import Item
from mylist.lists.value import ListValue, UnreadableValueError, content_key, size_of, split_content_key


def item(number: int, added_at: int = 0, *, show: bool = False) -> Item:
    return Item(added_at, number.to_bytes(12), "tvshow" if show else "movie")


def test_a_value_is_its_documented_bytes() -> None:
    value = ListValue.of([Item(0x0102030405060708, bytes(range(12)), "tvshow")])

    assert value.data == (
        b"L\x01\x00\x00"  # tag, version, padding
        b"\x00\x00\x00\x00\x00\x00\x00\x01"  # no movie, one show
        b"\x01\x02\x03\x04\x05\x06\x07\x08" + bytes(range(12)) + b"t"
    )


def test_items_come_back_newest_first_and_equal_times_by_id() -> None:
    items = [item(4, 20), item(1, 10, show=True), item(3, 10), item(2, -5)]
    random.Random(1).shuffle(items)

    assert list(ListValue.of(items)) == [item(4, 20), item(1, 10, show=True), item(3, 10), item(2, -5)]


def test_counts_are_by_type() -> None:
    value = ListValue.of([item(1), item(2), item(3, show=True)])

    assert (value.movies, value.shows, value.total) == (2, 1, 3)


def test_equal_lists_have_equal_bytes() -> None:
    items = [item(number, number % 3) for number in range(20)]

    assert ListValue.of(items).data == ListValue.of(reversed(items)).data


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
    value = ListValue.of([item(number, -number) for number in range(1, 6)])

    assert value.page(page, page_size) == [(-number, number.to_bytes(12) + b"m") for number in numbers]


@pytest.mark.parametrize("first", [0, 1, 2, 5, 6])
def test_the_beginning_of_a_list_has_its_counts_and_its_first_pages(first: int) -> None:
    whole = ListValue.of([item(number, -number, show=number > 3) for number in range(1, 6)])
    value = ListValue(whole.beginning(first), first=first)

    assert (value.movies, value.shows, value.total) == (3, 2, 5)
    assert list(value) == list(whole)[:first]
    assert value.page(1, first) == whole.page(1, first)
    assert len(value.data) == size_of(min(first, 5))
    if first < 5:
        with pytest.raises(IndexError, match=f"do not reach item {first + 1}"):
            value.page(first + 1, 1)


@pytest.mark.parametrize("first", [None, 1, 3])
def test_a_list_is_cut_nowhere_else(first: int | None) -> None:
    whole = ListValue.of([item(number) for number in range(5)])

    with pytest.raises(UnreadableValueError, match="54 bytes for 5 items"):
        ListValue(whole.beginning(2), first=first)


def test_an_empty_list_is_a_header() -> None:
    value = ListValue.of([])

    assert (len(value.data), value.total, value.page(1, 20), list(value)) == (12, 0, [], [])


@pytest.mark.parametrize("size", [25, 5000])
def test_an_item_costs_21_bytes(size: int) -> None:
    assert len(ListValue.of(item(number) for number in range(size)).data) == 12 + 21 * size


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "shorter than a header"),
        (b"L\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00", "shorter than a header"),
        (b"R\x01" + bytes(10), "tag b'R'"),
        (b"L\x02" + bytes(10), "version 2"),
        (b"L\x01" + bytes(9) + b"\x01", "12 bytes for 1 items"),
        (ListValue.of([item(1)]).data + b"\x00", "34 bytes for 1 items"),
    ],
)
def test_anything_else_cannot_be_read(data: bytes, why: str) -> None:
    with pytest.raises(UnreadableValueError, match=why):
        ListValue(data)


def test_a_content_key_tells_id_and_type() -> None:
    assert split_content_key(content_key(bytes(range(12)), "tvshow")) == (bytes(range(12)), "tvshow")
    assert content_key(bytes(12), "movie") != content_key(bytes(12), "tvshow")
