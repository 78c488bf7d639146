"""In-memory implementations of the use cases' ports (`mylist.lists.ports`), and helpers that tests share.

`tests/integration/test_mongodb.py` compares the store with the real one.
"""

import asyncio
import math
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AbstractContextManager, asynccontextmanager, contextmanager
from dataclasses import dataclass, field, replace
from itertools import count

from mylist.domain.cache_result import CacheResult
from mylist.domain.catalogue_entry import CatalogueEntry, fold_genre
from mylist.domain.change_feed import FeedPosition, ListChange
from mylist.domain.content import CONTENT_TYPES, ContentId, ContentType, RequestedId, content_key, split_content_key
from mylist.domain.errors import (
    DatabaseUnavailableError,
    ItemAlreadyInListError,
    ItemNotInListError,
    ListFullError,
    OutcomeUnknownError,
    ServiceError,
)
from mylist.domain.external_id import ExternalId
from mylist.domain.item import Item
from mylist.domain.packed_list import PackedList, keys_of
from mylist.domain.user_id import account_of
from tests.content_ids import content_id

START_MS = 1_700_000_000_000
"""The time of a new store."""
SETTLING_MS = 30_000
"""How far the watermark of a store is behind its clock."""

Journal = list[str]
"""The calls of the fakes, in order."""


def requested(number: int) -> RequestedId:
    """Return the content id of a number, as a request names it."""
    return RequestedId(content_id(number).hex(), content_id(number))


def malformed(text: str = "not-an-id") -> RequestedId:
    """Return a malformed content id, as a request may name it."""
    return RequestedId(text, None)


def item(number: int, added_at: int | None = None, *, show: bool = False) -> Item:
    """Return an item that was added at the millisecond of its number, unless another time is given."""
    return Item(number if added_at is None else added_at, content_id(number), "tvshow" if show else "movie")


@dataclass(slots=True)
class _Document:
    """An item, with the id whose first four bytes are the second in which it was added."""

    document_id: bytes
    item: Item

    @property
    def position(self) -> FeedPosition:
        return FeedPosition(int.from_bytes(self.document_id[:4]) * 1000, self.document_id)


@dataclass(slots=True)
class _Stamp:
    """When an item was removed or got another date."""

    changed_at: int
    is_removal: bool


