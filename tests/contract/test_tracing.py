"""Traces, as a collector receives them: real OTLP over HTTP, sent by a service with this collector's URL."""

import gzip
import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from uuid import uuid4

import httpx
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status
from pymongo.database import Database

from devtools.ports import free_port
from devtools.scrape import Metrics
from devtools.service_process import NO_TLS, Service, environment
from devtools.waiting import wait_until
from tests.conftest import Serve
from tests.contract.conftest import PATIENCE, User, connect
from tests.contract.titles import MATRIX_ID
from tests.every_route import Caller, call_every_route
from tests.fake_http_server import FakeHttpHandler, fake_http_server

TRACE = "0af7651916cd43dd8448eb211c80319c"
PARENT = "b7ad6b7169203331"
OPENMETRICS = "application/openmetrics-text; version=1.0.0"


class Collector:
    """Receives spans on its own port."""

    def __init__(self) -> None:
        self.spans: list[Span] = []
        self.resource: dict[str, str] = {}
        collector = self

        class Handler(FakeHttpHandler):
            def do_POST(self) -> None:  # noqa: N802 - as http.server calls it
                body = self.rfile.read(int(self.headers["content-length"]))
                if self.headers["content-encoding"] == "gzip":
                    body = gzip.decompress(body)
                collector.take(ExportTraceServiceRequest.FromString(body))
                self.answer(b"", "application/x-protobuf")

        self._serving = ExitStack()
        self.endpoint = f"http://127.0.0.1:{self._serving.enter_context(fake_http_server(Handler))}"

    def take(self, request: ExportTraceServiceRequest) -> None:
        for of_resource in request.resource_spans:
            self.resource = {each.key: each.value.string_value for each in of_resource.resource.attributes}
            for of_scope in of_resource.scope_spans:
                self.spans += of_scope.spans

    def trace(self, trace_id: str, *, spans: int) -> dict[str, list[Span]]:
        """Wait until a trace has at least so many spans, including that of the request; return them by name."""

        def complete() -> list[Span] | None:
            found = [span for span in self.spans if span.trace_id.hex() == trace_id]
            return found if len(found) >= spans and any(is_server(span) for span in found) else None

        found: dict[str, list[Span]] = {}
        for span in wait_until(complete, within=PATIENCE):
            found.setdefault(span.name, []).append(span)
        return found

    def close(self) -> None:
        self._serving.close()


def is_server(span: Span) -> bool:
    return span.kind == Span.SPAN_KIND_SERVER


def attributes(span: Span) -> dict[str, str | int]:
    return {each.key: each.value.string_value or each.value.int_value for each in span.attributes}


@pytest.fixture(scope="module")
def collector() -> Iterator[Collector]:
    collector = Collector()
    yield collector
    collector.close()


@pytest.fixture(scope="module")
def traced(serve: Serve, collector: Collector, titles: None) -> Service:  # noqa: ARG001 - inserted before the first call
    """A service that samples a request only if the client asks for it."""
    return serve(
        OTEL_EXPORTER_OTLP_ENDPOINT=collector.endpoint,
        OTEL_TRACES_SAMPLER="parentbased_always_off",
        OTEL_BSP_SCHEDULE_DELAY="100",
        OTEL_RESOURCE_ATTRIBUTES="k8s.pod.name=mylist-0,k8s.namespace.name=ott",
    )


@pytest.fixture
def caller(traced: Service, user_id: str) -> Iterator[User]:
    with connect(traced) as client:
        caller = User(client, user_id)
        wait_until(lambda: caller.stats().headers["x-cache"] == "hit", within=PATIENCE)
        yield caller


_numbers = iter(range(1, 1000))


def traceparent(*, sampled: bool = True) -> tuple[str, dict[str, str]]:
    """Return the id of a new trace, and the header of a client that began it."""
    trace_id = f"{next(_numbers):032x}"
    return trace_id, {"traceparent": f"00-{trace_id}-{PARENT}-{'01' if sampled else '00'}"}


