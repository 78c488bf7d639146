"""The drivers for MongoDB, measured in a process of their own (`bench.drivers`)."""

import subprocess
import sys
from dataclasses import dataclass

import msgspec

from bench.samples import Sample
from bench.stage import Stage

PYMONGO, MOTOR = "PyMongo", "Motor"
FIND, CHANGE = "find of a list of 25", "insert and delete"
TASKS = (1, 16, 64)
_TIMEOUT = 60


def name(driver: str, operation: str, tasks: int) -> str:
    """Names a row."""
    return f"{driver}: {operation}, {tasks} {'task' if tasks == 1 else 'tasks'}"


@dataclass(frozen=True, slots=True)
class Drivers:
    """PyMongo's asyncio API and Motor, taking turns."""

    @property
    def references(self) -> dict[str, str | None]:
        """The rows, each with the one that it is compared with."""
        rows: dict[str, str | None] = {}
        for operation in (FIND, CHANGE):
            for tasks in TASKS:
                pymongo = name(PYMONGO, operation, tasks)
                rows |= {pymongo: None, name(MOTOR, operation, tasks): pymongo}
        return rows

    def measure(self, stage: Stage, number: int) -> dict[str, Sample]:  # noqa: ARG002 - all rounds are alike
        """Measures one round."""
        command = [sys.executable, "-m", "bench.drivers", stage.mongodb_uri]
        done = subprocess.run(command, stdout=subprocess.PIPE, check=True, timeout=_TIMEOUT)
        return msgspec.json.decode(done.stdout, type=dict[str, Sample])
