"""Traces by OpenTelemetry, over OTLP/HTTP; off, and free, without an endpoint (`OTEL_EXPORTER_OTLP_ENDPOINT`).

The standard `OTEL_*` variables configure the destination, the sampled share and the name of the service. The decision
to sample a request is made before anything is created for it: the SDK's sampler would cost each request a microsecond.
So this module implements the sampler that the variables name.
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

from mylist.telemetry.tracing_settings import TracingError, read_settings

if TYPE_CHECKING:
    from opentelemetry.trace import Span

    from mylist.telemetry.request_tracer import RequestTracer

_FLUSH_TIMEOUT_S = 2.0
# The thread that encodes spans takes turns with the event loop, which waits this long for each of its turns.
_SWITCH_INTERVAL_S = 0.0001
_SAMPLED = 1
_PARENT = istr("traceparent")
_TRACEPARENT = re.compile(r"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-([0-9a-f]{2})(?:-.*)?")


@dataclass(frozen=True, slots=True)
class _Tracing:
    tracer: "RequestTracer"
    ratio: float
    heeds_parent: bool


_tracing: _Tracing | None = None
is_on = False
"""Whether requests may be sampled. If False, a caller can skip the check of each request."""
_NOTHING = nullcontext()
in_flight: "set[Span]" = set()
"""The spans of the sampled requests in flight. While it is empty, there is no current span to look up."""
_span: "ContextVar[Span | None]" = ContextVar("mylist_span", default=None)


def start() -> None:
    """Start tracing if the environment names an endpoint. Must be called before the clients of the stores are created.

    Raises:
        TracingError: a variable cannot be used, or OpenTelemetry is not installed.
    """
    global _tracing, is_on  # noqa: PLW0603 - one process, one tracer
    settings = read_settings(os.environ)
    if settings is None:
        return
    if not os.environ.get("OTEL_SERVICE_NAME"):
        os.environ["OTEL_SERVICE_NAME"] = "mylist"
    sys.setswitchinterval(_SWITCH_INTERVAL_S)
    try:
        from mylist.telemetry.request_tracer import RequestTracer  # noqa: PLC0415 - OpenTelemetry is an extra

        _tracing = _Tracing(RequestTracer(settings), settings.sampling.ratio, settings.sampling.heeds_parent)
        is_on = True
    except ImportError as error:
        raise TracingError(f"OpenTelemetry is not installed ({error}); pip install 'mylist[tracing]'") from None
    except ValueError as error:  # the SDK reads some variables as it is imported
        raise TracingError(
            f"a variable of OpenTelemetry (OTEL_…) cannot be used: {error}; correct or remove it"
        ) from None


def stop() -> None:
    """Send the remaining spans with a short timeout. Blocks."""
    global _tracing, is_on
    if _tracing is None:
        return
    # The SDK would wait for an unresponsive collector as long as it has spans to send.
    flushing = threading.Thread(target=_tracing.tracer.shutdown, daemon=True)
    flushing.start()
    flushing.join(_FLUSH_TIMEOUT_S)
    _tracing.tracer.uninstrument()
    _tracing, is_on = None, False


def is_sampled(headers: Mapping[str, str]) -> bool:
    """Return whether a request is traced: by its W3C trace context, or at random."""
    if _tracing is None:
        return False
    if _tracing.heeds_parent and _PARENT in headers and (parent := _TRACEPARENT.fullmatch(headers[_PARENT])):
        return bool(int(parent[1], 16) & _SAMPLED)
    return random.random() < _tracing.ratio  # noqa: S311 - a sample


@contextmanager
def request_span(headers: Mapping[str, str], attributes: Mapping[str, str | int]) -> "Iterator[Span]":
    """Surround a sampled request by its span. The span ends with the request, however that ends.

    Args:
        headers: the headers of the W3C trace context.
        attributes: the data of the request that is known before the answer.
    """
    assert _tracing is not None  # noqa: S101 - else nothing is sampled
    with _tracing.tracer.request(headers, attributes) as span:
        # Reset, because one task serves a whole connection: the next request would find this span.
        token = _span.set(span)
        in_flight.add(span)
        try:
            yield span
        finally:
            in_flight.discard(span)
            _span.reset(token)


def current() -> "Span | None":
    """Return the span of the request in flight, if it is sampled."""
    # The SDK's own lookup in the context costs 1 % of a cached read, and most requests are not sampled.
    return _span.get() if in_flight else None


def trace_id() -> str | None:
    """Return the trace id of the request in flight, if it is sampled."""
    span = current()
    return trace_id_of(span) if span else None


def trace_id_of(span: "Span") -> str:
    """Return the id of a span's trace: 32 hexadecimal digits."""
    return f"{span.get_span_context().trace_id:032x}"


def traceparent_of(span: "Span") -> str:
    """Return W3C's trace context of a span."""
    context = span.get_span_context()
    return f"00-{context.trace_id:032x}-{context.span_id:016x}-{context.trace_flags:02x}"


def fail(span: "Span", kind: str) -> None:
    """Mark that what a span stands for has failed, and how."""
    from mylist.telemetry import request_tracer  # noqa: PLC0415 - OpenTelemetry is an extra

    request_tracer.fail(span, kind)


def operation(system: str, name: str) -> "AbstractContextManager[object]":
    """Surround an operation of a store by a span if the request is sampled.

    MongoDB's commands become spans by the driver's own instrumentation.
    """
    span = current()
    return _NOTHING if span is None else shared_operation(system, name, (span,))


def shared_operation(system: str, name: str, served: "Sequence[Span]") -> "AbstractContextManager[object]":
    """Surround an operation for several requests; `served` has the spans of the sampled ones."""
    # Tracing may have stopped meanwhile.
    return _tracing.tracer.operation(system, name, served) if served and _tracing else _NOTHING
