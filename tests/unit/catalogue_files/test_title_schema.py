"""The schema of titles: the published schema is the enforced one."""

import copy
import json
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import jsonschema  # type: ignore[import-untyped] # it has none
import pytest

from devtools import documents
from mylist.catalogue_files.title_schema import InvalidTitleError, schema, validate

ID = "507f1f77bcf86cd799439011"
LEAST: dict[str, Any] = {"id": ID, "contentType": "movie", "title": "Alien"}
FORMATS = jsonschema.FormatChecker(formats=["date"])
VALIDATOR = jsonschema.Draft202012Validator(schema(), format_checker=FORMATS)


def is_moment(text: object) -> bool:
    return isinstance(text, str) and "T" in text and bool(datetime.fromisoformat(text))


FORMATS.checks("date-time", raises=ValueError)(is_moment)


def without(*names: str) -> dict[str, Any]:
    return {name: value for name, value in LEAST.items() if name not in names}


def nested(depth: int) -> Any:
    return "x" if not depth else [nested(depth - 1)]


VALID: list[dict[str, Any]] = [
    LEAST,
    {**LEAST, "id": ID.upper()},
    without("id") | {"externalIds": {"imdb": "tt0078748"}},
    without("id") | {"externalIds": {"imdb": "tt0078748", "tmdb": 348, "tvdb": None}},
    LEAST | {"externalIds": {}},
    LEAST | {"externalIds": {"tmdb": 348.0}},
    LEAST | {"contentType": "tvshow"},
    LEAST | {"title": "x" * 1000},
    LEAST | {"description": ""},
    LEAST | {"genres": [], "actors": ["Sigourney Weaver"]},
    LEAST
    | dict.fromkeys(
        ["sortTitle", "originalTitle", "description", "genres", "releaseDate", "releaseYear", "endYear", "isAdult"]
    ),
    LEAST | {"releaseDate": "1979-05-25"},
    LEAST | {"releaseDate": "2000-02-29"},
    LEAST | {"releaseDate": "1979-05-25T00:00:00.000Z"},
    LEAST | {"releaseDate": "1979-05-25T23:59:59+05:30"},
    LEAST | {"releaseYear": 1979, "endYear": 1979.0, "runtimeMinutes": 117},
    LEAST | {"isAdult": False},
    LEAST | {"episodes": [{"seasonNumber": 1, "episodeNumber": 2, "releaseDate": "1979-05-25", "guest": "Ash"}]},
    LEAST | {"poster": "https://example.com/1.jpg", "rating": 8.5, "seen": True, "nothing": None, "größe": [1, "x"]},
    LEAST | {"deep": nested(4)},
    LEAST | {"map": {"a": {"b": {"c": 1}}}},
    LEAST | {"number": 2**63 - 1, "least": -(2**63)},
]
INVALID: list[Any] = [
    *({}, [], None, "Alien", 3),
    *(without(name) for name in ("id", "contentType", "title")),
    *(LEAST | {name: None} for name in ("id", "contentType", "title", "externalIds")),
    LEAST | {"id": ID[:-1]},
    LEAST | {"id": ID + "\n"},
    LEAST | {"id": ID[:-1] + "g"},
    LEAST | {"id": 5},
    without("id") | {"externalIds": {}},
    without("id") | {"externalIds": {"imdb": None}},
    LEAST | {"externalIds": {"IMDb": "tt0078748"}},
    LEAST | {"externalIds": {"imdb\n": "tt0078748"}},
    LEAST | {"externalIds": {"a.b": "1"}},
    LEAST | {"externalIds": {"imdb": ""}},
    LEAST | {"externalIds": {"imdb": "tt 78748"}},
    LEAST | {"externalIds": {"imdb": "tt0078748\n"}},
    LEAST | {"externalIds": {"tmdb": -1}},
    LEAST | {"externalIds": {"tmdb": 1.5}},
    LEAST | {"externalIds": {"tmdb": 2**63}},
    LEAST | {"externalIds": {"tmdb": True}},
    LEAST | {"externalIds": ["tt0078748"]},
    *(LEAST | {"contentType": value} for value in ("film", "Movie", "", 1)),
    *(LEAST | {"title": value} for value in ("", "x" * 1001, 1917, ["x"])),
    *(LEAST | {"genres": value} for value in ("Horror", [""], [1], [None], ["x"] * 101)),
    *(
        LEAST | {"releaseDate": value}
        for value in (
            *("25.05.1979", "1979", "1979-5-25", "1979-02-30", "2001-02-29", "1979-13-01", "", 1979, "1979-05-25\n"),
            *(
                "1979-05-25T00:00:00",
                "1979-05-25T24:00:01Z",
                "1979-05-25 00:00:00Z",
                "19\u0667\u0669-05-25",
                "0979-05-25",
            ),
        )
    ),
    *(LEAST | {"releaseYear": value} for value in (1799, 2200, "1979", 1979.5, True)),
    LEAST | {"runtimeMinutes": -1},
    LEAST | {"isAdult": 0},
    LEAST | {"isAdult": "false"},
    LEAST | {"episodes": {}},
    LEAST | {"episodes": [1]},
    LEAST | {"episodes": [{"seasonNumber": -1}]},
    LEAST | {"episodes": [{"releaseDate": "soon"}]},
    LEAST | {"episodes": [{"$x": 1}]},
    *(LEAST | {name: 1} for name in ("_id", "__v", "$set", "a.b", "", "a\0", "createdAt", "updatedAt", "x" * 101)),
    LEAST | {"deep": nested(5)},
    LEAST | {"map": {"$where": 1}},
    LEAST | {"map": [{"a.b": 1}]},
    LEAST | {"number": 2**63},
    LEAST | {"numbers": [-(2**63) - 1]},
]


