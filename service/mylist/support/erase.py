"""Erases all data about a user or an account.

Each list is fenced before anything is deleted, and the fence is lifted after the deletion. Then the cached list is
gone, and no earlier load can bring it back. No trace of the erased data stays, not even the stamps of earlier removals.
"""

from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime

from pymongo.asynchronous.database import AsyncDatabase
from tqdm import tqdm

from mylist.adoption.fenced_writes import FencedWrites
from mylist.adoption.stored_items import STEP_TIMEOUT_S
from mylist.config.settings import Settings
from mylist.http.services import Services
from mylist.mongodb.collections import ADOPTED, USERS
from mylist.mongodb.database import Document
from mylist.mongodb.database import address as address_of
from mylist.support.fenced_services import fenced_services
from mylist.support.kept_documents import BY_USER_ID, Subject, count_of, item_ids
from mylist.support.receipt import Receipt

_ERASED = (ADOPTED, *BY_USER_ID)
"""In this order, because the marks of an adoption are found by the `_id` of the items."""


async def erase(database: AsyncDatabase[Document], settings: Settings, subject: Subject, *, dry: bool) -> Receipt:
    """Erase the data permanently; with several users, show a progress bar on a terminal.

    Args:
        database: the database.
        settings: the settings of the running service.
        subject: the user or account.
        dry: whether to count only.

    Raises:
        CacheOutOfReachError: lists may be cached where this command cannot reach them; nothing was changed.
        MongoRefusedError, UnavailableError: MongoDB fails, or Redis has gone away; the next run does the rest.
    """
    began = datetime.now(UTC)
    erased: Counter[str] = Counter()
    # A fence must last as long as the deletion of a list may take.
    async with fenced_services(settings, step_timeout_s=STEP_TIMEOUT_S) as services:
        # A replaced or newly elected primary might not show every profile.
        async with services.database.operation("erase_users"):
            users = await subject.users(services.database.handle)
        cached = sum([await services.cache.entry(user_id) is not None for user_id in users])
        if dry:
            erased = await _counted(services, users)
        else:
            writes = FencedWrites(services, refuses_unfenced=True)
            with tqdm(users, unit=" lists", disable=None if len(users) > 1 else True) as bar:
                for user_id in bar:
                    async with writes.of([user_id]):
                        erased += await _erase(services, user_id)
        left = Counter[str]() if dry else await _counted(services, users)
    return Receipt(
        subject=subject.described(),
        dry=dry,
        users=users,
        erased={name: erased[name] for name in _ERASED},
        cached=cached,
        left={name: left[name] for name in _ERASED},
        of_platform=sum([await count_of(database, USERS, user_id) for user_id in users]),
        began=began,
        ended=datetime.now(UTC),
        where=address_of(settings),
    )


async def _erase(services: Services, user_id: str) -> Counter[str]:
    erased: Counter[str] = Counter()
    database = services.database.handle
    async with services.database.operation("erase_marks"):
        async for ids in item_ids(database, user_id):
            for field in ("_id", "into"):
                erased[ADOPTED] += (await database[ADOPTED].delete_many({field: {"$in": ids}})).deleted_count
    for name in BY_USER_ID:
        erased[name] += (await database[name].delete_many({"userId": user_id})).deleted_count
    return erased


async def _counted(services: Services, users: Sequence[str]) -> Counter[str]:
    database = services.database.handle
    async with services.database.operation("erase_count"):
        return Counter({name: sum([await count_of(database, name, each) for each in users]) for name in _ERASED})
