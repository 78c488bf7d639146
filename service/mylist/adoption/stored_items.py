"""Reads the documents of a collection of lists: items, tombstones of the former format, and invalid ones.

The original service stores the text that the client sent, so a content id may be in upper or lower case.
"""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import pymongo
from pymongo.asynchronous.collection import AsyncCollection
from pymongo.asynchronous.cursor import AsyncCursor

from mylist.domain.content import is_content_type, parse_content_id
from mylist.domain.user_id import USER_ID
from mylist.mongodb.database import Document

STEP_TIMEOUT_S = 60
"""For one operation on one batch: far longer than a request may take."""
_BATCH_SIZE = 500
"""In documents; more if one user has more."""
_MAX_GROUP_SIZE = 5_000
"""In documents without a user."""
Key = tuple[str, str]
"""A user id, and a content id in lower case."""


@dataclass(frozen=True, slots=True)
class StoredItem:
    """An item as its document has it.

    Attributes:
        document_id: the `_id`.
        user_id: the owner of the list.
        content_id: which movie or show, in lower case.
        content_type: its type.
        added_at: when it was added.
        written_id: the content id as the document has it.
    """

    document_id: Any
    user_id: str
    content_id: str
    content_type: str
    added_at: datetime
    written_id: str

    @property
    def key(self) -> Key:
        """The unique key of an item."""
        return self.user_id, self.content_id


def is_tombstone(document: Document) -> bool:
    """Return whether a document is a tombstone of the service's former format."""
    return document.get("addedAt") is None and isinstance(document.get("removedAt"), datetime)


def read_item(document: Document) -> StoredItem | str:
    """Return the item of a document, else why it is not an item."""
    key, content_type, added_at = read_key(document), document.get("contentType"), document.get("addedAt")
    if isinstance(key, str):
        return key
    if not (isinstance(content_type, str) and is_content_type(content_type)):
        return "contentType is neither movie nor tvshow"
    if not isinstance(added_at, datetime):
        return "addedAt is not a date"
    return StoredItem(document["_id"], *key, content_type, added_at, document["contentId"])


def read_key(document: Document) -> Key | str:
    """Return the user and the content id of a document, else why it has none."""
    user_id, content_id = document.get("userId"), document.get("contentId")
    if not (isinstance(user_id, str) and USER_ID.fullmatch(user_id)):
        return "userId is not a user id of this API"
    if not (isinstance(content_id, str) and parse_content_id(content_id)):
        return "contentId is not 24 hexadecimal digits"
    return user_id, content_id.lower()


async def batches(cursor: AsyncCursor[Document], size: int = _BATCH_SIZE) -> AsyncIterator[list[Document]]:
    """Yield the documents of a cursor in batches."""
    while True:
        with pymongo.timeout(STEP_TIMEOUT_S):
            documents = await cursor.to_list(size)
        if not documents:
            return
        yield documents


async def lists_of(collection: AsyncCollection[Document]) -> AsyncIterator[list[Document]]:
    """Yield the documents of a collection in batches that hold whole lists, in the order of the unique index."""
    pending: list[Document] = []
    cursor = collection.find({}, sort=[("userId", 1), ("contentId", 1)], batch_size=_BATCH_SIZE)
    async for batch in batches(cursor):
        for document in batch:
            is_next_list = bool(pending) and document.get("userId") != pending[-1].get("userId")
            no_user = bool(pending) and not isinstance(document.get("userId"), str)
            if (is_next_list and len(pending) >= _BATCH_SIZE) or (no_user and len(pending) >= _MAX_GROUP_SIZE):
                yield pending
                pending = []
            pending.append(document)
    if pending:
        yield pending
