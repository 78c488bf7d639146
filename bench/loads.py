"""How many requests a second a server answers, and in how many milliseconds each, under the load of wrk."""

from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

from bench import wrk
from bench.placing import Placed
from bench.samples import Sample
from bench.stage import USERS, Reads, Server, Stage
from bench.wrk import Asking, Load

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
    """Cases that take turns, beginning with another one in each round; or are measured at the same time.

    At the same time they share whatever else the machine does, which is many times what some of them differ by.
    """

    cases: tuple[Case, ...]
    at_once: bool = False

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
        cases = self.cases[first:] + self.cases[:first]
        turns = [cases] if self.at_once else [(case,) for case in cases]
        return {case.name: sample for turn in turns for case, sample in zip(turn, _measure(stage, turn), strict=True)}


def _measure(stage: Stage, cases: Sequence[Case]) -> list[Sample]:
    loads = [load(stage, case) for case in cases]
    for case in cases:
        if case.placed:
            stage.place(case.placed, case.server)
    before = [stage.reads(case.server) for case in cases]
    samples = wrk.measure(*loads)
    after = [stage.reads(case.server) for case in cases]
    return [_with_share(*each) for each in zip(samples, before, after, strict=True)]


def _with_share(sample: Sample, before: Reads | None, after: Reads | None) -> Sample:
    if before is None or after is None:
        return sample
    hits, reads = (now - then for now, then in zip(after, before, strict=True))
    return msgspec.structs.replace(sample, cached=hits / reads)


def load(stage: Stage, case: Case) -> Load:
    """Gives the load of a case; its server runs then."""
    prefix, users = (case.placed.prefix, case.placed.users) if case.placed else (EVERYBODY, USERS)
    return Load(stage.url(case.server), Asking(case.requests, prefix, users, stage.etags), case.connections)
