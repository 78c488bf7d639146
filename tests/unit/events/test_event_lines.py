"""The lines that `mylist events` prints for MongoDB's change events."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from bson import ObjectId, Timestamp

from mylist.events.event_lines import NoPreImageError, lines_of, parse_token, snapshot_line, token_text

Document = dict[str, Any]

CONTENT = "65a0c0ffee65a0c0ffee65a0"
OTHER = "65a0c0ffee65a0c0ffee65a1"
ADDED = datetime(2026, 1, 20, 10, 30, 0, 5000, UTC)
LATER = datetime(2026, 2, 1, tzinfo=UTC)
TOLD = {"userId": "u1", "contentId": CONTENT, "contentType": "movie"}


def document(**fields: Any) -> Document:
    fields = {"userId": "u1", "contentId": CONTENT, "contentType": "movie", "addedAt": ADDED} | fields
    return {"_id": ObjectId(), **{name: value for name, value in fields.items() if value is not None}}


def event(kind: str, **fields: Any) -> Document:
    return {
        "_id": {"_data": "82AB"},
        "operationType": kind,
        "wallTime": LATER,
        "clusterTime": Timestamp(1, 1),
        **fields,
    }


def updated(before: Document, removed: tuple[str, ...] = (), **fields: Any) -> Document:
    description = {"updatedFields": fields, "removedFields": list(removed), "truncatedArrays": []}
    return event("update", fullDocumentBeforeChange=before, updateDescription=description)


def told(change: Document) -> list[Document]:
    return [json.loads(line) for line in lines_of(change, "82AA")]


def test_a_line_has_the_user_the_item_the_change_and_the_time() -> None:
    [line] = lines_of(event("insert", fullDocument=document()), "82AA")
    assert line == (
        b'{"userId":"u1","contentId":"65a0c0ffee65a0c0ffee65a0","contentType":"movie","change":"added",'
        b'"addedAt":"2026-01-20T10:30:00.005Z","at":"2026-02-01T00:00:00.000Z","token":"82AB"}\n'
    )
    [removed] = lines_of(event("delete", fullDocumentBeforeChange=document()), "82AA")
    assert removed == (
        b'{"userId":"u1","contentId":"65a0c0ffee65a0c0ffee65a0","contentType":"movie","change":"removed",'
        b'"at":"2026-02-01T00:00:00.000Z","token":"82AB"}\n'
    )


def test_the_cluster_time_is_used_without_a_wall_time() -> None:
    change = event("insert", fullDocument=document(), clusterTime=Timestamp(int(ADDED.timestamp()), 7))
    del change["wallTime"]
    assert told(change)[0]["at"] == "2026-01-20T10:30:00.000Z"


@pytest.mark.parametrize(
    "change",
    [
        updated(document(), addedAt=LATER),
        event("replace", fullDocumentBeforeChange=document(), fullDocument=document(addedAt=LATER)),
        updated(document(addedAt=None, removedAt=ADDED), ("removedAt",), addedAt=LATER),
        updated(document(contentType="film"), contentType="movie", addedAt=LATER),
    ],
    ids=["another date", "replaced", "added again in the former form", "no item before"],
)
def test_an_event_that_adds_or_redates_an_item_is_an_addition(change: Document) -> None:
    assert told(change) == [
        {
            **TOLD,
            "change": "added",
            "addedAt": "2026-02-01T00:00:00.000Z",
            "at": "2026-02-01T00:00:00.000Z",
            "token": "82AB",
        }
    ]


@pytest.mark.parametrize(
    "change",
    [
        event("delete", fullDocumentBeforeChange=document(contentId=CONTENT.upper())),
        updated(document(), ("addedAt",), removedAt=LATER, changedAt=LATER),
        event("replace", fullDocumentBeforeChange=document(), fullDocument=document(addedAt=None)),
    ],
    ids=["deleted", "removed in the former form", "replaced by no item"],
)
def test_an_event_that_takes_an_item_off_a_list_is_a_removal(change: Document) -> None:
    assert told(change) == [{**TOLD, "change": "removed", "at": "2026-02-01T00:00:00.000Z", "token": "82AB"}]


@pytest.mark.parametrize(
    "change",
    [
        updated(document(), changedAt=LATER),
        updated(document(contentId=CONTENT.upper()), contentId=CONTENT),
        event("replace", fullDocumentBeforeChange=document(), fullDocument=document(__v=1)),
        event("insert", fullDocument=document(contentId="nothing")),
        event("insert", fullDocument=document(contentType="film")),
        event("insert", fullDocument=document(addedAt="yesterday")),
        event("insert", fullDocument=document(userId=7)),
        event("insert", fullDocument=document(userId="a user")),
        event("delete", fullDocumentBeforeChange=document(addedAt=None, removedAt=ADDED)),
        event("create"),
    ],
)
def test_an_event_that_changes_no_list_has_no_line(change: Document) -> None:
    assert told(change) == []


@pytest.mark.parametrize("field", [{"userId": "u2"}, {"contentId": OTHER}])
def test_a_change_of_user_or_content_is_a_removal_and_then_an_addition(field: Document) -> None:
    removed, added = told(updated(document(), **field))
    assert (removed["change"], removed["userId"], removed["contentId"]) == ("removed", "u1", CONTENT)
    assert (added["change"], added["userId"], added["contentId"]) == (
        "added",
        field.get("userId", "u1"),
        field.get("contentId", CONTENT),
    )
    # A reader that resumes after the removal must not miss the addition.
    assert (removed["token"], added["token"]) == ("82AA", "82AB")


@pytest.mark.parametrize(
    "change",
    [
        event("delete", fullDocumentBeforeChange=None),
        event("delete"),
        event("replace", fullDocumentBeforeChange=None, fullDocument=document()),
        updated(document()) | {"fullDocumentBeforeChange": None},
    ],
)
def test_an_event_without_its_pre_image_is_refused(change: Document) -> None:
    with pytest.raises(NoPreImageError):
        lines_of(change, "82AA")


def test_a_snapshot_line_has_no_token() -> None:
    line = snapshot_line(document())
    assert line is not None
    assert json.loads(line) == {
        **TOLD,
        "change": "added",
        "addedAt": "2026-01-20T10:30:00.005Z",
        "at": "2026-01-20T10:30:00.005Z",
        "token": None,
    }
    assert snapshot_line(document(addedAt=None)) is None


@pytest.mark.parametrize("token", [{"_data": "82AB00"}, {"_data": "82AB", "_typeBits": b"\x01"}, {"_data": b"\x01"}])
def test_a_resume_token_round_trips_through_its_text(token: Document) -> None:
    text = token_text(token)
    assert "\n" not in text
    assert parse_token(text) == token


@pytest.mark.parametrize("text", ["", "82 AB", "$", "é", "{", '{"_data"}'])
def test_a_malformed_token_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"token|delimiter|property name"):
        parse_token(text)
