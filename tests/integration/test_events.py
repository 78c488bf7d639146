"""`mylist events` writes each change at least once, in order, no matter how the run, its reader or the stream ends."""

import array
import fcntl
import json
import os
import signal
import sys
import termios
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families
from pymongo import MongoClient
from pymongo.database import Database

from devtools.ports import free_port
from devtools.scripted_mongodb import ScriptedMongoDB, Topology
from devtools.service_process import NO_TLS
from devtools.waiting import wait_until
from tests.conftest import Serve
from tests.contract.conftest import User, connect
from tests.contract.titles import MATRIX_ID, MOVIE_DOCUMENTS
from tests.events_process import PATIENCE_S, Events

Document = dict[str, Any]
Stored = Database[Document]
Follow = Callable[..., Events]

BEGUN = "The position is saved"
WENT_ON = "Reading changes of lists from the saved position"
_NOW = datetime(2026, 3, 1, tzinfo=UTC)


@pytest.fixture
def stored(own_uri: str) -> Iterator[Stored]:
    """The database that has the lists; tests change them directly, without the service."""
    with MongoClient[Document](own_uri, tz_aware=True) as client:
        yield client.get_default_database()


@pytest.fixture
def follow(own_uri: str) -> Iterator[Follow]:
    """Start `mylist events`, and wait until it follows the lists; after the test, end every process that still runs."""
    started: list[Events] = []

    def start(*arguments: str, uri: str = own_uri, until: str = BEGUN, **options: Any) -> Events:
        events = Events(uri, *arguments, **options)
        started.append(events)
        events.until_log(until)
        return events

    yield start
    for events in started:
        if events.process.poll() is None:
            events.process.kill()
            events.end()


def content(number: int) -> str:
    return f"{number:024x}"


def item(number: int, user: str = "u1") -> Document:
    added_at = _NOW + timedelta(minutes=number)
    return {"userId": user, "contentId": content(number), "contentType": "movie", "addedAt": added_at}


def add(stored: Stored, *numbers: int, user: str = "u1") -> None:
    stored["mylist"].insert_many([item(number, user) for number in numbers])


def remove(stored: Stored, *numbers: int, user: str = "u1") -> None:
    for number in numbers:
        stored["mylist"].delete_one({"userId": user, "contentId": content(number)})


def short(lines: list[Document]) -> list[tuple[str, int]]:
    return [("+" if line["change"] == "added" else "-", int(line["contentId"], 16)) for line in lines]


def test_changes_made_by_the_service_are_written_in_order(serve: Serve, titles: None, mongodb_uri: str) -> None:  # noqa: ARG001
    other = str(MOVIE_DOCUMENTS[0]["_id"])
    with connect(serve()) as client:
        user = User(client, "someone")
        events = Events(mongodb_uri)
        events.until_log(BEGUN)
        try:
            added = [user.add(each).json()["data"]["addedAt"] for each in (MATRIX_ID, other)]
            user.remove(MATRIX_ID)
            user.remove(MATRIX_ID)  # gets a stamp, but there is nothing to remove
            dated = [(other, "2020-01-01T00:00:00.000Z"), (MATRIX_ID, "2021-01-01T00:00:00.000Z")]
            lines = [{"contentId": each, "contentType": "movie", "addedAt": at} for each, at in dated]
            headers = user.headers | {"content-type": "application/x-ndjson"}
            body = "".join(f"{json.dumps(line)}\n" for line in lines)
            client.post("/api/mylist/import?mode=replace", content=body, headers=headers).raise_for_status()
            client.delete("/api/mylist/items?confirm=true", headers=user.headers).raise_for_status()
            lines = events.take(7)
        finally:
            events.end()
    assert events.lines == []
    assert {(line["userId"], line["contentType"]) for line in lines} == {("someone", "movie")}
    told = [(line["change"], line["contentId"], line.get("addedAt")) for line in lines]
    assert told[:5] == [
        ("added", MATRIX_ID, added[0]),
        ("added", other, added[1]),
        ("removed", MATRIX_ID, None),
        ("added", other, "2020-01-01T00:00:00.000Z"),
        ("added", MATRIX_ID, "2021-01-01T00:00:00.000Z"),
    ]
    assert sorted(told[5:]) == sorted([("removed", MATRIX_ID, None), ("removed", other, None)])
    assert [line["at"] for line in lines] == sorted(line["at"] for line in lines)


