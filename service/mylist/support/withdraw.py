"""Removes a title from all lists, like a user's removal: sync reports the removal, and no cached list has the title."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from bson import ObjectId
from pymongo import DeleteMany
from pymongo.asynchronous.database import AsyncDatabase
from tqdm import tqdm

from mylist.adoption.change_stamps import carry_over
from mylist.adoption.fenced_writes import FencedWrites
from mylist.adoption.stored_items import batches
from mylist.client.terminal import counts_table
from mylist.config.settings import Settings
from mylist.domain.content import ContentId
from mylist.http.services import Services
from mylist.mongodb.collections import CONTENT_COLLECTIONS, LISTS
from mylist.mongodb.database import Document
from mylist.mongodb.item_documents import LISTED, in_either_case
from mylist.support.fenced_services import BATCH_TIMEOUT_S, fenced_services

_LISTS_AT_ONCE = 100
_MAX_PASSES = 3
_UNIQUE_INDEX = [("userId", 1), ("contentId", 1)]


class _Holder(NamedTuple):
    user_id: str
    content_type: str | None


@dataclass(slots=True)
class Withdrawal:
    """The result of a run; in a dry run, the expected result.

    Attributes:
        lists: number of lists that had the title.
        removed: items removed.
        left: lists that had it again at the end.
        is_in_catalogue: whether users may add it again.
    """

    lists: int = 0
    removed: int = 0
    left: int = 0
    is_in_catalogue: bool = False

    def table(self) -> str:
        """Return the counts as lines of text: a name, and a number."""
        return counts_table(
            [
                ("lists that had the title", self.lists),
                ("items removed", self.removed),
                ("lists that had it again at the end", self.left),
            ]
        )


async def withdraw(database: AsyncDatabase[Document], settings: Settings, content_id: str, *, dry: bool) -> Withdrawal:
    """Remove a title from all lists, in batches; show a progress bar on a terminal.

    Args:
        database: the database of the lists.
        settings: the settings of the running service.
        content_id: the title, in lower case.
        dry: whether to count only.

    Raises:
        CacheOutOfReachError: lists may be cached where this command cannot reach them; nothing was changed.
        MongoRefusedError, UnavailableError: MongoDB fails, or Redis has gone away; the next run does the rest.
    """
    done = Withdrawal(is_in_catalogue=await _is_in_catalogue(database, content_id))
    async with fenced_services(settings) as services:
        writes = FencedWrites(services, step_timeout_s=BATCH_TIMEOUT_S, refuses_unfenced=True)
        total = await _count(services, content_id)
        if dry:
            done.lists = total
            return done
        with tqdm(total=total, unit=" lists", disable=None) as bar:
            done.left = total
            for _ in range(_MAX_PASSES):
                if not done.left:
                    break
                async for holders in _holders(database, content_id):
                    done.removed += await _remove(database, writes, content_id, holders)
                    done.lists += len(holders)
                    bar.update(len(holders))
                done.left = await _count(services, content_id)
    return done


def told(done: Withdrawal, *, dry: bool) -> str:
    """Return the final report of a run: the counts, and what to do next."""
    lines = [done.table(), ""]
    if done.is_in_catalogue:
        lines.append(
            "The title is in the catalogue, so users may add it again: remove it from there, and run this command "
            "again after CATALOGUE_TTL."
        )
    if dry:
        lines.append("Nothing was changed. Next: the same command without --dry-run.")
    return "\n".join(lines).rstrip()


async def _is_in_catalogue(database: AsyncDatabase[Document], content_id: str) -> bool:
    wanted = {"_id": ObjectId(content_id)}
    return any([await database[name].find_one(wanted, {"_id": 1}) for name in CONTENT_COLLECTIONS.values()])


async def _count(services: Services, content_id: str) -> int:
    """Return how many lists have a title, from a primary that shows every acknowledged change: 0 ends the run."""
    async with services.database.operation("withdraw_count"):
        return sum([len(holders) async for holders in _holders(services.database.handle, content_id)])


async def _holders(database: AsyncDatabase[Document], content_id: str) -> AsyncIterator[list[_Holder]]:
    """Yield the users whose lists have a title, in batches.

    No index begins with the title. In the unique index, MongoDB looks once at each user and skips the other items.
    """
    query = {"userId": {"$gt": ""}, "contentId": {"$in": _written(content_id)}, **LISTED}
    fields = {"_id": 0, "userId": 1, "contentType": 1}
    cursor = database[LISTS].find(query, fields, hint=_UNIQUE_INDEX, batch_size=_LISTS_AT_ONCE)
    async for documents in batches(cursor, _LISTS_AT_ONCE):
        yield [_Holder(each["userId"], each.get("contentType")) for each in documents]


async def _remove(
    database: AsyncDatabase[Document], writes: FencedWrites, content_id: str, holders: Sequence[_Holder]
) -> int:
    async with writes.of(each.user_id for each in holders):
        hello = await database.command("hello", codec_options=database.codec_options)
        now = hello["localTime"]
        await carry_over(
            database, [((each.user_id, content_id), each.content_type, "removed", now) for each in holders]
        )
        deletions = [
            DeleteMany({"userId": each.user_id, "contentId": {"$in": _written(content_id)}, **LISTED})
            for each in holders
        ]
        return (await database[LISTS].bulk_write(deletions, ordered=False)).deleted_count


def _written(content_id: str) -> list[str]:
    return in_either_case([ContentId(bytes.fromhex(content_id))])
