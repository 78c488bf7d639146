"""How many requests a second a server answers, and in how many milliseconds each, under the load of wrk."""

from dataclasses import dataclass

import msgspec

from bench import wrk
from bench.placing import Placed
from bench.samples import Sample
from bench.stage import USERS, Server, Stage
from bench.wrk import Asking

EVERYBODY = "user-"
USUAL_CONNECTIONS = 16


@dataclass(frozen=True, slots=True)
class Case:
    """One kind of requests to one server.

    Attributes:
        name: in plain words.
        server: who is asked.
        requests: the kind; see `requests.lua`.
        of: the case that it is compared with; None for one that others are compared with.
        connections: how many are open.
        placed: whose lists are asked for, when not those of the load set.
    """

    name: str
    server: Server
    requests: str
    of: str | None = "empty route"
    connections: int = USUAL_CONNECTIONS
    placed: Placed | None = None


@dataclass(frozen=True, slots=True)
class Loads:
    """Cases that take turns, beginning with another one in each round."""

    cases: tuple[Case, ...]

    @property
    def references(self) -> dict[str, str | None]:
        """The rows, each with the one that it is compared with."""
        return {case.name: case.of for case in self.cases}

    def measure(self, stage: Stage, number: int) -> dict[str, Sample]:
        """Measures one round.

        Raises:
            WrkError: wrk is not installed, or a request failed.
        """
        first = number % len(self.cases)
        return {case.name: _measure(stage, case) for case in self.cases[first:] + self.cases[:first]}


def _measure(stage: Stage, case: Case) -> Sample:
    url = stage.url(case.server)
    if case.placed:
        stage.place(case.placed, case.server)
    before = stage.reads(case.server)
    sample = wrk.measure(url, asking(stage, case), connections=case.connections)
    after = stage.reads(case.server)
    if before is None or after is None:
        return sample
    hits, reads = (now - then for now, then in zip(after, before, strict=True))
    return msgspec.structs.replace(sample, cached=hits / reads)


def asking(stage: Stage, case: Case) -> Asking:
    """Gives what wrk asks in a case."""
    prefix, users = (case.placed.prefix, case.placed.users) if case.placed else (EVERYBODY, USERS)
    return Asking(case.requests, prefix, users, stage.etags)
