"""Faults that keep a service from starting: one line says what is wrong, where, and what to do.

The service waits for faults that may heal by themselves; for the others the process ends with status 1.
"""

import re
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest
from pymongo import MongoClient
from pymongo.database import Database
from redis import Redis

from devtools.ports import free_port
from devtools.scrape import Metrics
from devtools.scripted_mongodb import ScriptedMongoDB, Topology
from devtools.service_process import NO_TLS, Service, environment
from devtools.waiting import wait_until
from mylist.devserver.embedded_servers import MongoServer, ValkeyServer, running
from tests.conftest import PATIENT
from tests.faults.conftest import PATIENCE
from tests.faults.cutting_proxy import CuttingProxy

# Every password here contains this text, so one search finds all of them.
SECRET = "hunter2"
RIGHT = f"{SECRET}-right"
WRONG = f"{SECRET}-wrong"
DATABASE = "lists"

NEEDED = "the unique index userId_1_contentId_1 of mylist is needed and cannot be created: "
CREATE = r"db\.getSiblingDB\('lists'\)\.getCollection\('mylist'\)\.createIndex\(.*unique: true\}\)"

Launch = Callable[..., Service]
Fail = Callable[..., str]


class GuardedMongoServer(MongoServer):
    """A MongoDB that requires authentication once its users exist."""

    guarded = False

    def command(self) -> list[str]:
        return [*super().command(), *(["--auth"] if self.guarded else [])]


class GuardedValkeyServer(ValkeyServer):
    """A Redis with a password."""

    def command(self) -> list[str]:
        return [*super().command(), "--requirepass", RIGHT]

    def answers(self) -> bool:
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=1) as connection:
                connection.sendall(b"PING\r\n")
                return connection.recv(16).startswith(b"-NOAUTH")
        except OSError:
            return False


@pytest.fixture(scope="module")
def redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GuardedValkeyServer]:
    server = GuardedValkeyServer(tmp_path_factory.mktemp("redis"))
    with running(server):
        yield server


@pytest.fixture(scope="module")
def mongodb(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GuardedMongoServer]:
    """A MongoDB with a `writer` and a `reader` of one database."""
    server = GuardedMongoServer(tmp_path_factory.mktemp("mongodb"))
    with running(server):
        with MongoClient[dict[str, Any]](server.uri) as client:
            for user, role in (("writer", "readWrite"), ("reader", "read")):
                client.admin.command("createUser", user, pwd=RIGHT, roles=[{"role": role, "db": DATABASE}])
        server.guarded = True
        server.restart()
        yield server


@pytest.fixture
def scripted(mongodb_server: str) -> Iterator[ScriptedMongoDB]:
    """A scripted replica set."""
    with ScriptedMongoDB(mongodb_server) as mongodb:
        yield mongodb


@pytest.fixture(scope="module")
def settings(mongodb: GuardedMongoServer, redis: GuardedValkeyServer) -> dict[str, str]:
    """What a service needs to start."""
    return PATIENT | {
        "MONGODB_URI": f"{mongodb.database(DATABASE)}&authSource=admin",
        "MONGODB_USER": "writer",
        "MONGODB_PASSWORD": RIGHT,
        "REDIS_URL": redis.uri,
        "REDIS_PASSWORD": RIGHT,
    }


@pytest.fixture
def launch(settings: dict[str, str], tmp_path: Path) -> Iterator[Launch]:
    """Start a service with these settings and some changes. It must end cleanly and log no password."""
    services: list[Service] = []

    def launch(**changes: str) -> Service:
        services.append(Service(tmp_path, settings | changes))
        return services[-1]

    yield launch
    for service in services:
        service.stop()
        assert SECRET not in service.log.read_text()


@pytest.fixture
def fail(settings: dict[str, str], tmp_path: Path) -> Fail:
    """Start a service that must fail; return the reason. Its output must have no traceback and no password."""

    def fail(**changes: str) -> str:
        port = str(free_port())
        process = subprocess.run(
            [sys.executable, "-m", "mylist", "serve"],
            capture_output=True,
            text=True,
            check=False,
            timeout=PATIENCE,
            cwd=tmp_path,
            env=environment({"HOST": "127.0.0.1", "PORT": port} | settings | changes),
        )
        assert process.returncode == 1, process.stderr
        assert process.stdout == ""
        assert SECRET not in process.stderr
        assert "traceback" not in process.stderr.lower()
        *log, line = process.stderr.splitlines()
        assert all(each.startswith('{"time":') for each in log), process.stderr
        assert line.startswith("mylist: ")
        return line.removeprefix("mylist: ")

    return fail


