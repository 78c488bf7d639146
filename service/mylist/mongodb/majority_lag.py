"""Measures for how long MongoDB's primary has had writes that no majority has.

Nothing else reveals a permanently lost majority: the primary answers and serves reads, while each change waits until
its deadline.
"""

from collections import deque

from mylist.mongodb.hello import Hello, OpTime

_MAX_SEEN = 1000
"""Enough for eight minutes of checks; later writes are not remembered until earlier ones are replicated."""


class MajorityLag:
    """Determines from successive `hello` replies how far the majority is behind.

    It measures by this process' clock, from the time when a write was first seen: dates in the replies are whole
    seconds, and are not useful for an idle set.
    """

    def __init__(self) -> None:
        self._seen: deque[tuple[float, OpTime]] = deque()
        self._lag_s: float | None = None

    @property
    def seconds(self) -> float | None:
        """Seconds since this process saw the oldest write that no majority has yet; None outside a replica set."""
        return self._lag_s

    def observe(self, hello: Hello, now: float) -> None:
        """Record a reply that arrived at `now`, in monotonic seconds."""
        if hello.topology != "replica set":
            self._lag_s = None
            return
        majority = hello.majority
        while self._seen and majority is not None and self._seen[0][1] <= majority:
            self._seen.popleft()
        last = hello.last
        if hello.all_is_replicated:
            self._seen.clear()
        elif last is not None and len(self._seen) < _MAX_SEEN and (not self._seen or self._seen[-1][1] < last):
            self._seen.append((now, last))
        self._lag_s = now - self._seen[0][0] if self._seen else 0.0
