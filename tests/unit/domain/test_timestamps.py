"""Timestamps inside and outside the service."""

from datetime import UTC, datetime, timedelta, timezone
from random import Random

import pytest

from mylist.domain.timestamps import iso_format, iso_format_milliseconds, to_datetime, to_milliseconds


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
    assert to_datetime(milliseconds) == moment
    assert iso_format(moment) == text
    assert iso_format_milliseconds(milliseconds) == text.encode()


def test_both_iso_formatters_return_the_same_text() -> None:
    random = Random(1)
    for _ in range(10_000):
        milliseconds = random.randrange(-(2**43), 2**43)
        assert iso_format_milliseconds(milliseconds).decode() == iso_format(to_datetime(milliseconds))


def test_a_moment_in_another_time_zone_is_the_same_moment() -> None:
    there = datetime(2024, 1, 20, 12, 30, tzinfo=timezone(timedelta(hours=2)))

    assert to_milliseconds(there) == 1705746600000
