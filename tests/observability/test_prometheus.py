"""The dashboards and rules on a real Prometheus that scrapes a running service: they show what really happens."""

import math
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from pymongo import MongoClient
from redis import Redis

from devtools.ports import free_port
from devtools.service_process import Service, answers, environment
from devtools.waiting import wait_until
from mylist.devserver.embedded_servers import MongoServer, ValkeyServer, running
from tests.contract.titles import MATRIX_DOCUMENT, MATRIX_ID, UNKNOWN_ID
from tests.observability.dashboards import Expression, expressions
from tests.observability.prometheus import NAMESPACE, POD, Prometheus, expositions, redis_exporter
from tests.observability.rules import rules
from tests.requirements import skip_or_fail

pytestmark = pytest.mark.extended

DATABASE = "observed"
LOAD = 12.0
"""Seconds of load; more than two scrapes in the shortest window."""
MOST_AT_ONCE = 5
"""The maximum of concurrent requests at the service; twice as many clients send requests."""


@dataclass
class System:
    """A service, its stores, and the Prometheus that scrapes them."""

    service: Service
    mongodb: MongoServer
    redis: ValkeyServer
    prometheus: Prometheus


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    missing = [name for name in ("prometheus", "prometheus-redis-exporter") if not shutil.which(name)]
    if missing:
        skip_or_fail(f"not installed: {', '.join(missing)}")
    folder: Path = tmp_path_factory.mktemp("observed")
    mongodb, redis = MongoServer(folder / "mongodb"), ValkeyServer(folder / "redis")
    with ExitStack() as stack:
        stack.enter_context(running(mongodb, redis))
        with MongoClient[dict[str, object]](mongodb.uri) as client:
            client[DATABASE]["movies"].insert_one(dict(MATRIX_DOCUMENT))
        with Redis.from_url(redis.uri) as client:
            client.config_set("maxmemory", "256mb")
        service = Service(
            folder,
            {
                "MONGODB_URI": mongodb.database(DATABASE),
                "REDIS_URL": redis.uri,
                "FRESHNESS_CHECK_EVERY": "10",
                "MAX_CONCURRENT_REQUESTS": str(MOST_AT_ONCE),
            },
        )
        stack.callback(service.stop)
        service.wait_until_ready()
        events_port = _follow(folder, mongodb.database(DATABASE), stack)
        exporter = stack.enter_context(redis_exporter(redis.uri))
        elsewhere = stack.enter_context(expositions())
        of_pod = {"namespace": NAMESPACE, "pod": POD, "container": "mylist"}
        prometheus = Prometheus(
            folder,
            {
                "mylist": (f"127.0.0.1:{service.port}/metrics", of_pod),
                "mylist-events": (f"127.0.0.1:{events_port}/metrics", {"namespace": NAMESPACE, "pod": "events-0"}),
                "mylist-redis": (f"{exporter}/metrics", {"namespace": NAMESPACE, "pod": "redis-0"}),
                "mylist-mongodb": (f"{elsewhere}/mongodb", {"namespace": NAMESPACE, "pod": "mongodb-0"}),
                "kubernetes": (f"{elsewhere}/kubernetes", {}),
            },
        )
        stack.callback(prometheus.stop)
        system = System(service, mongodb, redis, prometheus)
        _load(system)
        yield system


