"""Spans that a collector refuses: the exporter reads the reason from the answer, and logs it once a minute."""

import logging
import socket
from collections.abc import Iterator
from typing import ClassVar

import pytest
from google.rpc.status_pb2 import Status
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SpanExportResult

from mylist.telemetry.span_exporter import Refusal, TellingExporter, refusal_of
from tests.fake_http_server import FakeHttpHandler, fake_http_server

PROTOBUF = {"content-type": "application/x-protobuf"}
MOVED = "and redirects to https://c/v1/traces; set OTEL_EXPORTER_OTLP_ENDPOINT to that address"


def partial(rejected: int, message: str) -> bytes:
    answer = ExportTraceServiceResponse()
    answer.partial_success.rejected_spans = rejected
    answer.partial_success.error_message = message
    return bytes(answer.SerializeToString())


@pytest.mark.parametrize(
    ("status", "reason", "headers", "body", "refusal"),
    [
        (
            308,
            "Permanent Redirect",
            {"location": "https://c/v1/traces"},
            b"",
            f"answers 308 Permanent Redirect {MOVED}",
        ),
        (302, "Found", {"location": "https://c/v1/traces"}, b"", f"answers 302 Found {MOVED}"),
        (307, "", {}, b"", "answers 307 and redirects to nowhere; set OTEL_EXPORTER_OTLP_ENDPOINT to that address"),
        (
            429,
            "Too Many Requests",
            {"retry-after": "120", "content-type": "text/plain"},
            b"quota of\n  the month\x00",
            "answers 429 Too Many Requests, Retry-After: 120: quota of the month",
        ),
        (
            400,
            "Bad Request",
            PROTOBUF,
            Status(code=3, message="no tenant").SerializeToString(),
            "answers 400 Bad Request: no tenant",
        ),
        (401, "Unauthorized", {"content-type": "application/json"}, b'{"a": 1}', 'answers 401 Unauthorized: {"a": 1}'),
        (413, "Too Large", PROTOBUF, b"\xff\xff", "answers 413 Too Large"),
        (503, "Unavailable", {}, b"", "answers 503 Unavailable"),
        (
            200,
            "OK",
            {"content-type": "text/html; charset=utf-8"},
            b"<h1>Sign in</h1>",
            "answers 200 OK with text/html, ",
        ),
    ],
)
def test_the_reason_of_a_refused_batch_is_read_from_the_answer(
    status: int, reason: str, headers: dict[str, str], body: bytes, refusal: str
) -> None:
    found = refusal_of(status, reason, headers, body)

    assert found
    assert found.spans is None
    assert found.words.startswith(refusal)
    assert found.words.isprintable()


@pytest.mark.parametrize(
    ("rejected", "message", "words"),
    [
        (3, "quota exceeded", "rejects 3 spans: quota exceeded"),
        (1, "", "rejects 1 spans"),
        (0, "deprecated attribute", "takes all spans with a warning: deprecated attribute"),
    ],
)
def test_the_reason_of_a_partial_success_is_read_from_the_answer(rejected: int, message: str, words: str) -> None:
    assert refusal_of(200, "OK", PROTOBUF, partial(rejected, message)) == Refusal(words, rejected)


@pytest.mark.parametrize(
    ("headers", "body"),
    [
        (PROTOBUF, b""),
        (PROTOBUF, partial(0, "")),
        (PROTOBUF, b"\xff\xff"),
        ({}, b""),
        ({"content-type": "text/plain"}, b"ok"),
    ],
)
def test_an_answer_that_accepts_all_spans_is_not_a_refusal(headers: dict[str, str], body: bytes) -> None:
    assert refusal_of(200, "OK", headers, body) is None


def test_a_long_reason_is_truncated() -> None:
    found = refusal_of(500, "Error", {}, b"x" * 100_000)

    assert found
    assert len(found.words) < 400