def test_the_span_of_a_read_has_a_child_span_for_each_operation_of_the_stores(
    caller: User, collector: Collector
) -> None:
    def miss() -> tuple[str, httpx.Response] | None:
        reader = User(caller.client, f"user-{uuid4().hex}")
        reader.add(MATRIX_ID)
        trace_id, headers = traceparent()
        answer = reader.items(**headers)
        return (trace_id, answer) if answer.headers["x-cache"] == "miss" else None

    trace_id, answer = wait_until(miss, within=PATIENCE)  # a process that was held up does not trust its cache
    spans = collector.trace(trace_id, spans=5)

    assert {name: len(each) for name, each in spans.items() if "find" not in name} == {
        "GET /api/mylist/items": 1,
        "redis get": 1,
        "redis place_lease": 1,
        "redis fill": 1,
    }
    [server] = spans.pop("GET /api/mylist/items")
    assert server.parent_span_id.hex() == PARENT
    assert (
        attributes(server).items()
        >= {
            "http.request.method": "GET",
            "http.route": "/api/mylist/items",
            "http.response.status_code": 200,
            "url.path": "/api/mylist/items",
            "mylist.cache.result": "miss",
            "mylist.request_id": answer.headers["x-request-id"],
        }.items()
    )
    finds = [span for name, each in spans.items() if "find" in name for span in each]
    assert {attributes(span)["db.mongodb.collection"] for span in finds} >= {"mylist"}
    for below in (*finds, *(span for each in spans.values() for span in each)):
        assert below.parent_span_id == server.span_id
        assert server.start_time_unix_nano <= below.start_time_unix_nano <= below.end_time_unix_nano
    assert answer.headers["traceresponse"] == f"00-{trace_id}-{server.span_id.hex()}-01"
    assert (
        collector.resource.items()
        >= {
            "service.name": "mylist",
            "k8s.pod.name": "mylist-0",
            "k8s.namespace.name": "ott",
        }.items()
    )


def test_the_trace_of_a_change_shows_the_insert_between_placing_and_lifting_the_fence(
    caller: User, collector: Collector
) -> None:
    trace_id, headers = traceparent()
    caller.client.post(
        "/api/mylist/add",
        json={"contentId": MATRIX_ID, "contentType": "movie"},
        headers=caller.headers | headers,
    )
    spans = collector.trace(trace_id, spans=4)

    assert {"POST /api/mylist/add", "redis place_fence", "redis lift_fence"} <= spans.keys()
    [insert] = [span for name, each in spans.items() if name.endswith(".insert") for span in each]
    [placed], [lifted] = spans["redis place_fence"], spans["redis lift_fence"]
    assert placed.end_time_unix_nano <= insert.start_time_unix_nano
    assert insert.end_time_unix_nano <= lifted.start_time_unix_nano


def test_a_shared_redis_read_links_to_every_request_that_it_serves(caller: User, collector: Collector) -> None:
    caller.items()

    def gets() -> list[Span]:
        return [span for span in collector.spans if span.name == "redis get"]

    def shared() -> list[set[bytes]]:
        return [{link.span_id for link in span.links} for span in gets() if span.links]

    def read_at_once() -> set[bytes]:
        """Return the ids of the spans of the reads that hit."""
        asked = [traceparent() for _ in range(40)]
        with ThreadPoolExecutor(10) as clients:
            answers = list(clients.map(lambda headers: caller.items(**headers), [headers for _, headers in asked]))
        return {
            collector.trace(trace_id, spans=1)["GET /api/mylist/items"][0].span_id
            for (trace_id, _), answer in zip(asked, answers, strict=True)
            if answer.headers["x-cache"] == "hit"
        }

    def served() -> set[bytes]:
        return {span_id for span in gets() for span_id in (span.parent_span_id, *(link.span_id for link in span.links))}

    hits: set[bytes] = set()

    def some_shared() -> list[set[bytes]]:
        hits.update(read_at_once())
        wait_until(lambda: hits <= served(), within=PATIENCE)
        return shared()

    shared_by = wait_until(some_shared, within=PATIENCE)  # how many requests share a read depends on the machine
    assert hits
    assert all(len(links) > 1 for links in shared_by), "whom a read served alone is above it already"
    assert all(span.parent_span_id in {link.span_id for link in span.links} for span in gets() if span.links)


def test_unsampled_requests_probes_and_heartbeats_create_no_spans(caller: User, collector: Collector) -> None:
    unsampled, headers = traceparent(sampled=False)
    answer = caller.items(**headers)
    caller.items()
    caller.client.get("/livez", headers=traceparent()[1])
    marker, headers = traceparent()
    caller.items(**headers)
    collector.trace(marker, spans=2)

    assert "traceresponse" not in answer.headers
    assert not [span for span in collector.spans if span.trace_id.hex() == unsampled]
    assert not [span for span in collector.spans if span.name.endswith(("hello", "livez", "heartbeat"))]
    assert not [span for span in collector.spans if not is_server(span) and not span.parent_span_id]


