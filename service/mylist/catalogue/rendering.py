"""Renders content documents as the JSON that clients see."""

import math
from collections.abc import Mapping
from datetime import datetime
from typing import Any

import msgspec
from bson import Decimal128, ObjectId

from mylist.domain.timestamps import iso_format

# Fields of the driver and of the original service's ODM, also in sub-documents.
_HIDDEN_FIELDS = frozenset({"_id", "__v", "createdAt", "updatedAt"})


def to_json(document: Mapping[str, Any]) -> bytes:
    """Return a content document as JSON: `id` first, in place of `_id`, then its own fields in their order.

    Dates become ISO 8601 in UTC with milliseconds. Values without a JSON type become null or text, not an error.
    """
    fields = plain(document)
    fields.pop("id", None)  # some imported documents have an `id` of their own, which is not the API's
    return msgspec.json.encode({"id": str(document["_id"]), **fields})


def plain(value: Any) -> Any:  # noqa: PLR0911 - one line for each kind of value
    """Return a value of a document as the JSON value that clients see, without the fields that they do not see."""
    match value:
        case Mapping():
            return {str(name): plain(each) for name, each in value.items() if name not in _HIDDEN_FIELDS}
        case list():
            return [plain(each) for each in value]
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
