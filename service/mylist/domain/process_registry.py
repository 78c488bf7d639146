"""Declarations that processes make to each other, through MongoDB, about the Redis that they use.

A cached list is correct only if every process that changes lists places its fences at the same Redis. A process that
has lost its own connection to Redis, or has another REDIS_URL, does not. Redis cannot report that to the others, but
MongoDB can, because a process needs MongoDB for every change of a list. So each process has an entry in a registry
there. The entry says at which Redis the process places its fences, and whether the process may write without a fence
(it is unfenced). The rules:

- A process trusts its Redis only while, by its last reading of the registry, no entry is unfenced, and all entries name
  its Redis.
- Before a process changes a list without a fence, or with fences at another Redis, it must declare so, and all others
  must have heeded the declaration. Each of them notes in its entry the last declaration that it has read. If a process
  does not, because it is gone or slow, the declaring process waits until that process can no longer trust by an older
  reading.
- An unfenced process that reaches Redis again delivers the invalidations that it owes, then withdraws its declaration.
  The cache stays.
- If an unfenced process dies before that, the others remove its entry and discard all cached lists: the same change of
  the registry begins a new epoch, and every cached list carries an epoch. A process whose Redis differs from the
  registry's also begins a new epoch, because that Redis may hold older lists.

The delays:

- REGISTRY_KNOWN: a process may trust by a reading for this long after the reading began. It may trust for longer while
  MongoDB answers it nothing, because then no process can declare anything.
- DECLARATION_WAIT, which is longer: this long after a declaration, no process can trust by an earlier reading.
- BEAT_INTERVAL: a process renews its entry at this interval.
- GONE_AFTER: the others remove an entry this long after they first saw its last beat. Its process acknowledges
  changes only within this time after it sent the beat.

Nothing here waits, connects or reads a clock of its own.
"""

import secrets
from collections.abc import Callable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field, replace

ALL = "*"
"""Used instead of a primary's name; means every primary."""
REGISTRY_KNOWN_S = 2.0
BEAT_INTERVAL_S = 5.0
GONE_AFTER_S = 15.0
_STANDING_S = GONE_AFTER_S - 1.0
"""Less than `GONE_AFTER_S` by the maximum drift between two machines' clocks in that time."""

_EPOCH_BYTES = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """The data that a process declares about itself.

    Attributes:
        beat: increases with each change of the entry.
        cache: the identity of the Redis where it places its fences; empty while it has not reached any.
        unfenced: the names of the primaries whose lists it may change without a fence, `ALL` for any.
        heeds: the number of the last declaration that it has read.
        host: the host of the process, for messages.
        redis: the address of its Redis, for messages.
    """

    beat: int
    cache: str = ""
    unfenced: frozenset[str] = frozenset()
    heeds: int = 0
    host: str = ""
    redis: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Registry:
    """The registry at one moment.

    Attributes:
        epoch: the current epoch; lists that were cached in another epoch are discarded. Empty for the first.
        cache: the identity of the Redis to which the epoch applies.
        declarations: number of declarations so far.
        entries: the entries by process id.
    """

    epoch: str = ""
    cache: str = ""
    declarations: int = 0
    entries: Mapping[str, Entry] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class RegistryChange:
    """An atomic change of the registry.

    Attributes:
        process_id: whose entry changes.
        beat: the beat that its entry must have; None if it must not have an entry.
        entry: its new entry; None to remove the entry.
        gone: entries of other processes to remove: the beat that each must have, by process id.
        cache: the registry's new `cache`; None to keep it.
        epoch: the registry's new epoch; None to keep it.
        declares: whether the change is a declaration.
    """

    process_id: str
    beat: int | None
    entry: Entry | None
    gone: Mapping[str, int] = field(default_factory=dict)
    cache: str | None = None
    epoch: str | None = None
    declares: bool = False


@dataclass(slots=True)
class _Declaration:
    """A declaration of this process: its number, when it was acknowledged, and whether all others have heeded it."""

    number: int
    made_at: float
    is_heeded: bool = False


