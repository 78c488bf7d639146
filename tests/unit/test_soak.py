"""The verdict of a soak."""

from dataclasses import replace

import pytest

from tests.faults.soak import Window, verdict

FLAT = [Window(requests=1000, failed=0, p50=1.0, p99=4.0, memory=80.0, descriptors=40)] * 20


def test_equal_windows_show_no_drift() -> None:
    assert verdict(FLAT) == []


def test_a_warm_up_may_be_different() -> None:
    cold = replace(FLAT[0], p99=90.0, memory=50.0, descriptors=20)

    assert verdict([cold] * 5 + FLAT[5:]) == []


@pytest.mark.parametrize(
    ("last", "says"),
    [
        (replace(FLAT[0], memory=88.0), "memory grew to 1.10 times"),
        (replace(FLAT[0], p99=9.0), "p99 grew to 2.25 times"),
        (replace(FLAT[0], descriptors=45), "5 more file descriptors"),
        (replace(FLAT[0], failed=1), "5 requests failed"),
    ],
)
def test_drift_in_the_last_quarter_is_reported(last: Window, says: str) -> None:
    drifted = FLAT[:15] + [last] * 5

    assert len(verdict(drifted)) == 1
    assert verdict(drifted)[0].startswith(says)
