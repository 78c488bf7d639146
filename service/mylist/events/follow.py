"""One run of `mylist events`: from the change stream to the consumer, whose position is saved after the delivery."""

import asyncio
import logging
import signal
import sys
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from mylist.background import cancel_all
from mylist.config.settings import Settings
from mylist.events.delivery import CommandError, CommandInput, Delivery, ReaderGoneError, StandardOutput, StoppedError
from mylist.events.event_lines import Told, parse_token
from mylist.events.event_metrics import EventMetrics, PortTakenError
from mylist.events.list_stream import ListStream
from mylist.events.positions import Position, PositionFileError, PositionInFile, PositionInMongoDB
from mylist.events.stream_errors import EventsError
from mylist.mongodb.database import (
    DRIVER_ERRORS,
    Document,
    MongoRefusedError,
    address,
    close,
    connect,
    database_of,
    reason,
)
from mylist.telemetry.line_limit import LineLimit

_MAX_BATCH = 500
"""Changes that are delivered at once."""
_QUEUE_SIZE = 2 * _MAX_BATCH
_SAVE_INTERVAL_S = 1.0
_IDLE_SAVE_INTERVAL_S = 30.0

_logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """The options of a run.

    Attributes:
        name: name of the position in MongoDB.
        position: the file that holds the position instead, if any.
        anew: whether to begin as if there were no position.
        after: the token to resume after; None for the position.
        snapshot: whether the items of all lists come first if there is no position.
        metrics_port: the port of the metrics, if any.
        consumer: the command that gets the lines; empty for standard output.
    """

    name: str
    position: Path | None
    anew: bool
    after: str | None
    snapshot: bool
    metrics_port: int | None
    consumer: Sequence[str]


async def follow(settings: Settings, options: Options) -> None:
    """Deliver changes until SIGTERM or SIGINT.

    Raises:
        EventsError: the run cannot go on; `UselessPositionError` if no run can resume from the position.
    """
    stopping = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopping.set)
    metrics = EventMetrics()
    try:
        client = connect(settings)
    except MongoRefusedError as error:
        raise EventsError(str(error)) from error
    database = database_of(client)
    kept = PositionInFile(options.position) if options.position else PositionInMongoDB(database, options.name)
    delivery = (
        CommandInput(options.consumer, stopping) if options.consumer else StandardOutput(sys.stdout.fileno(), stopping)
    )
    run = _Run(options, kept, delivery, metrics, stopping)
    server = None
    try:
        if options.metrics_port:
            server = metrics.serve(settings.host, options.metrics_port)
        await run.tell(ListStream(database, address(settings), metrics.restarted))
    except (PortTakenError, PositionFileError, CommandError) as error:
        raise EventsError(str(error)) from error
    finally:
        if server is not None:
            server.shutdown()
            server.server_close()
        await close(client)


class _Run:
    def __init__(
        self,
        options: Options,
        kept: Position,
        delivery: Delivery,
        metrics: EventMetrics,
        stopping: asyncio.Event,
    ) -> None:
        self._options = options
        self._kept = kept
        self._delivery = delivery
        self._metrics = metrics
        self._stopping = stopping
        self._saved: Document | None = None
        self._saved_at = -_IDLE_SAVE_INTERVAL_S
        self._has_news = False
        self._failure_lines = LineLimit(1, period_s=60)

    async def tell(self, stream: ListStream) -> None:
        """Deliver the events of the stream until the run must end, and keep the position."""
        try:
            async with self._batches(stream) as batches:
                async for batch in batches:
                    await self._hand_over(batch)
                    await self._save()
        except StoppedError:
            pass
        except ReaderGoneError as error:
            await self._save(at_end=True)
            raise EventsError(f"{error}; unread lines are sent again after a restart") from error
        except EventsError:
            await self._finish()
            raise
        await self._finish()

    async def _hand_over(self, batch: Sequence[Told]) -> None:
        lines = [line for told in batch for line in told.lines]
        await self._delivery.deliver(batch)
        self._metrics.written(lines)
        self._has_news = self._has_news or bool(lines) or self._saved is None
        if batch[-1].until is not None:
            self._metrics.told_until = batch[-1].until

    async def _finish(self) -> None:
        await self._delivery.finish()
        await self._save(at_end=True)

    async def _save(self, *, at_end: bool = False) -> None:
        """Keep the position of the consumer, if it has moved and the interval has passed."""
        token = self._delivery.taken()
        interval_s = _SAVE_INTERVAL_S if self._has_news else _IDLE_SAVE_INTERVAL_S
        if token is None or token == self._saved or not (at_end or time.monotonic() - self._saved_at >= interval_s):
            return
        try:
            await self._kept.save(token)
        except DRIVER_ERRORS as error:
            if at_end or self._failure_lines.allows():
                _logger.warning(
                    "The position %s could not be saved: %s; after a restart, all lines since the last saved position "
                    "are sent again",
                    self._kept.name,
                    reason(error),
                )
            return
        if self._saved is None:
            _logger.info("The position is saved from now on: %s", self._kept.name)
        self._saved, self._saved_at, self._has_news = token, time.monotonic(), False

    async def _load(self) -> Document | None:
        if self._options.after is not None:
            _logger.info("Reading changes of lists after the given token")
            return parse_token(self._options.after)
        token = None if self._options.anew else await self._kept.load()
        if token is not None:
            _logger.info("Reading changes of lists from the saved position %s", self._kept.name)
        else:
            _logger.info(
                "No saved position: %s",
                "writing all lists first" if self._options.snapshot else "reading changes from now on",
            )
        return token

    @asynccontextmanager
    async def _batches(self, stream: ListStream) -> AsyncIterator[AsyncIterator[list[Told]]]:
        """Yield the events to deliver together. Reading goes on meanwhile, up to a limit."""
        queue: asyncio.Queue[Told | Exception] = asyncio.Queue(_QUEUE_SIZE)

        async def read() -> None:
            try:
                async for told in stream.follow(self._load, snapshot=self._options.snapshot):
                    await queue.put(told)
            except Exception as error:  # noqa: BLE001 - it is raised to the one who reads the queue, after all before it
                await queue.put(error)

        reading = asyncio.create_task(read())
        stopped = asyncio.create_task(self._stopping.wait())
        try:
            yield self._batched(queue, stopped)
        finally:
            await cancel_all([reading, stopped])

    async def _batched(
        self, queue: "asyncio.Queue[Told | Exception]", stopped: "asyncio.Task[bool]"
    ) -> AsyncIterator[list[Told]]:
        while True:
            getting = asyncio.create_task(queue.get())
            await asyncio.wait([getting, stopped], return_when=asyncio.FIRST_COMPLETED)
            if stopped.done():
                await cancel_all([getting])
                return
            batch: list[Told] = []
            each = getting.result()
            while isinstance(each, Told):
                batch.append(each)
                if len(batch) == _MAX_BATCH or queue.empty():
                    break
                each = queue.get_nowait()
            if batch:
                yield batch
            if isinstance(each, Exception):
                raise each
