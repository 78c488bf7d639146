"""One run of `mylist catalogue import`: reads a batch of the files while the previous batch is written."""

import asyncio
import io
import sys
import time
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, NoReturn

import msgspec
from pymongo.asynchronous.database import AsyncDatabase
from tqdm import tqdm
from xxhash import xxh3_64

from mylist.catalogue_files import checkpoint
from mylist.catalogue_files.change import Change
from mylist.catalogue_files.checkpoint import CheckpointError, Position
from mylist.catalogue_files.counts import Counts, LineError
from mylist.catalogue_files.reading_thread import slices
from mylist.catalogue_files.record import Record
from mylist.catalogue_files.records import records
from mylist.catalogue_files.run_options import Import, Options
from mylist.catalogue_files.seen_titles import SeenTitles, external_keys, id_key
from mylist.catalogue_files.text_lines import UnreadableFileError
from mylist.catalogue_files.title_schema import FIELDS
from mylist.catalogue_files.withdrawal import TooManyMissingError, find_missing, require_few, withdraw
from mylist.catalogue_files.writer import CatalogueWriter, PlacedChange
from mylist.domain.content import CONTENT_TYPES, ContentType
from mylist.domain.external_id import EXTERNAL_IDS, ExternalId
from mylist.mongodb.collections import CONTENT_COLLECTIONS
from mylist.mongodb.database import Document
from mylist.mongodb.indexes import create_indexes, indexes_of

STANDARD_INPUT = "-"
_BATCH_TITLES = 1000
_BATCH_RECORDS = 20_000
"""Including records that are not imported."""
_BATCH_BYTES = 8 * 1024 * 1024
_MAX_BATCHES = 2
"""Titles that are looked up or written at a time."""
_MAX_ERRORS_TOLD = 10
"""Errors that are reported without a file of errors."""
_LINE_BITS = 40
"""The parts of a place: the number of a file, then the number of a line."""


class ImportFileError(Exception):
    """A file cannot be opened; the message is one line."""


async def import_files(database: AsyncDatabase[Document], options: Options) -> Import:
    """Import the titles of files into the catalogue, with a progress bar on a terminal.

    Args:
        database: where the catalogue is.
        options: the options of the run.

    Raises:
        ImportFileError: a file cannot be opened; nothing was changed.
        CheckpointError: the position of an earlier run cannot be used, or the new one cannot be kept.
        NoTemporaryFileError: there is no disk space for the names of the titles.
        MongoRefusedError, PyMongoError: MongoDB fails. Earlier changes stay.
    """
    position = checkpoint.load(options.checkpoint) if options.checkpoint else Position()
    with ExitStack() as stack:
        files = [stack.enter_context(_opened(name)) for name in options.files]
        errors = stack.enter_context(_errors_file(options.errors, position))
        seen = stack.enter_context(SeenTitles())
        if not options.dry:
            await create_indexes(database, indexes_of(options.external_ids))
        with _bar(files) as bar:
            run = _Run(database, options, seen, position, errors, bar)
            try:
                for number, file in enumerate(files):
                    await run.read(number, file)
                await run.finish()
            finally:
                await run.settle()
        if options.withdraws:
            await _withdraw_missing(database, options, seen, run.types, run.result)
    if options.checkpoint:
        checkpoint.remove(options.checkpoint)
    return run.result


@dataclass(slots=True)
class _Batch:
    """A batch of records, and what is known about them without the catalogue.

    Attributes:
        changes: their changes.
        counts: the counts of the records that are not in `changes`.
        errors: their errors.
        size: their size in bytes.
    """

    changes: list[PlacedChange] = field(default_factory=list)
    counts: Counts = field(default_factory=Counts)
    errors: list[LineError] = field(default_factory=list)
    size: int = 0

    @property
    def is_full(self) -> bool:
        """Whether the batch must be written."""
        return len(self.changes) >= _BATCH_TITLES or self.counts.read >= _BATCH_RECORDS or self.size >= _BATCH_BYTES