@pytest.mark.parametrize("kept", ["mongodb", "file"])
def test_events_continues_at_the_saved_position(stored: Stored, follow: Follow, tmp_path: Path, kept: str) -> None:
    where = [f"--position={tmp_path / 'position'}"] if kept == "file" else ["--name=search"]
    events = follow(*where)
    add(stored, 1, 2)
    assert short(events.take(2)) == [("+", 1), ("+", 2)]
    assert events.end() == 0
    remove(stored, 1)
    add(stored, 3)

    events = follow(*where, until=WENT_ON)
    assert short(events.take(2)) == [("-", 1), ("+", 3)]
    remove(stored, 3)
    assert short(events.take(1)) == [("-", 3)]
    assert events.end(signal.SIGINT) == 0
    assert events.lines == []
    if kept == "file":
        assert [path.name for path in tmp_path.iterdir()] == ["position"]
        assert "mylist_events" not in stored.list_collection_names()


def test_a_position_is_saved_before_the_first_change(stored: Stored, follow: Follow) -> None:
    events = follow()
    wait_until(lambda: stored["mylist_events"].find_one({"_id": "default"}), within=PATIENCE_S)
    events.end(signal.SIGKILL)
    add(stored, 1)
    assert short(follow(until=WENT_ON).take(1)) == [("+", 1)]


@pytest.mark.parametrize("kept", ["mongodb", "file"])
def test_a_position_is_resumable_after_other_changes_of_the_database(
    stored: Stored, follow: Follow, tmp_path: Path, kept: str
) -> None:
    """Of these changes SecantusDB's streams report no event, but a token that it refuses later."""
    changes: list[Callable[[], object]] = [
        lambda: stored.create_collection("others"),
        lambda: stored["others"].create_index("name"),
        lambda: stored["mylist"].create_index("name"),
        lambda: stored.drop_collection("others"),
    ]
    port = free_port()
    where = [f"--position={tmp_path / 'position'}"] if kept == "file" else ["--name=search"]
    events = follow(*where, f"--metrics-port={port}")
    for number, change in enumerate(changes, 1):
        change()
        _until_read(port)
        assert events.end() == 0
        add(stored, number)
        events = follow(*where, f"--metrics-port={port}", until=WENT_ON)
        assert short(events.take(1)) == [("+", number)]


def _until_read(port: int) -> None:
    """Wait until a process with these metrics has read the changes that are made by now, and has no others to read."""
    made_at = time.time()
    wait_until(lambda: time.time() - _metrics(port)["mylist_events_lag_seconds"] > made_at, within=PATIENCE_S)


def test_a_stream_that_was_lost_after_other_changes_of_the_database_goes_on(
    stored: Stored, follow: Follow, mongodb_server: str
) -> None:
    port = free_port()
    with ScriptedMongoDB(mongodb_server) as mongodb:
        events = follow(f"--metrics-port={port}", uri=mongodb.uri(stored.name))
        stored.create_collection("others")
        _until_read(port)
        lost = mongodb.fail_command("getMore", code=43)  # CursorNotFound, so the driver resumes after its last token
        wait_until(lambda: lost.hits == 1, within=PATIENCE_S)
        add(stored, 1)
        assert short(events.take(1)) == [("+", 1)]
        assert events.end() == 0


def test_each_name_has_its_own_position(stored: Stored, follow: Follow) -> None:
    first = follow("--name=a")
    add(stored, 1)
    first.take(1)
    first.end()
    second = follow("--name=b")
    add(stored, 2)
    assert short(second.take(1)) == [("+", 2)]
    assert short(follow("--name=a", until=WENT_ON).take(1)) == [("+", 2)]


def test_a_killed_process_loses_no_change(stored: Stored, follow: Follow) -> None:
    told: list[Document] = []
    events = follow()
    for number in range(1, 7):
        add(stored, number)
        told += events.take(1)
        events.end(signal.SIGKILL)
        told += events.lines
        add(stored, 10 + number)
        events = follow(until=WENT_ON)
    wait_until(lambda: len(_distinct(told + events.lines)) == 12, within=PATIENCE_S)
    expected = [("+", each) for number in range(1, 7) for each in (number, 10 + number)]
    assert short(_distinct(told + events.lines)) == expected


