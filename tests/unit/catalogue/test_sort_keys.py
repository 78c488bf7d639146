"""What lists are sorted and filtered by, of documents that may hold anything."""

from typing import Any

import pytest

from mylist.catalogue.sort_keys import genres_of, title_of


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        ({}, ()),
        ({"genres": None}, ()),
        ({"genres": "Drama"}, ()),
        ({"genres": {"a": "Drama"}}, ()),
        ({"genres": ["Drama", 7, None, ["x"], "SciFi"]}, ("drama", "scifi")),
    ],
)
def test_genres_that_are_no_text_are_none(document: dict[str, Any], expected: tuple[str, ...]) -> None:
    assert genres_of(document) == expected


@pytest.mark.parametrize("title", [None, 42, ["a"], {"en": "a"}, b"a"])
def test_a_title_that_is_no_text_is_none(title: Any) -> None:
    assert title_of({"title": title}) is None
