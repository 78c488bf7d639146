"""The measured window of time, in which all of Locust's processes and the service's count the same requests."""

import time
from collections.abc import Sequence
from typing import Any

import gevent
from locust.env import Environment
from locust.rpc import Message
from locust.runners import STATE_MISSING, MasterRunner, WorkerRunner
from locust.stats import StatsEntry

from loadtests.autoscaler import AutoscalerWatch, Scaling
from loadtests.histogram import Route
from loadtests.results import RequestStats
from loadtests.scraping import Counted, Scrapes

_ORDER = "loadtest"
_OPEN = "open"
_CLOSE = "close"
_TIMEOUT_S = 10.0
"""Seconds in which a worker must follow an order."""
_POLL_INTERVAL_S = 0.002


def follow(environment: Environment, runner: WorkerRunner) -> None:
    """Let a worker open and close its part of the window when its master says so."""

    def obey(msg: Message, **_: object) -> None:
        report: dict[str, Any] = {}
        if msg.data == _OPEN:
            environment.stats.reset_all()
        else:
            # Locust's own report is due only every three seconds.
            environment.events.report_to_master.fire(client_id=runner.client_id, data=report)
        runner.send_message(_ORDER, report)

    runner.register_message(_ORDER, obey)


class MeasurementWindow:
    """The window in the master, or in Locust's one process where there are no workers."""

    def __init__(self, environment: Environment, metrics: Sequence[str], autoscaler: str = "") -> None:
        assert environment.runner is not None  # noqa: S101 - there is one from Locust's `init` on
        self._environment = environment
        self._runner = environment.runner
        self._scrapes = Scrapes(metrics)
        self._watch = AutoscalerWatch(autoscaler) if autoscaler else None
        self._scaling: Scaling | None = None
        self._workers: set[str] = set()
        self._awaited: set[str] = set()
        self._opened = 0.0
        self._closed = 0.0
        self.silent: set[str] = set()
        """The workers that did not follow an order."""
        self._runner.register_message(_ORDER, self._note)

    @property
    def is_open(self) -> bool:
        """Return whether the window is open, or has been."""
        return bool(self._opened)

    @property
    def seconds(self) -> float:
        """How long it has been open."""
        return (self._closed or time.monotonic()) - self._opened if self._opened else 0.0

    def open(self) -> None:
        """Reset the counts."""
        if isinstance(self._runner, MasterRunner):
            self._workers = {worker.id for worker in self._runner.clients.all if worker.state != STATE_MISSING}
        self._tell(_OPEN)
        self._environment.stats.reset_all()
        self._scrapes.begin()
        if self._watch:
            self._watch.begin()
        self._opened = time.monotonic()

    def close(self) -> Counted:
        """Collect the workers' counts; return the service's."""
        self._closed = time.monotonic()
        self._tell(_CLOSE)
        counted = self._scrapes.end(self._environment.stats.total.num_requests)
        if self._watch:
            self._scaling = self._watch.end()
        return counted

    def scaling(self) -> Scaling | None:
        """Return the replicas of the autoscaler, if one was named."""
        return self._scaling

    def seen(self) -> dict[Route, RequestStats]:
        """Return the counts of all of Locust's processes."""
        return {
            (entry.method, entry.name): RequestStats(entry.num_requests, entry.num_failures, _times(entry))
            for entry in self._environment.stats.entries.values()
            if entry.num_requests
        }

    def failures(self) -> dict[str, int]:
        """Return how often which failure came about."""
        counts = {}
        for error in self._environment.stats.errors.values():
            what = str(error.error).removeprefix("CatchResponseError('").removesuffix("')")  # what a scenario said
            counts[f"{error.method} {error.name}: {what}"] = error.occurrences
        return counts

    def _tell(self, order: str) -> None:
        self._awaited = set(self._workers)  # one that is gone by now has taken its part of the figures along
        if not self._workers:
            return
        self._runner.send_message(_ORDER, order)
        deadline = time.monotonic() + _TIMEOUT_S
        while self._awaited and time.monotonic() < deadline:
            gevent.sleep(_POLL_INTERVAL_S)
        self.silent |= self._awaited

    def _note(self, environment: Environment, msg: Message) -> None:
        if msg.data:
            environment.events.worker_report.fire(client_id=msg.node_id, data=msg.data)
        self._awaited.discard(msg.node_id)


def _times(entry: StatsEntry) -> dict[float, int]:
    return {float(milliseconds): count for milliseconds, count in entry.response_times.items()}
