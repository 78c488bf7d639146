"""Which of MongoDB's primaries is the latest, as far as this process knows.

A reign is the time of one primary. It begins with an election, whose id names it: 24 hex digits, later ones higher as
text. A primary that was replaced may not know it for a while, and answers reads and `hello` as if nothing had happened.
So each process announces to the others, with its heartbeats to Redis, the reign that its driver sees, and learns the
highest that any has announced:

- What is loaded under a lower reign than the highest is neither told nor cached.
- A change is acknowledged, and its fence lifted, once every process has learned of the reign or has stopped trusting
  what it knows.

    DOUBT_AFTER   what the heartbeats have told of reigns counts for this long
  < HANDOVER      after a reign was announced, until a change is acknowledged under it

So whoever reads after a change was acknowledged knows of its reign. Where there are no elections there is no reign, and
nothing of this applies.
"""

import math
import time
from collections.abc import Callable, Hashable
from typing import Protocol
from weakref import WeakKeyDictionary

NO_REIGN = ""
"""The reign where there are no elections; lower than any other."""
BELIEVED_FOR_S = 30.0
"""Seconds for which a reign is believed to be the highest after it was last told.

Longer than a primary that was replaced takes itself for one (`electionTimeoutMillis`, 10 s by default). It ends for the
members of a restored replica set, whose elections count from the beginning.
"""


class Place(Hashable, Protocol):
    """Where a reign is announced: a primary of Redis."""


class Reigns:
    """What a process knows of reigns; nothing here waits.

    Args:
        handover_s: seconds from the answer to an announcement until every process knows of it.
        seen: returns the reign of the latest primary that this process's driver saw.
        announced: returns the same while MongoDB answers, or did a moment ago; else nothing.
        clock: monotonic seconds.

    Attributes:
        seen, announced: as given.
        told_until: the moment by `clock` until which the highest reign is known.
        is_alone: whether nothing is told, as nothing sends heartbeats or Redis is away; nothing is cached then.
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
        """Whether the highest reign is known, or cannot be."""
        return self.is_alone or self._clock() <= self.told_until

    @property
    def is_replaced(self) -> bool:
        """Whether another process has seen a later primary than this one."""
        return self.replaces(self.seen())

    def replaces(self, reign: str) -> bool:
        """Return whether a reign is over, as far as is known."""
        return NO_REIGN < reign < self._highest and self._clock() <= self._highest_until

    def note_answer(self, place: Place, announced: str, found: str | None) -> None:
        """Take the answer to a heartbeat: which reign it announced at a place, and which it found there (None: none).

        A reign that was found there, and is lower, may have been told to others since the last announcement.
        """
        now = self._clock()
        known, _ = self._announced.get(place, (NO_REIGN, now))
        if known != announced or (found is not None and found < announced):
            self._announced[place] = announced, now
        highest = max(found or NO_REIGN, announced)
        if highest >= self._highest or now > self._highest_until:
            self._highest, self._highest_until = highest, now + BELIEVED_FOR_S

    def seconds_until_known(self, place: Place, reign: str) -> float:
        """Return how long it takes until every process that looks at a place knows of a reign; inf: not announced."""
        if reign == NO_REIGN:
            return 0.0
        announced, since = self._announced.get(place, (NO_REIGN, 0.0))
        return since + self._handover_s - self._clock() if announced >= reign else math.inf
