"""Parameters and headers as the OpenAPI document describes them, to which routes refer, and the values of some."""

from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

from mylist.api.schemas import NAMED_FORM
from mylist.domain.cache_result import CacheResult
from mylist.domain.content import CONTENT_TYPES
from mylist.domain.errors import InvalidParameterError
from mylist.domain.filter_and_sort import SEED_PATTERN, SORTS
from mylist.domain.limits import (
    DEFAULT_CHANGES,
    MAX_CHANGES,
    MAX_CURSOR_LENGTH,
    MAX_GENRE_LENGTH,
    MAX_GENRES,
    MAX_SEARCH_LENGTH,
    MAX_SEARCH_WORDS,
)
from mylist.domain.user_id import USER_ID_PATTERN
from mylist.http.request import REQUEST_ID_PATTERN

Json = dict[str, Any]
_Value = TypeVar("_Value", bound=str)

ORDERS = ("asc", "desc")
VIEWS = ("ids",)
AVAILABLE = ("true", "false")
MODES = ("merge", "replace")

USER_ID: Json = {
    "name": "user-id",
    "in": "header",
    "required": True,
    "description": "The owner of the list.",
    "schema": {"type": "string", "pattern": f"^{USER_ID_PATTERN}$"},
    "example": "507f1f77bcf86cd799439011",
}
IF_NONE_MATCH: Json = {
    "name": "If-None-Match",
    "in": "header",
    "description": "The ETag of the client's copy; 304 if the list has not changed.",
    "schema": {"type": "string"},
}
PAGE: Json = {
    "name": "page",
    "in": "query",
    "description": "The page, from 1. An invalid value counts as 1.",
    "schema": {"type": "integer", "minimum": 1, "default": 1},
}
PAGE_SIZE: Json = {
    "name": "pageSize",
    "in": "query",
    "description": "Items per page. A value out of range is clamped to the nearest allowed one.",
    "schema": {"type": "integer", "minimum": 1, "default": 20},
}
SINCE: Json = {
    "name": "since",
    "in": "query",
    "description": "The token of the last answer; without it, the answer has the whole list.",
    "schema": {"type": "string"},
}
LIMIT: Json = {
    "name": "limit",
    "in": "query",
    "description": "Maximum number of changes in the answer.",
    "schema": {"type": "integer", "minimum": 1, "maximum": MAX_CHANGES, "default": DEFAULT_CHANGES},
}
CONFIRM: Json = {
    "name": "confirm",
    "in": "query",
    "description": "`true` confirms that the request may empty the list. Otherwise `If-Match` must have its ETag.",
    "schema": {"type": "string", "enum": ["true"]},
}
IF_MATCH: Json = {
    "name": "If-Match",
    "in": "header",
    "description": "The export's ETag: 412 if the list has changed since. `*`: 412 if the item is not on the list.",
    "schema": {"type": "string"},
}
IF_NONE_MATCH_OF_CHANGE: Json = {
    "name": "If-None-Match",
    "in": "header",
    "description": "`*`: 412 if the item is on the list or was removed from it. An ETag: 412 if it is current.",
    "schema": {"type": "string"},
}
CONDITIONS: list[Json] = [IF_MATCH, IF_NONE_MATCH_OF_CHANGE]
UNLESS_REMOVED_SINCE: Json = {
    "name": "unlessRemovedSince",
    "in": "query",
    "description": "A token of `changes`, or a time. Items that were removed after it are not added again.",
    "schema": {"type": "string"},
}
MODE: Json = {
    "name": "mode",
    "in": "query",
    "description": "`merge` adds the items to the list; `replace` replaces the list with them.",
    "schema": {"type": "string", "enum": list(MODES), "default": MODES[0]},
}
TOTAL: Json = {
    "name": "total",
    "in": "query",
    "description": "With `mode=replace`: the number of items in the body, equal to `X-Total-Count` of the "
    "export; 400 otherwise.",
    "schema": {"type": "integer", "minimum": 0},
}
_GENRES: Json = {
    "type": "array",
    "items": {"type": "string", "minLength": 1, "maxLength": MAX_GENRE_LENGTH},
    "minItems": 1,
    "maxItems": MAX_GENRES,
}
SELECTION: list[Json] = [
    {
        "name": "type",
        "in": "query",
        "description": "Only items of this type.",
        "schema": {"type": "string", "enum": list(CONTENT_TYPES)},
    },
    {
        "name": "genre",
        "in": "query",
        # No example: the documentation page would prefill it and so filter by it.
        "description": (
            "Only items of this genre, such as `SciFi`, or of any of several genres. Case does not matter. A genre "
            "that no movie or show has is refused."
        ),
        "schema": _GENRES,
    },
    {
        "name": "notGenre",
        "in": "query",
        "description": "Only items without these genres; an unknown genre is refused.",
        "schema": _GENRES,
    },
    {
        "name": "q",
        "in": "query",
        "description": (
            f"Only items whose title has these words, up to {MAX_SEARCH_WORDS}, or words that begin with them. Case, "
            "accents and punctuation do not matter."
        ),
        "schema": {"type": "string", "minLength": 1, "maxLength": MAX_SEARCH_LENGTH},
    },
    {
        "name": "addedAfter",
        "in": "query",
        "description": "Only items that were added at this time or later.",
        "schema": {"type": "string", "format": "date-time"},
    },
    {
        "name": "addedBefore",
        "in": "query",
        "description": "Only items that were added before this time.",
        "schema": {"type": "string", "format": "date-time"},
    },
    {
        "name": "available",
        "in": "query",
        "description": "`false`: only items whose movie or show was withdrawn; `true`: only items that are available.",
        "schema": {"type": "string", "enum": list(AVAILABLE)},
    },
    {
        "name": "sort",
        "in": "query",
        "description": (
            "The sort key of the items; `addedAt` by default. `title` is the `sortTitle` where there is one, else "
            "the title without its leading article; accents make no difference. `random` is another order for each "
            "`seed`."
        ),
        "schema": {"type": "string", "enum": list(SORTS)},
    },
    {
        "name": "seed",
        "in": "query",
        "description": (
            "Only with `sort=random`: the same seed gives the same order. Without it, the service "
            "chooses a seed and puts it into `Link` and `nextCursor`."
        ),
        "schema": {"type": "string", "pattern": f"^{SEED_PATTERN}$"},
    },
    {
        "name": "order",
        "in": "query",
        "description": "Default `asc` for titles and `desc` for dates; not with `sort=random`.",
        "schema": {"type": "string", "enum": list(ORDERS)},
    },
    {
        "name": "cursor",
        "in": "query",
        "allowEmptyValue": True,
        "description": "Empty at first, then `nextCursor` of the previous answer; instead of `page`.",
        "schema": {"type": "string", "pattern": "^[A-Za-z0-9_-]*$", "maxLength": MAX_CURSOR_LENGTH},
    },
    {
        "name": "view",
        "in": "query",
        "description": "`ids` leaves out the movies and shows.",
        "schema": {"type": "string", "enum": list(VIEWS)},
    },
]
CONTENT_ID: Json = {
    "name": "contentId",
    "in": "path",
    "required": True,
    "description": f"Which movie or show. {NAMED_FORM} Percent-encode other characters: `/` as `%2F`.",
    "schema": {"type": "string"},
    "example": "507f1f77bcf86cd799439012",
}
LISTED_ID: Json = CONTENT_ID | {"example": "507f1f77bcf86cd799439013"}
"""The example is an item of the sample list."""
REQUEST_ID: Json = {
    "X-Request-ID": {
        "description": "The client's request id if it is valid, else a new one. Log lines have the same id.",
        "required": True,
        "schema": {"type": "string", "pattern": f"^{REQUEST_ID_PATTERN}$"},
    }
}
ETAG: Json = {
    "ETag": {
        "description": "Changes only if the body changes.",
        "required": True,
        "schema": {"type": "string", "pattern": '^"[0-9a-f]{16}"$'},
    }
}
X_CACHE: Json = {
    "X-Cache": {
        "description": "How the cache was used.",
        "required": True,
        "schema": {"type": "string", "enum": [result.value for result in CacheResult]},
    }
}
PAGING: Json = {
    "Link": {
        "description": "The addresses of other pages (RFC 8288), relative to the requested page.",
        "required": True,
        "schema": {"type": "string"},
    },
    "X-Page-Size": {
        "description": "The `pageSize` that was applied: the maximum number of items on the page.",
        "required": True,
        "schema": {"type": "integer", "minimum": 1},
    },
}
X_LIST_FORMAT: Json = {
    "X-List-Format": {
        "description": "The detected format of an import whose body was CSV or a JSON array.",
        "schema": {"type": "string", "enum": ["imdb", "letterboxd", "trakt", "titles"]},
    }
}
X_TOTAL_COUNT: Json = {
    "X-Total-Count": {
        "description": "The number of items on the list.",
        "required": True,
        "schema": {"type": "integer", "minimum": 0},
    }
}
RETRY_AFTER: Json = {
    "Retry-After": {
        "description": "Seconds to wait before a retry.",
        "required": True,
        "schema": {"type": "integer", "minimum": 1},
    }
}
WWW_AUTHENTICATE: Json = {
    "WWW-Authenticate": {
        "description": "`Bearer`, and why the token was rejected.",
        "required": True,
        "schema": {"type": "string"},
    }
}


def one_of(
    given: Mapping[str, Sequence[str]], name: str, allowed: Sequence[_Value], *, form: str = ""
) -> _Value | None:
    """Return the value of a parameter that must be one of a few values; None if it is absent.

    Args:
        given: all parameters of the request.
        name: name of the parameter.
        allowed: its allowed values.
        form: the allowed values as text for the error; by default the quoted values.

    Raises:
        InvalidParameterError: the parameter has another value, or occurs more than once.
    """
    values = given.get(name)
    if values is None:
        return None
    for each in allowed:
        if values == [each]:
            return each
    *others, final = (f'"{each}"' for each in allowed)
    raise InvalidParameterError(name, form or (f"{', '.join(others)} or {final}" if others else final))
