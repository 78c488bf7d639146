"""Ends the driver's retries of an operation before they become a flood.

With a deadline (`timeoutMS`), the driver repeats an operation for as long as there is time, and without a pause where
MongoDB answers that it cannot reach another server: that is hundreds of commands a second for each operation.
"""

from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import pymongo
from pymongo.monitoring import CommandFailedEvent, CommandListener

ELSEWHERE_CODES = frozenset({6, 7, 89, 133, 134, 262, 9001})
"""Error codes of a MongoDB that answers and does not reach what it needs, such as the shard behind a `mongos`."""
_MAX_FAILURES = 10
"""Failed commands of an operation, retries included. The driver pauses between most of them, as in an election."""
_MAX_FAILURES_ELSEWHERE = 2
"""The driver does not pause after these, so that a retry soon meets the same again."""
_NO_TIME_S = 1e-9
"""The driver takes 0 for no deadline at all."""

# The caller that runs an operation sets both, to 0 and None, and resets them at its end.
failed_commands: ContextVar[int | None] = ContextVar("failed_commands", default=None)
"""How many commands of the operation have failed, retries included; None where they are not limited."""
last_answer: ContextVar[object] = ContextVar("last_answer", default=None)
"""The last answer of MongoDB that is no failure, though it may lack a majority; None before the first."""


@contextmanager
def limited_retries() -> Iterator[None]:
    """Surround what is no `Database.operation`, and is limited in the same way once commands have failed."""
    token = failed_commands.set(0)
    try:
        yield
    finally:
        failed_commands.reset(token)


def sent_commands() -> int:
    """Return how many commands the operation sent, for one that failed; several that were answered count as one."""
    return (failed_commands.get() or 0) + (last_answer.get() is not None)


class RetryLimit(CommandListener):
    """Listens to the driver, which calls it within the operation's own task, and takes the time for retries away."""

    # The driver calls both for each command, and neither runs a line of Python.
    started = deque[object](maxlen=0).append  # type: ignore[assignment] # which takes whatever comes, and keeps nothing
    succeeded = last_answer.set  # type: ignore[assignment]

    def failed(self, event: CommandFailedEvent) -> None:
        """Count a failure; after too many there is no time left, and the driver raises the last error."""
        failed = failed_commands.get()
        if failed is None:
            return
        failed += 1
        failed_commands.set(failed)
        is_elsewhere = event.failure.get("code") in ELSEWHERE_CODES
        if failed >= (_MAX_FAILURES_ELSEWHERE if is_elsewhere else _MAX_FAILURES):
            # Not left: the driver itself restores the deadline at the end of the operation.
            pymongo.timeout(_NO_TIME_S).__enter__()
