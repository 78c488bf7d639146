"""A fair queue: the waiter that has waited longest is next."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable


class Turns(deque[asyncio.Future[None]]):
    """The waiters for a turn, in order. A waiter that got its turn must give it away at its end."""

    __slots__ = ()

    async def wait(
        self, for_turn: Callable[[asyncio.Future[None]], Awaitable[object]], give_away: Callable[[], None]
    ) -> bool:
        """Wait for a turn; return whether it came.

        Args:
            for_turn: waits for the future of the turn; it decides for how long.
            give_away: passes the turn on; called if the turn came at the moment when the waiter was cancelled.
        """
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.append(turn)
        try:
            await for_turn(turn)
        except asyncio.CancelledError:
            if turn.done():
                give_away()
            raise
        finally:
            if not turn.done():
                self.remove(turn)
        return turn.done()

    def call_next(self) -> None:
        """Give the turn to the waiter that has waited longest. There must be one."""
        self.popleft().set_result(None)
