"""Invalidations that a process owes: writes that ended while their fence could not be lifted."""

import time
from collections.abc import Awaitable, Callable, Sequence
from itertools import islice

MAX_PENDING = 20_000
"""Lists. So many are delivered within a fraction of the grace that every process waits (`mylist.cache.health`)."""
_MAX_KEYS_PER_DELIVERY = 500


class PendingInvalidations:
    """The ends of writes, kept until Redis takes them.

    Args:
        forget_after: seconds after which a list that was cached has expired, and its invalidation is pointless.
        note_added: called with the key whenever one was added.
        clock: monotonic seconds.

    Attributes:
        by_key: the nonces that are pending for each key, and when the latest was added; the oldest entry comes first.
            Empty if nothing is pending; to be changed by this class only.
    """

    def __init__(
        self,
        *,
        forget_after: float,
        note_added: Callable[[str], None] = lambda _: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.by_key: dict[str, tuple[set[bytes], float]] = {}
        self._forget_after = forget_after
        self._note_added = note_added
        self._clock = clock

    def __len__(self) -> int:
        """Return for how many lists an invalidation is pending."""
        return len(self.by_key)

    @property
    def has_room(self) -> bool:
        """Whether one more could still be delivered within the grace that every process waits."""
        return len(self.by_key) < MAX_PENDING

    def add(self, key: str, nonce: bytes) -> None:
        """Keep the end of a write."""
        nonces, _ = self.by_key.pop(key, (set(), 0.0))
        nonces.add(nonce)
        self.by_key[key] = nonces, self._clock()
        self._note_added(key)

    async def deliver(
        self,
        lift_fences: Callable[[Sequence[tuple[str, bytes]]], Awaitable[None]],
        *,
        of: Callable[[str], bool] = lambda _: True,
    ) -> None:
        """Deliver those of some keys, by default all, in batches of many keys.

        Raise what `lift_fences` raises, and keep what it was called with.
        """
        while batch := [
            (key, tuple(nonces))
            for key, (nonces, _) in islice(
                filter(lambda item: of(item[0]), self.by_key.items()), _MAX_KEYS_PER_DELIVERY
            )
        ]:
            await lift_fences([(key, nonce) for key, nonces in batch for nonce in nonces])
            for key, delivered in batch:
                nonces, _ = self.by_key[key]
                nonces.difference_update(delivered)  # others may have been added meanwhile
                if not nonces:
                    del self.by_key[key]

    def forget_expired(self) -> None:
        """Drop what is pending for lists that have expired by now."""
        while self.by_key:
            key, (_, added_at) = next(iter(self.by_key.items()))
            if self._clock() - added_at < self._forget_after:
                return
            del self.by_key[key]
