"""Runs of the load test, started as an operator starts them."""

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from devtools.service_process import environment

ROOT = Path(__file__).parents[3]
PEOPLE = 50
TITLES = 100
_TIMEOUT_S = 50.0


@dataclass(frozen=True)
class Run:
    """How a run ended, all that it printed, and the folder of its reports."""

    status: int
    printed: str
    output: Path

    def figures(self, scenario: str) -> Any:
        """The verdict as data."""
        return json.loads((self.output / f"{scenario}.json").read_text())


def command(scenario: str, host: str, output: Path) -> list[str]:
    """The command line of a run against a service that has the small load-test data set."""
    sizes = ["--people", str(PEOPLE), "--titles", str(TITLES), "--warm-up", "0"]
    return [sys.executable, "-m", "loadtests", scenario, "--host", host, "--output", str(output), *sizes]


def run(scenario: str, host: str, output: Path, *options: str) -> Run:
    """Run `python -m loadtests` against a service that has the small load-test data set."""
    done = subprocess.run(
        [*command(scenario, host, output), *options],
        check=False,
        cwd=ROOT,
        env=environment({}),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=_TIMEOUT_S,
    )
    return Run(done.returncode, done.stdout, output)


def seed(mongodb_uri: str, folder: Path) -> None:
    """Fill a database with the small load-test data set."""
    sizes = ["--users", str(PEOPLE), "--titles", str(TITLES)]
    subprocess.run(
        [sys.executable, "-m", "mylist", "seed", *sizes],
        check=True,
        cwd=folder,
        env=environment({"MONGODB_URI": mongodb_uri}),
        capture_output=True,
        timeout=_TIMEOUT_S,
    )
