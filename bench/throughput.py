"""How many requests a second a server answers, and in how many milliseconds each, under the load of wrk."""

from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

from bench import wrk
from bench.environment import USERS, Environment, Reads, Server
from bench.redis_fill import CachedLists
from bench.samples import Sample
from bench.wrk import Load, Workload

EVERYBODY = "user-"
USUAL_CONNECTIONS = 16


@dataclass(frozen=True, slots=True)
class Case:
    """One kind of requests to one server.

    Attributes:
        name: in plain words.
        server: the server under load.
        requests: the kind; see `requests.lua`.
        of: the case that it is compared with; None for one that others are compared with.
        connections: the number of open connections.
        lists: the lists to read, when not those of the load-test data set.
        rate: the requests that are due each second; None for a closed loop.
    """

    name: str
    server: Server
    requests: str
    of: str | None = "empty route"
    connections: int = USUAL_CONNECTIONS
    lists: CachedLists | None = None
    rate: float | None = None


@dataclass(frozen=True, slots=True)
class Throughput:
    """Cases that take turns, beginning with another one in each round; or are measured at the same time.

    At the same time they share the machine's other load, which is many times as large as some of their differences.

    Attributes:
        cases: the measured cases.
        at_once_s: seconds in which all of them are measured at the same time; None for turns.
    """

    cases: tuple[Case, ...]
    at_once_s: int | None = None

    @property
    def references(self) -> dict[str, str | None]:
        """The rows, each with its reference row."""
        return {case.name: case.of for case in self.cases}

    def measure(self, environment: Environment, number: int) -> dict[str, Sample]:
        """Measure one round.

        Raises:
            WrkError: wrk is not installed, or a request failed.
        """
        first = number % len(self.cases)
        cases = self.cases[first:] + self.cases[:first]
        if self.at_once_s is not None:
            samples = at_once(environment, cases, seconds=self.at_once_s)
        else:
            samples = [sample for case in cases for sample in at_once(environment, [case])]
        return {case.name: sample for case, sample in zip(cases, samples, strict=True)}


def at_once(environment: Environment, cases: Sequence[Case], *, seconds: int = wrk.DURATION_S) -> list[Sample]:
    """Measure cases at the same time; return a sample for each, in the same order.

    Raises:
        WrkError: wrk is not installed, or a request failed.
    """
    loads = [load(environment, case) for case in cases]
    for case in cases:
        if case.lists:
            environment.fill_redis(case.lists, case.server)
    before = [environment.reads(case.server) for case in cases]
    samples = wrk.measure(*loads, seconds=seconds)
    after = [environment.reads(case.server) for case in cases]
    return [_with_share(*each) for each in zip(samples, before, after, strict=True)]


def _with_share(sample: Sample, before: Reads | None, after: Reads | None) -> Sample:
    if before is None or after is None:
        return sample
    hits, reads = (now - then for now, then in zip(after, before, strict=True))
    return msgspec.structs.replace(sample, cached=hits / reads) if reads else sample


def load(environment: Environment, case: Case) -> Load:
    """Return the load of a case; its server runs then."""
    prefix, users = (case.lists.prefix, case.lists.users) if case.lists else (EVERYBODY, USERS)
    return Load(
        environment.url(case.server),
        Workload(case.requests, prefix, users, environment.etags),
        case.connections,
        environment.pid(case.server),
        case.rate,
    )