def test_the_span_of_a_404_has_the_status_code_but_is_not_an_error(caller: User, collector: Collector) -> None:
    refused, headers = traceparent()
    caller.client.get("/api/mylist/nowhere", headers=headers)
    [server] = collector.trace(refused, spans=1)["GET"]

    assert attributes(server)["http.response.status_code"] == 404
    assert server.status.code == Status.STATUS_CODE_UNSET, "that is the client's fault"


def test_a_span_ends_as_an_error_when_the_client_disconnects(traced: Service, collector: Collector) -> None:
    trace_id, headers = traceparent()
    head = (
        f"POST /api/mylist/add HTTP/1.1\r\nhost: x\r\nuser-id: x\r\ntraceparent: {headers['traceparent']}\r\n"
        "content-type: application/json\r\ncontent-length: 100\r\n\r\n{"
    )
    with socket.create_connection(("127.0.0.1", traced.port)) as connection:
        connection.sendall(head.encode())
        under_way = {"http_route": "/api/mylist/add"}
        wait_until(lambda: Metrics(traced).value("http_server_active_requests", **under_way), within=PATIENCE)
    [[server]] = collector.trace(trace_id, spans=1).values()

    assert server.end_time_unix_nano > server.start_time_unix_nano
    assert server.status.code == Status.STATUS_CODE_ERROR


def test_a_span_is_not_reused_by_the_next_request_on_the_connection(caller: User, collector: Collector) -> None:
    trace_id, headers = traceparent()
    caller.items(**headers)
    following = caller.items()

    assert "traceresponse" not in following.headers
    assert len(collector.trace(trace_id, spans=2)["GET /api/mylist/items"]) == 1


def test_a_bucket_of_read_durations_has_the_trace_id_as_its_exemplar(traced: Service, caller: User) -> None:
    trace_id, headers = traceparent()
    caller.items(**headers)
    metrics = httpx.get(f"{traced.url}/metrics", headers={"accept": OPENMETRICS}, trust_env=False, verify=NO_TLS).text

    assert re.search(rf'^mylist_read_duration_seconds_bucket.*# {{trace_id="{trace_id}"}}', metrics, re.MULTILINE)


def test_the_sampling_ratio_applies_and_the_last_spans_are_sent_on_shutdown(serve: Serve, collector: Collector) -> None:
    service = serve(
        OTEL_EXPORTER_OTLP_TRACES_ENDPOINT=f"{collector.endpoint}/v1/traces",
        OTEL_TRACES_SAMPLER="traceidratio",
        OTEL_TRACES_SAMPLER_ARG="0.25",
        OTEL_SERVICE_NAME="another",
    )
    with httpx.Client(base_url=service.url, headers={"user-id": "sampled"}, trust_env=False, verify=NO_TLS) as client:
        sampled = sum("traceresponse" in client.get("/api/mylist/stats").headers for _ in range(400))

    assert 60 < sampled < 140
    service.stop()
    assert collector.resource["service.name"] == "another", "what was left was not sent at the end"


def test_an_unreachable_collector_does_not_affect_requests(serve: Serve) -> None:
    service = serve(OTEL_EXPORTER_OTLP_ENDPOINT=f"http://127.0.0.1:{free_port()}", OTEL_TRACES_SAMPLER="always_on")
    with httpx.Client(base_url=service.url, headers={"user-id": "away"}, trust_env=False, verify=NO_TLS) as client:
        assert all(client.get("/api/mylist/stats").status_code == 200 for _ in range(20))
    # It also stops as quickly as usual: `serve` checks that.


QUOTA = ExportTraceServiceResponse()
QUOTA.partial_success.rejected_spans = 1
QUOTA.partial_success.error_message = "quota exceeded"


