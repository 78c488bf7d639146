"""When a movie or show was released."""

from datetime import UTC, datetime

import pytest
from bson import Int64

from mylist.domain.release_date import release_date


@pytest.mark.parametrize(
    ("document", "released"),
    [
        ({"releaseDate": datetime(1979, 5, 25, tzinfo=UTC), "releaseYear": 1999}, datetime(1979, 5, 25, tzinfo=UTC)),
        ({"releaseYear": 1979}, datetime(1979, 1, 1, tzinfo=UTC)),
        ({"releaseYear": Int64(1979), "releaseDate": None}, datetime(1979, 1, 1, tzinfo=UTC)),
        ({"releaseYear": 1979, "releaseDate": "1980-01-01"}, datetime(1979, 1, 1, tzinfo=UTC)),
        *(({"releaseYear": year}, None) for year in (0, -1, 10_000, "1979", 1979.5, True, None)),
        ({}, None),
    ],
    ids=str,
)
def test_a_title_without_a_date_is_released_on_the_first_day_of_its_year(
    document: dict[str, object], released: datetime | None
) -> None:
    assert release_date(document) == released
