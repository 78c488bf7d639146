"""Sends spans to a collector, and logs the spans that it did not accept.

OpenTelemetry's exporter treats every status below 400 as success and ignores the body. So spans are lost silently if
the collector redirects, or rejects spans in an answer of status 200 (`partial_success`). For every other failure it
logs a line per batch, without the collector's message.

`mylist.telemetry.request_tracer` imports this module once it traces: OpenTelemetry is an extra.
"""

import logging
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, overload

import requests
from google.protobuf.message import DecodeError
from google.rpc.status_pb2 import Status
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

from mylist.config.settings import without_password
from mylist.telemetry.line_limit import LineLimit

_REPORT_INTERVAL_S = 60.0
_SPANS_PER_TURN = 4
_PAUSE_S = 0.0002
"""With this many spans per turn, a process exports up to 10,000 spans a second."""
_MAX_WORDS_LENGTH = 300
"""In characters."""
_PROTOBUF = "application/x-protobuf"
_HTML = "text/html"

_logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Refusal:
    """A refusal of a collector.

    Attributes:
        words: the collector's action or message, which the log prints after its name.
        spans: how many spans it rejected; None for the whole batch.
    """

    words: str
    spans: int | None = None


class _Session(requests.Session):
    """Records the outcome of the last request. Follows no redirects, because a redirected POST may become a GET."""

    def __init__(self) -> None:
        super().__init__()
        self.refusal: Refusal | None = None

    def send(self, request: requests.PreparedRequest, **options: Any) -> requests.Response:  # noqa: ANN401 - as declared
        try:
            response = super().send(request, **(options | {"allow_redirects": False}))
        except requests.RequestException as error:
            self.refusal = Refusal(f"does not answer: {_in_one_line(_cause(error))}")
            raise
        self.refusal = refusal_of(response.status_code, response.reason or "", response.headers, response.content)
        return response


def refusal_of(status: int, reason: str, headers: Mapping[str, str], body: bytes) -> Refusal | None:
    """Return the refusal in a collector's answer; None without one. The names of `headers` are in lower case."""
    content_type = headers.get("content-type", "").partition(";")[0].strip().lower()
    answer = f"answers {status} {reason}".rstrip()
    if 300 <= status < 400:  # noqa: PLR2004 - HTTP's own
        target = without_password(_in_one_line(headers.get("location", "")))
        return Refusal(
            f"{answer} and redirects to {target or 'nowhere'}; set OTEL_EXPORTER_OTLP_ENDPOINT to that address"
        )
    if status >= 400:  # noqa: PLR2004 - HTTP's own
        waits = headers.get("retry-after", "")
        retry = f", Retry-After: {_in_one_line(waits)}" if waits else ""
        return Refusal(f"{answer}{retry}{_quoted(_words_of(content_type, body))}")
    if content_type == _HTML:
        return Refusal(f"{answer} with {_HTML}, which is a web page, not the answer of a collector")
    return _partial_refusal(body) if content_type == _PROTOBUF else None


def _partial_refusal(body: bytes) -> Refusal | None:
    try:
        partial = ExportTraceServiceResponse.FromString(body).partial_success
    except DecodeError:
        return None
    if not partial.rejected_spans and not partial.error_message:
        return None
    outcome = f"rejects {partial.rejected_spans} spans" if partial.rejected_spans else "takes all spans with a warning"
    return Refusal(outcome + _quoted(partial.error_message), partial.rejected_spans)


def _words_of(content_type: str, body: bytes) -> str:
    """Return the message of a refusal: that of a `google.rpc.Status`, or the whole text."""
    if content_type == _PROTOBUF:
        try:
            return str(Status.FromString(body).message)
        except DecodeError:
            return ""
    return body.decode(errors="replace")


def _quoted(words: str) -> str:
    told = _in_one_line(words)
    return f": {told}" if told else ""


def _in_one_line(text: object) -> str:
    printable = "".join(each if each.isprintable() else " " for each in str(text)[: 4 * _MAX_WORDS_LENGTH])
    return " ".join(printable.split())[:_MAX_WORDS_LENGTH]


def _cause(error: BaseException) -> BaseException:
    """Return the innermost cause of an error of `requests`: the outer ones quote objects and addresses."""
    reason = getattr(error, "reason", None) or (error.args[0] if error.args else None)
    return _cause(reason) if isinstance(reason, BaseException) else error


class _InTurns(Sequence[ReadableSpan]):
    """Spans whose iteration pauses after every few, so that the event loop can run.

    OpenTelemetry encodes a whole batch in one loop. Its thread and the event loop would share the interpreter for
    milliseconds, and all requests in flight would wait.
    """

    def __init__(self, spans: Sequence[ReadableSpan], pause: Callable[[float], None]) -> None:
        self._spans = spans
        self._pause = pause

    def __len__(self) -> int:
        return len(self._spans)

    @overload
    def __getitem__(self, index: int) -> ReadableSpan: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[ReadableSpan]: ...
    def __getitem__(self, index: int | slice) -> ReadableSpan | Sequence[ReadableSpan]:
        return self._spans[index]

    def __iter__(self) -> Iterator[ReadableSpan]:
        for number, span in enumerate(self._spans):
            if number % _SPANS_PER_TURN == 0:
                self._pause(_PAUSE_S)
            yield span


class TellingExporter(SpanExporter):
    """Exports spans, and logs how many were lost and why: at once, then at most once a minute.

    Args:
        endpoint: the destination of the spans, as the log prints it.
        timeout_s: maximum time for one batch, including retries.
        clock: monotonic seconds.
        pause: waits for some seconds.
    """

    def __init__(
        self,
        endpoint: str,
        timeout_s: float,
        *,
        clock: Callable[[], float] = time.monotonic,
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        logging.getLogger(OTLPSpanExporter.__module__).setLevel(logging.CRITICAL)  # this class logs its failures
        self._session = _Session()
        self._exporter = OTLPSpanExporter(timeout=timeout_s, session=self._session)
        self._endpoint = endpoint
        self._pause = pause
        self._lines = LineLimit(1, period_s=_REPORT_INTERVAL_S, clock=clock)
        self._lock = threading.Lock()
        self._lost = 0

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Send spans; blocks until they are sent or lost."""
        with self._lock:
            self._session.refusal = None
            result = self._exporter.export(_InTurns(spans, self._pause))
            refusal = self._session.refusal
            if refusal is None and result is SpanExportResult.SUCCESS:
                return result
            refusal = refusal or Refusal("did not get them: they cannot be encoded, or are too large")
            self._tell(refusal, len(spans) if refusal.spans is None else refusal.spans)
        return SpanExportResult.FAILURE

    def _tell(self, refusal: Refusal, lost: int) -> None:
        self._lost += lost
        if self._lines.allows():
            _logger.warning("Spans lost: %d; the collector at %s %s", self._lost, self._endpoint, refusal.words)
            self._lost = 0

    def shutdown(self) -> None:
        """Stop. Spans in flight are not retried."""
        self._exporter.shutdown()  # type: ignore[no-untyped-call]
