"""A cache of the titles of external ids, with a maximum size and a maximum age."""

from collections import OrderedDict
from typing import NamedTuple, TypeVar

from mylist.domain.content import ContentType
from mylist.domain.external_id import ExternalId

_K = TypeVar("_K")
_V = TypeVar("_V")


class _Known(NamedTuple):
    keys: tuple[bytes, ...]
    until: float


class KnownExternalIds:
    """Caches the content keys of external ids, by content type, and that their titles exist.

    Args:
        max_age: seconds for which an answer is valid.
        capacity: maximum number of answers; the oldest is evicted first.
    """

    def __init__(self, *, max_age: float, capacity: int) -> None:
        self._max_age = max_age
        self._capacity = capacity
        self._known: OrderedDict[tuple[ContentType, ExternalId], _Known] = OrderedDict()
        self._titles: OrderedDict[bytes, float] = OrderedDict()

    def find(
        self, content_type: ContentType, external_id: ExternalId, now: float, *, even_old: bool = False
    ) -> tuple[bytes, ...] | None:
        """Return the keys of the titles of a type that have an external id; None if unknown or too old."""
        known = self._known.get((content_type, external_id))
        return known.keys if known and (now < known.until or even_old) else None

    def have_title(self, key: bytes, now: float) -> bool:
        """Return whether the movie or show of a content key is known to exist, because an external id found it."""
        return now < self._titles.get(key, float("-inf"))

    def keep(
        self, content_type: ContentType, external_id: ExternalId, keys: tuple[bytes, ...], asked_at: float
    ) -> None:
        """Cache the keys of all titles of a type that have an external id, as of a moment."""
        until = asked_at + self._max_age
        _put(self._known, (content_type, external_id), _Known(keys, until), self._capacity)
        for key in keys:
            _put(self._titles, key, until, self._capacity)


def _put(remembered: OrderedDict[_K, _V], key: _K, value: _V, capacity: int) -> None:
    remembered[key] = value
    remembered.move_to_end(key)
    if len(remembered) > capacity:
        remembered.popitem(last=False)
