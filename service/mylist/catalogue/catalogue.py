"""A cache of movies and shows as rendered JSON, in each process.

They are few, shared and hot, so each process caches those that it needs, up to a maximum number. An entry past half its
maximum age is still served, and is fetched again in the background. An entry past its maximum age is first fetched
again. The old entry is served only if MongoDB is unavailable.

The entries of one answer are due at many different times, up to one for each title of a long list. If the answer became
invalid each time, it would be rendered again and again. So every answer is valid until the next moment, a few seconds
later, at which due entries are taken out of the fresh ones (`mylist.catalogue.fresh_entries`).

When there are too many, the entries that were fetched longest ago are evicted; an entry that was used since then gets a
second chance. For reads, this is cheaper than an LRU, which every read reorders.

A read goes through up to three steps: `entries` looks records up among the fresh entries, `_fetched` finds or fetches
the others, and `_load` reads one batch from the store, renders it and caches it.
"""

import asyncio
import logging
import math
import time
from collections import OrderedDict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from typing import Any, Protocol, cast

from mylist.background import spawn
from mylist.catalogue.fresh_entries import FreshEntries
from mylist.catalogue.known_external_ids import KnownExternalIds
from mylist.catalogue.rendering import to_json
from mylist.catalogue.sort_keys import genres_of, released_at, title_of, title_order
from mylist.domain.articles import Language
from mylist.domain.catalogue_entry import CatalogueEntry, fold_genre
from mylist.domain.content import CONTENT_TYPES, ContentId, ContentType, content_key, split_content_key
from mylist.domain.errors import UnavailableError
from mylist.domain.external_id import DEFAULT_EXTERNAL_ID_RULES, EXTERNAL_IDS, ExternalId, ExternalIdRules
from mylist.domain.packed_list import keys_of

_ABSENT_TTL_S = 5.0
"""How long "not found" is served without a new query, unless the maximum age is shorter."""
_LOOKUPS_PER_TTL = 8
"""How often the same answer looks its entries up again in half their maximum age, unless that age is long."""
_CROWDED = 0.5
"""Share of the capacity up to which the use of entries is not noted: none is evicted soon."""
# Decoding and rendering this many documents blocks the event loop for some milliseconds.
_FETCH_BATCH_SIZE = 100
_SECOND_CHANCES = 50
"""Maximum number of entries that get a second chance per eviction, so that a fetch does not scan all entries."""

_logger = logging.getLogger(__name__)


class ContentStore(Protocol):
    """The source of movies and shows; `mylist.mongodb.content.ContentStore` reads them from MongoDB."""

    async def fetch(
        self, content_type: ContentType, content_ids: Iterable[ContentId]
    ) -> Mapping[ContentId, Mapping[str, Any]]:
        """Return the documents of some ids; unknown ids are left out."""

    async def find_by_external_ids(
        self, external_ids: Collection[ExternalId], content_types: Collection[ContentType]
    ) -> Mapping[ExternalId, Sequence[tuple[ContentId, ContentType]]]:
        """Return, for each external id, the titles of some types that have it."""

    async def genres(self) -> list[Any]:
        """Return every value in the `genres` fields of movies and shows, at least once each."""


_Fetch = asyncio.Task[dict[bytes, CatalogueEntry]]


