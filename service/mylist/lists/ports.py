"""What the use cases need of the outside: a list store, a list cache and a catalogue."""

from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from typing import Protocol

from mylist.domain.cache_result import CacheResult
from mylist.domain.catalogue_entry import CatalogueEntry
from mylist.domain.change_feed import FeedPosition, ListChange
from mylist.domain.content import CONTENT_TYPES, ContentId, ContentType
from mylist.domain.external_id import ExternalId
from mylist.domain.item import Item
from mylist.domain.packed_list import PackedList


class Client(Protocol):
    """Who asks; `mylist.http.request.ApiRequest` knows what its client has."""

    def has(self, etag: str) -> bool:
        """Return whether the client has the body of an ETag already, and asked only in case it is another."""


class ListCache(Protocol):
    """Users' lists, cached where possible; `mylist.cache.list_cache.ListCache` is the one on Redis."""

    def read(self, user_id: str, *, max_items: int | None = None) -> Awaitable[tuple[PackedList, CacheResult]]:
        """Return a list that shows every change acknowledged before this call; it may be cut after `max_items`."""

    def writing(self, user_id: str, *, max_items: int = 0) -> AbstractAsyncContextManager[int | None]:
        """Surround one change in the store; yields how many items were cached, None without a cached list.

        Raises:
            ListFullError: the cached list has `max_items` already (0: any number is fine).
        """


class ListStore(Protocol):
    """Users' lists in a database; `mylist.mongodb.lists.ListStore` is the one on MongoDB.

    Every method raises an `UnavailableError` when the database cannot serve it.
    """

    async def require_available(self) -> None:
        """Wait for a moment while the database is busy; raise an `UnavailableError` if it stays so or is away."""

    def deadline(self) -> AbstractContextManager[None]:
        """Surround several operations that share the deadline of one."""

    async def finish(self) -> None:
        """Wait for a moment until what is to be done after changes has been done."""

    async def count(self, user_id: str, *, limit: int) -> int:
        """Return the number of items, counted up to `limit`."""

    async def count_account(self, account: str, *, limit: int) -> int:
        """Return the number of items on the lists of an account and its profiles, counted up to `limit`."""

    async def load(self, user_id: str) -> list[Item]:
        """Return the items of a list, newest first."""

    async def find(self, user_id: str, content_id: ContentId) -> Item | None:
        """Return the item of a list with this content id."""

    async def find_many(self, user_id: str, content_ids: Iterable[ContentId]) -> list[Item]:
        """Return the items of a list with these content ids."""

    async def find_removals(self, user_id: str, content_ids: Iterable[ContentId]) -> list[ListChange]:
        """Return the removals of these content ids that are remembered and after which they were not added again."""

    async def insert(self, user_id: str, item: Item) -> None:
        """Add an item; raises `ItemAlreadyInListError`."""

    async def insert_many(self, user_id: str, items: Sequence[Item]) -> set[ContentId]:
        """Add items; returns the ids of those that were on the list."""

    async def redate_many(self, user_id: str, items: Sequence[Item]) -> int:
        """Give items that are on the list their `added_at`; returns how many are on it."""

    def removing(
        self, user_id: str, content_id: ContentId
    ) -> AbstractAsyncContextManager[Callable[[], Awaitable[None]]]:
        """Prepare the removal of an item; yields what removes it, which raises `ItemNotInListError`."""

    async def delete_many(self, user_id: str, items: Collection[Item]) -> int:
        """Remove items by their content ids; returns how many of them were on the list."""

    async def delete_seen(self, user_id: str, items: Collection[Item]) -> int:
        """Remove items unless they were removed and added again; returns how many were removed."""

    async def listed(self, user_id: str, after: str, *, max_items: int) -> tuple[list[ListChange], str | None]:
        """Return what is on a list after a content id, in their order, and the last one if more follow."""

    async def changes(
        self, user_id: str, after: FeedPosition, *, max_changes: int
    ) -> tuple[list[ListChange], FeedPosition | None]:
        """Return changes after a position, oldest first, and the position of the last one if more follow."""

    async def clock(self) -> tuple[int, int]:
        """Return the database's time, and the watermark below which every change is readable; both in ms."""


class Catalogue(Protocol):
    """Movies and shows; `mylist.catalogue.catalogue.Catalogue` is the one that keeps them in the process.

    Attributes:
        title_order: names the order of the entries' titles; a position in one order is none in another.
        external_id_names: the names of external ids that are registered.
    """

    title_order: str
    external_id_names: Sequence[str]

    @property
    def clock(self) -> Callable[[], float]:
        """What gives monotonic seconds, as the entries have them."""

    @property
    def cached(self) -> Mapping[bytes, CatalogueEntry]:
        """Some of the entries, by content key: those that are at hand."""

    async def entries(self, keys: Sequence[bytes]) -> tuple[list[CatalogueEntry], float]:
        """Return the entry of each content key, in order, and when by `clock` the first is due to be fetched again."""

    async def existing(self, keys: Iterable[bytes]) -> set[bytes]:
        """Return those of some content keys that have a movie or show."""

    async def resolve(
        self,
        external_ids: Collection[ExternalId],
        content_types: Collection[ContentType] = CONTENT_TYPES,
        *,
        even_old: bool = False,
    ) -> dict[ExternalId, tuple[bytes, ...]]:
        """Return the content keys of all titles of some types that have each of some external ids.

        What was known once will do if it can be had `even_old` and no other way.
        """

    async def has_genre(self, genre: str) -> bool:
        """Return whether a movie or show has a genre, given casefolded."""
