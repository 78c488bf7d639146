"""The lines that `mylist events` writes: the meaning of one change event of MongoDB for a list."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, NamedTuple

import bson.json_util
import msgspec

from mylist.domain.item import Item
from mylist.domain.timestamps import iso_format, to_datetime
from mylist.domain.user_id import USER_ID
from mylist.mongodb.database import Document
from mylist.mongodb.item_documents import to_item

Change = Literal["added", "removed"]

_TOKEN_FIELD = "_data"  # noqa: S105 - the name of a field


class NoPreImageError(Exception):
    """MongoDB has not kept the document before its change, so the owner of the item is unknown."""


@dataclass(frozen=True, slots=True)
class Told:
    """An event of the stream.

    Attributes:
        lines: the lines for the consumer.
        token: the position in the stream after it; None during the snapshot of the lists.
        until: once the lines are delivered, all changes up to this moment are, in seconds since 1970 UTC; None if
            unknown.
    """

    lines: list[bytes]
    token: Document | None
    until: float | None


class ListEvent(NamedTuple):
    """One change of one list. An item that gets a new date is added again."""

    user_id: str
    item: Item
    change: Change


def list_events(event: Document) -> list[ListEvent]:
    """Return the changes of lists in an event of the change stream of `mylist`; empty if it concerns no item.

    Raises:
        NoPreImageError: the event lacks the document before the change.
    """
    before, after = _images(event)
    was, now = _listed(before), _listed(after)
    if was == now:
        return []
    events = []
    if was is not None and (now is None or _key(was) != _key(now)):
        events.append(ListEvent(*was, "removed"))
    if now is not None:
        events.append(ListEvent(*now, "added"))
    return events


def lines_of(event: Document, last_token: str) -> list[bytes]:
    """Return the lines of an event, each with its line feed.

    A consumer that resumes after the token of a line has everything up to that line. If an event has several lines,
    only the last has the event's token; the others have `last_token`, the token of the previous event.

    Raises:
        NoPreImageError: as `list_events`.
    """
    events = list_events(event)
    at = time_of(event)
    lines = [_line(each, at=at, token=last_token) for each in events[:-1]]
    return lines + [_line(each, at=at, token=token_text(event["_id"])) for each in events[-1:]]


def snapshot_line(document: Document) -> bytes | None:
    """Return the line of an item in the snapshot; None if the document is not an item.

    The line has no token: no position in the stream corresponds to it.
    """
    listed = _listed(document)
    return _line(ListEvent(*listed, "added"), at=to_datetime(listed[1].added_at), token=None) if listed else None


def token_text(token: Document) -> str:
    """Return a resume token as text in one line."""
    if token.keys() == {_TOKEN_FIELD} and isinstance(token[_TOKEN_FIELD], str):
        return str(token[_TOKEN_FIELD])
    return bson.json_util.dumps(token, separators=(",", ":"))


def parse_token(text: str) -> Document:
    """Parse a resume token from its text.

    Raises:
        ValueError: the text is not a resume token. MongoDB may also refuse a valid one.
    """
    if not text.startswith("{"):
        if not (text.isascii() and text.isalnum()):
            raise ValueError("no resume token")
        return {_TOKEN_FIELD: text}
    token: Document = bson.json_util.loads(text)
    return token


def _images(event: Document) -> tuple[Document | None, Document | None]:
    """Return the document before and after an event; None if it did not exist."""
    kind = event["operationType"]
    if kind == "insert":
        return None, event["fullDocument"]
    if kind not in {"update", "replace", "delete"}:
        return None, None
    before = event.get("fullDocumentBeforeChange")
    if before is None:
        raise NoPreImageError
    if kind == "update":
        return before, _updated(before, event["updateDescription"])
    return before, event["fullDocument"] if kind == "replace" else None


def _updated(document: Document, description: Document) -> Document:
    """Return a document after an update. Items are flat, so paths with a dot are ignored."""
    removed = set(description.get("removedFields") or ())
    updated: Document = description["updatedFields"]
    return {name: value for name, value in document.items() if name not in removed} | updated


def _listed(document: Document | None) -> tuple[str, Item] | None:
    item = to_item(document) if document else None
    user_id = document.get("userId") if document else None
    return (user_id, item) if item and isinstance(user_id, str) and USER_ID.fullmatch(user_id) else None


def _key(listed: tuple[str, Item]) -> tuple[str, bytes]:
    user_id, item = listed
    return user_id, item.content_id


def time_of(event: Document) -> datetime:
    """Return when the change was made, by MongoDB's clock."""
    at = event.get("wallTime")
    return at if isinstance(at, datetime) else event["clusterTime"].as_datetime()


def _line(event: ListEvent, *, at: datetime, token: str | None) -> bytes:
    item = event.item
    line: dict[str, Any] = {
        "userId": event.user_id,
        "contentId": item.content_id.hex(),
        "contentType": item.content_type,
        "change": event.change,
    }
    if event.change == "added":
        line["addedAt"] = iso_format(to_datetime(item.added_at))
    line |= {"at": iso_format(at), "token": token}
    return msgspec.json.encode(line) + b"\n"
