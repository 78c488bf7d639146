"""The registry of the processes (`mylist.domain.process_registry`), as MongoDB holds it: one document.

Changes of a single document are atomic: for example, a new epoch and the removal of an entry.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from pymongo import ReturnDocument
from pymongo.errors import DuplicateKeyError

from mylist.domain.process_registry import Entry, Registry, RegistryChange
from mylist.mongodb.collections import PROCESSES
from mylist.mongodb.database import Database, Document, MongoRefusedError

_ID = "registry"


class ProcessRegistry:
    """Reads and changes the registry. Both return the state that a majority has.

    Every coroutine raises `DatabaseUnavailableError` if MongoDB does not answer in time or is a replaced primary, and
    `MongoRefusedError` if MongoDB would refuse again. A failed change may have been made, or may still be made.

    Args:
        database: the database of the registry.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._collection = database.handle[PROCESSES]

    async def read(self) -> Registry:
        """Return the registry; an empty one if there is none."""
        with _named_in_refusals():
            async with self._database.unlimited_operation("read_registry"):
                document = await self._collection.find_one({"_id": _ID})
        return _registry(document or {})

    async def change(self, change: RegistryChange) -> Registry | None:
        """Make a change. Return the registry right after it, None if the conditions of the change were false."""
        with _named_in_refusals():
            async with self._database.unlimited_operation("change_registry", writes=True):
                try:
                    document = await self._collection.find_one_and_update(
                        _condition(change),
                        _update(change),
                        # If there is no entry to change, there may be no document either.
                        upsert=change.beat is None and not change.gone,
                        return_document=ReturnDocument.AFTER,
                    )
                except DuplicateKeyError:  # the document exists, and the conditions are false
                    document = None
        return None if document is None else _registry(document)


@contextmanager
def _named_in_refusals() -> Iterator[None]:
    """Name the collection in the error of an operation that MongoDB rejects."""
    try:
        yield
    except MongoRefusedError as error:
        raise MongoRefusedError(
            f"this process cannot register in {PROCESSES}, and must not change lists until it is registered: {error}"
        ) from error


def _condition(change: RegistryChange) -> Document:
    own = f"entries.{change.process_id}"
    condition: Document = {"_id": _ID}
    condition |= {own: {"$exists": False}} if change.beat is None else {f"{own}.beat": change.beat}
    return condition | {f"entries.{each}.beat": beat for each, beat in change.gone.items()}


def _update(change: RegistryChange) -> Document:
    fields: Document = {name: value for name, value in (("cache", change.cache), ("epoch", change.epoch)) if value}
    removed = dict.fromkeys((f"entries.{each}" for each in change.gone), "")
    if change.entry is None:
        removed[f"entries.{change.process_id}"] = ""
    else:
        fields[f"entries.{change.process_id}"] = _entry_document(change.entry)
    operators = {"$set": fields, "$unset": removed, "$inc": {"declarations": 1} if change.declares else {}}
    return {operator: operands for operator, operands in operators.items() if operands}


def _entry_document(entry: Entry) -> Document:
    return {
        "beat": entry.beat,
        "cache": entry.cache,
        "unfenced": sorted(entry.unfenced),
        "heeds": entry.heeds,
        "host": entry.host,
        "redis": entry.redis,
    }


def _registry(document: Document) -> Registry:
    entries: dict[str, Any] = document.get("entries", {})
    return Registry(
        epoch=document.get("epoch", ""),
        cache=document.get("cache", ""),
        declarations=document.get("declarations", 0),
        entries={
            process_id: Entry(
                beat=each["beat"],
                cache=each["cache"],
                unfenced=frozenset(each["unfenced"]),
                heeds=each["heeds"],
                host=each["host"],
                redis=each["redis"],
            )
            for process_id, each in entries.items()
        },
    )
