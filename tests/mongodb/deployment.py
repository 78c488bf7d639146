"""The MongoDB that these tests are run on: what it is, and how to make it fail.

`TEST_MONGODB_URI` names a real one. Its fail points need `mongod --setParameter enableTestCommands=1`; its members are
killed and paused where `TEST_MONGODB_COMPOSE` names the compose file that runs them. Without a URI it is the embedded
server, or with `TEST_MONGODB_TOPOLOGY` the scripted MongoDB in front of that server.
"""

import json
import os
import subprocess
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from pymongo import MongoClient
from pymongo.errors import OperationFailure, PyMongoError
from pymongo.uri_parser import parse_uri

from devtools.scripted_mongodb import ScriptedMongoDB, Topology
from devtools.waiting import wait_until
from mylist.devserver.embedded_servers import MongoServer, running

Document = dict[str, Any]

_SERVICE = "mylist"
"""The name that the service gives itself in `connect`; fail points hit no other client."""
_ELECTION_TIMEOUT_S = 60.0
_STEP_DOWN_S = 5


@dataclass(frozen=True)
class Facts:
    """The properties that a deployment reports.

    Attributes:
        version: of the server.
        is_set: whether clients see a replica set.
        members: how many of its members have data, in the order of `hello`; none for a standalone server.
        arbiters: how many vote only.
        shards: how many there are behind a mongos that lists them.
        explains_plans: whether `explain` distinguishes a covered query, like MongoDB does.
    """

    version: str
    is_set: bool
    members: tuple[str, ...]
    arbiters: int
    shards: int
    explains_plans: bool


class Deployment(ABC):
    """One deployment, for as long as tests are run on it.

    Attributes:
        uri: the connection string.
        facts: what it is.
    """

    fails_on_demand = False
    """Whether `failing` works."""
    steps_down = False
    """Whether `step_down` works."""
    loses_members = False
    """Whether `kill_primary` and `without_majority` work."""

    def __init__(self, uri: str) -> None:
        self.uri = uri
        self.facts = _facts(uri)

    def failing(
        self, *commands: str, times: int | None = None, code: int = 0, write_concern_code: int = 0, closes: bool = False
    ) -> AbstractContextManager[None]:
        """Let commands of the service fail: so many times, or all for as long as the context lasts.

        Args:
            commands: their names, as `update`.
            times: how many; None for all.
            code: of the error in reply; nothing is done then.
            write_concern_code: of the `writeConcernError` in reply; the command takes effect.
            closes: whether the connection ends without a reply, and nothing is done.
        """
        raise NotImplementedError

    def step_down(self) -> None:
        """Have the primary step down as planned, and return when there is another."""
        raise NotImplementedError

    def kill_primary(self) -> Callable[[], object]:
        """End the primary by SIGKILL; return a function that starts it again."""
        raise NotImplementedError

    def without_majority(self) -> AbstractContextManager[None]:
        """Let the primary go on alone, until it notices."""
        raise NotImplementedError

    def described(self) -> str:
        """Return in a few words what it is."""
        kind = "replica set" if self.facts.is_set else f"{self.facts.shards} shards" if self.facts.shards else "server"
        return f"{self.name()} {self.facts.version}, {kind}"

    @abstractmethod
    def name(self) -> str:
        """Return what runs it."""


