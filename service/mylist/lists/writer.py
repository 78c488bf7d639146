"""Changes lists. Every change takes the same steps: fence the cached list, write to the store, lift the fence."""

import asyncio
from collections.abc import AsyncIterator, Callable, Collection, Coroutine, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager, nullcontext, suppress
from dataclasses import dataclass
from functools import wraps
from typing import Any, Concatenate, ParamSpec, TypeVar
from weakref import WeakValueDictionary

from mylist.domain.batch import Batch, BatchResult, Merge, MergeOutcome, batch_result
from mylist.domain.conditions import UNCONDITIONAL, Conditions
from mylist.domain.content import ContentId, ContentType, RequestedId, content_key
from mylist.domain.errors import (
    AccountFullError,
    ContentNotFoundError,
    DatabaseBusyError,
    ItemAlreadyInListError,
    ItemNotInListError,
    ItemTakenError,
    ListFullError,
    PartlyAppliedError,
    PreconditionFailedError,
    RemovedSinceError,
    ServiceError,
    SyncTokenExpiredError,
    UnavailableError,
)
from mylist.domain.etags import etag_of
from mylist.domain.item import Item
from mylist.domain.packed_list import PackedList
from mylist.domain.timestamps import now_ms
from mylist.domain.user_id import account_of
from mylist.lists.change_feed import REMOVALS_KNOWN_MS
from mylist.lists.external_ids import find_title, find_titles
from mylist.lists.ports import Catalogue, ListCache, ListStore
from mylist.telemetry.metrics import MUTATIONS

_P = ParamSpec("_P")
_T = TypeVar("_T")

# Other clients may remove the item while `put` adds it: the number of attempts, and the pause between them.
_PUT_ATTEMPTS = 3
_PUT_PAUSE_S = 0.05
_LONG_AGO_MS = 0
"""Before every removal: the client knows of none."""
_MAX_REMOVED_AT_ONCE = 100
"""In items. The store can remove so many within its deadline, even the embedded server on a busy machine."""
_MAX_WAIT_FOR_OTHERS_S = 10.0
"""Maximum wait of a change that depends on the whole list for other changes of the same list."""


