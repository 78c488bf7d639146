"""The service's processor time for the first read after a change, without that of MongoDB and Redis."""

import time
from collections import defaultdict
from dataclasses import dataclass

from bench.client import Client
from bench.environment import Environment, Server
from bench.processor_time import processor_time
from bench.samples import Sample, of_operations
from bench.write_latency import CACHED, FIRST_READ, steps, users_of

CACHED_PAGE = "items, 20, cached and rendered each time"
LOADED_PAGE = "items, 20, loaded and rendered after a change"
_ROWS = {CACHED: CACHED_PAGE, FIRST_READ: LOADED_PAGE}
_SETTLING_S = 0.001
"""Seconds in which the service finishes its work after an answer."""


@dataclass(frozen=True, slots=True)
class FirstRead:
    """Reads lists of the cache, and those that were changed a moment ago, which come from MongoDB: what a load adds.

    Attributes:
        server: where; one that remembers no pages, so that each read renders its page.
    """

    server: Server

    @property
    def references(self) -> dict[str, str | None]:
        """The rows, each with its reference row."""
        return {CACHED_PAGE: None, LOADED_PAGE: CACHED_PAGE}

    def measure(self, environment: Environment, number: int) -> dict[str, Sample]:
        """Measure one round."""
        took: dict[str, list[float]] = defaultdict(list)
        processor: dict[str, float] = defaultdict(float)
        pid = environment.pid(self.server)
        with Client(environment.url(self.server)) as client:
            for step in (step for user in users_of(number) for step in steps(user)):
                before = processor_time(pid)
                took[step.name].append(step.measure(client))
                time.sleep(_SETTLING_S)
                processor[step.name] += processor_time(pid) - before
        return {
            row: of_operations(took[step], elapsed=sum(took[step]), processor=processor[step])
            for step, row in _ROWS.items()
        }
