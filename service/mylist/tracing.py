"""Traces by OpenTelemetry, over OTLP/HTTP; off, and free, unless an endpoint is set (`OTEL_EXPORTER_OTLP_ENDPOINT`).

The standard `OTEL_*` variables say where to, which share, and what the service is called. Whether a request is sampled
is decided before anything is created for it: a span costs a third of a cached read. So the sampler that the variables
name is worked out here, and the one that the SDK gets samples what was begun here and what stands below that.
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
from typing import TYPE_CHECKING, Any

from mylist import __version__

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.trace import Span, Tracer

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
_TRACEPARENT = re.compile(r"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-([0-9a-f]{2})(?:-.*)?")


class TracingError(Exception):
    """Tracing is asked for and cannot be had; the message is one line that says why and what to do."""


@dataclass(frozen=True, slots=True)
class _Tracing:
    tracer: "Tracer"
    provider: "TracerProvider"
    ratio: float
    heeds_parent: bool


_tracing: _Tracing | None = None
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

        from mylist.tracing_sampler import DecidedSampler  # noqa: PLC0415
    except ImportError as error:
        raise TracingError(f"OpenTelemetry is not installed ({error}); pip install 'mylist[tracing]'") from None
    os.environ.setdefault("OTEL_SERVICE_NAME", "mylist")
    os.environ.setdefault("OTEL_EXPORTER_OTLP_TIMEOUT", str(_EXPORT_TIMEOUT))
    os.environ.setdefault("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", str(_BATCH_SIZE))
    sys.setswitchinterval(_SWITCH_INTERVAL)
    try:
        resource = Resource.create({"service.version": __version__})
        provider = TracerProvider(sampler=DecidedSampler(), resource=resource, shutdown_on_exit=False)
        provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    except ValueError as error:
        raise TracingError(f"a variable of OpenTelemetry (OTEL_…) cannot be used: {error}") from None
    PymongoInstrumentor().instrument(tracer_provider=provider)
    _tracing = _Tracing(provider.get_tracer("mylist", __version__), provider, ratio, heeds_parent)


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
    given = headers.get("traceparent")
    if given and _tracing.heeds_parent and (parent := _TRACEPARENT.fullmatch(given)):
        return bool(int(parent[1], 16) & _SAMPLED)
    return random.random() < _tracing.ratio  # noqa: S311 - a sample


@contextmanager
def request_span(headers: Mapping[str, str], attributes: Mapping[str, str]) -> "Iterator[Span]":
    """Surrounds one request that is sampled; the span ends however the request does.

    Args:
        headers: those that carry W3C's trace context.
        attributes: what is known of the request before it is answered.
    """
    from opentelemetry import context, trace  # noqa: PLC0415 - an extra
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator  # noqa: PLC0415

    assert _tracing is not None  # noqa: S101 - else nothing is sampled
    parent = TraceContextTextMapPropagator().extract(headers)
    span = _tracing.tracer.start_span(
        attributes["http.request.method"], parent, kind=trace.SpanKind.SERVER, attributes=attributes
    )
    # Both are reset: one task serves a whole connection, so the next request would find them.
    own = _span.set(span)
    token = context.attach(trace.set_span_in_context(span, parent))
    try:
        yield span
    except BaseException as error:
        mark_failed(span, type(error).__name__)
        raise
    finally:
        context.detach(token)
        _span.reset(own)
        span.end()


def current() -> "Span | None":
    """Gives the span of the request that is served, if it is sampled."""
    return _span.get()


def traceparent(span: "Span") -> str:
    """Gives a span's W3C trace context."""
    of = span.get_span_context()
    return f"00-{of.trace_id:032x}-{of.span_id:016x}-{of.trace_flags:02x}"


def mark_failed(span: "Span", kind: str) -> None:
    """Notes on a span that what it stands for has failed, and how."""
    from opentelemetry.trace import StatusCode  # noqa: PLC0415 - an extra

    span.set_attribute("error.type", kind)
    span.set_status(StatusCode.ERROR)


def trace_id() -> str | None:
    """Gives the trace id of the request that is served, if it is sampled; 32 hexadecimal digits."""
    span = _span.get()
    return f"{span.get_span_context().trace_id:032x}" if span else None


def operation(system: str, name: str) -> "AbstractContextManager[Any]":
    """Surrounds one operation of a store, which is a span where the request is sampled.

    MongoDB's commands become spans by the driver's own instrumentation.
    """
    span = _span.get()
    return nullcontext() if span is None else _operation_span(system, name, span, ())


def shared_operation(system: str, name: str, served: "Sequence[Span]") -> "AbstractContextManager[Any]":
    """Surrounds one operation for several requests, linked to all of them that are sampled; below the first."""
    return _operation_span(system, name, served[0], served) if served else nullcontext()


@contextmanager
def _operation_span(system: str, name: str, parent: "Span", served: "Sequence[Span]") -> Iterator[None]:
    from opentelemetry import trace  # noqa: PLC0415 - an extra

    if _tracing is None:  # it has ended meanwhile
        yield
        return
    # Nothing stands below it, so it need not be the current one.
    span = _tracing.tracer.start_span(
        f"{system} {name}",
        trace.set_span_in_context(parent),
        kind=trace.SpanKind.CLIENT,
        attributes={"db.system.name": system, "db.operation.name": name},
        links=[trace.Link(each.get_span_context()) for each in served],
    )
    try:
        yield
    except BaseException as error:
        span.record_exception(error)
        mark_failed(span, type(error).__name__)
        raise
    finally:
        span.end()
