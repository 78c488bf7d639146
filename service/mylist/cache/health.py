"""Decides whether Redis may be asked, and whether its answers may be trusted.

While Redis is away, a write goes on without a fence, and the process delivers its invalidation later. Until then Redis
may hold a list from before that write. So a process that has lost Redis for a while trusts no cached list until every
process has had the time to deliver its invalidations. This is sound because of the order of three delays, which
`mylist.config.redis_timing` checks:

- DOUBT_AFTER: without an answered heartbeat for this long, a process stops trusting the cache.
- DOWN_AFTER, which is longer: after heartbeats have failed for this long, a process writes without a fence.
- GRACE: this long after Redis is back, a process that had stopped trusting it trusts it again. Another process needs
  less time to notice that Redis is back and to deliver its pending invalidations.

If Redis is away for all processes, all have stopped trusting it before one of them writes without a fence. But a
connection may be cut for one process only, or one process may use another Redis; the others cannot detect that by
themselves. So a process in doubt declares it in MongoDB, and writes without a fence only after all others have heeded
the declaration (`mylist.domain.process_registry`).

A replaced primary may go on answering, and the processes notice the replacement one after the other. So the result of a
heartbeat is valid for a limited time only, and processes that know of the new primary wait for longer than that:

- DOUBT_AFTER: a process may read at a primary for this long after a heartbeat confirmed it.
- HANDOVER, which is longer: a write that was fenced at a new primary waits until this long after the primary was found.

- PRIMARY_KNOWN: a process may end writes at a primary for this long after a heartbeat confirmed it.
- GRACE, which is longer: a list from a new primary is trusted only this long after the primary was found.

In a Cluster each list is on one primary, so all of this applies to each primary separately. While some primaries are
away, lists on the others are still served from Redis, but only if a majority of the primaries answers. A process that
reaches only a minority may be talking to a primary that was replaced. A primary that receives a slot is trusted no
sooner than the former owner of the slot would be, because a process may have written to lists of that slot without a
fence.
"""

import asyncio
import logging
import math
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from enum import Enum

from mylist.cache.commands import CacheCommands, SomePrimariesAwayError
from mylist.cache.pending_invalidations import PendingInvalidations
from mylist.cache.topology.base import Primary
from mylist.config.redis_timing import (
    DECLARATION_WAIT_S,
    DOUBT_AFTER_S,
    DOWN_AFTER_S,
    FENCE_PATIENCE_S,
    GRACE_S,
    HANDOVER_S,
    HEARTBEAT_INTERVAL_S,
    MIN_FAILURES,
    PRIMARY_KNOWN_S,
)
from mylist.domain.process_registry import ALL, CacheAgreement
from mylist.domain.reign import NO_REIGN, Reigns
from mylist.telemetry.outage_reasons import OutageReasons

_COVER_POLL_S = 0.02

_logger = logging.getLogger(__name__)

_DOUBTED_FAILURES = 2
"""Heartbeats that must fail in a row before this process warns the others: fewer than `MIN_FAILURES`, to be in time."""


class RedisState(Enum):
    """The state of Redis, as far as the process knows."""

    UP = "up"
    RECOVERING = "recovering"
    """Redis answers, but may still hold lists that some process has yet to invalidate."""
    DOWN = "down"


