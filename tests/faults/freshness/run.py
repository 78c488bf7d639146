"""One run: the load, the faults during it, the last reads, and the check of every history."""

import asyncio
import gc
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from pathlib import Path
from random import Random

import uvloop
from bson import ObjectId
from pymongo import MongoClient

from devtools.waiting import eventually
from mylist.devserver.embedded_servers import ServerStartError
from mylist.domain.timestamps import iso_format
from tests.faults.freshness.answers import SHOW_EVERY, imdb_id, title_id, title_type
from tests.faults.freshness.deployment import DATABASE, PROCESSES, Deployment, now
from tests.faults.freshness.faults import InjectedFault, inject
from tests.faults.freshness.followed_events import NOTHING_FOLLOWED, EventFindings, FollowedEvents, events_program
from tests.faults.freshness.history import MONGODB, Add, Operation, as_page, in_order
from tests.faults.freshness.linearizability import Kind, Violation, check
from tests.faults.freshness.mongodb import MongoTopology
from tests.faults.freshness.mongodb import make as make_mongodb
from tests.faults.freshness.operators import Operators
from tests.faults.freshness.redis import Topology, make
from tests.faults.freshness.tally import MIN_HITS, Tally
from tests.faults.freshness.workload import TITLES, Crowd, User

_TIMEOUT_S = 120.0
_MUST_FAIL_WITHIN_S = 240.0
"""A run that must find a stale read repeats the faults for so long, because the timing depends on the machine."""
_SHOWS = frozenset(title for title in range(TITLES) if (title + 1) % SHOW_EVERY == 0)
_FIRST_ADDED = datetime(2026, 1, 1, tzinfo=UTC)


class Mode(StrEnum):
    """What is put to the test."""

    STRICT = "strict"
    """CACHE_STRICT=true: no violation under any fault."""
    DEFAULT = "default"
    """No violation either, under any fault."""
    NO_FENCE = "no-fence"
    """The fence is switched off: there must be violations, or the checker would not notice any."""
    NO_REIGN = "no-reign"
    """The elections of MongoDB are ignored: there must be violations if MongoDB is a replica set."""
    NO_REGISTRY = "no-registry"
    """Processes do not share the Redis that they use: cut links must lead to violations."""


MUST_FAIL = {Mode.NO_FENCE: "the fence", Mode.NO_REIGN: "the reign", Mode.NO_REGISTRY: "the registry"}
"""The modes that must find violations, and what each switches off."""
_PROGRAMS = {
    Mode.NO_FENCE: ("-P", str(Path(__file__).with_name("no_fence.py"))),
    Mode.NO_REIGN: ("-P", str(Path(__file__).with_name("no_reign.py"))),
    Mode.NO_REGISTRY: ("-P", str(Path(__file__).with_name("no_registry.py"))),
}
"""The programs that replace `mylist`."""


@dataclass(frozen=True, slots=True)
class Scenario:
    """The parameters of a run; faults begin within `duration` seconds, and each happens at least once.

    `events_fault` names the fault of `mylist events`; empty for none.
    """

    mode: Mode
    redis: Topology
    mongodb: MongoTopology
    seed: int
    duration: float
    faults: Sequence[str]
    users: int
    events_fault: str


@dataclass(frozen=True, slots=True)
class Run:
    """What happened.

    Attributes:
        began, ended: of the load, in seconds on the clock of the histories.
        checked: how many operations the histories hold.
        violations: what the check found, with whose history it was.
        undecided: answers that had too many explanations to be checked.
        events: the findings about `mylist events`.
        troubles: what went wrong besides what the histories show, one line each.
    """

    began: float
    ended: float
    tally: Tally
    injected: list[InjectedFault]
    checked: int
    violations: list[tuple[User, Violation]]
    undecided: int
    events: EventFindings
    troubles: list[str]


def run(folder: Path, scenario: Scenario, say: Callable[[str], None]) -> Run:
    """Run the service with all it needs in `folder`, strike it, and check what it answered."""
    mode, seed = scenario.mode, scenario.seed
    settings = {"CACHE_STRICT": "true"} if mode in {Mode.STRICT, Mode.NO_REIGN} else {}
    program = _PROGRAMS.get(mode, ("-m", "mylist"))
    users = [f"user-{number}" for number in range(scenario.users)]
    redis = make(scenario.redis, folder / "redis", PROCESSES, users)
    mongodb = make_mongodb(scenario.mongodb, folder / "mongodb", PROCESSES)
    deployment = Deployment(folder, redis, mongodb, settings, program)
    with mongodb.running(), redis.running():
        tally = Tally()
        crowd = Crowd(seed, scenario.users, deployment, tally)
        _fill(deployment.mongodb.uri, crowd, Random(f"{seed} lists"))
        followed = FollowedEvents(
            folder,
            server=mongodb.uri,
            uri=mongodb.uris(DATABASE)[0],
            database=DATABASE,
            seed=seed,
            program=events_program(scenario.events_fault),
        )
        operators = Operators(seed, crowd, deployment, tally, program)
        load = _Load(deployment, crowd, operators, tally, say, followed)
        uvloop.run(load.go(scenario))
    say("checking")
    violations, undecided = _findings(crowd.users)
    return Run(
        began=load.began,
        ended=load.ended,
        tally=tally,
        injected=load.injected,
        checked=sum(len(user.history) for user in crowd.users),
        violations=violations,
        undecided=undecided,
        events=load.events,
        troubles=load.troubles,
    )


