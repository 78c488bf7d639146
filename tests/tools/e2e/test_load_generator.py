"""The load that runs in the cluster: what it counts as failed, and what as stale."""

import asyncio
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from bson import ObjectId
from pymongo import MongoClient

from devtools.ports import free_port
from devtools.service_process import Service
from mylist.devserver.embedded_servers import MongoServer, ValkeyServer, running
from tests.e2e import load_generator as script
from tests.e2e.load_generator import Seen, load

TITLES = [f"{number:024x}" for number in range(1, 9)]


class Lists:
    """A service that keeps its promises, except for those that a test breaks."""

    def __init__(self) -> None:
        self.lists: dict[str, list[str]] = {}
        self.answered = 0
        self.connections = 0
        self.changes = 0
        self.loses_changes = 0
        """If this is n, the answer to every n-th change is lost, and with `loses_their_effect` its effect as well."""
        self.loses_their_effect = False
        self.slow_change = 0.0
        """Seconds that a change takes."""
        self.read_meanwhile = 0
        """Lists that were read while they were changed."""
        self._changing: set[str] = set()
        self.spoil: Callable[[str, str], bytes | None] = lambda method, path: None  # noqa: ARG005
        """Return another answer to a request; an empty one ends the connection."""

    def answer(self, method: str, path: str, user: str, body: bytes) -> tuple[int, object]:
        listed = self.lists.setdefault(user, [])
        match method, path.partition("?")[0].split("/")[3:]:
            case "GET", ["items"]:
                return 200, {"data": {"items": [{"contentId": each} for each in listed]}}
            case "GET", ["stats"]:
                return 200, {"data": {"total": len(listed)}}
            case "POST", ["add"]:
                title = json.loads(body)["contentId"]
                if title in listed:
                    return 409, {"code": "ITEM_ALREADY_IN_LIST"}
                listed.append(title)
                return 201, {}
            case "DELETE", ["remove", title]:
                if title not in listed:
                    return 404, {"code": "ITEM_NOT_IN_LIST"}
                listed.remove(title)
                return 200, {}
        raise AssertionError((method, path))

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode()
                length = re.search(r"content-length: (\d+)", head)
                body = await reader.readexactly(int(length[1])) if length else b""
                method, path, _ = head.split(" ", 2)
                [user] = re.findall(r"user-id: (.+)\r", head)
                self.answered += 1
                answer = self.spoil(method, path)
                if method == "GET":
                    self.read_meanwhile += user in self._changing
                else:
                    self._changing.add(user)
                    await asyncio.sleep(self.slow_change)
                    self._changing.remove(user)
                    self.changes += 1
                    if self.loses_changes and self.changes % self.loses_changes == 0:
                        answer = b""
                        if not self.loses_their_effect:
                            self.answer(method, path, user, body)
                if answer == b"":
                    break
                writer.write(answer or response(*self.answer(method, path, user, body)))
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()


def response(status: int, body: object, header: str = "x-cache: hit") -> bytes:
    text = json.dumps(body).encode()
    return f"HTTP/1.1 {status} X\r\n{header}\r\ncontent-length: {len(text)}\r\n\r\n".encode() + text


@pytest.fixture
def lists() -> Lists:
    return Lists()


@pytest.fixture(autouse=True)
def _without_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(script, "PAUSE_S", (0.0, 0.0))
    monkeypatch.setattr(script, "TIMEOUT_S", 1.5)


@asynccontextmanager
async def serving(lists: Lists) -> AsyncIterator[int]:
    server = await asyncio.start_server(lists.serve, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1]


async def strained(lists: Lists, requests: int = 400) -> Seen:
    """Load the service with three users until it has answered this many requests."""
    over = asyncio.Event()
    async with serving(lists) as port:
        running = asyncio.create_task(load(("127.0.0.1", port), ["a", "b", "c"], TITLES, over))
        while lists.answered < requests:
            await asyncio.sleep(0.001)
        over.set()
        return await running


async def test_a_correct_service_has_no_failed_and_no_stale_answers(lists: Lists) -> None:
    seen = await strained(lists)

    assert (seen.failed, seen.stale, seen.stale_count) == ([], [], 0)
    assert seen.requests == lists.answered == len(seen.latencies) == seen.hits
    assert all(lists.lists.values())  # something was added to each


async def test_connections_are_replaced_after_a_limited_number_of_requests(lists: Lists) -> None:
    await strained(lists)

    assert lists.connections >= lists.answered / script.REQUESTS_PER_CONNECTION


