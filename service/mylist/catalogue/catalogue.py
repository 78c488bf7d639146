"""Movies and shows, kept per process as ready-made JSON.

They are few, shared and hot, so each process keeps those it meets in a bounded LRU. An entry past its TTL is served
once more while it is fetched again; past twice its TTL it is fetched first, and served only if MongoDB is away.
"""

import asyncio
import logging
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import cast

from mylist import metrics
from mylist.catalogue.facts import fold, genres_of, released_at, title_of
from mylist.catalogue.fragments import to_json
from mylist.errors import UnavailableError
from mylist.lists.item import ContentType
from mylist.lists.value import split_content_key
from mylist.store.content import ContentStore
from mylist.tasks import start

# How long "not found" is remembered for readers, in seconds.
_ABSENT_TTL = 5.0
# Decoding and rendering so many documents holds the event loop for some milliseconds.
_FETCHED_AT_ONCE = 100

_logger = logging.getLogger(__name__)


@dataclass(slots=True)
class Entry:
    """One movie or show as the parts of a list item's JSON.

    Attributes:
        before: from the comma after the user id up to the opening quote of `addedAt`.
        after: from the closing quote of `addedAt` to the end of the item.
        exists: whether there is such a document; `after` says `null` otherwise.
        refresh_at: monotonic time from which it is fetched again in the background.
        expires_at: monotonic time from which it is fetched again before it is used.
        title: by which it is sorted (`mylist.catalogue.facts`); None for none.
        released_at: milliseconds since 1970 UTC; None for no date.
        genres: casefolded.
    """

    before: bytes
    after: bytes
    exists: bool
    refresh_at: float
    expires_at: float
    title: bytes | None = None
    released_at: int | None = None
    genres: tuple[str, ...] = ()


_Fetch = asyncio.Task[dict[bytes, Entry]]


