"""A circuit breaker for a MongoDB that answers its check but rejects operations at once.

A `mongos` whose shard is away does that. Requests would fail as fast as they arrive, and each would cost it several
commands.
"""

from typing import Literal

from mylist.domain.errors import DatabaseUnavailableError

BreakerState = Literal["closed", "half_open", "open"]

_MAX_FAILURES = 10
"""Operations that must fail in a row. While a part of MongoDB works, operations go on."""


class OperationBreaker:
    """Opens after several failures in a row. After each check that MongoDB answers, one operation may try again.

    Attributes:
        state: `closed` lets all operations through, `half_open` one at a time, `open` none.
        is_clear: whether it is closed and the last operation did not fail. Then an operation that succeeds need not
            call `begin` and `end`.
    """

    def __init__(self) -> None:
        self.state: BreakerState = "closed"
        self.is_clear = True
        self._failures = 0
        self._is_trying = False

    def require_closed(self) -> None:
        """Return normally if an operation may begin.

        Raises:
            DatabaseUnavailableError: no operation may begin.
        """
        if self.state == "open" or (self.state == "half_open" and self._is_trying):
            raise DatabaseUnavailableError

    def begin(self) -> None:
        """Begin an operation. The caller must `end` it."""
        self._is_trying = self.state == "half_open"

    def end(self, *, worked: bool | None) -> bool:
        """End an operation; return whether that opened or closed the breaker.

        Args:
            worked: whether MongoDB was able to run or reject the operation; None if unknown.
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
        """Let one operation through, because MongoDB answered its check."""
        if self.state == "open":
            self.state = "half_open"