class _Watch:
    """The results of the heartbeats to one primary, or to all primaries together.

    Attributes:
        state: the conclusion.
        generation: the topology's generation at the last answer.
        last_answered: when the last answered heartbeat was sent.
        trusted_from: when the grace period ends.
        failures: heartbeats that failed in a row.
        is_doubted: whether a write may soon go on without a fence, or recently could have; false once it is trusted
            again.
    """

    def __init__(self, clock: Callable[[], float], generation: int) -> None:
        self._clock = clock
        self._failing_since = 0.0
        self.failures = 0
        self.is_doubted = False
        self.generation = generation
        self.last_answered = -math.inf
        self.trusted_from = math.inf
        # A process that starts during an outage cannot know which invalidations others owe. So it begins as if it had
        # seen the outage.
        self.state = RedisState.RECOVERING

    def answered_within(self, seconds: float) -> bool:
        """Return whether a heartbeat that was sent within this time was answered."""
        return self._clock() - self.last_answered <= seconds

    def note_answer(self, sent: float, generation: int) -> None:
        """Record a heartbeat that was answered."""
        self.failures = 0
        # A new generation is like an outage that ended before it was noticed: other processes may still talk to the old
        # primary and place their fences there.
        lost_sight = sent - self.last_answered > DOUBT_AFTER_S or generation != self.generation
        self.generation = generation
        self.last_answered = sent
        if lost_sight:
            self.trusted_from = self._clock() + GRACE_S
            # Fence writes again from here on, so that no invalidation is added while the pending ones are delivered.
            self.state = RedisState.RECOVERING
        elif self._clock() >= self.trusted_from:
            self.state = RedisState.UP
            self.is_doubted = False

    def distrust_until(self, moment: float) -> None:
        """Extend the grace period to this moment, unless it ends later."""
        if moment > max(self.trusted_from, self._clock()):
            self.trusted_from = moment
            if self.state is RedisState.UP:
                self.state = RedisState.RECOVERING

    def note_failure(self, sent: float) -> None:
        """Record a heartbeat that failed."""
        if not self.failures:
            self._failing_since = sent
        self.failures += 1
        # A single failure may be a pause of this process. The other processes need not stop using the cache for that.
        if self.failures >= _DOUBTED_FAILURES and not self.answered_within(DOUBT_AFTER_S):
            self.is_doubted = True
        # By the clock alone, a process that was paused for long would mistake its own pause for an outage.
        if self.failures >= MIN_FAILURES and self._clock() - self._failing_since > DOWN_AFTER_S:
            self.state = RedisState.DOWN


