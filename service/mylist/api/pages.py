"""Pages of lists, and other answers about them, as JSON: joined of ready-made parts, and remembered.

A page is used again only if the list just read is, byte for byte and as far as the page goes, the one that it was
rendered from, and none of its movies and shows is due to be fetched again. So remembering makes no answer older; it
only saves the work.
"""

import sys
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from mylist.api.etags import etag_of
from mylist.api.excerpts import render_excerpt
from mylist.api.paging import Paging
from mylist.api.selection import Selection
from mylist.catalogue.catalogue import Entry
from mylist.lists.arrangement import Excerpt
from mylist.lists.item import iso_format_milliseconds
from mylist.lists.value import ListValue

# What a page takes beside its bytes: its key, and the objects that hold it.
_OVERHEAD = 600


class Question(NamedTuple):
    """A question about a whole list, as it was put."""

    content_type: str
    body: bytes

    @property
    def last(self) -> int:
        """As of `Paging`: the whole list decides."""
        return sys.maxsize

    @property
    def size(self) -> int:
        """Bytes; both are the client's."""
        return len(self.content_type) + len(self.body)


class Export(NamedTuple):
    """The question for all of a list, line by line."""

    last: int = sys.maxsize
    """As of `Paging`: the whole list is asked for."""


Asked = Paging | Selection | Question | Export


@dataclass(frozen=True, slots=True)
class RenderedPage:
    """A page, and what it was made from.

    Attributes:
        source: the list as far as it decides, to the page's last item (`ListValue.beginning`) or the whole.
        body: the response's, JSON.
        etag: of the body.
        fresh_until: monotonic time at which the first of its movies and shows is due to be fetched again.
        link: the `Link` header; empty for none.
        question_size: bytes of the question that it answers, which is kept as well.
    """

    source: bytes
    body: bytes
    etag: str
    fresh_until: float
    link: str = ""
    question_size: int = 0

    @property
    def size(self) -> int:
        """About how many bytes of memory it takes."""
        return len(self.source) + len(self.body) + len(self.link) + self.question_size + _OVERHEAD


class Pages:
    """Renders pages, and remembers those that were used last.

    Args:
        capacity: most bytes that are remembered.
        clock: monotonic seconds, as the catalogue's.

    Attributes:
        size: bytes that are remembered.
        reused: how often a page was used again.
        rendered: how often one was rendered.
    """

    def __init__(self, capacity: int, *, clock: Callable[[], float] = time.monotonic) -> None:
        self.size = 0
        self.reused = 0
        self.rendered = 0
        self._capacity = capacity
        self._clock = clock
        self._pages: OrderedDict[tuple[str, Asked], RenderedPage] = OrderedDict()

    def find(self, user_id: str, asked: Asked, value: ListValue) -> RenderedPage | None:
        """Gives a page of this very list, if it is remembered and may be used."""
        key = user_id, asked
        page = self._pages.get(key)
        if page is None or page.source != value.beginning(asked.last) or self._clock() >= page.fresh_until:
            return None
        self._pages.move_to_end(key)
        self.reused += 1
        return page

    def render(
        self, user_id: str, paging: Paging, value: ListValue, items: Sequence[tuple[int, Entry]]
    ) -> RenderedPage:
        """Renders and remembers a page of a list, given when each of its items was added (ms) and what it is."""
        body = _json(user_id, paging, value.total, items)
        fresh_until = min((entry.refresh_at for _, entry in items), default=float("inf"))
        return self._remember(
            (user_id, paging), RenderedPage(value.beginning(paging.last), body, etag_of(body), fresh_until)
        )

    def render_selection(self, user_id: str, selection: Selection, value: ListValue, excerpt: Excerpt) -> RenderedPage:
        """Renders and remembers a selection of a whole list, given what was selected."""
        body, link = render_excerpt(user_id, selection, excerpt)
        return self._remember(
            (user_id, selection), RenderedPage(value.data, body, etag_of(body), excerpt.fresh_until, link)
        )

    def render_answer(self, user_id: str, asked: Question | Export, value: ListValue, body: bytes) -> RenderedPage:
        """Remembers the answer to a question about a whole list, which depends on nothing else."""
        size = asked.size if isinstance(asked, Question) else 0
        return self._remember((user_id, asked), RenderedPage(value.data, body, "", float("inf"), question_size=size))

    def _remember(self, key: tuple[str, Asked], page: RenderedPage) -> RenderedPage:
        self.rendered += 1
        if former := self._pages.pop(key, None):
            self.size -= former.size
        self._pages[key] = page
        self.size += page.size
        while self.size > self._capacity:
            _, oldest = self._pages.popitem(last=False)
            self.size -= oldest.size
        return page


def _json(user_id: str, paging: Paging, total: int, items: Sequence[tuple[int, Entry]]) -> bytes:
    # The documents are JSON already, so a page is joined, not encoded. A user id needs no escaping: its alphabet has
    # nothing that JSON would escape.
    start = b'{"userId":"' + user_id.encode()
    parts = [b'{"success":true,"data":{"items":[']
    for added_at, entry in items:
        parts += (start, entry.before, iso_format_milliseconds(added_at), entry.after, b",")
    if items:
        parts.pop()
    total_pages = -(-total // paging.page_size)
    parts.append(b'],"total":%d,"page":%d,"pageSize":%d,"totalPages":%d}}' % (total, *paging, total_pages))
    return b"".join(parts)
