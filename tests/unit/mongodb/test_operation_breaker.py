"""The breaker of MongoDB opens after consecutive failures, and then lets one operation through at a time."""

import pytest

from mylist.domain.errors import DatabaseUnavailableError
from mylist.mongodb.operation_breaker import OperationBreaker


def after_failures(count: int) -> OperationBreaker:
    breaker = OperationBreaker()
    for _ in range(count):
        end(breaker, worked=False)
    return breaker


def end(breaker: OperationBreaker, *, worked: bool | None) -> bool:
    breaker.begin()
    return breaker.end(worked=worked)


def refuses(breaker: OperationBreaker) -> bool:
    try:
        breaker.require_closed()
    except DatabaseUnavailableError:
        return True
    return False


def test_the_breaker_opens_after_consecutive_failures_and_reports_it_once() -> None:
    breaker = after_failures(9)
    assert not refuses(breaker)

    assert end(breaker, worked=False)
    assert refuses(breaker)
    assert not end(breaker, worked=False), "those that ran already change nothing"


def test_a_success_between_failures_keeps_the_breaker_closed() -> None:
    breaker = after_failures(9)
    end(breaker, worked=True)
    end(breaker, worked=False)

    assert breaker.state == "closed"


def test_the_breaker_is_clear_if_no_failure_followed_the_last_success() -> None:
    breaker = OperationBreaker()
    states = [breaker.is_clear]
    for worked in (False, None, True, *[False] * 10, None, True):
        end(breaker, worked=worked)
        states.append(breaker.is_clear)

    assert states == [True, False, False, True, *[False] * 11, True]


def test_an_inconclusive_operation_counts_as_neither_success_nor_failure() -> None:
    breaker = after_failures(9)
    assert not end(breaker, worked=None)
    assert not refuses(breaker)
    assert end(breaker, worked=False)
    assert refuses(breaker)


def test_a_half_open_breaker_lets_one_operation_through_at_a_time() -> None:
    breaker = after_failures(10)
    breaker.try_again()
    assert breaker.state == "half_open"
    assert not refuses(breaker)

    breaker.begin()
    assert refuses(breaker)
    assert not breaker.end(worked=False)
    assert (breaker.state, refuses(breaker)) == ("open", True)


@pytest.mark.parametrize("worked", [True, None])
def test_an_operation_that_does_not_fail_lets_the_next_one_through(worked: bool | None) -> None:
    breaker = after_failures(10)
    breaker.try_again()

    assert end(breaker, worked=worked) is bool(worked)
    assert not refuses(breaker)
    assert (breaker.state == "closed") is bool(worked)


def test_a_check_does_not_change_a_closed_breaker() -> None:
    breaker = after_failures(3)
    breaker.try_again()

    assert breaker.state == "closed"
