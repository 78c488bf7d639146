"""What the start of a process takes."""

from dataclasses import dataclass

from bench.environment import Environment, Server
from bench.samples import Sample
from devtools.scrape import Metrics

AT_ITS_START = "mylist serve"
_MICROSECONDS = 1_000_000


@dataclass(frozen=True, slots=True)
class ServiceStart:
    """Starts a process in each round, waits until it is ready, and asks what it says of itself (on Linux)."""

    server: Server

    @property
    def references(self) -> dict[str, str | None]:
        """The row; it is compared with none."""
        return {AT_ITS_START: None}

    def measure(self, environment: Environment, number: int) -> dict[str, Sample]:  # noqa: ARG002 - all rounds are alike
        """Measure one round."""
        with environment.started(self.server) as service:
            metrics = Metrics(service)
        seconds, memory = map(metrics.value, ("process_cpu_seconds_total", "process_resident_memory_bytes"))
        return {AT_ITS_START: Sample(processor=seconds * _MICROSECONDS, memory=memory)}
