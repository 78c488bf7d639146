"""From figures and thresholds to a verdict."""

import json
from dataclasses import replace
from math import inf

import pytest

from loadtests.autoscaler import Sample, Scaling
from loadtests.histogram import Histogram
from loadtests.results import RequestStats, RunResult, merge
from loadtests.thresholds import Threshold
from loadtests.verdict import as_data, judge, misses, report

ITEMS = ("GET", "/api/mylist/items")
ADD = ("POST", "/api/mylist/add")
REMOVE = ("DELETE", "/api/mylist/remove/{content_id}")
READS = Threshold("mixed", "reads", p95=5, p99=10, errors=0.01, rate=90)
WRITES = Threshold("mixed", "writes", p95=50, p99=100, errors=0.01, rate=2)
QUICK = RunResult(
    scenario="mixed",
    users=10,
    seconds=10.0,
    seen={
        ITEMS: RequestStats(1000, 0, {1.25: 900, 4.0: 85, 9.5: 14, 70.0: 1}),
        ADD: RequestStats(10, 0, {20.0: 10}),
        REMOVE: RequestStats(10, 0, {30.0: 10}),
    },
)


def missed(result: RunResult, *, share: float = 1.0, leeway: float = 1.0) -> list[str]:
    return misses(result, judge(result, [READS, WRITES], share=share, leeway=leeway))


def with_reads(**changes: object) -> RunResult:
    return replace(QUICK, seen={**QUICK.seen, ITEMS: replace(QUICK.seen[ITEMS], **changes)})  # type: ignore[arg-type]


def test_a_run_within_every_threshold_misses_none() -> None:
    assert missed(QUICK) == []


@pytest.mark.parametrize(
    ("result", "line"),
    [
        (
            with_reads(times={1.0: 985, 27.5: 15}),
            "p99 is 27.50 ms, but must be below 10.00 ms; missed by 17.50 ms (175%)",
        ),
        (with_reads(times={1.0: 900, 5.0: 100}), "p95 is 5.00 ms, but must be below 5.00 ms; missed by 0.00 ms (0%)"),
        (with_reads(failures=25), "errors is 2.50%, but must be at most 1.00%; missed by 1.50% (150%)"),
        (replace(QUICK, seconds=12.5), "rate is 80.0/s, but must be at least 90.0/s; missed by 10.0/s (11%)"),
    ],
    ids=["p99", "p95", "errors", "rate"],
)
def test_a_miss_names_its_threshold_and_the_difference(result: RunResult, line: str) -> None:
    assert f"MISSED mixed, reads: {line}" in missed(result)
    assert line in report(result, judge(result, [READS, WRITES]))


def test_reads_do_not_make_up_for_slow_writes() -> None:
    slow = replace(QUICK, seen={**QUICK.seen, REMOVE: RequestStats(10, 0, {60.0: 9, 300.0: 1})})

    assert [line.partition(" is ")[0] for line in missed(slow)] == [
        "MISSED mixed, writes: p95",
        "MISSED mixed, writes: p99",
    ]


def test_failed_requests_do_not_count_for_the_rate() -> None:
    assert any("rate is 50.0/s" in line for line in missed(with_reads(failures=500)))


def test_the_required_rate_scales_with_the_number_of_users() -> None:
    assert missed(replace(QUICK, seconds=20.0), share=0.5) == []
    assert [line.partition(" is ")[0] for line in missed(QUICK, share=2)] == [
        "MISSED mixed, reads: rate",
        "MISSED mixed, writes: rate",
    ]


def test_leeway_applies_to_latency_only() -> None:
    slow = with_reads(times={8.0: 985, 15.0: 15}, failures=15)

    assert [line.partition(" is ")[0] for line in missed(slow, leeway=1.9)] == ["MISSED mixed, reads: errors"]


def test_a_run_without_requests_misses_its_thresholds() -> None:
    assert missed(replace(QUICK, seen={})) == [
        "MISSED mixed, reads: rate is 0.0/s, but must be at least 90.0/s; missed by 90.0/s (100%)",
        "MISSED mixed, writes: rate is 0.0/s, but must be at least 2.0/s; missed by 2.0/s (100%)",
    ]


