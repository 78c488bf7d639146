"""Identifiers and moments."""

from datetime import UTC, datetime, timedelta, timezone
from random import Random

import pytest

from mylist.lists.item import (
    is_content_type,
    iso_format,
    iso_format_milliseconds,
    parse_content_id,
    parse_content_ids,
    to_milliseconds,
    to_moment,
)


@pytest.mark.parametrize("text", ["507f1f77bcf86cd799439011", "507F1F77BCF86CD799439011"])
def test_a_content_id_is_24_hexadecimal_digits(text: str) -> None:
    assert parse_content_id(text) == bytes.fromhex("507f1f77bcf86cd799439011")


@pytest.mark.parametrize(
    "text", ["", "5" * 23, "5" * 25, "g" * 24, " " + "5" * 23, "5" * 24 + "\n", "\N{ARABIC-INDIC DIGIT FIVE}" * 24]
)
def test_anything_else_is_no_content_id(text: str) -> None:
    assert parse_content_id(text) is None


@pytest.mark.parametrize(
    "texts",
    [
        [],
        ["a" * 24, "B" * 24],
        ["a" * 24, "g" * 24],
        ["a" * 23, "a" * 25],
        [" " * 24, "a" * 24],
        ["a" * 24 + " ", "a" * 24],
        ["a" * 12, "a" * 12],
        ["\N{ARABIC-INDIC DIGIT FIVE}" * 24, "a" * 24],
        [""],
    ],
)
def test_many_content_ids_are_parsed_as_each_is(texts: list[str]) -> None:
    assert parse_content_ids(texts) == [parse_content_id(text) for text in texts]


@pytest.mark.parametrize(("text", "known"), [("movie", True), ("tvshow", True), ("Movie", False), ("", False)])
def test_there_are_two_content_types(text: str, known: bool) -> None:
    assert is_content_type(text) is known


@pytest.mark.parametrize(
    ("moment", "milliseconds", "text"),
    [
        (datetime(1970, 1, 1, tzinfo=UTC), 0, "1970-01-01T00:00:00.000Z"),
        (datetime(2024, 1, 20, 10, 30, tzinfo=UTC), 1705746600000, "2024-01-20T10:30:00.000Z"),
        (datetime(1969, 12, 31, 23, 59, 59, 999000, tzinfo=UTC), -1, "1969-12-31T23:59:59.999Z"),
        (datetime(9999, 12, 31, 23, 59, 59, 999000, tzinfo=UTC), 253402300799999, "9999-12-31T23:59:59.999Z"),
    ],
)
def test_moments_are_kept_to_the_millisecond(moment: datetime, milliseconds: int, text: str) -> None:
    assert to_milliseconds(moment) == milliseconds
    assert to_moment(milliseconds) == moment
    assert iso_format(moment) == text
    assert iso_format_milliseconds(milliseconds) == text.encode()


def test_both_ways_of_writing_a_moment_agree() -> None:
    random = Random(1)
    for _ in range(10_000):
        milliseconds = random.randrange(-(2**43), 2**43)
        assert iso_format_milliseconds(milliseconds).decode() == iso_format(to_moment(milliseconds))


def test_a_moment_of_another_zone_is_the_same_moment() -> None:
    there = datetime(2024, 1, 20, 12, 30, tzinfo=timezone(timedelta(hours=2)))

    assert to_milliseconds(there) == 1705746600000
