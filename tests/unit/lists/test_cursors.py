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
ORDER = "2-en"


@pytest.mark.parametrize(
    ("query", "sort_key"),
    [(BY_DATE, 0), (BY_DATE, -(1 << 63)), (BY_DATE, (1 << 63) - 1), (BY_TITLE, b""), (BY_TITLE, LONGEST_TITLE)],
)
def test_lead_back_to_their_position(query: ListQuery, sort_key: int | bytes) -> None:
    cursor = encode_cursor(CursorPosition(sort_key, ID), "user", query, ORDER)

    assert decode_cursor(cursor, "user", query, ORDER) == CursorPosition(sort_key, ID)
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
    cursor = encode_cursor(CursorPosition(b"title", ID), "user", BY_TITLE, ORDER)

    with pytest.raises(InvalidCursorError):
        decode_cursor(cursor, "user", other, ORDER)


def test_that_are_made_up_are_refused() -> None:
    identity = "Arrangement(content_type=None, genre=None, sort='addedAt', descending=True)"
    date = b"12345678"
    made_up, cut = (encode_token(ID + key, "cursor", "user", identity) for key in (date, date[:4]))

    assert decode_cursor(made_up, "user", BY_DATE, ORDER) == CursorPosition(int.from_bytes(date), ID)
    with pytest.raises(InvalidCursorError):
        decode_cursor(cut, "user", BY_DATE, ORDER)


def test_by_date_of_an_earlier_release_still_lead_back_to_their_position() -> None:
    cursor = "zvqZKXsT02YAAQIDBAUGBwgJCgsAAAGLz-VoAA"

    assert decode_cursor(cursor, "user", BY_DATE, ORDER) == CursorPosition(1_700_000_000_000, ID)


def test_by_title_of_an_earlier_release_are_refused() -> None:
    cursor = "Z2qZAncxaWAAAQIDBAUGBwgJCgt0aGUgbWF0cml4"  # it stands under T

    with pytest.raises(InvalidCursorError):
        decode_cursor(cursor, "user", BY_TITLE, ORDER)


def test_by_title_are_of_one_order_of_titles_and_by_date_of_any() -> None:
    by_title = encode_cursor(CursorPosition(b"matrix", ID), "user", BY_TITLE, "2-en")
    by_date = encode_cursor(CursorPosition(7, ID), "user", BY_DATE, "2-en")

    with pytest.raises(InvalidCursorError):
        decode_cursor(by_title, "user", BY_TITLE, "2-de")
    assert decode_cursor(by_date, "user", BY_DATE, "2-de") == CursorPosition(7, ID)


def test_are_of_one_user() -> None:
    cursor = encode_cursor(CursorPosition(0, ID), "user", BY_DATE, ORDER)

    with pytest.raises(InvalidCursorError):
        decode_cursor(cursor, "User", BY_DATE, ORDER)