class TestSettings:
    @pytest.mark.parametrize(
        ("changes", "line"),
        [
            ({"CACHE_TTL": "5m"}, "CACHE_TTL is '5m'; it must be a whole number from 1 to 86400"),
            ({"DEFAULT_PAGE_SIZE": "200"}, "DEFAULT_PAGE_SIZE is 200; it must be at most MAX_PAGE_SIZE, 100"),
            ({"MONGODB_PASSWORD": ""}, "MONGODB_PASSWORD is empty; it must be set when MONGODB_USER is set"),
        ],
        ids=lambda value: "" if isinstance(value, str) else next(iter(value)),
    )
    def test_that_cannot_be_used_are_named(self, fail: Fail, changes: dict[str, str], line: str) -> None:
        assert fail(**changes) == line

    def test_with_an_invalid_redis_url_are_refused_without_showing_its_password(self, fail: Fail) -> None:
        line = fail(REDIS_URL=f"redis//:{WRONG}//x@cache")
        assert line.startswith("REDIS_URL is 'redis//:********@cache'; it must be a URL that starts with ")

    def test_in_an_env_file_that_is_not_utf_8_are_refused(self, fail: Fail, tmp_path: Path) -> None:
        (tmp_path / ".env").write_bytes(b"MONGODB_PASSWORD=\xff" + SECRET.encode())
        assert fail() == f"{tmp_path}/.env cannot be read: it is not UTF-8; fix or remove it"


@pytest.mark.parametrize(
    "uri", [f"mongodb://me:{WRONG}/x@host/lists", "mongodb://host/lists?tls=true&tlsCAFile=nowhere.pem"]
)
def test_mongodb_uri_that_cannot_be_used_is_named(fail: Fail, uri: str) -> None:
    assert fail(MONGODB_URI=uri).startswith("MONGODB_URI cannot be used: ")


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("authMechanism=MONGODB-AWS", "MONGODB-AWS needs the package pymongo-auth-aws: install mylist[aws]; "),
        ("authMechanism=MONGODB-X509", "MONGODB-X509 needs tls=true and tlsCertificateKeyFile; "),
        ("authMechanism=MONGODB-OIDC", "authentication with MONGODB-OIDC requires providing either a callback or "),
        ("compressors=snappy", "Wire protocol compression with snappy is not available"),
    ],
)
def test_mongodb_uri_that_can_never_work_is_refused_at_once(fail: Fail, query: str, words: str) -> None:
    line = fail(MONGODB_URI=f"mongodb://127.0.0.1:1/lists?{query}", MONGODB_USER="", MONGODB_PASSWORD="")
    assert line.startswith(f"MONGODB_URI cannot be used: {words}")


class TestMongodbThatRefuses:
    @pytest.mark.parametrize(
        "changes",
        [{"MONGODB_PASSWORD": WRONG}, {"MONGODB_USER": "nobody"}],
        ids=["a wrong password", "an unknown user"],
    )
    def test_wrong_credentials_are_reported(
        self, fail: Fail, mongodb: GuardedMongoServer, changes: dict[str, str]
    ) -> None:
        assert fail(**changes) == (
            f"MongoDB at 127.0.0.1:{mongodb.port} refuses: authentication failed; "
            "check MONGODB_USER, MONGODB_PASSWORD and the authSource of MONGODB_URI"
        )

    def test_a_wrong_password_in_the_uri_is_reported(self, fail: Fail, mongodb: GuardedMongoServer) -> None:
        uri = f"mongodb://writer:{WRONG}@127.0.0.1:{mongodb.port}/{DATABASE}?authSource=admin"
        line = fail(MONGODB_URI=uri, MONGODB_USER="", MONGODB_PASSWORD="")
        assert line.startswith(f"MongoDB at 127.0.0.1:{mongodb.port} refuses: authentication failed; check ")

    def test_missing_credentials_are_reported(self, fail: Fail, mongodb: GuardedMongoServer) -> None:
        line = fail(MONGODB_USER="", MONGODB_PASSWORD="")
        assert re.fullmatch(
            rf"MongoDB at 127.0.0.1:{mongodb.port} refuses: {NEEDED}command createIndexes requires authentication; "
            rf"its user, MONGODB_USER, needs the role readWrite on the database; in mongosh: {CREATE}",
            line,
        )

    def test_a_user_without_rights_is_reported(self, fail: Fail, mongodb: GuardedMongoServer) -> None:
        line = fail(MONGODB_USER="reader")
        assert re.fullmatch(
            rf"MongoDB at 127.0.0.1:{mongodb.port} refuses: {NEEDED}"
            rf"not authorized on lists .*; its user, MONGODB_USER, needs the role readWrite on the database; "
            rf"in mongosh: {CREATE}",
            line,
        )

    def test_missing_support_for_retryable_writes_is_reported_with_the_remedy(
        self, fail: Fail, mongodb_server: str
    ) -> None:
        with ScriptedMongoDB(mongodb_server, Topology.DOCUMENTDB) as scripted:
            line = fail(**scripted_way(scripted))
        assert line.startswith(f"MongoDB at {','.join(scripted.addresses())} refuses: no list can be changed: ")
        assert line.endswith("; this MongoDB has no retryable writes: add retryWrites=false to MONGODB_URI")

    def test_duplicates_that_prevent_an_index_are_reported_with_the_remedy(
        self, fail: Fail, settings: dict[str, str], mongodb: GuardedMongoServer
    ) -> None:
        with MongoClient[dict[str, Any]](settings["MONGODB_URI"], username="writer", password=RIGHT) as client:
            items = client[DATABASE]["mylist"]
            items.insert_many([{"userId": "twice", "contentId": "0" * 24} for _ in range(2)])
            line = fail()
            items.drop()
        assert re.fullmatch(
            rf"MongoDB at 127.0.0.1:{mongodb.port} refuses: {NEEDED}"
            r".*duplicate key.*; keep only one of the documents that have the same values in these fields; to list "
            r"them in mongosh: db\.getSiblingDB\('lists'\)\.getCollection\('mylist'\)\.aggregate\(.*\)",
            line,
        )


