"""Traces by OpenTelemetry, over OTLP/HTTP; off, and free, unless an endpoint is set (`OTEL_EXPORTER_OTLP_ENDPOINT`).

The standard `OTEL_*` variables say where to, which share, and what the service is called. Whether a request is sampled
is decided before anything is created for it. So the sampler that the variables name is worked out here, and the SDK,
which sees MongoDB's commands alone, samples those of requests that are.
"""

import os
import random
import re
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING

from multidict import istr

from mylist import __version__

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider

    from mylist.spans import Span, Spans

_SAMPLERS = ("always_on", "always_off", "traceidratio", "parentbased_always_on", "parentbased_always_off")
_PARENT_BASED = "parentbased_"
_DEFAULT_SAMPLER = "parentbased_traceidratio"
_DEFAULT_RATIO = 0.01
_EXPORT_TIMEOUT = 3.0
_FLUSH_TIMEOUT = 2.0
# Spans are encoded by a thread, which keeps the event loop waiting meanwhile: 12 ms for the SDK's batch of 512.
_BATCH_SIZE = 128
_SWITCH_INTERVAL = 0.0005
_PROTOCOL = "http/protobuf"
_SAMPLED = 1
_PARENT = istr("traceparent")
_TRACEPARENT = re.compile(r"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-([0-9a-f]{2})(?:-.*)?")


class TracingError(Exception):
    """Tracing is asked for and cannot be had; the message is one line that says why and what to do."""


@dataclass(frozen=True, slots=True)
class _Tracing:
    spans: "Spans"
    provider: "TracerProvider"
    ratio: float
    heeds_parent: bool


_tracing: _Tracing | None = None
_NOTHING = nullcontext()
_under_way: "set[Span]" = set()
_span: "ContextVar[Span | None]" = ContextVar("mylist_span", default=None)


def start() -> None:
    """Begins to trace if the environment says where to; before the clients of the stores are made.

    Raises:
        TracingError: a variable cannot be used, or OpenTelemetry is not installed.
    """
    global _tracing  # noqa: PLW0603 - one process, one tracer
    endpoints = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
    is_off = os.environ.get("OTEL_SDK_DISABLED", "").lower() == "true"
    is_off = is_off or os.environ.get("OTEL_TRACES_EXPORTER", "otlp").lower() == "none"
    if is_off or not any(os.environ.get(name) for name in endpoints):
        return
    ratio, heeds_parent = _sampling(os.environ)
    for name in ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL"):
        if (protocol := os.environ.get(name) or _PROTOCOL) != _PROTOCOL:
            raise TracingError(f"{name} is {protocol!r}; it may be {_PROTOCOL}")
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter  # noqa: PLC0415 - an extra
        from opentelemetry.instrumentation.pymongo import PymongoInstrumentor  # noqa: PLC0415
        from opentelemetry.sdk.resources import Resource  # noqa: PLC0415
        from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415
        from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415
        from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ParentBased  # noqa: PLC0415

        from mylist.spans import HashedResource, Spans  # noqa: PLC0415
    except ImportError as error:
        raise TracingError(f"OpenTelemetry is not installed ({error}); pip install 'mylist[tracing]'") from None
    os.environ.setdefault("OTEL_SERVICE_NAME", "mylist")
    os.environ.setdefault("OTEL_EXPORTER_OTLP_TIMEOUT", str(_EXPORT_TIMEOUT))
    os.environ.setdefault("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", str(_BATCH_SIZE))
    sys.setswitchinterval(_SWITCH_INTERVAL)
    try:
        resource = HashedResource(Resource.create({"service.version": __version__}))
        processor = BatchSpanProcessor(OTLPSpanExporter())
        # Commands of background checks have no request above them, and so become nothing.
        provider = TracerProvider(sampler=ParentBased(ALWAYS_OFF), resource=resource, shutdown_on_exit=False)
        provider.add_span_processor(processor)
    except ValueError as error:
        raise TracingError(f"a variable of OpenTelemetry (OTEL_…) cannot be used: {error}") from None
    PymongoInstrumentor().instrument(tracer_provider=provider)
    _tracing = _Tracing(Spans(resource, processor), provider, ratio, heeds_parent)


