"""The cached entries that need not be fetched again yet.

A look at the age of each of 200 entries takes 20 µs. So entries that are due are taken out once every few seconds, and
in between every entry that is found may be served.
"""

import math
from collections.abc import Mapping
from heapq import heappop, heappush

from mylist.domain.catalogue_entry import CatalogueEntry
from mylist.domain.hot_loops import find_entries


class FreshEntries:
    """Entries by content key, each until `refresh_at` and at most `interval` longer.

    Args:
        interval: seconds between two removals of due entries. An entry must not expire within this time after
            `refresh_at`.

    Attributes:
        valid_until: monotonic time, in seconds. Entries that were found may be served before this time.
    """

    def __init__(self, interval: float) -> None:
        self.valid_until = -math.inf
        self._interval = interval
        self._entries: dict[bytes, CatalogueEntry] = {}
        self._due: list[tuple[float, list[bytes]]] = []
        """A heap: when entries are due, and their keys."""

    def find(self, records: bytes, now: float) -> list[CatalogueEntry] | None:
        """Return the entry of each record of a packed list, in order; None if any is missing."""
        if now >= self.valid_until:
            self._remove_due(now)
        return find_entries(records, self._entries)

    def add(self, entries: Mapping[bytes, CatalogueEntry], now: float) -> None:
        """Replace entries by those that were just fetched."""
        due: dict[float, list[bytes]] = {}
        for key, entry in entries.items():
            if entry.refresh_at > now:
                self._entries[key] = entry
                due.setdefault(entry.refresh_at, []).append(key)
            else:  # the store took that long to answer
                self.discard(key)
        for each in due.items():
            heappush(self._due, each)

    def discard(self, key: bytes) -> None:
        """Remove an entry if it is there."""
        self._entries.pop(key, None)

    def _remove_due(self, now: float) -> None:
        while self._due and self._due[0][0] <= now:
            for key in heappop(self._due)[1]:
                entry = self._entries.get(key)
                if entry and entry.refresh_at <= now:  # else it was fetched again since
                    del self._entries[key]
        self.valid_until = now + self._interval
