"""The schema of a title in a file: a Struct that is enforced, and the JSON Schema generated from it.

`title.schema.json` beside this module, and in docs, is what `schema` returns. Besides the fields that it names, a title
may have others, which are stored as they are.
"""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Annotated, Any

import msgspec
from msgspec import UNSET, Meta, UnsetType

from mylist.domain.content import ContentType
from mylist.domain.external_id import EXTERNAL_NAME_PATTERN, EXTERNAL_VALUE_PATTERN

SCHEMA_FILE = "title.schema.json"
MAX_DEPTH = 4
"""How deep values of fields that the schema does not name may be nested."""
_INT64_MIN, _INT64_MAX = -(2**63), 2**63 - 1
_END = r"(?![\s\S])"
"""The end of a text; in some engines, `$` would also match before a final line break."""
_FIELD_NAME = rf"^[^$._\u0000-\u001f][^.\u0000-\u001f]{{0,99}}{_END}"
_EXTERNAL_NAME = rf"^{EXTERNAL_NAME_PATTERN}{_END}"
_EXTERNAL_ID = rf"^{EXTERNAL_VALUE_PATTERN}{_END}"
_DATE = (
    r"^(1[89]|2[01])[0-9]{2}-[0-9]{2}-[0-9]{2}"
    rf"(T[0-9]{{2}}:[0-9]{{2}}:[0-9]{{2}}(\.[0-9]{{1,6}})?(Z|[+-][0-9]{{2}}:[0-9]{{2}}))?{_END}"
)
_KEPT_FIELDS = frozenset({"createdAt", "updatedAt"})
"""Fields that the import maintains itself."""

_Text = Annotated[str, Meta(min_length=1, max_length=1000)]
_Name = Annotated[str, Meta(min_length=1, max_length=200)]
_Year = Annotated[int, Meta(ge=1800, le=2199)]
_Minutes = Annotated[int, Meta(ge=0, le=100_000)]
_Number = Annotated[int, Meta(ge=0, le=1_000_000)]
_Names = Annotated[list[_Name], Meta(max_length=1000)]
_Date = Annotated[
    str,
    Meta(
        pattern=_DATE,
        description="A day, or a moment with its offset from UTC.",
        extra_json_schema={"anyOf": [{"format": "date"}, {"format": "date-time"}]},
    ),
]
_Id = Annotated[
    str,
    Meta(
        pattern=rf"^[0-9a-fA-F]{{24}}{_END}",
        description="The contentId by which the API names it: 24 hexadecimal digits.",
    ),
]
_ExternalIds = Annotated[
    dict[
        Annotated[str, Meta(pattern=_EXTERNAL_NAME)],
        Annotated[str, Meta(pattern=_EXTERNAL_ID)] | Annotated[int, Meta(ge=0, le=_INT64_MAX)] | None,
    ],
    Meta(description="Its ids elsewhere, by the name of the place, such as imdb, tmdb or tvdb. null removes one."),
]


class Episode(msgspec.Struct, rename="camel"):
    """One episode of a show."""

    season_number: _Number | None = None
    episode_number: _Number | None = None
    title: _Text | None = None
    release_date: _Date | None = None
    runtime_minutes: _Minutes | None = None
    director: _Name | None = None
    actors: _Names | None = None


class Title(msgspec.Struct, rename="camel"):
    """A movie or show of the catalogue.

    It is found by `id` or, without one, by any of `externalIds`. A field that is left out stays as it is in the
    catalogue, and null removes it there.
    """

    content_type: Annotated[ContentType, Meta(description="movie or tvshow.")]
    title: Annotated[_Text, Meta(description="The title that clients show.")]
    id: _Id | UnsetType = UNSET
    external_ids: _ExternalIds | UnsetType = UNSET
    sort_title: Annotated[_Text | None, Meta(description="The sort key, instead of the title.")] = None
    original_title: _Text | None = None
    description: Annotated[str, Meta(max_length=20_000)] | None = None
    genres: Annotated[list[_Name], Meta(max_length=100)] | None = None
    release_date: _Date | None = None
    release_year: Annotated[
        _Year | None, Meta(description="Where only the year is known; it sorts as the first of January.")
    ] = None
    end_year: Annotated[_Year | None, Meta(description="The last year of a show.")] = None
    runtime_minutes: _Minutes | None = None
    is_adult: bool | None = None
    director: _Text | None = None
    actors: _Names | None = None
    episodes: Annotated[list[Episode], Meta(max_length=10_000)] | None = None


FIELDS = frozenset(field.encode_name for field in msgspec.structs.fields(Title))
_EPISODE_FIELDS = frozenset(field.encode_name for field in msgspec.structs.fields(Episode))
_WHOLE_NUMBERS = ("releaseYear", "endYear", "runtimeMinutes")
_WHOLE_NUMBERS_OF_EPISODE = ("seasonNumber", "episodeNumber", "runtimeMinutes")


class InvalidTitleError(ValueError):
    """Something is not a valid title; the message says why, in one line."""


