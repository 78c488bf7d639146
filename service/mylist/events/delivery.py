"""Where the lines go: to standard output, or in batches to a command that says by its exit status that it has them."""

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
"""What a pipe takes as a whole or not at all."""
_NO_READER = "the reader of standard output is gone; start both again"
_POLL_MS = 200
_FINAL_POLL_S = 0.02
_FINAL_WAIT_S = 1.0
_MAX_PAUSE_S = 30.0

_logger = logging.getLogger(__name__)


class ReaderGoneError(Exception):
    """Standard output does not take lines any more; the message says why."""


class CommandError(Exception):
    """The command cannot be started; the message is one line."""


class StoppedError(Exception):
    """The run is to end, and not all of a batch was delivered."""


class Delivery(Protocol):
    """Hands lines over. What was not taken comes again with the next run."""

    async def deliver(self, batch: Sequence[Told]) -> None:
        """Hand over what was told.

        Raises:
            StoppedError: the run is to end.
        """

    def taken(self) -> Document | None:
        """Return the last token up to which the consumer has taken everything; None before the first."""

    async def finish(self) -> None:
        """Leave the consumer a moment to take what it was given."""


class StandardOutput:
    """Writes lines to a file descriptor.

    What is in a pipe is lost with its reader. So a line counts as taken when the pipe does not hold it any more.

    Args:
        descriptor: of standard output.
        stopping: set when the run is to end, also while the reader does not read.
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
        """Hand over what was told; a reader gets whole lines, whenever the process ends.

        Raises:
            ReaderGoneError: nobody reads any more.
            StoppedError: the run is to end.
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
        """Return the last token up to which the consumer has taken everything; None before the first."""
        taken = self._written - self._unread()
        while self._marks and self._marks[0][0] <= taken:
            self._taken = self._marks.popleft()[1]
        return self._taken

    async def finish(self) -> None:
        """Leave the reader a moment to take what is in the pipe."""
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
                continue  # others may have made it one that does not block
            except BrokenPipeError as error:
                raise ReaderGoneError(_NO_READER) from error
            except OSError as error:
                raise ReaderGoneError(
                    f"standard output cannot be written: {error.strerror}; remove the cause, and start it again"
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
        stopping: set when the run is to end. A command that runs is waited for.
    """

    def __init__(self, command: Sequence[str], stopping: asyncio.Event) -> None:
        self._command = command
        self._stopping = stopping
        self._taken: Document | None = None

    async def deliver(self, batch: Sequence[Told]) -> None:
        """Hand over what was told.

        Raises:
            CommandError: the command cannot be started.
            StoppedError: the run is to end, and the command failed.
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
        """Return the last token up to which the consumer has taken everything; None before the first."""
        return self._taken

    async def finish(self) -> None:
        """Do nothing: what was taken is known."""

    async def _run(self, lines: bytes) -> int:
        try:
            process = await asyncio.create_subprocess_exec(*self._command, stdin=asyncio.subprocess.PIPE)
        except OSError as error:
            raise CommandError(
                f"cannot start {self._command[0]}: {error.strerror}; name a program that is there after --"
            ) from error
        await process.communicate(lines)
        return process.returncode or 0


def _whole_lines(lines: Sequence[bytes]) -> Iterator[bytes]:
    """Yield lines joined to pieces that a pipe takes as a whole."""
    chunk = b""
    for line in lines:
        if chunk and len(chunk) + len(line) > _PIPE_WRITE_SIZE:
            yield chunk
            chunk = b""
        chunk += line
    if chunk:
        yield chunk
