"""The limits on spans that OpenTelemetry's variables set, checked on the spans that a collector receives."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from devtools.ports import free_port
from devtools.service_process import NO_TLS, environment
from tests.conftest import Serve
from tests.contract.conftest import PATIENCE
from tests.contract.test_tracing import Collector, attributes, traceparent

MAX_ATTRIBUTES = 3
MAX_LENGTH = 8


@pytest.fixture
def collector() -> Iterator[Collector]:
    collector = Collector()
    yield collector
    collector.close()


def test_span_limits_apply_to_exported_spans(serve: Serve, collector: Collector) -> None:
    service = serve(
        OTEL_EXPORTER_OTLP_ENDPOINT=collector.endpoint,
        OTEL_TRACES_SAMPLER="parentbased_always_off",
        OTEL_BSP_SCHEDULE_DELAY="100",
        OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT=str(MAX_ATTRIBUTES),
        OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT=str(MAX_LENGTH),
    )
    trace_id, headers = traceparent()
    path = "/api/mylist/stats"
    httpx.get(f"{service.url}{path}", headers=headers | {"user-id": "limited"}, trust_env=False, verify=NO_TLS)
    [server] = collector.trace(trace_id, spans=1)[f"GET {path}"]

    assert len(server.attributes) == MAX_ATTRIBUTES
    assert server.dropped_attributes_count > 0
    assert attributes(server)["http.route"] == path[:MAX_LENGTH]


def test_a_span_limit_that_is_not_a_number_fails_the_start_and_is_named(tmp_path: Path) -> None:
    variable = "OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT"
    settings = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:4318", variable: "few", "PORT": str(free_port())}
    done = subprocess.run(
        [sys.executable, "-m", "mylist", "serve"],
        cwd=tmp_path,
        env=environment(settings),
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE,
    )
    assert done.returncode == 1
    assert done.stderr.startswith("mylist: a variable of OpenTelemetry")
    assert variable in done.stderr