class Real(Deployment):
    """A deployment that runs elsewhere; `compose` is the file that runs it, if it may be disturbed."""

    def __init__(self, uri: str, compose: Path | None) -> None:
        super().__init__(uri)
        self._compose = compose
        self._client: MongoClient[Document] = MongoClient(uri, timeoutMS=30_000)
        self.fails_on_demand = self._has_fail_points()
        self.steps_down = len(self.facts.members) > 1
        self.loses_members = compose is not None and len(self.facts.members) + self.facts.arbiters > 2

    def name(self) -> str:
        return "MongoDB at TEST_MONGODB_URI"

    @contextmanager
    def failing(
        self, *commands: str, times: int | None = None, code: int = 0, write_concern_code: int = 0, closes: bool = False
    ) -> Iterator[None]:
        data: Document = {"failCommands": list(commands), "appName": _SERVICE}
        if code:
            data["errorCode"] = code
        if write_concern_code:
            data["writeConcernError"] = {"code": write_concern_code, "errmsg": "by a fail point"}
        if closes:
            data["closeConnection"] = True
        self.fail_point("failCommand", {"times": times} if times else "alwaysOn", data)
        try:
            yield
        finally:
            self.fail_point("failCommand", "off")

    def fail_point(self, name: str, mode: Document | str, data: Document | None = None, *, member: str = "") -> None:
        """Set a fail point: on the primary or the mongos, or on one member."""
        command: Document = {"configureFailPoint": name, "mode": mode}
        if data:
            command["data"] = data
        if not member:
            self._client.admin.command(command)
            return
        with self.connect_to(member) as client:
            client.admin.command(command)

    def connect_to(self, member: str) -> MongoClient[Document]:
        """Connect to one member alone."""
        host, _, port = member.rpartition(":")
        options = {**_credentials(self.uri), "directConnection": True, "timeoutMS": 30_000}
        return MongoClient(host, int(port), **options)

    def step_down(self) -> None:
        former = self.primary()
        try:
            self._client.admin.command("replSetStepDown", _STEP_DOWN_S, secondaryCatchUpPeriodSecs=_STEP_DOWN_S - 1)
        except PyMongoError as error:
            if isinstance(error, OperationFailure):  # it may end the connection instead of answering
                raise
        self.wait_for_another_primary(former)

    def step_up(self, member: str) -> None:
        """Have one member be elected."""
        with self.connect_to(member) as client:
            client.admin.command("replSetStepUp")
        wait_until(lambda: self.primary() == member, within=_ELECTION_TIMEOUT_S)

    def primary(self) -> str:
        """Return host and port of the primary; empty while there is none."""
        for member in self.facts.members:
            try:
                with self.connect_to(member) as client:
                    if client.admin.command("hello")["isWritablePrimary"]:
                        return member
            except PyMongoError:
                continue
        return ""

    def wait_for_another_primary(self, former: str) -> None:
        """Wait until another member is the primary."""
        wait_until(lambda: self.primary() not in {"", former}, within=_ELECTION_TIMEOUT_S)

    def kill_primary(self) -> Callable[[], object]:
        service = self._service_of(self.primary())
        self._run("kill", service)
        return lambda: self._run("up", "--detach", "--wait", service)

    @contextmanager
    def without_majority(self) -> Iterator[None]:
        primary = self.primary()
        services = [self._service_of(each) for each in self.facts.members if each != primary]
        self._run("pause", *services)
        try:
            yield
        finally:
            self._run("unpause", *services)
            wait_until(lambda: bool(self.primary()), within=_ELECTION_TIMEOUT_S)

    def in_primary(self, *command: str, given: bytes = b"") -> bytes:
        """Run a command in the container of the primary; return what it prints."""
        return self._run("exec", "--no-TTY", self._service_of(self.primary()), *command, given=given)

    def _service_of(self, member: str) -> str:
        """Return the service of the compose file that is a member: its command has the port."""
        listed = self._run("config", "--format", "json")
        services: Mapping[str, Document] = json.loads(listed)["services"]
        port = member.rpartition(":")[2]
        return next(
            name for name, service in services.items() if f"--port {port}" in " ".join(service["command"] or [])
        )

    def _run(self, *arguments: str, given: bytes = b"") -> bytes:
        assert self._compose is not None
        command = ["docker", "compose", "--file", str(self._compose), *arguments]
        return subprocess.run(command, input=given, stdout=subprocess.PIPE, check=True).stdout

    def _has_fail_points(self) -> bool:
        try:
            self._client.admin.command({"configureFailPoint": "failCommand", "mode": "off"})
        except OperationFailure:
            return False
        return True


