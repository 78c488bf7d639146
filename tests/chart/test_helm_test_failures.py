"""The script of `helm test` if the network admits its pod late or never, or if the API gives wrong answers."""

import json
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from importlib.util import module_from_spec, spec_from_file_location
from types import ModuleType
from typing import Any
from urllib.parse import urlsplit

import pytest

from devtools.ports import free_port
from devtools.tcp_proxy import TcpProxy
from tests.chart.rendering import CHART
from tests.fake_http_server import FakeHttpHandler, fake_http_server

TITLE = "0123456789abcdef01234567"
HOST = "127.0.0.1"
Run = Callable[..., tuple[int, list[str]]]


class Api:
    """A service that works, except for the answers that a test replaces."""

    def __init__(self) -> None:
        self.listed: list[str] = []
        self.spoilt: dict[str, tuple[int, str]] = {}
        """Answers that replace the correct ones, by the path of the request."""

    def answer(self, method: str, path: str, body: bytes) -> tuple[int, str]:
        if path in self.spoilt:
            return self.spoilt[path]
        status, data = self._answer(method, path.rpartition("/api/mylist/")[2].partition("/")[0], body)
        return status, json.dumps({"data": data})

    def _answer(self, method: str, what: str, body: bytes) -> tuple[int, object]:
        match method, what:
            case "POST", "add" if not self.listed:
                self.listed.append(json.loads(body)["contentId"])
                return 201, {}
            case "POST", "add":
                return 409, {}
            case "DELETE", "remove" if self.listed:
                self.listed.clear()
                return 200, {}
            case "DELETE", "remove":
                return 404, {}
        items = [{"contentId": each, "content": {"title": "A"}} for each in self.listed]
        return 200, {"items": items, "total": len(items)}