def _mutation(
    name: str,
) -> Callable[
    [Callable[Concatenate["ListWriter", _P], Coroutine[Any, Any, _T]]],
    Callable[Concatenate["ListWriter", _P], Coroutine[Any, Any, _T]],
]:
    """Make a method a change of a list: its outcome is counted, and it runs to its end even if the client disconnects.

    If a change were cancelled between the fence and the store, its outcome would be unknown.
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


@dataclass(slots=True)
class Room:
    """The number of items that a list may still get. An import of many parts counts it once.

    Attributes:
        left: the number; None before it was counted.
    """

    left: int | None = None


class ListWriter:
    """Changes users' lists. Every method raises an `UnavailableError` if a store that it needs is out of service.

    A method with `conditions` compares them with the list in the store before it changes anything. It raises a
    `PreconditionFailedError` if they are false.

    Args:
        store: the lists.
        cache: the cached lists.
        catalogue: the movies and shows.
        max_items: maximum number of items on a list; concurrent adds may exceed it by a few.
        max_account_items: maximum number of items on all lists of one account, which concurrent adds may also
            exceed by a few; 0 for no maximum and no query for it.
    """

    def __init__(
        self,
        store: ListStore,
        cache: ListCache,
        catalogue: Catalogue,
        *,
        max_items: int,
        max_account_items: int = 0,
    ) -> None:
        self.max_items = max_items
        self._max_account_items = max_account_items
        self._store = store
        self._cache = cache
        self._catalogue = catalogue
        self._in_flight: set[asyncio.Task[Any]] = set()
        self._turns: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    def start(self, change: Coroutine[Any, Any, _T]) -> asyncio.Task[_T]:
        """Run a change as a separate task. `finish` waits for it, and so does the caller, through `asyncio.shield`."""
        task = asyncio.create_task(change)
        self._in_flight.add(task)
        task.add_done_callback(self._end)
        return task

    def _end(self, task: asyncio.Task[Any]) -> None:
        self._in_flight.discard(task)
        if not task.cancelled():
            task.exception()  # its callers handle it; it is not logged if no caller awaits it any more

    async def finish(self) -> None:
        """Wait until the changes in flight have ended."""
        if self._in_flight:
            await asyncio.wait(self._in_flight)
        await self._store.finish()

    @asynccontextmanager
    async def alone(self, user_id: str) -> AsyncIterator[None]:
        """Surround a read of a list and the change that depends on it. Only one block per list runs in this process.

        Two clients that send the same ETag must not both find the list unchanged. And two replacements must not remove
        each other's items.

        Raises:
            DatabaseBusyError: other changes of the list take too long.
        """
        turn = self._turns.get(user_id)
        if turn is None:
            turn = self._turns[user_id] = asyncio.Lock()
        try:
            async with asyncio.timeout(_MAX_WAIT_FOR_OTHERS_S):
                await turn.acquire()
        except TimeoutError:
            raise DatabaseBusyError from None
        try:
            yield
        finally:
            turn.release()

    def _alone_if(self, user_id: str, conditions: Conditions) -> AbstractAsyncContextManager[None]:
        return self.alone(user_id) if conditions.name_etags else nullcontext()

    @_mutation("add")
    async def add(
        self,
        user_id: str,
        requested: RequestedId,
        content_type: ContentType,
        conditions: Conditions = UNCONDITIONAL,
    ) -> Item:
        """Put a movie or show on a list.

        Raises:
            InvalidExternalIdError: the id is an external id that is malformed or has an unregistered name.
            AmbiguousExternalIdError: the id is an external id that several titles of this type have.
            ContentNotFoundError: no movie or show of this type has the id.
            ItemAlreadyInListError: the id is on the list.
            ListFullError: the list has the maximum number of items.
            AccountFullError: the lists of the account together have the maximum number of items.
            SyncTokenExpiredError: the store has forgotten removals that the client does not know.
            OutcomeUnknownError: the store did not answer; the item may or may not be on the list.
        """
        text = requested.text
        content_id = requested.content_id or await self._title_of(requested, content_type)
        if content_id is None or not await self._exists(content_key(content_id, content_type)):
            raise ContentNotFoundError(content_type, text)
        async with self._alone_if(user_id, conditions):
            await self._require(user_id, content_id, conditions)
            try:
                return await self._insert(user_id, content_id, content_type, conditions)
            except (ListFullError, AccountFullError):
                # If a client repeats the add that filled the list, it gets the same answer as on any other list.
                if await self._store.find(user_id, content_id):
                    raise ItemAlreadyInListError from None
                raise

    async def _title_of(self, requested: RequestedId, content_type: ContentType | None = None) -> ContentId | None:
        """Return the content id of the title with an external id; None if no title has it, or without an external id.

        Raises:
            InvalidExternalIdError: the external id is malformed, or its name is not registered.
            AmbiguousExternalIdError: several titles have it.
        """
        return await find_title(self._catalogue, requested.text, content_type) if requested.is_external else None

    async def _exists(self, key: bytes) -> bool:
        """Return whether the movie or show of a content key exists."""
        catalogue = self._catalogue
        entry = catalogue.cached.get(key)
        if entry and catalogue.clock() < entry.exists_until:
            return True
        return bool(await catalogue.existing([key]))

    async def _insert(
        self, user_id: str, content_id: ContentId, content_type: ContentType, conditions: Conditions
    ) -> Item:
        known_removals = await self._known_removals(user_id, [content_id], conditions)
        await self.require_account_room(user_id, more=1)
        async with self._changing(user_id, max_items=self.max_items) as cached_items:
            await self._require_room(user_id, cached_items, to_insert=1)
            if await self._removed_since(user_id, known_removals):
                raise ItemTakenError if conditions.only_if_absent else RemovedSinceError
            item = Item(now_ms(), content_id, content_type)
            try:
                await self._store.insert(user_id, item)
            except ItemAlreadyInListError:
                if conditions.only_if_absent:
                    raise ItemTakenError from None
                raise
        return item

    @_mutation("remove")
    async def remove(self, user_id: str, requested: RequestedId, conditions: Conditions = UNCONDITIONAL) -> None:
        """Take an item off a list.

        Raises:
            InvalidExternalIdError: the id is an external id that is malformed or has an unregistered name.
            AmbiguousExternalIdError: the id is an external id that several titles have.
            ItemNotInListError: the id is not on the list.
            OutcomeUnknownError: the store did not answer; the item may or may not be on the list.
        """
        content_id = requested.content_id or await self._title_of(requested)
        async with self._alone_if(user_id, conditions):
            seen = await self._require(user_id, content_id, conditions)
            if content_id is None:
                raise ItemNotInListError
            if seen is None:
                async with self._store.removing(user_id, content_id) as remove, self._changing(user_id):
                    await remove()
            elif items := [each for each in seen if each.content_id == content_id]:
                if not await self._remove_seen(user_id, items):
                    raise PreconditionFailedError
            else:
                raise ItemNotInListError

    async def put(
        self,
        user_id: str,
        requested: RequestedId,
        content_type: ContentType,
        conditions: Conditions = UNCONDITIONAL,
    ) -> tuple[Item, bool]:
        """Ensure that a movie or show is on a list; return its item, and whether it is new.

        Raises what `add` raises. `ItemAlreadyInListError` means that the id is on the list with the other type, or that
        other clients removed the item after every attempt.
        """
        for _ in range(_PUT_ATTEMPTS):
            with suppress(ItemAlreadyInListError):
                return await self.add(user_id, requested, content_type, conditions), True
            content_id = requested.content_id or await self._title_of(requested, content_type)
            item = content_id and await self._store.find(user_id, content_id)
            if item and item.content_type == content_type:
                return item, False
            # Another client has removed the item, or the add of another client is not readable yet.
            await asyncio.sleep(_PUT_PAUSE_S)
        raise ItemAlreadyInListError

    async def discard(self, user_id: str, requested: RequestedId, conditions: Conditions = UNCONDITIONAL) -> None:
        """Ensure that an item is not on a list.

        Raises:
            InvalidExternalIdError: the id is an external id that is malformed or has an unregistered name.
            AmbiguousExternalIdError: the id is an external id that several titles have.
            OutcomeUnknownError: the store did not answer; the item may or may not be on the list.
        """
        with suppress(ItemNotInListError):
            await self.remove(user_id, requested, conditions)

    @_mutation("batch")
    async def apply_batch(self, user_id: str, batch: Batch, conditions: Conditions = UNCONDITIONAL) -> BatchResult:
        """Remove and add many items behind one fence, removals first; return the outcome of each.

        The added items are in the order of the batch, the first on top.

        Raises:
            InvalidExternalIdError: an external id is malformed, or its name is not registered; nothing was changed.
            ListFullError: the list would exceed the maximum number of items; nothing was changed.
            AccountFullError: the lists of the account would together exceed their maximum; nothing was changed.
            SyncTokenExpiredError: the store has forgotten removals that the client does not know; nothing was changed.
            PartlyAppliedError: the items were removed, but the store did not answer the additions.
            OutcomeUnknownError: the store did not answer; any part of the batch may have been applied.
        """
        if external_ids := batch.external_ids:
            batch = batch.with_titles(await find_titles(self._catalogue, external_ids))
        async with self._alone_if(user_id, conditions):
            return await self._apply_batch(user_id, batch, conditions)

    async def _apply_batch(self, user_id: str, batch: Batch, conditions: Conditions) -> BatchResult:
        seen = set(await self.snapshot(user_id, conditions)) if conditions.are_of_list else None
        wanted, unwanted = batch.to_add(), batch.to_remove()
        known = await self._catalogue.existing(content_key(*each) for each in wanted.items())
        wanted = {each: kind for each, kind in wanted.items() if content_key(each, kind) in known}
        if not wanted and not unwanted:
            return batch_result(batch, set(), set(), set())
        known_removals = await self._known_removals(user_id, wanted, conditions)
        async with self._changing(user_id) as cached_items:
            existing = await self._store.find_many(user_id, wanted.keys() | unwanted)
            to_delete = [each for each in existing if each.content_id in unwanted and (seen is None or each in seen)]
            deleted = {each.content_id for each in to_delete}
            remaining = {each.content_id for each in existing} - deleted
            new = [(each, kind) for each, kind in wanted.items() if each not in remaining]
            # Counted down from the present, so that the next added item goes on top of them.
            now = now_ms()
            to_insert = [Item(now - place, *each) for place, each in enumerate(new)]
            await self._require_room(user_id, cached_items, to_insert=len(to_insert), to_delete=len(to_delete))
            await self.require_account_room(user_id, more=len(to_insert) - len(to_delete))
            # Items that this batch removes are still on the list, so they do not count as removed.
            removed_since = await self._removed_since(user_id, known_removals)
            to_insert = [item for item in to_insert if item.content_id not in removed_since]
            if to_delete:
                await self._delete(user_id, to_delete, only_as_seen=seen is not None)
            with _partly_applied("the removals took effect, the additions may or may not", when=bool(to_delete)):
                duplicates = await self._store.insert_many(user_id, to_insert) if to_insert else set()
        inserted = {item.content_id for item in to_insert} - duplicates
        return batch_result(batch, set(wanted), inserted, deleted, removed_since)

    @_mutation("clear")
    async def clear(
        self, user_id: str, only: Collection[Item] | None = None, conditions: Conditions = UNCONDITIONAL
    ) -> int:
        """Remove all items of a list, or only those that were seen on it; return how many items were removed.

        A long list is cleared in parts. Items that are added meanwhile stay.

        Raises:
            PartlyAppliedError: some items were removed; the store did not answer the removal of others.
            OutcomeUnknownError: the store did not answer; any of the items may have been removed.
        """
        if only is not None:
            return await self._remove_seen(user_id, only)
        if conditions.are_of_list:
            async with self.alone(user_id):
                return await self._remove_seen(user_id, await self.snapshot(user_id, conditions))
        return await self._remove_seen(user_id, await self.snapshot(user_id))

    @_mutation("merge")
    async def merge(
        self,
        user_id: str,
        items: Sequence[Item],
        *,
        room: "Room | None" = None,
        redated: Collection[ContentId] = (),
        conditions: Conditions = UNCONDITIONAL,
    ) -> list[MergeOutcome]:
        """Add items behind one fence, each with its own `added_at`; return the outcome of each, in order.

        Args:
            user_id: whose list.
            items: the items; the first item of each content id counts.
            room: the number of items that the list may still get, as far as known; None for no maximum.
            redated: the ids of the items that get their `added_at` even if they are already on the list.
            conditions: only `unless_removed_since` and `If-None-Match: *` are used here.

        Raises:
            SyncTokenExpiredError: the store has forgotten removals that the client does not know; nothing was changed.
            PartlyAppliedError: dates were changed; the store did not answer the additions.
            OutcomeUnknownError: the store did not answer; any of the items may have been added.
        """
        known = await self._catalogue.existing({content_key(each.content_id, each.content_type) for each in items})
        wanted: dict[ContentId, Item] = {}
        for item in items:
            if content_key(item.content_id, item.content_type) in known:
                wanted.setdefault(item.content_id, item)
        if not wanted:
            return Merge(known).outcomes(items)
        known_removals = await self._known_removals(user_id, wanted, conditions)
        async with self._changing(user_id) as cached_items:
            if room and room.left is None:
                room.left = self.max_items - await self._count(user_id, cached_items, limit=self.max_items)
                if limit := self._max_account_items:
                    on_account = await self._store.count_account(account_of(user_id), limit=limit)
                    room.left = min(room.left, limit - on_account)
            existing: dict[ContentId, Item] = {}
            if redated or (room and room.left is not None and room.left < len(wanted)):
                # Otherwise the store reports the existing items when all are added.
                existing = {each.content_id: each for each in await self._store.find_many(user_id, wanted)}
            to_redate = [wanted[each] for each in redated if _has_another_date(wanted.get(each), existing.get(each))]
            dated = await self._redate(user_id, to_redate)
            with _partly_applied("the dates took effect, the additions may or may not", when=bool(to_redate)):
                removed_since = await self._removed_since(user_id, known_removals)
                absent = wanted.keys() - existing.keys() - removed_since
                to_insert = [item for content_id, item in wanted.items() if content_id in absent]
                if room and room.left is not None:
                    to_insert = to_insert[: max(room.left, 0)]
                duplicates = await self._store.insert_many(user_id, to_insert) if to_insert else set()
            added = {item.content_id for item in to_insert} - duplicates
            if room and room.left is not None:
                room.left -= len(added)
        return Merge(
            known,
            existing=existing.keys() | duplicates,
            added=added,
            dated=dated,
            removed_since=removed_since,
        ).outcomes(items)

    async def can_add_any(self, user_id: str, items: Collection[Item], conditions: Conditions = UNCONDITIONAL) -> bool:
        """Return whether any of these items could be added to a list.

        The movie or show must exist, and must not have been removed since `unless_removed_since`.

        Raises:
            SyncTokenExpiredError: the store has forgotten removals that the client does not know.
        """
        known = await self._catalogue.existing({content_key(each.content_id, each.content_type) for each in items})
        addable = {each.content_id for each in items if content_key(each.content_id, each.content_type) in known}
        known_removals = await self._known_removals(user_id, addable, conditions)
        return bool(addable - await self._removed_since(user_id, known_removals))

    async def snapshot(self, user_id: str, conditions: Conditions = UNCONDITIONAL) -> list[Item]:
        """Return the items of a list from the store, newest first, if the list meets the conditions.

        A cached list is not sufficient: it may lack an item that must be removed.
        """
        items = await self._store.load(user_id)
        if conditions.are_of_list:
            conditions.require(etag_of(PackedList.of(items).data))
        return items

    async def _require(
        self, user_id: str, content_id: ContentId | None, conditions: Conditions
    ) -> Sequence[Item] | None:
        """Compare the conditions of a request about an item with the list.

        Return the items that were compared: the whole list if a condition has an ETag, else the one item if it is on
        the list. Return None without conditions.

        Raises:
            PreconditionFailedError: a condition is false.
        """
        if not conditions.are_of_list:
            return None
        etag = ""
        if conditions.name_etags:
            seen = await self._store.load(user_id)
            etag = etag_of(PackedList.of(seen).data)
        else:
            item = await self._store.find(user_id, content_id) if content_id else None
            seen = [item] if item else []
        exists = any(each.content_id == content_id for each in seen)
        if exists and conditions.only_if_absent:
            raise ItemTakenError
        conditions.require(etag, exists=exists)
        return seen

    async def _known_removals(
        self, user_id: str, content_ids: Iterable[ContentId], conditions: Conditions
    ) -> dict[ContentId, int]:
        """Return, for each id, the time up to which the client knows its removals; empty without such a condition.

        Raises:
            SyncTokenExpiredError: the store has forgotten removals that the client does not know.
        """
        if conditions.only_if_absent:
            return dict.fromkeys(content_ids, _LONG_AGO_MS)
        state = conditions.unless_removed_since
        if state is None:
            return {}
        if state.oldest_needed <= now_ms() - REMOVALS_KNOWN_MS:
            raise SyncTokenExpiredError
        known = dict.fromkeys(content_ids, state.oldest_needed)
        if state.delivered:
            for each in await self._store.find_removals(user_id, known):
                if each.delivered in state.delivered:
                    known[each.content_id] = max(each.changed_at, state.oldest_needed)
        return known

    async def _redate(self, user_id: str, items: Sequence[Item]) -> set[ContentId]:
        """Set the dates of items on a list; return the ids of the items that now have them.

        Another client may have removed some of them meanwhile.
        """
        content_ids = {each.content_id for each in items}
        if not items or await self._store.redate_many(user_id, items) == len(items):
            return content_ids
        with _partly_applied("the dates took effect, the additions did not", when=True):
            return {each.content_id for each in await self._store.find_many(user_id, content_ids) if each in items}

    async def _removed_since(self, user_id: str, known_removals: Mapping[ContentId, int]) -> set[ContentId]:
        """Return the ids that were removed after the time that the client knows, and are not on the list."""
        if not known_removals:
            return set()
        removals = await self._store.find_removals(user_id, known_removals)
        return {each.content_id for each in removals if each.changed_at > known_removals[each.content_id]}

    async def _remove_seen(self, user_id: str, items: Collection[Item]) -> int:
        """Remove items as they were seen. An item that was added since stays, even if it has the same id."""
        removed, seen = 0, list(items)
        for start in range(0, len(seen), _MAX_REMOVED_AT_ONCE):
            part = seen[start : start + _MAX_REMOVED_AT_ONCE]
            with _partly_applied("some items were removed, others may or may not be", when=removed > 0):
                async with self._changing(user_id):
                    removed += await self._store.delete_seen(user_id, part)
        return removed

    async def _require_room(
        self, user_id: str, cached_items: int | None, *, to_insert: int, to_delete: int = 0
    ) -> None:
        if not to_insert:
            return
        max_before = self.max_items + to_delete - to_insert
        if max_before < 0 or await self._count(user_id, cached_items, limit=max_before + 1) > max_before:
            raise ListFullError(self.max_items)

    async def require_account_room(self, user_id: str, *, more: int) -> None:
        """Check that the lists of a user's account may get this many more items.

        Raises:
            AccountFullError: the lists would exceed their maximum.
        """
        limit = self._max_account_items
        if not limit or more <= 0:
            return
        max_before = limit - more
        if max_before < 0 or await self._store.count_account(account_of(user_id), limit=max_before + 1) > max_before:
            raise AccountFullError(limit)

    async def _count(self, user_id: str, cached_items: int | None, *, limit: int) -> int:
        return cached_items if cached_items is not None else await self._store.count(user_id, limit=limit)

    async def _delete(self, user_id: str, items: Collection[Item], *, only_as_seen: bool) -> None:
        if only_as_seen:
            await self._store.delete_seen(user_id, items)
        else:
            await self._store.delete_many(user_id, items)

    @asynccontextmanager
    async def _changing(self, user_id: str, *, max_items: int = 0) -> AsyncIterator[int | None]:
        """Surround the change of a list; yields the number of items of the cached list, None without a cached list."""
        # A fence drops the cached list: fence only a change that can be made.
        await self._store.require_available()
        async with self._cache.writing(user_id, max_items=max_items) as cached_items:
            with self._store.deadline():
                yield cached_items


def _has_another_date(wanted: Item | None, existing: Item | None) -> bool:
    if wanted is None or existing is None or wanted.content_type != existing.content_type:
        return False
    return wanted.added_at != existing.added_at


@contextmanager
def _partly_applied(what: str, *, when: bool) -> Iterator[None]:
    """Turn a failure of the store into one that says what took effect before it, `when` something did.

    Raises:
        PartlyAppliedError: the store failed within the block.
    """
    try:
        yield
    except UnavailableError as error:
        if when:
            raise PartlyAppliedError(what) from error
        raise
