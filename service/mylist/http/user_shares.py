"""How many requests one user may have under way, so that one user does not take all places of a process."""

import asyncio
import math
import random

from mylist.domain.errors import TooManyRequestsError
from mylist.turns import Turns

_MAX_WAIT_S = 10.0
"""How long a request waits for its turn."""
_REFUSED_AFTER_S = (0.4, 0.9)
"""When a request above the share is refused: between these. A client that repeats at once, on hundreds of connections,
would keep the event loop busy with refusals alone; so they come late, and spread."""
_PAUSE_S = 0.005
"""The pause between the end of a request and the turn of the next one that waits: it bounds how much of the processor a
user with waiting requests takes. There is no pause while that user is alone."""
_OTHERS_STAY_S = 1.0
"""A user counts as alone when no request of another user has been under way for so long."""


class UserShares:
    """Lets each user have `share` requests under way, of which `at_once` are served and the others wait in order.

    Other users wait for the work of the requests that are served, so `at_once` is small. As long as no request has to
    wait, `mylist.http.dispatch` counts in `held` by itself.

    Attributes:
        share: maximum of requests of one user under way, those that wait included.
        at_once: maximum of them that are served at once; two or more.
        held: how many are served, by user; a user without any is not in it.
    """

    __slots__ = ("_others_seen_at", "_refusal", "_waiting", "at_once", "held", "share")

    def __init__(self, *, share: int, at_once: int, refusal: type[TooManyRequestsError]) -> None:
        self.share = share
        self.at_once = at_once
        self.held: dict[str, int] = {}
        self._refusal = refusal
        self._others_seen_at = -math.inf
        self._waiting: dict[str, Turns] = {}

    async def enter(self, user_id: str) -> None:
        """Wait for the turn of a request, which must `leave` at its end.

        Raises:
            TooManyRequestsError: the user has `share` requests under way, or the turn does not come in time.
        """
        held = self.held.get(user_id, 0)
        if held < self.at_once:
            self.held[user_id] = held + 1
            return
        waiting = self._waiting.setdefault(user_id, Turns())
        if held + len(waiting) >= self.share:
            self._forget_empty(user_id)
            await asyncio.sleep(random.uniform(*_REFUSED_AFTER_S))  # noqa: S311 - spreads refusals
            raise self._refusal
        try:
            came = await waiting.wait(
                lambda turn: asyncio.wait((turn,), timeout=_MAX_WAIT_S), lambda: self.leave(user_id)
            )
        finally:
            self._forget_empty(user_id)
        if not came:
            raise self._refusal

    def leave(self, user_id: str) -> None:
        """Let the user's request that has waited for longest take the place of one that has ended.

        Unless the user is alone, that request begins after a pause.
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
            self._waiting[user_id].call_next()
            self._forget_empty(user_id)
        elif self.held[user_id] == 1:
            del self.held[user_id]
        else:
            self.held[user_id] -= 1

    def _forget_empty(self, user_id: str) -> None:
        if user_id in self._waiting and not self._waiting[user_id]:
            del self._waiting[user_id]