class Catalogue:
    """Provides the entries of movies and shows by content key (`mylist.domain.content.content_key`).

    Args:
        store: the source of the documents.
        max_age: maximum seconds until a changed document is served. A document is fetched again at half that age.
        capacity: maximum number of entries.
        language: language of the titles; sorting ignores its leading articles.
        external_ids: the platform's rules for external ids.
        clock: returns monotonic seconds.

    Attributes:
        external_id_names: the registered names of external ids.
        title_order: names the sort order of titles; a position in one order is invalid in another.
        cached: the cached entries, by content key. Only this class may change it.
        clock: as given.
        requests: number of movies and shows that were looked up, by result: `hit` if the entry was cached, `miss` if it
            was fetched, `absent` if the store has no such title.
    """

    def __init__(  # noqa: PLR0913 - keyword arguments, most of them a setting
        self,
        store: ContentStore,
        *,
        max_age: float,
        capacity: int,
        language: Language = "en",
        external_ids: ExternalIdRules = DEFAULT_EXTERNAL_ID_RULES,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.title_order = title_order(language)
        self.external_id_names: Sequence[str] = external_ids.names
        self._unique_names = external_ids.unique_in_collection
        self._external_ids = KnownExternalIds(max_age=max_age, capacity=capacity)
        self._language: Language = language
        self._store = store
        self._ttl = max_age / 2
        self._absent_ttl = min(_ABSENT_TTL_S, self._ttl)
        # An entry expires one TTL after it is due, or one absent TTL if the title is missing.
        self._fresh = FreshEntries(min(self._ttl / _LOOKUPS_PER_TTL, self._absent_ttl))
        self._capacity = capacity
        self._crowd = _CROWDED * capacity
        self.clock = clock
        self.requests = {"hit": 0, "miss": 0, "absent": 0}
        self._entries: OrderedDict[bytes, CatalogueEntry] = OrderedDict()  # the next entry to evict comes first
        self.cached: Mapping[bytes, CatalogueEntry] = self._entries
        self._fetches: dict[bytes, _Fetch] = {}
        self._batch_lock = asyncio.Lock()
        self._genres: frozenset[str] | None = None
        self._genres_asked_at = float("-inf")
        self._genres_fetch: asyncio.Task[None] | None = None

    async def entries(self, records: bytes) -> tuple[list[CatalogueEntry], float]:
        """Return the entry of each record of a packed list, in order, and the time of the next lookup.

        At that time by `clock` the caller must call this again; no entry exceeds its maximum age before. Without
        records, the time is inf.

        Raises:
            UnavailableError: an entry must be fetched, and the store cannot provide it.
        """
        if not records:
            return [], math.inf
        now = self.clock()
        entries = self._fresh.find(records, now)
        if entries is None:
            entries = await self._fetched(keys_of(records), now)
            return entries, min([self._fresh.valid_until, *[entry.expires_at for entry in entries]])
        self._note_use(entries)
        self.requests["hit"] += len(entries)
        return entries, self._fresh.valid_until

    def _note_use(self, entries: Iterable[CatalogueEntry]) -> None:
        if len(self._entries) > self._crowd:
            for entry in entries:
                entry.is_used = True

    async def _fetched(self, keys: Sequence[bytes], now: float) -> list[CatalogueEntry]:
        """Return the entry of each key; some are missing or due."""
        entries = [self._entries.get(key) for key in keys]
        pairs = list(zip(keys, entries, strict=True))
        to_fetch = [key for key, entry in pairs if entry is None or now >= entry.expires_at]
        self._note_use(filter(None, entries))
        self._fetch([key for key, entry in pairs if entry and entry.refresh_at <= now < entry.expires_at])
        self.requests["hit"] += len(keys) - len(to_fetch)
        if to_fetch:
            fetches = self._fetch(to_fetch)
            # Not awaited one by one: the cancellation of one request must not cancel a fetch that others share.
            await asyncio.wait(set(fetches.values()))
            for index, key in enumerate(keys):
                if key in fetches:
                    entries[index] = _result(fetches[key], key, fallback=entries[index])
        return cast("list[CatalogueEntry]", entries)

    async def existing(self, keys: Iterable[bytes]) -> set[bytes]:
        """Return the content keys that have a movie or show.

        Only a positive answer comes from the cache: the store is queried for every key that is not known to exist. A
        caller that finds an existing entry in `cached` need not call this.

        Raises:
            UnavailableError: the store must be queried and does not answer.
        """
        now = self.clock()
        existing: set[bytes] = set()
        unknown: list[bytes] = []
        for key in keys:
            entry = self._entries.get(key)
            if (entry and now < entry.exists_until) or self._external_ids.have_title(key, now):
                existing.add(key)
            else:
                unknown.append(key)
        for load in [spawn(self._load(content_type, group)) for content_type, group in _by_type(unknown).items()]:
            existing |= {key for key, entry in (await asyncio.shield(load)).items() if entry.exists_until > -math.inf}
        return existing

    async def resolve(
        self,
        external_ids: Collection[ExternalId],
        content_types: Collection[ContentType] = CONTENT_TYPES,
        *,
        even_old: bool = False,
    ) -> dict[ExternalId, tuple[bytes, ...]]:
        """Return, for each external id, the content keys of all titles of some types that have it.

        An external id without a title or with an unregistered name has no keys. If there are several, the caller must
        not choose one. Unknown external ids are queried all at once. An answer is valid for the maximum age, unless no
        title was found.

        Args:
            external_ids: the external ids to look for.
            content_types: the types that the titles may have.
            even_old: whether an older answer is acceptable if the store does not answer.

        Raises:
            UnavailableError: the store must be queried and does not answer.
        """
        now = self.clock()
        found: dict[ExternalId, tuple[bytes, ...]] = dict.fromkeys(external_ids, ())
        to_ask: dict[tuple[ContentType, ...], list[ExternalId]] = {}
        for each in dict.fromkeys(external_ids):
            known = {content_type: self._external_ids.find(content_type, each, now) for content_type in content_types}
            keys = tuple(key for of_type in known.values() for key in of_type or ())
            found[each] = keys
            unknown = [content_type for content_type, of_type in known.items() if of_type is None or not keys]
            if unknown and each.name in self.external_id_names:
                to_ask.setdefault(tuple(unknown), []).append(each)
        # Not cancelled with the request: other requests use the result, too.
        loads = [spawn(self._load_external(group, types, found)) for types, group in to_ask.items()]
        for load, (types, group) in zip(loads, to_ask.items(), strict=True):
            try:
                loaded = await asyncio.shield(load)
            except UnavailableError:
                loaded = self._old_external(group, types) if even_old else {}
                if not loaded:
                    raise
            for each, more in loaded.items():
                found[each] += more
        return found

    def _old_external(
        self, external_ids: Collection[ExternalId], content_types: Collection[ContentType]
    ) -> dict[ExternalId, tuple[bytes, ...]]:
        """Return the cached results of external ids, however old; nothing unless all of them are cached."""
        found: dict[ExternalId, tuple[bytes, ...]] = dict.fromkeys(external_ids, ())
        for each in external_ids:
            for content_type in content_types:
                keys = self._external_ids.find(content_type, each, -math.inf, even_old=True)
                if keys is None:
                    return {}
                found[each] += keys
        return found

    async def _load_external(
        self,
        external_ids: Collection[ExternalId],
        content_types: Collection[ContentType],
        known: Mapping[ExternalId, tuple[bytes, ...]],
    ) -> dict[ExternalId, tuple[bytes, ...]]:
        """Return the store's answer and cache it. If only one type has titles, also cache that the other has none."""
        asked_at = self.clock()
        titles = await self._store.find_by_external_ids(external_ids, content_types)
        loaded = {}
        for each in external_ids:
            loaded[each] = tuple(content_key(*title) for title in titles[each])
            if loaded[each] or known[each]:
                for content_type in content_types:
                    keys = tuple(key for key in loaded[each] if split_content_key(key)[1] == content_type)
                    self._external_ids.keep(content_type, each, keys, asked_at)
        return loaded

    async def has_genre(self, genre: str) -> bool:
        """Return whether any movie or show has a genre; the genre must be casefolded.

        Until the store has reported the genres, every genre is accepted. After a failed fetch, the next fetch waits for
        a moment, because a request may name many genres.
        """
        known = self._genres or frozenset()
        if self.clock() - self._genres_asked_at >= (self._ttl if genre in known else self._absent_ttl):
            if self._genres_fetch is None:
                self._genres_fetch = spawn(self._load_genres())
            with suppress(UnavailableError):
                await asyncio.shield(self._genres_fetch)
        return self._genres is None or genre in self._genres

    async def _load_genres(self) -> None:
        try:
            values = await self._store.genres()
            self._genres = frozenset(fold_genre(value) for value in values if isinstance(value, str))
        finally:
            self._genres_asked_at = self.clock()
            self._genres_fetch = None

    def _fetch(self, keys: Iterable[bytes]) -> dict[bytes, _Fetch]:
        """Return the fetch in flight for each key; start fetches for the keys that have none.

        The batches of a long list run one after the other, so that they do not take all of MongoDB's connections.
        """
        to_start = dict.fromkeys(key for key in keys if key not in self._fetches)
        for content_type, group in _by_type(to_start).items():
            load = self._load if len(group) <= _FETCH_BATCH_SIZE else self._load_in_turn
            for start in range(0, len(group), _FETCH_BATCH_SIZE):
                batch = group[start : start + _FETCH_BATCH_SIZE]
                fetch = asyncio.create_task(load(content_type, batch))
                self._fetches.update(dict.fromkeys(batch, fetch))
                fetch.add_done_callback(partial(self._on_fetch_done, batch))
        return {key: self._fetches[key] for key in keys}

    def _on_fetch_done(self, keys: Iterable[bytes], fetch: _Fetch) -> None:
        for key in keys:
            self._fetches.pop(key, None)
        if not fetch.cancelled() and (error := fetch.exception()):
            _logger.debug("Content was not fetched: %r", error)

    async def _load_in_turn(self, content_type: ContentType, keys: Sequence[bytes]) -> dict[bytes, CatalogueEntry]:
        async with self._batch_lock:
            return await self._load(content_type, keys)

    async def _load(self, content_type: ContentType, keys: Sequence[bytes]) -> dict[bytes, CatalogueEntry]:
        """Read one batch from the store and cache it; return its entries."""
        asked_at = self.clock()
        documents = await self._store.fetch(content_type, [split_content_key(key)[0] for key in keys])
        loaded = {}
        for key in keys:
            document = documents.get(split_content_key(key)[0], {})
            self.requests["miss" if document else "absent"] += 1
            ttl = self._ttl if document else self._absent_ttl
            loaded[key] = self._entries[key] = self._to_entry(key, document, asked_at, ttl)
            self._entries.move_to_end(key)
            if self._unique_names:
                self._learn_external(key, content_type, document, asked_at)
        self._fresh.add(loaded, self.clock())
        while len(self._entries) > self._capacity:
            self._evict()
        return loaded

    def _learn_external(
        self, key: bytes, content_type: ContentType, document: Mapping[str, Any], asked_at: float
    ) -> None:
        """Cache the external ids of a title that are unique among the titles of its type."""
        external_ids = document.get(EXTERNAL_IDS)
        if isinstance(external_ids, Mapping):
            for name in self._unique_names & external_ids.keys():
                if isinstance(value := external_ids[name], str):
                    self._external_ids.keep(content_type, ExternalId(name, value), (key,), asked_at)

    def _evict(self) -> None:
        """Evict an entry that was not used since its fetch or second chance; any entry, if many were used."""
        for _ in range(_SECOND_CHANCES):
            key, entry = self._entries.popitem(last=False)
            if not entry.is_used:
                break
            entry.is_used = False
            self._entries[key] = entry
        else:
            key, _ = self._entries.popitem(last=False)
        self._fresh.discard(key)

    def _to_entry(self, key: bytes, document: Mapping[str, Any], asked_at: float, ttl: float) -> CatalogueEntry:
        """Render a document; an empty document means that the movie or show does not exist.

        Its age counts from `asked_at`, because it may have been edited while the answer was on its way.
        """
        content_id, content_type = split_content_key(key)
        return CatalogueEntry(
            key=key,
            before=f'","contentId":"{content_id.hex()}","contentType":"{content_type}","addedAt":"'.encode(),
            after=b'","content":' + (to_json(document) if document else b"null") + b"}",
            refresh_at=asked_at + ttl,
            expires_at=asked_at + 2 * ttl,
            exists_until=asked_at + 2 * ttl if document else -math.inf,
            title=title_of(document, self._language),
            released_at=released_at(document),
            genres=genres_of(document),
        )


def _by_type(keys: Iterable[bytes]) -> dict[ContentType, list[bytes]]:
    groups: dict[ContentType, list[bytes]] = {}
    for key in keys:
        groups.setdefault(split_content_key(key)[1], []).append(key)
    return groups


def _result(fetch: _Fetch, key: bytes, *, fallback: CatalogueEntry | None) -> CatalogueEntry:
    """Return the entry that a finished fetch loaded, or the fallback if the store was unavailable."""
    error = fetch.exception()
    if error is None:
        return fetch.result()[key]
    if fallback and isinstance(error, UnavailableError):
        return fallback
    raise error
