"""`/metrics`: it has exactly the metrics that docs/metrics.md documents, and their values are right."""

import json
import re
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from uuid import uuid4

import httpx
import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from pymongo.database import Database

from devtools.scrape import Metrics
from devtools.service_process import NO_TLS, Service
from devtools.waiting import wait_until
from tests.conftest import Serve
from tests.contract.conftest import PATIENCE, PatientTransport, User, connect
from tests.contract.raw_http import send
from tests.contract.test_headers import without
from tests.contract.titles import MATRIX_ID, UNKNOWN_ID

DOCUMENT = Path(__file__).parents[2] / "docs" / "metrics.md"
OPENMETRICS = "application/openmetrics-text; version=1.0.0"
OF_THE_LIBRARY = ("process_", "python_")
OF_ANOTHER_PROCESS = "mylist_events_"


def documented() -> dict[str, tuple[str, frozenset[str]]]:
    """Return the type and labels of each metric in the table, except those of `mylist events`."""
    rows = re.findall(r"^\| `(\w+)` \| (\w+) \|([^|]*)\|", DOCUMENT.read_text(), re.MULTILINE)
    return {
        name: (kind, frozenset(re.findall(r"`(\w+)`", labels)))
        for name, kind, labels in rows
        if not name.startswith(OF_ANOTHER_PROCESS)
    }


def exported(metrics: Metrics) -> dict[str, tuple[str, frozenset[str]]]:
    """Return the type and labels of each metric that is served, except those of the library."""
    return {
        family.name + ("_total" if family.type == "counter" else ""): (
            family.type,
            frozenset(label for sample in family.samples for label in sample.labels) - {"le"},
        )
        for family in metrics.families.values()
        if not family.name.startswith(OF_THE_LIBRARY)
    }


@pytest.fixture
def before(service: Service) -> Metrics:
    return Metrics(service)


def in_which(service: Service, client: httpx.Client, act: Callable[[User], None]) -> Callable[..., float]:
    """Let new users act until the cache is trusted during a whole act; return a function that gives the increases."""

    def attempt() -> tuple[Metrics, Metrics] | None:
        before = Metrics(service)
        act(User(client, f"user-{uuid4().hex}"))
        after = Metrics(service)
        doubted = {each.value("mylist_cache_requests_total", result="bypassed") for each in (before, after)}
        return (before, after) if len(doubted) == 1 else None

    before, after = wait_until(attempt, within=PATIENCE)
    return lambda name, **labels: after.value(name, **labels) - before.value(name, **labels)


def test_exactly_the_documented_metrics_are_served(service: Service, user: User) -> None:
    user.add(MATRIX_ID)
    user.items()

    assert exported(Metrics(service)) == documented()


def test_the_metric_of_shed_requests_has_exactly_the_documented_causes(service: Service) -> None:
    [meaning] = re.findall(r"^\| `mylist_shed_total` .*\|(.*)\|$", DOCUMENT.read_text(), re.MULTILINE)
    told = {sample.labels["cause"] for sample in Metrics(service).families["mylist_shed"].samples}

    assert told == set(re.findall(r"`(\w+)`", meaning))
    assert "partly_applied" in told


def test_the_process_metrics_of_the_library_are_served(service: Service) -> None:
    metrics = Metrics(service)

    assert metrics.value("process_resident_memory_bytes") > 10_000_000
    assert metrics.value("process_open_fds") > 5
    assert time.time() - metrics.value("process_start_time_seconds") < 3600


def test_openmetrics_is_served_if_the_client_accepts_it(service: Service, user: User) -> None:
    user.items()
    answer = httpx.get(f"{service.url}/metrics", headers={"accept": OPENMETRICS}, trust_env=False, verify=NO_TLS)

    assert answer.headers["content-type"].startswith("application/openmetrics-text")
    assert answer.text.endswith("# EOF\n")
    assert "mylist_cache_requests" in {family.name for family in parse_openmetrics(answer.text)}  # type: ignore[no-untyped-call]


@pytest.mark.parametrize("version", ["1.0.0", "2.0.0", "7.3.1", "0.0.1", "two"])
def test_openmetrics_is_served_as_version_1_0_0_whichever_version_is_requested(
    client: httpx.Client, version: str
) -> None:
    answer = client.get(
        "/metrics", headers={"accept": f"application/openmetrics-text;version={version};q=0.6,*/*;q=0.2"}
    )

    assert answer.headers["content-type"] == "application/openmetrics-text; version=1.0.0; charset=utf-8"
    assert answer.text.endswith("# EOF\n")


@pytest.mark.parametrize("accept", ["*/*", "application/openmetrics-text;q=0", "text/plain;version=1.0.0", "image/png"])
def test_plain_text_is_served_to_all_other_clients(client: httpx.Client, accept: str) -> None:
    answer = client.get("/metrics", headers={"accept": accept})

    assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert "# EOF" not in answer.text