class TestOptionalIndexes:
    """The service works without them. One warning names the missing index and the command that creates it."""

    @pytest.fixture
    def odd(self, settings: dict[str, str]) -> Iterator[Database[dict[str, Any]]]:
        """A database in which other programs have left data and indexes."""
        with MongoClient[dict[str, Any]](settings["MONGODB_URI"], username="writer", password=RIGHT) as client:
            yield client[DATABASE]
            for name in client[DATABASE].list_collection_names():
                client[DATABASE].drop_collection(name)

    def test_users_without_names_cause_no_index_warning(self, launch: Launch, odd: Database[dict[str, Any]]) -> None:
        odd["users"].insert_many([{"phone": 1}, {"phone": 2}, {"email": ""}, {"email": ""}])
        service = launch()
        service.wait_until_ready()
        assert not logged(service, "Index ")

    def test_a_conflicting_index_is_logged_with_the_command_that_replaces_it(
        self, launch: Launch, odd: Database[dict[str, Any]]
    ) -> None:
        odd["movies"].create_index("title", expireAfterSeconds=7)
        service = launch()
        service.wait_until_ready()
        line = wait_until(lambda: logged(service, "Index movies.title_1 is missing, "), within=PATIENCE)
        assert "getCollection('movies').dropIndex('title_1'); " in line
        assert missing(service) == {("movies", "title_1")}

    def test_existing_indexes_suffice_without_the_right_to_create_any(
        self, launch: Launch, scripted: ScriptedMongoDB
    ) -> None:
        way = scripted_way(scripted)
        launch(**way).wait_until_ready()
        scripted.fail_command("createIndexes", code=13, count=None)
        service = launch(**way)
        service.wait_until_ready()
        assert not logged(service, "Index ")

    def test_a_read_only_catalogue_suffices(self, launch: Launch, scripted: ScriptedMongoDB) -> None:
        way = scripted_way(scripted)
        with MongoClient[dict[str, Any]](way["MONGODB_URI"]) as client:
            movie = client.get_default_database()["movies"].insert_one({"title": "Of others", "genres": []}).inserted_id
        writes = ("insert", "update", "delete", "findAndModify", "create", "createIndexes")
        refused = [
            scripted.fail_command(*writes, code=13, count=None, collection=collection)
            for collection in ("movies", "tvshows", "users")
        ]
        service = launch(**way)
        service.wait_until_ready()
        item = {"contentId": str(movie), "contentType": "movie"}
        with httpx.Client(
            base_url=f"{service.url}/api/mylist", headers={"user-id": "reader"}, trust_env=False, verify=NO_TLS
        ) as client:
            assert client.post("/add", json=item).status_code == 201
            assert [each["contentId"] for each in client.get("/items").json()["data"]["items"]] == [str(movie)]
            assert client.delete(f"/remove/{movie}").status_code == 200
        folded = ("title_folded", "originalTitle_folded")
        wanted = ("title_1", "genres_1", *folded, *(f"externalIds.{name}_1" for name in ("imdb", "tmdb", "tvdb")))
        assert missing(service) == {(of, index) for of in ("movies", "tvshows") for index in wanted}
        assert [each.hits for each in refused] == [7, 7, 0], "the indexes, and nothing else"