async def test_a_connection_with_the_header_connection_close_is_not_reused(lists: Lists) -> None:
    lists.spoil = lambda _, path: (
        response(200, {"data": {"total": 0}}, "connection: close") if "stats" in path else None
    )
    seen = await strained(lists)

    assert lists.connections > len(seen.latencies) * 0.05
    assert seen.failed == []


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (b"", "connection lost"),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 99\r\n\r\n{", "no answer in time"),
        (response(503, {"code": "DATABASE_BUSY"}), '503 {"code": "DATABASE_BUSY"}'),
        (response(429, "slower"), '429 "slower"'),
    ],
    ids=["lost", "late", "refused", "unexpected"],
)
async def test_a_failed_request_is_counted_with_its_reason(lists: Lists, answer: bytes, reason: str) -> None:
    lists.spoil = lambda *_: answer if lists.answered == 100 else None
    seen = await strained(lists)

    [(time, counted)] = seen.failed
    assert counted == reason
    assert 0 < time < seen.seconds + 0.001  # it is rounded
    assert seen.stale == []


async def test_a_refused_connection_is_a_failure() -> None:
    over = asyncio.Event()
    async with serving(Lists()) as port:
        pass
    running = asyncio.create_task(load(("127.0.0.1", port), ["a"], TITLES, over))
    await asyncio.sleep(0.05)
    over.set()

    assert {reason for _, reason in (await running).failed} == {"connection refused"}


async def test_an_unknown_host_name_is_a_failure() -> None:
    over = asyncio.Event()
    over_soon = asyncio.get_running_loop().call_later(0.2, over.set)
    seen = await load(("mylist.invalid", 80), ["a"], TITLES, over)

    over_soon.cancel()
    assert {reason for _, reason in seen.failed} <= {"name not resolved", "no answer in time"}
    assert seen.failed


