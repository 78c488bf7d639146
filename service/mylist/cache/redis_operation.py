"""One operation on Redis as metrics, traces and callers see it."""

from types import TracebackType

from mylist.cache.topology.base import REDIS_ERRORS
from mylist.domain.errors import CacheUnavailableError
from mylist.telemetry import metrics, tracing


class redis_operation:  # noqa: N801 - used like a function
    """Measure and trace one operation, and turn every failure of Redis into `CacheUnavailableError`."""

    __slots__ = ("_measured", "_traced")

    def __init__(self, name: str) -> None:
        self._traced = tracing.operation("redis", name)
        self._measured = metrics.operation("redis", name)

    def __enter__(self) -> None:
        self._traced.__enter__()
        self._measured.__enter__()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._measured.__exit__(kind, error, traceback)
        self._traced.__exit__(kind, error, traceback)
        if isinstance(error, REDIS_ERRORS):
            raise CacheUnavailableError from error