def _distinct(lines: list[Document]) -> list[Document]:
    """The lines without repetitions."""
    return list({line["token"]: line for line in reversed(lines)}.values())[::-1]


def test_events_can_begin_after_the_token_of_any_line(stored: Stored, follow: Follow) -> None:
    events = follow()
    add(stored, 1, 2, 3)
    lines = events.take(3)
    events.end()
    assert follow(f"--after={lines[0]['token']}", until="after the given token").take(2) == lines[1:]


def test_a_snapshot_is_written_first_and_only_once(stored: Stored, follow: Follow) -> None:
    add(stored, *range(1, 1102))
    stored["mylist"].insert_one({"_id": "by hand", **item(2000, "u2")})
    stored["mylist"].insert_one({**item(2001), "contentType": "no type"})
    events = follow("--snapshot")
    lines = events.take(1102)
    assert sorted(int(line["contentId"], 16) for line in lines) == [*range(1, 1102), 2000]
    assert {(line["change"], line["token"]) for line in lines} == {("added", None)}
    remove(stored, 7)
    assert short(events.take(1)) == [("-", 7)]
    assert events.end() == 0

    events = follow("--snapshot", until=WENT_ON)
    add(stored, 3000)
    assert short(events.take(1)) == [("+", 3000)]
    events.end()
    events = follow("--snapshot", "--anew")
    assert len(events.take(1102)) == 1102


def test_changes_during_a_snapshot_are_written_after_it(stored: Stored, follow: Follow) -> None:
    add(stored, *range(1, 2501))
    events = follow("--snapshot", reads=False, until="No saved position")
    first = json.loads(events.pipe.readline())
    assert first["token"] is None
    add(stored, 5000)
    remove(stored, 1, 2500)
    state: dict[int, bool] = {1: True}
    for line in events.pipe:
        [(sign, number)] = short([json.loads(line)])
        state[number] = sign == "+"
        if (sign, number) == ("-", 2500):
            break
    assert {number for number, on_list in state.items() if on_list} == {*range(2, 2500), 5000}


def test_lines_that_a_reader_left_in_the_pipe_are_written_again(stored: Stored, follow: Follow) -> None:
    events = follow(reads=False)
    add(stored, 1, 2, 3)
    line = _read_line(events.pipe.fileno())
    assert short([line]) == [("+", 1)]
    wait_until(lambda: _unread(events.pipe.fileno()) > 500, within=PATIENCE_S)
    events.pipe.close()
    assert events.end(None) == 1
    assert "the program that reads standard output has closed it" in events.log

    assert short(follow(until=WENT_ON).take(2)) == [("+", 2), ("+", 3)]


def _read_line(descriptor: int) -> Document:
    """Read one line, and leave the bytes after the line."""
    line = b""
    while not line.endswith(b"\n"):
        line += os.read(descriptor, 1)
    read: Document = json.loads(line)
    return read


def _unread(descriptor: int) -> int:
    count = array.array("i", [0])
    fcntl.ioctl(descriptor, termios.FIONREAD, count)
    return count[0]


def test_sigterm_ends_events_while_nobody_reads_and_loses_no_line(stored: Stored, follow: Follow) -> None:
    events = follow(reads=False)
    add(stored, *range(1, 601))  # more than a pipe holds
    wait_until(lambda: _unread(events.pipe.fileno()) > 30_000, within=PATIENCE_S)
    events.process.send_signal(signal.SIGTERM)
    assert events.process.wait(PATIENCE_S) == 0
    left = events.pipe.read()
    assert left.endswith(b"\n")
    whole = short([json.loads(line) for line in left.splitlines()])
    assert whole == [("+", number) for number in range(1, len(whole) + 1)]
    events.end()

    again = short(follow(until=WENT_ON).take(600))
    assert again == [("+", number) for number in range(1, 601)]


def test_events_ends_when_its_idle_reader_closes_the_pipe(follow: Follow) -> None:
    events = follow(reads=False)
    events.pipe.close()
    assert events.end(None) == 1


def test_lines_can_be_written_to_a_file(stored: Stored, follow: Follow, tmp_path: Path) -> None:
    path = tmp_path / "lines"
    with path.open("wb") as file:
        events = follow(stdout=file)
        add(stored, 1, 2)
        wait_until(lambda: path.read_bytes().count(b"\n") == 2, within=PATIENCE_S)
        assert events.end() == 0
    remove(stored, 1)
    assert short(follow(until=WENT_ON).take(1)) == [("-", 1)]
    if Path("/dev/full").exists():
        with Path("/dev/full").open("wb") as full:
            events = follow("--name=full", stdout=full)
            add(stored, 3)
            assert events.end(None) == 1
        assert "cannot write to standard output: No space left on device" in events.log


