"""External ids: the names that other catalogues give to movies and shows, such as `imdb:tt0133093`.

A title has at most one external id of each name. Two titles may have the same external id, unless the platform declares
it unique: TMDB, for example, numbers movies and shows separately, each from 1. So an external id may be preceded by a
content type, as in `movie:tmdb:603`.
"""

import re
from dataclasses import dataclass
from typing import NamedTuple

from mylist.domain.content import CONTENT_TYPES, EXTERNAL_ID_SEPARATOR, ContentType, is_content_type

EXTERNAL_IDS = "externalIds"
"""The field of a title with its external ids: an object of names and values."""
EXTERNAL_NAME_PATTERN = "[a-z][a-z0-9_-]{0,31}"
EXTERNAL_VALUE_PATTERN = "[!-~]{1,128}"
MAX_EXTERNAL_NAMES = 16
"""Each name needs an index in each collection, and MongoDB allows 64 indexes per collection."""

_FORM = re.compile(rf"(?:({'|'.join(CONTENT_TYPES)}):)?({EXTERNAL_NAME_PATTERN}):({EXTERNAL_VALUE_PATTERN})")
_NAME = re.compile(EXTERNAL_NAME_PATTERN)


class ExternalId(NamedTuple):
    """The id of a movie or show in another catalogue, such as `imdb` and `tt0133093`."""

    name: str
    value: str

    def __str__(self) -> str:
        """Return the external id as clients write it."""
        return f"{self.name}{EXTERNAL_ID_SEPARATOR}{self.value}"


class TypedExternalId(NamedTuple):
    """An external id, and its content type (None: either type)."""

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
    """Return whether a text may be the name of external ids.

    The name must not be a content type, because a content type may precede an external id.
    """
    return _NAME.fullmatch(text) is not None and not is_content_type(text)


@dataclass(frozen=True, slots=True)
class ExternalIdRules:
    """The platform's rules for external ids.

    Attributes:
        names: the names that requests and imports may use.
        unique: the names whose values are unique: no two titles share a value.
        unique_by_type: the names whose values are unique among the titles of one content type.
    """

    names: tuple[str, ...] = ("imdb", "tmdb", "tvdb")
    unique: frozenset[str] = frozenset()
    unique_by_type: frozenset[str] = frozenset()

    @property
    def unique_in_collection(self) -> frozenset[str]:
        """The names whose values are unique among the titles of one content type, by either rule."""
        return self.unique | self.unique_by_type


DEFAULT_EXTERNAL_ID_RULES = ExternalIdRules()