class Catalogue:
    """Gives content documents by content key (`mylist.lists.value.content_key`).

    Args:
        store: fetches what is not known.
        ttl: age in seconds from which a document is fetched again.
        capacity: most documents that are kept.
        clock: monotonic seconds.
    """

    def __init__(
        self, store: ContentStore, *, ttl: float, capacity: int, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._store = store
        self._ttl = ttl
        self._capacity = capacity
        self._clock = clock
        self._entries: OrderedDict[bytes, Entry] = OrderedDict()
        self._fetches: dict[bytes, _Fetch] = {}
        self._turn = asyncio.Lock()
        self._genres: frozenset[str] = frozenset()
        self._genres_at = float("-inf")
        self._genres_fetch: asyncio.Task[None] | None = None

    async def entries(self, keys: Sequence[bytes]) -> list[Entry]:
        """Gives the entry of each key, in the order of the keys.

        Raises:
            StoreUnavailableError: one has to be fetched and MongoDB is away.
            DatabaseBusyError: one has to be fetched and too much is under way.
        """
        now = self._clock()
        known = self._entries
        found: list[Entry | None] = []
        wanted: list[bytes] = []
        ageing: list[bytes] = []
        for key in keys:
            entry = known.get(key)
            found.append(entry)
            if entry is None or now >= entry.expires_at:
                wanted.append(key)
                continue
            known.move_to_end(key)
            if now >= entry.refresh_at:
                ageing.append(key)
        if ageing:
            self._fetch(ageing)
        metrics.CATALOGUE_REQUESTS["hit"].inc(len(keys) - len(wanted))
        if wanted:
            fetches = self._fetch(wanted)
            # Not awaited one by one: a request that goes away must not cancel a fetch that others share.
            await asyncio.wait(set(fetches.values()))
            for position, key in enumerate(keys):
                if key in fetches:
                    found[position] = _fetched(fetches[key], key, found[position])
        return cast("list[Entry]", found)

    async def existing(self, keys: Iterable[bytes]) -> set[bytes]:
        """Gives those of some content keys that have a movie or show; one not known to exist is always asked for.

        Raises:
            StoreUnavailableError: MongoDB has to be asked and is away.
            DatabaseBusyError: MongoDB has to be asked and too much is under way.
        """
        now = self._clock()
        found: set[bytes] = set()
        unknown: dict[ContentType, list[bytes]] = {}
        for key in keys:
            entry = self._entries.get(key)
            if entry and entry.exists and now < entry.expires_at:
                found.add(key)
            else:
                unknown.setdefault(split_content_key(key)[1], []).append(key)
        for load in [start(self._load(content_type, group)) for content_type, group in unknown.items()]:
            found |= {key for key, entry in (await asyncio.shield(load)).items() if entry.exists}
        return found

    async def has_genre(self, genre: str) -> bool:
        """Says whether a movie or show is of a genre, casefolded; of any, when none are known and MongoDB is away."""
        age = self._clock() - self._genres_at
        if age >= (self._ttl if genre in self._genres else _ABSENT_TTL):
            if self._genres_fetch is None:
                self._genres_fetch = start(self._load_genres())
            try:
                await asyncio.shield(self._genres_fetch)
            except UnavailableError:
                if not self._genres:
                    return True
        return genre in self._genres

    async def _load_genres(self) -> None:
        try:
            genres = await self._store.genres()
            self._genres = frozenset(fold(each) for each in genres if isinstance(each, str))
            self._genres_at = self._clock()
        finally:
            self._genres_fetch = None

    def _fetch(self, keys: Iterable[bytes]) -> dict[bytes, _Fetch]:
        """Gives the fetch under way for each key; starts one per content type for keys that have none.

        For many keys it takes several, one after the other, lest a long list take all of MongoDB's connections.
        """
        starting: dict[ContentType, list[bytes]] = {}
        for key in dict.fromkeys(keys):
            if key not in self._fetches:
                starting.setdefault(split_content_key(key)[1], []).append(key)
        for content_type, group in starting.items():
            load = self._load if len(group) <= _FETCHED_AT_ONCE else self._load_in_turn
            for first in range(0, len(group), _FETCHED_AT_ONCE):
                part = group[first : first + _FETCHED_AT_ONCE]
                fetch = asyncio.create_task(load(content_type, part))
                self._fetches.update(dict.fromkeys(part, fetch))
                fetch.add_done_callback(partial(self._ended, part))
        return {key: self._fetches[key] for key in keys}

    def _ended(self, keys: Iterable[bytes], fetch: _Fetch) -> None:
        for key in keys:
            self._fetches.pop(key, None)
        if not fetch.cancelled() and (error := fetch.exception()):
            _logger.debug("Content was not fetched: %r", error)

    async def _load_in_turn(self, content_type: ContentType, keys: Sequence[bytes]) -> dict[bytes, Entry]:
        async with self._turn:
            return await self._load(content_type, keys)

    async def _load(self, content_type: ContentType, keys: Sequence[bytes]) -> dict[bytes, Entry]:
        documents = await self._store.fetch(content_type, [split_content_key(key)[0] for key in keys])
        now = self._clock()
        loaded = {}
        for key in keys:
            content_id, _ = split_content_key(key)
            document = documents.get(content_id, {})
            metrics.CATALOGUE_REQUESTS["miss" if document else "absent"].inc()
            ttl = self._ttl if document else _ABSENT_TTL
            loaded[key] = self._entries[key] = Entry(
                before=f'","contentId":"{content_id.hex()}","contentType":"{content_type}","addedAt":"'.encode(),
                after=b'","content":' + (to_json(document) if document else b"null") + b"}",
                exists=bool(document),
                refresh_at=now + ttl,
                expires_at=now + 2 * ttl,
                title=title_of(document),
                released_at=released_at(document),
                genres=genres_of(document),
            )
            self._entries.move_to_end(key)
        while len(self._entries) > self._capacity:
            self._entries.popitem(last=False)
        return loaded


def _fetched(fetch: _Fetch, key: bytes, last_known: Entry | None) -> Entry:
    error = fetch.exception()
    if error is None:
        return fetch.result()[key]
    if last_known and isinstance(error, UnavailableError):
        return last_known
    raise error
