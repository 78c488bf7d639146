"""Opens after failures in a row, and then lets one operation at a time through."""

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


def test_it_opens_after_failures_in_a_row_and_says_so_once() -> None:
    breaker = after_failures(9)
    assert not refuses(breaker)

    assert end(breaker, worked=False)
    assert refuses(breaker)
    assert not end(breaker, worked=False), "those that ran already change nothing"


def test_one_that_works_between_them_keeps_it_closed() -> None:
    breaker = after_failures(9)
    end(breaker, worked=True)
    end(breaker, worked=False)

    assert breaker.state == "closed"


def test_it_is_clear_from_one_that_works_to_one_that_fails() -> None:
    breaker = OperationBreaker()
    states = [breaker.is_clear]
    for worked in (False, None, True, *[False] * 10, None, True):
        end(breaker, worked=worked)
        states.append(breaker.is_clear)

    assert states == [True, False, False, True, *[False] * 11, True]


def test_what_tells_nothing_is_neither() -> None:
    breaker = after_failures(9)
    assert not end(breaker, worked=None)
    assert not refuses(breaker)
    assert end(breaker, worked=False)
    assert refuses(breaker)


def test_after_a_check_one_at_a_time_tries_again() -> None:
    breaker = after_failures(10)
    breaker.try_again()
    assert breaker.state == "half_open"
    assert not refuses(breaker)

    breaker.begin()
    assert refuses(breaker)
    assert not breaker.end(worked=False)
    assert (breaker.state, refuses(breaker)) == ("open", True)


@pytest.mark.parametrize("worked", [True, None])
def test_one_that_does_not_fail_lets_the_next_through(worked: bool | None) -> None:
    breaker = after_failures(10)
    breaker.try_again()

    assert end(breaker, worked=worked) is bool(worked)
    assert not refuses(breaker)
    assert (breaker.state == "closed") is bool(worked)


def test_a_check_changes_nothing_of_a_closed_one() -> None:
    breaker = after_failures(3)
    breaker.try_again()

    assert breaker.state == "closed"
