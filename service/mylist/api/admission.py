"""How much work a process takes on: above that, a request is turned away before it costs anything."""

from types import TracebackType

from mylist.errors import OverloadedError


class Admission:
    """Counts the requests under way; `with admission:` surrounds one.

    An event loop that takes on everything makes everybody wait, and a client that has given up still costs its full
    price. Turning away what is above the limit keeps the wait of the others short.
    """

    __slots__ = ("limit", "under_way")

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.under_way = 0

    def __enter__(self) -> None:
        """Takes on a request.

        Raises:
            OverloadedError: as many are under way as may be.
        """
        if self.under_way >= self.limit:
            raise OverloadedError
        self.under_way += 1

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Notes that the request has ended."""
        self.under_way -= 1
