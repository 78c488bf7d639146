"""The thresholds as they are shipped, and as docs/loadtest.md has them."""

import re
from pathlib import Path

from loadtests.scenarios import SCENARIOS
from loadtests.thresholds import THRESHOLDS, Threshold, thresholds_of

DOCUMENT = Path(__file__).parents[3] / "docs" / "loadtest.md"


def test_the_p99_of_cached_reads_must_be_at_most_10_ms_at_1500_requests_a_second() -> None:
    [promise] = thresholds_of("cached-latency")

    assert promise.kind == "reads"
    assert promise.p99 <= 10
    assert promise.rate >= 1500


def test_every_scenario_has_thresholds_and_nothing_else_has() -> None:
    assert {threshold.scenario for threshold in THRESHOLDS} == set(SCENARIOS)


def test_each_kind_of_request_has_one_row_per_scenario() -> None:
    rows = [(threshold.scenario, threshold.kind) for threshold in THRESHOLDS]
    assert len(set(rows)) == len(rows)


def test_the_document_has_the_same_thresholds() -> None:
    rows = re.findall(
        r"^\| `([a-z-]+)` \| (reads|writes) \| (\d+) ms \| (\d+) ms \| ([\d.]+) % \| (\d+)/s \|$",
        DOCUMENT.read_text(),
        re.MULTILINE,
    )
    documented = [
        (scenario, kind, float(p95), float(p99), float(errors) / 100, float(rate))
        for scenario, kind, p95, p99, errors, rate in rows
    ]
    assert documented == [as_row(threshold) for threshold in THRESHOLDS]


def test_the_document_has_the_same_scenarios() -> None:
    rows = re.findall(r"^\| `([a-z-]+)` \| ([^|]+) \| (\d+) \| (\d+) s \|$", DOCUMENT.read_text(), re.MULTILINE)
    assert [(name, int(users), int(seconds)) for name, _, users, seconds in rows] == [
        (scenario.name, scenario.users, scenario.seconds) for scenario in SCENARIOS.values()
    ]


def as_row(threshold: Threshold) -> tuple[str, str, float, float, float, float]:
    return (
        threshold.scenario,
        threshold.kind,
        threshold.p95,
        threshold.p99,
        threshold.errors,
        threshold.rate,
    )
