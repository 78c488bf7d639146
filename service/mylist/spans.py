"""Spans of requests, and of what they ask of Redis; apart from `mylist.tracing`, which works without OpenTelemetry.

The SDK's tracer makes spans that any thread may change at any time, within limits: locks, copies and checks for each
attribute. A span here belongs to one task and has few attributes, all of them known; it becomes the SDK's
`ReadableSpan` when it ends. That takes a quarter of the time, and a fifth less to encode.
"""

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import TracebackType
from typing import Self

from opentelemetry import context, trace
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor
from opentelemetry.sdk.trace.id_generator import RandomIdGenerator
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from mylist import __version__

_RANDOM_TRACE_ID = 0x02
_UNSET = trace.Status()
_SCOPE = InstrumentationScope("mylist", __version__)


class Span:
    """A span under way; as a context manager it ends with the block, marked if that fails.

    Attributes:
        context: what others are below it, or linked to it, by.
        name: may change until the end.
        attributes: likewise.
    """

    __slots__ = ("_began", "_kind", "_links", "_parent", "_spans", "_status", "attributes", "context", "name")

    def __init__(  # noqa: PLR0913 - the parts of a span
        self,
        spans: "Spans",
        name: str,
        kind: trace.SpanKind,
        parent: trace.SpanContext | None,
        attributes: dict[str, str | int],
        links: Sequence[trace.Link] = (),
    ) -> None:
        self.name = name
        self.attributes = attributes
        self.context = spans.context_below(parent)
        self._spans = spans
        self._kind = kind
        self._parent = parent
        self._links = links
        self._status = _UNSET
        self._began = time.time_ns()

    @property
    def trace_id(self) -> str:
        """32 hexadecimal digits."""
        return f"{self.context.trace_id:032x}"

    @property
    def traceparent(self) -> str:
        """W3C's trace context."""
        return f"00-{self.trace_id}-{self.context.span_id:016x}-{self.context.trace_flags:02x}"

    def fail(self, kind: str, description: str | None = None) -> None:
        """Marks that what it stands for has failed, and how."""
        self.attributes["error.type"] = kind
        self._status = trace.Status(trace.StatusCode.ERROR, description)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, _: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if error is not None:
            self.fail(type(error).__name__, str(error) or None)
        self._spans.processor.on_end(
            ReadableSpan(
                self.name,
                context=self.context,
                parent=self._parent,
                resource=self._spans.resource,
                attributes=self.attributes,
                links=self._links,
                kind=self._kind,
                status=self._status,
                start_time=self._began,
                end_time=time.time_ns(),
                instrumentation_scope=_SCOPE,
            )
        )


class HashedResource(Resource):
    """A resource that knows its hash: the encoder asks each span for it, and the SDK writes it as JSON every time."""

    def __init__(self, resource: Resource) -> None:
        super().__init__(resource.attributes, resource.schema_url)
        self._hash = super().__hash__()

    def __hash__(self) -> int:
        return self._hash


class Spans:
    """Makes spans, every one of which is sampled.

    Args:
        resource: what they tell about.
        processor: where they go when they end.

    Attributes:
        resource: as given.
        processor: as given.
    """

    def __init__(self, resource: Resource, processor: SpanProcessor) -> None:
        self.resource = resource
        self.processor = processor
        self._ids = RandomIdGenerator()
        self._propagator = TraceContextTextMapPropagator()

    def of_request(self, headers: Mapping[str, str], attributes: dict[str, str | int]) -> Span:
        """Begins the span of a request, below the one that W3C's trace context in its headers names.

        It is called by its method until somebody knows the route.
        """
        parent = None
        if "traceparent" in headers:
            given = trace.get_current_span(self._propagator.extract(headers)).get_span_context()
            parent = given if given.is_valid else None
        return Span(self, str(attributes["http.request.method"]), trace.SpanKind.SERVER, parent, attributes)

    def of_operation(self, system: str, name: str, served: Sequence[Span]) -> Span:
        """Begins the span of what a store does for requests: below the first, linked to each if there are several."""
        attributes: dict[str, str | int] = {"db.system.name": system, "db.operation.name": name}
        links = [trace.Link(span.context) for span in served] if len(served) > 1 else ()
        return Span(self, f"{system} {name}", trace.SpanKind.CLIENT, served[0].context, attributes, links)

    @staticmethod
    @contextmanager
    def above_the_driver(span: Span) -> Iterator[None]:
        """Puts a span above those that the instrumentation of MongoDB's driver makes."""
        token = context.attach(trace.set_span_in_context(trace.NonRecordingSpan(span.context)))
        try:
            yield
        finally:
            context.detach(token)

    def context_below(self, parent: trace.SpanContext | None) -> trace.SpanContext:
        """Gives the context of a new span."""
        if parent is None:
            flags, state, trace_id = trace.TraceFlags.SAMPLED, None, self._ids.generate_trace_id()
        else:
            flags = trace.TraceFlags.SAMPLED | parent.trace_flags & _RANDOM_TRACE_ID
            state, trace_id = parent.trace_state, parent.trace_id
        return trace.SpanContext(
            trace_id,
            self._ids.generate_span_id(),
            is_remote=False,
            trace_flags=trace.TraceFlags(flags),
            trace_state=state,
        )
