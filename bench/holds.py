"""Reads of selections of a list of 5,000 beside a task that notes how long it had to wait for its turn.

python -m bench.holds MONGODB_URI

Prints a JSON object: a sample for each kind of read. What is noted is processor time, so that what else the machine
does is not counted; the loop waits for nothing but MongoDB, and then it is not held.
"""

import asyncio
import gc
import sys
import time

import msgspec
import uvloop

from bench.holding import BY_TITLE, READS, UNKNOWN
from bench.samples import Sample
from bench.stage import TITLES
from mylist.api.pages import Pages
from mylist.api.selection import Selection
from mylist.cache.commands import CacheCommands
from mylist.cache.connection import connect as connect_cache
from mylist.cache.link import Link
from mylist.cache.list_cache import ListCache
from mylist.catalogue.catalogue import Catalogue
from mylist.lists.item import Item
from mylist.lists.service import Lists
from mylist.lists.value import ListValue
from mylist.seeding.load_set import title_id, title_type
from mylist.settings import Settings
from mylist.store.connection import Database, close, connect
from mylist.store.content import ContentStore
from mylist.store.lists import ListStore

_READS = 10


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
    """Reads selections as the service does, when it has the list from the cache and no page of it."""

    def __init__(self, settings: Settings, database: Database, value: ListValue) -> None:
        commands = CacheCommands(connect_cache(settings))

        async def load(_: str) -> ListValue:
            return value

        cache = ListCache(
            commands,
            Link(commands, forget_after=1),
            load,
            ttl=1,
            strict=False,
            load_deadline=1,
            write_deadline=1,
            check_every=0,
        )
        catalogue = Catalogue(ContentStore(database), ttl=settings.catalogue_ttl, capacity=settings.catalogue_size)
        self._lists = Lists(database, ListStore(database), cache, catalogue, max_items=settings.max_list_size)
        self._value = value

    async def longest(self, asked: Selection, *, reads: int) -> Sample:
        """Reads so many times; gives the longest that anybody had to wait for a turn."""
        turns = _Turns()
        await asyncio.sleep(0)
        for _ in range(reads):
            excerpt = await self._lists.select(
                self._value, asked.arrangement, 0, asked.paging.page_size, ids_only=asked.ids_only
            )
            Pages(0).render_selection("user", asked, self._value, excerpt)
            await asyncio.sleep(0)
        turns.stop()
        return Sample(held=turns.longest)


async def measure(uri: str) -> dict[str, Sample]:
    """Gives a sample for each kind of read."""
    settings = Settings.load({"MONGODB_URI": uri})
    client = connect(settings)
    database = Database(client, settings)
    await database.check()
    titles = range(1, TITLES + 1)
    value = ListValue.of(Item(number, bytes.fromhex(title_id(number)), title_type(number)) for number in titles)
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
