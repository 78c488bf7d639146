"""The data in MongoDB about a user, or about an account and its profiles."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass

import pymongo
from bson import ObjectId
from pymongo.asynchronous.database import AsyncDatabase

from mylist.adoption.stored_items import STEP_TIMEOUT_S, batches
from mylist.mongodb.collections import ADOPTED, CHANGES, LISTS, ORIGINAL_LISTS, USERS
from mylist.mongodb.database import Document
from mylist.mongodb.item_documents import of_account

BY_USER_ID = (ORIGINAL_LISTS, LISTS, CHANGES)
"""The collections whose documents have a `userId`."""
_IDS_AT_ONCE = 500


@dataclass(frozen=True, slots=True)
class Subject:
    """The subject of a command: either a user or an account.

    Attributes:
        user: the user; None for an account.
        account: the account; None for a user.
    """

    user: str | None = None
    account: str | None = None

    @property
    def filters(self) -> tuple[Document, ...]:
        """The filters for the documents of a collection in `BY_USER_ID`. An index on `userId` answers each."""
        return of_account(self.account) if self.account is not None else ({"userId": self.user},)

    def described(self) -> dict[str, str]:
        """Return its name in JSON."""
        return {"account": self.account} if self.account is not None else {"user": self.user or ""}

    async def users(self, database: AsyncDatabase[Document]) -> list[str]:
        """Return its users: for an account, the account itself and those of its profiles that have data."""
        if self.account is None:
            return [self.user or ""]
        found = {self.account}
        for name in BY_USER_ID:
            for each in self.filters:
                with pymongo.timeout(STEP_TIMEOUT_S):
                    found.update(await database[name].distinct("userId", each))
        return sorted(found)


async def documents_of(database: AsyncDatabase[Document], name: str, user_id: str) -> list[Document]:
    """Return the documents of a collection about a user.

    `mylist_adopted` identifies them by the item's `_id`, and `users`, which belongs to the platform, by the user's.
    """
    if name == ADOPTED:
        return [mark async for mark in _marks_of(database, user_id)]
    query: Document = {"userId": user_id}
    if name == USERS:
        query = {"_id": {"$in": [user_id, *([ObjectId(user_id)] if ObjectId.is_valid(user_id) else [])]}}
    return [document async for some in batches(database[name].find(query)) for document in some]


async def count_of(database: AsyncDatabase[Document], name: str, user_id: str) -> int:
    """Return how many documents a collection has about a user, as `documents_of` finds them."""
    if name in BY_USER_ID:
        with pymongo.timeout(STEP_TIMEOUT_S):
            return await database[name].count_documents({"userId": user_id})
    return len(await documents_of(database, name, user_id))


async def item_ids(database: AsyncDatabase[Document], user_id: str) -> AsyncIterator[Sequence[object]]:
    """Yield the `_id` of each item of a user, in batches: `mylist_adopted` identifies items by it."""
    for name in (ORIGINAL_LISTS, LISTS):
        async for documents in batches(database[name].find({"userId": user_id}, {"_id": 1}), _IDS_AT_ONCE):
            yield [document["_id"] for document in documents]


async def _marks_of(database: AsyncDatabase[Document], user_id: str) -> AsyncIterator[Document]:
    seen: set[object] = set()
    async for ids in item_ids(database, user_id):
        for field in ("_id", "into"):
            async for marks in batches(database[ADOPTED].find({field: {"$in": ids}})):
                for mark in marks:
                    if mark["_id"] not in seen:
                        seen.add(mark["_id"])
                        yield mark
