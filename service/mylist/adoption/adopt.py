"""One run of `mylist adopt`: its steps, its progress, and its final report."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NoReturn, TextIO

from pymongo.asynchronous.collection import AsyncCollection
from pymongo.asynchronous.database import AsyncDatabase
from tqdm import tqdm

from mylist.adoption.carry import Carrying
from mylist.adoption.counts import Counts, LeftOut
from mylist.adoption.fenced_writes import FencedWrites
from mylist.adoption.former_form import drop_former_indexes, reform
from mylist.adoption.stored_items import STEP_TIMEOUT_S
from mylist.config.settings import Settings
from mylist.mongodb.adoption_state import is_empty, is_finished, set_finished
from mylist.mongodb.collections import ADOPTED, LISTS, ORIGINAL_LISTS
from mylist.mongodb.database import Document
from mylist.mongodb.indexes import create_indexes
from mylist.seeding.running_service import service_parts

_MAX_LINES = 10
"""Invalid documents that are reported without a file for them."""


class NothingToCarryError(Exception):
    """The collection to read is empty, so the run would remove everything that was carried from it before."""


class ReportError(Exception):
    """The file for invalid documents cannot be written; the message is one line."""


@dataclass(frozen=True, slots=True)
class Adoption:
    """The result of a run.

    Attributes:
        counts: counts of documents.
        dropped: the names of the indexes of `mylist` that it dropped.
        stale_lists: whether Redis may still serve lists as they were before.
        left_out: the first invalid documents.
        from_original: whether there are lists of the original service.
    """

    counts: Counts
    dropped: list[str]
    stale_lists: bool
    left_out: list[LeftOut]
    from_original: bool


async def adopt(
    database: AsyncDatabase[Document], settings: Settings, *, back: bool, dry: bool, report: Path | None
) -> Adoption:
    """Adopt the lists of the original service, or carry later changes back to it; show a progress bar on a terminal.

    Args:
        database: the database of both services.
        settings: the settings.
        back: whether to carry back.
        dry: whether to count only.
        report: the file for invalid documents, as JSON Lines.

    Raises:
        NothingToCarryError: the lists to read are gone, and the run would remove them on the other side.
        MongoRefusedError, UnavailableError: MongoDB or Redis fails.
        ReportError: the file cannot be opened.
    """
    first: list[LeftOut] = []
    with _opened(report) as file:

        def tell(left_out: LeftOut) -> None:
            if len(first) < _MAX_LINES:
                first.append(left_out)
            if file:
                file.write(_line(left_out))

        counts = Counts(tell=tell)
        # A fence must last as long as a batch may take.
        async with service_parts(replace(settings, mongodb_timeout=STEP_TIMEOUT_S)) as services:
            writes = FencedWrites(services)
            run = _run_back if back else _run_forth
            dropped = await run(database, writes, counts, dry=dry)
            from_original = await _has_source(database, ORIGINAL_LISTS)
            stale_lists = writes.unfenced
        stale_lists |= bool(services.health.pending)
    return Adoption(counts, dropped, stale_lists, first, from_original)


async def _run_forth(
    database: AsyncDatabase[Document], writes: FencedWrites, counts: Counts, *, dry: bool
) -> list[str]:
    finished, was_empty = await is_finished(database), await is_empty(database)
    has_original = await _has_source(database, ORIGINAL_LISTS)
    if not dry:
        await create_indexes(database)
        if was_empty and finished is None and has_original:
            await set_finished(database, finished=False)
    with await _bar(database[LISTS]) as bar:
        await reform(database, writes, counts, bar.update, dry=dry)
    if has_original:
        if not dry:
            await _index_marks(database)
        with await _bar(database[ORIGINAL_LISTS]) as bar:
            # No device has a token before a service could start.
            tells_devices = finished is not False and not was_empty
            await Carrying(database, writes, counts, bar.update, back=False, tells_devices=tells_devices, dry=dry).run()
        if not dry:
            await set_finished(database, finished=True)
    if dry or counts.changed_meanwhile:
        return []
    return await drop_former_indexes(database)


async def _run_back(database: AsyncDatabase[Document], writes: FencedWrites, counts: Counts, *, dry: bool) -> list[str]:
    if not await _has_source(database, LISTS):
        raise NothingToCarryError(
            f"`{LISTS}` has no documents, so there is nothing to carry back; look at the database of MONGODB_URI"
        )
    if not dry:
        await _index_marks(database)
    with await _bar(database[LISTS]) as bar:
        await Carrying(database, writes, counts, bar.update, back=True, tells_devices=False, dry=dry).run()
    return []


async def _has_source(database: AsyncDatabase[Document], name: str) -> bool:
    """Return whether a collection has documents; it must have some if any were carried from it."""
    if await database[name].find_one({}, {"_id": 1}) is not None:
        return True
    if await database[ADOPTED].find_one({"addedAt": {"$type": "date"}}) is not None:
        raise NothingToCarryError(
            f"`{name}` has no documents, but an earlier run carried some over, and this run would remove them here "
            f"too; if you dropped it on purpose, drop `{ADOPTED}` as well"
        )
    return False


async def _index_marks(database: AsyncDatabase[Document]) -> None:
    await database[ADOPTED].create_index("into", sparse=True)


async def _bar(collection: AsyncCollection[Document]) -> "tqdm[NoReturn]":
    total = await collection.estimated_document_count()
    return tqdm(total=total, desc=collection.name, unit=" documents", disable=None)


@contextmanager
def _opened(report: Path | None) -> Iterator[TextIO | None]:
    if report is None:
        yield None
        return
    try:
        file = report.open("w", encoding="utf-8")
    except OSError as error:
        raise ReportError(f"--report: {report}: {error.strerror}; name another file") from None
    with file:
        yield file


def _line(left_out: LeftOut) -> str:
    document = {"collection": left_out.collection, "_id": str(left_out.document_id), "reason": left_out.reason}
    return json.dumps(document) + "\n"


def told(done: Adoption, settings: Settings, *, back: bool, dry: bool, report: Path | None) -> str:
    """Return the final report of a run: the counts, and what to do next."""
    lines = [done.counts.table(), ""]
    if done.dropped:
        lines.append(f"Dropped indexes of `{LISTS}`: {', '.join(done.dropped)}.")
    if not report:
        lines += [f"Not an item: {each.collection} {each.document_id}: {each.reason}" for each in done.left_out]
    if more := done.counts.left_out - len(done.left_out) if not report else 0:
        lines.append(f"{more:,} more documents are not items; `--report FILE` writes all of them to a file.")
    if report and done.counts.left_out:
        lines.append(f"The documents that are not items are in {report}.")
    if done.stale_lists:
        lines.append(
            f"Redis did not answer: users may see outdated lists for up to {settings.cache_ttl} s (CACHE_TTL)."
        )
    lines.append(_next(done, back=back, dry=dry))
    return "\n".join(lines)


def _next(done: Adoption, *, back: bool, dry: bool) -> str:
    if dry:
        return "Nothing was changed. Next: the same command without --dry-run."
    if done.counts.changed_meanwhile:
        return "Next: run the command again, because some documents changed during the run."
    if back:
        return "Next: delete the cache of the original service, and start that service (docs/coming-from-express.md)."
    if not done.from_original:
        return "Next: nothing; this service may keep running."
    return (
        f"Next: start this service. `{ORIGINAL_LISTS}` and `{ADOPTED}` allow you to go back; drop both when you no "
        "longer need them (docs/coming-from-express.md)."
    )