class Scripted(Deployment):
    """The scripted MongoDB in front of the embedded server."""

    fails_on_demand = True

    def __init__(self, mongodb: ScriptedMongoDB) -> None:
        super().__init__(mongodb.uri())
        self._mongodb = mongodb
        self.steps_down = self.loses_members = len(self.facts.members) > 1

    def name(self) -> str:
        return "the scripted MongoDB, in front of SecantusDB"

    @contextmanager
    def failing(
        self, *commands: str, times: int | None = None, code: int = 0, write_concern_code: int = 0, closes: bool = False
    ) -> Iterator[None]:
        self._mongodb.fail_command(
            *commands,
            count=times,
            code=code or None,
            write_concern_error=write_concern_code or None,
            closes="before" if closes else None,
        )
        try:
            yield
        finally:
            self._mongodb.mend()

    def step_down(self) -> None:
        former = self._mongodb.primary()
        assert former is not None
        self._mongodb.step_down((former + 1) % len(self.facts.members), after_s=1)
        wait_until(lambda: self._mongodb.primary() not in {None, former}, within=_ELECTION_TIMEOUT_S)

    def kill_primary(self) -> Callable[[], object]:
        former = self._mongodb.primary()
        assert former is not None
        self._mongodb.kill(former)
        self._mongodb.elect((former + 1) % len(self.facts.members), after_s=2)
        return lambda: self._mongodb.revive(former)

    @contextmanager
    def without_majority(self) -> Iterator[None]:
        self._mongodb.lose_majority()
        try:
            yield
        finally:
            self._mongodb.regain_majority()


class Embedded(Deployment):
    """The embedded server itself."""

    def name(self) -> str:
        return "SecantusDB"


@contextmanager
def opened() -> Iterator[Deployment]:
    """Yield the deployment that the environment names."""
    if uri := os.environ.get("TEST_MONGODB_URI"):
        compose = os.environ.get("TEST_MONGODB_COMPOSE")
        yield Real(uri, Path(compose) if compose else None)
        return
    topology = os.environ.get("TEST_MONGODB_TOPOLOGY")
    with TemporaryDirectory(prefix="mylist-test-") as folder, running(server := MongoServer(Path(folder))):
        if not topology:
            yield Embedded(server.uri)
            return
        with ScriptedMongoDB(server.uri, Topology(topology)) as mongodb:
            yield Scripted(mongodb)


def _facts(uri: str) -> Facts:
    with MongoClient[Document](uri, timeoutMS=30_000) as client:
        hello = client.admin.command("hello")
        build = client.admin.command("buildInfo")
        try:
            shards = len(client.admin.command("listShards")["shards"]) if hello.get("msg") == "isdbgrid" else 0
        except OperationFailure:
            shards = 0
        stages = _stages_of_a_known_plan(client)
        return Facts(
            version=str(build.get("secantusVersion", build["version"])),
            is_set="setName" in hello,
            members=tuple(hello.get("hosts", ())) if "setName" in hello else (),
            arbiters=len(hello.get("arbiters", ())),
            shards=shards,
            explains_plans="IXSCAN" in stages and "FETCH" not in stages,
        )


def _stages_of_a_known_plan(client: MongoClient[Document]) -> set[str]:
    """Return the stages of a query that an index answers alone."""
    name = f"mylist-test-plans-{time.time_ns()}"
    database = client[name]
    try:
        database["plans"].create_index([("a", 1), ("b", 1)])
        database["plans"].insert_many([{"a": 1, "b": each} for each in range(10)])
        plan = database.command("explain", {"find": "plans", "filter": {"a": 1}, "projection": {"_id": 0, "b": 1}})
    except OperationFailure:
        return set()
    finally:
        client.drop_database(name)
    return {stage["stage"] for stage in stages(plan["queryPlanner"]) if "stage" in stage}


def stages(plan: Any) -> Iterator[Document]:
    """Yield each stage of a plan, of all shards and either engine; rejected plans are left out."""
    if isinstance(plan, Sequence) and not isinstance(plan, str):
        for each in plan:
            yield from stages(each)
    elif isinstance(plan, Mapping):
        if "stage" in plan:
            yield dict(plan)
        for name, part in plan.items():
            if name not in {"rejectedPlans", "slotBasedPlan", "parsedQuery"}:
                yield from stages(part)


def _credentials(uri: str) -> Document:
    parsed = parse_uri(uri)
    if parsed["username"] is None:
        return {}
    source = parsed["options"].get("authsource") or parsed["database"] or "admin"
    return {"username": parsed["username"], "password": parsed["password"], "authSource": source}
