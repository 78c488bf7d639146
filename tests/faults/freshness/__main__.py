"""Proves, or refutes, that no read is stale and no write is lost: the service under load while its parts fail.

Everything runs on this machine, on loopback, in processes that end with the run: three service processes, each with its
own link to one Redis, and MongoDB. The same seed gives the same faults in the same order, and the same clients; how the
requests meet is up to the machine.

modes:
  strict    CACHE_STRICT=true: no violation, whatever fails
  default   no violation either, but reads may be stale while the link of one process to Redis is cut, until it heals
  no-fence  the fence is switched off, and violations must be found: else the checker would not notice any

exit status: 0 the run shows what its mode promises, 1 it shows the contrary, 2 it shows too little
"""

import argparse
import json
import signal
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.faults.freshness.faults import FAULTS
from tests.faults.freshness.report import Report
from tests.faults.freshness.run import Mode, run

_SUMMARY, _, _EPILOG = (__doc__ or "").partition("\n\n")


def main() -> int:
    """Runs the command line; gives the exit status."""
    arguments = _parser().parse_args()
    faults = arguments.faults.split(",") if arguments.faults else []
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # by way of every `finally`
    started = time.monotonic()

    def say(words: str) -> None:
        print(f"{time.monotonic() - started:6.1f} s  {words}", flush=True)  # noqa: T201 - the command's output

    # Before the run, so that a path that cannot be written does not cost ten minutes.
    arguments.output.parent.mkdir(parents=True, exist_ok=True)
    details = arguments.output.with_suffix(".histories.txt")
    details.unlink(missing_ok=True)
    with TemporaryDirectory(prefix="mylist-faults-") as folder:
        result = run(
            Path(folder), arguments.mode, seed=arguments.seed, duration=arguments.duration, faults=faults, say=say
        )
    report = Report(result, arguments.mode, seed=arguments.seed, duration=arguments.duration, faults=faults)
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
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--mode", type=Mode, choices=list(Mode), default=Mode.STRICT, help="see below")
    parser.add_argument("--duration", type=float, default=600.0, metavar="S", help="seconds in which faults begin")
    parser.add_argument("--seed", type=int, default=1, metavar="N", help="which faults, users and pauses")
    parser.add_argument(
        "--faults",
        default=",".join(FAULTS),
        metavar="NAMES",
        type=_fault_names,
        help="some of " + ",".join(FAULTS) + "; each happens once even if the duration is short, empty for none",
    )
    parser.add_argument(
        "--output", type=Path, default=Path("build/faults.json"), metavar="FILE", help="where the figures go"
    )
    return parser


def _fault_names(text: str) -> str:
    unknown = {name for name in text.split(",") if name} - FAULTS.keys()
    if unknown:
        raise argparse.ArgumentTypeError(f"there is no fault called {', '.join(sorted(unknown))}")
    return text


if __name__ == "__main__":
    sys.exit(main())
