"""A client with a copy of a list, which it updates from the change feed."""

from typing import Literal

import msgspec
from msgspec import Struct

from devtools.http_client import Answer
from tests.faults.freshness.answers import UnexpectedAnswerError, title_of, title_type
from tests.faults.freshness.history import Page, as_page, in_order

_MAX_CHANGES = 1000
"""Changes in one answer: more than any list here can have."""


class _Change(Struct, rename="camel"):
    change: Literal["added", "removed"]
    content_id: str
    content_type: str
    added_at: str | None = None


class _ChangesData(Struct, rename="camel"):
    changes: list[_Change]
    token: str
    has_more: bool


class _ChangesAnswer(Struct):
    data: _ChangesData


_changes = msgspec.json.Decoder(_ChangesAnswer).decode


class SyncClient:
    """A copy of a list, empty at first, and the token of the last answer."""

    def __init__(self) -> None:
        self._token = ""
        self._copy: dict[int, str] = {}

    @property
    def path(self) -> str:
        """The path of the next request."""
        return f"changes?limit={_MAX_CHANGES}" + (f"&since={self._token}" if self._token else "")

    def forget(self) -> None:
        """Drop the copy and the token."""
        self._token, self._copy = "", {}

    def read(self, answer: Answer) -> Page:
        """Apply the changes of an answer; return the whole copy, which is what that answer shows of the list.

        Raises:
            UnexpectedAnswerError: it is not an answer to this request; the copy is as before.
        """
        try:
            data = _changes(answer.body).data
        except msgspec.MsgspecError as error:
            raise UnexpectedAnswerError(f"{answer.status} {error}") from None
        copy = dict(self._copy)
        for change in data.changes:
            title = title_of(change.content_id)
            added = change.change == "added"
            if data.has_more or added is (change.added_at is None) or change.content_type != title_type(title):
                raise UnexpectedAnswerError(f"{answer.body[:200]!r}")
            if change.added_at is None:
                copy.pop(title, None)
            else:
                copy[title] = change.added_at
        self._token, self._copy = data.token, copy
        return as_page(in_order(list(copy.items())))
