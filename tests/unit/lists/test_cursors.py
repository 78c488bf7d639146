"""Cursors: each one leads back to its position, but only for its own user and query."""

from dataclasses import replace

import pytest

from mylist.domain.content import ContentId
from mylist.domain.errors import InvalidCursorError
from mylist.domain.filter_and_sort import CursorPosition, ListQuery
from mylist.domain.limits import MAX_CURSOR_LENGTH, MAX_SEED_LENGTH
from mylist.lists.cursors import decode_cursor, encode_cursor
from mylist.lists.opaque_token import encode_token

ID = ContentId(bytes(range(12)))
BY_DATE = ListQuery(None, (), "addedAt", descending=True)
BY_TITLE = ListQuery("movie", ("böse & co",), "title", descending=False)
RANDOM = ListQuery(sort="random")
LONGEST_TITLE = b"\xff" * 401
ORDER = "2-en"


@pytest.mark.parametrize(
    ("query", "sort_key"),
    [(BY_DATE, 0), (BY_DATE, -(1 << 63)), (BY_DATE, (1 << 63) - 1), (BY_TITLE, b""), (BY_TITLE, LONGEST_TITLE)],
)
def test_a_cursor_decodes_to_its_position(query: ListQuery, sort_key: int | bytes) -> None:
    cursor = encode_cursor(CursorPosition(sort_key, ID), "user", query, ORDER)

    assert decode_cursor(cursor, "user", query, ORDER) == (query, CursorPosition(sort_key, ID))
    assert len(cursor) <= MAX_CURSOR_LENGTH
    assert cursor.isascii()
    assert cursor.replace("-", "").replace("_", "").isalnum()


@pytest.mark.parametrize(
    "other",
    [
        replace(BY_TITLE, content_type=None),
        replace(BY_TITLE, content_type="tvshow"),
        replace(BY_TITLE, genres=()),
        replace(BY_TITLE, genres=("böse",)),
        replace(BY_TITLE, genres=("böse & co", "drama")),
        replace(BY_TITLE, genres=("('böse & co',)",)),
        replace(BY_TITLE, excluded_genres=("drama",)),
        replace(BY_TITLE, words=("drama",)),
        replace(BY_TITLE, words=("dra", "ma")),
        replace(BY_TITLE, added_from=0),
        replace(BY_TITLE, added_before=0),
        replace(BY_TITLE, added_before=1),
        replace(BY_TITLE, is_available=False),
        replace(BY_TITLE, is_available=True),
        replace(BY_TITLE, sort="addedAt"),
        replace(BY_TITLE, descending=True),
    ],
)
def test_a_cursor_of_another_query_is_refused(other: ListQuery) -> None:
    for one, another in ((BY_TITLE, other), (other, BY_TITLE)):
        position = CursorPosition(b"title" if one.sort == "title" else 5, ID)
        cursor = encode_cursor(position, "user", one, ORDER)
        with pytest.raises(InvalidCursorError):
            decode_cursor(cursor, "user", another, ORDER)


def test_a_cursor_keeps_the_seed_of_its_random_order() -> None:
    position = CursorPosition((1 << 63) - 1, ID)
    cursor = encode_cursor(position, "user", replace(RANDOM, seed="a" * MAX_SEED_LENGTH), ORDER)
    seeded = replace(RANDOM, seed="a" * MAX_SEED_LENGTH)

    assert decode_cursor(cursor, "user", RANDOM, ORDER) == (seeded, position)
    assert decode_cursor(cursor, "user", seeded, ORDER) == (seeded, position)
    with pytest.raises(InvalidCursorError):
        decode_cursor(cursor, "user", replace(RANDOM, seed="a"), ORDER)


@pytest.mark.parametrize("seed", [b"", b" ", b"a\n", b"\xff", b"a" * (MAX_SEED_LENGTH + 1)])
def test_a_cursor_with_an_invalid_seed_is_refused(seed: bytes) -> None:
    identity = "Arrangement(content_type=None, genre=None, sort='random', descending=True)"
    made_up, good = (encode_token(ID + b"12345678" + each, "cursor", "user", identity) for each in (seed, b"a"))

    assert decode_cursor(good, "user", RANDOM, ORDER)[0].seed == "a"
    with pytest.raises(InvalidCursorError):
        decode_cursor(made_up, "user", RANDOM, ORDER)


def test_a_cursor_with_a_date_of_the_wrong_length_is_refused() -> None:
    identity = "Arrangement(content_type=None, genre=None, sort='addedAt', descending=True)"
    date = b"12345678"
    made_up, cut, longer = (encode_token(ID + key, "cursor", "user", identity) for key in (date, date[:4], date + b"a"))

    assert decode_cursor(made_up, "user", BY_DATE, ORDER)[1] == CursorPosition(int.from_bytes(date), ID)
    for bad in (cut, longer):
        with pytest.raises(InvalidCursorError):
            decode_cursor(bad, "user", BY_DATE, ORDER)


def test_a_cursor_by_date_from_an_earlier_release_still_decodes() -> None:
    cursor = "zvqZKXsT02YAAQIDBAUGBwgJCgsAAAGLz-VoAA"

    assert decode_cursor(cursor, "user", BY_DATE, ORDER)[1] == CursorPosition(1_700_000_000_000, ID)


def test_a_cursor_by_title_from_an_earlier_release_is_refused() -> None:
    cursor = "Z2qZAncxaWAAAQIDBAUGBwgJCgt0aGUgbWF0cml4"  # its sort title begins with T

    with pytest.raises(InvalidCursorError):
        decode_cursor(cursor, "user", BY_TITLE, ORDER)


def test_a_changed_title_order_invalidates_cursors_by_title_but_not_by_date() -> None:
    by_title = encode_cursor(CursorPosition(b"matrix", ID), "user", BY_TITLE, "2-en")
    by_date = encode_cursor(CursorPosition(7, ID), "user", BY_DATE, "2-en")

    with pytest.raises(InvalidCursorError):
        decode_cursor(by_title, "user", BY_TITLE, "2-de")
    assert decode_cursor(by_date, "user", BY_DATE, "2-de")[1] == CursorPosition(7, ID)


def test_a_cursor_of_another_user_is_refused() -> None:
    cursor = encode_cursor(CursorPosition(0, ID), "user", BY_DATE, ORDER)

    with pytest.raises(InvalidCursorError):
        decode_cursor(cursor, "User", BY_DATE, ORDER)
