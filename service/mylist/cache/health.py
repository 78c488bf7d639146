"""Whether Redis may be asked, and whether its answers may be trusted.

While Redis is away, a write goes on without a fence, and its invalidation is delivered later. Until then Redis may hold
a list from before that write. So a process that has lost sight of Redis for a while trusts nothing it holds until every
process has had the time to deliver. What makes this sound is the order of three delays (`mylist.config.redis_timing`,
which checks it):

    DOUBT_AFTER   without an answered heartbeat, a process stops trusting the cache
  < DOWN_AFTER    of failing heartbeats, a process writes without a fence
    GRACE         after Redis is back, a process that had stopped trusting it starts again; longer than it takes another
                  process to notice that Redis is back and to deliver its pending invalidations

When one process writes without a fence because Redis is away for all, the others have stopped trusting before. The one
case this does not cover is a connection cut for one process only; there CACHE_TTL is the bound, or CACHE_STRICT the
answer.

A primary may be replaced while it goes on answering, and processes notice one after the other. The result of a
heartbeat is valid for a limited time only, and the processes that know of the new primary wait for longer:

    DOUBT_AFTER   a process may read at a primary for this long after a heartbeat confirmed it
  < HANDOVER      after another was found, until a write goes on that was fenced there

    PRIMARY_KNOWN a process may end writes at a primary for this long after a heartbeat confirmed it
  < GRACE         after another was found, until a list from there is trusted
"""

import asyncio
import logging
import math
import time
from collections.abc import Callable
from contextlib import suppress
from enum import Enum

from mylist.cache.commands import CacheCommands
from mylist.cache.pending_invalidations import PendingInvalidations
from mylist.config.redis_timing import (
    DOUBT_AFTER_S,
    DOWN_AFTER_S,
    GRACE_S,
    HANDOVER_S,
    HEARTBEAT_INTERVAL_S,
    MIN_FAILURES,
    PRIMARY_KNOWN_S,
)

_logger = logging.getLogger(__name__)


class RedisState(Enum):
    """What the process knows of Redis."""

    UP = "up"
    RECOVERING = "recovering"
    """Redis answers, but may still hold lists whose invalidation some process has yet to deliver."""
    DOWN = "down"


class RedisHealth:
    """Watches Redis by heartbeats, and delivers pending invalidations when it is back.

    Args:
        commands: sends commands to Redis.
        forget_after: seconds after which a list that was cached has expired, and its invalidation is pointless.
        name: what the log calls Redis.
        clock: monotonic seconds.

    Attributes:
        state: what the heartbeats say.
        pending: the invalidations that wait for Redis.
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
        self._topology = commands.topology
        self._name = name
        self._clock = clock
        self._last_answered = -math.inf
        self._generation = self._topology.generation
        self._failovers = self._topology.failovers
        self._handover_ends = -math.inf
        self._failures = 0
        self._failing_since = 0.0
        self._trusted_from = math.inf
        self.pending = PendingInvalidations(forget_after=forget_after, clock=clock)
        # A process that starts in an outage cannot know what others owe, so it begins like one that saw it.
        self.state = RedisState.RECOVERING

    @property
    def is_available(self) -> bool:
        """Whether it makes sense to ask Redis."""
        return self.state is not RedisState.DOWN

    @property
    def is_trusted(self) -> bool:
        """Whether a list that Redis holds may be served."""
        return (
            self.state is RedisState.UP
            and not self.pending.by_key
            and self._clock() - self._last_answered <= DOUBT_AFTER_S
            and self._topology.generation == self._generation
        )

    @property
    def is_current(self) -> bool:
        """Whether Redis has answered so recently that what it holds is what other processes see."""
        return self._clock() - self._last_answered <= DOUBT_AFTER_S

    @property
    def knows_primary(self) -> bool:
        """Whether a write may end at the server that this process takes for the primary."""
        return self._clock() - self._last_answered <= PRIMARY_KNOWN_S

    @property
    def generation(self) -> int:
        """The generation of the topology: it changes whenever Redis may have lost something."""
        return self._topology.generation

    async def wait_for_handover(self) -> None:
        """Wait until no process can still take a server for the primary that this one knows to be replaced."""
        self._note_failovers()
        left = self._handover_ends - self._clock()
        if left > 0:
            await asyncio.sleep(left)

    async def heartbeats(self) -> None:
        """Send heartbeats until cancelled."""
        while True:
            await self.heartbeat()
            await asyncio.sleep(HEARTBEAT_INTERVAL_S)

    async def heartbeat(self) -> None:
        """Ask Redis once, conclude its state, and deliver what is pending if it answers.

        Whatever fails, Redis is not available then: this process goes on without it.
        """
        sent = self._clock()
        reason: BaseException | None
        try:
            await self._commands.ping()
            reason = TimeoutError("it answers too late") if self._clock() - sent > DOUBT_AFTER_S else None
        except Exception as error:  # noqa: BLE001 - a driver may raise anything
            reason = error.__cause__ or error
        self._note_failovers()
        if reason:
            self._note_failure(sent, reason)
            return
        self._note_answer(sent)
        with suppress(Exception):  # then it stays pending, and nothing is trusted
            await self.pending.deliver(self._commands.lift_fences)

    def _note_answer(self, sent: float) -> None:
        self._failures = 0
        generation = self._topology.generation
        # A new generation is like an outage that was over before it was noticed: other processes may still talk to the
        # old primary, and fence there.
        lost_sight = sent - self._last_answered > DOUBT_AFTER_S or generation != self._generation
        self._generation = generation
        self._last_answered = sent
        if lost_sight:
            self._trusted_from = self._clock() + GRACE_S
            # From here on writes are fenced again, so that nothing is added to what is pending while it is delivered.
            self._enter(RedisState.RECOVERING)
        elif self._clock() >= self._trusted_from:
            self._enter(RedisState.UP)

    def _note_failure(self, sent: float, reason: BaseException) -> None:
        if not self._failures:
            self._failing_since = sent
        self._failures += 1
        # By the clock alone, a process that was held up for long would take its own pause for an outage.
        if self._failures >= MIN_FAILURES and self._clock() - self._failing_since > DOWN_AFTER_S:
            self._enter(RedisState.DOWN, reason)
        self.pending.forget_expired()

    def _note_failovers(self) -> None:
        if self._failovers != self._topology.failovers:
            self._failovers = self._topology.failovers
            self._handover_ends = self._clock() + HANDOVER_S

    def _enter(self, state: RedisState, reason: BaseException | None = None) -> None:
        if state is self.state:
            return
        level = logging.WARNING if state is RedisState.DOWN else logging.INFO
        hint = f": {str(reason) or repr(reason)}; lists come from MongoDB until it is mended" if reason else ""
        _logger.log(level, "%s is %s%s", self._name, state.value, hint)
        self.state = state
