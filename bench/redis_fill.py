"""Lists that are put straight into Redis, in the form of the service's cache, and the memory that they take."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import cast

from redis import Redis

from mylist.cache.cached_value import EPOCH_BYTES, epoch_in, stamped
from mylist.domain.content import ContentId
from mylist.domain.item import Item
from mylist.domain.packed_list import PackedList
from mylist.seeding.synthetic_data import SyntheticData, title_id, title_type

_TTL_S = 86_400
"""Seconds; longer than any run."""
_NEWEST_MS = 1_767_225_600_000
_INTERVAL_MS = 5 * 3_600_000
_BATCH_SIZE = 10_000
_DISTINCT_LISTS = 1000


@dataclass(frozen=True, slots=True)
class CachedLists:
    """Users with a cached list in Redis, without a load by the service.

    The first page of a user's list is the same for every length.

    Attributes:
        prefix: of their names.
        users: how many they are.
        length: of each list, in items.
    """

    prefix: str
    users: int
    length: int


def fill(redis_url: str, lists: CachedLists, titles: int) -> None:
    """Put lists of the given length into Redis."""
    with Redis.from_url(redis_url) as redis:
        values = [
            _value(redis, number, titles, lists.length) for number in range(1, min(lists.users, _DISTINCT_LISTS) + 1)
        ]
    numbers = range(1, lists.users + 1)
    put(redis_url, ((key_of(f"{lists.prefix}{number:08d}"), values[number % len(values)]) for number in numbers))


def put(redis_url: str, values: Iterable[tuple[str, bytes]]) -> None:
    """Put values into Redis, each with its key, for longer than any run takes."""
    with Redis.from_url(redis_url) as redis:
        for batch in _batches(iter(values)):
            pipeline = redis.pipeline(transaction=False)
            for key, value in batch:
                pipeline.set(key, value, ex=_TTL_S)
            pipeline.execute()


def key_of(user: str) -> str:
    """Return the key of a user's list."""
    return f"mylist:{{{user}}}"


def memory_of(redis_url: str, users: Iterable[str]) -> list[int]:
    """Return the bytes of each user's list, by `MEMORY USAGE`."""
    with Redis.from_url(redis_url) as redis:
        return [cast("int", redis.memory_usage(key_of(user), samples=0)) for user in users]


def memory_of_all(redis_url: str) -> float:
    """Return the bytes of all of Redis, divided by the number of keys."""
    with Redis.from_url(redis_url) as redis:
        return float(redis.info("memory")["used_memory"]) / cast("int", redis.dbsize())


def _value(redis: Redis, number: int, titles: int, length: int) -> bytes:
    epoch = epoch_in("", bytes.fromhex(redis.info("replication")["master_replid"][: 2 * EPOCH_BYTES]))
    drawn = SyntheticData(1, titles, length).list_of(number)
    items = (
        Item(_NEWEST_MS - age * _INTERVAL_MS, ContentId(bytes.fromhex(title_id(title))), title_type(title))
        for age, title in enumerate(drawn)
    )
    return stamped(PackedList.of(items).data, epoch)


def _batches(values: Iterator[tuple[str, bytes]]) -> Iterator[list[tuple[str, bytes]]]:
    while batch := list(islice(values, _BATCH_SIZE)):
        yield batch
