"""Which titles external ids are those of, as far as the process has learned: up to a number, and up to an age."""

from collections import OrderedDict
from typing import NamedTuple

from mylist.domain.content import ContentType
from mylist.domain.external_id import ExternalId


class _Known(NamedTuple):
    keys: tuple[bytes, ...]
    until: float


class KnownExternalIds:
    """Remembers the content keys of external ids, by content type.

    Args:
        max_age: seconds for which an answer is good.
        capacity: maximum number of answers; the oldest goes first.
    """

    def __init__(self, *, max_age: float, capacity: int) -> None:
        self._max_age = max_age
        self._capacity = capacity
        self._known: OrderedDict[tuple[ContentType, ExternalId], _Known] = OrderedDict()

    def find(self, content_type: ContentType, external_id: ExternalId, now: float) -> tuple[bytes, ...] | None:
        """Return the keys of the titles of a type that have an external id; None if that is not known."""
        known = self._known.get((content_type, external_id))
        return known.keys if known and now < known.until else None

    def keep(
        self, content_type: ContentType, external_id: ExternalId, keys: tuple[bytes, ...], asked_at: float
    ) -> None:
        """Remember the keys of all titles of a type that have an external id, as of a moment."""
        place = content_type, external_id
        self._known[place] = _Known(keys, asked_at + self._max_age)
        self._known.move_to_end(place)
        if len(self._known) > self._capacity:
            self._known.popitem(last=False)
