"""Limits the requests in flight of each user, so that one user cannot occupy the whole process."""

import asyncio
import math
import random

from mylist.domain.errors import TooManyRequestsError
from mylist.turns import Turns

_MAX_WAIT_S = 10.0
"""Maximum wait of a request for its turn."""
_REFUSED_AFTER_S = (0.4, 0.9)
"""A request above the share is refused after a random delay in this range.

A client that retries at once, on hundreds of connections, would otherwise keep the event loop busy with refusals alone.
"""
_PAUSE_S = 0.005
"""The pause between the end of a request and the turn of the next waiting one.

It limits the CPU time of a user with waiting requests. There is no pause while that user is alone.
"""
_OTHERS_STAY_S = 1.0
"""A user counts as alone if no other user has had a request in flight for this long."""


class UserShares:
    """Lets each user have `share` requests in flight. `at_once` of them are served; the others wait in order.

    Other users wait while these requests are served, so `at_once` is small. While no request must wait,
    `mylist.http.dispatch` updates `held` by itself.

    Attributes:
        share: maximum requests in flight of one user, including waiting requests.
        at_once: maximum requests of one user that are served at once; two or more.
        held: number of requests being served, by user; users without any are absent.
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
        """Wait for the turn of a request. The request must call `leave` at its end.

        Raises:
            TooManyRequestsError: the user already has `share` requests in flight, or the turn does not come in time.
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
        """Pass the place of a request that has ended to the user's longest-waiting request.

        Unless the user is alone, the waiting request starts after a pause.
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
