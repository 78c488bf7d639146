"""Changing a list. Every change takes the same way: fence the cached list, write to the store, lift the fence."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager, suppress
from functools import wraps
from typing import Any, Concatenate, ParamSpec, TypeVar

from mylist.background import spawn
from mylist.domain.batch import Batch, BatchResult, MergeOutcome, batch_result, merge_outcomes
from mylist.domain.content import ContentId, ContentType, RequestedId, content_key
from mylist.domain.errors import (
    ContentNotFoundError,
    ItemAlreadyInListError,
    ItemNotInListError,
    ListFullError,
    PartlyAppliedError,
    ServiceError,
    UnavailableError,
)
from mylist.domain.item import Item
from mylist.domain.timestamps import now_ms
from mylist.lists.ports import Catalogue, ListCache, ListStore
from mylist.telemetry.metrics import MUTATIONS

_P = ParamSpec("_P")
_T = TypeVar("_T")

# An add competes with other clients that remove the same item: how often to try, and the pause in between.
_PUT_ATTEMPTS = 3
_PUT_PAUSE_S = 0.05


def _mutation(
    name: str,
) -> Callable[
    [Callable[Concatenate["ListWriter", _P], Coroutine[Any, Any, _T]]],
    Callable[Concatenate["ListWriter", _P], Coroutine[Any, Any, _T]],
]:
    """Make a method a change of a list: it is counted by its outcome, and runs to its end if its client disconnects.

    A change that was cancelled between its fence and the store would leave its outcome unknown.
    """

    def decorate(
        change: Callable[Concatenate["ListWriter", _P], Coroutine[Any, Any, _T]],
    ) -> Callable[Concatenate["ListWriter", _P], Coroutine[Any, Any, _T]]:
        async def count(self: "ListWriter", /, *arguments: _P.args, **options: _P.kwargs) -> _T:
            try:
                result = await change(self, *arguments, **options)
            except ServiceError as error:
                MUTATIONS.labels(name, error.code.lower()).inc()
                raise
            MUTATIONS.labels(name, "ok").inc()
            return result

        @wraps(change)
        async def run(self: "ListWriter", /, *arguments: _P.args, **options: _P.kwargs) -> _T:
            return await asyncio.shield(self.start(count(self, *arguments, **options)))

        return run

    return decorate


class ListWriter:
    """Changes users' lists. Every method raises an `UnavailableError` when a store that it needs is out of service.

    Args:
        store: the lists.
        cache: the cached lists.
        catalogue: the movies and shows.
        max_items: most items on a list; concurrent adds may exceed it by a few.
    """

    def __init__(self, store: ListStore, cache: ListCache, catalogue: Catalogue, *, max_items: int) -> None:
        self.max_items = max_items
        self._store = store
        self._cache = cache
        self._catalogue = catalogue
        self._in_flight: set[asyncio.Task[Any]] = set()

    def start(self, change: Coroutine[Any, Any, _T]) -> asyncio.Task[_T]:
        """Run a change as a task of its own, which `finish` waits for."""
        task = spawn(change)
        self._in_flight.add(task)
        task.add_done_callback(self._in_flight.discard)
        return task

    async def finish(self) -> None:
        """Wait until the changes in flight have ended."""
        if self._in_flight:
            await asyncio.wait(self._in_flight)

    @_mutation("add")
    async def add(self, user_id: str, requested: RequestedId, content_type: ContentType) -> Item:
        """Put a movie or show on a list.

        Raises:
            ContentNotFoundError: no movie or show of this type has the id.
            ItemAlreadyInListError: the id is on the list.
            ListFullError: the list has as many items as a list may have.
            OutcomeUnknownError: the store did not answer; the item may or may not be on the list.
        """
        text, content_id = requested
        if content_id is None or not await self._catalogue.existing([content_key(content_id, content_type)]):
            raise ContentNotFoundError(content_type, text)
        try:
            return await self._insert(user_id, content_id, content_type)
        except ListFullError:
            # A client that repeats the add that filled the list gets the same answer as on any other list.
            if await self._store.find(user_id, content_id):
                raise ItemAlreadyInListError from None
            raise

    async def _insert(self, user_id: str, content_id: ContentId, content_type: ContentType) -> Item:
        async with self._changing(user_id, max_items=self.max_items) as cached_items:
            await self._require_room(user_id, cached_items, to_insert=1)
            item = Item(now_ms(), content_id, content_type)
            await self._store.insert(user_id, item)
        return item

    @_mutation("remove")
    async def remove(self, user_id: str, requested: RequestedId) -> None:
        """Take an item off a list.

        Raises:
            ItemNotInListError: the id is not on the list.
            OutcomeUnknownError: the store did not answer; the item may or may not be on the list.
        """
        if requested.content_id is None:
            raise ItemNotInListError
        async with self._changing(user_id):
            await self._store.delete(user_id, requested.content_id)

    async def put(self, user_id: str, requested: RequestedId, content_type: ContentType) -> tuple[Item, bool]:
        """Ensure that a movie or show is on a list; return its item, and whether it is new.

        Raises what `add` raises, `ItemAlreadyInListError` only if the id is on the list
        with the other type, or other clients removed it as often as it was tried.
        """
        for _ in range(_PUT_ATTEMPTS):
            with suppress(ItemAlreadyInListError):
                return await self.add(user_id, requested, content_type), True
            item = requested.content_id and await self._store.find(user_id, requested.content_id)
            if item and item.content_type == content_type:
                return item, False
            # Another client has removed it, or its add is not readable yet.
            await asyncio.sleep(_PUT_PAUSE_S)
        raise ItemAlreadyInListError

    async def discard(self, user_id: str, requested: RequestedId) -> None:
        """Ensure that an item is not on a list.

        Raises:
            OutcomeUnknownError: the store did not answer; the item may or may not be on the list.
        """
        with suppress(ItemNotInListError):
            await self.remove(user_id, requested)

    @_mutation("batch")
    async def apply_batch(self, user_id: str, batch: Batch) -> BatchResult:
        """Remove and add many items behind one fence, removals first; return the outcome of each.

        Raises:
            ListFullError: the list would have more items than a list may have; nothing was changed.
            PartlyAppliedError: the removals were made; the store did not answer the additions.
            OutcomeUnknownError: the store did not answer; any part of the batch may have been done.
        """
        wanted, unwanted = batch.to_add(), batch.to_remove()
        known = await self._catalogue.existing(content_key(*each) for each in wanted.items())
        wanted = {each: kind for each, kind in wanted.items() if content_key(each, kind) in known}
        if not wanted and not unwanted:
            return batch_result(batch, set(), set(), set())
        async with self._changing(user_id) as cached_items:
            existing = await self._store.find_many(user_id, wanted.keys() | unwanted)
            now = now_ms()
            to_delete = existing & unwanted
            remaining = existing - to_delete
            to_insert = [Item(now, each, kind) for each, kind in wanted.items() if each not in remaining]
            await self._require_room(user_id, cached_items, to_insert=len(to_insert), to_delete=len(to_delete))
            duplicates = await self._delete_and_insert(user_id, to_delete, to_insert)
        return batch_result(batch, set(wanted), {item.content_id for item in to_insert} - duplicates, to_delete)

    @_mutation("clear")
    async def clear(self, user_id: str, only: set[ContentId] | None = None) -> int:
        """Take every item off a list, or only some ids; return how many items were removed.

        Raises:
            OutcomeUnknownError: the store did not answer; any of them may have been removed.
        """
        async with self._changing(user_id):
            if only is None:
                return await self._store.delete_all(user_id)
            return await self._store.delete_many(user_id, only)

    @_mutation("merge")
    async def merge(self, user_id: str, items: Sequence[Item], *, capped: bool) -> list[MergeOutcome]:
        """Put items on a list behind one fence, each with its own `added_at`; return the outcome of each, in order.

        Unless it is `capped`, the list may exceed the size that a list may have otherwise.

        Raises:
            OutcomeUnknownError: the store did not answer; any of them may have been added.
        """
        known = await self._catalogue.existing({content_key(each.content_id, each.content_type) for each in items})
        wanted: dict[ContentId, Item] = {}
        for item in items:
            if content_key(item.content_id, item.content_type) in known:
                wanted.setdefault(item.content_id, item)
        existing: set[ContentId] = set()
        to_insert: list[Item] = []
        if wanted:
            async with self._changing(user_id) as cached_items:
                existing = await self._store.find_many(user_id, wanted)
                to_insert = [item for item in wanted.values() if item.content_id not in existing]
                if capped and to_insert:
                    total = await self._count(user_id, cached_items, limit=self.max_items)
                    to_insert = to_insert[: max(self.max_items - total, 0)]
                if to_insert:
                    existing |= await self._store.insert_many(user_id, to_insert)
        return merge_outcomes(items, known, existing, {item.content_id for item in to_insert} - existing)

    async def content_ids(self, user_id: str) -> set[ContentId]:
        """Return the ids on a list by the store: what is to be removed must not be missing from a cached list."""
        return {item.content_id for item in await self._store.load(user_id)}

    async def _require_room(
        self, user_id: str, cached_items: int | None, *, to_insert: int, to_delete: int = 0
    ) -> None:
        if not to_insert:
            return
        max_before = self.max_items + to_delete - to_insert
        if max_before < 0 or await self._count(user_id, cached_items, limit=max_before + 1) > max_before:
            raise ListFullError(self.max_items)

    async def _count(self, user_id: str, cached_items: int | None, *, limit: int) -> int:
        return cached_items if cached_items is not None else await self._store.count(user_id, limit=limit)

    async def _delete_and_insert(
        self, user_id: str, to_delete: set[ContentId], to_insert: Sequence[Item]
    ) -> set[ContentId]:
        """Return the ids to insert that were on the list after all."""
        if to_delete:
            await self._store.delete_many(user_id, to_delete)
        try:
            return await self._store.insert_many(user_id, to_insert) if to_insert else set()
        except UnavailableError as error:
            if to_delete:
                raise PartlyAppliedError from error
            raise

    @asynccontextmanager
    async def _changing(self, user_id: str, *, max_items: int = 0) -> AsyncIterator[int | None]:
        """Surround the change of a list; yields how many items were cached, None without a cached list."""
        # A fence drops the cached list, so none is placed for a change that cannot be made.
        await self._store.require_available()
        async with self._cache.writing(user_id, max_items=max_items) as cached_items:
            with self._store.deadline():
                yield cached_items
