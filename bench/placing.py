"""Lists that are put straight into Redis, as the service would have cached them, and what they take of its memory."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import cast

from redis import Redis

from mylist.cache.commands import stamped
from mylist.cache.primaries import REIGN_SIZE
from mylist.lists.item import Item
from mylist.lists.value import ListValue
from mylist.seeding.load_set import LoadSet, title_id, title_type

_LIFETIME = 86_400
"""Seconds; longer than any run."""
_NEWEST = 1_767_225_600_000
_APART = 5 * 3_600_000
_COMMANDS_AT_ONCE = 10_000
_DISTINCT = 1000


@dataclass(frozen=True, slots=True)
class Placed:
    """Users of whom Redis holds a list that nobody loaded.

    The first page of a user's list is the same whatever its length.

    Attributes:
        prefix: of their names.
        users: how many they are.
        length: of each list, in items.
    """

    prefix: str
    users: int
    length: int


def place(redis_url: str, placed: Placed, titles: int) -> None:
    """Puts lists of so many titles into Redis."""
    with Redis.from_url(redis_url) as redis:
        values = [_value(redis, number, titles, placed.length) for number in range(1, min(placed.users, _DISTINCT) + 1)]
        numbered = ((number, values[number % len(values)]) for number in range(1, placed.users + 1))
        for batch in _batches(numbered):
            pipeline = redis.pipeline(transaction=False)
            for number, value in batch:
                pipeline.set(key_of(f"{placed.prefix}{number:08d}"), value, ex=_LIFETIME)
            pipeline.execute()


def key_of(user: str) -> str:
    """Gives the key of a user's list."""
    return f"mylist:{{{user}}}"


def memory_of(redis_url: str, users: Iterable[str]) -> list[int]:
    """Gives what the list of each user takes, in bytes, by `MEMORY USAGE`."""
    with Redis.from_url(redis_url) as redis:
        return [cast("int", redis.memory_usage(key_of(user), samples=0)) for user in users]


def memory_of_all(redis_url: str) -> float:
    """Gives what all of Redis takes, divided by the number of keys."""
    with Redis.from_url(redis_url) as redis:
        return float(redis.info("memory")["used_memory"]) / cast("int", redis.dbsize())


def _value(redis: Redis, number: int, titles: int, length: int) -> bytes:
    reign = bytes.fromhex(redis.info("replication")["master_replid"][: 2 * REIGN_SIZE])
    drawn = LoadSet(1, titles, length).list_of(number)
    items = (
        Item(_NEWEST - age * _APART, bytes.fromhex(title_id(title)), title_type(title))
        for age, title in enumerate(drawn)
    )
    return stamped(ListValue.of(items).data, reign)


def _batches(numbered: Iterator[tuple[int, bytes]]) -> Iterator[list[tuple[int, bytes]]]:
    while batch := list(islice(numbered, _COMMANDS_AT_ONCE)):
        yield batch
