"""Whether Redis may be asked, and whether what it answers may be believed.

While Redis is away a write goes through without a fence, and its invalidation is delivered later. Until then Redis may
hold a list from before that write. So a process that has lost sight of Redis for a while believes nothing it holds
until every process has had the time to deliver. What makes this sound is the order of three delays:

    DOUBT_AFTER   without an answered heartbeat, a process stops believing the cache
  < DOWN_AFTER    of failing heartbeats, a process writes without a fence
    GRACE         after Redis is back, a process that had stopped believing starts again; longer than it takes another
                  process to notice that Redis is back and to deliver what it owes

When one process writes without a fence because Redis is away for all, the others have stopped believing before. The one
case this does not cover is a link cut for one process only; there CACHE_TTL is the bound, or CACHE_STRICT the answer.

A primary may be replaced while it goes on answering, and processes notice one after the other. What a heartbeat was
told is good for a time only, and those who know wait for longer:

    DOUBT_AFTER   so long a process may read at a primary after it was told that it is one
  < HANDOVER      after another was found, until a write goes on that was fenced there

    KNOWN_FOR     so long a process may end writes at a primary after it was told that it is one
  < GRACE         after another was found, until a list from there is believed
"""

import asyncio
import logging
import time
from collections.abc import Callable
from contextlib import suppress
from enum import Enum
from itertools import islice

from mylist.cache.commands import CacheCommands
from mylist.errors import CacheUnavailableError

HEARTBEAT = 0.1
DOUBT_AFTER = 0.45
HANDOVER = 0.6
KNOWN_FOR = 1.0
DOWN_AFTER = 0.7
GRACE = 2.0
_LEAST_FAILURES = 3
MOST_OWED = 20_000
_DELIVERED_AT_ONCE = 500

_logger = logging.getLogger(__name__)


class LinkState(Enum):
    """What the process knows of Redis."""

    UP = "up"
    RECOVERING = "recovering"
    """Redis answers, but may still hold lists that somebody owes an invalidation."""
    DOWN = "down"


class Link:
    """Watches Redis by heartbeats and keeps the invalidations that are owed.

    Args:
        commands: says things to Redis.
        forget_after: seconds after which a list that was cached has expired, and its invalidation is pointless.
        name: what the log calls Redis.
        clock: monotonic seconds.

    Attributes:
        state: what the heartbeats say.
    """

    def __init__(
        self,
        commands: CacheCommands,
        *,
        forget_after: float,
        name: str = "Redis",
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._commands = commands
        self._forget_after = forget_after
        self._name = name
        self._clock = clock
        # Nonces, and when the latest was added; the oldest entry comes first.
        self._owed: dict[str, tuple[set[bytes], float]] = {}
        self._last_answered = -float("inf")
        self._changes = commands.changes
        self._takeovers = commands.takeovers
        self._handed_over = -float("inf")
        self._failures = 0
        self._failing_since = 0.0
        self._believe_from = float("inf")
        # A process that starts in an outage cannot know what others owe, so it begins like one that saw it.
        self.state = LinkState.RECOVERING

    @property
    def reachable(self) -> bool:
        """Whether it makes sense to ask Redis."""
        return self.state is not LinkState.DOWN

    @property
    def believed(self) -> bool:
        """Whether a list that Redis holds may be served."""
        return self.state is LinkState.UP and not self._owed and self.sure and self._commands.changes == self._changes

    @property
    def sure(self) -> bool:
        """Whether Redis has answered so lately that what it holds is what others see."""
        return self._clock() - self._last_answered <= DOUBT_AFTER

    @property
    def knows_primary(self) -> bool:
        """Whether a write may end at whoever is held for the primary."""
        return self._clock() - self._last_answered <= KNOWN_FOR

    @property
    def changes(self) -> int:
        """How often Redis may have lost something."""
        return self._commands.changes

    @property
    def owed(self) -> int:
        """For how many lists an invalidation waits to be delivered."""
        return len(self._owed)

    @property
    def may_owe(self) -> bool:
        """Whether another invalidation could still be delivered within the grace that everybody waits."""
        return len(self._owed) < MOST_OWED

    def owe(self, key: str, nonce: bytes) -> None:
        """Keeps the end of a write for delivery as soon as Redis answers."""
        nonces, _ = self._owed.pop(key, (set(), 0.0))
        nonces.add(nonce)
        self._owed[key] = nonces, self._clock()

    async def handed_over(self) -> None:
        """Waits until no process can hold for a primary what this one knows to be replaced."""
        self._note_takeovers()
        left = self._handed_over - self._clock()
        if left > 0:
            await asyncio.sleep(left)

    async def heartbeats(self) -> None:
        """Sends heartbeats until cancelled."""
        while True:
            await self.heartbeat()
            await asyncio.sleep(HEARTBEAT)

    async def heartbeat(self) -> None:
        """Asks Redis once, delivers what is owed if it answers, and draws the conclusion."""
        sent = self._clock()
        reason: BaseException | None
        try:
            await self._commands.ping()
            reason = TimeoutError("it answers too late") if self._clock() - sent > DOUBT_AFTER else None
        except CacheUnavailableError as error:
            reason = error.__cause__ or error
        self._note_takeovers()
        if reason:
            self._note_failure(sent, reason)
            return
        self._failures = 0
        # Another primary is like an outage that was over before it was noticed: other processes may still talk to the
        # old one, and fence there.
        lost_sight = sent - self._last_answered > DOUBT_AFTER or self._commands.changes != self._changes
        self._changes = self._commands.changes
        self._last_answered = sent
        if lost_sight:
            self._believe_from = self._clock() + GRACE
            # From here on writes are fenced again, so that what is owed does not grow while it is delivered.
            self._enter(LinkState.RECOVERING)
        elif self._clock() >= self._believe_from:
            self._enter(LinkState.UP)
        with suppress(CacheUnavailableError):  # then it stays owed, and nothing is believed
            await self._deliver()

    def _note_failure(self, sent: float, reason: BaseException) -> None:
        if not self._failures:
            self._failing_since = sent
        self._failures += 1
        # By the clock alone, a process that was held up for long would take its own pause for an outage.
        if self._failures >= _LEAST_FAILURES and self._clock() - self._failing_since > DOWN_AFTER:
            self._enter(LinkState.DOWN, reason)
        self._forget()

    def _note_takeovers(self) -> None:
        if self._takeovers != self._commands.takeovers:
            self._takeovers = self._commands.takeovers
            self._handed_over = self._clock() + HANDOVER

    async def _deliver(self) -> None:
        while self._owed:
            batch = [(key, tuple(nonces)) for key, (nonces, _) in islice(self._owed.items(), _DELIVERED_AT_ONCE)]
            await self._commands.lift_fences([(key, nonce) for key, nonces in batch for nonce in nonces])
            for key, delivered in batch:
                nonces, _ = self._owed[key]
                nonces.difference_update(delivered)
                if not nonces:
                    del self._owed[key]

    def _forget(self) -> None:
        """Drops what is owed for lists that have expired by now."""
        while self._owed:
            key, (_, since) = next(iter(self._owed.items()))
            if self._clock() - since < self._forget_after:
                return
            del self._owed[key]

    def _enter(self, state: LinkState, reason: BaseException | None = None) -> None:
        if state is self.state:
            return
        level = logging.WARNING if state is LinkState.DOWN else logging.INFO
        hint = f": {reason}; lists come from MongoDB until it is mended" if reason else ""
        _logger.log(level, "%s is %s%s", self._name, state.value, hint)
        self.state = state
