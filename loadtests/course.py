"""The course of a run: a warm-up, the window that is measured, the end."""

import gevent
from locust import LoadTestShape
from locust.env import Environment
from locust.runners import MasterRunner

from loadtests.figures import Figures
from loadtests.options import options_of
from loadtests.plans import PLANS
from loadtests.warming import NotReadyError, warm
from loadtests.window import Window

_SPAWNED_BY_WORKER = 90
"""Users that each worker starts in a second; Locust warns from 100 on."""

_TICK = 1.0
"""Seconds until Locust asks again."""
_TOLERANCE = 0.1
"""Seconds by which a timer may be early."""


class Course(LoadTestShape):
    """The shape of the scenario's plan, after a warm-up whose figures are thrown away.

    Locust asks it about once a second how many users there shall be.
    """

    use_common_options = True

    def __init__(self) -> None:
        super().__init__()
        self._figures: Figures | None = None
        self._ticks = 0
        self._warm_since = 0.0
        self._environment: Environment
        self._window: Window
        self.unusable = ""
        """Why the service cannot be tested; empty when it can."""

    def prepare(self, environment: Environment) -> None:
        """Takes over what was asked for, in the process that leads the run."""
        options = options_of(environment)
        self._environment = environment
        self._plan = PLANS[options.scenario]
        self.users = int(options.num_users or self._plan.users)
        self._seconds = float(options.run_time or self._plan.seconds)
        self._warm_up = float(options.warm_up)
        self._people = int(options.people)
        self._window = Window(environment, options.metrics, options.autoscaler)

    @property
    def share(self) -> float:
        """How many users there are at most, as a share of the plan's."""
        return self.users / self._plan.users

    def tick(self) -> tuple[int, float] | None:
        """Gives the number of users for now and how many to start in a second; None ends the run."""
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
        if window.is_open and remaining < _TICK:
            gevent.sleep(remaining)
            return None
        moment = window.seconds / self._seconds
        workers = self.runner.worker_count if isinstance(self.runner, MasterRunner) else 1
        return max(1, round(self.users * self._plan.shape(moment))), _SPAWNED_BY_WORKER * max(1, workers)

    def finish(self) -> Figures:
        """Ends what is measured, as long as the workers are there; gives what the run showed."""
        if self._figures is None:
            window = self._window
            counted = window.close() if window.is_open else None
            self._figures = Figures(
                scenario=self._plan.name,
                users=self.users,
                seconds=window.seconds,
                seen=window.seen() if counted else {},
                counted=counted.by_route if counted else {},
                failures=window.failures() if counted else {},
                remark=counted.remark if counted else "",
                scaling=window.scaling(),
                defects=tuple(self._defects()),
            )
        return self._figures

    def _defects(self) -> list[str]:
        found = []
        if self._window.seconds < self._seconds - _TOLERANCE:
            found.append(f"the run was stopped after {self._window.seconds:.1f} of {self._seconds:g} s")
        if self._window.silent:
            found.append(f"{len(self._window.silent)} workers fell silent")
        runner = self._environment.runner
        if runner is not None:
            found += [f"{each['count']} times in the scenario: {each['msg']}" for each in runner.exceptions.values()]
        return found
