"""Reads documents of items: which documents `mylist` may contain, and what they mean."""

from collections.abc import Iterable
from datetime import UTC, datetime

from mylist.domain.content import ContentId, is_content_type, parse_content_id
from mylist.domain.item import Item
from mylist.domain.timestamps import to_milliseconds
from mylist.domain.user_id import profiles_of
from mylist.mongodb.database import Document

EARLIEST = datetime.min.replace(tzinfo=UTC)
LISTED: Document = {"addedAt": {"$gte": EARLIEST}}
"""Selects documents with a date, which every item has: a range of the index that covers a list."""
ITEM_FIELDS = {"_id": 0, "contentId": 1, "contentType": 1, "addedAt": 1}


def to_item(document: Document) -> Item | None:
    """Return the item of a document; None if it is not a valid item: a foreign id or type, or no date."""
    try:
        content_id = parse_content_id(document["contentId"])
        content_type = document["contentType"]
        added_at = to_milliseconds(document["addedAt"])
    except (KeyError, TypeError):
        return None
    if content_id is None or not is_content_type(content_type):
        return None
    return Item(added_at, content_id, content_type)


def in_either_case(content_ids: Iterable[ContentId]) -> list[str]:
    """Return all spellings of content ids in documents: the original service stored them as clients wrote them."""
    lowercase = [content_id.hex() for content_id in content_ids]
    return lowercase + [upper for each in lowercase if (upper := each.upper()) != each]


def of_account(account: str) -> tuple[Document, Document]:
    """Return the filters for the documents of an account itself, and of its profiles.

    Each is a range of an index on `userId`. Joined to one filter by `$or`, they would make the embedded server read
    every document.
    """
    first, end = profiles_of(account)
    return {"userId": account}, {"userId": {"$gte": first, "$lt": end}}
