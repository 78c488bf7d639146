"""Before a run, the load test waits for a service that does not admit it yet."""

import threading
from contextlib import ExitStack

import pytest

from devtools.ports import free_port
from loadtests import warmup
from mylist.seeding.synthetic_data import user_id
from tests.fake_http_server import FakeHttpHandler, fake_http_server


class Cached(FakeHttpHandler):
    """A service whose lists are cached; each has a title."""

    def do_GET(self) -> None:  # noqa: N802 - as http.server calls it
        self.answer(b"{}", "application/json", 200, **{"x-cache": "hit"})


def test_the_warm_up_waits_for_a_service_that_refuses_connections_at_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(warmup, "read_page", lambda *_: type("Page", (), {"total": 1}))
    port = free_port()
    with ExitStack() as stack:
        later = threading.Timer(1.0, lambda: stack.enter_context(fake_http_server(Cached, port=port)))
        later.start()
        warmup.warm(f"http://127.0.0.1:{port}", 3)
        later.join()


def test_a_service_that_never_answers_is_reported_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(warmup, "_TIMEOUT_S", 0.3)
    host = f"http://127.0.0.1:{free_port()}"

    with pytest.raises(warmup.NotReadyError) as raised:
        warmup.warm(host, 3)
    assert str(raised.value).startswith(f"{host} does not answer as it should: ")
    assert "NetworkPolicy" in str(raised.value)
    assert "\n" not in str(raised.value)


class Refuses(FakeHttpHandler):
    """A service that has the list of the first and the last user, and is too busy for the others."""

    def do_GET(self) -> None:  # noqa: N802 - as http.server calls it
        status = 503 if self.headers["user-id"] == user_id(2) else 200
        self.answer(b"{}", "application/json", status, **{"x-cache": "hit"})


def test_a_service_that_refuses_some_lists_is_reported_in_one_line(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(warmup, "read_page", lambda *_: type("Page", (), {"total": 1}))

    with (
        fake_http_server(Refuses) as port,
        pytest.raises(warmup.NotReadyError, match=r"does not answer as it should: .*503"),
    ):
        warmup.warm(f"http://127.0.0.1:{port}", 3)
    assert capfd.readouterr() == ("reading 3 lists once ...\n", "")
