"""The thresholds of each scenario."""

from dataclasses import dataclass
from typing import Literal

Kind = Literal["reads", "writes"]


@dataclass(frozen=True, slots=True)
class Threshold:
    """The thresholds for the reads or the writes of a scenario, as Locust sees them.

    Attributes:
        scenario: its name.
        kind: reads or writes.
        p95: the 95th percentile of latency must be below this, in milliseconds.
        p99: the 99th percentile of latency must be below this, in milliseconds.
        errors: the largest share of requests that may fail.
        rate: the least number of answers a second, with all users of the scenario.
    """

    scenario: str
    kind: Kind
    p95: float
    p99: float
    errors: float
    rate: float


# fmt: off
THRESHOLDS = (
    #         scenario          kind       p95   p99   errors  rate
    Threshold("cached-latency", "reads",     8,   10,  0.001, 1500),
    Threshold("browse",         "reads",    12,   25,  0.001,  400),
    Threshold("mixed",          "reads",    15,   30,  0.001,  240),
    Threshold("mixed",          "writes",   60,  120,  0.001,   10),
    Threshold("spike",          "reads",    40,   80,  0.001,  250),
    Threshold("ramp",           "reads",    15,   30,  0.001,  200),
    Threshold("ramp",           "writes",   60,  120,  0.001,    8),
    Threshold("soak",           "reads",    15,   30,  0.001,  240),
    Threshold("soak",           "writes",   60,  120,  0.001,   10),
)
# fmt: on


def thresholds_of(scenario: str) -> list[Threshold]:
    """Return the thresholds of a scenario."""
    return [threshold for threshold in THRESHOLDS if threshold.scenario == scenario]
