"""A limit on concurrent operations of MongoDB: operations above it wait in order, a second at most."""

import asyncio

from mylist.domain.errors import DatabaseBusyError
from mylist.turns import Turns

MAX_WAIT_S = 1.0
"""How long an operation waits for its turn."""
_MAX_STANDSTILL_S = 0.25
"""An operation gives up when no other has ended for so long; a busy event loop may notice one that late."""
_WAITING_PER_RUNNING = 2
"""Maximum of waiting operations, per one that may run."""


class OperationLimit:
    """Lets at most `maximum` operations run, and twice as many wait.

    A cold cache may need more operations at one moment than there are connections; a moment later they are done. So an
    operation waits as long as others end. When none ends, or too many wait, waiting does not help, and it is refused.

    Attributes:
        maximum: how many operations may run at once.
        running: how many run.
        waiting: those that wait.
    """

    def __init__(self, maximum: int) -> None:
        self.maximum = maximum
        self.running = 0
        self._ended = 0
        self.waiting = Turns()

    async def enter(self) -> None:
        """Wait for the turn of an operation, which must `leave` at its end.

        Raises:
            DatabaseBusyError: its turn does not come.
        """
        if self.running < self.maximum:
            self.running += 1
            return
        if len(self.waiting) >= _WAITING_PER_RUNNING * self.maximum:
            raise DatabaseBusyError
        await self.waiting.wait(self._wait_for, self.leave)

    def leave(self) -> None:
        """Let the operation that has waited for longest take the place of one that has ended."""
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
