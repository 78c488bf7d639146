"""What the start of a process takes."""

import os
from dataclasses import dataclass
from pathlib import Path

from bench.environment import Environment, Server
from bench.samples import Sample

AT_ITS_START = "mylist serve"
_TICKS_PER_S = os.sysconf("SC_CLK_TCK")
_PAGE_BYTES = os.sysconf("SC_PAGESIZE")
_MICROSECONDS = 1_000_000
# Fields of /proc/PID/stat after the name in parentheses, whose own fields are 1 and 2; see proc(5).
_USER_TIME, _SYSTEM_TIME, _RESIDENT_PAGES = 14 - 3, 15 - 3, 24 - 3


@dataclass(frozen=True, slots=True)
class ServiceStart:
    """Starts a process in each round, waits until it is ready, and looks at what the system says of it (Linux)."""

    server: Server

    @property
    def references(self) -> dict[str, str | None]:
        """The row; it is compared with none."""
        return {AT_ITS_START: None}

    def measure(self, environment: Environment, number: int) -> dict[str, Sample]:  # noqa: ARG002 - all rounds are alike
        """Measure one round."""
        with environment.started(self.server) as service:
            fields = Path(f"/proc/{service.process.pid}/stat").read_text().rpartition(")")[2].split()
        seconds = (int(fields[_USER_TIME]) + int(fields[_SYSTEM_TIME])) / _TICKS_PER_S
        memory = int(fields[_RESIDENT_PAGES]) * _PAGE_BYTES
        return {AT_ITS_START: Sample(processor=seconds * _MICROSECONDS, memory=memory)}
