"""Reads records in a thread, because a read from a pipe may block for any time while MongoDB must be served."""

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from dataclasses import dataclass, field

from mylist.catalogue_files.record import Record

_MAX_RECORDS = 200
_MAX_BYTES = 1024 * 1024


@dataclass(slots=True)
class _Slice:
    """Some records, and the error if the rest of the file cannot be read."""

    records: list[Record] = field(default_factory=list)
    error: Exception | None = None


async def slices(records: Iterator[Record]) -> AsyncIterator[list[Record]]:
    """Yield records in batches. While the caller processes a batch, the next one is read.

    Raises:
        UnreadableFileError: the iterator raised it; all records before it were yielded.
    """
    reading = _start(records)
    while (part := await reading).records:
        if part.error is None:
            reading = _start(records)
        yield part.records
        if part.error is not None:
            break
    if part.error is not None:
        raise part.error


def _start(records: Iterator[Record]) -> asyncio.Future[_Slice]:
    loop = asyncio.get_running_loop()
    future: asyncio.Future[_Slice] = loop.create_future()

    def finish(part: _Slice) -> None:
        if not future.done():
            future.set_result(part)

    def read() -> None:
        part = _read(records)
        with suppress(RuntimeError):  # the loop has ended, because the run was interrupted
            loop.call_soon_threadsafe(finish, part)

    # The thread is not joined at the end: it may be blocked on a pipe.
    threading.Thread(target=read, daemon=True).start()
    return future


def _read(records: Iterator[Record]) -> _Slice:
    part, size = _Slice(), 0
    try:
        for record in records:
            part.records.append(record)
            size += len(record.raw)
            if len(part.records) >= _MAX_RECORDS or size >= _MAX_BYTES:
                break
    except Exception as error:  # noqa: BLE001 - the caller gets it, whatever it is
        part.error = error
    return part
