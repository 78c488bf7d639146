"""External ids: the names that other catalogues give to movies and shows, such as `imdb:tt0133093`.

A title has at most one of each name. Two titles may have the same, unless the platform says otherwise: TMDB, for one,
counts movies and shows apart, each from 1. So an external id may be preceded by a content type, as in `movie:tmdb:603`.
"""

import re
from dataclasses import dataclass
from typing import NamedTuple

from mylist.domain.content import CONTENT_TYPES, EXTERNAL_ID_SEPARATOR, ContentType, is_content_type

EXTERNAL_IDS = "externalIds"
"""The field of a title that holds them: an object with their names and values."""
EXTERNAL_NAME_PATTERN = "[a-z][a-z0-9_-]{0,31}"
EXTERNAL_VALUE_PATTERN = "[!-~]{1,128}"
MAX_EXTERNAL_NAMES = 16
"""Each takes an index of each collection, of which one may have 64."""

_FORM = re.compile(rf"(?:({'|'.join(CONTENT_TYPES)}):)?({EXTERNAL_NAME_PATTERN}):({EXTERNAL_VALUE_PATTERN})")
_NAME = re.compile(EXTERNAL_NAME_PATTERN)


class ExternalId(NamedTuple):
    """The id of a movie or show in another catalogue, such as `imdb` and `tt0133093`."""

    name: str
    value: str

    def __str__(self) -> str:
        """Write it as clients do."""
        return f"{self.name}{EXTERNAL_ID_SEPARATOR}{self.value}"


class TypedExternalId(NamedTuple):
    """An external id, and the only content type that it may be of; None for either."""

    external_id: ExternalId
    content_type: ContentType | None


def parse_typed_external_id(text: str) -> TypedExternalId | None:
    """Return the external id that is written as NAME:ID, or as TYPE:NAME:ID; None for anything else."""
    match = _FORM.fullmatch(text)
    if match is None:
        return None
    given, name, value = match.groups()
    content_type = given if given and is_content_type(given) else None
    return None if is_content_type(name) else TypedExternalId(ExternalId(name, value), content_type)


def parse_external_id(text: str) -> ExternalId | None:
    """Return the external id that is written as NAME:ID, without a content type; None for anything else."""
    parsed = parse_typed_external_id(text)
    return parsed.external_id if parsed and parsed.content_type is None else None


def is_external_name(text: str) -> bool:
    """Return whether a text may be the name of external ids; content types may not, as they may precede one."""
    return _NAME.fullmatch(text) is not None and not is_content_type(text)


@dataclass(frozen=True, slots=True)
class ExternalIdRules:
    """What a platform says of external ids.

    Attributes:
        names: those that requests and imports may use.
        unique: those of them of which no two titles have the same value.
        unique_by_type: those of them of which no two titles of one content type have the same value.
    """

    names: tuple[str, ...] = ("imdb", "tmdb", "tvdb")
    unique: frozenset[str] = frozenset()
    unique_by_type: frozenset[str] = frozenset()

    @property
    def unique_in_collection(self) -> frozenset[str]:
        """The names of which no two titles of one content type have the same value, for either reason."""
        return self.unique | self.unique_by_type


DEFAULT_EXTERNAL_ID_RULES = ExternalIdRules()
