"""Limits: what is compared, and what is a miss."""

from dataclasses import replace

import pytest

from bench.groups import GROUPS
from bench.samples import Sample
from bench.thresholds import THRESHOLDS, Threshold, judge, undisturbed

SLOWER = Threshold("cached, of empty", "reads", "cached", "rate", 0.5, "empty", is_minimum=True)


def rates(*values: float) -> list[Sample]:
    return [Sample(rate=value) for value in values]


def test_rows_are_compared_round_by_round() -> None:
    # A machine that is half as fast in the second round is so for both.
    samples = {"cached": rates(600, 300, 600), "empty": rates(1000, 500, 1000)}

    verdict = judge(SLOWER, samples)

    assert verdict.value == pytest.approx(0.6)
    assert verdict.kept


def test_the_median_round_decides() -> None:
    assert judge(SLOWER, {"cached": rates(490, 490, 900), "empty": rates(1000, 1000, 1000)}).kept is False
    assert judge(SLOWER, {"cached": rates(510, 510, 10), "empty": rates(1000, 1000, 1000)}).kept


@pytest.mark.parametrize(("measured", "kept"), [(2.9, True), (3.0, True), (3.1, False)])
def test_a_figure_may_be_at_most_its_maximum(measured: float, kept: bool) -> None:
    verdict = judge(Threshold("p99", "reads", "cached", "p99", 3.0), {"cached": [Sample(p99=measured)]})

    assert (verdict.kept, verdict.bound) == (kept, "at most 3")


@pytest.mark.parametrize(
    ("measured", "outcome"), [(0.49, "missed"), (0.50, "narrow"), (0.51, "narrow"), (0.52, "kept"), (0.9, "kept")]
)
def test_a_median_close_to_its_minimum_gets_the_outcome_narrow(measured: float, outcome: str) -> None:
    assert judge(SLOWER, {"cached": rates(measured), "empty": rates(1)}).outcome == outcome


@pytest.mark.parametrize(
    ("measured", "outcome"), [(0.0, "kept"), (2.9, "kept"), (2.92, "narrow"), (3.0, "narrow"), (3.01, "missed")]
)
def test_a_median_close_to_its_maximum_gets_the_outcome_narrow(measured: float, outcome: str) -> None:
    verdict = judge(Threshold("p99", "reads", "cached", "p99", 3.0), {"cached": [Sample(p99=measured)]})

    assert verdict.outcome == outcome


def test_a_quartile_may_have_a_limit_of_its_own() -> None:
    samples = {"cached": rates(440, 480, 520, 560, 600), "empty": rates(*[1000] * 5)}

    middle, low, high = (judge(replace(SLOWER, statistic=each), samples) for each in ("middle", "low", "high"))

    assert (middle.value, middle.quartiles) == (0.52, (0.48, 0.56))
    assert (low.value, low.outcome, low.quartiles) == (0.48, "missed", None)
    assert (high.value, high.outcome) == (0.56, "kept")
    # For a quartile, the room is judged by the median.
    assert judge(replace(SLOWER, statistic="low", bound=0.48), samples).outcome == "kept"


@pytest.mark.parametrize(("measured", "reached"), [(0.6, False), (0.74, False), (0.75, True), (0.9, True)])
def test_a_goal_beyond_the_limit_is_reached_or_not_and_does_not_change_the_outcome(
    measured: float, reached: bool
) -> None:
    verdict = judge(replace(SLOWER, goal=0.75), {"cached": rates(measured), "empty": rates(1)})

    assert (verdict.outcome, verdict.goal, verdict.reached) == ("kept", 0.75, reached)


def test_a_goal_is_stricter_than_the_limit() -> None:
    goals = [(each, each.goal) for each in THRESHOLDS if each.goal is not None]
    assert goals
    for threshold, goal in goals:
        assert goal != threshold.bound
        assert threshold.allows(goal, threshold.bound), threshold.says


def test_time_is_the_inverse_of_the_rate() -> None:
    threshold = replace(SLOWER, quantity="time", bound=1.3, is_minimum=False)

    verdict = judge(threshold, {"cached": rates(500), "empty": rates(1000)})

    assert (verdict.value, verdict.kept) == (2.0, False)


def test_limits_refer_to_measured_rows() -> None:
    rows = {group.name: {name for table in group.tables for name in table.part.references} for group in GROUPS}
    for threshold in THRESHOLDS:
        assert {threshold.row, threshold.of or threshold.row} <= rows[threshold.group]


@pytest.mark.parametrize(("starts", "rounds"), [(1, 10), (3, 12), (3, 10), (3, 2), (3, 1)])
def test_each_start_of_the_servers_has_its_share_of_the_rounds(starts: int, rounds: int) -> None:
    shares = replace(GROUPS[0], starts=starts).shares(rounds)

    assert [number for share in shares for number in share] == list(range(rounds))
    assert len(shares) == min(starts, rounds)
    assert max(map(len, shares)) - min(map(len, shares)) <= 1


def test_rows_of_a_group_have_unique_names() -> None:
    for group in GROUPS:
        names = [name for table in group.tables for name in table.part.references]
        assert len(set(names)) == len(names)


def test_rows_are_compared_with_rows_of_the_same_table() -> None:
    for group in GROUPS:
        for table in group.tables:
            references = table.part.references
            assert {of for of in references.values() if of} <= set(references)


def test_a_run_on_a_machine_that_was_too_busy_misses_a_limit() -> None:
    quiet, busy = [Sample(cached=1.0)] * 3, [Sample(cached=1.0), Sample(cached=0.9), Sample(cached=0.98)]
    uncounted = [Sample(rate=1000)] * 3

    assert [each.outcome for each in undisturbed({"reads": {"a": quiet, "b": uncounted}})] == ["kept"]
    (told,) = undisturbed({"reads": {"a": quiet}, "lengths": {"b": quiet, "c": busy}})
    assert told.value == pytest.approx(0.02)
    assert told.outcome == "missed"
    assert undisturbed({"drivers": {"b": uncounted}}) == []
