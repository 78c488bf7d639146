"""Waiting in order: the one that has waited for longest is next."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable


class Turns(deque[asyncio.Future[None]]):
    """Those that wait for a turn, in order. Whoever has a turn must give it away at its end."""

    __slots__ = ()

    async def wait(
        self, for_turn: Callable[[asyncio.Future[None]], Awaitable[object]], give_away: Callable[[], None]
    ) -> bool:
        """Wait for a turn; return whether it came.

        Args:
            for_turn: waits for the future of the turn, as long as that makes sense.
            give_away: gives the turn to another; called if the turn came at the moment at which the waiter was
                cancelled.
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
        """Give the turn to the one that has waited for longest; there must be one."""
        self.popleft().set_result(None)
