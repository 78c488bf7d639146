"""The processor time and the memory that the start of a process takes (on Linux)."""

import resource
from dataclasses import dataclass
from pathlib import Path

from bench.environment import BASELINE, Environment, Server
from bench.processor_time import processor_time
from bench.samples import MICROSECONDS, Sample

EMPTY_SERVER, AT_ITS_START = "a server with an empty route", "mylist serve"


@dataclass(frozen=True, slots=True)
class ServiceStart:
    """In each round, starts a process, waits until it is ready, and looks at what it took; and a bare Sanic server."""

    server: Server

    @property
    def references(self) -> dict[str, str | None]:
        """The rows, each with its reference row."""
        return {EMPTY_SERVER: None, AT_ITS_START: EMPTY_SERVER}

    def measure(self, environment: Environment, number: int) -> dict[str, Sample]:  # noqa: ARG002 - all rounds are alike
        """Measure one round."""
        samples = {}
        for row, server in ((EMPTY_SERVER, BASELINE), (AT_ITS_START, self.server)):
            with environment.started(server) as running:
                samples[row] = Sample(
                    processor=processor_time(running.pid) * MICROSECONDS, memory=_resident_memory(running.pid)
                )
        return samples


def _resident_memory(pid: int) -> int:
    """Return the bytes of physical memory that a process has."""
    _, resident, *_ = Path(f"/proc/{pid}/statm").read_text().split()
    return int(resident) * resource.getpagesize()
