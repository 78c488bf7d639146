"""Cursors: they lead back to the position that they were made of, and only for whom and what they were made for."""

from dataclasses import replace

import pytest

from mylist.domain.content import ContentId
from mylist.domain.errors import InvalidCursorError
from mylist.domain.filter_and_sort import CursorPosition, ListQuery
from mylist.domain.limits import MAX_CURSOR_LENGTH
from mylist.lists.cursors import decode_cursor, encode_cursor
from mylist.lists.opaque_token import encode_token

ID = ContentId(bytes(range(12)))
BY_DATE = ListQuery(None, None, "addedAt", descending=True)
BY_TITLE = ListQuery("movie", "böse & co", "title", descending=False)
LONGEST_TITLE = b"\xff" * 401


@pytest.mark.parametrize(
    ("query", "sort_key"),
    [(BY_DATE, 0), (BY_DATE, -(1 << 63)), (BY_DATE, (1 << 63) - 1), (BY_TITLE, b""), (BY_TITLE, LONGEST_TITLE)],
)
def test_lead_back_to_their_position(query: ListQuery, sort_key: int | bytes) -> None:
    cursor = encode_cursor(CursorPosition(sort_key, ID), "user", query)

    assert decode_cursor(cursor, "user", query) == CursorPosition(sort_key, ID)
    assert len(cursor) <= MAX_CURSOR_LENGTH
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
def test_are_of_one_query(other: ListQuery) -> None:
    cursor = encode_cursor(CursorPosition(b"title", ID), "user", BY_TITLE)

    with pytest.raises(InvalidCursorError):
        decode_cursor(cursor, "user", other)


def test_that_are_made_up_are_refused() -> None:
    identity = "Arrangement(content_type=None, genre=None, sort='addedAt', descending=True)"
    date = b"12345678"
    made_up, cut = (encode_token(ID + key, "cursor", "user", identity) for key in (date, date[:4]))

    assert decode_cursor(made_up, "user", BY_DATE) == CursorPosition(int.from_bytes(date), ID)
    with pytest.raises(InvalidCursorError):
        decode_cursor(cut, "user", BY_DATE)


def test_of_an_earlier_release_still_lead_back_to_their_position() -> None:
    cursor = "Z2qZAncxaWAAAQIDBAUGBwgJCgt0aGUgbWF0cml4"

    assert decode_cursor(cursor, "user", BY_TITLE) == CursorPosition(b"the matrix", ID)


def test_are_of_one_user() -> None:
    cursor = encode_cursor(CursorPosition(0, ID), "user", BY_DATE)

    with pytest.raises(InvalidCursorError):
        decode_cursor(cursor, "User", BY_DATE)
