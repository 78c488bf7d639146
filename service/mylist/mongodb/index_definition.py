"""Compares a wanted index with the existing ones, and writes the commands that operators need.

Nothing here connects.
"""

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any

from pymongo import IndexModel

_COMPARED = ("expireAfterSeconds", "partialFilterExpression", "hidden")
"""Options that change what an index does for the service.

Others, such as `background` or `sparse`, do not: every document that the service looks for has the first field of the
index.
"""
_SIMPLE_LOCALE = "simple"
_IDENTIFIER = re.compile(r"[A-Za-z_$][\w$]*")


def name_of(model: IndexModel) -> str:
    """Return the name of a wanted index."""
    return str(model.document["name"])


def find_equivalent(model: IndexModel, existing: Iterable[Mapping[str, Any]]) -> Mapping[str, Any] | None:
    """Return the existing index that is equivalent to the wanted one, even under another name; None if there is none.

    Args:
        model: the wanted index.
        existing: the indexes of the collection, as listIndexes returns them.
    """
    return next((index for index in existing if _is_equivalent(model.document, index)), None)


def mending_command(database: str, collection: str, model: IndexModel, existing: Iterable[Mapping[str, Any]]) -> str:
    """Return the line for mongosh that creates a wanted index, and first drops an index that is in its way."""
    where = _collection(database, collection)
    wanted = {"name": name_of(model)} | model.document
    keys = wanted.pop("key")
    others = list(existing)
    in_the_way = [
        str(index["name"])
        for index in others
        if _same_keys(keys, index.get("key", {})) and _same_collation(wanted, index)
    ]
    if not in_the_way and any(index.get("name") == wanted["name"] for index in others):
        wanted["name"] = f"mylist_{wanted['name']}"
    drops = "".join(f"{where}.dropIndex({_literal(name)}); " for name in in_the_way)
    return f"{drops}{where}.createIndex({_literal(keys)}, {_literal(wanted)})"


def duplicates_command(database: str, collection: str, model: IndexModel) -> str:
    """Return the line for mongosh that lists documents with equal values in all fields of a unique index."""
    fields: list[str] = list(model.document["key"])
    parts = {field.rpartition(".")[2]: f"${field}" for field in fields}  # names of groups must not contain a dot
    stages: list[Mapping[str, Any]] = []
    if model.document.get("sparse"):
        stages.append({"$match": {field: {"$exists": True} for field in fields}})
    stages += [
        {"$group": {"_id": parts, "ids": {"$push": "$_id"}, "n": {"$sum": 1}}},
        {"$match": {"n": {"$gt": 1}}},
    ]
    return f"{_collection(database, collection)}.aggregate({_literal(stages)}, {{allowDiskUse: true}})"


def _collection(database: str, collection: str) -> str:
    return f"db.getSiblingDB({_literal(database)}).getCollection({_literal(collection)})"


def _literal(value: object) -> str:
    """Return a value as JavaScript, with single quotes: a log line in JSON would escape double ones."""
    match value:
        case Mapping():
            fields = (f"{_key(str(key))}: {_literal(each)}" for key, each in value.items())
            return f"{{{', '.join(fields)}}}"
        case list() | tuple():
            return f"[{', '.join(map(_literal, value))}]"
        case str():
            escaped = value.replace("\\", "\\\\").replace("'", "\\'")
            return f"'{escaped}'"
    return json.dumps(value)


def _key(name: str) -> str:
    return name if _IDENTIFIER.fullmatch(name) else _literal(name)


def _is_equivalent(wanted: Mapping[str, Any], index: Mapping[str, Any]) -> bool:
    if not _same_keys(wanted["key"], index.get("key", {})):
        return False
    if wanted.get("unique") and not index.get("unique"):
        return False
    if not _same_collation(wanted, index):
        return False
    return all((wanted.get(option) or None) == (index.get(option) or None) for option in _COMPARED)


def _same_collation(wanted: Mapping[str, Any], index: Mapping[str, Any]) -> bool:
    """Return whether both indexes compare text in the same way, as far as the wanted one specifies."""
    given = dict(index.get("collation") or {"locale": _SIMPLE_LOCALE})
    expected = wanted.get("collation") or {"locale": _SIMPLE_LOCALE}
    return all(given.get(name) == value for name, value in expected.items())


def _same_keys(wanted: Mapping[str, Any], keys: Mapping[str, Any]) -> bool:
    """Return whether both have the same fields in the same order and directions; 1 and 1.0 are equal."""
    return list(wanted.items()) == list(dict(keys).items())
