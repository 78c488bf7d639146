"""Queries of a list of 5,000 beside a task that records its waits for the event loop.

python -m bench.loop_blocking_process MONGODB_URI

Prints a JSON object: a sample for each kind of read. The waits are in processor time, without that of other processes;
the loop waits for nothing but MongoDB, and then it is not held.
"""

import asyncio
import gc
import sys
import time

import msgspec
import uvloop

from bench.environment import TITLES
from bench.loop_blocking import BY_TITLE, READS, UNKNOWN
from bench.samples import Sample
from mylist.cache.clients import connect as connect_cache
from mylist.cache.commands import CacheCommands
from mylist.cache.health import RedisHealth
from mylist.cache.list_cache import ListCache
from mylist.catalogue.catalogue import Catalogue
from mylist.config.settings import Settings
from mylist.domain.content import ContentId
from mylist.domain.item import Item
from mylist.domain.packed_list import PackedList
from mylist.domain.page_request import ItemsQuery
from mylist.lists.page_cache import PageCache
from mylist.lists.reader import ListReader
from mylist.mongodb.content import ContentStore
from mylist.mongodb.database import Database, close, connect
from mylist.seeding.synthetic_data import title_id, title_type

_READS = 10


class _NewClient:
    """A client that has nothing yet."""

    def has(self, etag: str) -> bool:  # noqa: ARG002 - as the port has it
        return False


class _Turns:
    """Takes a turn of the event loop whenever there is one.

    Attributes:
        longest: milliseconds of processor time between two turns.
    """

    def __init__(self) -> None:
        self.longest = 0.0
        self._task = asyncio.create_task(self._take())

    async def _take(self) -> None:
        before = time.thread_time()
        while True:
            await asyncio.sleep(0)
            now = time.thread_time()
            self.longest = max(self.longest, (now - before) * 1000)
            before = now

    def stop(self) -> None:
        self._task.cancel()


class _Reader:
    """Reads queries like a service that has the list, and no cached answer."""

    def __init__(self, settings: Settings, database: Database, value: PackedList) -> None:
        commands = CacheCommands(connect_cache(settings))

        async def load(_: str) -> PackedList:
            return value

        cache = ListCache(
            commands,
            RedisHealth(commands, forget_after=1),
            load,
            ttl=1,
            strict=False,
            load_deadline=1,
            write_deadline=1,
            check_every=0,
        )
        catalogue = Catalogue(ContentStore(database), max_age=settings.catalogue_ttl, capacity=settings.catalogue_size)
        self._reader = ListReader(cache, catalogue, PageCache(0))

    async def longest(self, asked: ItemsQuery, *, reads: int) -> Sample:
        """Read so many times; return the longest wait for a turn."""
        turns = _Turns()
        await asyncio.sleep(0)
        for _ in range(reads):
            await self._reader.items("user", asked, _NewClient())
            await asyncio.sleep(0)
        turns.stop()
        return Sample(blocked=turns.longest)


def _item(number: int) -> Item:
    return Item(number, ContentId(bytes.fromhex(title_id(number))), title_type(number))


async def measure(uri: str) -> dict[str, Sample]:
    """Return a sample for each kind of read."""
    settings = Settings.load({"MONGODB_URI": uri})
    client = connect(settings)
    database = Database(client, settings)
    await database.check()
    titles = range(1, TITLES + 1)
    value = PackedList.of(
        Item(number, ContentId(bytes.fromhex(title_id(number))), title_type(number)) for number in titles
    )
    reader = _Reader(settings, database, value)
    # As the service does when it has started.
    gc.collect()
    gc.freeze()
    samples = {UNKNOWN: await reader.longest(READS[BY_TITLE], reads=1)}
    for name, asked in READS.items():
        samples[name] = await reader.longest(asked, reads=_READS)
    await close(client)
    return samples


if __name__ == "__main__":
    sys.stdout.buffer.write(msgspec.json.encode(uvloop.run(measure(sys.argv[1]))))
