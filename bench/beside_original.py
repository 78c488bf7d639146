"""This service and the original, each answering a cached page of 20 to the same users, from the same Redis."""

from dataclasses import dataclass

from bench.environment import ORIGINAL, Environment, Server
from bench.samples import Sample
from bench.throughput import Case, Throughput

BY_ORIGINAL, BY_SERVICE = "items, 20, by the original", "items, 20, by this service"


@dataclass(frozen=True, slots=True)
class BesideOriginal:
    """Both in turns.

    Attributes:
        server: this service.
    """

    server: Server

    @property
    def references(self) -> dict[str, str | None]:
        """The rows, each with its reference row."""
        return self._throughput.references

    def measure(self, environment: Environment, number: int) -> dict[str, Sample]:
        """Measure one round.

        Raises:
            UnexpectedAnswerError: it answers something else than the cached page.
            WrkError: wrk is not installed, or a request failed.
        """
        environment.fill_original(self.server)
        return self._throughput.measure(environment, number)

    @property
    def _throughput(self) -> Throughput:
        return Throughput(
            (
                Case(BY_ORIGINAL, ORIGINAL, "items20", of=None),
                Case(BY_SERVICE, self.server, "items20", of=BY_ORIGINAL),
            )
        )
