"""The drivers for MongoDB, measured in a process of their own (`bench.driver_comparison_process`)."""

import subprocess
import sys
from dataclasses import dataclass

import msgspec

from bench.environment import Environment
from bench.samples import Sample

PYMONGO, MOTOR = "PyMongo", "Motor"
FIND, CHANGE = "find of a list of 25", "insert and delete"
TASKS = (1, 16, 64)
_TIMEOUT_S = 60


def name(driver: str, operation: str, tasks: int) -> str:
    """Name a row."""
    return f"{driver}: {operation}, {tasks} {'task' if tasks == 1 else 'tasks'}"


@dataclass(frozen=True, slots=True)
class DriverComparison:
    """PyMongo's asyncio API and Motor, taking turns."""

    @property
    def references(self) -> dict[str, str | None]:
        """The rows, each with its reference row."""
        rows: dict[str, str | None] = {}
        for operation in (FIND, CHANGE):
            for tasks in TASKS:
                pymongo = name(PYMONGO, operation, tasks)
                rows |= {pymongo: None, name(MOTOR, operation, tasks): pymongo}
        return rows

    def measure(self, environment: Environment, number: int) -> dict[str, Sample]:  # noqa: ARG002 - all rounds are alike
        """Measure one round."""
        command = [sys.executable, "-m", "bench.driver_comparison_process", environment.mongodb_uri]
        done = subprocess.run(command, stdout=subprocess.PIPE, check=True, timeout=_TIMEOUT_S)
        return msgspec.json.decode(done.stdout, type=dict[str, Sample])