def started(port: int, patience_s: float = 10.0) -> subprocess.Popen[str]:
    """Start the program with another `PATIENCE_S`."""
    variables = {"HOST": "127.0.0.1", "PORT": str(port), "RUN": "late", "USERS": "2", "TITLES": json.dumps(TITLES)}
    code = f"import asyncio, load_generator as script; script.PATIENCE_S = {patience_s}; asyncio.run(script.main())"
    return subprocess.Popen(
        [sys.executable, "-c", code],
        cwd=Path(script.__file__).parent,
        env=os.environ | variables,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


async def test_the_generator_waits_until_the_service_accepts_connections(lists: Lists) -> None:
    port = free_port()
    with started(port) as program:
        assert program.stdout is not None
        await asyncio.sleep(1.5)
        server = await asyncio.start_server(lists.serve, "127.0.0.1", port)
        async with server:
            assert await asyncio.to_thread(program.stdout.readline) == "the load runs\n"
            while lists.answered < 100:
                await asyncio.sleep(0.01)
            program.send_signal(signal.SIGTERM)
            output = await asyncio.to_thread(program.stdout.read)

    seen = json.loads(output)
    assert program.returncode == 0
    assert (seen["failed"], seen["stale_count"]) == ([], 0)
    assert seen["requests"] <= lists.answered - script.CONNECTIONS_IN_A_ROW


async def test_the_generator_waits_if_one_of_several_pods_fails_at_first(
    lists: Lists, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(script, "_REFUSED_PAUSE_S", 0.001)
    lists.spoil = lambda *_: b"" if lists.answered in {1, 5, 20} else None
    async with serving(lists) as port:
        await script.wait_until_let_in(("127.0.0.1", port), "first")

    assert lists.connections == lists.answered == 20 + script.CONNECTIONS_IN_A_ROW


def test_a_service_that_never_accepts_a_connection_fails_with_a_one_line_message() -> None:
    port = free_port()
    with started(port, patience_s=0.3) as program:
        output, _ = program.communicate(timeout=30)

    assert program.returncode == 1
    assert output == (
        f"no load: GET /api/mylist/items?pageSize=100 at 127.0.0.1:{port}: connection refused for 0.3 s; see that its "
        "pods are ready, and that a NetworkPolicy lets this pod reach them\n"
    )


async def test_a_wrong_first_answer_fails_at_once_with_a_one_line_message(lists: Lists) -> None:
    lists.spoil = lambda *_: response(503, "broken\nover two lines")
    async with serving(lists) as port:
        with started(port) as program:
            output = await asyncio.to_thread(program.communicate)

    assert program.returncode == 1
    assert output[0].startswith(f"no load: GET /api/mylist/items?pageSize=100 at 127.0.0.1:{port}: 503, not 200, ")
    assert output[0].count("\n") == 1
    assert lists.answered == 1


async def test_a_list_without_an_added_item_is_stale(lists: Lists) -> None:
    lists.spoil = lambda _, path: response(200, {"data": {"items": []}}) if "items" in path else None
    seen = await strained(lists)

    assert seen.failed == []
    assert seen.stale_count > len(seen.stale) == script.MAX_SHOWN
    assert "the list lacks ['00000000" in seen.stale[0]


async def test_a_list_with_a_removed_item_is_stale(lists: Lists) -> None:
    everything = response(200, {"data": {"items": [{"contentId": each} for each in TITLES]}})
    lists.spoil = lambda _, path: everything if "items" in path else None

    assert any("lacks [], has ['" in each for each in (await strained(lists)).stale)


@pytest.mark.parametrize("count", [0, 9])
async def test_a_wrong_count_is_stale(lists: Lists, count: int) -> None:
    lists.spoil = lambda _, path: response(200, {"data": {"total": count}}) if "stats" in path else None

    assert f"{count} items are counted" in (await strained(lists)).stale[0]


@pytest.mark.parametrize(("method", "status"), [("POST", 409), ("DELETE", 404)])
async def test_an_impossible_refusal_of_a_change_is_stale(lists: Lists, method: str, status: int) -> None:
    lists.spoil = lambda asked, _: response(status, {}) if asked == method and lists.answered > 100 else None
    seen = await strained(lists)

    assert f"is answered with {status}" in seen.stale[0]


@pytest.mark.parametrize("happens", [True, False])
async def test_an_unanswered_change_may_have_happened_or_not(lists: Lists, *, happens: bool) -> None:
    lists.loses_changes = 3
    lists.loses_their_effect = not happens
    seen = await strained(lists, requests=200)

    assert {reason for _, reason in seen.failed} == {"connection lost"}
    assert len(seen.failed) > 1
    assert seen.stale == []


@pytest.mark.parametrize("last", [150, 10_000], ids=["until one is answered", "to the end"])
@pytest.mark.parametrize("answer", [response(503, {"code": "CACHE_UNAVAILABLE"}), b""], ids=["refused", "lost"])
async def test_the_longest_refusal_spans_the_failed_changes_of_a_user(lists: Lists, answer: bytes, last: int) -> None:
    refused: list[float] = []

    def spoil(method: str, _: str) -> bytes | None:
        if method == "GET" or not 100 < lists.answered <= last:
            return None
        refused.append(time.monotonic())
        return answer

    lists.spoil = spoil
    over = asyncio.Event()
    async with serving(lists) as port:
        running = asyncio.create_task(load(("127.0.0.1", port), ["a"], TITLES * 100, over))
        while lists.answered < 300:
            await asyncio.sleep(0.001)
        over.set()
        seen = await running

    assert len(refused) > 1
    assert refused[-1] - refused[0] <= seen.longest_refusal <= seen.seconds


async def test_failed_reads_do_not_count_as_refused_changes(lists: Lists) -> None:
    lists.spoil = lambda method, _: response(503, {"code": "DATABASE_BUSY"}) if method == "GET" else None
    seen = await strained(lists)

    assert seen.failed
    assert seen.longest_refusal == 0


async def test_a_second_device_reads_while_the_first_one_changes(lists: Lists) -> None:
    lists.slow_change = 0.01
    await strained(lists)

    assert lists.read_meanwhile > 0


async def test_the_report_has_percentiles_instead_of_all_latencies() -> None:
    seen = Seen(seconds=2, requests=100, latencies=[number / 100 for number in range(100)])

    report = seen.report()

    assert (report["p50"], report["p99"], report["longest"]) == (0.5, 0.99, 0.99)
    assert "latencies" not in report


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    mongodb, redis = MongoServer(tmp_path / "mongodb"), ValkeyServer(tmp_path / "redis")
    with running(mongodb, redis):
        with MongoClient[dict[str, Any]](mongodb.uri) as client:
            client["e2e"]["movies"].insert_many([{"_id": ObjectId(each), "title": each} for each in TITLES])
        made = Service(tmp_path, {"MONGODB_URI": mongodb.database("e2e"), "REDIS_URL": redis.uri})
        try:
            made.wait_until_ready()
            yield made
        finally:
            made.kill()


def test_the_program_loads_a_real_service_until_it_gets_sigterm(service: Service) -> None:
    variables = {"HOST": "127.0.0.1", "PORT": str(service.port), "RUN": "real", "USERS": "3"}
    program = subprocess.Popen(
        [sys.executable, "-I", str(script.__file__)],
        env=os.environ | variables | {"TITLES": json.dumps(TITLES)},
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert program.stdout is not None
        assert program.stdout.readline() == "the load runs\n"
        with pytest.raises(subprocess.TimeoutExpired):
            program.wait(2)
        program.send_signal(signal.SIGTERM)
        output, _ = program.communicate(timeout=10)
    finally:
        program.kill()

    seen = json.loads(output)
    assert program.returncode == 0
    assert seen["requests"] > 20
    assert (seen["failed"], seen["stale"]) == ([], [])
