"""What one user may have under way at once, so that one client is not everybody."""

import asyncio
import math
import random
from collections import deque

from mylist.domain.errors import TooManyRequestsError

_MAX_WAIT_S = 10.0
"""A request waits so long for its turn."""
_REFUSED_AFTER_S = (0.4, 0.9)
"""A client that asks again at once, on hundreds of connections, would have the event loop do little but refuse. So its
refusals come late, and spread."""
_PAUSE_S = 0.005
"""Between the end of a request of a user who has others waiting and the turn of the next: so what such a user takes of
the processor has a bound. There is none while nobody else is about."""
_OTHERS_STAY_S = 1.0
"""For so long after a request of another user was under way, other users count as being about."""


class UserShares:
    """Lets each user have `share` requests under way, of which `at_once` are served and the others wait in order.

    What those in service cost is what other users wait for: their number is small. `mylist.http.dispatch` counts them
    itself as long as nothing has to wait.

    Attributes:
        share: how many requests of one user may be under way.
        at_once: how many of them are served at once; at least two.
        held: how many are served, by user; without those who have none.
    """

    __slots__ = ("_others_seen_at", "_refusal", "_waiting", "at_once", "held", "share")

    def __init__(self, *, share: int, at_once: int, refusal: type[TooManyRequestsError]) -> None:
        self.share = share
        self.at_once = at_once
        self.held: dict[str, int] = {}
        self._refusal = refusal
        self._others_seen_at = -math.inf
        self._waiting: dict[str, deque[asyncio.Future[None]]] = {}

    async def enter(self, user_id: str) -> None:
        """Wait for the turn of a request, which must `leave` then.

        Raises:
            TooManyRequestsError: the user has as many as one may have, or those before it take too long.
        """
        held = self.held.get(user_id, 0)
        if held < self.at_once:
            self.held[user_id] = held + 1
            return
        waiting = self._waiting.setdefault(user_id, deque())
        if held + len(waiting) >= self.share:
            self._forget_empty(user_id)
            await asyncio.sleep(random.uniform(*_REFUSED_AFTER_S))  # noqa: S311 - spreads refusals
            raise self._refusal
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        waiting.append(turn)
        try:
            await asyncio.wait((turn,), timeout=_MAX_WAIT_S)
        except asyncio.CancelledError:
            if turn.done():  # it came at the same moment
                self.leave(user_id)
            raise
        finally:
            if not turn.done():
                waiting.remove(turn)
                self._forget_empty(user_id)
        if not turn.done():
            raise self._refusal

    def leave(self, user_id: str) -> None:
        """Let the user's request that has waited for longest take the place of one that has ended.

        It begins after a pause if other users are about.
        """
        loop = asyncio.get_running_loop()
        if len(self.held) > 1:
            self._others_seen_at = loop.time()
        if user_id in self._waiting and loop.time() - self._others_seen_at < _OTHERS_STAY_S:
            loop.call_later(_PAUSE_S, self._pass_on, user_id)
        else:
            self._pass_on(user_id)

    def _pass_on(self, user_id: str) -> None:
        if user_id in self._waiting:
            self._waiting[user_id].popleft().set_result(None)
            self._forget_empty(user_id)
        elif self.held[user_id] == 1:
            del self.held[user_id]
        else:
            self.held[user_id] -= 1

    def _forget_empty(self, user_id: str) -> None:
        if not self._waiting[user_id]:
            del self._waiting[user_id]
