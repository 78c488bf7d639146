"""Measures the service side by side with its libraries, in one run on one machine.

Each server is a process of its own, on the same stores. The rounds take turns, so that the machine's other load affects
all servers alike. The figures to compare are the ratios to the empty route of the same round. The load comes from wrk.

exit status: 0 every limit is kept with room, 1 one is not, or the run failed; goals do not count
"""

import argparse
import signal
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import TypeVar

import msgspec

from bench import processor_shares
from bench.client import UnexpectedAnswerError
from bench.environment import Environment, Stores, stores
from bench.flamegraph import record
from bench.groups import GROUPS, ORIGINAL, PROFILE, Group
from bench.original import OriginalError
from bench.original import command as original_command
from bench.py_spy import ProfileError
from bench.report import PROFILE_PICTURE, PublishError, as_plain_text, publish
from bench.results import Run, sum_up
from bench.samples import Sample
from bench.wrk import WrkError

_Measured = TypeVar("_Measured")
_FAILURES = (WrkError, UnexpectedAnswerError, subprocess.SubprocessError)
"""The errors of a measurement."""
_OUTPUT = Path("build/bench.json")
_PARTIAL_OUTPUT = Path("build/bench-partial.json")
_DOCUMENT = Path("docs/performance.md")
_PICTURES = Path("docs/performance")
_NAMES = [*(group.name for group in GROUPS), PROFILE]
_REQUIRED = {*_NAMES} - {ORIGINAL}
"""The groups of a complete run."""


def main() -> int:
    """Run the command line; return the exit status."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that the servers end too
    parser = _parser()
    arguments = parser.parse_args()
    try:
        if arguments.publish:
            publish(_latest(), _DOCUMENT, _PICTURES, _OUTPUT.with_name(PROFILE_PICTURE))
            return 0
        original = original_command(arguments.original) if arguments.original else None
        run = _run(_chosen(parser, arguments), arguments.rounds, original)
    except (*_FAILURES, ProfileError, PublishError, OriginalError) as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    return 0 if run.kept else 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m bench", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--groups", nargs="+", choices=_NAMES, metavar="NAME", help=", ".join(_NAMES))
    parser.add_argument(
        "--rounds", type=int, metavar="N", help="how often each case is measured; each group has its own"
    )
    parser.add_argument(
        "--original", type=Path, metavar="FOLDER", help=f"in which the original service was built, for {ORIGINAL}"
    )
    parser.add_argument("--publish", action="store_true", help=f"measure nothing; write {_OUTPUT} into {_DOCUMENT}")
    return parser


def _chosen(parser: argparse.ArgumentParser, arguments: argparse.Namespace) -> set[str]:
    """Return the groups to measure; all by default."""
    if arguments.groups is None:
        return {*_REQUIRED, ORIGINAL} if arguments.original else _REQUIRED
    if ORIGINAL in arguments.groups and not arguments.original:
        parser.error(f"the group {ORIGINAL} needs --original FOLDER")
    return set(arguments.groups)


def _latest() -> Run:
    try:
        return msgspec.json.decode(_OUTPUT.read_bytes(), type=Run)
    except (FileNotFoundError, msgspec.DecodeError):
        raise PublishError(f"{_OUTPUT} holds no run; make bench writes it") from None


def _run(names: set[str], rounds: int | None, original: Sequence[str] | None) -> Run:
    # A run of some groups leaves the figures of a complete one alone.
    output = _OUTPUT if names >= _REQUIRED else _PARTIAL_OUTPUT
    output.parent.mkdir(exist_ok=True)
    measured, shares = {}, {}
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="mylist-bench-") as folder, stores(Path(folder)) as opened:
        for group in GROUPS:
            if group.name in names:
                measured[group.name] = measure_again_once(
                    group.name, partial(_measure, opened, group, rounds or group.rounds, original)
                )
        if PROFILE in names:
            with ExitStack() as stack:
                environment = Environment(opened, stack)
                record(environment, output.with_name(PROFILE_PICTURE))
                shares = processor_shares.measure(environment, Path(folder))
    run = sum_up(measured, shares)
    output.write_bytes(msgspec.json.encode(run))
    print(as_plain_text(run))
    print(f"\nmeasured in {(time.monotonic() - began) / 60:.1f} minutes")
    return run


def measure_again_once(name: str, measure: Callable[[], _Measured]) -> _Measured:
    """Measure a group; if that fails, once more. A busy machine must not cost the other groups."""
    try:
        return measure()
    except (AssertionError, *_FAILURES) as error:
        print(f"bench: {name} failed, and is measured again: {error}", file=sys.stderr)
        return measure()


def _measure(
    opened: Stores, group: Group, rounds: int, original: Sequence[str] | None
) -> Mapping[str, Sequence[Sample]]:
    samples: dict[str, list[Sample]] = defaultdict(list)
    for numbers in group.shares(rounds):
        with ExitStack() as stack:
            environment = Environment(opened, stack, original)
            for number in (-1, *numbers):  # the first warms up
                print(f"{group.name}: {f'round {number + 1} of {rounds}' if number >= 0 else 'warming up'}", flush=True)
                for table in group.tables:
                    for name, sample in table.part.measure(environment, number).items():
                        if number >= 0:
                            samples[name].append(sample)
    return samples


if __name__ == "__main__":
    sys.exit(main())
