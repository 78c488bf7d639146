"""Fixtures of every layer's tests: the stores of the run, and the service as a process."""

import signal
from collections.abc import Callable, Generator, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path
from uuid import uuid4

import pytest
from pymongo import MongoClient
from pymongo.database import Database
from redis import Redis

from devtools import ports
from devtools.service_process import Service
from devtools.stores import Store, StoreChoiceError, choose_mongodb, choose_redis, with_database
from mylist.devserver.embedded_servers import ServerMissingError
from tests.contract.titles import MATRIX_DOCUMENT, MOVIE_DOCUMENTS, SHOW_DOCUMENT
from tests.recorded_commands import recording
from tests.requirements import skip_or_fail

pytest_plugins = ["tests.order", "tests.tiers"]

Serve = Callable[..., Service]
NewDatabase = Callable[[], AbstractContextManager[str]]

# How fast the machine is at the moment is no matter of the tests.
PATIENT = {"MONGODB_TIMEOUT": "5", "REDIS_TIMEOUT": "0.4", "SLOW_REQUEST": "60"}

_MONGODB = pytest.StashKey[Store]()
_REDIS = pytest.StashKey[Store]()
_SAMPLE_USERS = ("507f1f77bcf86cd799439011", "507f1f77bcf86cd7994390b1", "507f1f77bcf86cd7994390b2")
_WITHOUT_STORES = [Path(__file__).with_name(folder) for folder in ("unit", "chart")]


def pytest_configure(config: pytest.Config) -> None:
    ports.divide()
    _stop_ignoring_sigint()
    try:
        config.stash[_MONGODB] = choose_mongodb()
        config.stash[_REDIS] = choose_redis()
        if not _runs_without_stores(config):
            config.stash[_MONGODB].check()
    except (StoreChoiceError, ServerMissingError) as error:
        raise pytest.UsageError(str(error)) from error


def _stop_ignoring_sigint() -> None:
    """Let the processes that tests start be interrupted: a shell script's background job inherits SIGINT as ignored."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def _runs_without_stores(config: pytest.Config) -> bool:
    paths = [config.invocation_params.dir / argument.partition("::")[0] for argument in config.args]
    return all(any(path.is_relative_to(folder) for folder in _WITHOUT_STORES) for path in paths)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_setup() -> Generator[None]:
    yield from _without_missing_servers()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call() -> Generator[None]:
    yield from _without_missing_servers()


def _without_missing_servers() -> Generator[None]:
    """Leave out a test that kills, freezes or guards an embedded server which this Python does not have."""
    try:
        yield
    except ServerMissingError as error:
        skip_or_fail(str(error))


def pytest_report_header(config: pytest.Config) -> list[str]:
    return [f"MongoDB: {config.stash[_MONGODB].source}", f"Redis: {config.stash[_REDIS].source}"]


@pytest.fixture(scope="session")
def mongodb_server(pytestconfig: pytest.Config) -> Iterator[str]:
    """The URI of the MongoDB of this run, or of this worker of it; most tests want `mongodb_uri`."""
    with pytestconfig.stash[_MONGODB].start() as uri:
        yield uri


@pytest.fixture(scope="session")
def redis_url(pytestconfig: pytest.Config) -> Iterator[str]:
    """The URL of the Redis of this run, or of this worker of it; tests keep apart by the users they make up."""
    with pytestconfig.stash[_REDIS].start() as url:
        with Redis.from_url(url) as client:
            client.flushdb()
        yield url


@pytest.fixture(scope="session")
def new_database(mongodb_server: str, pytestconfig: pytest.Config) -> NewDatabase:
    """Open a database that nothing else uses: its URI, for as long as the context lasts."""

    @contextmanager
    def opened() -> Iterator[str]:
        name = f"mylist-test-{uuid4().hex[:12]}"
        yield with_database(mongodb_server, name)
        if pytestconfig.stash[_MONGODB].outlives_run:
            with MongoClient[dict[str, object]](mongodb_server) as client:
                client.drop_database(name)

    return opened


@pytest.fixture(scope="module")
def mongodb_uri(new_database: NewDatabase) -> Iterator[str]:
    """The URI of a database of this module's own."""
    with new_database() as uri:
        yield uri


@pytest.fixture(scope="module")
def database(mongodb_uri: str) -> Iterator[Database[dict[str, object]]]:
    """That database, to put data into and to look at what the service did."""
    with MongoClient[dict[str, object]](mongodb_uri, tz_aware=True) as client:
        yield client.get_default_database()


@pytest.fixture(scope="session")
def running_services() -> list[Service]:
    """Those that `serve` has started and nothing has stopped yet."""
    return []


@pytest.fixture(autouse=True)
def _stop_services_of_the_test(running_services: list[Service]) -> Iterator[None]:
    """Stop what a test, or a fixture of that test alone, has started: a process that does nothing still takes time."""
    of_the_module = len(running_services)
    yield
    _stop(running_services, of_the_module)


def _stop(services: list[Service], first: int) -> None:
    with ExitStack() as each:  # it ends every one, even when one ends badly
        while len(services) > first:
            each.callback(services.pop().stop)


@pytest.fixture(scope="module")
def serve(
    mongodb_uri: str, redis_url: str, running_services: list[Service], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Serve]:
    """Start a service process with the settings given; each is stopped, and must stop cleanly.

    One that a test starts ends with the test, one that a fixture of a module or a class starts with the module.
    """
    with Redis.from_url(redis_url) as client:
        # Each module has a database of its own, but all have one Redis, and the sample's users are the same in each.
        client.delete(*(f"mylist:{{{user_id}}}" for user_id in _SAMPLE_USERS))

    def start(**settings: str) -> Service:
        service = Service(
            tmp_path_factory.mktemp("service"),
            {"MONGODB_URI": mongodb_uri, "REDIS_URL": redis_url, **PATIENT, **settings},
        )
        try:
            service.wait_until_ready()
        except BaseException:
            service.kill()
            raise
        running_services.append(service)
        return service

    yield start
    _stop(running_services, 0)


@pytest.fixture(scope="module")
def service(serve: Serve) -> Service:
    """A service process with default settings."""
    return serve()


@pytest.fixture(scope="module")
def titles(database: Database[dict[str, object]]) -> None:
    """Put the movies and shows into the database."""
    database["movies"].insert_many([MATRIX_DOCUMENT, *MOVIE_DOCUMENTS])
    database["tvshows"].insert_one(SHOW_DOCUMENT)


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where `recording_service` writes its commands."""
    return tmp_path_factory.mktemp("commands") / "commands.jsonl"


@pytest.fixture(scope="module")
def recording_service(
    mongodb_uri: str,
    redis_url: str,
    recorded: Path,
    titles: None,  # noqa: ARG001 - there before the first call
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Service]:
    """A service process with default settings that writes its commands down."""
    settings = {"MONGODB_URI": mongodb_uri, "REDIS_URL": redis_url, **PATIENT}
    service = Service(tmp_path_factory.mktemp("service"), settings, program=recording(recorded))
    try:
        service.wait_until_ready()
        yield service
    finally:
        service.stop()


@pytest.fixture
def user_id() -> str:
    """A new user, whom no other test has."""
    return f"user-{uuid4().hex}"