class _Run:
    """The state of a run while it reads.

    Attributes:
        result: the result so far.
        types: the content types that occur in the files.
    """

    def __init__(  # noqa: PLR0913 - private, one argument for each thing that it holds together
        self,
        database: AsyncDatabase[Document],
        options: Options,
        seen: SeenTitles,
        position: Position,
        errors: BinaryIO | None,
        bar: "tqdm[NoReturn]",
    ) -> None:
        self.result = Import(position.counts, resumed_after=position.records)
        self.types: set[ContentType] = set()
        self._options = options
        self._seen = seen
        self._resume = position
        self._errors = errors
        self._bar = bar
        self._writer = CatalogueWriter(database, seen, options.external_ids, dry=options.dry)
        self._records = 0
        self._digest = xxh3_64()
        self._batch = _Batch()
        self._planning = asyncio.Lock()
        self._writing: deque[asyncio.Task[None]] = deque()
        self._bytes = 0
        self._began = time.monotonic()

    async def read(self, number: int, file: BinaryIO) -> None:
        """Read a file with its number to its end."""
        before = self._bytes
        try:
            async for part in slices(records(file)):
                for record in part:
                    self._take((number << _LINE_BITS) + record.number, record)
                    if self._batch.is_full:
                        await self._write_batch()
                self._show_progress(before + file.tell() if file.seekable() else before)
        except UnreadableFileError as error:
            self._batch.counts.cut_files += 1
            self._batch.errors.append(LineError(self._options.files[number], None, str(error)))

    async def finish(self) -> None:
        """Write the last batch.

        Raises:
            CheckpointError: the files are shorter than in the earlier run.
        """
        if self._records < self._resume.records:
            raise self._of_other_files()
        await self._write_batch()
        while self._writing:
            await self._written()

    async def settle(self) -> None:
        """Wait until no write is in flight, whether it succeeds or fails."""
        await asyncio.gather(*self._writing, return_exceptions=True)

    def _take(self, place: int, record: Record) -> None:
        """Add a record to the batch, unless an earlier run has imported it."""
        self._records += 1
        self._digest.update(record.raw)
        if self._records == self._resume.records and self._digest.hexdigest() != self._resume.digest:
            raise self._of_other_files()
        change = Change.of(record) if record.title else None
        first = None
        if change:
            self.types.add(change.content_type)
            first = self._named_first(change, place)
        if self._records <= self._resume.records:
            return
        batch, counts = self._batch, self._batch.counts
        counts.read += 1
        batch.size += len(record.raw)
        if record.error:
            self._fail(batch, place, record, record.error)
        elif change is None:
            counts.not_taken += 1
        elif first is not None:
            self._repeat(batch, place, record, first)
        elif taken := self._taken(change, place):
            self._fail(batch, place, record, taken)
        else:
            counts.count_others(name for name in change.fields if name not in FIELDS)
            names = self._options.external_ids.names
            counts.count_others(f"{EXTERNAL_IDS}.{name}" for name in change.external_ids if name not in names)
            batch.changes.append(PlacedChange(change, place))

    def _named_first(self, change: Change, place: int) -> int | None:
        """Return the place of the earlier line that names the same title; None if this line is the first."""
        keys = external_keys(change.content_type, change.external_ids)
        own = [id_key(change.content_type, change.content_id.binary)] if change.content_id else []
        first = self._seen.first_place(own or keys)
        if first is None:
            self._seen.add([*own, *keys], place)
        return first

    def _taken(self, change: Change, place: int) -> str:
        """Return the earlier line that already has a unique external id of this title; empty if there is none."""
        rules = self._options.external_ids
        for name in rules.unique_in_collection & change.external_ids.keys():
            external_id = {name: change.external_ids[name]}
            types = CONTENT_TYPES if name in rules.unique else (change.content_type,)
            first = self._seen.first_place(
                key
                for each in types
                for key in external_keys(each, external_id)
                if self._seen.first_place([key]) != place
            )
            if first is not None:
                return (
                    f"{self._line_of(first, place)} has the same {ExternalId(name, external_id[name])}, but "
                    f"{name} ids must be unique (UNIQUE_EXTERNAL_IDS)"
                )
        return ""

    def _fail(self, batch: _Batch, place: int, record: Record, error: str) -> None:
        batch.counts.invalid += 1
        batch.errors.append(self._error(place, record, error))

    def _repeat(self, batch: _Batch, place: int, record: Record, first: int) -> None:
        batch.counts.duplicates += 1
        told = f"{self._line_of(first, place)} names the same title, and is used instead"
        batch.errors.append(self._error(place, record, told))

    def _line_of(self, earlier: int, place: int) -> str:
        """Return the number of an earlier line, with the name of its file if it is a different file."""
        where = self._name_of(earlier)
        of_file = "" if where == self._name_of(place) else f" of {where}"
        return f"line {earlier & ((1 << _LINE_BITS) - 1)}{of_file}"

    def _error(self, place: int, record: Record, error: str) -> LineError:
        return LineError(self._name_of(place), record.number, error, record.raw.decode(errors="replace"))

    def _name_of(self, place: int) -> str:
        return self._options.files[place >> _LINE_BITS]

    def _of_other_files(self) -> CheckpointError:
        return CheckpointError(
            f"--checkpoint: {self._options.checkpoint} belongs to other files, or these files have changed: remove "
            "it to start over"
        )

    async def _write_batch(self) -> None:
        """Look this batch up while the previous one is written, and write it while the next one is looked up."""
        if len(self._writing) == _MAX_BATCHES:
            await self._written()
        position = Position(self._records, self._digest.hexdigest())
        batch, self._batch = self._batch, _Batch()
        before = self._writing[-1] if self._writing else None
        self._writing.append(asyncio.create_task(self._write(batch, position, before)))

    async def _written(self) -> None:
        """Wait for the write in flight. An interruption does not cancel it, because the driver may then hang."""
        await asyncio.wait({self._writing[0]})
        self._writing.popleft().result()

    async def _write(self, batch: _Batch, position: Position, before: asyncio.Task[None] | None) -> None:
        async with self._planning:  # in the order of the batches
            plan = await self._writer.plan(batch.changes)
        if before:
            await before
        await self._writer.write(plan)
        for placed, error in plan.errors:
            self._fail(batch, placed.place, placed.change.record, error)
        for placed, first in plan.duplicates:
            self._repeat(batch, placed.place, placed.change.record, first)
        counts = self.result.counts
        counts.add(batch.counts)
        counts.add(Counts(inserted=plan.inserted, updated=plan.updated, unchanged=plan.unchanged))
        self._tell(sorted(batch.errors, key=lambda each: each.line or 0))
        if self._options.checkpoint:
            size = self._errors.tell() if self._errors else 0
            checkpoint.save(
                self._options.checkpoint,
                msgspec.structs.replace(position, counts=counts, errors_size=size),
            )

    def _tell(self, errors: Sequence[LineError]) -> None:
        room = _MAX_ERRORS_TOLD - len(self.result.first_errors)
        self.result.first_errors += errors[:room]
        if self._errors:
            self._errors.write(b"".join(msgspec.json.encode(each) + b"\n" for each in errors))
            self._errors.flush()

    def _show_progress(self, read_bytes: int) -> None:
        self._bytes = read_bytes
        rate = self._records / max(time.monotonic() - self._began, 0.001)
        self._bar.set_postfix_str(f"{self._records:,} titles, {rate:,.0f} titles/s", refresh=False)
        self._bar.update((read_bytes if self._bar.total else self._records) - self._bar.n)


