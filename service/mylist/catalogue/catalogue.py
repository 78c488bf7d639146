"""A cache of movies and shows as rendered JSON, in each process.

They are few, shared and hot, so each process keeps those that it needs, up to a number. An entry past half its maximum
age is still served, and is fetched again in the background. An entry past its maximum age is fetched before it is
served, and the old one is served only if MongoDB is unavailable.

When there are too many, those go that were fetched the longest ago; one that was used since has a second chance. This
costs a read less than an LRU does, which is reordered at each.

A read goes through three steps: `entries` looks keys up, `_fetch` finds or starts the fetches of those that it did not
find, and `_load` reads one batch from the store, renders it and caches it.
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
from mylist.catalogue.known_external_ids import KnownExternalIds
from mylist.catalogue.rendering import to_json
from mylist.catalogue.sort_keys import genres_of, released_at, title_of, title_order
from mylist.domain.articles import Language
from mylist.domain.catalogue_entry import CatalogueEntry, fold_genre
from mylist.domain.content import CONTENT_TYPES, ContentId, ContentType, content_key, split_content_key
from mylist.domain.errors import UnavailableError
from mylist.domain.external_id import DEFAULT_EXTERNAL_ID_RULES, EXTERNAL_IDS, ExternalId, ExternalIdRules
from mylist.telemetry import metrics

_ABSENT_TTL_S = 5.0
"""How long readers are served "not found" without a query, unless the maximum age is shorter."""
# Decoding and rendering this many documents blocks the event loop for some milliseconds.
_FETCH_BATCH_SIZE = 100
_SECOND_CHANCES = 50
"""Entries that are passed over for another, so that a fetch does not walk over all of them."""

_logger = logging.getLogger(__name__)


class ContentStore(Protocol):
    """The source of movies and shows; `mylist.mongodb.content.ContentStore` is the one on MongoDB."""

    async def fetch(
        self, content_type: ContentType, content_ids: Iterable[ContentId]
    ) -> Mapping[ContentId, Mapping[str, Any]]:
        """Return the documents of some ids; unknown ids are left out."""

    async def find_by_external_ids(
        self, external_ids: Collection[ExternalId], content_types: Collection[ContentType]
    ) -> Mapping[ExternalId, Sequence[tuple[ContentId, ContentType]]]:
        """Return the titles of some types that have each of some external ids; none for one of no title."""

    async def genres(self) -> list[Any]:
        """Return every value in the `genres` fields of movies and shows, at least once each."""


_Fetch = asyncio.Task[dict[bytes, CatalogueEntry]]


class Catalogue:
    """Provides the entries of movies and shows by content key (`mylist.domain.content.content_key`).

    Args:
        store: the source of the documents.
        max_age: seconds after which a change of a document is served, at the latest; a document is fetched again at
            half that age.
        capacity: maximum number of entries.
        language: of the titles, whose leading articles do not count when they are sorted.
        external_ids: what the platform says of external ids.
        clock: monotonic seconds.

    Attributes:
        external_id_names: the names of external ids that are registered.
        title_order: names the order in which titles are sorted; a position in one order is none in another.
        cached: the entries that are cached, by content key; to be changed by this class only.
        clock: as given.
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
        self._capacity = capacity
        self.clock = clock
        self._entries: OrderedDict[bytes, CatalogueEntry] = OrderedDict()  # the next to go first
        self.cached: Mapping[bytes, CatalogueEntry] = self._entries
        self._fetches: dict[bytes, _Fetch] = {}
        self._batch_lock = asyncio.Lock()
        self._genres: frozenset[str] | None = None
        self._genres_asked_at = float("-inf")
        self._genres_fetch: asyncio.Task[None] | None = None

    async def entries(self, keys: Sequence[bytes]) -> tuple[list[CatalogueEntry], float]:
        """Return the entry of each key, in the order of the keys, and when the first is due to be fetched again.

        That is a time by `clock`; inf for no keys.

        Raises:
            UnavailableError: an entry has to be fetched, and the store cannot serve it.
        """
        cached = self._entries
        try:
            known = list(map(cached.__getitem__, keys))
        except KeyError:
            pass
        else:
            fresh_until = _first_refresh(known)
            if self.clock() < fresh_until:
                for entry in known:
                    entry.is_used = True
                metrics.CATALOGUE_REQUESTS["hit"].inc(len(known))
                return known, fresh_until
        entries = await self._fetched(keys)
        return entries, _first_refresh(entries)

    async def _fetched(self, keys: Sequence[bytes]) -> list[CatalogueEntry]:
        """Return the entry of each key, some of which are not there, or due to be fetched again."""
        now = self.clock()
        entries = [self._entries.get(key) for key in keys]
        pairs = list(zip(keys, entries, strict=True))
        to_fetch = [key for key, entry in pairs if entry is None or now >= entry.expires_at]
        for entry in filter(None, entries):
            entry.is_used = True
        self._fetch([key for key, entry in pairs if entry and entry.refresh_at <= now < entry.expires_at])
        metrics.CATALOGUE_REQUESTS["hit"].inc(len(keys) - len(to_fetch))
        if to_fetch:
            fetches = self._fetch(to_fetch)
            # Not awaited one by one: the cancellation of one request must not cancel a fetch that others share.
            await asyncio.wait(set(fetches.values()))
            for index, key in enumerate(keys):
                if key in fetches:
                    entries[index] = _result(fetches[key], key, fallback=entries[index])
        return cast("list[CatalogueEntry]", entries)

    async def existing(self, keys: Iterable[bytes]) -> set[bytes]:
        """Return those of some content keys that have a movie or show.

        Only a positive answer comes from the cache: the store is queried for every key that is not known to exist.
        A caller that finds in `cached` that one exists need not ask.

        Raises:
            UnavailableError: the store has to be queried, and cannot answer.
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
        """Return the content keys of all titles of some types that have each of some external ids.

        There is none for an external id of no title or with a name that is not registered. Several are a matter for
        the caller, who must not choose. The store is asked for those that are not known, all at once. What it says is
        good for the maximum age, unless it is that there is no such title.

        Args:
            external_ids: what to look for.
            content_types: of which types the titles may be.
            even_old: whether an older answer will do if the store cannot give one.

        Raises:
            UnavailableError: the store has to be asked, and cannot answer.
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
        # Not cancelled with the request: others profit from what they find.
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
        """Return what was known of some external ids, however old; nothing unless it was known of all of them."""
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
        """Return what the store says, and remember it, also that of one type there is none if there is of another."""
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
        """Return whether a movie or show has a genre, given casefolded.

        Every genre is accepted as long as the store has not told which there are. A store that did not answer is not
        asked again for a moment: a request may name many genres.
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
        now = self.clock()
        loaded = {}
        for key in keys:
            document = documents.get(split_content_key(key)[0], {})
            metrics.CATALOGUE_REQUESTS["miss" if document else "absent"].inc()
            ttl = self._ttl if document else self._absent_ttl
            loaded[key] = self._entries[key] = self._to_entry(key, document, now=now, ttl=ttl)
            self._entries.move_to_end(key)
            if self._unique_names:
                self._learn_external(key, content_type, document, asked_at)
        while len(self._entries) > self._capacity:
            self._evict()
        return loaded

    def _learn_external(
        self, key: bytes, content_type: ContentType, document: Mapping[str, Any], asked_at: float
    ) -> None:
        """Remember the external ids of a title, as far as no other title of its type may have the same."""
        external_ids = document.get(EXTERNAL_IDS)
        if isinstance(external_ids, Mapping):
            for name in self._unique_names & external_ids.keys():
                if isinstance(value := external_ids[name], str):
                    self._external_ids.keep(content_type, ExternalId(name, value), (key,), asked_at)

    def _evict(self) -> None:
        """Let an entry go that was not used since it was fetched or had a second chance; any, if many were."""
        for _ in range(_SECOND_CHANCES):
            key, entry = self._entries.popitem(last=False)
            if not entry.is_used:
                return
            entry.is_used = False
            self._entries[key] = entry
        self._entries.popitem(last=False)

    def _to_entry(self, key: bytes, document: Mapping[str, Any], *, now: float, ttl: float) -> CatalogueEntry:
        """Render a document; an empty one stands for a movie or show that does not exist."""
        content_id, content_type = split_content_key(key)
        return CatalogueEntry(
            key=key,
            before=f'","contentId":"{content_id.hex()}","contentType":"{content_type}","addedAt":"'.encode(),
            after=b'","content":' + (to_json(document) if document else b"null") + b"}",
            refresh_at=now + ttl,
            expires_at=now + 2 * ttl,
            exists_until=now + 2 * ttl if document else -math.inf,
            title=title_of(document, self._language),
            released_at=released_at(document),
            genres=genres_of(document),
        )


def _first_refresh(entries: Sequence[CatalogueEntry]) -> float:
    return min([entry.refresh_at for entry in entries], default=math.inf)


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
