"""A limit on concurrent operations of MongoDB: operations above the limit wait in order, for at most a second."""

import asyncio

from mylist.domain.errors import DatabaseBusyError
from mylist.turns import Turns

MAX_WAIT_S = 1.0
"""Maximum wait of an operation for its turn."""
_MAX_STANDSTILL_S = 0.25
"""An operation gives up if no operation has ended for this long. A busy event loop may notice an end that late."""
_WAITING_PER_RUNNING = 2
"""Maximum number of waiting operations per running operation."""


class OperationLimit:
    """Lets at most `maximum` operations run, and twice as many wait.

    With a cold cache, more operations than connections may be needed for a moment. So an operation waits while others
    end. If none ends, or too many wait, waiting does not help and the operation is refused.

    Attributes:
        maximum: maximum number of running operations.
        running: number of running operations.
        waiting: the waiting operations.
    """

    def __init__(self, maximum: int) -> None:
        self.maximum = maximum
        self.running = 0
        self._ended = 0
        self.waiting = Turns()

    async def enter(self) -> None:
        """Wait for the turn of an operation. It must call `leave` at its end.

        Raises:
            DatabaseBusyError: the turn does not come.
        """
        if self.running < self.maximum:
            self.running += 1
            return
        if len(self.waiting) >= _WAITING_PER_RUNNING * self.maximum:
            raise DatabaseBusyError
        await self.waiting.wait(self._wait_for, self.leave)

    def leave(self) -> None:
        """Pass the place of an operation that has ended to the longest-waiting one."""
        self._ended += 1
        if self.waiting:
            self.waiting.call_next()
        else:
            self.running -= 1

    async def _wait_for(self, turn: asyncio.Future[None]) -> None:
        now = asyncio.get_running_loop().time
        end = now() + MAX_WAIT_S
        while not turn.done():
            ended = self._ended
            await asyncio.wait((turn,), timeout=_MAX_STANDSTILL_S)
            if not turn.done() and (self._ended == ended or now() >= end):
                raise DatabaseBusyError