@pytest.mark.parametrize("accept", ["*/*", OPENMETRICS])
def test_head_is_get_without_a_body(client: httpx.Client, accept: str) -> None:
    of_get, of_head = (client.request(method, "/metrics", headers={"accept": accept}) for method in ("GET", "HEAD"))

    assert (of_head.status_code, of_head.content) == (200, b"")
    assert int(of_head.headers["content-length"]) > 1000
    assert re.fullmatch(r'"[0-9a-f]{16}"', of_head.headers["etag"])
    assert list(of_head.headers) == list(of_get.headers)
    differ = {"etag", "content-length", "x-request-id"}
    assert without(of_head, differ) == without(of_get, differ)
    assert client.get("/metrics/", headers={"if-none-match": "*"}).status_code == 304
    assert client.post("/metrics").headers["allow"] == "GET, HEAD, OPTIONS"


def test_requests_are_counted_by_route_method_and_status(service: Service, user: User, before: Metrics) -> None:
    user.add(MATRIX_ID)
    user.add(MATRIX_ID)
    user.remove(MATRIX_ID)
    httpx.get(f"{service.url}/api/mylist/items", headers=user.headers, trust_env=False, verify=NO_TLS)
    after = Metrics(service)

    def counted(method: str, route: str, status: int) -> float:
        labels = {"http_request_method": method, "http_route": route, "http_response_status_code": str(status)}
        name = "http_server_request_duration_seconds_count"
        return after.value(name, **labels) - before.value(name, **labels)

    assert counted("POST", "/api/mylist/add", 201) == 1
    assert counted("POST", "/api/mylist/add", 409) == 1
    assert counted("DELETE", "/api/mylist/remove/{content_id}", 200) == 1
    assert counted("GET", "/api/mylist/items", 200) == 1


def test_the_duration_of_a_request_is_at_most_what_the_client_measures(
    service: Service, user: User, before: Metrics
) -> None:
    began = time.perf_counter()
    user.items()
    took = time.perf_counter() - began
    route = {"http_route": "/api/mylist/items"}
    name = "http_server_request_duration_seconds_sum"

    assert 0 < Metrics(service).value(name, **route) - before.value(name, **route) <= took


def test_a_page_is_rendered_again_only_if_the_list_has_changed(service: Service, client: httpx.Client) -> None:
    def twice(user: User) -> None:
        user.add(MATRIX_ID)
        first, second = user.items(), user.items()
        assert first.content == second.content
        assert first.headers["etag"] == second.headers["etag"]

    def and_when_it_has_changed(user: User) -> None:
        twice(user)
        user.remove(MATRIX_ID)
        assert user.items().json()["data"]["items"] == []

    for act, rendered in ((twice, 1), (and_when_it_has_changed, 2)):
        counted = in_which(service, client, act)
        assert (counted("mylist_pages_total", result="rendered"), counted("mylist_pages_total", result="reused")) == (
            rendered,
            1,
        )
    assert 0 < Metrics(service).value("mylist_page_memory_bytes") <= 32_000_000


def test_client_input_creates_no_new_label_values(service: Service, user: User) -> None:
    for number in range(5):
        send(service.url, f"BREW{number} /api/mylist/items HTTP/1.1\r\nhost: x\r\n\r\n".encode())
        send(service.url, f"GET /nowhere/{number} HTTP/1.1\r\nhost: x\r\n\r\n".encode())
        send(service.url, f"nonsense {number}\r\n\r\n".encode())
        user.remove(f"{number:024x}")
    routes = {sample.labels.get("http_route", "") for sample in Metrics(service).samples}
    methods = {sample.labels.get("http_request_method", "") for sample in Metrics(service).samples}

    assert routes - {""} <= {
        *("/api/mylist/add", "/api/mylist/items", "/api/mylist/remove/{content_id}", "/api/mylist/stats"),
        *("/health", "/livez", "/readyz", "/metrics", "/openapi.json", "unmatched"),
    }
    assert methods - {""} <= {"GET", "HEAD", "POST", "DELETE", "OPTIONS", "_OTHER"}
    assert "_OTHER" in methods
    assert "unmatched" in routes


def test_reads_are_counted_by_cache_result(service: Service, user: User, before: Metrics) -> None:
    assert [user.items().headers["x-cache"] for _ in range(3)] == ["miss", "hit", "hit"]
    after = Metrics(service)

    for name in ("mylist_cache_requests_total", "mylist_read_duration_seconds_count"):
        assert after.value(name, result="miss") - before.value(name, result="miss") == 1
        assert after.value(name, result="hit") - before.value(name, result="hit") == 2
    fills = "mylist_cache_fills_total"
    assert after.value(fills, result="stored") - before.value(fills, result="stored") == 1


def test_changes_are_counted_by_their_outcome(service: Service, user: User, before: Metrics) -> None:
    user.add(MATRIX_ID)
    user.add(MATRIX_ID)
    user.add(UNKNOWN_ID)
    user.remove(MATRIX_ID)
    user.remove(MATRIX_ID)
    after = Metrics(service)

    def counted(operation: str, outcome: str) -> float:
        name = "mylist_list_mutations_total"
        labels = {"operation": operation, "outcome": outcome}
        return after.value(name, **labels) - before.value(name, **labels)

    assert counted("add", "ok") == counted("add", "item_already_in_list") == counted("add", "content_not_found") == 1
    assert counted("remove", "ok") == counted("remove", "item_not_in_list") == 1