class CacheAgreement:
    """This process's knowledge of the others, from the registry, and its own declarations.

    Args:
        process_id: the id of its entry.
        host: as in `Entry`.
        redis: as in `Entry`.
        wait_s: seconds from a declaration until no process can trust by an earlier reading.
        last_success: returns when MongoDB last completed an operation of this process.
        clock: returns monotonic seconds.

    Attributes:
        process_id: as given.
        is_kept: whether this process has an entry or is about to get one. Without an entry, it trusts and covers
            everything.
        unfenced_hosts: the hosts of the other processes that may write without a fence.
        elsewhere: the hosts of the other processes that use another Redis, with its address.
    """

    def __init__(  # noqa: PLR0913 - what it is of, each named at the one call
        self,
        process_id: str,
        *,
        clock: Callable[[], float],
        wait_s: float,
        host: str = "",
        redis: str = "",
        last_success: Callable[[], float] = lambda: 0.0,
    ) -> None:
        self.process_id = process_id
        self.is_kept = False
        self.unfenced_hosts: frozenset[str] = frozenset()
        self.elsewhere: frozenset[str] = frozenset()
        self._clock = clock
        self._wait_s = wait_s
        self._host = host
        self._redis = redis
        self._last_success = last_success
        self._registry = Registry()
        self._read_began = -float("inf")
        self._blocked: frozenset[str] = frozenset({ALL})
        self._entry: Entry | None = None
        self._acknowledged: Entry | None = None
        self._standing_until = self._beat_at = -float("inf")
        self._of_cache = _Declaration(0, 0.0)
        self._of_unfenced = _Declaration(0, 0.0)
        self._unfenced: frozenset[str] = frozenset()
        self._seen: dict[str, tuple[int, float]] = {}

    @property
    def epoch(self) -> str:
        """The epoch of the last reading."""
        return self._registry.epoch

    @property
    def is_settled(self) -> bool:
        """Whether all other processes have heeded the declarations of this process."""
        return self._entry is not None and self._of_cache.is_heeded and self._of_unfenced.is_heeded

    @property
    def standing_until(self) -> float:
        """The others cannot consider this process gone before this moment by the clock."""
        return self._standing_until if self.is_kept else float("inf")

    @property
    def is_registered(self) -> bool:
        """Whether this process has an entry, according to the last reading."""
        return self._entry is not None

    @property
    def withheld(self) -> Mapping[str, bool]:
        """The reasons why lists are not served from Redis: whether each one applies."""
        return {
            "unfenced_process": bool(self.unfenced_hosts),
            "another_redis": bool(self.elsewhere),
            "not_registered": self.is_kept and (self._entry is None or self._is_overdue),
        }

    @property
    def _is_overdue(self) -> bool:
        # MongoDB answers this process, so it answers others too. One of them may have declared something since.
        return self._last_success() > self._read_began + REGISTRY_KNOWN_S

    @property
    def blocked(self) -> frozenset[str]:
        """The names of the primaries whose lists must not be trusted; `ALL` for any."""
        if not self.is_kept:
            return frozenset()
        return frozenset({ALL}) if self._is_overdue else self._blocked

    def agrees_on(self, cache: str) -> bool:
        """Return whether lists of this Redis may be trusted, except those of blocked primaries."""
        return not self.is_kept or (self._entry is not None and self._entry.cache == cache != "")

    def covers(self, primary: str | None, cache: str, *, fenced: bool) -> bool:
        """Return whether a change of a list of a primary may be made, or acknowledged, now.

        Args:
            primary: the name of the primary of the list; None if it is not known.
            cache: the identity of the Redis that this process uses.
            fenced: whether the change has a fence there.
        """
        if not self.is_kept:
            return True
        if self._entry is None or self._clock() > self._standing_until:
            return False
        if fenced and self._acknowledged and self._acknowledged.cache == cache and self._of_cache.is_heeded:
            return True
        return self._of_unfenced.is_heeded and (ALL in self._unfenced or primary in self._unfenced)

    def take(self, registry: Registry, began: float) -> None:
        """Record a reading of the registry that began at a moment. Readings must be passed in order."""
        now = self._clock()
        if began - self._read_began > REGISTRY_KNOWN_S:
            self._seen.clear()  # MongoDB or this process was away, so no beat was seen meanwhile
        self._registry, self._read_began = registry, began
        self._entry = me = registry.entries.get(self.process_id)
        others = self._others()
        self._seen = {
            each: self._seen[each] if each in self._seen and self._seen[each][0] == entry.beat else (entry.beat, now)
            for each, entry in others.items()
        }
        mine = me.cache if me else ""
        elsewhere = [entry for entry in others.values() if entry.cache not in {"", mine}]
        self.unfenced_hosts = frozenset(entry.host for entry in others.values() if entry.unfenced)
        # Until this process has declared its Redis, it does not know whether the others use another one.
        self.elsewhere = frozenset(f"{entry.host} ({entry.redis})" for entry in elsewhere if mine)
        self._blocked = frozenset[str]().union(*(entry.unfenced for entry in registry.entries.values()))
        if me is None or elsewhere or registry.cache != mine:
            self._blocked |= {ALL}
        if me is None:
            self._unfenced = frozenset()
        self._note_heeded(others, mine, now)

    def _note_heeded(self, others: Mapping[str, Entry], mine: str, now: float) -> None:
        for declaration, has_heeded in (
            (self._of_cache, lambda each: each.cache in {"", mine} or ALL in each.unfenced),
            (self._of_unfenced, lambda each: ALL in each.unfenced or self._unfenced <= each.unfenced),
        ):
            declaration.is_heeded = (
                declaration.is_heeded
                or now - declaration.made_at >= self._wait_s
                or all(each.heeds >= declaration.number or has_heeded(each) for each in others.values())
            )

    def next_change(self, cache: str, unfenced: AbstractSet[str]) -> RegistryChange | None:
        """Return the change of the registry that is due according to the last reading; None if none is due.

        A declaration that no longer applies counts as withdrawn from here on, even if the change is not made.

        Args:
            cache: the identity of the Redis that this process uses; empty if it has not reached it yet.
            unfenced: the primaries whose lists it may need to change without a fence.
        """
        registry, me, others = self._registry, self._entry, self._others()
        cache = cache or (me.cache if me else "")
        wanted = Entry(
            beat=me.beat if me else 0,
            cache=cache,
            unfenced=frozenset(unfenced),
            # If a process trusts nothing, it need not declare what it heeds.
            heeds=me.heeds if me and ALL in unfenced else registry.declarations,
            host=self._host,
            redis=self._redis,
        )
        gone = self._gone()
        all_agree = all(each.cache in {"", cache} for each in others.values())
        is_another = bool(cache) and registry.cache != cache and (me is None or me.cache != cache or all_agree)
        # The outcome of a change may be unknown, and it may take effect late, but not once the beat has changed.
        is_certain = me == self._acknowledged and wanted.unfenced == self._unfenced
        is_due = self._clock() - self._beat_at >= BEAT_INTERVAL_S
        if wanted == me and is_certain and not (gone or is_another or is_due):
            return None
        self._unfenced &= wanted.unfenced
        grows = bool(wanted.unfenced - (me.unfenced if me else frozenset()))
        is_given_up = (
            (is_another and registry.cache != "")
            or (me is None and self._acknowledged is not None)
            or any(others[each].unfenced for each in gone)
        )
        return RegistryChange(
            process_id=self.process_id,
            beat=me.beat if me else None,
            entry=replace(wanted, beat=wanted.beat + 1),
            gone=gone,
            cache=cache if is_another else None,
            epoch=_new_epoch() if is_given_up else None,
            declares=bool(others) and (grows or is_another),
        )

    def leaving(self, *, owes: bool) -> RegistryChange | None:
        """Return the change by which this process leaves; None if it has no entry.

        Args:
            owes: whether a cached list may lack a change of this process.
        """
        if self._entry is None:
            return None
        return RegistryChange(
            process_id=self.process_id, beat=self._entry.beat, entry=None, epoch=_new_epoch() if owes else None
        )

    def take_changed(self, change: RegistryChange, registry: Registry, sent: float) -> None:
        """Record the registry as it was right after a change of this process that was sent at a moment."""
        now = self._clock()
        is_new, before = self._entry is None, self._acknowledged
        self._acknowledged = entry = registry.entries[self.process_id]
        self._beat_at, self._standing_until = sent, sent + _STANDING_S
        if is_new or before is None or before.cache != entry.cache or change.cache is not None:
            self._of_cache = _Declaration(registry.declarations, now)
        if is_new or entry.unfenced - self._unfenced:
            self._of_unfenced = _Declaration(registry.declarations, now)
        self._unfenced = entry.unfenced
        self.take(registry, sent)

    def _others(self) -> dict[str, Entry]:
        return {each: entry for each, entry in self._registry.entries.items() if each != self.process_id}

    def _gone(self) -> dict[str, int]:
        return {each: beat for each, (beat, since) in self._seen.items() if self._clock() - since >= GONE_AFTER_S}


def _new_epoch() -> str:
    return secrets.token_hex(_EPOCH_BYTES)
