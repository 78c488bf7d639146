"""Runs one scenario of the load test on this machine, with a service and stores of its own unless --host names one.

Locust runs as a master and a worker for each core. Beside the tables on the terminal, the folder of --output gets
Locust's report, the verdict as JSON and a plot of latencies.

exit status: 0 every threshold is kept, 1 a threshold is missed, 2 the service could not be tested
"""

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path

from devtools.ports import free_port
from devtools.service_process import Service
from loadtests.plot import draw
from loadtests.scenarios import SCENARIOS
from loadtests.stores import stores
from mylist.seeding.synthetic_data import InvalidSyntheticDataError, SyntheticData

_UNTESTED = 2
_LOCUSTFILE = Path(__file__).with_name("locustfile.py")


def main() -> int:
    """Run the command line; return the exit status."""
    parser = _parser()
    arguments = parser.parse_args()
    try:
        load_set = SyntheticData(arguments.people, arguments.titles, arguments.items)
    except InvalidSyntheticDataError as error:
        parser.error(str(error))
    arguments.output.mkdir(parents=True, exist_ok=True)
    verdict = arguments.output / f"{arguments.scenario}.json"
    verdict.unlink(missing_ok=True)
    with ExitStack() as stack:
        host = arguments.host
        if not host:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="mylist-loadtest-")))
            settings = stack.enter_context(stores(load_set, arguments.output / "filled", folder))
            service = Service(folder, settings | {"LOG_LEVEL": "error"})
            stack.callback(service.stop)
            service.wait_until_ready()
            host = service.url
        status = _run(_locust(arguments, host, verdict))
    if not verdict.exists():  # possible with any status
        return _UNTESTED
    draw(json.loads(verdict.read_text()), verdict.with_suffix(".svg"))
    print(f"{verdict.with_suffix('')}: .html, .svg, .json")
    return status


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m loadtests", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    purposes = "; ".join(f"{scenario.name}: {scenario.purpose.replace('%', '%%')}" for scenario in SCENARIOS.values())
    parser.add_argument("scenario", nargs="?", choices=list(SCENARIOS), default="cached-latency", help=purposes)
    parser.add_argument("--duration", type=int, metavar="S", help="seconds to measure (default: the scenario's)")
    parser.add_argument("--users", type=int, metavar="N", help="maximum of Locust users (default: the scenario's)")
    parser.add_argument("--host", metavar="URL", help="a running service that has the load-test data set")
    parser.add_argument(
        "--metrics",
        action="append",
        default=[],
        metavar="URL",
        help="metrics of one replica; repeat the option for each replica (default HOST/metrics)",
    )
    parser.add_argument("--without-metrics", action="store_true", help="do not compare with the service's metrics")
    parser.add_argument("--people", type=int, default=10_000, metavar="N", help="users of the load-test data set")
    parser.add_argument("--titles", type=int, default=5000, metavar="N", help="titles of the load-test data set")
    parser.add_argument("--items", type=int, default=25, metavar="N", help="items of each of its lists")
    parser.add_argument("--warm-up", type=float, default=5, metavar="S", help="seconds of load before the measurement")
    parser.add_argument("--leeway", type=float, default=1, metavar="F", help="factor for the allowed latencies")
    parser.add_argument(
        "--workers", type=int, default=os.cpu_count() or 1, metavar="N", help="Locust workers (default: one per core)"
    )
    parser.add_argument("--output", type=Path, default=Path("build/loadtest"), metavar="FOLDER")
    return parser


def _run(command: list[str]) -> int:
    """Run a command to its end, which SIGTERM and Ctrl-C bring about; return its exit status."""
    # In a session of its own, so the terminal's Ctrl-C does not reach the workers: the master ends them.
    process = subprocess.Popen(command, start_new_session=True)  # noqa: S603 - our own
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: process.terminate())
    return process.wait()


def _locust(arguments: argparse.Namespace, host: str, verdict: Path) -> list[str]:
    port = str(free_port())
    command = [sys.executable, "-m", "locust", "--locustfile", str(_LOCUSTFILE), "--headless", "--host", host]
    command += ["--processes", str(arguments.workers), "--master-bind-host", "127.0.0.1"]
    command += ["--master-bind-port", port, "--master-port", port]
    command += ["--skip-log-setup", "--html", str(verdict.with_suffix(".html"))]
    command += ["--scenario", arguments.scenario, "--warm-up", str(arguments.warm_up), "--figures", str(verdict)]
    command += ["--leeway", str(arguments.leeway)]
    command += ["--people", str(arguments.people), "--titles", str(arguments.titles)]
    command += ["--run-time", f"{arguments.duration}s"] if arguments.duration else []
    command += ["--users", str(arguments.users)] if arguments.users else []
    command += [word for url in arguments.metrics for word in ("--metrics", url)]
    return [*command, "--without-metrics"] if arguments.without_metrics else command


if __name__ == "__main__":
    sys.exit(main())
