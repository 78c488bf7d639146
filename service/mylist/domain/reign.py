"""Tracks which of MongoDB's primaries is the latest, as far as this process knows.

A reign is the time of one primary. It begins with an election and is named by the id of that election: 24 hex digits,
where a later id is higher as text. A replaced primary might not know for a while that it was replaced, and then
answers reads and `hello` as before. So each process announces the reign that its driver sees to the others, with its
heartbeats to Redis, and learns the highest reign that any process has announced:

- A list that was loaded under a lower reign than the highest is neither returned to a client nor cached.
- A change is acknowledged, and its fence lifted, once every process has learned of the reign or has stopped trusting
  what it knows.

    DOUBT_AFTER   the reigns that heartbeats have reported are valid for this long
  < HANDOVER      after a reign was announced, until a change is acknowledged under it

So every process that reads after a change was acknowledged knows its reign. A server without elections has no reigns.
These rules do not apply there.
"""

import math
import time
from collections.abc import Callable, Hashable
from typing import Protocol
from weakref import WeakKeyDictionary

NO_REIGN = ""
"""The reign of a server without elections; lower than any other."""
BELIEVED_FOR_S = 30.0
"""Seconds for which a reign is believed to be the highest after it was last reported.

Longer than a replaced primary still believes to be the primary (`electionTimeoutMillis`, 10 s by default). The belief
must end because a restored replica set counts its elections from the beginning.
"""


class Place(Hashable, Protocol):
    """The place where a reign is announced: a primary of Redis."""


class Reigns:
    """The knowledge of a process about reigns. Nothing here waits.

    Args:
        handover_s: seconds from the answer to an announcement until every process knows the reign.
        seen: returns the reign of the latest primary that this process's driver saw.
        announced: returns the same while MongoDB answers or answered a moment ago; else nothing.
        clock: monotonic seconds.

    Attributes:
        seen, announced: as given.
        told_until: the highest reign is known until this moment by `clock`.
        is_alone: whether no reigns are exchanged, because this process sends no heartbeats or Redis is away. Then
            nothing is cached.
    """

    def __init__(
        self,
        *,
        handover_s: float,
        seen: Callable[[], str] = lambda: NO_REIGN,
        announced: Callable[[], str] = lambda: NO_REIGN,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.seen = seen
        self.announced = announced
        self.told_until = -math.inf
        self.is_alone = True
        self._clock = clock
        self._handover_s = handover_s
        self._highest = NO_REIGN
        self._highest_until = -math.inf
        self._announced: WeakKeyDictionary[Place, tuple[str, float]] = WeakKeyDictionary()

    @property
    def is_told(self) -> bool:
        """Whether the highest reign is known, or cannot be known."""
        return self.is_alone or self._clock() <= self.told_until

    @property
    def is_replaced(self) -> bool:
        """Whether another process has seen a later primary than this one."""
        return self.replaces(self.seen())

    def replaces(self, reign: str) -> bool:
        """Return whether a reign is over, as far as this process knows."""
        return NO_REIGN < reign < self._highest and self._clock() <= self._highest_until

    def note_answer(self, place: Place, announced: str, found: str | None) -> None:
        """Record the answer to a heartbeat: the reign that it announced at a place, and the one it found (None: none).

        If the reign it found is lower, other processes may have learned that one since the last announcement.
        """
        now = self._clock()
        known, _ = self._announced.get(place, (NO_REIGN, now))
        if known != announced or (found is not None and found < announced):
            self._announced[place] = announced, now
        highest = max(found or NO_REIGN, announced)
        if highest >= self._highest or now > self._highest_until:
            self._highest, self._highest_until = highest, now + BELIEVED_FOR_S

    def seconds_until_known(self, place: Place, reign: str) -> float:
        """Return the seconds until every process that uses a place knows a reign; inf if it is not announced there."""
        if reign == NO_REIGN:
            return 0.0
        announced, since = self._announced.get(place, (NO_REIGN, 0.0))
        return since + self._handover_s - self._clock() if announced >= reign else math.inf
