"""A tier of its own: tests of the MongoDB that is configured, of any product.

A test names its requirements by `@pytest.mark.needs(…)`. Tests that do not apply to this MongoDB are left out before
anything runs, and the run ends with a list of those and why.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest
from pymongo.errors import PyMongoError

from devtools.service_process import Service
from mylist.devserver.embedded_servers import ServerMissingError
from tests.conftest import Serve
from tests.contract.conftest import PatientTransport, User, connect
from tests.mongodb.deployment import Deployment, opened

NEEDS: dict[str, tuple[Callable[[Deployment], bool], str]] = {
    "failures": (
        lambda each: each.fails_on_demand,
        "has no fail points: start mongod or mongos with --setParameter enableTestCommands=1",
    ),
    "fail points": (
        lambda each: each.fails_on_demand and hasattr(each, "fail_point"),
        "is no MongoDB that runs with --setParameter enableTestCommands=1",
    ),
    "plans": (lambda each: each.facts.explains_plans, "does not explain its plans as MongoDB does"),
    "an election": (lambda each: each.steps_down, "is no replica set whose primary may step down"),
    "members to lose": (
        lambda each: each.loses_members,
        "is no replica set of three whose members TEST_MONGODB_COMPOSE can pause",
    ),
    "compose": (
        lambda each: each.loses_members and hasattr(each, "in_primary"),
        "is no replica set that TEST_MONGODB_COMPOSE runs",
    ),
    "shards": (lambda each: each.facts.shards > 1, "is no sharded cluster of two shards"),
}
"""The requirements of tests: how to see whether a deployment has it, and the reason to report if not."""

_HERE = Path(__file__).parent
_DEPLOYMENT = pytest.StashKey[Deployment]()
_OPEN = pytest.StashKey[ExitStack]()
_LEFT_OUT = pytest.StashKey[dict[str, str]]()


@pytest.hookimpl(trylast=True)  # once other tiers are left out
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    own = [item for item in items if item.path.is_relative_to(_HERE)]
    if not own:
        return
    config.stash[_OPEN] = ExitStack()
    try:
        deployment = config.stash[_DEPLOYMENT] = config.stash[_OPEN].enter_context(opened())
    except (PyMongoError, ValueError, ServerMissingError) as error:
        raise pytest.UsageError(f"there is no MongoDB to ask: {str(error).partition(', Topology')[0]}") from error
    left_out = {item: missing for item in own if (missing := _missing(item, deployment))}
    config.stash[_LEFT_OUT] = {item.nodeid: missing for item, missing in left_out.items()}
    items[:] = [item for item in items if item not in left_out]
    config.hook.pytest_deselected(items=list(left_out))


def _missing(item: pytest.Item, deployment: Deployment) -> str:
    """Return why a test does not apply; nothing if it does."""
    needs = [need for marker in item.iter_markers("needs") for need in marker.args]
    return next((NEEDS[need][1] for need in needs if not NEEDS[need][0](deployment)), "")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    if _DEPLOYMENT not in config.stash:
        return
    left_out = config.stash[_LEFT_OUT]
    terminalreporter.section(f"did not apply to {config.stash[_DEPLOYMENT].described()}")
    for reason in sorted(set(left_out.values())):
        terminalreporter.line(f"it {reason}:")
        tests = Counter(test.partition("[")[0] for test, missing in left_out.items() if missing == reason)
        for test, times in tests.items():
            terminalreporter.line(f"  {test}{f' ({times} cases)' if times > 1 else ''}")


def pytest_unconfigure(config: pytest.Config) -> None:
    if _OPEN in config.stash:
        config.stash[_OPEN].close()


@pytest.fixture(scope="session")
def deployment(pytestconfig: pytest.Config) -> Deployment:
    """The MongoDB of this run."""
    return pytestconfig.stash[_DEPLOYMENT]


@pytest.fixture(scope="session")
def mongodb_server(deployment: Deployment) -> str:
    return deployment.uri


@pytest.fixture(scope="module")
def recording_client(recording_service: Service) -> Iterator[httpx.Client]:
    with connect(recording_service, transport=PatientTransport()) as client:
        yield client


@pytest.fixture(scope="module")
def clients(serve: Serve, titles: None) -> Iterator[list[httpx.Client]]:  # noqa: ARG001 - there before the first call
    """Clients of two processes of the service, with the default deadlines."""
    quick = {"MONGODB_TIMEOUT": "2"}
    with ExitStack() as stack:
        yield [stack.enter_context(connect(serve(**quick))) for _ in range(2)]


@pytest.fixture
def users(clients: list[httpx.Client], user_id: str) -> list[User]:
    """One new user, as a caller of each process."""
    return [User(client, user_id) for client in clients]
