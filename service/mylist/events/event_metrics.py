"""The metrics of `mylist events`; docs/metrics.md has the table."""

import time
from collections.abc import Sequence
from wsgiref.simple_server import WSGIServer

from prometheus_client import CollectorRegistry, Counter, Gauge, ProcessCollector, start_http_server


class PortTakenError(Exception):
    """The metrics cannot be served on the port; the message is one line."""


class EventMetrics:
    """The metrics of one run.

    Attributes:
        told_until: the time up to which all changes were delivered to the consumer, in seconds since 1970 UTC.
    """

    def __init__(self) -> None:
        self.told_until = time.time()
        self._registry = CollectorRegistry()
        self._lines = Counter("mylist_events_written", "Lines handed to the consumer.", registry=self._registry)
        self._restarts = Counter(
            "mylist_events_stream_restarts",
            "How often the change stream was opened again after an error.",
            registry=self._registry,
        )
        lag = Gauge(
            "mylist_events_lag_seconds",
            "How far the consumer is behind the changes of lists.",
            registry=self._registry,
        )
        lag.set_function(lambda: max(time.time() - self.told_until, 0.0))
        ProcessCollector(registry=self._registry)

    def written(self, lines: Sequence[bytes]) -> None:
        """Count lines."""
        self._lines.inc(len(lines))

    def restarted(self) -> None:
        """Count a reopened stream."""
        self._restarts.inc()

    def serve(self, host: str, port: int) -> WSGIServer:
        """Serve the metrics at any path of a port, until the returned server is shut down.

        Raises:
            PortTakenError: the port is in use or not allowed.
        """
        try:
            server, _ = start_http_server(port, host, self._registry)
        except OSError as error:
            raise PortTakenError(
                f"cannot serve metrics on port {port} of {host}: {error.strerror}; choose another by --metrics-port"
            ) from error
        return server
