"""Paging clamps and never fails."""

import pytest

from mylist.api.paging import Paging
from mylist.api.selection import parse_reading


def paging(query: str) -> Paging:
    asked = parse_reading(query, 20, 100)
    assert isinstance(asked, Paging)
    return asked


@pytest.mark.parametrize(
    ("query", "page"),
    [
        ("", 1),
        ("page=3", 3),
        ("page=0", 1),
        ("page=-7", 1),
        ("page=abc", 1),
        ("page=", 1),
        ("page=2.9", 2),
        ("page=2abc", 2),
        ("page=%202", 2),
        ("page=%2B4", 4),
        ("page=2&page=9", 2),
        ("page=&page=9", 9),
        ("PAGE=2", 1),
        ("page=999999999999999999999999", 999999999999999),
        ("page=" + "9" * 5000, 999999999999999),
        ("page=%FF", 1),
    ],
)
def test_a_page_below_one_or_unparsable_is_the_first(query: str, page: int) -> None:
    assert paging(query).page == page


def test_a_long_query_is_read_and_not_remembered() -> None:
    assert paging("x=" + "y" * 5000 + "&page=7").page == 7


@pytest.mark.parametrize(
    ("query", "page_size"),
    [
        ("", 20),
        ("pageSize=7", 7),
        ("pageSize=0", 20),
        ("pageSize=", 20),
        ("pageSize=&pageSize=7", 7),
        ("pageSize=-1", 1),
        ("pageSize=abc", 20),
        ("pageSize=100", 100),
        ("pageSize=101", 100),
        ("pageSize=1e9", 1),
        ("page=2&pageSize=10", 10),
    ],
)
def test_a_page_size_is_brought_into_range(query: str, page_size: int) -> None:
    assert paging(query).page_size == page_size
