"""Removes the titles that no line of a run names from the catalogue, unless they are too many."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import pymongo
from bson import ObjectId
from pymongo.asynchronous.database import AsyncDatabase

from mylist.catalogue_files.lookup import STEP_TIMEOUT_S
from mylist.catalogue_files.seen_titles import SeenTitles, external_keys, id_key
from mylist.domain.content import CONTENT_ID_SIZE, ContentType
from mylist.domain.external_id import EXTERNAL_IDS
from mylist.mongodb.collections import CONTENT_COLLECTIONS
from mylist.mongodb.database import Document

_BATCH_SIZE = 500


class TooManyMissingError(Exception):
    """More titles are missing from the files than may be withdrawn; the message is one line. Nothing was withdrawn."""


@dataclass(frozen=True, slots=True)
class Missing:
    """Titles of one type that no line names.

    Attributes:
        content_type: their type.
        ids: their ids, one after the other.
        total: how many titles of the type there are.
    """

    content_type: ContentType
    ids: bytearray
    total: int

    @property
    def number(self) -> int:
        """The number of these titles."""
        return len(self.ids) // CONTENT_ID_SIZE

    @property
    def share(self) -> float:
        """Their percentage of the titles of the type."""
        return 100 * self.number / self.total if self.total else 0.0


async def find_missing(
    database: AsyncDatabase[Document],
    seen: SeenTitles,
    content_types: Iterable[ContentType],
    advance: Callable[[int], object],
) -> list[Missing]:
    """Return the titles of some types that no line names, by id or by an external id.

    Args:
        database: where the catalogue is.
        seen: the titles that the lines name.
        content_types: the types to look at.
        advance: called with the number of titles checked.
    """
    return [await _missing(database, seen, each, advance) for each in content_types]


async def _missing(
    database: AsyncDatabase[Document], seen: SeenTitles, content_type: ContentType, advance: Callable[[int], object]
) -> Missing:
    ids, total = bytearray(), 0
    cursor = database[CONTENT_COLLECTIONS[content_type]].find({}, {EXTERNAL_IDS: 1}, batch_size=_BATCH_SIZE)
    while True:
        with pymongo.timeout(STEP_TIMEOUT_S):
            documents = await cursor.to_list(_BATCH_SIZE)
        if not documents:
            return Missing(content_type, ids, total)
        for document in documents:
            if isinstance(content_id := document["_id"], ObjectId):  # no list can contain another kind of id
                total += 1
                if seen.first_place(_keys(content_type, content_id, document)) is None:
                    ids += content_id.binary
        advance(len(documents))


def _keys(content_type: ContentType, content_id: ObjectId, document: Document) -> list[bytes]:
    external_ids = document.get(EXTERNAL_IDS)
    known = external_ids if isinstance(external_ids, dict) else {}
    return [id_key(content_type, content_id.binary), *external_keys(content_type, known)]


def require_few(missing: Iterable[Missing], confirmed_percent: float) -> None:
    """Check that the titles to withdraw are at most a given share of their type.

    Raises:
        TooManyMissingError: the share is exceeded.
    """
    for each in missing:
        if each.share > confirmed_percent:
            raise TooManyMissingError(
                f"{each.number:,} of {each.total:,} titles of type {each.content_type} are not in any file, "
                f"{each.share:.1f} %, and at most {confirmed_percent:g} % may be withdrawn; to withdraw all of them, "
                f"add --withdraw-up-to {_rounded_up(each.share):g}"
            )


def _rounded_up(percent: float) -> float:
    return -(-percent * 10 // 1) / 10


async def withdraw(database: AsyncDatabase[Document], missing: Missing, advance: Callable[[int], object]) -> int:
    """Delete titles; return how many there were."""
    deleted = 0
    collection = database[CONTENT_COLLECTIONS[missing.content_type]]
    for start in range(0, len(missing.ids), CONTENT_ID_SIZE * _BATCH_SIZE):
        part = bytes(missing.ids[start : start + CONTENT_ID_SIZE * _BATCH_SIZE])
        ids = [ObjectId(part[place : place + CONTENT_ID_SIZE]) for place in range(0, len(part), CONTENT_ID_SIZE)]
        with pymongo.timeout(STEP_TIMEOUT_S):
            deleted += (await collection.delete_many({"_id": {"$in": ids}})).deleted_count
        advance(len(ids))
    return deleted
