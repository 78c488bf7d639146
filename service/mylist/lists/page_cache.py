"""A cache of rendered answers, for lists that have not changed.

An answer is reused only if two conditions are met. The part of the list that the answer depends on must be unchanged,
byte for byte, since the rendering, and the answer must not have a movie or show that is due for a refresh. So this
cache makes no answer older; it only saves work.

A body can be reused even after that: an ETag covers everything that determines the body, so a body with the same ETag
need not be rendered again. An answer that the client already has is kept without its body.
"""

import math
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import NamedTuple

from mylist.domain.page_request import ContainsKey, ExportKey, ItemsQuery, PageRequest

PageKey = PageRequest | ItemsQuery | ContainsKey | ExportKey

# Memory of an answer besides its bytes: its key and the objects that hold it.
_OVERHEAD_BYTES = 600


class RenderedPage(NamedTuple):
    """A rendered answer and its source.

    Attributes:
        source: the packed list, up to the last item that the answer depends on.
        body: the body of the response; empty if all clients that asked already had it.
        etag: its ETag; empty if the response has none.
        fresh_until: monotonic time, in seconds, at which its movies and shows must be looked up again; -inf if it must
            not be reused.
        head: the header lines that are specific to this answer, ready to send; may be empty.
        key_bytes: bytes of the key that come from the client.
    """

    source: bytes
    body: bytes
    etag: str = ""
    fresh_until: float = float("inf")
    head: str = ""
    key_bytes: int = 0

    @property
    def size(self) -> int:
        """The approximate memory of the answer, in bytes."""
        return len(self.source) + len(self.body) + len(self.head) + self.key_bytes + _OVERHEAD_BYTES


class PageCache:
    """Rendered answers, least recently used first.

    Args:
        capacity: maximum size of the cache, in bytes.
        clock: returns monotonic seconds; the catalogue must use the same clock.

    Attributes:
        size: size of the cached answers, in bytes.
        reused: number of answers that were reused.
        rendered: number of bodies that were rendered.
    """

    def __init__(self, capacity: int, *, clock: Callable[[], float] = time.monotonic) -> None:
        self.size = 0
        self.reused = 0
        self.rendered = 0
        self._capacity = capacity
        self._clock = clock
        self._pages: OrderedDict[tuple[str, PageKey], RenderedPage] = OrderedDict()

    def find(self, user_id: str, key: PageKey, source: bytes) -> RenderedPage | None:
        """Return the answer that was rendered from exactly this list, if it is cached and may be reused.

        Args:
            user_id: whose list.
            key: the request.
            source: the packed list that was just read, up to the last item that the answer depends on.
        """
        place = user_id, key
        page = self._pages.get(place)
        if page is None or page.source != source or self._clock() >= page.fresh_until:
            return None
        self._pages.move_to_end(place)
        self.reused += 1
        return page

    def body_of(self, user_id: str, key: PageKey, etag: str) -> bytes:
        """Return the body of the cached answer if it has this ETag; else an empty body."""
        page = self._pages.get((user_id, key))
        return page.body if page and page.etag == etag else b""

    def keep(self, user_id: str, key: PageKey, page: RenderedPage) -> RenderedPage:
        """Cache a new answer if it can ever be reused; return the answer."""
        place = user_id, key
        former = self._pages.pop(place, None)
        if former:
            self.size -= former.size
        if page.body and not (former and former.body is page.body):
            self.rendered += 1
        size = page.size
        if page.fresh_until == -math.inf or size > self._capacity:
            return page
        self._pages[place] = page
        self.size += size
        while self.size > self._capacity:
            _, oldest = self._pages.popitem(last=False)
            self.size -= oldest.size
        return page
