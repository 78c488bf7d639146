"""The steps one after the other, and the verdict."""

from collections.abc import Callable

from tests.e2e.cluster import CommandError
from tests.e2e.runner import run_steps
from tests.e2e.table import Verdict, passed


def seeing(what: str) -> Callable[[], str]:
    return lambda: what


def failing(error: Exception) -> Callable[[], str]:
    def step() -> str:
        raise error

    return step


def test_each_step_becomes_a_row_with_what_it_saw() -> None:
    rows = run_steps([("install", seeing("two pods")), ("uninstall", seeing("nothing"))], seeing("no diagnosis"))

    assert [(row.step, row.seen, row.verdict) for row in rows] == [
        ("install", "two pods", Verdict.PASSED),
        ("uninstall", "nothing", Verdict.PASSED),
    ]
    assert passed(rows)


def test_a_step_that_fails_says_why_and_the_others_are_taken_all_the_same() -> None:
    steps = [("install", seeing("")), ("kill", failing(AssertionError("stale"))), ("uninstall", seeing("nothing"))]
    rows = run_steps(steps, seeing(""))

    assert [row.verdict for row in rows] == [Verdict.PASSED, Verdict.FAILED, Verdict.PASSED]
    assert rows[1].seen == "stale"
    assert not passed(rows)


def test_what_failed_is_diagnosed_at_once() -> None:
    diagnosed: list[str] = []

    def diagnosis() -> str:
        diagnosed.append("now")
        return "the events"

    run_steps(
        [("install", seeing("")), ("drain", failing(CommandError("kubectl drain: no"))), ("a", seeing(""))], diagnosis
    )

    assert diagnosed == ["now"]


def test_without_an_installation_nothing_else_is_run() -> None:
    rows = run_steps(
        [("install", failing(CommandError("helm: no"))), ("uninstall", failing(AssertionError()))], seeing("")
    )

    assert [row.verdict for row in rows] == [Verdict.FAILED, Verdict.NOT_RUN]
    assert not passed(rows)