class FakeListStore:
    """Users' lists in memory. The clock advances by a millisecond at each change, and stands still otherwise.

    Attributes:
        journal: every operation is noted here.
        now: milliseconds since 1970 UTC.
        unavailable: whether every operation fails.
        failures: what single operations raise.
        hold: what a write waits for before it takes effect.
        reached: set once a write waits.
    """

    def __init__(self, journal: Journal | None = None) -> None:
        self.journal: Journal = [] if journal is None else journal
        self.now = START_MS
        self.unavailable = False
        self.failures: dict[str, ServiceError] = {}
        self.hold = asyncio.Event()
        self.hold.set()
        self.reached = asyncio.Event()
        self._lists: dict[str, dict[ContentId, _Document]] = {}
        self._stamps: dict[str, dict[ContentId, _Stamp]] = {}
        self._numbers = count(1)

    def put(self, user_id: str, *items: Item) -> None:
        """Put items on a list directly, without an operation."""
        for each in items:
            self._insert(user_id, each)

    def put_original(self, user_id: str, item: Item) -> None:
        """Put an item on a list that the original service added long ago."""
        document_id = (item.added_at // 1000).to_bytes(4) + next(self._numbers).to_bytes(8)
        self._lists.setdefault(user_id, {})[item.content_id] = _Document(document_id, item)

    def take_off(self, user_id: str, *content_ids: ContentId) -> None:
        """Take items off a list directly, without an operation."""
        for each in content_ids:
            if each in self._lists.get(user_id, {}):
                self.stamp(user_id, each)
                self.delete(user_id, each)

    def stamp(self, user_id: str, content_id: ContentId, *, is_removal: bool = True) -> None:
        """Stamp the removal of an item, or another date."""
        self._stamps.setdefault(user_id, {})[content_id] = _Stamp(self._tick(), is_removal)

    def delete(self, user_id: str, content_id: ContentId) -> bool:
        """Delete an item without a stamp; return whether there was one."""
        return self._lists.get(user_id, {}).pop(content_id, None) is not None

    def stamped(self, user_id: str) -> set[ContentId]:
        """Return the content ids that have a stamp."""
        return set(self._stamps.get(user_id, {}))

    def items(self, user_id: str) -> list[Item]:
        """Return the items of a list, newest first."""
        items = [each.item for each in self._lists.get(user_id, {}).values()]
        return sorted(items, key=lambda each: (-each.added_at, each.content_id))

    async def require_available(self) -> None:
        self._require_available()

    def _require_available(self) -> None:
        if self.unavailable:
            raise DatabaseUnavailableError

    def deadline(self) -> AbstractContextManager[None]:
        return self._deadline()

    @contextmanager
    def _deadline(self) -> Iterator[None]:
        self.journal.append("deadline")
        yield

    async def finish(self) -> None:
        pass

    async def count_account(self, account: str, *, limit: int) -> int:
        self._note("count_account")
        return min(sum(len(items) for user_id, items in self._lists.items() if account_of(user_id) == account), limit)

    async def count(self, user_id: str, *, limit: int) -> int:
        self._note("count")
        return min(len(self.items(user_id)), limit)

    async def load(self, user_id: str) -> list[Item]:
        self._note("load")
        return self.items(user_id)

    async def find(self, user_id: str, content_id: ContentId) -> Item | None:
        self._note("find")
        return next((each for each in self.items(user_id) if each.content_id == content_id), None)

    async def find_many(self, user_id: str, content_ids: Iterable[ContentId]) -> list[Item]:
        self._note("find_many")
        wanted = set(content_ids)
        return [each for each in self.items(user_id) if each.content_id in wanted]

    async def find_removals(self, user_id: str, content_ids: Iterable[ContentId]) -> list[ListChange]:
        self._note("find_removals")
        stamps, documents = self._stamps.get(user_id, {}), self._lists.get(user_id, {})
        return [
            ListChange(FeedPosition(stamps[each].changed_at, each), each, None, None)
            for each in content_ids
            if each in stamps and stamps[each].is_removal and each not in documents
        ]

    async def insert(self, user_id: str, item: Item) -> None:
        await self._begin_write("insert")
        if not self._insert(user_id, item):
            raise ItemAlreadyInListError

    async def insert_many(self, user_id: str, items: Sequence[Item]) -> set[ContentId]:
        await self._begin_write("insert_many")
        return {each.content_id for each in items if not self._insert(user_id, each)}

    async def redate_many(self, user_id: str, items: Sequence[Item]) -> int:
        await self._begin_write("redate_many")
        listed = 0
        for each in items:
            self.stamp(user_id, each.content_id, is_removal=False)
            if document := self._lists.get(user_id, {}).get(each.content_id):
                document.item = replace(document.item, added_at=each.added_at)
                listed += 1
        return listed

    @asynccontextmanager
    async def removing(self, user_id: str, content_id: ContentId) -> AsyncIterator[Callable[[], Awaitable[None]]]:
        before = self._stamps.get(user_id, {}).get(content_id)
        is_in_vain = not self.unavailable
        if is_in_vain:
            self.journal.append("stamp")
            self.stamp(user_id, content_id)

        async def remove() -> None:
            nonlocal is_in_vain
            try:
                await self._begin_write("delete")
            except OutcomeUnknownError:
                is_in_vain = False
                raise
            if not self.delete(user_id, content_id):
                raise ItemNotInListError
            is_in_vain = False

        try:
            yield remove
        finally:
            if is_in_vain:
                self.journal.append("withdraw")
                if before is None:
                    del self._stamps[user_id][content_id]

    async def delete_many(self, user_id: str, items: Collection[Item]) -> int:
        await self._begin_write("delete_many")
        return self._remove(user_id, (each.content_id for each in items))

    async def delete_seen(self, user_id: str, items: Collection[Item]) -> int:
        await self._begin_write("delete_seen")
        dates = {each.added_at for each in items}
        there = {each.content_id for each in self.items(user_id) if each.added_at in dates}
        return self._remove(user_id, (each.content_id for each in items if each.content_id in there))

    async def listed(self, user_id: str, after: str, *, max_items: int) -> tuple[list[ListChange], str | None]:
        self._note("listed")
        documents = sorted(self._lists.get(user_id, {}).items())
        found = [
            ListChange(each.position, content_id, each.item.content_type, each.item.added_at)
            for content_id, each in documents
            if content_id.hex() > after
        ]
        page = found[:max_items]
        return page, page[-1].content_id.hex() if len(found) > max_items else None

    async def changes(
        self, user_id: str, after: FeedPosition, *, max_changes: int
    ) -> tuple[list[ListChange], FeedPosition | None]:
        self._note("changes")
        documents, stamps = self._lists.get(user_id, {}), self._stamps.get(user_id, {})
        entries = [(each.position, changed) for changed, each in documents.items()]
        entries += [(FeedPosition(each.changed_at, changed), changed) for changed, each in stamps.items()]
        following = sorted(each for each in entries if each[0] > after)
        found: dict[ContentId, ListChange] = {}
        for position, changed in following[:max_changes]:
            item = documents[changed].item if changed in documents else None
            found.pop(changed, None)
            found[changed] = ListChange(
                position, changed, item.content_type if item else None, item.added_at if item else None
            )
        return list(found.values()), following[max_changes - 1][0] if len(following) > max_changes else None

    async def clock(self) -> tuple[int, int]:
        self._note("clock")
        return self.now, self.now - SETTLING_MS

    def _note(self, operation: str) -> None:
        self._require_available()
        self.journal.append(operation)
        if operation in self.failures:
            raise self.failures[operation]

    async def _begin_write(self, operation: str) -> None:
        self._note(operation)
        self.reached.set()
        await self.hold.wait()

    def _insert(self, user_id: str, item: Item) -> bool:
        documents = self._lists.setdefault(user_id, {})
        if item.content_id in documents:
            return False
        document_id = (self._tick() // 1000).to_bytes(4) + next(self._numbers).to_bytes(8)
        documents[item.content_id] = _Document(document_id, item)
        return True

    def _remove(self, user_id: str, content_ids: Iterable[ContentId]) -> int:
        there = [each for each in content_ids if each in self._lists.get(user_id, {})]
        self.take_off(user_id, *there)
        return len(there)

    def _tick(self) -> int:
        self.now += 1
        return self.now


class FakeClient:
    """A client that has the bodies of some ETags."""

    def __init__(self, *etags: str) -> None:
        self._etags = etags

    def has(self, etag: str) -> bool:
        return etag in self._etags


class FakeListCache:
    """The lists of the store; a test decides whether they count as cached.

    Attributes:
        journal: a fence is noted here when it is placed (`fence`) and lifted (`lift`), or left to lapse (`lapse`).
        result: how the cache takes part in reads.
        cached_items: how many items of each list are cached; None for no cached list.
        prefixes: the `max_items` of each read.
    """

    def __init__(self, store: FakeListStore) -> None:
        self.journal = store.journal
        self.result = CacheResult.HIT
        self.cached_items: int | None = None
        self.prefixes: list[int | None] = []
        self._store = store

    async def read(self, user_id: str, *, max_items: int | None = None) -> tuple[PackedList, CacheResult]:
        self.prefixes.append(max_items)
        packed = PackedList.of(await self._store.load(user_id))
        if self.result is CacheResult.HIT:  # a list that was loaded is whole
            packed = PackedList(packed.prefix(max_items), max_items=max_items)
        return packed, self.result

    def writing(self, user_id: str, *, max_items: int = 0) -> AbstractAsyncContextManager[int | None]:
        return self._writing(user_id, max_items)

    @asynccontextmanager
    async def _writing(self, _: str, max_items: int) -> AsyncIterator[int | None]:
        if self.cached_items is not None and 0 < max_items <= self.cached_items:
            raise ListFullError(max_items)
        self.journal.append("fence")
        try:
            yield self.cached_items
        except OutcomeUnknownError:
            self.journal.append("lapse")
            raise
        except BaseException:
            self.journal.append("lift")
            raise
        self.journal.append("lift")


@dataclass(frozen=True, slots=True)
class Title:
    """A movie or show of the fake catalogue; `refresh_at` is when it is due to be refreshed."""

    title: str
    genres: tuple[str, ...] = ()
    released_at: int | None = None
    refresh_at: float = 60.0
    external_ids: Mapping[str, str] = field(default_factory=dict)


class FakeCatalogue:
    """The movies and shows that a test gives.

    Attributes:
        titles: by content key.
        asked: the keys of each look-up of entries.
        resolved: the external ids of each look-up, and their types.
        unavailable: whether external ids cannot be looked up.
        title_order, external_id_names, cached: like the port's; nothing is cached unless a test keeps it.
        now: what the clock says.
    """

    def __init__(self, titles: Mapping[bytes, Title]) -> None:
        self.title_order = "of the tests"
        self.external_id_names: Sequence[str] = ("imdb", "tmdb")
        self.resolved: list[tuple[set[ExternalId], Collection[ContentType]]] = []
        self.unavailable = False
        self.now = 0.0
        self.cached: dict[bytes, CatalogueEntry] = {}
        self.titles = dict(titles)
        self.asked: list[Sequence[bytes]] = []

    @classmethod
    def numbered(cls, numbers: Iterable[int], *, content_type: ContentType = "movie") -> "FakeCatalogue":
        """Make a catalogue of titles whose names are their numbers."""
        return cls({content_key(content_id(each), content_type): Title(str(each)) for each in numbers})

    def clock(self) -> float:
        return self.now

    def keep(self, *keys: bytes) -> None:
        """Keep the entries of some keys in the cache, no matter what happens to the titles."""
        self.cached |= {key: self._entry(key) for key in keys}

    async def entries(self, records: bytes) -> tuple[list[CatalogueEntry], float]:
        self.asked.append(keys_of(records))
        entries = [self._entry(key) for key in self.asked[-1]]
        return entries, min([entry.refresh_at for entry in entries], default=math.inf)

    async def existing(self, keys: Iterable[bytes]) -> set[bytes]:
        return set(keys) & self.titles.keys()

    async def resolve(
        self,
        external_ids: Collection[ExternalId],
        content_types: Collection[ContentType] = CONTENT_TYPES,
        *,
        even_old: bool = False,
    ) -> dict[ExternalId, tuple[bytes, ...]]:
        if self.unavailable and not even_old:
            raise DatabaseUnavailableError
        self.resolved.append((set(external_ids), tuple(content_types)))
        return {
            each: tuple(
                key
                for key, title in self.titles.items()
                if split_content_key(key)[1] in content_types and title.external_ids.get(each.name) == each.value
            )
            for each in external_ids
        }

    async def has_genre(self, genre: str) -> bool:
        return any(genre in map(fold_genre, each.genres) for each in self.titles.values())

    def _entry(self, key: bytes) -> CatalogueEntry:
        content_id, content_type = split_content_key(key)
        title = self.titles.get(key)
        content = f'{{"title":"{title.title}"}}' if title else "null"
        return CatalogueEntry(
            key=key,
            before=f'","contentId":"{content_id.hex()}","contentType":"{content_type}","addedAt":"'.encode(),
            after=f'","content":{content}}}'.encode(),
            refresh_at=title.refresh_at if title else 60.0,
            expires_at=2 * title.refresh_at if title else 120.0,
            exists_until=2 * title.refresh_at if title else -math.inf,
            title=title.title.casefold().encode() if title else None,
            released_at=title.released_at if title else None,
            genres=tuple(map(fold_genre, title.genres)) if title else (),
        )