class TestUnavailableMongodb:
    """The service waits for it: the port answers, and the process becomes ready by itself."""

    def test_at_the_start_is_named_and_waited_for(self, launch: Launch, mongodb: GuardedMongoServer) -> None:
        mongodb.kill()
        try:
            service = launch()
            where = f"MongoDB at 127.0.0.1:{mongodb.port}"
            line = wait_until(lambda: logged(service, f"{where} is not available: "), within=PATIENCE)
            assert line.endswith("; start it or fix MONGODB_URI; the service retries")
            assert readiness(service) == 503
        finally:
            mongodb.restart()
        service.wait_until_ready()
        assert logged(service, f"{where} is available")

    @pytest.mark.parametrize("host", ["unknown.invalid:27017", "127.0.0.1:1", "[::1]:1"])
    def test_that_never_answers_is_named_in_the_log_and_in_readyz(self, launch: Launch, host: str) -> None:
        service = launch(MONGODB_URI=f"mongodb://{host}/{DATABASE}", MONGODB_TIMEOUT="1")
        line = wait_until(lambda: logged(service, f"MongoDB at {host} is not available: "), within=PATIENCE)
        assert line.endswith("; start it or fix MONGODB_URI; the service retries")
        answer = wait_until(lambda: get(service, "/readyz"), within=PATIENCE)
        assert answer.status_code == 503
        reason = answer.json()["mongodbReason"]
        assert line.endswith(f" is not available: {reason}")
        assert service.process.poll() is None

    def test_in_the_middle_of_the_start_is_retried(
        self, launch: Launch, settings: dict[str, str], mongodb: GuardedMongoServer
    ) -> None:
        with MongoClient[dict[str, Any]](settings["MONGODB_URI"], username="writer", password=RIGHT) as client:
            client[DATABASE].drop_collection("mylist")  # another test's, with its indexes
        with CuttingProxy(mongodb.port, b"createIndexes", cuts=lambda number: number == 1) as proxy:
            way = f"mongodb://127.0.0.1:{proxy.port}/{DATABASE}?authSource=admin&directConnection=true"
            service = launch(MONGODB_URI=way)
            service.wait_until_ready()
            assert proxy.cut == 1

    @pytest.mark.parametrize("code", [6, 133, 211, 11601])
    def test_that_temporarily_fails_an_index_build_is_retried(
        self, launch: Launch, scripted: ScriptedMongoDB, code: int
    ) -> None:
        failure = scripted.fail_command("createIndexes", code=code, count=2, collection="mylist")
        service = launch(**scripted_way(scripted))
        service.wait_until_ready()
        assert failure.hits == 2
        assert logged(service, "Index userId_1_contentId_1 of mylist cannot be created yet: ")

    def test_during_an_index_build_is_noticed(self, launch: Launch, scripted: ScriptedMongoDB) -> None:
        building = scripted.fail_command("createIndexes", delay_s=PATIENCE, count=1)
        service = launch(**scripted_way(scripted))
        wait_until(lambda: building.hits, within=PATIENCE)
        for member in range(3):
            scripted.freeze(member)
        where = f"MongoDB at {','.join(scripted.addresses())}"
        wait_until(lambda: logged(service, f"{where} is not available: "), within=PATIENCE)
        assert readiness(service) == 503
        for member in range(3):
            scripted.thaw(member)

    def test_for_lack_of_a_token_file_is_named_and_waited_for(
        self, launch: Launch, mongodb: GuardedMongoServer
    ) -> None:
        way = f"mongodb://127.0.0.1:{mongodb.port}/{DATABASE}?authMechanism=MONGODB-OIDC"
        service = launch(
            MONGODB_URI=f"{way}&authMechanismProperties=ENVIRONMENT:k8s", MONGODB_USER="", MONGODB_PASSWORD=""
        )
        line = wait_until(
            lambda: logged(service, f"MongoDB at 127.0.0.1:{mongodb.port} is not available: "), within=PATIENCE
        )
        assert "No such file or directory" in line
        assert line.endswith("; the service retries")
        time.sleep(2)  # four more checks
        assert readiness(service) == 503
        assert service.process.poll() is None


