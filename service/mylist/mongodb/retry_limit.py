"""Stops the driver's retries of an operation before they become a flood.

With a deadline (`timeoutMS`), the driver retries an operation until the deadline. It does so without a pause if MongoDB
answers that it cannot reach another server: hundreds of commands per second and operation.
"""

from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import pymongo
from pymongo.monitoring import CommandFailedEvent, CommandListener

ELSEWHERE_CODES = frozenset({6, 7, 89, 133, 134, 262, 9001})
"""Error codes of a MongoDB that answers but cannot reach what it needs, such as a shard behind a `mongos`."""
_MAX_FAILURES = 10
"""Failed commands of an operation, retries included. The driver pauses between most of them, as in an election."""
_MAX_FAILURES_ELSEWHERE = 2
"""The driver does not pause after these errors, so that an immediate retry fails in the same way."""
_NO_TIME_S = 1e-9
"""For the driver, 0 means no deadline at all."""

# The caller that runs an operation sets both, to 0 and None, and resets them at its end.
failed_commands: ContextVar[int | None] = ContextVar("failed_commands", default=None)
"""Number of failed commands of the operation, including retries; None if they are not limited."""
last_answer: ContextVar[object] = ContextVar("last_answer", default=None)
"""MongoDB's last answer that is not a failure (it may lack a majority); None before the first."""


@contextmanager
def limited_retries() -> Iterator[None]:
    """Surround work outside of `Database.operation`, whose failed commands are limited in the same way."""
    token = failed_commands.set(0)
    try:
        yield
    finally:
        failed_commands.reset(token)


def sent_commands() -> int:
    """Return how many commands a failed operation sent. All answered commands together count as one."""
    return (failed_commands.get() or 0) + (last_answer.get() is not None)


class RetryLimit(CommandListener):
    """Listens to the driver, which calls it within the operation's task, and ends the time for retries."""

    # The driver calls both for each command. Neither runs any Python code.
    started = deque[object](maxlen=0).append  # type: ignore[assignment] # which takes whatever comes, and keeps nothing
    succeeded = last_answer.set  # type: ignore[assignment]

    def failed(self, event: CommandFailedEvent) -> None:
        """Count a failure. After too many failures no time is left, so the driver raises the last error."""
        failed = failed_commands.get()
        if failed is None:
            return
        failed += 1
        failed_commands.set(failed)
        is_elsewhere = event.failure.get("code") in ELSEWHERE_CODES
        if failed >= (_MAX_FAILURES_ELSEWHERE if is_elsewhere else _MAX_FAILURES):
            # Never reset here: the driver itself restores the deadline at the end of the operation.
            pymongo.timeout(_NO_TIME_S).__enter__()
