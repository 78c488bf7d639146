"""A circuit breaker for a MongoDB that answers its check, and at once that it cannot do what is asked of it.

So does a `mongos` whose shard is away. Requests would fail as fast as they come, and each costs it several commands.
"""

from typing import Literal

from mylist.domain.errors import DatabaseUnavailableError

BreakerState = Literal["closed", "half_open", "open"]

_MAX_FAILURES = 10
"""Operations that fail in a row, without one that succeeds: as long as a part of MongoDB works, it is asked."""


class OperationBreaker:
    """Opens after failures in a row; after each check that MongoDB answered, one operation may try again.

    Attributes:
        state: `closed` lets all operations through, `half_open` one at a time, `open` none.
        is_clear: whether it is closed and the last operation did not fail. Then an operation that does not fail either
            need not `begin` and `end`.
    """

    def __init__(self) -> None:
        self.state: BreakerState = "closed"
        self.is_clear = True
        self._failures = 0
        self._is_trying = False

    def require_closed(self) -> None:
        """Return if an operation may begin.

        Raises:
            DatabaseUnavailableError: it may not.
        """
        if self.state == "open" or (self.state == "half_open" and self._is_trying):
            raise DatabaseUnavailableError

    def begin(self) -> None:
        """Begin an operation, which must `end`."""
        self._is_trying = self.state == "half_open"

    def end(self, *, worked: bool | None) -> bool:
        """End an operation, and return whether that opened a closed breaker, or closed it.

        Args:
            worked: whether MongoDB could carry it out, or reject it; None if its end says nothing about that.
        """
        was_closed = self.state == "closed"
        self._is_trying = False
        if worked:
            self._failures = 0
            self.state = "closed"
            self.is_clear = True
        elif worked is False:
            self._failures += 1
            self.is_clear = False
            if self._failures >= _MAX_FAILURES:
                self.state = "open"
        return was_closed != (self.state == "closed")

    def try_again(self) -> None:
        """Let one operation through, now that MongoDB answered its check."""
        if self.state == "open":
            self.state = "half_open"
