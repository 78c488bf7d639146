"""Turns a title of a file into a change of the catalogue."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import msgspec
from bson import ObjectId
from pymongo import UpdateOne

from mylist.catalogue.rendering import plain
from mylist.catalogue_files.record import Record
from mylist.domain.content import CONTENT_ID_SIZE, ContentType
from mylist.domain.external_id import EXTERNAL_IDS
from mylist.mongodb.database import Document

_MISSING = object()


@dataclass(slots=True)
class Change:
    """The change of a title that a line describes.

    Attributes:
        record: the line.
        content_type: of the title.
        content_id: the id that finds the title; None if its external ids find it.
        external_ids: its external ids.
        fields: its other fields.
        removed: the names of fields to remove; an external id as `externalIds.name`.
    """

    record: Record
    content_type: ContentType
    content_id: ObjectId | None
    external_ids: dict[str, str]
    fields: dict[str, Any]
    removed: list[str]

    @classmethod
    def of(cls, record: Record) -> "Change":
        """Return the change of a record with a title."""
        fields = dict(record.title or {})
        content_id, external_ids = fields.pop("id", None), fields.pop(EXTERNAL_IDS, None) or {}
        content_type = fields.pop("contentType")
        removed = [name for name, value in fields.items() if value is None]
        for name in removed:
            del fields[name]
        removed += [f"{EXTERNAL_IDS}.{name}" for name, value in external_ids.items() if value is None]
        kept = {name: str(value) for name, value in external_ids.items() if value is not None}
        return cls(record, content_type, ObjectId(content_id) if content_id else None, kept, fields, removed)

    def new_id(self) -> ObjectId:
        """Return the id of a new title: its own, or an id derived from its external id, the same in every run."""
        if self.content_id:
            return self.content_id
        name = min(self.external_ids)
        text = f"{self.content_type}\0{name}\0{self.external_ids[name]}"
        return ObjectId(hashlib.blake2b(text.encode(), digest_size=CONTENT_ID_SIZE).digest())

    def document(self, content_id: ObjectId, now: datetime) -> Document:
        """Return the document of a new title."""
        document = {"_id": content_id, **self.fields}
        if self.external_ids:
            document[EXTERNAL_IDS] = self.external_ids
        return {**document, "createdAt": now, "updatedAt": now}

    def update(self, existing: Document, now: datetime) -> UpdateOne | None:
        """Return the update that makes an existing document match the line; None if it already matches."""
        own = existing.get(EXTERNAL_IDS)
        changed = {
            name: value
            for name, value in self.fields.items()
            if not _is_same(existing.get(name, _MISSING), value)
            and not (name == "title" and self.record.keeps_title and existing.get("title"))
        }
        if isinstance(own, Mapping):
            changed |= {
                f"{EXTERNAL_IDS}.{name}": value for name, value in self.external_ids.items() if own.get(name) != value
            }
        elif self.external_ids:
            changed[EXTERNAL_IDS] = self.external_ids
        removed = [name for name in self.removed if _has(existing, name)]
        if not changed and not removed:
            return None
        update: Document = {"$set": {**changed, "updatedAt": now}}
        if removed:
            update["$unset"] = dict.fromkeys(removed, "")
        return UpdateOne({"_id": existing["_id"]}, update)


def _is_same(old: object, new: object) -> bool:
    """Return whether clients see the same: a file has dates and numbers in their JSON form."""
    if type(old) is type(new) and old == new:
        return True
    return old is not _MISSING and msgspec.json.encode(plain(old)) == msgspec.json.encode(plain(new))


def _has(document: Document, name: str) -> bool:
    field, _, key = name.partition(".")
    value = document.get(field, _MISSING)
    return key in value if key and isinstance(value, Mapping) else not key and value is not _MISSING
