"""The phases of a run: a warm-up, the measured window, the end."""

import gevent
from locust import LoadTestShape
from locust.env import Environment
from locust.runners import MasterRunner

from loadtests.measurement_window import MeasurementWindow
from loadtests.options import options_of
from loadtests.results import RunResult
from loadtests.scenarios import SCENARIOS
from loadtests.warmup import NotReadyError, warm

_SPAWN_RATE_PER_WORKER = 90
"""Users that each worker starts in a second; Locust warns from 100 on."""

_TICK_S = 1.0
"""Seconds between two calls of `tick` by Locust."""
_TOLERANCE_S = 0.1
"""Seconds by which a timer may be early."""


class LoadShape(LoadTestShape):
    """The load profile of a scenario, after a warm-up whose figures are thrown away.

    Locust calls it about once a second to learn the number of users.
    """

    use_common_options = True

    def __init__(self) -> None:
        super().__init__()
        self._result: RunResult | None = None
        self._ticks = 0
        self._warm_since = 0.0
        self._environment: Environment
        self._window: MeasurementWindow
        self.unusable = ""
        """Why the service cannot be tested; empty when it can."""

    def prepare(self, environment: Environment) -> None:
        """Read the options, in the process that leads the run."""
        options = options_of(environment)
        self._environment = environment
        self._scenario = SCENARIOS[options.scenario]
        self.users = int(options.num_users or self._scenario.users)
        self._seconds = float(options.run_time or self._scenario.seconds)
        self._warm_up = float(options.warm_up)
        self._people = int(options.people)
        self._window = MeasurementWindow(environment, options.metrics, options.autoscaler)

    @property
    def share(self) -> float:
        """How many users there are at most, as a share of the scenario's."""
        return self.users / self._scenario.users

    def tick(self) -> tuple[int, float] | None:
        """Return the number of users for now and how many to start in a second; None ends the run."""
        window = self._window
        self._ticks += 1
        if self._ticks == 1:
            try:
                warm(self._environment.host or "", self._people)
            except NotReadyError as error:
                self.unusable = str(error)
                return None
        elif self._ticks == 2:  # noqa: PLR2004 - the users of the first are there
            self._warm_since = self.get_run_time()
        elif self._warm_since and not window.is_open and self.get_run_time() >= self._warm_since + self._warm_up:
            window.open()
        remaining = self._seconds - window.seconds
        if window.is_open and remaining < _TICK_S:
            gevent.sleep(remaining)
            return None
        moment = window.seconds / self._seconds
        workers = self.runner.worker_count if isinstance(self.runner, MasterRunner) else 1
        return max(1, round(self.users * self._scenario.profile(moment))), _SPAWN_RATE_PER_WORKER * max(1, workers)

    def finish(self) -> RunResult:
        """End the measured window while the workers still run; return the results."""
        if self._result is None:
            window = self._window
            counted = window.close() if window.is_open else None
            self._result = RunResult(
                scenario=self._scenario.name,
                users=self.users,
                seconds=window.seconds,
                seen=window.seen() if counted else {},
                counted=counted.by_route if counted else {},
                failures=window.failures() if counted else {},
                remark=counted.remark if counted else "",
                scaling=window.scaling(),
                defects=tuple(self._defects()),
            )
        return self._result

    def _defects(self) -> list[str]:
        found = []
        if self._window.seconds < self._seconds - _TOLERANCE_S:
            found.append(f"the run was stopped after {self._window.seconds:.1f} of {self._seconds:g} s")
        if self._window.silent:
            found.append(f"{len(self._window.silent)} workers fell silent")
        runner = self._environment.runner
        if runner is not None:
            found += [f"{each['count']} times in the scenario: {each['msg']}" for each in runner.exceptions.values()]
        return found
