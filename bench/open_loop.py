"""Latency in an open loop: requests arrive at a fixed rate, whether or not the earlier ones are answered."""

from dataclasses import dataclass, replace

from bench.environment import Environment
from bench.samples import Sample, quantity
from bench.throughput import Case, at_once

_SHARE_OF_CAPACITY = 0.5


@dataclass(frozen=True, slots=True)
class OpenLoop:
    """In each round, what a server answers in a closed loop; then cases at half of that rate, in turns.

    Attributes:
        capacity: the case in a closed loop.
        paced: the cases at a rate that follows from the capacity.
    """

    capacity: Case
    paced: tuple[Case, ...]

    @property
    def references(self) -> dict[str, str | None]:
        """The rows, each with its reference row."""
        return {case.name: case.of for case in (self.capacity, *self.paced)}

    def measure(self, environment: Environment, number: int) -> dict[str, Sample]:
        """Measure one round.

        Raises:
            WrkError: wrk is not installed, or a request failed.
        """
        (closed,) = at_once(environment, [self.capacity])
        rate = quantity(closed, "rate") * _SHARE_OF_CAPACITY
        first = number % len(self.paced)
        samples = {self.capacity.name: closed}
        for case in self.paced[first:] + self.paced[:first]:
            (samples[case.name],) = at_once(environment, [replace(case, rate=rate)])
        return samples
