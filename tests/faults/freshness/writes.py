"""The requests that change a list: their forms, the meaning of each answer, and the possible effects without an answer.

A request that changes several titles becomes an operation for each of them, and one more for each title that it
reports to have found.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal, TypeVar

import msgspec
from msgspec import Struct

from devtools.http_client import Answer
from mylist.domain.timestamps import iso_format
from tests.faults.freshness.answers import (
    Entry,
    UnexpectedAnswerError,
    code_of,
    imdb_id,
    title_id,
    title_of,
    title_type,
)
from tests.faults.freshness.history import Action, Add, Change, Contains, Discard, Item, Remove

_MAX_DELAY = timedelta(minutes=1)
"""No request has an effect so long after it was sent."""
_TRAKT_TYPES = {"movie": "movie", "tvshow": "show"}
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Write:
    """A request that changes a list.

    Attributes:
        method, path, body, content_type: what is sent.
        told: returns the actions that an answer reports, except for a 5xx. Raises `UnexpectedAnswerError` for others.
        possible: the actions that may have happened if there is no answer.
    """

    method: str
    path: str
    told: Callable[[Answer], Sequence[Action]]
    possible: Sequence[Change]
    body: bytes = b""
    content_type: str = "application/json"


class _Added(Struct):
    data: Entry


class _AddOutcome(Struct, rename="camel"):
    content_id: str
    outcome: Literal["added", "existing"]


class _RemoveOutcome(Struct, rename="camel"):
    content_id: str
    outcome: Literal["removed", "missing"]


class _Outcomes(Struct):
    add: list[_AddOutcome]
    remove: list[_RemoveOutcome]


class _BatchAnswer(Struct):
    data: _Outcomes


class _Cleared(Struct):
    removed: int


class _ClearAnswer(Struct):
    data: _Cleared


class _Line(Struct, rename="camel"):
    line: int | None
    content_id: str
    outcome: Literal["added", "dated", "existing", "removed"]


_encode = msgspec.json.Encoder().encode
_encode_lines = msgspec.json.Encoder().encode_lines
_added = msgspec.json.Decoder(_Added).decode
_outcomes = msgspec.json.Decoder(_BatchAnswer).decode
_cleared = msgspec.json.Decoder(_ClearAnswer).decode
_lines = msgspec.json.Decoder(_Line).decode_lines


def add(user_id: str, title: int) -> Write:
    """Make a request to add a title."""

    def told(answer: Answer) -> list[Action]:
        if answer.status == 409 and code_of(answer) == "ITEM_ALREADY_IN_LIST":
            return [Contains(title, present=True)]
        return [Add(title, _entry(answer, 201, user_id, title).added_at)]

    return Write("POST", "add", told, [_unknown(title)], _encode(_asked(title)))


def put(user_id: str, title: int) -> Write:
    """Make a request to ensure that a title is on the list."""

    def told(answer: Answer) -> list[Action]:
        if answer.status == 201:
            return [Add(title, _entry(answer, 201, user_id, title).added_at)]
        _entry(answer, 200, user_id, title)
        return [Contains(title, present=True)]

    body = _encode({"contentType": title_type(title)})
    return Write("PUT", f"items/{title_id(title)}", told, [_unknown(title)], body)


def remove(title: int) -> Write:
    """Make a request to remove a title."""

    def told(answer: Answer) -> list[Action]:
        if answer.status == 200:
            return [Remove(title)]
        if answer.status == 404 and code_of(answer) == "ITEM_NOT_IN_LIST":
            return [Contains(title, present=False)]
        raise _unexpected(answer)

    return Write("DELETE", f"remove/{title_id(title)}", told, [Remove(title)])


def discard(title: int) -> Write:
    """Make a request to ensure that a title is not on the list."""

    def told(answer: Answer) -> list[Action]:
        if answer.status == 204:
            return [Discard(title)]
        raise _unexpected(answer)

    return Write("DELETE", f"items/{title_id(title)}", told, [Remove(title)])


def batch(additions: Sequence[int], removals: Sequence[int]) -> Write:
    """Make a request to add some titles and to remove others; its answer has no `addedAt`."""
    earliest = _now()

    def told(answer: Answer) -> list[Action]:
        data = _read(answer, _outcomes).data
        if [title_id(each) for each in (*additions, *removals)] != [each.content_id for each in data.add + data.remove]:
            raise _unexpected(answer)
        span = earliest, _now()
        actions: list[Action] = [
            Add(title, None, span) if each.outcome == "added" else Contains(title, present=True)
            for title, each in zip(additions, data.add, strict=True)
        ]
        for title, of_removal in zip(removals, data.remove, strict=True):
            actions += _removed(title, found=of_removal.outcome == "removed")
        return actions

    body = _encode({"add": [_asked(title) for title in additions], "remove": [title_id(title) for title in removals]})
    possible: list[Change] = [*(_unknown(title) for title in additions), *(Remove(title) for title in removals)]
    return Write("POST", "batch", told, possible, body)


def clear(titles: Sequence[int]) -> Write:
    """Make a request to clear a list that can have only these titles."""

    def told(answer: Answer) -> list[Action]:
        if _read(answer, _cleared).data.removed > len(titles):
            raise _unexpected(answer)
        return [Discard(title) for title in titles]

    return Write("DELETE", "items?confirm=true", told, [Remove(title) for title in titles])


def merge(items: Sequence[Item]) -> Write:
    """Make a request to import items."""
    return _import("import", items, (), redated=())


def merge_foreign(items: Sequence[Item]) -> Write:
    """Make a request to import a watchlist as Trakt exports it, which names titles by their ids at IMDb."""
    elements = [
        {
            "rank": rank,
            "listed_at": added_at,
            "type": (kind := _TRAKT_TYPES[title_type(title)]),
            kind: {"title": f"Not title {title}", "year": None, "ids": {"trakt": title, "imdb": imdb_id(title)}},
        }
        for rank, (title, added_at) in enumerate(items, 1)
    ]
    return _import("import", items, (), redated=(), body=_encode(elements), content_type="application/json")


def replace(items: Sequence[Item], others: Sequence[int]) -> Write:
    """Make a request to import items in place of the list, which may have other titles too."""
    return _import("import?mode=replace", items, others, redated=[title for title, _ in items])


def _import(  # noqa: PLR0913 - private, and what an import may be
    path: str,
    items: Sequence[Item],
    others: Sequence[int],
    redated: Sequence[int],
    body: bytes = b"",
    content_type: str = "application/x-ndjson",
) -> Write:
    def told(answer: Answer) -> list[Action]:
        lines = _read(answer, _lines)
        named, unnamed = lines[: len(items)], {title_of(each.content_id) for each in lines[len(items) :]}
        said = [(each.line, each.content_id) for each in named]
        if said != [(number, title_id(title)) for number, (title, _) in enumerate(items, 1)] or unnamed - set(others):
            raise _unexpected(answer)
        actions: list[Action] = [
            Contains(title, present=True) if each.outcome == "existing" else Add(title, added_at)
            for (title, added_at), each in zip(items, named, strict=True)
        ]
        # A new date is like a removal and an addition at the same moment.
        actions += [Remove(title) for (title, _), each in zip(items, named, strict=True) if each.outcome == "dated"]
        for title in others:
            actions += _removed(title, found=title in unnamed)
        return actions

    body = body or _encode_lines([{**_asked(title), "addedAt": added_at} for title, added_at in items])
    possible: list[Change] = [*(Add(*item) for item in items), *(Remove(title) for title in (*redated, *others))]
    return Write("POST", path, told, possible, body, content_type)


def _removed(title: int, *, found: bool) -> list[Action]:
    # Another client may remove a title first, after it was found.
    return [Contains(title, present=True), Discard(title)] if found else [Contains(title, present=False)]


def _unknown(title: int) -> Add:
    return Add(title, None, (_now(), _now(_MAX_DELAY)))


def _now(ahead: timedelta = timedelta()) -> str:
    # The services run on this machine, so they stamp items by the same clock.
    return iso_format(datetime.now(UTC) + ahead)


def _asked(title: int) -> dict[str, str]:
    return {"contentId": title_id(title), "contentType": title_type(title)}


def _entry(answer: Answer, status: int, user_id: str, title: int) -> Entry:
    if answer.status != status:
        raise _unexpected(answer)
    entry = _read(answer, _added, status).data
    if entry.title_of(user_id) != title:
        raise _unexpected(answer)
    return entry


def _read(answer: Answer, decode: Callable[[bytes], _T], status: int = 200) -> _T:
    if answer.status != status:
        raise _unexpected(answer)
    try:
        return decode(answer.body)
    except msgspec.MsgspecError:
        raise _unexpected(answer) from None


def _unexpected(answer: Answer) -> UnexpectedAnswerError:
    return UnexpectedAnswerError(f"{answer.status} {answer.body[:200]!r}")