def stop() -> None:
    """Sends what is left, without much patience; blocks."""
    global _tracing  # noqa: PLW0603
    if _tracing is None:
        return
    from opentelemetry.instrumentation.pymongo import PymongoInstrumentor  # noqa: PLC0415 - an extra

    # The SDK would wait for a collector that does not answer, for as long as it has spans for it.
    flushing = threading.Thread(target=_tracing.provider.shutdown, daemon=True)
    flushing.start()
    flushing.join(_FLUSH_TIMEOUT)
    PymongoInstrumentor().uninstrument()
    _tracing = None


def _sampling(environment: Mapping[str, str]) -> tuple[float, bool]:
    name = environment.get("OTEL_TRACES_SAMPLER") or _DEFAULT_SAMPLER
    kind = name.removeprefix(_PARENT_BASED)
    if kind in ("always_on", "always_off"):
        return float(kind == "always_on"), name != kind
    if kind != "traceidratio":
        may = ", ".join((*_SAMPLERS, _DEFAULT_SAMPLER))
        raise TracingError(f"OTEL_TRACES_SAMPLER is {name!r}; it may be {may}")
    given = environment.get("OTEL_TRACES_SAMPLER_ARG") or str(_DEFAULT_RATIO)
    try:
        ratio = float(given)
    except ValueError:
        ratio = -1
    if not 0 <= ratio <= 1:
        raise TracingError(f"OTEL_TRACES_SAMPLER_ARG is {given!r}; it may be a number from 0 to 1")
    return ratio, name != kind


def is_sampled(headers: Mapping[str, str]) -> bool:
    """Decides whether a request is traced, by its W3C trace context or by chance."""
    if _tracing is None:
        return False
    if _tracing.heeds_parent and _PARENT in headers and (parent := _TRACEPARENT.fullmatch(headers[_PARENT])):
        return bool(int(parent[1], 16) & _SAMPLED)
    return random.random() < _tracing.ratio  # noqa: S311 - a sample


@contextmanager
def request_span(headers: Mapping[str, str], attributes: "dict[str, str | int]") -> "Iterator[Span]":
    """Surrounds one request that is sampled; the span ends however the request does.

    Args:
        headers: those that carry W3C's trace context.
        attributes: what is known of the request before it is answered.
    """
    assert _tracing is not None  # noqa: S101 - else nothing is sampled
    with _tracing.spans.of_request(headers, attributes) as span, _tracing.spans.above_the_driver(span):
        # Reset, for one task serves a whole connection: the next request would find it.
        token = _span.set(span)
        _under_way.add(span)
        try:
            yield span
        finally:
            _under_way.discard(span)
            _span.reset(token)


def current() -> "Span | None":
    """Gives the span of the request that is served, if it is sampled."""
    # Most of the time nothing is traced, and looking into the context costs a hundredth of a cached read.
    return _span.get() if _under_way else None


def trace_id() -> str | None:
    """Gives the trace id of the request that is served, if it is sampled; 32 hexadecimal digits."""
    span = current()
    return span.trace_id if span else None


def operation(system: str, name: str) -> "AbstractContextManager[object]":
    """Surrounds one operation of a store, which is a span where the request is sampled.

    MongoDB's commands become spans by the driver's own instrumentation.
    """
    span = current()
    return _NOTHING if span is None else shared_operation(system, name, (span,))


def shared_operation(system: str, name: str, served: "Sequence[Span]") -> "AbstractContextManager[object]":
    """Surrounds one operation for several requests, of which these are sampled."""
    # Tracing may have ended meanwhile.
    return _tracing.spans.of_operation(system, name, served) if served and _tracing else _NOTHING
