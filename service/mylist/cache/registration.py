"""Keeps this process in the registry of processes: reads it, heeds the others, and declares what this process does."""

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress
from typing import Protocol

from mylist.cache.health import RedisHealth
from mylist.domain.process_registry import CacheAgreement, Registry, RegistryChange

REGISTRY_INTERVAL_S = 0.5
"""Pause between two readings of the registry."""
_UNSETTLED_INTERVAL_S = 0.1
"""The same, while other processes have yet to heed a declaration of this process."""
_SHOWN_HOSTS = 3

_logger = logging.getLogger(__name__)


class RegistryStore(Protocol):
    """The store of the registry. Each coroutine raises `DatabaseUnavailableError` if the store is away."""

    async def read(self) -> Registry:
        """Return the registry; an empty one if the store has none."""

    async def change(self, change: RegistryChange) -> Registry | None:
        """Make a change. Return the registry right after it, None if the conditions of the change were false."""


class Registration:
    """The entry of this process.

    Args:
        store: the store of the registry.
        agreement: records each reading, and knows which change is due.
        health: knows the state of Redis, and acts on the readings.
        strict: whether this process must never write without a fence.
        clock: monotonic seconds.
    """

    def __init__(
        self,
        store: RegistryStore,
        agreement: CacheAgreement,
        health: RedisHealth,
        *,
        strict: bool,
        clock: Callable[[], float],
    ) -> None:
        self._store = store
        self._agreement = agreement
        self._health = health
        self._strict = strict
        self._clock = clock
        self._changed = asyncio.Event()
        self._shown: tuple[frozenset[str], frozenset[str]] = frozenset(), frozenset()
        agreement.is_kept = True
        health.note_changed = self._changed.set

    async def pause(self) -> None:
        """Wait until the registry must be read again: a short time while others have yet to heed a declaration."""
        with suppress(TimeoutError):
            await asyncio.wait_for(
                self._changed.wait(), REGISTRY_INTERVAL_S if self._agreement.is_settled else _UNSETTLED_INTERVAL_S
            )

    async def renew(self) -> None:
        """Make the change that is due, and heed the registry as it is then. Only read it if no change is due.

        Raises:
            DatabaseUnavailableError: the registry could not be read, or the outcome of the change is unknown.
        """
        self._changed.clear()
        if self._agreement.is_registered and await self._change_what_is_due():
            return
        began = self._clock()
        self._agreement.take(await self._store.read(), began)
        self._heed()
        await self._change_what_is_due()

    async def leave(self) -> None:
        """Remove the entry of this process. If it owes an invalidation, also discard all cached lists.

        Raises:
            DatabaseUnavailableError: the entry may still be there; the other processes will remove it.
        """
        owes = bool(self._health.pending)
        self._agreement.take(await self._store.read(), self._clock())
        change = self._agreement.leaving(owes=owes)
        if change is not None:
            await self._store.change(change)

    async def _change_what_is_due(self) -> bool:
        """Return whether a change was made."""
        unfenced = frozenset[str]() if self._strict else self._health.unfenced
        change = self._agreement.next_change(self._health.identity, unfenced)
        if change is None:
            return False
        sent = self._clock()
        registry = await self._store.change(change)
        if registry is None:  # another process has changed the same part of the registry
            self._changed.set()
            return False
        self._agreement.take_changed(change, registry, sent)
        self._heed()
        return True

    def _heed(self) -> None:
        self._health.heed()
        self._tell()

    def _tell(self) -> None:
        unfenced, elsewhere = self._agreement.unfenced_hosts, self._agreement.elsewhere
        if self._health.unfenced:  # Redis is away for this process too; that has been logged
            unfenced = frozenset()
        if (unfenced, elsewhere) == self._shown:
            return
        self._shown = unfenced, elsewhere
        if elsewhere:
            _logger.warning(
                "Lists come from MongoDB, because other processes use another Redis than this one: %s; give all "
                "the same REDIS_URL, or wait for the rollout to end",
                _some(elsewhere),
            )
        if unfenced:
            _logger.warning(
                "Lists come from MongoDB, because other processes change lists and cannot reach Redis: %s; fix "
                "their network to Redis, or delete these pods",
                _some(unfenced),
            )
        if not unfenced and not elsewhere:
            _logger.info("All processes reach the same Redis")


def _some(hosts: frozenset[str]) -> str:
    shown = sorted(hosts)[:_SHOWN_HOSTS]
    rest = len(hosts) - len(shown)
    return ", ".join(shown) + (f" and {rest} more" if rest else "")
