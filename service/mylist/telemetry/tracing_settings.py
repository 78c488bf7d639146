"""The variables of OpenTelemetry (`OTEL_…`) that the service supports, with the meaning of the standard.

The Python SDK reads some variables in a different unit than the standard, ignores some, and replaces invalid values by
its default. So this module reads them, and an invalid value aborts the start.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from mylist.config.settings import without_password

_SAMPLERS = ("always_on", "always_off", "traceidratio", "parentbased_always_on", "parentbased_always_off")
_PARENT_BASED = "parentbased_"
_DEFAULT_SAMPLER = "parentbased_traceidratio"
_DEFAULT_RATIO = 0.01
_PROTOCOL = "http/protobuf"
_PROPAGATORS = frozenset({"tracecontext", "baggage"})
_DEFAULT_TIMEOUT_MS = 3000
_MAX_TIMEOUT_MS = 60_000
_DEFAULT_SCHEDULE_DELAY_MS = 5000
_MAX_SCHEDULE_DELAY_MS = 600_000
_DEFAULT_QUEUE_SIZE = 2048
_MAX_QUEUE_SIZE = 1_000_000
# A thread encodes spans while the event loop waits: 12 ms for the SDK's batch of 512.
_DEFAULT_BATCH_SIZE = 128
_FILES = ("CERTIFICATE", "CLIENT_KEY", "CLIENT_CERTIFICATE")


class TracingError(Exception):
    """Tracing is configured but cannot be started; the message says why and what to do, in one line."""


@dataclass(frozen=True, slots=True)
class Sampling:
    """Which requests are traced.

    Attributes:
        ratio: the traced share of requests whose caller has not decided.
        heeds_parent: whether the caller's decision applies.
    """

    ratio: float
    heeds_parent: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class TracingSettings:
    """The variables in force.

    Attributes:
        sampling: which requests are traced.
        endpoint: the destination of the spans, without a password.
        export_timeout_s: maximum time for one batch, including retries.
        schedule_delay_ms: pause between two batches while there are few spans.
        queue_size: maximum number of waiting spans; more are lost.
        batch_size: maximum number of spans in a batch.
    """

    sampling: Sampling
    endpoint: str
    export_timeout_s: float
    schedule_delay_ms: int
    queue_size: int
    batch_size: int


def read_settings(environment: Mapping[str, str]) -> TracingSettings | None:
    """Parse the variables of an environment; return None unless they enable traces.

    Raises:
        TracingError: a variable cannot be used.
    """
    given = {name: value.strip() for name, value in environment.items() if name.startswith("OTEL_") and value.strip()}
    endpoint = _of_traces(given, "ENDPOINT")
    if not endpoint or _is_off(given):
        return None
    for name in ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"):
        _require_url(given, name)
    for name in ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL"):
        if (protocol := given.get(name, _PROTOCOL)) != _PROTOCOL:
            raise TracingError(f"{name} is {protocol!r}; it must be {_PROTOCOL}")
    for name in (f"OTEL_EXPORTER_OTLP_{infix}{each}" for infix in ("", "TRACES_") for each in _FILES):
        if name in given and not Path(given[name]).is_file():
            raise TracingError(f"{name} is {given[name]!r}; it must be a file, and this file does not exist")
    _require_propagators(given)
    queue_size = _whole_number(given, "OTEL_BSP_MAX_QUEUE_SIZE", _DEFAULT_QUEUE_SIZE, _MAX_QUEUE_SIZE)
    return TracingSettings(
        sampling=_sampling(given),
        endpoint=without_password(endpoint),
        export_timeout_s=_export_timeout_ms(given) / 1000,
        schedule_delay_ms=_whole_number(
            given, "OTEL_BSP_SCHEDULE_DELAY", _DEFAULT_SCHEDULE_DELAY_MS, _MAX_SCHEDULE_DELAY_MS
        ),
        queue_size=queue_size,
        batch_size=_whole_number(
            given, "OTEL_BSP_MAX_EXPORT_BATCH_SIZE", min(_DEFAULT_BATCH_SIZE, queue_size), queue_size
        ),
    )


def _of_traces(given: Mapping[str, str], name: str) -> str:
    """Return a variable of the exporter. The variable for traces overrides the general one."""
    return given.get(f"OTEL_EXPORTER_OTLP_TRACES_{name}") or given.get(f"OTEL_EXPORTER_OTLP_{name}", "")


def _is_off(given: Mapping[str, str]) -> bool:
    disabled = _choice(given, "OTEL_SDK_DISABLED", "false", ("true", "false"))
    exporter = _choice(given, "OTEL_TRACES_EXPORTER", "otlp", ("otlp", "none"))
    return disabled == "true" or exporter == "none"


def _choice(given: Mapping[str, str], name: str, default: str, choices: tuple[str, ...]) -> str:
    value = given.get(name, default)
    if value.lower() not in choices:
        raise TracingError(f"{name} is {value!r}; it must be {' or '.join(choices)}")
    return value.lower()


def _require_url(given: Mapping[str, str], name: str) -> None:
    value = given.get(name)
    if value is None:
        return
    try:
        parts = urlsplit(value)
        is_url = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:  # the colon belongs to the port, or to an address in brackets
        is_url = False
    if not is_url or any(map(str.isspace, value)):
        shown = without_password(value)
        raise TracingError(f"{name} is {shown!r}; it must be a URL that starts with http:// or https://")


def _whole_number(given: Mapping[str, str], name: str, default: int, maximum: int, unit: str = "") -> int:
    value = given.get(name, str(default))
    number = int(value) if value.isascii() and value.isdecimal() else 0
    if not 1 <= number <= maximum:
        raise TracingError(f"{name} is {value!r}; it must be a whole number{unit} from 1 to {maximum}")
    return number


def _export_timeout_ms(given: Mapping[str, str]) -> int:
    """Return the time for one batch: the smaller of the exporter's and the batch processor's timeout."""
    timeouts = [
        _whole_number(given, name, default, _MAX_TIMEOUT_MS, " of milliseconds")
        for name, default in (
            ("OTEL_EXPORTER_OTLP_TIMEOUT", _DEFAULT_TIMEOUT_MS),
            ("OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", _DEFAULT_TIMEOUT_MS),
            ("OTEL_BSP_EXPORT_TIMEOUT", _MAX_TIMEOUT_MS),
        )
    ]
    of_all, of_traces, of_batch = timeouts
    return min(of_traces if "OTEL_EXPORTER_OTLP_TRACES_TIMEOUT" in given else of_all, of_batch)


def _require_propagators(given: Mapping[str, str]) -> None:
    """Refuse other propagators: the service reads trace contexts only from W3C's headers."""
    value = given.get("OTEL_PROPAGATORS", "tracecontext")
    named = {each.strip() for each in value.split(",")}
    if "tracecontext" not in named or not named <= _PROPAGATORS:
        raise TracingError(f"OTEL_PROPAGATORS is {value!r}; it must be tracecontext, with or without baggage")


def _sampling(given: Mapping[str, str]) -> Sampling:
    name = given.get("OTEL_TRACES_SAMPLER", _DEFAULT_SAMPLER)
    kind = name.removeprefix(_PARENT_BASED)
    if kind in ("always_on", "always_off"):
        return Sampling(float(kind == "always_on"), name != kind)
    if kind != "traceidratio":
        may = ", ".join((*_SAMPLERS, _DEFAULT_SAMPLER))
        raise TracingError(f"OTEL_TRACES_SAMPLER is {name!r}; it must be {may}")
    ratio_given = given.get("OTEL_TRACES_SAMPLER_ARG", str(_DEFAULT_RATIO))
    try:
        ratio = float(ratio_given)
    except ValueError:
        ratio = -1
    if not 0 <= ratio <= 1:
        raise TracingError(f"OTEL_TRACES_SAMPLER_ARG is {ratio_given!r}; it must be a number from 0 to 1")
    return Sampling(ratio, name != kind)