@pytest.mark.parametrize(
    ("status", "body", "headers", "says"),
    [
        (
            308,
            b"",
            {"location": "https://other.example/v1/traces"},
            r"answers 308 .* to https://other\.example/v1/traces;",
        ),
        (429, b"slow down", {"retry-after": "3600"}, r"answers 429 Too Many Requests, Retry-After: 3600: slow down"),
        (403, b"no such tenant", {}, r"answers 403 Forbidden: no such tenant"),
        (200, QUOTA.SerializeToString(), {}, r"rejects 1 spans: quota exceeded"),
    ],
)
def test_a_refusal_by_the_collector_is_logged_in_one_line(
    serve: Serve, status: int, body: bytes, headers: dict[str, str], says: str
) -> None:
    taken = 0

    class Refusing(FakeHttpHandler):
        def do_POST(self) -> None:  # noqa: N802 - as http.server calls it
            nonlocal taken
            self.rfile.read(int(self.headers["content-length"]))
            taken += 1
            content_type = "application/x-protobuf" if status == 200 else "text/plain"
            self.answer(body, content_type, status, **headers)

    with fake_http_server(Refusing) as port:
        service = serve(
            OTEL_EXPORTER_OTLP_ENDPOINT=f"http://127.0.0.1:{port}",
            OTEL_TRACES_SAMPLER="always_on",
            OTEL_BSP_SCHEDULE_DELAY="50",
        )
        with httpx.Client(base_url=service.url, headers={"user-id": "x"}, trust_env=False, verify=NO_TLS) as client:
            wait_until(lambda: client.get("/api/mylist/stats").is_success and taken > 3, within=PATIENCE)
        told = [line for line in service.log.read_text().splitlines() if "Spans lost" in line or "export" in line]
        service.stop()

    assert len(told) == 1, told
    assert re.search(rf"Spans lost: \d+; the collector at http://127\.0\.0\.1:{port} {says}", told[0])


def test_a_hanging_collector_is_logged_after_a_timeout_given_in_milliseconds(serve: Serve) -> None:
    with socket.create_server(("127.0.0.1", 0)) as hanging:
        port = hanging.getsockname()[1]
        service = serve(
            OTEL_EXPORTER_OTLP_ENDPOINT=f"http://127.0.0.1:{port}",
            OTEL_EXPORTER_OTLP_TIMEOUT="500",
            OTEL_TRACES_SAMPLER="always_on",
            OTEL_BSP_SCHEDULE_DELAY="50",
        )
        httpx.get(f"{service.url}/api/mylist/stats", headers={"user-id": "x"}, trust_env=False, verify=NO_TLS)
        told = rf"the collector at http://127\.0\.0\.1:{port} does not answer: .*Read timed out"
        wait_until(lambda: re.search(told, service.log.read_text()), within=60)


@pytest.mark.parametrize(
    ("variable", "value", "says"),
    [
        (
            "OTEL_EXPORTER_OTLP_TIMEOUT",
            "3600000",
            "OTEL_EXPORTER_OTLP_TIMEOUT is '3600000'; it must be a whole number of milliseconds from 1 to 60000",
        ),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "notaurl", "OTEL_EXPORTER_OTLP_ENDPOINT is 'notaurl'; it must be a URL that "),
        ("OTEL_BSP_MAX_QUEUE_SIZE", "big", "OTEL_BSP_MAX_QUEUE_SIZE is 'big'; it must be a whole number from 1 to "),
        ("OTEL_TRACES_SAMPLER", "sometimes", "OTEL_TRACES_SAMPLER is 'sometimes'; it must be always_on, "),
        ("OTEL_TRACES_SAMPLER_ARG", "1.5", "OTEL_TRACES_SAMPLER_ARG is '1.5'; it must be a number from 0 to 1"),
        ("OTEL_TRACES_SAMPLER_ARG", "many", "OTEL_TRACES_SAMPLER_ARG is 'many'; it must be a number from 0 to 1"),
    ],
)
def test_an_invalid_variable_fails_the_start_and_is_named_in_one_line(
    tmp_path: Path, variable: str, value: str, says: str
) -> None:
    settings = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:4318", variable: value, "PORT": str(free_port())}
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
    assert done.stderr.startswith(f"mylist: {says}")
    assert done.stderr.count("\n") == 1


def test_no_log_line_no_span_and_no_metric_names_a_user(
    serve: Serve,
    collector: Collector,
    titles: None,  # noqa: ARG001 - inserted before the first call
    database: Database[dict[str, object]],
) -> None:
    """At the most verbose log level, with every request counted as slow and traced."""
    service = serve(
        LOG_LEVEL="debug",
        SLOW_REQUEST="0.001",
        OTEL_EXPORTER_OTLP_ENDPOINT=collector.endpoint,
        OTEL_TRACES_SAMPLER="always_on",
        OTEL_BSP_SCHEDULE_DELAY="100",
    )
    before = len(collector.spans)
    with connect(service) as client:
        caller = Caller(client)
        call_every_route(caller, database)
        metrics = client.get("/metrics").text
    wait_until(lambda: len(collector.spans) - before > len(caller.called), within=PATIENCE)
    logged = service.log.read_text()

    assert '"level":"debug"' in logged
    for written in (logged, metrics, *map(str, collector.spans[before:])):
        assert caller.user.id not in written
