"""What is measured, and what has to come of it."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType


@dataclass(frozen=True, slots=True)
class Server:
    """A server under load: the service with these settings, or, with None, what it stands on."""

    name: str
    settings: Mapping[str, str] | None

    def __hash__(self) -> int:
        return hash(self.name)


@dataclass(frozen=True, slots=True)
class Case:
    """One kind of requests (see `requests.lua`) to one server, over so many connections."""

    name: str
    server: Server
    requests: str
    connections: int = 16


@dataclass(frozen=True, slots=True)
class Limit:
    """The least share of another case's rate that a case has to reach."""

    case: str
    of: str
    least: float


def _service(name: str, **settings: str) -> Server:
    return Server(name, MappingProxyType(settings))


_NOWHERE = "http://127.0.0.1:9"  # nobody listens there, so that no collector takes part

BASELINE = Server("baseline", None)
USUAL = _service("usual")
UNMEASURED = _service("unmeasured", METRICS="false")
TRACED = _service("traced", OTEL_EXPORTER_OTLP_ENDPOINT=_NOWHERE, OTEL_TRACES_SAMPLER_ARG="0.01")
TRACED_MORE = _service("traced more", OTEL_EXPORTER_OTLP_ENDPOINT=_NOWHERE, OTEL_TRACES_SAMPLER_ARG="0.1")

CASES = (
    Case("empty route", BASELINE, "empty"),
    Case("a Redis GET in a route", BASELINE, "redis"),
    Case("items, 20", USUAL, "items20"),
    Case("items, 20, metrics off", UNMEASURED, "items20"),
    Case("items, 20, tracing at 1 %", TRACED, "items20"),
    Case("items, 20, tracing at 10 %", TRACED_MORE, "items20"),
    Case("items, 100", USUAL, "items100"),
    Case("stats", USUAL, "stats"),
)

LIMITS = (
    Limit("items, 20", "items, 20, metrics off", 0.92),
    Limit("items, 20, tracing at 1 %", "items, 20", 0.95),
)
