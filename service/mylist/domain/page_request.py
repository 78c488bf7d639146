"""What a client asks of a list: a page, a query, a question about some ids, or everything.

Each kind of request is also the key of its rendered answer (`mylist.lists.page_cache`).
"""

from dataclasses import dataclass
from typing import NamedTuple

from mylist.domain.filter_and_sort import ListQuery


class PageRequest(NamedTuple):
    """One page of a list, newest first: the page's number, from 1, and how many items a page has."""

    page: int
    page_size: int


@dataclass(frozen=True, slots=True)
class ItemsQuery:
    """A page of a filtered or sorted list.

    Attributes:
        list_query: which items, and in which order.
        page_request: which page of them; with a cursor, only its size counts.
        cursor: where the page begins, as the client sent it; empty for the beginning, None for paging by number.
        ids_only: whether the movies and shows are left out.
    """

    list_query: ListQuery
    page_request: PageRequest
    cursor: str | None
    ids_only: bool


class ContainsKey(NamedTuple):
    """A question which ids are on a list, by the request's body."""

    body: bytes


class ExportKey(NamedTuple):
    """The whole list, one line an item."""
