"""Cursors: they lead back to the position that they were made of, and only for whom and what they were made for."""

from dataclasses import replace

import pytest

from mylist.api.cursors import LONGEST, decode_cursor, encode_cursor
from mylist.api.sealing import seal
from mylist.errors import InvalidCursorError
from mylist.lists.arrangement import Arrangement, Position

ID = bytes(range(12))
BY_DATE = Arrangement(None, None, "addedAt", descending=True)
BY_TITLE = Arrangement("movie", "böse & co", "title", descending=False)
LONGEST_TITLE = b"\xff" * 401


@pytest.mark.parametrize(
    ("arrangement", "rank"),
    [(BY_DATE, 0), (BY_DATE, -(1 << 63)), (BY_DATE, (1 << 63) - 1), (BY_TITLE, b""), (BY_TITLE, LONGEST_TITLE)],
)
def test_lead_back_to_their_position(arrangement: Arrangement, rank: int | bytes) -> None:
    cursor = encode_cursor(Position(rank, ID), "user", arrangement)

    assert decode_cursor(cursor, "user", arrangement) == Position(rank, ID)
    assert len(cursor) <= LONGEST
    assert cursor.isascii()
    assert cursor.replace("-", "").replace("_", "").isalnum()


@pytest.mark.parametrize(
    "other",
    [
        replace(BY_TITLE, content_type=None),
        replace(BY_TITLE, content_type="tvshow"),
        replace(BY_TITLE, genre=None),
        replace(BY_TITLE, genre="böse"),
        replace(BY_TITLE, sort="addedAt"),
        replace(BY_TITLE, descending=True),
    ],
)
def test_are_of_one_arrangement(other: Arrangement) -> None:
    cursor = encode_cursor(Position(b"title", ID), "user", BY_TITLE)

    with pytest.raises(InvalidCursorError):
        decode_cursor(cursor, "user", other)


def test_that_are_made_up_are_refused() -> None:
    with pytest.raises(InvalidCursorError):
        decode_cursor(seal(ID + b"soon", "cursor", "user", repr(BY_DATE)), "user", BY_DATE)


def test_are_of_one_user() -> None:
    cursor = encode_cursor(Position(0, ID), "user", BY_DATE)

    with pytest.raises(InvalidCursorError):
        decode_cursor(cursor, "User", BY_DATE)
