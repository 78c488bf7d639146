"""Content documents as JSON: what a client sees of a movie or show."""

import math
from collections.abc import Mapping
from datetime import datetime
from typing import Any

import msgspec
from bson import Decimal128, ObjectId

from mylist.lists.item import iso_format

# Of the driver and the original's ODM; sub-documents carry them too.
_HIDDEN = frozenset({"_id", "__v", "createdAt", "updatedAt"})


def to_json(document: Mapping[str, Any]) -> bytes:
    """Encodes a content document: `id` first in place of `_id`, then its own fields in their order.

    Dates become ISO 8601 UTC with milliseconds. What JSON cannot say becomes null or text, never an error.
    """
    fields = _plain(document)
    fields.pop("id", None)  # an imported document's own, which is not the one that the API means
    return msgspec.json.encode({"id": str(document["_id"]), **fields})


def _plain(value: Any) -> Any:  # noqa: PLR0911 - one line for each kind of value
    match value:
        case Mapping():
            return {str(name): _plain(each) for name, each in value.items() if name not in _HIDDEN}
        case list():
            return [_plain(each) for each in value]
        case datetime():
            return iso_format(value)
        case float() if not math.isfinite(value):
            return None
        case None | bool() | float():
            return value
        case str():
            return str(value)
        case int():
            return int(value)
        case ObjectId() | Decimal128():
            return str(value)
        case bytes():
            return bytes(value)
        case _:
            return str(value)
