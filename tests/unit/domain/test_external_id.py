import pytest

from mylist.domain.external_id import (
    ExternalId,
    TypedExternalId,
    is_external_name,
    parse_external_id,
    parse_typed_external_id,
)


@pytest.mark.parametrize(
    ("text", "name", "value"),
    [
        ("imdb:tt0133093", "imdb", "tt0133093"),
        ("tmdb:603", "tmdb", "603"),
        ("eidr:10.5240/7B2F-ED6B-7A4E-A2A9-2A4C-0", "eidr", "10.5240/7B2F-ED6B-7A4E-A2A9-2A4C-0"),
        ("house-2:a:b", "house-2", "a:b"),
        ("a:" + "!" * 128, "a", "!" * 128),
        ("movies:1", "movies", "1"),
        ("show:tmdb:603", "show", "tmdb:603"),
    ],
)
def test_an_external_id_is_a_name_and_a_value(text: str, name: str, value: str) -> None:
    external_id = parse_external_id(text)

    assert external_id == ExternalId(name, value)
    assert str(external_id) == text
    assert parse_typed_external_id(text) == TypedExternalId(ExternalId(name, value), None)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("movie:tmdb:603", TypedExternalId(ExternalId("tmdb", "603"), "movie")),
        ("tvshow:tmdb:603", TypedExternalId(ExternalId("tmdb", "603"), "tvshow")),
        ("tvshow:house:a:b", TypedExternalId(ExternalId("house", "a:b"), "tvshow")),
    ],
)
def test_a_content_type_may_precede_an_external_id(text: str, expected: TypedExternalId) -> None:
    assert parse_typed_external_id(text) == expected
    assert parse_external_id(text) is None


@pytest.mark.parametrize(
    "text",
    [
        "",
        ":",
        "imdb",
        "tt0133093",
        "imdb:",
        ":tt0133093",
        "imdb :tt0133093",
        "imdb: tt0133093",
        "imdb:tt0133093 ",
        "imdb:tt0133093\n",
        "imdb:tt\x00",
        "imdb:tté",
        "IMDb:tt0133093",
        "2:tt0133093",
        "a" * 33 + ":1",
        "a:" + "1" * 129,
        "movie:603",
        "movie:movie:603",
        "movie:",
        "movie:tmdb:",
        "507f1f77bcf86cd799439011",
    ],
)
def test_any_other_text_is_not_an_external_id(text: str) -> None:
    assert parse_external_id(text) is None
    assert parse_typed_external_id(text) is None


@pytest.mark.parametrize("name", ["imdb", "a", "house-2", "a_b", "a" * 32])
def test_a_valid_external_name_is_accepted(name: str) -> None:
    assert is_external_name(name)


@pytest.mark.parametrize("name", ["", "IMDb", "2a", "a.b", "a b", "$a", "a" * 33, "imdb\n", "movie", "tvshow"])
def test_an_invalid_external_name_is_refused(name: str) -> None:
    assert not is_external_name(name)