class TestRedis:
    """The service starts without Redis: any fault of Redis is a warning, and the service retries."""

    def test_that_refuses_the_password_is_named_and_bypassed_until_it_accepts_it(
        self, launch: Launch, redis: GuardedValkeyServer
    ) -> None:
        service = launch(REDIS_PASSWORD=WRONG)
        service.wait_until_ready()
        line = wait_until(lambda: logged(service, f"Redis at {redis.uri} is down: "), within=PATIENCE)
        assert "password" in line
        assert line.endswith("; lists come from MongoDB until it recovers")
        assert cache(service) == "bypassed"

        with Redis.from_url(redis.uri, password=RIGHT) as client:
            client.config_set("requirepass", WRONG)
            try:
                wait_until(lambda: cache(service) == "hit", within=PATIENCE)
            finally:
                client.config_set("requirepass", RIGHT)

    @pytest.mark.parametrize("place", ["127.0.0.1:1", "unknown.invalid:6379"])
    def test_that_is_unreachable_is_named_and_bypassed(self, launch: Launch, place: str) -> None:
        service = launch(REDIS_URL=f"redis://:{WRONG}@{place}/0", REDIS_PASSWORD="")
        service.wait_until_ready()
        line = wait_until(lambda: logged(service, f"Redis at redis://:********@{place}/0 is down: "), within=PATIENCE)
        assert line.endswith("; lists come from MongoDB until it recovers")
        assert cache(service) == "bypassed"

    def test_is_named_by_its_configured_host_and_port(self, launch: Launch) -> None:
        service = launch(REDIS_URL="", REDIS_HOST="127.0.0.1", REDIS_PORT="1")
        wait_until(lambda: logged(service, "Redis at 127.0.0.1:1 is down: "), within=PATIENCE)


@contextmanager
def _two_ports_in_a_row() -> Iterator[int]:
    """Hold two consecutive ports until the end, and yield the first.

    A port of another process would not do, because that process may end before the service looks.
    """
    with ExitStack() as held:
        while True:
            port = held.enter_context(socket.create_server(("127.0.0.1", 0))).getsockname()[1]
            try:
                held.enter_context(socket.create_server(("127.0.0.1", port + 1)))
            except OSError:
                continue
            break
        yield port


class TestPort:
    def test_that_is_taken_is_reported_with_a_free_one(self, fail: Fail) -> None:
        with _two_ports_in_a_row() as port:
            line = fail(PORT=str(port))
        told = re.fullmatch(
            rf"cannot listen on port {port} of 127\.0\.0\.1: Address already in use; choose another, as in PORT=(\d+)",
            line,
        )
        assert told is not None, line
        assert int(told[1]) > port + 1

    @pytest.mark.parametrize("host", ["unknown.invalid", "192.0.2.1"])
    def test_on_an_address_of_another_machine_is_refused(self, fail: Fail, host: str) -> None:
        line = fail(HOST=host)
        assert re.fullmatch(rf"cannot listen on port \d+ of {host}: .+; HOST must be an address of this machine", line)


def test_debug_logs_contain_no_passwords(
    launch: Launch, redis: GuardedValkeyServer, mongodb: GuardedMongoServer
) -> None:
    service = launch(LOG_LEVEL="debug")
    service.wait_until_ready()
    wait_until(lambda: cache(service) == "hit", within=PATIENCE)
    for server in (redis, mongodb):
        server.restart()
    wait_until(lambda: cache(service) == "hit", within=PATIENCE)
    assert '"level":"debug"' in service.log.read_text()  # `launch` looks for the passwords in it


def scripted_way(scripted: ScriptedMongoDB) -> dict[str, str]:
    """The settings for a new database on a scripted MongoDB, which requires no authentication."""
    uri = scripted.uri(f"mylist-test-{uuid4().hex[:12]}")
    return {"MONGODB_URI": uri, "MONGODB_USER": "", "MONGODB_PASSWORD": ""}


def missing(service: Service) -> set[tuple[str, str]]:
    """The collection and the name of each index that the service reports as missing."""
    family = Metrics(service).families["mylist_index_missing"]
    return {(each.labels["collection"], each.labels["index"]) for each in family.samples if each.value}


def logged(service: Service, start: str) -> str:
    """The first message in the service's log that starts with this text; empty if there is none."""
    found = re.search(rf'"message":"({re.escape(start)}.*?)"}}$', service.log.read_text(), re.MULTILINE)
    return found[1] if found else ""


def readiness(service: Service) -> int:
    return wait_until(lambda: get(service, "/readyz"), within=PATIENCE).status_code


def cache(service: Service) -> str:
    answer = get(service, "/api/mylist/items")
    return answer.headers.get("x-cache", "") if answer else ""


def get(service: Service, path: str) -> httpx.Response | None:
    try:
        return httpx.get(service.url + path, headers={"user-id": "starter"}, trust_env=False, verify=NO_TLS)
    except httpx.TransportError:
        return None
