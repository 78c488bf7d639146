"""The verdict on the thresholds of a run, as tables for people and as data for programs."""

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

from loadtests.autoscaler import Scaling
from loadtests.histogram import Histogram
from loadtests.results import PERCENTILES, RequestStats, RunResult
from loadtests.thresholds import Threshold


@dataclass(frozen=True, slots=True)
class Outcome:
    """One measure against its limit.

    Attributes:
        kind: of the requests.
        measure: `p95`, `p99` (in milliseconds), `errors` (a share) or `rate` (answers a second).
    """

    kind: str
    measure: str
    measured: float
    limit: float

    @property
    def kept(self) -> bool:
        """Whether the limit is kept."""
        if self.measure == "rate":
            return self.measured >= self.limit
        return self.measured <= self.limit if self.measure == "errors" else self.measured < self.limit

    @property
    def miss(self) -> str:
        """Which limit is missed, and by how much."""
        wanted = {"rate": "at least ", "errors": "at most "}.get(self.measure, "below ")
        by = _shown(self.measure, abs(self.measured - self.limit))
        share = f" ({abs(self.measured / self.limit - 1):.0%})" if self.limit else ""
        return (
            f"{self.kind}: {self.measure} is {_shown(self.measure, self.measured)}, "
            f"but must be {wanted}{_shown(self.measure, self.limit)}; missed by {by}{share}"
        )


def judge(
    result: RunResult, thresholds: Iterable[Threshold], *, share: float = 1.0, leeway: float = 1.0
) -> list[Outcome]:
    """Compare the results of a run with its thresholds.

    Args:
        result: of the run.
        thresholds: of its scenario.
        share: the number of users as a share of the scenario's; the required rate is in proportion.
        leeway: how many times the latencies may be as long.
    """
    outcomes = []
    for threshold in thresholds:
        seen, kind = result.of(threshold.kind), threshold.kind
        if seen.times:
            outcomes += [
                Outcome(kind, "p95", seen.percentile(95), threshold.p95 * leeway),
                Outcome(kind, "p99", seen.percentile(99), threshold.p99 * leeway),
                Outcome(kind, "errors", seen.failures / seen.requests, threshold.errors),
            ]
        answered = (seen.requests - seen.failures) / result.seconds if result.seconds else 0.0
        outcomes.append(Outcome(kind, "rate", answered, threshold.rate * share))
    return outcomes


def misses(result: RunResult, outcomes: Iterable[Outcome]) -> list[str]:
    """Return a line for each reason not to pass; none is a pass."""
    found = [*result.defects, *(outcome.miss for outcome in outcomes if not outcome.kept)]
    return [f"MISSED {result.scenario}, {each}" for each in found]


def report(result: RunResult, outcomes: Iterable[Outcome]) -> str:
    """Return the tables: the thresholds, and Locust's figures beside the service's own."""
    outcomes = list(outcomes)
    every = sum(seen.requests for seen in result.seen.values())
    lines = [
        f"{result.scenario}: {every:,} requests in {result.seconds:.1f} s by up to {result.users} users",
        "",
        f"{'requests':<10}{'measure':<9}{'measured':>12}{'threshold':>14}",
    ]
    lines += [_row(outcome) for outcome in outcomes]
    if result.counted:
        lines += ["", *_comparison(result)]
    if result.failures:
        lines += ["", *(f"{count:,} times {failure}" for failure, count in result.failures.items())]
    if result.remark:
        lines += ["", result.remark]
    if result.scaling:
        lines += ["", *_replicas(result.scaling)]
    lines += ["", *(misses(result, outcomes) or [f"{result.scenario}: every threshold is kept"])]
    return "\n".join(lines)


def as_data(result: RunResult, outcomes: Iterable[Outcome]) -> dict[str, Any]:
    """Return all of it for a JSON document."""
    outcomes = list(outcomes)
    return {
        "scenario": result.scenario,
        "users": result.users,
        "seconds": result.seconds,
        "thresholds": [
            {
                "requests": outcome.kind,
                "measure": outcome.measure,
                "measured": outcome.measured,
                "limit": outcome.limit,
                "kept": outcome.kept,
            }
            for outcome in outcomes
        ],
        "missed": misses(result, outcomes),
        "failures": dict(result.failures),
        "remark": result.remark,
        "autoscaler": asdict(result.scaling) if result.scaling else None,
        "routes": {
            f"{method} {route}": {
                "requests": seen.requests,
                "failures": seen.failures,
                "locust": _percentiles(seen),
                "service": _percentiles(result.counted.get((method, route), Histogram({}))),
            }
            for (method, route), seen in sorted(result.seen.items())
        },
    }


def _percentiles(of: RequestStats | Histogram) -> dict[str, float]:
    try:
        return {f"{percent:g}": round(of.percentile(percent), 3) for percent in PERCENTILES}
    except ValueError:
        return {}


def _row(outcome: Outcome) -> str:
    relation = {"rate": ">=", "errors": "<="}.get(outcome.measure, "<")
    limit = f"{relation} {_shown(outcome.measure, outcome.limit)}"
    measured = _shown(outcome.measure, outcome.measured)
    return f"{outcome.kind:<10}{outcome.measure:<9}{measured:>12}{limit:>14}  {'kept' if outcome.kept else 'MISSED'}"


def _comparison(result: RunResult) -> list[str]:
    """Locust's percentiles, the service's, and the difference, which is what lies between the two.

    The service's are estimated within the buckets of its histogram, so a small difference may come out below zero.
    """
    percents = (50.0, 95.0, 99.0)
    lines = [
        f"{'milliseconds':<38}{'requests':>18}" + "".join(f"{f'p{percent:g}':>25}" for percent in percents),
        f"{'':<38}{'Locust':>9}{'service':>9}" + f"{'Locust':>9}{'service':>8}{'between':>8}" * len(percents),
    ]
    for (method, route), seen in sorted(result.seen.items()):
        counted = result.counted.get((method, route))
        if not counted or not seen.times:
            continue
        line = f"{f'{method} {route}':<38}{seen.requests:>9,}{counted.count:>9,.0f}"
        for percent in percents:
            theirs, ours = seen.percentile(percent), counted.percentile(percent)
            line += f"{theirs:>9.2f}{ours:>8.2f}{theirs - ours:>8.2f}"
        lines.append(line)
    return lines


def _replicas(scaling: Scaling) -> list[str]:
    """The replicas over time, a line for each change."""
    lines = []
    if scaling.samples:
        current = [sample.current for sample in scaling.samples]
        desired = [sample.desired for sample in scaling.samples]
        seen = f"{min(current)} to {max(current)} replicas, {min(desired)} to {max(desired)} desired"
        lines = [
            f"autoscaler {scaling.name}: {seen}; {scaling.min_replicas} to {scaling.max_replicas} allowed",
            f"{'second':>8}{'current':>9}{'desired':>9}",
        ]
        lines += [f"{sample.second:>8.0f}{sample.current:>9}{sample.desired:>9}" for sample in scaling.changes]
    return [*lines, scaling.remark] if scaling.remark else lines


def _shown(measure: str, value: float) -> str:
    if measure == "rate":
        return f"{value:,.1f}/s"
    return f"{value:.2%}" if measure == "errors" else f"{value:,.2f} ms"
