"""The kinds of read requests: a page, a query, whether some ids are on the list, or the whole list.

Each kind of request is also the key of its rendered answer (`mylist.lists.page_cache`).
"""

from dataclasses import dataclass, field
from typing import NamedTuple

from mylist.domain.filter_and_sort import ListQuery


class PageRequest(NamedTuple):
    """One page of a list, newest first: the page's number, from 1, and the number of items per page."""

    page: int
    page_size: int


@dataclass(frozen=True, slots=True)
class ItemsQuery:
    """A page of a filtered or sorted list.

    Attributes:
        list_query: selects and orders the items.
        page_request: the page; with a cursor, only its size is used.
        cursor: the client's cursor, at which the page begins; empty for the beginning, None for paging by number.
        ids_only: whether the movies and shows are left out.
    """

    list_query: ListQuery
    page_request: PageRequest
    cursor: str | None
    ids_only: bool
    _hash: int = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Hash once: a query is parsed once and looked up at each read."""
        object.__setattr__(self, "_hash", hash((self.list_query, self.page_request, self.cursor, self.ids_only)))

    def __hash__(self) -> int:
        return self._hash

    @property
    def is_repeatable(self) -> bool:
        """Whether the answer is the same while the list is: a random order without a seed is new each time."""
        return self.list_query.sort != "random" or self.list_query.seed is not None or bool(self.cursor)

    @property
    def text_length(self) -> int:
        """Number of characters from the client that it holds."""
        query = self.list_query
        return sum(map(len, (*query.genres, *query.excluded_genres, *query.words, query.seed or "", self.cursor or "")))


class ContainsKey(NamedTuple):
    """Which ids are on a list, keyed by the request's body."""

    body: bytes


class ExportKey(NamedTuple):
    """The whole list, one line per item."""
