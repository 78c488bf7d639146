"""The sampler that the OpenTelemetry SDK gets; apart from `mylist.tracing`, which works without the SDK."""

from collections.abc import Sequence
from typing import Any

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.sdk.trace.sampling import Decision, Sampler, SamplingResult


class DecidedSampler(Sampler):
    """Samples each request that gets a span, for that was decided before, and what stands below one that is sampled.

    Commands of background checks have no request above them, and so become nothing.
    """

    def should_sample(  # noqa: PLR0913 - as the SDK calls it
        self,
        parent_context: Context | None,
        trace_id: int,  # noqa: ARG002
        name: str,  # noqa: ARG002
        kind: trace.SpanKind | None = None,
        attributes: Any = None,  # noqa: ANN401
        links: Sequence[trace.Link] | None = None,  # noqa: ARG002
        trace_state: trace.TraceState | None = None,
    ) -> SamplingResult:
        """Says whether a span is recorded."""
        parent = trace.get_current_span(parent_context).get_span_context()
        is_sampled = kind is trace.SpanKind.SERVER or parent.trace_flags.sampled
        decision = Decision.RECORD_AND_SAMPLE if is_sampled else Decision.DROP
        return SamplingResult(decision, attributes, trace_state or parent.trace_state)

    def get_description(self) -> str:
        """Names it."""
        return "DecidedSampler"