COMMAND = """
import pathlib, sys
tries = pathlib.Path(sys.argv[1])
count = len(tries.read_text()) if tries.exists() else 0
tries.write_text("x" * (count + 1))
lines = sys.stdin.read()
if count < int(sys.argv[2]):
    sys.exit(7)
with open(sys.argv[3], "a") as taken:
    taken.write(lines)
"""


def test_a_command_is_retried_until_it_takes_the_lines(stored: Stored, follow: Follow, tmp_path: Path) -> None:
    tries, taken = tmp_path / "tries", tmp_path / "taken"
    command = ["--", sys.executable, "-c", COMMAND, str(tries), "1", str(taken)]
    events = follow(*command)
    add(stored, 1, 2, 3)
    wait_until(lambda: taken.exists() and taken.read_text().count("\n") >= 3, within=PATIENCE_S)
    assert "ended with status 7" in events.log
    assert events.end() == 0
    remove(stored, 2)
    events = follow(*command, until=WENT_ON)
    wait_until(lambda: taken.read_text().count("\n") == 4, within=PATIENCE_S)
    assert short([json.loads(line) for line in taken.read_text().splitlines()]) == [
        ("+", 1),
        ("+", 2),
        ("+", 3),
        ("-", 2),
    ]


def test_lines_that_a_command_never_took_are_delivered_again(stored: Stored, follow: Follow) -> None:
    events = follow("--", sys.executable, "-c", "import sys; sys.exit(9)")
    add(stored, 1)
    events.until_log("ended with status 9")
    assert events.end() == 0
    assert short(follow(until=WENT_ON).take(1)) == [("+", 1)]


def test_a_missing_command_is_reported(stored: Stored, own_uri: str) -> None:
    events = Events(own_uri, "--", "no-such-program")
    events.until_log(BEGUN)
    add(stored, 1)
    assert events.end(None) == 1
    assert events.log.splitlines()[-1] == (
        "mylist: cannot start no-such-program: No such file or directory; name an existing program after --"
    )


@pytest.mark.parametrize("how", ["drop", "rename", "drop the database"])
def test_events_ends_at_a_restore_and_does_not_resume(stored: Stored, follow: Follow, how: str) -> None:
    events = follow()
    add(stored, 1, 2)
    if how == "drop":
        stored["mylist"].drop()
    elif how == "rename":
        stored["mylist"].rename("elsewhere")
    else:
        stored.client.drop_database(stored.name)
    assert short(events.take(2)) == [("+", 1), ("+", 2)]
    assert events.end(None) == 3
    assert "was dropped or renamed, for example by a restore; changes may be missing" in events.log.splitlines()[-1]
    if how != "drop the database":  # which also drops the saved position
        again = follow(until=WENT_ON)
        assert again.end(None) == 3
    add(stored, 5)
    assert short(follow("--anew", "--snapshot").take(1)) == [("+", 5)]


def test_events_ends_at_a_change_without_a_pre_image(stored: Stored, follow: Follow) -> None:
    follow().end()
    stored.command({"collMod": "mylist", "changeStreamPreAndPostImages": {"enabled": False}})
    add(stored, 1)
    remove(stored, 1)
    events = follow(until=WENT_ON)
    assert short(events.take(1)) == [("+", 1)]
    assert events.end(None) == 3
    assert "has no pre-image of an item of mylist" in events.log


def test_events_ends_if_mongodb_no_longer_has_the_saved_position(
    stored: Stored, follow: Follow, mongodb_server: str
) -> None:
    with ScriptedMongoDB(mongodb_server) as mongodb:
        uri = mongodb.uri(stored.name)
        follow(uri=uri).end()
        mongodb.fail_command("aggregate", code=286, count=None, labels=["NonResumableChangeStreamError"])
        events = Events(uri)
        assert events.end(None) == 3
        assert "cannot resume from the saved position: scripted: ChangeStreamHistoryLost; changes may be" in events.log