@contextmanager
def serving(api: Api, port: int = 0) -> Iterator[int]:
    class Handler(FakeHttpHandler):
        def do_GET(self) -> None:  # noqa: N802 - as http.server calls it
            body = self.rfile.read(int(self.headers.get("content-length", "0")))
            status, text = api.answer(self.command, self.path, body)
            self.answer(text.encode(), "application/json", status)

        do_POST = do_DELETE = do_GET  # noqa: N815 - likewise

    with fake_http_server(Handler, port=port) as taken:
        yield taken


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs the script against a port; a test may change constants of the script and variables of its pod."""

    def run(port: int, constants: dict[str, float] | None = None, **variables: str) -> tuple[int, list[str]]:
        for name, value in {"API": f"http://{HOST}:{port}", "CONTENT_ID": TITLE, **variables}.items():
            monkeypatch.setenv(name, value)
        script = loaded()
        for name, number in (constants or {}).items():
            monkeypatch.setattr(script, name, number)
        status = script.run()
        return status, capsys.readouterr().out.splitlines()

    return run


def loaded() -> ModuleType:
    spec = spec_from_file_location("helm_test_list", CHART / "files" / "tests" / "list.py")
    assert spec
    assert spec.loader
    script = module_from_spec(spec)
    spec.loader.exec_module(script)
    return script


def test_the_script_prints_each_check_and_passes_without_waiting(run: Run) -> None:
    with serving(Api()) as port:
        assert run(port) == (
            0,
            [
                *("GET /health: 200", "GET /readyz: 200", "POST /api/mylist/add: 201", "POST /api/mylist/add: 409"),
                *("GET /api/mylist/items: 200", "GET /api/mylist/items: 200", "GET /api/mylist/stats: 200"),
                f"DELETE /api/mylist/remove/{TITLE}: 200",
                *("GET /api/mylist/items: 200", "GET /api/mylist/items: 200", "GET /api/mylist/stats: 200"),
                *(f"DELETE /api/mylist/remove/{TITLE}: 404", "passed"),
            ],
        )


def test_the_script_waits_for_a_port_that_refuses_connections_at_first(run: Run) -> None:
    port = free_port()
    with ExitStack() as stack:
        later = threading.Timer(1.5, lambda: stack.enter_context(serving(Api(), port)))
        later.start()
        status, lines = run(port)
        later.join()

    assert (status, lines[-1]) == (0, "passed")
    assert lines[0].startswith("connections are accepted after ")


def test_the_script_waits_if_one_of_several_pods_refuses_connections_at_first(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """For example, the network of one node already admits the pod of the test, and that of another node does not."""
    real, refused = socket.create_connection, iter([False, True, False, False, True])
    with serving(Api()) as port:
        closed = free_port()

        def connect(address: tuple[str, int], *arguments: Any, **options: Any) -> socket.socket:
            is_refused = address[1] == port and next(refused, False)
            return real((HOST, closed) if is_refused else address, *arguments, **options)

        monkeypatch.setattr(socket, "create_connection", connect)
        status, lines = run(port, {"PAUSE_S": 0.01})

    assert (status, lines[-1]) == (0, "passed")


def test_a_port_that_never_accepts_fails_with_a_one_line_message(run: Run) -> None:
    port = free_port()

    status, [line] = run(port, {"PATIENCE_S": 0.3})

    assert status == 1
    assert line == (
        f"failed: GET http://{HOST}:{port}/health: Connection refused for 0.3 s; check that its pods are ready, and "
        "that a NetworkPolicy lets this pod reach them"
    )


def test_an_unknown_host_name_fails_with_a_one_line_message(run: Run) -> None:
    status, [line] = run(1, {"PATIENCE_S": 0.1}, API="http://mylist.invalid:80")

    assert status == 1
    assert line.startswith("failed: GET http://mylist.invalid:80/health: ")
    assert "NetworkPolicy" in line


def test_a_server_that_never_answers_fails_with_a_one_line_message(run: Run) -> None:
    with socket.create_server((HOST, 0)) as silent:
        port = silent.getsockname()[1]
        status, lines = run(port, {"PATIENCE_S": 0.1, "ANSWER_TIMEOUT_S": 0.2})

    [line] = lines
    assert status == 1
    assert line.startswith(f"failed: GET http://{HOST}:{port}/health: timed out for 0.1 s; ")


@pytest.mark.parametrize(
    ("path", "answer", "words"),
    [
        ("/health", (500, "broken\nover two lines"), "500, not 200: broken over two lines"),
        ("/readyz", (503, '{"status": "starting"}'), '503, not 200: {"status": "starting"}'),
        ("/api/mylist/items", (200, "<html>"), "200, not JSON: <html>"),
        ("/api/mylist/items", (200, '{"data": {}}'), "there is no list in {'data': {}}"),
        ("/api/mylist/items", (200, '{"data": {"items": [7]}}'), "there is no list in {'data': {'items': [7]}}"),
        ("/api/mylist/items", (200, '{"data": {"items": []}}'), f"the list has [], not ['{TITLE}']"),
        ("/api/mylist/stats", (200, "[]"), "there is no total in []"),
        ("/api/mylist/stats", (200, '{"data": {"total": 7}}'), "the total is 7, not 1"),
        ("/health", (500, "x" * 9999), f"500, not 200: {'x' * 300} ..."),
    ],
    ids=lambda value: str(value)[:40],
)
def test_a_wrong_answer_fails_at_once_with_a_one_line_message(
    run: Run, path: str, answer: tuple[int, str], words: str
) -> None:
    api = Api()
    api.spoilt[path] = answer
    with serving(api) as port:
        status, lines = run(port)

    assert status == 1
    assert lines[-1] == f"failed: GET http://{HOST}:{port}{path}: {words}"
    assert [line for line in lines if line.startswith("failed")] == lines[-1:]


def test_a_server_that_does_not_speak_http_fails_with_a_one_line_message(run: Run) -> None:
    with socket.create_server((HOST, 0)) as server:
        port = server.getsockname()[1]

        def answer() -> None:
            for _ in range(2):
                connection, _ = server.accept()
                with connection:
                    connection.recv(1000)
                    connection.sendall(b"SSH-2.0-OpenSSH_9\r\n\r\n")

        thread = threading.Thread(target=answer)
        thread.start()
        status, [line] = run(port)
        thread.join()

    assert status == 1
    assert line == f"failed: GET http://{HOST}:{port}/health: not an HTTP answer: SSH-2.0-OpenSSH_9"


def test_the_script_waits_for_a_mongodb_that_is_unreachable_at_first(run: Run, mongodb_uri: str) -> None:
    url = urlsplit(mongodb_uri)
    with serving(Api()) as port, TcpProxy(url.port or 0, host=url.hostname or "") as proxy:
        proxy.cut(0)
        later = threading.Timer(1.0, lambda: proxy.heal(0))
        later.start()
        uri = f"mongodb://{HOST}:{proxy.ports[0]}{url.path}?directConnection=true&retryWrites=false"
        status, lines = run(port, CONTENT_ID="", MONGODB_URI=uri)
        later.join()

    assert (status, lines[-1]) == (0, "passed")


def test_an_unreachable_mongodb_fails_with_a_one_line_message_without_the_password(run: Run) -> None:
    closed = free_port()
    uri = f"mongodb://me:pass%20word@{HOST}:{closed}/mylist?retryWrites=false"
    with serving(Api()) as port:
        status, lines = run(port, {"PATIENCE_S": 0.6}, CONTENT_ID="", MONGODB_URI=uri)

    assert status == 1
    assert lines[:-1] == ["GET /health: 200", "GET /readyz: 200"]
    assert lines[-1].startswith(f"failed: ping at MongoDB, {HOST}:{closed}: {HOST}:{closed}: [Errno 111] ")
    assert lines[-1].endswith("check that it is running, and that a NetworkPolicy lets this pod reach it")
    assert "pass%20word" not in lines[-1]


def test_an_invalid_connection_string_fails_at_once(run: Run) -> None:
    with serving(Api()) as port:
        status, lines = run(port, CONTENT_ID="", MONGODB_URI=f"mongodb://{HOST}:99999/mylist")

    assert status == 1
    assert lines[-1].startswith("failed: ping at MongoDB: the connection string cannot be used: Port must be ")


def test_an_invalid_setting_fails_with_a_one_line_message(run: Run) -> None:
    status, [line] = run(1, AUTH_MODE="basic")

    assert status == 1
    assert line.startswith("failed: AUTH_MODE")
