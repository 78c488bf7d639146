"""The load test as its Jobs run it: a master and a worker, replicas behind one name, an autoscaler."""

import json
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from devtools.ports import free_port
from devtools.scrape import Metrics
from devtools.service_process import Service, environment
from tests.conftest import Serve
from tests.tools.loadtests.fake_kubernetes import NAME, Kubernetes, kubernetes
from tests.tools.loadtests.runs import PEOPLE, ROOT, TITLES, seed

ADDRESSES = "127.0.0.1", "127.0.0.2"
LOCUST = [sys.executable, "-m", "locust", "--locustfile", "tests/tools/loadtests/in_cluster.py", "--headless"]
USERS, SECONDS = 20, 3
IN_FLIGHT = 2
"""Requests of one user that are in flight when the count begins or ends. The service may count them or not."""
ITEMS = "GET /api/mylist/items"


@pytest.fixture(scope="module", autouse=True)
def _seeded(mongodb_uri: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    seed(mongodb_uri, tmp_path_factory.mktemp("seed"))


@pytest.fixture(scope="module")
def replicas(
    serve: Serve, mongodb_uri: str, redis_url: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[list[Service]]:
    """Two processes on the same port, as two pods have it."""
    first = serve()
    settings = {"MONGODB_URI": mongodb_uri, "REDIS_URL": redis_url, "MONGODB_TIMEOUT": "5"}
    here = {"HOST": ADDRESSES[1], "PORT": str(first.port)}
    second = Service(tmp_path_factory.mktemp("replica"), settings | here)
    second.port, second.url = first.port, f"http://{ADDRESSES[1]}:{first.port}"
    with ExitStack() as started:
        started.callback(second.stop)
        second.wait_until_ready()
        yield [first, second]


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Kubernetes]:
    """Its autoscaler wants twice as many replicas after the first request."""
    with kubernetes(tmp_path) as stand_in:
        answer = stand_in.answer

        def scale(path: str, token: str) -> tuple[int, dict[str, Any]]:
            answered = answer(path, token)
            stand_in.status = {"currentReplicas": 3, "desiredReplicas": 6}
            return answered

        stand_in.answer = scale  # type: ignore[method-assign]
        yield stand_in


def run(service: Service, cluster: Kubernetes, **changes: str) -> tuple[subprocess.CompletedProcess[str], Any, int]:
    """Run a master and a worker; return how the master ended, its verdict as data, and the status of the worker."""
    port = str(free_port())
    given = {
        "LOADTEST_SCENARIO": "cached-latency",
        "LOADTEST_PEOPLE": str(PEOPLE),
        "LOADTEST_TITLES": str(TITLES),
        "LOADTEST_WARM_UP": "0",
        "LOADTEST_METRICS": f"dns+http://replicas.test:{service.port}/metrics",
        "LOADTEST_AUTOSCALER": NAME,
        "LOADTEST_RECONNECT": "1",
        # Tests run on machines that do other things, too.
        "LOADTEST_LEEWAY": "20",
        "LOCUST_HOST": f"http://replicas.test:{service.port}",
        "LOCUST_USERS": str(USERS),
        "LOCUST_RUN_TIME": f"{SECONDS}s",
        "LOCUST_EXPECT_WORKERS": "1",
    }
    around = {"ADDRESSES": " ".join(ADDRESSES), "ACCOUNT": str(cluster.account), **cluster.environment}
    leading = ["--master", "--master-bind-host", "127.0.0.1", "--master-bind-port", port, "--figures=-"]
    following = ["--worker", "--master-host", "127.0.0.1", "--master-port", port]
    with ExitStack() as started:

        def start(options: list[str], variables: dict[str, str]) -> subprocess.Popen[str]:
            process = started.enter_context(
                subprocess.Popen(
                    [*LOCUST, *options],
                    cwd=ROOT,
                    env=environment(around | variables),
                    stdout=subprocess.PIPE,
                    stderr=subprocess.PIPE,
                    text=True,
                )
            )
            started.callback(process.kill)
            return process

        # The worker first: in a cluster either may start before the other.
        worker, master = start(following, {}), start(leading, given | changes)
        reading = threading.Thread(target=worker.communicate)
        reading.start()
        printed, complaints = master.communicate(timeout=40)
        reading.join(20)
    ended = subprocess.CompletedProcess(master.args, master.returncode, printed, complaints)
    *_, last = printed.splitlines()
    return ended, json.loads(last), worker.returncode


def counted(service: Service) -> float:
    return Metrics(service).value("http_server_request_duration_seconds_count", http_route="/api/mylist/items")


def test_a_run_in_a_cluster_adds_up_the_replicas_and_reports_the_autoscaler(
    replicas: list[Service], cluster: Kubernetes, tmp_path: Path
) -> None:
    before = [counted(each) for each in replicas]

    ended, verdict, worker = run(replicas[0], cluster)

    # This machine may miss the thresholds.
    assert ended.returncode in {0, 1}, ended.stdout + ended.stderr
    assert worker == 0
    assert verdict["remark"] == ""
    each = [after - then for after, then in zip(map(counted, replicas), before, strict=True)]
    route = verdict["routes"][ITEMS]
    # Locust uses both, and its figure is compared with their sum: neither alone has 90 % of the requests.
    assert min(each) > 0.1 * route["requests"]
    [compared] = [line for line in ended.stdout.splitlines() if line.startswith(f"{ITEMS} ") and line.count(".") > 6]
    requests, of_both = (int(number.replace(",", "")) for number in compared.split()[2:4])
    assert of_both == pytest.approx(requests, rel=0.1)
    assert route["service"]["50"] > 0
    # The autoscaler, in words, as data, and in the plot.
    assert "autoscaler mylist: 3 to 3 replicas, 3 to 6 desired; 3 to 20 allowed" in ended.stdout
    assert {(sample["current"], sample["desired"]) for sample in verdict["autoscaler"]["samples"]} == {(3, 3), (3, 6)}
    (tmp_path / "run.json").write_text(ended.stdout.splitlines()[-1])
    subprocess.run([sys.executable, "-m", "loadtests.plot", str(tmp_path / "run.json")], check=True, cwd=ROOT)
    plot = (tmp_path / "run.svg").read_text()
    assert "mylist: replicas" in plot
    assert f"{ITEMS}, service" in plot


def moved(verdict: Any) -> bool:
    """Return whether the measured replica served the only user for a part of the time, and another one the rest."""
    requests: int = verdict["routes"][ITEMS]["requests"]
    few = re.match(r"the service counted (\d+) of", verdict["remark"])
    return 0 < int(few[1] if few else requests) < requests - IN_FLIGHT


def test_a_missed_threshold_sets_the_exit_status_of_the_master_alone(
    replicas: list[Service], cluster: Kubernetes
) -> None:
    alone = {"LOADTEST_METRICS": f"{replicas[0].url}/metrics", "LOCUST_USERS": "1", "LOADTEST_RECONNECT": "0"}

    ended, verdict, worker = run(replicas[0], cluster, **alone, LOADTEST_LEEWAY="0.001", LOCUST_RUN_TIME="2s")

    assert ended.returncode == 1, ended.stdout + ended.stderr
    assert worker == 0
    assert any(line.startswith("MISSED cached-latency, reads: p99 is ") for line in verdict["missed"])
    assert not moved(verdict)


def test_a_user_opens_new_connections_if_reconnect_is_set(replicas: list[Service], cluster: Kubernetes) -> None:
    alone = {"LOADTEST_METRICS": f"{replicas[0].url}/metrics", "LOCUST_USERS": "1", "LOADTEST_RECONNECT": "0.5"}

    _, verdict, _ = run(replicas[0], cluster, **alone, LOCUST_RUN_TIME="2s")

    assert moved(verdict), verdict["remark"]