class Collector(FakeHttpHandler):
    port, status, body, location = 0, 200, b"", ""
    received: ClassVar[list[ExportTraceServiceRequest]] = []

    def do_POST(self) -> None:  # noqa: N802 - as http.server calls it
        sent = self.rfile.read(int(self.headers["content-length"]))
        self.received.append(ExportTraceServiceRequest.FromString(sent))
        self.answer(self.body, "application/x-protobuf", self.status, location=self.location)


@pytest.fixture
def collector() -> Iterator[type[Collector]]:
    class Own(Collector):
        received: ClassVar[list[ExportTraceServiceRequest]] = []

    with fake_http_server(Own) as port:
        Own.port = port
        yield Own


class Exporting:
    """An exporter, its clock, its pauses in seconds, and its batches of two spans."""

    def __init__(self, port: int, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", f"http://127.0.0.1:{port}/v1/traces")
        self.now = 0.0
        self.pauses: list[float] = []
        self.exporter = TellingExporter("http://collector", 2, clock=lambda: self.now, pause=self.pauses.append)

    def export(self, count: int = 2) -> SpanExportResult:
        tracer = TracerProvider(shutdown_on_exit=False).get_tracer("tests")
        spans = [tracer.start_span(f"span {number}") for number in range(count)]
        for span in spans:
            span.end()
        return self.exporter.export([span for span in spans if isinstance(span, ReadableSpan)])


def test_lost_spans_are_logged_once_a_minute(
    collector: type[Collector], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    exporting = Exporting(collector.port, monkeypatch)
    with caplog.at_level(logging.DEBUG):
        assert exporting.export() is SpanExportResult.SUCCESS
        assert [each for each in caplog.records if each.levelno >= logging.WARNING] == []
        collector.status, collector.location = 308, "https://elsewhere/"
        for exporting.now in (0, 1, 59, 60, 61, 119):
            assert exporting.export() is SpanExportResult.FAILURE
        collector.status, collector.body = 200, partial(1, "quota")
        exporting.now = 120
        assert exporting.export() is SpanExportResult.FAILURE

    told = [each.getMessage() for each in caplog.records if each.levelno >= logging.WARNING]
    moved = (
        "answers 308 Permanent Redirect and redirects to https://elsewhere/; "
        "set OTEL_EXPORTER_OTLP_ENDPOINT to that address"
    )
    assert told == [
        f"Spans lost: 2; the collector at http://collector {moved}",
        f"Spans lost: 6; the collector at http://collector {moved}",
        "Spans lost: 5; the collector at http://collector rejects 1 spans: quota",
    ]


def test_spans_that_a_retry_delivers_are_not_logged(
    collector: type[Collector], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    exporting = Exporting(collector.port, monkeypatch)
    answers = iter([503, 200])
    monkeypatch.setattr(collector, "status", property(lambda _: next(answers)))
    monkeypatch.setattr(
        collector,
        "answer",
        lambda self, body, kind, status, **_: FakeHttpHandler.answer(self, body, kind, status, **{"retry-after": "0"}),
    )

    assert exporting.export() is SpanExportResult.SUCCESS
    assert [each for each in caplog.records if each.levelno >= logging.WARNING] == []


def test_an_unreachable_collector_is_logged_with_the_cause(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        exporting = Exporting(silent.getsockname()[1], monkeypatch)
        assert exporting.export() is SpanExportResult.FAILURE

    [told] = [each.getMessage() for each in caplog.records if each.levelno >= logging.WARNING]
    assert told.startswith("Spans lost: 2; the collector at http://collector does not answer: ")
    assert "refused" in told
    assert "object at 0x" not in told


def test_a_batch_is_encoded_a_few_spans_at_a_time_and_sent_whole(
    collector: type[Collector], monkeypatch: pytest.MonkeyPatch
) -> None:
    exporting = Exporting(collector.port, monkeypatch)

    assert exporting.export(10) is SpanExportResult.SUCCESS
    assert exporting.pauses == [0.0002] * 3  # before the first, the fifth and the ninth span
    [sent] = collector.received
    names = [span.name for each in sent.resource_spans for scope in each.scope_spans for span in scope.spans]
    assert names == [f"span {number}" for number in range(10)]