def test_events_ends_if_secantusdb_refuses_the_saved_position(stored: Stored, follow: Follow, own_uri: str) -> None:
    follow().end()
    with stored["mylist"].watch(max_await_time_ms=50) as stream:
        stored.create_collection("others")
        assert stream.try_next() is None
        refused = stream.resume_token
    assert refused is not None
    stored["mylist_events"].update_one({"_id": "default"}, {"$set": {"token": refused["_data"]}})
    events = Events(own_uri)
    assert events.end(None) == 3
    assert "cannot resume from the saved position: Resume token namespace does not match" in events.log
    assert "then run `mylist events --anew --snapshot` once" in events.log.splitlines()[-1]
    add(stored, 1)
    assert short(follow("--anew", "--snapshot").take(1)) == [("+", 1)]


def test_an_unknown_or_malformed_token_is_refused(own_uri: str) -> None:
    events = Events(own_uri, "--after=82AB")
    assert events.end(None) == 3
    assert "cannot resume from the saved position" in events.log
    events = Events(own_uri, "--after", "a b")
    assert events.end(None) == 2
    assert events.log == "mylist: --after is not a token; take one from a line of `mylist events`\n"


def test_a_standalone_mongodb_is_refused(stored: Stored, mongodb_server: str) -> None:
    with ScriptedMongoDB(mongodb_server, Topology.STANDALONE) as mongodb:
        events = Events(mongodb.uri(stored.name))
        assert events.end(None) == 1
    [line] = events.log.splitlines()
    assert "has no change streams: `mylist events` needs a replica set" in line


def test_a_user_who_may_not_enable_pre_images_gets_the_command_for_it(
    stored: Stored, follow: Follow, mongodb_server: str
) -> None:
    add(stored, 1)
    with ScriptedMongoDB(mongodb_server) as mongodb:
        mongodb.fail_command("collMod", code=13, count=None)
        events = Events(mongodb.uri(stored.name))
        assert events.end(None) == 1
        assert (
            "its user lacks the right to change that; run once, as an administrator of the database: db.runCommand("
            in events.log
        )
        stored.command({"collMod": "mylist", "changeStreamPreAndPostImages": {"enabled": True}})
        follow(uri=mongodb.uri(stored.name))


def test_an_invalid_or_unwritable_position_file_is_refused(own_uri: str, tmp_path: Path) -> None:
    path = tmp_path / "position"
    path.write_text("{not a position")
    events = Events(own_uri, f"--position={path}")
    assert events.end(None) == 1
    remedy = "delete it, and start over with --snapshot (docs/events.md)"
    assert events.log.splitlines()[-1] == f"mylist: {path} has no valid position; {remedy}"
    events = Events(own_uri, f"--position={tmp_path / 'missing' / 'position'}")
    assert events.end(None) == 1
    assert "cannot write" in events.log
    assert "No such file or directory" in events.log


def test_metrics_show_the_written_lines_and_the_lag(stored: Stored, follow: Follow, own_uri: str) -> None:
    port = free_port()
    events = follow(f"--metrics-port={port}")
    add(stored, 1, 2)
    events.take(2)
    wait_until(lambda: _metrics(port)["mylist_events_written_total"] == 2, within=PATIENCE_S)
    wait_until(lambda: _metrics(port)["mylist_events_lag_seconds"] < 5, within=PATIENCE_S)
    assert _metrics(port)["mylist_events_stream_restarts_total"] == 0
    other = Events(own_uri, f"--metrics-port={port}")
    assert other.end(None) == 1
    assert f"cannot serve metrics on port {port} of 127.0.0.1: Address already in use" in other.log


def test_the_lag_grows_while_nobody_reads_the_lines(stored: Stored, follow: Follow) -> None:
    port = free_port()
    events = follow(f"--metrics-port={port}", reads=False)
    add(stored, *range(1, 801))
    wait_until(lambda: _unread(events.pipe.fileno()) > 30_000, within=PATIENCE_S)

    before = _metrics(port)["mylist_events_lag_seconds"]
    wait_until(lambda: _metrics(port)["mylist_events_lag_seconds"] > before + 1.5, within=PATIENCE_S)


def _metrics(port: int) -> dict[str, float]:
    answer = httpx.get(f"http://127.0.0.1:{port}/metrics", verify=NO_TLS, trust_env=False).text
    return {sample.name: sample.value for family in text_string_to_metric_families(answer) for sample in family.samples}
