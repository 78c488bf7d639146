"""The four things that the key of a user's list may hold in Redis. The first byte distinguishes them.

- nothing
- `L<epoch>…`: a list (`mylist.domain.packed_list`; the epoch comes after its first byte)
- `R<nonce><epoch>`: a read lease: the process that placed it may fill the key while the lease is still there
- `W<nonce>…`: a write fence: one nonce for each write in flight; no process may fill the key

The epoch combines the epochs of the primary (`mylist.cache.topology.base`) and of the registry of processes
(`mylist.domain.process_registry`) at the time when the lease was placed. The service ignores a list of another epoch.
The fence that replaced that list may be missing on a primary that took over or restarted from a dump. It may also be
missing on a primary that a process did not reach or did not use. The version of the list's format is part of the epoch.
During a rollout, processes of two versions therefore replace each other's lists and do not fail to read them.
"""

import hashlib
import os

from mylist.domain.packed_list import FORMAT_VERSION

LEASE_TAG = b"R"
FENCE_TAG = b"W"
NONCE_BYTES = 8
EPOCH_BYTES = 8


def new_lease(epoch: bytes) -> bytes:
    """Return a new read lease of an epoch."""
    return LEASE_TAG + os.urandom(NONCE_BYTES) + epoch


def epoch_in(registry_epoch: str, primary_epoch: bytes) -> bytes:
    """Return the epoch of a list that is cached at a primary."""
    key, form = registry_epoch.encode(), bytes([FORMAT_VERSION])
    return hashlib.blake2b(primary_epoch, key=key, person=form, digest_size=EPOCH_BYTES).digest()


def epoch_of(lease: bytes) -> bytes:
    """Return the epoch of a read lease."""
    return lease[-EPOCH_BYTES:]


def stamped(packed_list: bytes, epoch: bytes) -> bytes:
    """Return a list as Redis holds it: with the epoch in which it was loaded."""
    return packed_list[:1] + epoch + packed_list[1:]


def unstamped(held: bytes) -> bytes:
    """Return a list without the epoch that it has in Redis."""
    return held[:1] + held[1 + EPOCH_BYTES :]
