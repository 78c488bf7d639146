"""A real Prometheus that scrapes a running service and exporters, with the project's rules."""

import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import yaml

from devtools.ports import free_port
from devtools.service_process import answers
from devtools.waiting import wait_until
from tests.fake_http_server import FakeHttpHandler, fake_http_server
from tests.observability.recorded import EXPOSITIONS
from tests.observability.rules import RULE_FILES

# The pod in the recording of Kubernetes.
NAMESPACE = "ott"
POD = "mylist-b77cd4b8c-7kdb9"
_COUNTED = re.compile(r"^# TYPE (\w+) counter$", re.MULTILINE)
# Counters to which MongoDB's exporter gives no type.
_UNTYPED = {"mongodb_ss_opcounters", "mongodb_ss_opLatencies_latency", "mongodb_ss_opLatencies_ops"}
_SAMPLE = re.compile(r"^(?P<series>(?P<name>\w+)(?:\{[^}]*\})?) (?P<value>\S+)$", re.MULTILINE)


class Prometheus:
    """Scrapes and evaluates every second, so that it has enough data after a short run."""

    def __init__(self, folder: Path, targets: dict[str, tuple[str, dict[str, str]]]) -> None:
        self.url = f"http://127.0.0.1:{free_port()}"
        configuration = folder / "prometheus.yaml"
        configuration.write_text(yaml.safe_dump(_configuration(targets)))
        self._log = (folder / "prometheus.log").open("wb")
        self._process = subprocess.Popen(
            [
                *(shutil.which("prometheus") or "prometheus", f"--config.file={configuration}"),
                *(f"--storage.tsdb.path={folder / 'data'}", f"--web.listen-address={self.url.removeprefix('http://')}"),
            ],
            stdout=self._log,
            stderr=subprocess.STDOUT,
        )
        self._http = httpx.Client(base_url=self.url, trust_env=False)
        wait_until(self._is_ready, within=30)

    def query(self, expression: str) -> list[dict[str, Any]]:
        """Return the current samples of an expression."""
        answer = self._http.get("/api/v1/query", params={"query": expression}).json()
        assert answer["status"] == "success", f"{expression}: {answer}"
        result = answer["data"]["result"]
        return result if answer["data"]["resultType"] == "vector" else [{"metric": {}, "value": result}]

    def query_range(self, expression: str, start: float, end: float, step: float) -> list[dict[str, Any]]:
        """Return the series of an expression between two moments, in seconds since 1970."""
        parameters = {"query": expression, "start": str(start), "end": str(end), "step": str(step)}
        answer = self._http.get("/api/v1/query_range", params=parameters).json()
        assert answer["status"] == "success", f"{expression}: {answer}"
        series: list[dict[str, Any]] = answer["data"]["result"]
        return series

    def value(self, expression: str) -> float | None:
        """Return the single value of an expression, or None if it has none."""
        samples = self.query(expression)
        return float(samples[0]["value"][1]) if samples else None

    def alerts(self) -> dict[str, str]:
        """Return the alerts that are pending or firing, each with its state."""
        answer = self._http.get("/api/v1/alerts").json()
        return {alert["labels"]["alertname"]: alert["state"] for alert in answer["data"]["alerts"]}

    def stop(self) -> None:
        """Stop the process."""
        self._http.close()
        self._process.terminate()
        self._process.wait()
        self._log.close()

    def _is_ready(self) -> bool:
        assert self._process.poll() is None, Path(self._log.name).read_text()
        try:
            return self._http.get("/-/ready").is_success
        except httpx.TransportError:
            return False


def _configuration(targets: dict[str, tuple[str, dict[str, str]]]) -> dict[str, Any]:
    return {
        "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
        "rule_files": [str(path) for path in RULE_FILES],
        "scrape_configs": [
            {
                "job_name": job,
                "honor_labels": True,
                "metrics_path": f"/{address.partition('/')[2]}",
                "static_configs": [{"targets": [address.partition("/")[0]], "labels": labels}],
            }
            for job, (address, labels) in targets.items()
        ],
    }


@contextmanager
def expositions() -> Iterator[str]:
    """Serve the recorded metrics of exporters that cannot run here, each file at its name; let the counters grow."""
    began = time.monotonic()

    class Handler(FakeHttpHandler):
        def do_GET(self) -> None:  # noqa: N802 - as http.server calls it
            text = (EXPOSITIONS / f"{self.path.strip('/')}.txt").read_text()
            counters = _UNTYPED.union(_COUNTED.findall(text))
            grown = 10 * (time.monotonic() - began)

            def now(sample: re.Match[str]) -> str:
                value = float(sample["value"]) + (grown if sample["name"] in counters else 0)
                return f"{sample['series']} {value}"

            self.answer(_SAMPLE.sub(now, text).encode(), "text/plain; version=0.0.4")

    with fake_http_server(Handler) as port:
        yield f"127.0.0.1:{port}"


@contextmanager
def redis_exporter(url: str) -> Iterator[str]:
    """Run the Redis exporter of the Linux distribution; yield its address."""
    address = f"127.0.0.1:{free_port()}"
    process = subprocess.Popen(
        [
            shutil.which("prometheus-redis-exporter") or "prometheus-redis-exporter",
            *(f"--redis.addr={url}", f"--web.listen-address={address}"),
        ],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        wait_until(lambda: answers(f"http://{address}/metrics"), within=20)
        yield address
    finally:
        process.terminate()
        process.wait()
