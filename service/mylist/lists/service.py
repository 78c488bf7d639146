"""The rules: what reading and changing a list means."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Coroutine, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

from mylist import metrics
from mylist.cache.list_cache import CacheResult, ListCache
from mylist.catalogue.catalogue import Catalogue, Entry
from mylist.errors import (
    ContentNotFoundError,
    InvalidParameterError,
    ItemAlreadyInListError,
    ItemNotInListError,
    ListFullError,
    PartlyAppliedError,
    SyncTokenExpiredError,
    UnavailableError,
)
from mylist.lists.arrangement import (
    GENRE_FORM,
    SLICE,
    Arrangement,
    Excerpt,
    Position,
    Record,
    arrange,
    first_after,
    position_of,
    records_of,
)
from mylist.lists.batch import Batch, MergeOutcome, Outcomes, merge_outcomes, outcomes
from mylist.lists.changes import Change, Progress, from_the_beginning
from mylist.lists.item import ContentType, Item, parse_content_id, to_milliseconds
from mylist.lists.value import ListValue, content_key
from mylist.store.connection import Database
from mylist.store.lists import RETENTION, ListStore
from mylist.tasks import start

_T = TypeVar("_T")

# From so many items on a list is read as a whole: whoever asks for page 1,000,000,000 shall not have to be counted for.
_LONG = 10_000
# How often it is tried to put an item that somebody else takes off again each time, and the seconds in between.
_ATTEMPTS = 3
_PAUSE = 0.05
# How long somebody who learns nothing new is left where they are, in milliseconds.
_KEPT_FOR = timedelta(hours=1) // timedelta(milliseconds=1)
# For how long a removal is sure to be known, in milliseconds: one that is about to be forgotten may be so in between.
_KNOWN_FOR = (RETENTION - timedelta(minutes=1)) // timedelta(milliseconds=1)


class Lists:
    """Users' lists.

    Every method raises an `UnavailableError` when what it needs is out of service.

    Args:
        database: MongoDB.
        store: the lists in MongoDB.
        cache: the lists in Redis.
        catalogue: the movies and shows.
        max_items: most items on a list; a soft cap, which adds at the same moment may pass.
    """

    def __init__(
        self, database: Database, store: ListStore, cache: ListCache, catalogue: Catalogue, *, max_items: int
    ) -> None:
        self._database = database
        self._store = store
        self._cache = cache
        self._catalogue = catalogue
        self._max_items = max_items
        self._changes: set[asyncio.Task[Any]] = set()

    def read(self, user_id: str, *, first: int) -> Awaitable[tuple[ListValue, CacheResult]]:
        """Reads a list, which may be cut after its `first` items, and says how the cache took part."""
        return self._cache.read(user_id, first=first if first < _LONG else None)

    async def whole(self, user_id: str) -> tuple[ListValue, CacheResult]:
        """Reads a whole list, however long it is, and says how the cache took part."""
        return await self._cache.read(user_id)

    async def content_ids(self, user_id: str) -> set[bytes]:
        """Gives what is on a list by MongoDB itself: what is to be removed must not be missing from a cached list."""
        return {item.content_id for item in await self._store.load(user_id)}

    async def contents(self, value: ListValue, page: int, page_size: int) -> list[tuple[int, Entry]]:
        """Gives when each item of a page was added (milliseconds since 1970 UTC), and what it is; newest first.

        `page` counts from 1, and one past the end is empty.
        """
        records = value.page(page, page_size)
        entries = await self._catalogue.entries([key for _, key in records])
        return [(added_at, entry) for (added_at, _), entry in zip(records, entries, strict=True)]

    async def changes(self, user_id: str, known: Progress | None, *, most: int) -> tuple[list[Change], Progress]:
        """Gives what changed on a list since somebody knew it, oldest first, and how far they know it then.

        To somebody who knows nothing (None), what is on the list. With more than `most` changes, the rest comes next.

        Raises:
            SyncTokenExpiredError: what was removed since is not known any more.
        """
        now, settled = await self._store.clock()
        if known and known.needs <= now - _KNOWN_FOR:
            raise SyncTokenExpiredError
        progress = known.begin(settled) if known else from_the_beginning(settled)
        found, end = await self._store.changes(
            user_id, progress.after, removals_after=progress.settled if progress.first else None, most=most
        )
        new = [change for change in found if change.told not in progress.told]
        if known and not known.at and not new and not end and settled - known.settled < _KEPT_FOR:
            # As long as nothing happens, the answer is the same, and a client that has it is told so.
            return new, known
        return new, progress.advance(new, end)

    async def select(
        self, value: ListValue, arrangement: Arrangement, after: int | Position, most: int, *, ids_only: bool
    ) -> Excerpt:
        """Gives a part of a whole list in some order.

        Args:
            value: the list.
            arrangement: which items, and in which order.
            after: how many items it passes over, or the position after which it begins.
            most: how many items it has at most.
            ids_only: whether it is without the movies and shows.

        Raises:
            InvalidParameterError: there is no such genre.
        """
        if arrangement.genre is not None and not await self._catalogue.has_genre(arrangement.genre):
            raise InvalidParameterError("genre", GENRE_FORM)
        records = await records_of(value, arrangement.content_type)
        entries = await self._entries(records) if arrangement.needs_contents else None
        places = await arrange(arrangement, records, entries)
        first = first_after(places, after) if isinstance(after, Position) else after
        chosen = places[first : first + most]
        items = [records[number] for _, _, number in chosen]
        contents = None
        if entries is not None:
            contents = [entries[number] for _, _, number in chosen]
        elif not ids_only:
            contents = entries = await self._catalogue.entries([key for _, key in items])
        return Excerpt(
            items,
            None if ids_only else contents,
            total=len(places),
            last=position_of(chosen[-1]) if chosen and first + most < len(places) else None,
            fresh_until=min((entry.refresh_at for entry in entries or ()), default=float("inf")),
        )

    async def add(self, user_id: str, content_id: str, content_type: ContentType) -> Item:
        """Puts a movie or show on a list.

        Raises:
            ContentNotFoundError: there is none of this id.
            ItemAlreadyInListError: the list has it.
            ListFullError: the list has as many items as it may have.
            OutcomeUnknownError: MongoDB did not answer; it may be on the list or not.
        """
        return await self._to_the_end(self._add(user_id, content_id, content_type))

    async def remove(self, user_id: str, content_id: str) -> None:
        """Takes an item off a list.

        Raises:
            ItemNotInListError: the list does not have it.
            OutcomeUnknownError: MongoDB did not answer; it may be on the list or not.
        """
        await self._to_the_end(self._remove(user_id, content_id))

    async def put(self, user_id: str, content_id: str, content_type: ContentType) -> tuple[Item, bool]:
        """Sees to it that a movie or show is on a list; gives its entry, and whether it is new.

        Raises what `add` raises, `ItemAlreadyInListError` if the list has it as something of the other type.
        """
        for _ in range(_ATTEMPTS):
            with suppress(ItemAlreadyInListError):
                return await self.add(user_id, content_id, content_type), True
            parsed = parse_content_id(content_id)
            item = parsed and await self._store.find(user_id, parsed)
            if item and item.content_type == content_type:
                return item, False
            # Taken off the list meanwhile, or put there by a change that is still under way.
            await asyncio.sleep(_PAUSE)
        raise ItemAlreadyInListError

    async def discard(self, user_id: str, content_id: str) -> None:
        """Sees to it that an item is not on a list.

        Raises:
            OutcomeUnknownError: MongoDB did not answer; it may be on the list or not.
        """
        with suppress(ItemNotInListError):
            await self.remove(user_id, content_id)

    async def change(self, user_id: str, batch: Batch) -> Outcomes:
        """Adds and removes many items behind one fence, removals first; says what became of each.

        Raises:
            ListFullError: the list would have more items than it may; nothing was changed.
            PartlyAppliedError: the removals were made; MongoDB did not answer the additions.
            OutcomeUnknownError: MongoDB did not answer; anything of it may have been done or not.
        """
        return await self._to_the_end(self._change(user_id, batch))

    async def clear(self, user_id: str, only: set[bytes] | None = None) -> int:
        """Takes everything off a list, or only some content ids (12 bytes); gives how many items that were.

        Raises:
            OutcomeUnknownError: MongoDB did not answer; any of them may have been removed.
        """
        return await self._to_the_end(self._clear(user_id, only))

    async def merge(self, user_id: str, items: Sequence[Item], *, capped: bool) -> list[MergeOutcome]:
        """Puts items on a list behind one fence, each as of its own moment; says what became of each, in their order.

        Unless it is `capped`, the list may have more items afterwards than it may have otherwise.

        Raises:
            OutcomeUnknownError: MongoDB did not answer; any of them may have been added.
        """
        return await self._to_the_end(self._merge(user_id, items, capped=capped))

    async def finish(self) -> None:
        """Waits until the changes under way have ended."""
        if self._changes:
            await asyncio.wait(self._changes)

    async def _entries(self, records: Sequence[Record]) -> list[Entry]:
        entries: list[Entry] = []
        for first in range(0, len(records), SLICE):
            entries += await self._catalogue.entries([key for _, key in records[first : first + SLICE]])
            await asyncio.sleep(0)
        return entries

    async def _add(self, user_id: str, content_id: str, content_type: ContentType) -> Item:
        with metrics.mutation("add"):
            parsed = parse_content_id(content_id)
            if parsed is None or not await self._catalogue.existing([content_key(parsed, content_type)]):
                raise ContentNotFoundError(content_type, content_id)
            try:
                return await self._insert(user_id, parsed, content_type)
            except ListFullError:
                # Whoever repeats the add that filled the list is told the same as on any other list.
                if await self._store.find(user_id, parsed):
                    raise ItemAlreadyInListError from None
                raise

    async def _insert(self, user_id: str, content_id: bytes, content_type: ContentType) -> Item:
        async with self._changing(user_id, most_items=self._max_items) as cached:
            await self._require_room(user_id, cached, coming=1)
            item = Item(to_milliseconds(datetime.now(UTC)), content_id, content_type)
            await self._store.insert(user_id, item)
        return item

    async def _remove(self, user_id: str, content_id: str) -> None:
        with metrics.mutation("remove"):
            parsed = parse_content_id(content_id)
            if parsed is None:
                raise ItemNotInListError
            async with self._changing(user_id):
                await self._store.delete(user_id, parsed)

    async def _change(self, user_id: str, batch: Batch) -> Outcomes:
        with metrics.mutation("batch"):
            wanted, unwanted = batch.wanted(), batch.unwanted()
            known = await self._catalogue.existing(content_key(*each) for each in wanted.items())
            wanted = {each: kind for each, kind in wanted.items() if content_key(each, kind) in known}
            if not wanted and not unwanted:
                return outcomes(batch, set(), set(), set())
            async with self._changing(user_id) as cached:
                there = await self._store.find_many(user_id, wanted.keys() | unwanted)
                now = to_milliseconds(datetime.now(UTC))
                going = there & unwanted
                staying = there - going
                coming = [Item(now, each, kind) for each, kind in wanted.items() if each not in staying]
                await self._require_room(user_id, cached, coming=len(coming), going=len(going))
                already = await self._apply(user_id, coming, going)
            return outcomes(batch, set(wanted), {item.content_id for item in coming} - already, going)

    async def _clear(self, user_id: str, only: set[bytes] | None) -> int:
        with metrics.mutation("clear"):
            async with self._changing(user_id):
                if only is None:
                    return await self._store.delete_all(user_id)
                return await self._store.delete_many(user_id, only)

    async def _merge(self, user_id: str, items: Sequence[Item], *, capped: bool) -> list[MergeOutcome]:
        with metrics.mutation("merge"):
            known = await self._catalogue.existing({content_key(each.content_id, each.content_type) for each in items})
            wanted: dict[bytes, Item] = {}
            for item in items:
                if content_key(item.content_id, item.content_type) in known:
                    wanted.setdefault(item.content_id, item)
            there: set[bytes] = set()
            coming: list[Item] = []
            if wanted:
                async with self._changing(user_id) as cached:
                    there = await self._store.find_many(user_id, wanted)
                    coming = [item for item in wanted.values() if item.content_id not in there]
                    if capped and coming:
                        held = cached if cached is not None else await self._store.count(user_id, limit=self._max_items)
                        coming = coming[: max(self._max_items - held, 0)]
                    if coming:
                        there |= await self._store.insert_many(user_id, coming)
            return merge_outcomes(items, known, there, {item.content_id for item in coming} - there)

    async def _require_room(self, user_id: str, cached: int | None, *, coming: int, going: int = 0) -> None:
        most = self._max_items + going - coming
        if not coming:
            return
        if most >= 0:
            held = cached if cached is not None else await self._store.count(user_id, limit=most + 1)
            if held <= most:
                return
        raise ListFullError(self._max_items)

    async def _apply(self, user_id: str, coming: Sequence[Item], going: set[bytes]) -> set[bytes]:
        if going:
            await self._store.delete_many(user_id, going)
        try:
            return await self._store.insert_many(user_id, coming) if coming else set()
        except UnavailableError as error:
            if going:
                raise PartlyAppliedError from error
            raise

    @asynccontextmanager
    async def _changing(self, user_id: str, *, most_items: int = 0) -> AsyncIterator[int | None]:
        # A fence drops the cached list, so none is placed for a change that cannot be made.
        self._database.require()
        async with self._cache.writing(user_id, most_items=most_items) as cached:
            with self._database.deadline():
                yield cached

    async def _to_the_end(self, change: Coroutine[Any, Any, _T]) -> _T:
        # A client that goes away must not leave a change between its fence and MongoDB.
        task = start(change)
        self._changes.add(task)
        task.add_done_callback(self._changes.discard)
        return await asyncio.shield(task)
