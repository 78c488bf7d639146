"""How many log lines a limit lets through."""

from mylist.telemetry.line_limit import LineLimit


def test_each_period_allows_a_limited_number_of_lines() -> None:
    now = 0.0
    limit = LineLimit(2, period_s=60, clock=lambda: now)

    assert [limit.allows() for _ in range(4)] == [True, True, False, False]
    now = 59.9
    assert not limit.allows()
    now = 60.0
    assert [limit.allows() for _ in range(3)] == [True, True, False]
