"""The interfaces that the use cases need: a list store, a list cache and a catalogue."""

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
    """The client of a request. `mylist.http.request.ApiRequest` knows what its client has."""

    def has(self, etag: str) -> bool:
        """Return whether the client already has the body of this ETag and wants the body only if the ETag changed."""


class ListCache(Protocol):
    """Users' lists, cached where possible; `mylist.cache.list_cache.ListCache` keeps them in Redis."""

    def read(self, user_id: str, *, max_items: int | None = None) -> Awaitable[tuple[PackedList, CacheResult]]:
        """Return a list with every change acknowledged before this call. It may be truncated after `max_items`."""

    def writing(self, user_id: str, *, max_items: int = 0) -> AbstractAsyncContextManager[int | None]:
        """Surround one change in the store; yields the number of items of the cached list, None without a cached list.

        Raises:
            ListFullError: the cached list already has `max_items` items (0: no maximum).
        """


class ListStore(Protocol):
    """Users' lists in a database; `mylist.mongodb.lists.ListStore` keeps them in MongoDB.

    Every method raises an `UnavailableError` if the database cannot do its work.
    """

    async def require_available(self) -> None:
        """Wait for a moment while the database is busy; raise an `UnavailableError` if it stays busy or is away."""

    def deadline(self) -> AbstractContextManager[None]:
        """Surround several operations, which share one deadline."""

    async def finish(self) -> None:
        """Wait for a moment until the work that follows changes is done."""

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
        """Return the remembered removals of these content ids that no later addition has undone."""

    async def insert(self, user_id: str, item: Item) -> None:
        """Add an item; raises `ItemAlreadyInListError`."""

    async def insert_many(self, user_id: str, items: Sequence[Item]) -> set[ContentId]:
        """Add items; returns the ids of those that were already on the list."""

    async def redate_many(self, user_id: str, items: Sequence[Item]) -> int:
        """Set the `added_at` of items that are on the list; returns how many of them are on it."""

    def removing(
        self, user_id: str, content_id: ContentId
    ) -> AbstractAsyncContextManager[Callable[[], Awaitable[None]]]:
        """Prepare the removal of an item; yields the function that removes it and may raise `ItemNotInListError`."""

    async def delete_many(self, user_id: str, items: Collection[Item]) -> int:
        """Remove items by content id; returns how many of them were on the list."""

    async def delete_seen(self, user_id: str, items: Collection[Item]) -> int:
        """Remove items unless they were removed and added again since; returns how many were removed."""

    async def listed(self, user_id: str, after: str, *, max_items: int) -> tuple[list[ListChange], str | None]:
        """Return the items after a content id, ordered by content id, and the last one's id if more follow."""

    async def changes(
        self, user_id: str, after: FeedPosition, *, max_changes: int
    ) -> tuple[list[ListChange], FeedPosition | None]:
        """Return changes after a position, oldest first, and the position of the last one if more follow."""

    async def clock(self) -> tuple[int, int]:
        """Return the database's time, and the watermark below which every change is readable; both in ms."""


class Catalogue(Protocol):
    """Movies and shows; `mylist.catalogue.catalogue.Catalogue` keeps them in the process.

    Attributes:
        title_order: names the sort order of titles; a position in one order is invalid in another.
        external_id_names: the registered names of external ids.
    """

    title_order: str
    external_id_names: Sequence[str]

    @property
    def clock(self) -> Callable[[], float]:
        """The clock of the entries, in monotonic seconds."""

    @property
    def cached(self) -> Mapping[bytes, CatalogueEntry]:
        """The entries that are in memory, by content key."""

    async def entries(self, records: bytes) -> tuple[list[CatalogueEntry], float]:
        """Return the entry of each record of a packed list, and when by `clock` they must be looked up again."""

    async def existing(self, keys: Iterable[bytes]) -> set[bytes]:
        """Return the content keys that have a movie or show."""

    async def resolve(
        self,
        external_ids: Collection[ExternalId],
        content_types: Collection[ContentType] = CONTENT_TYPES,
        *,
        even_old: bool = False,
    ) -> dict[ExternalId, tuple[bytes, ...]]:
        """Return, for each external id, the content keys of all titles of its types that have it.

        If the catalogue does not answer, `even_old` accepts outdated entries.
        """

    async def has_genre(self, genre: str) -> bool:
        """Return whether any movie or show has a genre; the genre must be casefolded."""
