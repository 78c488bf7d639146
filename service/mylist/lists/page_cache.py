"""Rendered answers, remembered for lists that have not changed.

An answer is reused only if the list that was just read equals, byte for byte and as far as the answer goes, the list
that it was rendered from, and none of its movies and shows is due to be refreshed. So remembering makes no answer
older; it only saves the work.

A body outlives that: as an ETag is made of all that decides the body, the body of the same ETag need not be rendered
again. And an answer that the client has is remembered without its body.
"""

import math
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import NamedTuple

from mylist.domain.page_request import ContainsKey, ExportKey, ItemsQuery, PageRequest

PageKey = PageRequest | ItemsQuery | ContainsKey | ExportKey

# What an answer takes beside its bytes: its key and the objects that hold it.
_OVERHEAD_BYTES = 600


class RenderedPage(NamedTuple):
    """A rendered answer, and what it was rendered from.

    Attributes:
        source: the packed list, up to the last item that decides the answer.
        body: the body of the response; empty where only clients that have it have asked.
        etag: its ETag; empty where the response has none.
        fresh_until: monotonic time, in seconds, at which the first of its movies and shows is due to be refreshed; -inf
            if the next answer to the same request is another in any case.
        head: the header lines of this answer alone, as they are sent; empty for none.
        key_bytes: what the key holds of the client's bytes.
    """

    source: bytes
    body: bytes
    etag: str = ""
    fresh_until: float = float("inf")
    head: str = ""
    key_bytes: int = 0

    @property
    def size(self) -> int:
        """About how many bytes of memory the answer takes."""
        return len(self.source) + len(self.body) + len(self.head) + self.key_bytes + _OVERHEAD_BYTES


class PageCache:
    """Rendered answers, least recently used first.

    Args:
        capacity: most bytes that are kept.
        clock: monotonic seconds; the catalogue must use the same clock.

    Attributes:
        size: bytes that are kept.
        reused: how many answers were reused.
        rendered: how many bodies were rendered.
    """

    def __init__(self, capacity: int, *, clock: Callable[[], float] = time.monotonic) -> None:
        self.size = 0
        self.reused = 0
        self.rendered = 0
        self._capacity = capacity
        self._clock = clock
        self._pages: OrderedDict[tuple[str, PageKey], RenderedPage] = OrderedDict()

    def find(self, user_id: str, key: PageKey, source: bytes) -> RenderedPage | None:
        """Return the answer that was rendered from exactly this list, if it is kept and may be reused.

        Args:
            user_id: whose list.
            key: the request.
            source: the packed list that was just read, up to the last item that decides the answer.
        """
        place = user_id, key
        page = self._pages.get(place)
        if page is None or page.source != source or self._clock() >= page.fresh_until:
            return None
        self._pages.move_to_end(place)
        self.reused += 1
        return page

    def body_of(self, user_id: str, key: PageKey, etag: str) -> bytes:
        """Return the body of an ETag, if the answer that is kept has this one; else an empty one."""
        page = self._pages.get((user_id, key))
        return page.body if page and page.etag == etag else b""

    def keep(self, user_id: str, key: PageKey, page: RenderedPage) -> RenderedPage:
        """Keep an answer that was just made, if it can be reused at all, and return it."""
        place = user_id, key
        former = self._pages.pop(place, None)
        if former:
            self.size -= former.size
        if page.body and not (former and former.body is page.body):
            self.rendered += 1
        if page.fresh_until == -math.inf:
            return page
        self._pages[place] = page
        self.size += page.size
        while self.size > self._capacity:
            _, oldest = self._pages.popitem(last=False)
            self.size -= oldest.size
        return page
