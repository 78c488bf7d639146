"""Content ids, content types and content keys."""

import pytest

from mylist.domain.content import (
    content_key,
    is_content_type,
    parse_content_id,
    split_content_key,
)
from tests.content_ids import content_id


@pytest.mark.parametrize("text", ["507f1f77bcf86cd799439011", "507F1F77BCF86CD799439011"])
def test_a_content_id_is_24_hexadecimal_digits(text: str) -> None:
    assert parse_content_id(text) == bytes.fromhex("507f1f77bcf86cd799439011")


@pytest.mark.parametrize(
    "text", ["", "5" * 23, "5" * 25, "g" * 24, " " + "5" * 23, "5" * 24 + "\n", "\N{ARABIC-INDIC DIGIT FIVE}" * 24]
)
def test_any_other_text_is_not_a_content_id(text: str) -> None:
    assert parse_content_id(text) is None


@pytest.mark.parametrize(("text", "known"), [("movie", True), ("tvshow", True), ("Movie", False), ("", False)])
def test_movie_and_tvshow_are_the_only_content_types(text: str, known: bool) -> None:
    assert is_content_type(text) is known


def test_a_content_key_contains_the_id_and_the_type() -> None:
    assert split_content_key(content_key(content_id(7), "tvshow")) == (content_id(7), "tvshow")
    assert content_key(content_id(0), "movie") != content_key(content_id(0), "tvshow")
