"""Spans of requests and of their operations, by OpenTelemetry's SDK.

`mylist.telemetry.tracing` imports this module once it traces: OpenTelemetry is an extra.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.instrumentation.pymongo import PymongoInstrumentor
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ALWAYS_ON, ParentBased, Sampler
from opentelemetry.trace import Span
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from mylist import __version__
from mylist.telemetry.span_exporter import TellingExporter
from mylist.telemetry.tracing_settings import TracingSettings

Attributes = Mapping[str, str | int]


class RequestTracer:
    """Creates spans; every span is sampled.

    Raises:
        ValueError: a variable of OpenTelemetry cannot be used.
    """

    def __init__(self, settings: TracingSettings) -> None:
        self._resource = Resource.create({"service.version": __version__})
        self._processor = BatchSpanProcessor(
            TellingExporter(settings.endpoint, settings.export_timeout_s),
            max_queue_size=settings.queue_size,
            schedule_delay_millis=settings.schedule_delay_ms,
            max_export_batch_size=settings.batch_size,
        )
        self._propagator = TraceContextTextMapPropagator()
        self._tracer = self._provider(ALWAYS_ON).get_tracer("mylist", __version__)
        # Commands of background checks have no parent request, so they create no spans.
        PymongoInstrumentor().instrument(tracer_provider=self._provider(ParentBased(ALWAYS_OFF)))

    def shutdown(self) -> None:
        """Send the remaining spans. Blocks until the collector answers."""
        self._processor.shutdown()  # type: ignore[no-untyped-call]

    @staticmethod
    def uninstrument() -> None:
        """Stop creating spans for MongoDB's commands."""
        PymongoInstrumentor().uninstrument()

    def _provider(self, sampler: Sampler) -> TracerProvider:
        provider = TracerProvider(sampler=sampler, resource=self._resource, shutdown_on_exit=False)
        provider.add_span_processor(self._processor)
        return provider

    @contextmanager
    def request(self, headers: Mapping[str, str], attributes: Attributes) -> Iterator[Span]:
        """Surround a request by a span, as a child of the span in its W3C trace context headers.

        The span has the request's method as its name until the route is known. MongoDB's commands are its children.
        """
        parent = self._propagator.extract(headers, Context())
        name = str(attributes["http.request.method"])
        span = self._tracer.start_span(name, parent, trace.SpanKind.SERVER, attributes)
        with _ended(span), trace.use_span(span, record_exception=False, set_status_on_exception=False):
            yield span

    @contextmanager
    def operation(self, system: str, name: str, served: Sequence[Span]) -> Iterator[Span]:
        """Surround an operation by a span: a child of the first request's span, linked to all if there are several."""
        span = self._tracer.start_span(
            f"{system} {name}",
            trace.set_span_in_context(served[0], Context()),
            trace.SpanKind.CLIENT,
            {"db.system.name": system, "db.operation.name": name},
            [trace.Link(each.get_span_context()) for each in served] if len(served) > 1 else None,
        )
        with _ended(span):
            yield span


@contextmanager
def _ended(span: Span) -> Iterator[None]:
    """End a span with the block, and mark it if the block fails; the SDK does not mark cancelled spans."""
    try:
        yield
    except BaseException as error:
        fail(span, type(error).__name__, str(error) or None)
        raise
    finally:
        span.end()


def fail(span: Span, kind: str, description: str | None = None) -> None:
    """Mark a span as failed, with the reason."""
    span.set_attribute("error.type", kind)
    span.set_status(trace.Status(trace.StatusCode.ERROR, description))