class RedisHealth:
    """Watches Redis by heartbeats, and delivers pending invalidations when it is back.

    Args:
        commands: sends commands to Redis.
        forget_after: maximum lifetime of a cached list, in seconds. An older invalidation is no longer needed.
        name: the name of Redis in the log.
        clock: monotonic seconds.
        reigns: records the reigns that heartbeats report, and knows the reign to announce; None without elections.
        agreement: what the other processes declare about their Redis; None without other processes.

    Attributes:
        note_changed: called whenever something may have changed that the agreement must know.
        pending: the invalidations that this process has yet to deliver.
        clock: as given.
        trusted_until: until this moment by `clock`, any list in Redis may be served. Each answered heartbeat extends
            the time. A pending invalidation or a new generation ends it at once.
        settled_until: until this moment by `clock`, the usual fence is enough for writes to all keys: Redis
            `is_available`, no write needs `wait_for_handover` or `wait_for_cover`, and this process `knows_primary`.
            Each answered heartbeat extends the time; a new generation ends it at once.
        settled_reign: the reign of MongoDB's primary for which a write need not `wait_for_reign` until `settled_until`.
            None if every write must `wait_for_reign`.
        seen_reign: returns the reign of the latest primary that this process's driver saw.
    """

    def __init__(  # noqa: PLR0913 - what it watches, each named at the one call
        self,
        commands: CacheCommands,
        *,
        forget_after: float,
        name: str = "Redis",
        clock: Callable[[], float] = time.monotonic,
        reigns: Reigns | None = None,
        agreement: CacheAgreement | None = None,
    ) -> None:
        self._commands = commands
        self._agreement = agreement or CacheAgreement("", clock=clock, wait_s=DECLARATION_WAIT_S)
        self._reigns = reigns or Reigns(handover_s=HANDOVER_S)
        self._reigns.is_alone = False  # the first heartbeat has yet to be sent
        commands.reign = self._reigns.announced
        self._topology = commands.topology
        self._topology.note_moved = self._note_moved
        self._topology.note_generation = self._note_generation
        self._name = name
        self.clock = clock
        self.trusted_until = -math.inf
        self.settled_until = -math.inf
        self.settled_reign: str | None = None
        self.seen_reign = self._reigns.seen
        self._failovers = self._topology.failovers
        self._handover_ends = -math.inf
        self._reasons = OutageReasons(clock=clock)
        self._whole = _Watch(clock, self._topology.generation)
        self._parts: dict[Primary, _Watch] = {}
        self._told_last: tuple[str, frozenset[str]] = "", frozenset()
        self._owed_at: set[str] = set()
        self.note_changed: Callable[[], None] = lambda: None
        self.pending = PendingInvalidations(forget_after=forget_after, note_added=self._note_owed, clock=clock)

    @property
    def state(self) -> RedisState:
        """The state of all primaries together: the worst state of any, by the heartbeats."""
        return self._whole.state

    @property
    def is_trusted(self) -> bool:
        """Whether all lists in Redis may be served."""
        return self.clock() <= self.trusted_until

    def trusts(self, key: str) -> bool:
        """Return whether the list of a key may be served. Its own primary must answer; some others may be away.

        The caller need not call this while `is_trusted`.
        """
        if self.is_trusted:
            return True
        part = self._part_of(key)
        return (
            part is not None
            and part.state is RedisState.UP
            and key not in self.pending.by_key
            and part.answered_within(DOUBT_AFTER_S)
            and self._majority_answered_within(DOUBT_AFTER_S)
            and self._topology.generation == part.generation
            and self._agreement.agrees_on(self._topology.identity)
            and self._blocked.isdisjoint({ALL, self._owner_name(key)})
        )

    def is_available(self, key: str) -> bool:
        """Return whether Redis may be asked for a key."""
        if self._whole.state is not RedisState.DOWN:
            return True
        part = self._part_of(key)
        down = sum(each.state is RedisState.DOWN for each in self._parts.values())
        return part is not None and part.state is not RedisState.DOWN and 2 * down < len(self._parts)

    @property
    def is_current(self) -> bool:
        """Whether Redis has answered so recently that the other processes see the same content."""
        return self._whole.answered_within(DOUBT_AFTER_S)

    def knows_primary(self, key: str) -> bool:
        """Return whether a write may end at the server that this process believes to be the primary of a key."""
        if self._whole.answered_within(PRIMARY_KNOWN_S):
            return True
        part = self._part_of(key)
        return (
            part is not None
            and part.answered_within(PRIMARY_KNOWN_S)
            and self._majority_answered_within(PRIMARY_KNOWN_S)
        )

    @property
    def identity(self) -> str:
        """The identity of this Redis; empty before it has answered."""
        return self._topology.identity

    @property
    def unfenced(self) -> frozenset[str]:
        """The names of the primaries whose lists this process may need to change without a fence; `ALL` for any."""
        doubted = {_name(primary) for primary, part in self._parts.items() if part.is_doubted}
        if not self._parts:
            doubted = {ALL} if self._whole.is_doubted else set()
        elif 2 * len(doubted) >= len(self._parts):
            doubted = {ALL}
        return frozenset(doubted | self._owed_at)

    async def wait_for_cover(self, key: str, *, fenced: bool) -> bool:
        """Wait until a change may be made or acknowledged without misleading another process; return whether it may.

        Args:
            key: of the list.
            fenced: whether the change has a fence.
        """
        if self._is_covered(key, fenced=fenced):
            return True
        if not fenced:
            self._owed_at.add(self._owner_name(key))
        self.note_changed()
        deadline = time.monotonic() + FENCE_PATIENCE_S
        while time.monotonic() < deadline:
            await asyncio.sleep(_COVER_POLL_S)
            if self._is_covered(key, fenced=fenced):
                return True
        return False

    def _is_covered(self, key: str, *, fenced: bool) -> bool:
        return self._agreement.covers(self._owner_name(key), self._topology.identity, fenced=fenced)

    def _owner_name(self, key: str) -> str:
        """Return the name of the primary of a key; `ALL` if one primary holds all keys, or no primary is known."""
        owner = self._topology.owner(key) if self._topology.sharded else None
        return _name(owner) if owner else ALL

    @property
    def _blocked(self) -> frozenset[str]:
        """The names of the primaries that other processes forbid to trust; `ALL` if any name is unknown here."""
        blocked = self._agreement.blocked
        return blocked if blocked <= {_name(each) for each in self._topology.all} else frozenset({ALL})

    def heed(self) -> None:
        """Apply the last reading of the registry: stop trusting Redis if it demands that, and begin its epoch."""
        self._topology.begin_epoch(self._agreement.epoch)
        self._renew_moments()

    async def wait_for_handover(self) -> None:
        """Wait until no process can still use a primary that this process knows to be replaced."""
        self._note_failovers()
        left = self._handover_ends - self.clock()
        if left > 0:
            await asyncio.sleep(left)

    async def wait_for_reign(self, key: str) -> bool:
        """Wait until every process that may read a key knows the reign of MongoDB's primary.

        Return whether they all know it; false while Redis is away, or if no heartbeat is answered in time.
        """
        reign = self.seen_reign()
        if reign == NO_REIGN:
            return True
        deadline = self.clock() + FENCE_PATIENCE_S
        while self.is_available(key):
            owner = self._topology.owner(key)
            left = self._reigns.seconds_until_known(owner, reign) if owner else math.inf
            if left <= 0:
                return True
            if self.clock() >= deadline:
                return False
            await asyncio.sleep(min(left, HEARTBEAT_INTERVAL_S / 2))
        return False

    async def heartbeats(self) -> None:
        """Send heartbeats until cancelled."""
        while True:
            await self.heartbeat()
            await asyncio.sleep(HEARTBEAT_INTERVAL_S)

    async def heartbeat(self) -> None:
        """Send Redis one heartbeat, update its state, and deliver pending invalidations if it answers.

        After any failure, Redis counts as unavailable, and this process goes on without it.
        """
        sent = self.clock()
        asked, generation = self._topology.all, self._topology.generation
        answered: Sequence[Primary] = ()
        failures: Mapping[Primary, Exception] = {}
        reason: BaseException | None = None
        try:
            await self._commands.ping()
            # A new generation means that the primaries changed, so it is unknown which of them answered.
            answered = asked if self._topology.generation == generation else ()
        except SomePrimariesAwayError as error:
            answered, failures, reason = error.answered, error.failures, error.__cause__
        except Exception as error:  # noqa: BLE001 - a driver may raise anything
            failures, reason = dict.fromkeys(self._topology.all, error), error.__cause__ or error
        if self.clock() - sent > DOUBT_AFTER_S:
            late = TimeoutError("it answers too late")
            answered, failures, reason = (), dict.fromkeys(self._topology.all, late), reason or late
        self._note_failovers()
        before = self._whole.state
        if reason:
            self._whole.note_failure(sent)
            self.pending.forget_expired()
        else:
            self._whole.note_answer(sent, self._topology.generation)
        if self._topology.sharded:
            self._note_parts(sent, answered, failures)
        self._note_reigns(sent, answered, is_whole=not failures)
        if self._whole.state is not before:
            self._reasons.note_logged(_told(reason))
            self._log(reason, failures)
        elif self._whole.state is RedisState.DOWN and self._reasons.is_news(_told(reason)):
            self._log(reason, failures, still="still ")
        self._renew_moments()
        if not reason or 2 * len(failures) < len(self._topology.all):
            with suppress(Exception):  # the invalidations stay pending, and nothing is trusted
                await self.pending.deliver(
                    self._commands.lift_fences, of=lambda key: self._topology.owner(key) not in failures
                )
            self._renew_moments()  # perhaps nothing is pending now
        self._tell_of_changes()

    def _tell_of_changes(self) -> None:
        """Notify the registration of a new Redis, and of changes that may be made without a fence."""
        if not self.pending.by_key and self._whole.state is RedisState.UP:
            self._owed_at.clear()
        if self._told_last != (told := (self.identity, self.unfenced)):
            self._told_last = told
            self.note_changed()

    def _renew_moments(self) -> None:
        whole = self._whole
        self.trusted_until = self.settled_until = -math.inf
        if whole.state is not RedisState.UP or self._topology.generation != whole.generation:
            return
        agreement, identity = self._agreement, self._topology.identity
        if not self.pending.by_key and agreement.agrees_on(identity) and not agreement.blocked:
            self.trusted_until = whole.last_answered + DOUBT_AFTER_S
        if agreement.covers(None, identity, fenced=True):
            # After a new primary was found, it is up only when a grace period has passed. Every handover has ended by
            # then.
            self.settled_until = min(whole.last_answered + PRIMARY_KNOWN_S, agreement.standing_until)
            self.settled_reign = self._reign_known_everywhere()

    def _reign_known_everywhere(self) -> str | None:
        """Return the reign that this process sees, if every process knows it through any primary; else None."""
        reign, primaries = self.seen_reign(), self._topology.all
        if reign == NO_REIGN:
            return reign
        is_known = primaries and all(self._reigns.seconds_until_known(each, reign) <= 0 for each in primaries)
        return reign if is_known else None

    def _distrust(self) -> None:
        """Trust nothing until a heartbeat is answered and no invalidation is pending."""
        self.trusted_until = -math.inf

    def _note_generation(self) -> None:
        """Trust nothing and settle nothing until heartbeats have confirmed the generation for long enough."""
        self.trusted_until = self.settled_until = -math.inf

    def _note_owed(self, key: str) -> None:
        self._owed_at.add(self._owner_name(key))
        self._distrust()
        self.note_changed()

    def _note_reigns(self, sent: float, answered: Sequence[Primary], *, is_whole: bool) -> None:
        for primary in answered:
            self._reigns.note_answer(primary, *primary.reign_answer)
        if answered and is_whole:
            self._reigns.told_until = sent + DOUBT_AFTER_S
        self._reigns.is_alone = self._whole.state is RedisState.DOWN

    def _note_parts(self, sent: float, answered: Sequence[Primary], failures: Mapping[Primary, Exception]) -> None:
        generation = self._topology.generation
        self._parts = {
            primary: self._parts.get(primary) or _Watch(self.clock, generation) for primary in self._topology.all
        }
        for primary, part in self._parts.items():
            if primary in failures:
                part.note_failure(sent)
            elif primary in answered:
                part.note_answer(sent, generation)

    def _part_of(self, key: str) -> _Watch | None:
        """Return the watch of a key's primary; None if one primary holds all keys, or no primary is known."""
        owner = self._topology.owner(key) if self._parts else None
        return self._parts.get(owner) if owner else None

    def _majority_answered_within(self, seconds: float) -> bool:
        return 2 * sum(part.answered_within(seconds) for part in self._parts.values()) > len(self._parts)

    def _note_moved(self, former: Primary | None, owner: Primary) -> None:
        """Trust the new owner of a slot no sooner than the former owner would be trusted."""
        part, was = self._parts.get(owner), self._parts.get(former) if former else None
        if part:
            part.distrust_until(was.trusted_from if was and not was.failures else self.clock() + GRACE_S)

    def _note_failovers(self) -> None:
        if self._failovers != self._topology.failovers:
            self._failovers = self._topology.failovers
            self._handover_ends = self.clock() + HANDOVER_S

    def _log(self, reason: BaseException | None, failures: Mapping[Primary, Exception], *, still: str = "") -> None:
        state, primaries = self._whole.state, len(self._topology.all)
        which = f"lists of {len(failures)} of its {primaries} primaries" if 0 < len(failures) < primaries else "lists"
        hint = f": {_told(reason)}; {which} come from MongoDB until it recovers" if reason else ""
        level = logging.WARNING if state is RedisState.DOWN else logging.INFO
        _logger.log(level, "%s is %s%s%s", self._name, still, state.value, hint)


def _told(reason: BaseException | None) -> str:
    return (str(reason) or repr(reason)) if reason else ""


def _name(primary: Primary) -> str:
    """Return the name of a primary, which is the same in every process."""
    host, port = primary.address
    return f"{host}:{port}"