@pytest.mark.parametrize("title", VALID, ids=json.dumps)
def test_a_valid_title_passes_the_published_and_the_enforced_schema(title: dict[str, Any]) -> None:
    VALIDATOR.validate(title)
    validate(copy.deepcopy(title))


@pytest.mark.parametrize("title", INVALID, ids=json.dumps)
def test_an_invalid_title_fails_the_published_and_the_enforced_schema(title: Any) -> None:
    assert not VALIDATOR.is_valid(title)
    with pytest.raises(InvalidTitleError) as refused:
        validate(copy.deepcopy(title))
    assert str(refused.value)
    assert "\n" not in str(refused.value)


def test_the_schema_is_a_valid_json_schema() -> None:
    jsonschema.Draft202012Validator.check_schema(schema())


@pytest.mark.parametrize("path", documents.TITLE_SCHEMAS, ids=lambda path: path.parent.name)
def test_the_schema_is_published_in_the_package_and_in_docs(path: Any) -> None:
    assert path.read_text() == documents.title_schema(), f"run {documents.COMMAND}"


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("1979-05-25", datetime(1979, 5, 25, tzinfo=UTC)),
        ("1979-05-25T10:00:00.123Z", datetime(1979, 5, 25, 10, 0, 0, 123_000, tzinfo=UTC)),
        ("1979-05-25T01:00:00+02:00", datetime(1979, 5, 24, 23, tzinfo=UTC)),
    ],
)
def test_dates_are_moments_in_utc(text: str, moment: datetime) -> None:
    title = validate(LEAST | {"releaseDate": text, "episodes": [{"releaseDate": text}]})
    assert title["releaseDate"] == title["episodes"][0]["releaseDate"] == moment
    assert title["releaseDate"].utcoffset() == timezone(timedelta()).utcoffset(None)


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"id": "tt0078748"}, "`id` must be 24 hexadecimal digits"),
        ({"releaseDate": "25.05.1979"}, "`releaseDate` must be a date such as 1999-03-31 or 1999-03-31T00:00:00Z"),
        ({"releaseDate": "1979-02-30"}, "`releaseDate` is 1979-02-30, and there is no such day or time"),
        ({"externalIds": {"IMDb": "tt1"}}, "`externalIds` must have names in lower case and ids without blanks"),
        ({"externalIds": {"imdb": "a b"}}, "`externalIds` must have names in lower case and ids without blanks"),
        ({"genres": ["Horror", 3]}, "`genres[1]` expected `str`, got `int`"),
        ({"createdAt": "2020-01-01"}, "`createdAt` is set by the import itself and must be left out"),
        ({"a.b": 1}, "'a.b' is not the name of a field: it must not begin with $ or _, or have a dot"),
        ({"number": 2**70}, "`number` has a number that is too large"),
        ({"deep": nested(9)}, "`deep` is nested more than 4 levels deep"),
    ],
    ids=str,
)
def test_an_error_says_which_field_is_wrong_and_how(wrong: dict[str, Any], told: str) -> None:
    with pytest.raises(InvalidTitleError) as refused:
        validate(LEAST | wrong)
    assert str(refused.value) == told
