"""The load test as Locust runs it: `locust -f loadtests/locustfile.py --headless --scenario mixed --host URL`.

With `--master` and `--worker`, the master takes the options and gives the verdict; workers need to know it only.

exit status: 0 every threshold is kept, 1 one is missed, 2 the service cannot be tested
"""

import json
import signal
import sys
from pathlib import Path

import gevent
from locust import events, stats
from locust.env import Environment
from locust.runners import WorkerRunner

from loadtests.load_shape import LoadShape
from loadtests.measurement_window import follow
from loadtests.options import add_options, options_of
from loadtests.thresholds import thresholds_of
from loadtests.users import USER_CLASSES, Browse, CachedLatency, Mixed, Ramp, Soak, Spike
from loadtests.verdict import as_data, judge, misses, report

__all__ = ["Browse", "CachedLatency", "LoadShape", "Mixed", "Ramp", "Soak", "Spike"]  # what Locust looks for in here

_UNUSABLE = 2
_PRINTED = "-"
_STOP_TIMEOUT_S = 5.0
"""Seconds for the visits in flight when the number of users decreases."""


def three_digits(milliseconds: float) -> float:
    """Round a response time for Locust's statistics, which would round it to whole milliseconds."""
    return float(f"{milliseconds:.3g}")


stats.bucket_response_time = three_digits  # type: ignore[assignment] # the override returns fractions
events.init_command_line_parser.add_listener(add_options)


@events.init.add_listener
def prepare(environment: Environment, **_: object) -> None:
    """Prepare to lead the run, or to follow the leader."""
    runner = environment.runner
    assert runner is not None  # noqa: S101 - there is one from here on
    if isinstance(runner, WorkerRunner):
        follow(environment, runner)
        return
    options = options_of(environment)
    host = environment.host = (environment.host or "").rstrip("/")
    if options.without_metrics:
        options.metrics = []
    elif not options.metrics:
        options.metrics = [f"{host}/metrics"]
    environment.user_classes = [USER_CLASSES[options.scenario]]
    environment.stop_timeout = environment.stop_timeout or _STOP_TIMEOUT_S
    _load_shape(environment).prepare(environment)
    # While it follows a shape, Locust would die of it and leave its workers behind.
    gevent.signal_handler(signal.SIGTERM, runner.quit)


@events.test_stopping.add_listener
def finish(environment: Environment, **_: object) -> None:
    """End the measured window before the workers end."""
    if not isinstance(environment.runner, WorkerRunner):
        _load_shape(environment).finish()


@events.quitting.add_listener
def judge_run(environment: Environment, **_: object) -> None:
    """Set the exit status from the verdict, not from Locust's count of failures."""
    if isinstance(environment.runner, WorkerRunner):
        environment.process_exit_code = 0
        return
    load_shape = _load_shape(environment)
    if load_shape.unusable:
        environment.process_exit_code = _UNUSABLE
        print(f"loadtest: {load_shape.unusable}", file=sys.stderr)
        return
    result = load_shape.finish()
    options = options_of(environment)
    outcomes = judge(result, thresholds_of(result.scenario), share=load_shape.share, leeway=options.leeway)
    environment.process_exit_code = 1 if misses(result, outcomes) else 0
    data = as_data(result, outcomes)
    if options.figures not in {"", _PRINTED}:
        path = Path(options.figures)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(data, indent=2) + "\n")

    @events.quit.add_listener
    def tell(**_: object) -> None:
        """Print it last, below Locust's own tables."""
        print(f"\n{report(result, outcomes)}", flush=True)
        if options.figures == _PRINTED:
            print(json.dumps(data), flush=True)


def _load_shape(environment: Environment) -> LoadShape:
    load_shape = environment.shape_class
    assert isinstance(load_shape, LoadShape)  # noqa: S101 - it is the only one in here
    return load_shape
