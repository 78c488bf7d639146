"""Proves, or refutes, that no read is stale and no write is lost: the service under load while its parts fail.

Everything runs on this machine, on loopback, in processes that end with the run. There are three service processes.
MongoDB is one server, or a replica set whose elections are simulated on the wire. Redis is one server with a separate
link for each service process, a Sentinel group, or a Cluster. The same seed gives the same faults in the same order,
and the same clients. The interleaving of the requests depends on the machine.

modes:
  strict       CACHE_STRICT=true. No violation under any fault.
  default      No violation either.
  no-fence     The fence is off. The run must find violations; otherwise the checker would be blind.
  no-reign     The same without the knowledge of MongoDB's elections, with a replica set.
  no-registry  The same without the registry of processes and their Redis, where links are cut or Redis is replaced.

exit status: 0 the run shows what its mode promises, 1 it shows the contrary, 2 it shows too little
"""

import argparse
import json
import signal
import sys
import time
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.faults.freshness.faults import faults_of, usual_faults
from tests.faults.freshness.followed_events import MUST_FIND
from tests.faults.freshness.mongodb import MongoTopology
from tests.faults.freshness.redis import Topology
from tests.faults.freshness.report import Report
from tests.faults.freshness.run import Mode, Scenario, run

_ALL = "all"
_SUMMARY, _, _EPILOG = (__doc__ or "").partition("\n\n")


def main() -> int:
    """Run the command line; return the exit status."""
    parser = _parser()
    arguments = parser.parse_args()
    topologies = arguments.redis, arguments.mongodb
    possible, faults = faults_of(*topologies), usual_faults(*topologies)
    if arguments.faults is not None:
        faults = possible if arguments.faults == _ALL else tuple(filter(None, arguments.faults.split(",")))
    if unknown := set(faults) - set(possible):
        where = f"where Redis is a {arguments.redis} and MongoDB a {arguments.mongodb}"
        parser.error(f"there is no fault called {', '.join(sorted(unknown))} {where}")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that every `finally` runs
    started = time.monotonic()

    def say(words: str) -> None:
        print(f"{time.monotonic() - started:6.1f} s  {words}", flush=True)  # noqa: T201 - the command's output

    # Before the run, so that a path that cannot be written does not cost ten minutes.
    arguments.output.parent.mkdir(parents=True, exist_ok=True)
    details = arguments.output.with_suffix(".histories.txt")
    details.unlink(missing_ok=True)
    scenario = Scenario(
        arguments.mode,
        arguments.redis,
        arguments.mongodb,
        arguments.seed,
        arguments.duration,
        faults,
        arguments.users,
        arguments.events_fault,
    )
    with TemporaryDirectory(prefix="mylist-faults-") as folder:
        result = run(Path(folder), scenario, say)
    report = Report(result, scenario)
    arguments.output.write_text(json.dumps(report.figures(), indent=2) + "\n")
    print(f"\n{report.table()}")  # noqa: T201
    print(f"The figures are in {arguments.output}")  # noqa: T201
    if result.violations:
        details.write_text("\n".join(report.excerpts()) + "\n")
        print(f"The histories around the violations are in {details}")  # noqa: T201
    return report.verdict.status


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m tests.faults.freshness",
        description=_SUMMARY,
        epilog=_EPILOG + "\nfaults:\n" + "".join(_faults_in_words()),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--mode", type=Mode, choices=list(Mode), default=Mode.STRICT, help="see below")
    parser.add_argument("--redis", type=Topology, choices=list(Topology), default=Topology.SERVER, help="what Redis is")
    parser.add_argument(
        "--mongodb",
        type=MongoTopology,
        choices=list(MongoTopology),
        default=MongoTopology.SERVER,
        help="what MongoDB is",
    )
    parser.add_argument("--duration", type=float, default=600.0, metavar="S", help="seconds in which faults begin")
    parser.add_argument("--seed", type=int, default=1, metavar="N", help="which faults, users and pauses")
    parser.add_argument(
        "--faults",
        metavar="NAMES",
        help="some of those below, each of which happens once even if the duration is short; 'all', or empty for none; "
        "default: all, or where MongoDB is a replica set its own alone",
    )
    parser.add_argument(
        "--events-fault",
        choices=list(MUST_FIND),
        default="",
        help="run `mylist events` with this fault, which must be found: else the checker would not notice any",
    )
    parser.add_argument("--users", type=int, default=60, metavar="N", help="how many users, each with three clients")
    parser.add_argument(
        "--output", type=Path, default=Path("build/faults.json"), metavar="FILE", help="where the figures go"
    )
    return parser


def _faults_in_words() -> Iterator[str]:
    for redis, mongodb in product(Topology, MongoTopology):
        yield f"  Redis {redis}, MongoDB {mongodb}:\n    {','.join(faults_of(redis, mongodb))}\n"


if __name__ == "__main__":
    sys.exit(main())
