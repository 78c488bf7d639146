"""Ends the driver's retries of an operation before they become a flood.

With a deadline (`timeoutMS`), the driver repeats an operation for as long as there is time, and without a pause where
MongoDB answers that it cannot reach another server: that is hundreds of commands a second for each operation.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

import pymongo
from pymongo.monitoring import CommandFailedEvent, CommandListener, CommandStartedEvent, CommandSucceededEvent

ELSEWHERE_CODES = frozenset({6, 7, 89, 133, 134, 262, 9001})
"""Error codes of a MongoDB that answers and does not reach what it needs, such as the shard behind a `mongos`."""
_MAX_FAILURES = 10
"""Failed commands of an operation, retries included. The driver pauses between most of them, as in an election."""
_MAX_FAILURES_ELSEWHERE = 2
"""The driver does not pause after these, so that a retry soon meets the same again."""
_NO_TIME_S = 1e-9
"""The driver takes 0 for no deadline at all."""


@dataclass(slots=True)
class Commands:
    """What an operation sent.

    Attributes:
        sent: how many commands.
        failed: how many of them failed.
    """

    sent: int = 0
    failed: int = 0


_commands: ContextVar[Commands | None] = ContextVar("commands", default=None)


@contextmanager
def counted(commands: Commands) -> Iterator[None]:
    """Surround an operation, whose commands are counted, and limited once some have failed."""
    token = _commands.set(commands)
    try:
        yield
    finally:
        _commands.reset(token)


class RetryLimit(CommandListener):
    """Listens to the driver, which calls it within the operation's own task, and takes the time for retries away."""

    def started(self, event: CommandStartedEvent) -> None:  # noqa: ARG002 - the driver's interface
        """Count a command."""
        if commands := _commands.get():
            commands.sent += 1

    def succeeded(self, event: CommandSucceededEvent) -> None:
        """Do nothing: it was counted when it started."""

    def failed(self, event: CommandFailedEvent) -> None:
        """Count a failure; after too many there is no time left, and the driver raises the last error."""
        if (commands := _commands.get()) is None:
            return
        commands.failed += 1
        is_elsewhere = event.failure.get("code") in ELSEWHERE_CODES
        if commands.failed >= (_MAX_FAILURES_ELSEWHERE if is_elsewhere else _MAX_FAILURES):
            # Not left: the driver itself restores the deadline at the end of the operation.
            pymongo.timeout(_NO_TIME_S).__enter__()