def validate(title: object) -> dict[str, Any]:
    """Validate a title that was decoded from JSON and return it: dates become `datetime`, 1999.0 becomes 1999.

    Raises:
        InvalidTitleError: the schema does not allow it.
    """
    if not isinstance(title, dict):
        raise InvalidTitleError("it is not a JSON object")
    _make_whole(title)
    try:
        known = msgspec.convert(title, Title)
    except msgspec.ValidationError as error:
        raise InvalidTitleError(_told(error)) from None
    if known.id is UNSET and not (known.external_ids and any(each is not None for each in known.external_ids.values())):
        raise InvalidTitleError("it has neither `id` nor an id in `externalIds`")
    if len(title) > len(FIELDS) or not FIELDS.issuperset(title):
        _check_others(title, FIELDS)
    _read_date(title)
    for episode in title.get("episodes") or ():
        _check_others(episode, _EPISODE_FIELDS)
        _read_date(episode)
    return title


def _make_whole(title: dict[str, Any]) -> None:
    """Convert numbers such as 1999.0 to integers, which they are in JSON Schema."""
    _make_each_whole(title, _WHOLE_NUMBERS)
    if isinstance(external_ids := title.get("externalIds"), dict):
        _make_each_whole(external_ids, tuple(external_ids))
    if isinstance(episodes := title.get("episodes"), list):
        for episode in episodes:
            if isinstance(episode, dict):
                _make_each_whole(episode, _WHOLE_NUMBERS_OF_EPISODE)


def _make_each_whole(fields: dict[str, Any], names: Iterable[str]) -> None:
    for name in names:
        value = fields.get(name)
        if type(value) is float and value.is_integer():
            fields[name] = int(value)


def _read_date(fields: dict[str, Any]) -> None:
    if text := fields.get("releaseDate"):
        try:
            moment = datetime.fromisoformat(text)
        except ValueError:
            raise InvalidTitleError(f"`releaseDate` is {text}, and there is no such day or time") from None
        fields["releaseDate"] = moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)


def _told(error: msgspec.ValidationError) -> str:
    """Return the message of an error with the name of the field in front."""
    message, _, place = str(error).partition(" - at `$.")
    if "matching regex" in message and place.startswith("id`"):
        return "`id` must be 24 hexadecimal digits"
    if "matching regex" in message and "eleaseDate`" in place:
        return f"`{place} must be a date such as 1999-03-31 or 1999-03-31T00:00:00Z"
    if "matching regex" in message and (place.startswith("externalIds") or "in `$.externalIds`" in message):
        return "`externalIds` must have names in lower case and ids without blanks"
    return f"`{place} {message[0].lower()}{message[1:]}" if place else message[0].lower() + message[1:]


def _check_others(fields: Mapping[str, Any], known: frozenset[str]) -> None:
    for name, value in fields.items():
        if name not in known:
            if name in _KEPT_FIELDS:
                raise InvalidTitleError(f"`{name}` is set by the import itself and must be left out")
            _check_name(name)
            _check_value(name, value, MAX_DEPTH)


def _check_name(name: str) -> None:
    try:
        msgspec.convert(name, Annotated[str, Meta(pattern=_FIELD_NAME)])
    except msgspec.ValidationError:
        raise InvalidTitleError(
            f"{name[:100]!a} is not the name of a field: it must not begin with $ or _, or have a dot"
        ) from None


def _check_value(name: str, value: object, depth: int) -> None:
    match value:
        case int() if not _INT64_MIN <= value <= _INT64_MAX:
            raise InvalidTitleError(f"`{name}` has a number that is too large")
        case list() | dict() if not depth:
            raise InvalidTitleError(f"`{name}` is nested more than {MAX_DEPTH} levels deep")
        case list():
            for each in value:
                _check_value(name, each, depth - 1)
        case dict():
            for key, each in value.items():
                _check_name(key)
                _check_value(name, each, depth - 1)


def schema() -> dict[str, Any]:
    """Return the JSON Schema (2020-12) of a title."""
    made = msgspec.json.schema(Title, ref_template="#/$defs/{name}")
    definitions = made["$defs"]
    title = definitions.pop("Title")
    names = {"pattern": _FIELD_NAME, "not": {"enum": sorted(_KEPT_FIELDS)}}
    other = {"$ref": f"#/$defs/Value{MAX_DEPTH}"}
    for each in (title, definitions["Episode"]):
        each["description"] = " ".join(each["description"].split())
        for field in each["properties"].values():
            field.pop("default", None)  # a missing field is unchanged, whereas null removes the field
        each |= {"propertyNames": names, "additionalProperties": other}
    has_external_id = {
        "required": ["externalIds"],
        "properties": {"externalIds": {"not": {"additionalProperties": {"type": "null"}}}},
    }
    scalar = {
        "anyOf": [
            {"type": ["string", "boolean", "null"]},
            {"type": "integer", "minimum": _INT64_MIN, "maximum": _INT64_MAX},
            {"type": "number", "not": {"type": "integer"}},
        ]
    }
    values = {"Value0": scalar}
    for depth in range(1, MAX_DEPTH + 1):
        inner = {"$ref": f"#/$defs/Value{depth - 1}"}
        containers = [
            {"type": "array", "items": inner},
            {"type": "object", "propertyNames": {"pattern": _FIELD_NAME}, "additionalProperties": inner},
        ]
        values[f"Value{depth}"] = {"anyOf": [{"$ref": "#/$defs/Value0"}, *containers]}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **title,
        "anyOf": [{"required": ["id"]}, has_external_id],
        "$defs": {**definitions, **values},
    }