async def _withdraw_missing(
    database: AsyncDatabase[Document],
    options: Options,
    seen: SeenTitles,
    content_types: set[ContentType],
    result: Import,
) -> None:
    """Withdraw the titles that no line names, of the types that occur in the files."""
    counts = result.counts
    if counts.invalid or counts.cut_files:
        result.not_withdrawn = "some lines could not be read, and may name the titles that seem to be missing"
        return
    if not content_types:
        result.not_withdrawn = "no line names a title"
        return
    types = [each for each in CONTENT_TYPES if each in content_types]
    total = sum([await database[CONTENT_COLLECTIONS[each]].estimated_document_count() for each in types])
    with tqdm(total=total, desc="looking for missing titles", unit=" titles", disable=None) as bar:
        missing = await find_missing(database, seen, types, bar.update)
    try:
        require_few(missing, options.withdraw_up_to)
    except TooManyMissingError as error:
        result.not_withdrawn = str(error)
        return
    if options.dry:
        counts.withdrawn = sum(each.number for each in missing)
        return
    with tqdm(total=sum(each.number for each in missing), desc="withdrawing", unit=" titles", disable=None) as bar:
        for each in missing:
            counts.withdrawn += await withdraw(database, each, bar.update)


@contextmanager
def _opened(name: str) -> Iterator[BinaryIO]:
    if name == STANDARD_INPUT:
        # Unbuffered: a thread that waits in it must keep no lock when the process ends.
        yield io.FileIO(sys.stdin.fileno(), closefd=False)
        return
    try:
        file = Path(name).open("rb")  # noqa: SIM115 - only the opening may fail like this
    except OSError as error:
        raise ImportFileError(f"{name}: {error.strerror}") from None
    with file:
        yield file


@contextmanager
def _errors_file(path: Path | None, position: Position) -> Iterator[BinaryIO | None]:
    """Open the file of errors. If the run goes on from a position, keep the file's content up to there."""
    if path is None:
        yield None
        return
    try:
        file = path.open("r+b" if position.records and path.exists() else "wb")
        file.truncate(min(position.errors_size, file.seek(0, io.SEEK_END)))
        file.seek(0, io.SEEK_END)
    except OSError as error:
        raise ImportFileError(f"--errors: {path}: {error.strerror}; name another file") from None
    with file:
        yield file


def _bar(files: Sequence[BinaryIO]) -> "tqdm[NoReturn]":
    """Return a progress bar over the bytes of the files, with the number of titles; without an end for a pipe."""
    sizes = [_size(file) for file in files]
    total = sum(size for size in sizes if size is not None) if None not in sizes else None
    shape = "{percentage:3.0f}%|{bar}| {elapsed}<{remaining}{postfix}" if total else "{elapsed}{postfix}"
    return tqdm(total=total, bar_format=shape, disable=None)


def _size(file: BinaryIO) -> int | None:
    if not file.seekable():
        return None
    here = file.tell()
    end = file.seek(0, io.SEEK_END)
    file.seek(here)
    return end
