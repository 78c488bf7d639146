"""Which reasons of an outage are logged."""

import pytest

from mylist.telemetry.outage_reasons import OutageReasons

PERIOD_S = 30.0
UNKNOWN = "mylist-mongodb:27017: [Errno -2] Name or service not known"
REFUSED = "mylist-mongodb:27017: [Errno 111] Connection refused"
CERTIFICATE = "certificate verify failed: Hostname mismatch, certificate is not valid for 'mylist-mongodb'"


class Outage:
    """An outage that began with a reason, and its clock."""

    def __init__(self, reason: str) -> None:
        self.now = 1000.0
        self.reasons = OutageReasons(period_s=PERIOD_S, clock=lambda: self.now)
        self.reasons.note_logged(reason)

    def told(self, *reasons: str, seconds: float) -> list[str]:
        """Report these reasons in turn, one each second; return those that are logged."""
        logged = []
        for second in range(round(seconds)):
            self.now += 1
            reason = reasons[second % len(reasons)]
            if self.reasons.is_news(reason):
                logged.append(reason)
        return logged


@pytest.mark.parametrize("present", [REFUSED, CERTIFICATE])
def test_a_new_reason_is_logged_once(present: str) -> None:
    assert Outage(UNKNOWN).told(present, seconds=600) == [present]


def test_the_same_reason_is_not_logged_again() -> None:
    assert Outage(UNKNOWN).told(UNKNOWN, seconds=600) == []


@pytest.mark.parametrize(
    ("first", "others"),
    [
        ("10.0.0.1:27017: timed out", ["10.0.0.7:27017: timed out", "10.96.3.12:40112: timed out"]),
        ("no answer since 2026-01-01T10:00:00Z", [f"no answer since 2026-01-01T10:00:{n}Z" for n in range(10, 20)]),
        ("a: refused,b: timed out", ["b: timed out,a: refused"]),
        ("election 7fffffff0000000000000001 lost", ["election 7fffffff00000000000000ab lost"]),
    ],
    ids=["ports", "times", "order", "ids"],
)
def test_a_reason_that_differs_only_in_numbers_or_order_is_not_logged_again(first: str, others: list[str]) -> None:
    assert Outage(first).told(*others, seconds=600) == []


def test_two_alternating_reasons_are_logged_at_most_once_per_period() -> None:
    logged = Outage(UNKNOWN).told(REFUSED, CERTIFICATE, seconds=10 * PERIOD_S)

    assert 1 < len(logged) <= 10


def test_the_last_of_several_reasons_is_logged_eventually() -> None:
    outage = Outage(UNKNOWN)
    assert outage.told(REFUSED, CERTIFICATE, seconds=4) == []

    assert outage.told(REFUSED, seconds=PERIOD_S) == [REFUSED]


def test_a_new_outage_forgets_the_reason_of_the_previous_one() -> None:
    outage = Outage(UNKNOWN)
    outage.reasons.note_logged(REFUSED)

    assert outage.told(REFUSED, seconds=600) == []
    assert outage.told(UNKNOWN, seconds=600) == [UNKNOWN]