def test_a_run_with_a_defect_is_reported_as_missed() -> None:
    assert missed(replace(QUICK, defects=("a worker fell silent",))) == ["MISSED mixed, a worker fell silent"]


@pytest.mark.parametrize(
    ("percent", "milliseconds"), [(0, 1), (50, 1), (50.1, 2), (90, 2), (99, 3), (99.1, 7), (100, 7)]
)
def test_a_percentile_is_the_time_within_which_that_share_of_requests_was_answered(
    percent: float, milliseconds: float
) -> None:
    assert RequestStats(100, 0, {2.0: 40, 1.0: 50, 7.0: 1, 3.0: 9}).percentile(percent) == milliseconds


def test_routes_are_added_up() -> None:
    assert merge([RequestStats(3, 1, {1.0: 2, 2.0: 1}), RequestStats(2, 0, {2.0: 2})]) == RequestStats(
        5, 1, {1.0: 2, 2.0: 3}
    )


def test_the_report_shows_each_threshold_and_both_sides_of_each_route() -> None:
    counted = {ITEMS: Histogram({0.001: 500, 0.002: 1001, inf: 1001})}
    failures = {"POST /api/mylist/add: 503 DATABASE_BUSY": 1200}
    result = replace(QUICK, counted=counted, failures=failures, remark="the service counted 1,001 of 1,020 requests")

    lines = report(result, judge(result, [READS, WRITES])).splitlines()

    rows = [line.split() for line in lines]
    assert ["reads", "p99", "9.50", "ms", "<", "10.00", "ms", "kept"] in rows
    assert ["writes", "rate", "2.0/s", ">=", "2.0/s", "kept"] in rows
    [compared] = [line for line in lines if line.startswith("GET /api/mylist/items")]
    assert compared.split()[2:7] == ["1,000", "1,001", "1.25", "1.00", "0.25"]
    assert "1,200 times POST /api/mylist/add: 503 DATABASE_BUSY" in lines
    assert result.remark in lines
    assert lines[-1] == "mixed: every threshold is kept"


def test_the_data_is_json_with_thresholds_and_routes() -> None:
    slow = replace(with_reads(failures=25), counted={ITEMS: Histogram({0.001: 1000, inf: 1000})})

    data = json.loads(json.dumps(as_data(slow, judge(slow, [READS, WRITES]))))

    assert data["missed"] == missed(slow)
    assert [each["kept"] for each in data["thresholds"]] == [True, True, False, True, True, True, True, True]
    assert data["routes"]["GET /api/mylist/items"]["locust"]["99"] == 9.5
    assert data["routes"]["GET /api/mylist/items"]["service"]["50"] == 0.5
    assert data["routes"]["POST /api/mylist/add"]["service"] == {}
    assert data["autoscaler"] is None


def test_the_replicas_are_reported_by_change_and_do_not_affect_the_verdict() -> None:
    samples = tuple(Sample(5.0 * number, current, 6) for number, current in enumerate((3, 3, 6, 6)))
    result = replace(QUICK, scaling=Scaling("mylist", 3, 20, samples, "the autoscaler mylist could not be read: 503"))

    lines = report(result, judge(result, [READS, WRITES])).splitlines()

    first = lines.index("autoscaler mylist: 3 to 6 replicas, 6 to 6 desired; 3 to 20 allowed")
    rows = [["second", "current", "desired"], ["0", "3", "6"], ["10", "6", "6"], ["15", "6", "6"]]
    assert [line.split() for line in lines[first + 1 : first + 5]] == rows
    assert lines[first + 5] == "the autoscaler mylist could not be read: 503"
    assert lines[-1] == "mixed: every threshold is kept"
    data = json.loads(json.dumps(as_data(result, [])))
    assert data["autoscaler"]["samples"][2] == {"second": 10.0, "current": 6, "desired": 6}