def _follow(folder: Path, mongodb_uri: str, stack: ExitStack) -> int:
    """Run `mylist events` until the stack is left; return the port of its metrics."""
    port = free_port()
    process = subprocess.Popen(
        [sys.executable, "-m", "mylist", "events", "--metrics-port", str(port)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        cwd=folder,
        env=environment({"MONGODB_URI": mongodb_uri}),
    )
    stack.callback(process.wait)
    stack.callback(process.terminate)
    wait_until(lambda: answers(f"http://127.0.0.1:{port}/metrics"), within=30)
    return port


def _load(system: System) -> None:
    """Send all kinds of requests, including failing ones, for so long that the metrics show each kind."""
    until = time.monotonic() + LOAD

    def live(number: int) -> None:
        headers = {"user-id": f"user-{number}"}
        with httpx.Client(base_url=system.service.url, headers=headers, trust_env=False, timeout=10) as client:
            while time.monotonic() < until:
                for content_id in (MATRIX_ID, UNKNOWN_ID):
                    client.post("/api/mylist/add", json={"contentId": content_id, "contentType": "movie"})
                for _ in range(20):
                    client.get("/api/mylist/items")
                    client.get("/api/mylist/stats")
                for _ in range(2):
                    client.delete(f"/api/mylist/remove/{MATRIX_ID}")
                client.get("/nowhere")
                time.sleep(0.05)

    with ThreadPoolExecutor(2 * MOST_AT_ONCE) as people:
        list(people.map(live, range(2 * MOST_AT_ONCE)))


def has_numbers(prometheus: Prometheus, expression: str) -> bool:
    samples = prometheus.query(expression)
    return bool(samples) and not all(math.isnan(float(sample["value"][1])) for sample in samples)


@pytest.mark.parametrize("panel", expressions(), ids=lambda panel: f"{panel.dashboard}: {panel.panel}")
def test_every_panel_has_data(system: System, panel: Expression) -> None:
    wait_until(lambda: has_numbers(system.prometheus, panel.expression), within=60)


@pytest.mark.parametrize("name", [rule["record"] for rule in rules("record")])
def test_every_recording_rule_has_data(system: System, name: str) -> None:
    wait_until(lambda: has_numbers(system.prometheus, name), within=60)


def test_metrics_show_the_load_and_no_stale_read(system: System) -> None:
    prometheus = system.prometheus

    assert prometheus.value('sum(mylist_cache_requests_total{result="hit"})')
    assert prometheus.value('sum(mylist_list_mutations_total{operation="add",outcome="ok"})')
    assert prometheus.value('sum(mylist_cache_freshness_checks_total{result="fresh"})')
    assert prometheus.value('sum(mylist_cache_freshness_checks_total{result="stale"})') == 0
    assert prometheus.value('sum(mylist_shed_total{cause="overloaded"})')


# The order of the next tests matters: each expects the state in which the previous one leaves the system.

ALARMS = ("MyListDown", "MyListStaleReads", "MyListRedisAway", "MyListMongoDBAway")


def is_raised(system: System, *names: str) -> Callable[[], bool]:
    """Return a condition: all of these alerts are pending or firing."""
    return lambda: system.prometheus.alerts().keys() >= set(names)


def test_no_alert_about_an_outage_or_stale_reads_fires_in_normal_operation(system: System) -> None:
    alerts = system.prometheus.alerts()
    assert not {name for name in ALARMS if alerts.get(name) == "firing"}
    # A busy machine may have kept Redis waiting under load. That ends by itself, before an alert fires.
    wait_until(lambda: not system.prometheus.alerts().keys() & set(ALARMS), within=30)


def test_slow_reads_burn_the_budget(system: System) -> None:
    ratio = "max(slo:mylist_cached_reads:error_ratio_rate1h)"
    before = system.prometheus.value(ratio) or 0.0
    with (
        Redis.from_url(system.redis.uri) as redis,
        httpx.Client(base_url=system.service.url, trust_env=False) as client,
        ThreadPoolExecutor(MOST_AT_ONCE) as people,
    ):

        def read(number: int) -> None:
            client.get("/api/mylist/stats", headers={"user-id": f"user-{number}"})

        for _ in range(100):
            redis.execute_command("CLIENT PAUSE", 60, "ALL")
            list(people.map(read, range(MOST_AT_ONCE)))

    wait_until(lambda: (system.prometheus.value(ratio) or 0.0) > before + 0.01, within=60)
    wait_until(is_raised(system, "MyListCachedReadsBurn"), within=60)


def test_without_redis_its_alert_is_raised_and_ends_after_recovery(system: System) -> None:
    system.redis.kill()
    wait_until(is_raised(system, "MyListRedisAway"), within=20)
    opened = 'mylist_breaker_state{dependency="redis",state="open"}'
    wait_until(lambda: system.prometheus.value(opened) == 1, within=60)
    system.redis.restart()
    wait_until(lambda: "MyListRedisAway" not in system.prometheus.alerts(), within=30)


def test_without_mongodb_its_alert_is_raised(system: System) -> None:
    system.mongodb.kill()
    wait_until(is_raised(system, "MyListMongoDBAway"), within=20)
    for number in range(20):
        with httpx.Client(base_url=system.service.url, trust_env=False) as client:
            assert client.get("/api/mylist/items", headers={"user-id": f"unknown-{number}"}).status_code == 503
    wait_until(
        lambda: (system.prometheus.value('mylist_shed_total{cause="database_unavailable"}') or 0) >= 20, within=60
    )
    wait_until(is_raised(system, "MyListAvailabilityBurn"), within=20)
    system.mongodb.restart()
    wait_until(lambda: "MyListMongoDBAway" not in system.prometheus.alerts(), within=30)


def test_a_frozen_service_raises_the_alert_mylist_down(system: System) -> None:
    system.service.process.send_signal(signal.SIGSTOP)
    try:
        wait_until(is_raised(system, "MyListDown"), within=60)
    finally:
        system.service.process.send_signal(signal.SIGCONT)