def test_operations_of_the_stores_are_measured(service: Service, client: httpx.Client) -> None:
    def add_and_read(user: User) -> None:
        user.add(MATRIX_ID)
        user.items()

    counts = in_which(service, client, add_and_read)

    def counted(system: str, name: str) -> float:
        labels = {"db_system_name": system, "db_operation_name": name, "outcome": "ok"}
        return counts("db_client_operation_duration_seconds_count", **labels)

    assert [counted("mongodb", name) for name in ("count", "insert", "load")] == [1, 1, 1]
    names = ("place_fence", "lift_fence", "get", "place_lease", "fill")
    assert [counted("redis", name) for name in names] == [1] * 5


def test_states_limits_and_usage_are_exported(service: Service) -> None:
    metrics = Metrics(service)

    for name in ("mongodb", "redis"):
        wait_until(lambda name=name: Metrics(service).value("mylist_dependency_up", dependency=name), within=PATIENCE)  # type: ignore[misc]
        assert metrics.value("mylist_breaker_state", dependency=name, state="closed") == 1
        assert metrics.value("mylist_breaker_state", dependency=name) == 1
    assert metrics.value("mylist_capacity", resource="requests") == 500
    assert metrics.value("mylist_in_use", resource="requests") == 0
    assert metrics.value("http_server_active_requests", http_route="/metrics") == 1
    wait_until(lambda: Metrics(service).value("mylist_event_loop_lag_seconds_count") > 5, within=PATIENCE)


@pytest.fixture(scope="module")
def checking(serve: Serve, titles: None) -> Service:  # noqa: ARG001 - inserted before the first call
    """A service that checks every cached read, up to its limit of checks per second."""
    return serve(FRESHNESS_CHECK_EVERY="1")


@pytest.fixture
def reader(checking: Service, user_id: str) -> Iterator[User]:
    with connect(checking, transport=PatientTransport()) as client:
        yield User(client, user_id)


class TestFreshnessChecks:
    def checks(self, service: Service, result: str) -> float:
        return Metrics(service).value("mylist_cache_freshness_checks_total", result=result)

    def read_until(self, reader: User, condition: Callable[[], bool]) -> None:
        wait_until(lambda: reader.items().is_success and condition(), within=PATIENCE)

    def test_count_a_correct_list_as_fresh(self, checking: Service, reader: User) -> None:
        fresh, stale = self.checks(checking, "fresh"), self.checks(checking, "stale")
        reader.add(MATRIX_ID)

        self.read_until(reader, lambda: self.checks(checking, "fresh") > fresh)
        assert self.checks(checking, "stale") == stale

    def test_count_and_log_a_stale_list_without_its_user(
        self, checking: Service, reader: User, database: Database[dict[str, object]]
    ) -> None:
        stale = self.checks(checking, "stale")
        reader.add(MATRIX_ID)
        reader.items()
        database["mylist"].delete_one({"userId": reader.id})  # past the service, so nothing fences the cache

        self.read_until(reader, lambda: self.checks(checking, "stale") > stale)
        assert "A cached list differs from MongoDB: see the runbook MyListStaleReads" in checking.log.read_text()
        assert reader.id not in checking.log.read_text()


class TestLog:
    def lines(self, service: Service) -> list[dict[str, str]]:
        return [json.loads(line) for line in service.log.read_text().splitlines()]

    def test_a_slow_request_is_logged_with_its_id(self, serve: Serve) -> None:
        service = serve(SLOW_REQUEST="0.001")
        wait_until(
            lambda: (
                httpx.get(
                    f"{service.url}/api/mylist/stats",
                    headers={"user-id": "slow", "x-request-id": "the-slow-one"},
                    trust_env=False,
                    verify=NO_TLS,
                ).elapsed.total_seconds()
                and any(line.get("requestId") == "the-slow-one" for line in self.lines(service))
            ),
            within=PATIENCE,
        )
        [line, *_] = [line for line in self.lines(service) if line.get("requestId") == "the-slow-one"]
        assert re.fullmatch(r"Slow request: GET /api/mylist/stats 200 in \d+\.\d{3} s, cache \w+", line["message"])

    def test_the_level_is_switched_by_a_signal(self, serve: Serve) -> None:
        service = serve()

        def requests() -> int:
            httpx.get(f"{service.url}/livez", trust_env=False, verify=NO_TLS)
            return sum(line["message"].startswith("Request: GET /livez 200") for line in self.lines(service))

        assert requests() == 0
        service.process.send_signal(signal.SIGUSR1)
        wait_until(requests, within=PATIENCE)
        service.process.send_signal(signal.SIGUSR1)
        back = "The log level is now info"
        wait_until(lambda: any(line["message"] == back for line in self.lines(service)), within=PATIENCE)
        logged = requests()
        assert requests() == logged
