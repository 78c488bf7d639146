"""The service's answers in the terms of the history."""

from collections.abc import Callable
from typing import TypeVar

import msgspec
from msgspec import Struct

from devtools.http_client import Answer
from tests.faults.freshness.history import Marks, Page, Stats, as_page, in_order

_T = TypeVar("_T")

SHOW_EVERY = 3
"""Every third title is a show."""


def title_id(title: int) -> str:
    """Return the content id of a title."""
    return f"{title + 1:024x}"


def title_of(content_id: str) -> int:
    """Return the title of a content id."""
    return int(content_id, 16) - 1


def imdb_id(title: int) -> str:
    """Return the id of a title at IMDb."""
    return f"tt{title + 1:07}"


def title_type(title: int) -> str:
    """Return the content type of a title."""
    return "movie" if (title + 1) % SHOW_EVERY else "tvshow"


class UnexpectedAnswerError(Exception):
    """An answer that the service never gives to such a request; the message says what is wrong with it."""


class Entry(Struct, rename="camel"):
    """One entry of a list as the API gives it; without a user where no answer has one."""

    content_id: str
    content_type: str
    added_at: str
    user_id: str | None = None

    def title_of(self, user_id: str) -> int:
        """Return the title.

        Raises:
            UnexpectedAnswerError: it is another user's entry, or of another type.
        """
        title = title_of(self.content_id)
        if self.user_id not in {user_id, None} or self.content_type != title_type(title):
            raise UnexpectedAnswerError(f"{self.content_type} {self.content_id} of {self.user_id}")
        return title


class _PageData(Struct, rename="camel"):
    items: list[Entry]
    total: int
    page: int
    page_size: int
    total_pages: int


class _PageAnswer(Struct):
    data: _PageData


class _Counts(Struct):
    movie: int
    tvshow: int


class _StatsData(Struct, rename="camel"):
    total: int
    by_type: _Counts


class _StatsAnswer(Struct):
    data: _StatsData


class _SelectionData(Struct, rename="camel"):
    items: list[Entry]
    total: int
    page_size: int
    next_cursor: str | None


class _SelectionAnswer(Struct):
    data: _SelectionData


class _Presence(Struct):
    contains: list[bool]


class _ContainsAnswer(Struct):
    data: _Presence


class _Failure(Struct):
    code: str


_page = msgspec.json.Decoder(_PageAnswer).decode
_selection = msgspec.json.Decoder(_SelectionAnswer).decode
_export = msgspec.json.Decoder(Entry).decode_lines
_stats = msgspec.json.Decoder(_StatsAnswer).decode
_contains = msgspec.json.Decoder(_ContainsAnswer).decode
_failure = msgspec.json.Decoder(_Failure).decode


def _decoded(answer: Answer, decode: Callable[[bytes], _T]) -> _T:
    try:
        return decode(answer.body)
    except msgspec.MsgspecError as error:
        raise UnexpectedAnswerError(f"{answer.status} {error}") from None


def read_page(answer: Answer, user_id: str, page: int, size: int) -> Page:
    """Read the answer to a request for a page.

    Raises:
        UnexpectedAnswerError: it is not an answer to this request.
    """
    data = _decoded(answer, _page).data
    if (data.page, data.page_size, data.total_pages) != (page, size, -(-data.total // size)):
        raise UnexpectedAnswerError(f"page {data.page} of {data.total_pages}, {data.page_size} of {data.total} items")
    return Page(page, size, data.total, tuple((entry.title_of(user_id), entry.added_at) for entry in data.items))


def read_selection(answer: Answer, user_id: str, size: int) -> Page:
    """Read the answer to a request for the first items in some order: the first page, or else the whole list.

    Raises:
        UnexpectedAnswerError: it is not an answer to this request.
    """
    data = _decoded(answer, _selection).data
    is_whole = data.next_cursor is None
    if data.page_size != size or is_whole is not (data.total <= size):
        raise UnexpectedAnswerError(f"{data.page_size} of {data.total} items, {'all' if is_whole else 'others follow'}")
    items = [(entry.title_of(user_id), entry.added_at) for entry in data.items]
    return Page(1, size, data.total, tuple(in_order(items) if is_whole else items))


def read_export(answer: Answer, user_id: str) -> Page:
    """Read the answer to a request for the whole list, line by line.

    Raises:
        UnexpectedAnswerError: it is not an answer to this request.
    """
    entries = _decoded(answer, _export)
    return as_page([(entry.title_of(user_id), entry.added_at) for entry in entries])


def read_stats(answer: Answer) -> Stats:
    """Read the answer to a request for the statistics.

    Raises:
        UnexpectedAnswerError: the total is not the sum.
    """
    data = _decoded(answer, _stats).data
    if data.total != data.by_type.movie + data.by_type.tvshow:
        raise UnexpectedAnswerError(f"total {data.total} of {data.by_type.movie} and {data.by_type.tvshow}")
    return Stats(data.by_type.movie, data.by_type.tvshow)


def read_contains(answer: Answer, titles: int) -> Marks:
    """Read the answer to the question which of the first so many titles are on the list.

    Raises:
        UnexpectedAnswerError: it is not an answer to this request.
    """
    present = _decoded(answer, _contains).data.contains
    if len(present) != titles:
        raise UnexpectedAnswerError(f"{len(present)} answers about {titles} titles")
    return Marks(frozenset(title for title, there in enumerate(present) if there))


def code_of(answer: Answer) -> str:
    """Return the error code of a failure."""
    try:
        return _failure(answer.body).code
    except msgspec.MsgspecError:
        return f"{answer.status} without a code"