def _findings(users: Sequence[User]) -> tuple[list[tuple[User, Violation]], int]:
    """Return the violations in all histories, and how many answers were undecided."""
    violations: list[tuple[User, Violation]] = []
    undecided = 0
    for user in users:
        findings = check(user.history, shows=_SHOWS)
        violations += ((user, violation) for violation in findings.violations)
        undecided += findings.undecided
    return violations, undecided


class _Load:
    """The part of a run in which the service runs."""

    def __init__(  # noqa: PLR0913 - private, and all that runs
        self,
        deployment: Deployment,
        crowd: Crowd,
        operators: Operators,
        tally: Tally,
        say: Callable[[str], None],
        followed: FollowedEvents,
    ) -> None:
        self._deployment = deployment
        self._crowd = crowd
        self._operators = operators
        self._tally = tally
        self._say = say
        self._followed = followed
        self.events = NOTHING_FOLLOWED
        self.injected: list[InjectedFault] = []
        self.troubles: list[str] = []
        self.began = self.ended = 0.0

    async def go(self, scenario: Scenario) -> None:
        """Start the service, inject faults under load, read every list at the end, and stop it."""
        await self._followed.start()
        await self._deployment.start()
        try:
            with _no_collections(), self._noting("under load"):
                self.began = now()
                await self._inject_faults(scenario, scenario.seed)
                while scenario.mode in MUST_FAIL and not self._must_end():
                    self._say("no stale read so far, so the faults are repeated")
                    await self._inject_faults(scenario, f"{scenario.seed} {len(self.injected)}")
            with self._noting("at the end"):
                # Every list is read from the cache, loaded, and read again.
                await self._crowd.read_everything(within=_TIMEOUT_S)
                await asyncio.to_thread(_read_mongodb, self._deployment.mongodb.uri, self._crowd.users)
                await self._crowd.read_everything(within=_TIMEOUT_S)
                self.events = await self._followed.finish(self._deployment.mongodb.rolled_back())
                if not scenario.events_fault:
                    self.troubles += self.events.troubles
        finally:
            self._followed.kill()
            self.troubles += await self._deployment.stop()
        self.troubles += (f"unexpected answer to {each}" for each in self._tally.unexpected)
        for replica in self._deployment.replicas:
            if count := replica.tracebacks():
                self.troubles.append(f"{count} tracebacks in the logs of process {replica.number}")

    async def _inject_faults(self, scenario: Scenario, seed: object) -> None:
        over = asyncio.Event()
        began = now()
        self._tally.start()
        load = asyncio.gather(self._crowd.live(over.is_set), self._operators.live(over.is_set))
        try:
            await self._deployment.until_caching(within=_TIMEOUT_S)
            self._say("the cache is in use")
            until = began + scenario.duration
            await inject(
                self._deployment,
                self.injected,
                seed=seed,
                names=scenario.faults,
                until=until,
                say=self._say,
            )
            await asyncio.sleep(max(until - now(), 0))
            await eventually(self._were_enough, within=_TIMEOUT_S)
            await self._operators.until_each_is_done(within=_TIMEOUT_S)
            if scenario.events_fault:
                await eventually(self._followed.has_ended_in_each_way, within=_TIMEOUT_S)
        finally:
            over.set()
            await load
            self._tally.finish()
            self.ended = now()

    def _must_end(self) -> bool:
        violations, _ = _findings(self._crowd.users)
        return self.ended - self.began > _MUST_FAIL_WITHIN_S or any(each.kind is Kind.STALE for _, each in violations)

    async def _were_enough(self) -> bool:
        return self._tally.caches["hit"] >= MIN_HITS

    @contextmanager
    def _noting(self, when: str) -> Iterator[None]:
        """Let the run continue after a failure or a timeout, so that the histories are still checked."""
        try:
            yield
        except (AssertionError, TimeoutError, ServerStartError) as error:
            last = f", after {self.injected[-1].name}" if self.injected else ""
            self.troubles.append(f"{when}{last}: {type(error).__name__} {error}")
            self._say(self.troubles[-1])


@contextmanager
def _no_collections() -> Iterator[None]:
    # The histories make collections long, and a pause of the load looks like one of the service.
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def _fill(uri: str, crowd: Crowd, dice: Random) -> None:
    """Put the titles into the catalogue and some of them on each list, which is how each history begins."""
    with MongoClient[dict[str, object]](uri) as client:
        database = client[DATABASE]
        for title in range(TITLES):
            database[f"{title_type(title)}s"].insert_one(
                {
                    "_id": ObjectId(title_id(title)),
                    "title": f"Title {title}",
                    "genres": ["Drama"],
                    "externalIds": {"imdb": imdb_id(title)},
                }
            )
        began = now()
        for user in crowd.users:
            for age, title in enumerate(dice.sample(user.titles, k=user.first)):
                added_at = _FIRST_ADDED - timedelta(minutes=age)
                database["mylist"].insert_one(
                    {
                        "userId": user.id,
                        "contentId": title_id(title),
                        "contentType": title_type(title),
                        "addedAt": added_at,
                    }
                )
                user.first_items.append((title, iso_format(added_at)))
            user.history += (Operation(began, began, MONGODB, Add(*item)) for item in user.first_items)


def _read_mongodb(uri: str, users: Sequence[User]) -> None:
    with MongoClient[dict[str, object]](uri, tz_aware=True) as client:
        for user in users:
            began = now()
            items = [
                (int(str(each["contentId"]), 16) - 1, iso_format(each["addedAt"]))  # type: ignore[arg-type]
                for each in client[DATABASE]["mylist"].find({"userId": user.id})
            ]
            user.history.append(Operation(began, now(), MONGODB, as_page(in_order(items))))
