"""Whether a run holds its thresholds, as tables for people and as data for programs."""

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

from loadtests.autoscaler import Scaling
from loadtests.figures import PERCENTILES, Figures, Seen
from loadtests.histogram import Histogram
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
            f"it has to be {wanted}{_shown(self.measure, self.limit)}; missed by {by}{share}"
        )


def judge(
    figures: Figures, thresholds: Iterable[Threshold], *, share: float = 1.0, leeway: float = 1.0
) -> list[Outcome]:
    """Holds what a run showed against its thresholds.

    Args:
        figures: what it showed.
        thresholds: of its scenario.
        share: how many users there were, as a share of the plan's; the rate is asked of them in proportion.
        leeway: how many times the latencies may be as long.
    """
    outcomes = []
    for threshold in thresholds:
        seen, kind = figures.of(threshold.kind), threshold.kind
        if seen.times:
            outcomes += [
                Outcome(kind, "p95", seen.percentile(95), threshold.p95 * leeway),
                Outcome(kind, "p99", seen.percentile(99), threshold.p99 * leeway),
                Outcome(kind, "errors", seen.failures / seen.requests, threshold.errors),
            ]
        answered = (seen.requests - seen.failures) / figures.seconds if figures.seconds else 0.0
        outcomes.append(Outcome(kind, "rate", answered, threshold.rate * share))
    return outcomes


def misses(figures: Figures, outcomes: Iterable[Outcome]) -> list[str]:
    """Gives a line for each reason not to pass; none is a pass."""
    found = [*figures.defects, *(outcome.miss for outcome in outcomes if not outcome.kept)]
    return [f"MISSED {figures.scenario}, {each}" for each in found]


def report(figures: Figures, outcomes: Iterable[Outcome]) -> str:
    """Makes the tables: the thresholds, and Locust's figures beside the service's own."""
    outcomes = list(outcomes)
    every = sum(seen.requests for seen in figures.seen.values())
    lines = [
        f"{figures.scenario}: {every:,} requests in {figures.seconds:.1f} s by up to {figures.users} users",
        "",
        f"{'requests':<10}{'measure':<9}{'measured':>12}{'threshold':>14}",
    ]
    lines += [_row(outcome) for outcome in outcomes]
    if figures.counted:
        lines += ["", *_comparison(figures)]
    if figures.failures:
        lines += ["", *(f"{count:,} times {failure}" for failure, count in figures.failures.items())]
    if figures.remark:
        lines += ["", figures.remark]
    if figures.scaling:
        lines += ["", *_replicas(figures.scaling)]
    lines += ["", *(misses(figures, outcomes) or [f"{figures.scenario}: every threshold is kept"])]
    return "\n".join(lines)


def as_data(figures: Figures, outcomes: Iterable[Outcome]) -> dict[str, Any]:
    """Gives all of it for a JSON document."""
    outcomes = list(outcomes)
    return {
        "scenario": figures.scenario,
        "users": figures.users,
        "seconds": figures.seconds,
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
        "missed": misses(figures, outcomes),
        "failures": dict(figures.failures),
        "remark": figures.remark,
        "autoscaler": asdict(figures.scaling) if figures.scaling else None,
        "routes": {
            f"{method} {route}": {
                "requests": seen.requests,
                "failures": seen.failures,
                "locust": _percentiles(seen),
                "service": _percentiles(figures.counted.get((method, route), Histogram({}))),
            }
            for (method, route), seen in sorted(figures.seen.items())
        },
    }


def _percentiles(of: Seen | Histogram) -> dict[str, float]:
    try:
        return {f"{percent:g}": round(of.percentile(percent), 3) for percent in PERCENTILES}
    except ValueError:
        return {}


def _row(outcome: Outcome) -> str:
    relation = {"rate": ">=", "errors": "<="}.get(outcome.measure, "<")
    limit = f"{relation} {_shown(outcome.measure, outcome.limit)}"
    measured = _shown(outcome.measure, outcome.measured)
    return f"{outcome.kind:<10}{outcome.measure:<9}{measured:>12}{limit:>14}  {'kept' if outcome.kept else 'MISSED'}"


def _comparison(figures: Figures) -> list[str]:
    """Locust's percentiles, the service's, and the difference, which is what lies between the two.

    The service's are estimated within the buckets of its histogram, so a small difference may come out below zero.
    """
    percents = (50.0, 95.0, 99.0)
    lines = [
        f"{'milliseconds':<38}{'requests':>18}" + "".join(f"{f'p{percent:g}':>25}" for percent in percents),
        f"{'':<38}{'Locust':>9}{'service':>9}" + f"{'Locust':>9}{'service':>8}{'between':>8}" * len(percents),
    ]
    for (method, route), seen in sorted(figures.seen.items()):
        counted = figures.counted.get((method, route))
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
            f"autoscaler {scaling.name}: {seen}; {scaling.least} to {scaling.most} allowed",
            f"{'second':>8}{'current':>9}{'desired':>9}",
        ]
        lines += [f"{sample.second:>8.0f}{sample.current:>9}{sample.desired:>9}" for sample in scaling.changes]
    return [*lines, scaling.remark] if scaling.remark else lines


def _shown(measure: str, value: float) -> str:
    if measure == "rate":
        return f"{value:,.1f}/s"
    return f"{value:.2%}" if measure == "errors" else f"{value:,.2f} ms"
