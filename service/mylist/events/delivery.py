"""Delivers the lines: to standard output, or in batches to a command that confirms them by its exit status."""

import array
import asyncio
import fcntl
import logging
import os
import select
import stat
import termios
from collections import deque
from collections.abc import Iterator, Sequence
from typing import Protocol

from mylist.events.event_lines import Told
from mylist.mongodb.database import Document

_PIPE_WRITE_SIZE = select.PIPE_BUF
"""Maximum bytes that a pipe accepts atomically."""
_NO_READER = "the program that reads standard output has closed it; start both programs again"
_POLL_MS = 200
_FINAL_POLL_S = 0.02
_FINAL_WAIT_S = 1.0
_MAX_PAUSE_S = 30.0

_logger = logging.getLogger(__name__)


class ReaderGoneError(Exception):
    """Standard output no longer accepts lines; the message says why."""


class CommandError(Exception):
    """The command cannot be started; the message is one line."""


class StoppedError(Exception):
    """The run must end, and a batch was not delivered completely."""


class Delivery(Protocol):
    """Delivers lines. Lines that the consumer did not accept come again in the next run."""

    async def deliver(self, batch: Sequence[Told]) -> None:
        """Deliver the lines of some events.

        Raises:
            StoppedError: the run must end.
        """

    def taken(self) -> Document | None:
        """Return the last token up to which the consumer has accepted everything; None before the first."""

    async def finish(self) -> None:
        """Give the consumer a moment to accept the delivered lines."""


class StandardOutput:
    """Writes lines to a file descriptor.

    The content of a pipe is lost if its reader dies. So a line counts as accepted once the pipe no longer contains it.

    Args:
        descriptor: file descriptor of standard output.
        stopping: set when the run must end, even while the reader does not read.
    """

    def __init__(self, descriptor: int, stopping: asyncio.Event) -> None:
        self._descriptor = descriptor
        self._stopping = stopping
        self._is_pipe = stat.S_ISFIFO(os.fstat(descriptor).st_mode)
        self._poll = select.poll()
        self._poll.register(descriptor, select.POLLOUT)
        self._written = 0
        self._marks: deque[tuple[int, Document]] = deque()
        self._taken: Document | None = None

    async def deliver(self, batch: Sequence[Told]) -> None:
        """Deliver the lines of some events. The reader gets only whole lines, even if the process ends.

        Raises:
            ReaderGoneError: the reader has closed the pipe.
            StoppedError: the run must end.
        """
        if not any(told.lines for told in batch) and self._has_no_reader():
            raise ReaderGoneError(_NO_READER)
        end = self._written
        for told in batch:
            end += sum(map(len, told.lines))
            if told.token is not None:
                self._marks.append((end, told.token))
        for chunk in _whole_lines([line for told in batch for line in told.lines]):
            await self._write(chunk)

    def taken(self) -> Document | None:
        """Return the last token up to which the consumer has accepted everything; None before the first."""
        taken = self._written - self._unread()
        while self._marks and self._marks[0][0] <= taken:
            self._taken = self._marks.popleft()[1]
        return self._taken

    async def finish(self) -> None:
        """Give the reader a moment to read the content of the pipe."""
        for _ in range(round(_FINAL_WAIT_S / _FINAL_POLL_S)):
            if not self._unread():
                break
            await asyncio.sleep(_FINAL_POLL_S)

    def _has_no_reader(self) -> bool:
        return any(state & (select.POLLERR | select.POLLHUP) for _, state in self._poll.poll(0))

    async def _write(self, chunk: bytes) -> None:
        while chunk:
            if not self._poll.poll(0):
                while not await asyncio.to_thread(self._poll.poll, _POLL_MS):
                    if self._stopping.is_set():
                        raise StoppedError
            try:
                written = os.write(self._descriptor, chunk)
            except BlockingIOError:
                continue  # other processes may have made the descriptor non-blocking
            except BrokenPipeError as error:
                raise ReaderGoneError(_NO_READER) from error
            except OSError as error:
                raise ReaderGoneError(
                    f"cannot write to standard output: {error.strerror}; remove the cause, and start again"
                ) from error
            self._written += written
            chunk = chunk[written:]

    def _unread(self) -> int:
        if not self._is_pipe:
            return 0
        unread = array.array("i", [0])
        fcntl.ioctl(self._descriptor, termios.FIONREAD, unread)
        return unread[0]


class CommandInput:
    """Runs a command for each batch, with the lines as its standard input, until it ends with status 0.

    Args:
        command: the program and its arguments.
        stopping: set when the run must end. A running command is waited for.
    """

    def __init__(self, command: Sequence[str], stopping: asyncio.Event) -> None:
        self._command = command
        self._stopping = stopping
        self._taken: Document | None = None

    async def deliver(self, batch: Sequence[Told]) -> None:
        """Deliver the lines of some events.

        Raises:
            CommandError: the command cannot be started.
            StoppedError: the run must end, and the command failed.
        """
        lines = [line for told in batch for line in told.lines]
        pause_s = 1.0
        while lines and (status := await self._run(b"".join(lines))):
            _logger.error(
                "%s ended with status %d; it gets the same %d lines again in %.0f s",
                self._command[0],
                status,
                len(lines),
                pause_s,
            )
            try:
                await asyncio.wait_for(self._stopping.wait(), pause_s)
            except TimeoutError:
                pause_s = min(2 * pause_s, _MAX_PAUSE_S)
            else:
                raise StoppedError
        self._taken = batch[-1].token or self._taken

    def taken(self) -> Document | None:
        """Return the last token up to which the consumer has accepted everything; None before the first."""
        return self._taken

    async def finish(self) -> None:
        """Do nothing: it is already known what the command accepted."""

    async def _run(self, lines: bytes) -> int:
        try:
            process = await asyncio.create_subprocess_exec(*self._command, stdin=asyncio.subprocess.PIPE)
        except OSError as error:
            raise CommandError(
                f"cannot start {self._command[0]}: {error.strerror}; name an existing program after --"
            ) from error
        await process.communicate(lines)
        return process.returncode or 0


def _whole_lines(lines: Sequence[bytes]) -> Iterator[bytes]:
    """Yield lines, joined to pieces that a pipe accepts atomically."""
    chunk = b""
    for line in lines:
        if chunk and len(chunk) + len(line) > _PIPE_WRITE_SIZE:
            yield chunk
            chunk = b""
        chunk += line
    if chunk:
        yield chunk
