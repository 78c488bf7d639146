"""Invalidations that a process owes: of writes that ended while their fence could not be lifted."""

import time
from collections.abc import Awaitable, Callable, Sequence
from itertools import islice

MAX_PENDING = 20_000
"""In lists. Delivering so many takes a fraction of the grace period that every process waits."""
_MAX_KEYS_PER_DELIVERY = 500


class PendingInvalidations:
    """Keeps the ends of writes until Redis accepts them.

    Args:
        forget_after: maximum lifetime of a cached list, in seconds. An older invalidation is no longer needed.
        note_added: called with the key whenever an invalidation was added.
        clock: returns monotonic seconds.

    Attributes:
        by_key: the pending nonces of each key, and when the latest was added; the oldest entry comes first. Only this
            class may change it.
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
        """Return the number of lists with a pending invalidation."""
        return len(self.by_key)

    @property
    def has_room(self) -> bool:
        """Whether one more invalidation could be delivered within the grace period that every process waits."""
        return len(self.by_key) < MAX_PENDING

    def add(self, key: str, nonce: bytes) -> None:
        """Keep the end of a write until it is delivered."""
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
        """Deliver the invalidations of some keys, by default of all keys, in batches.

        If `lift_fences` raises, keep the invalidations of that batch and raise the same.
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
                nonces.difference_update(delivered)  # more may have been added meanwhile
                if not nonces:
                    del self.by_key[key]

    def forget_expired(self) -> None:
        """Drop the invalidations of lists that have expired by now."""
        while self.by_key:
            key, (_, added_at) = next(iter(self.by_key.items()))
            if self._clock() - added_at < self._forget_after:
                return
            del self.by_key[key]
