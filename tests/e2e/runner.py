"""Runs the steps, one after the other."""

import sys
import time
from collections.abc import Callable, Sequence

from tests.e2e.cluster import CommandError
from tests.e2e.table import Row, Verdict

Step = tuple[str, Callable[[], str]]


def run_steps(steps: Sequence[Step], diagnosis: Callable[[], str]) -> list[Row]:
    """Return a row for each step. The first is the installation: if it fails, the others do not run."""
    rows: list[Row] = []
    for name, step in steps:
        if rows and rows[0].verdict is not Verdict.PASSED:
            rows.append(Row(name, "", 0, Verdict.NOT_RUN))
            continue
        say(name)
        began = time.monotonic()
        try:
            seen, verdict = step(), Verdict.PASSED
        except (AssertionError, CommandError) as error:
            seen, verdict = str(error), Verdict.FAILED
        rows.append(Row(name, seen, time.monotonic() - began, verdict))
        say(f"{name}: {verdict}, {seen}")
        if verdict is Verdict.FAILED:
            say(diagnosis())
    return rows


def say(words: str) -> None:
    """Write a line of progress."""
    sys.stdout.write(f"{time.strftime('%H:%M:%S')}  {words}\n")
    sys.stdout.flush()
