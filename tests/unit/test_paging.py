"""Page numbers and sizes are clamped, and never cause an error."""

from urllib.parse import parse_qs

import pytest

from mylist.api.read_requests import parse_page_request
from mylist.domain.page_request import PageRequest


def page_request(query: str) -> PageRequest:
    return parse_page_request(parse_qs(query, keep_blank_values=True), default_size=20, max_size=100)


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
def test_a_page_number_is_parsed_leniently_and_clamped(query: str, page: int) -> None:
    assert page_request(query).page == page


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
def test_a_page_size_is_parsed_leniently_and_clamped(query: str, page_size: int) -> None:
    assert page_request(query).page_size == page_size
