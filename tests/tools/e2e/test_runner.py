"""The runner runs the steps one after the other, and gives the verdict."""

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


def test_each_step_becomes_a_row_with_its_observation() -> None:
    rows = run_steps([("install", seeing("two pods")), ("uninstall", seeing("nothing"))], seeing("no diagnosis"))

    assert [(row.step, row.seen, row.verdict) for row in rows] == [
        ("install", "two pods", Verdict.PASSED),
        ("uninstall", "nothing", Verdict.PASSED),
    ]
    assert passed(rows)


def test_a_failed_step_shows_its_reason_and_the_other_steps_still_run() -> None:
    steps = [("install", seeing("")), ("kill", failing(AssertionError("stale"))), ("uninstall", seeing("nothing"))]
    rows = run_steps(steps, seeing(""))

    assert [row.verdict for row in rows] == [Verdict.PASSED, Verdict.FAILED, Verdict.PASSED]
    assert rows[1].seen == "stale"
    assert not passed(rows)


def test_a_failed_step_is_diagnosed_at_once() -> None:
    diagnosed: list[str] = []

    def diagnosis() -> str:
        diagnosed.append("now")
        return "the events"

    run_steps(
        [("install", seeing("")), ("drain", failing(CommandError("kubectl drain: no"))), ("a", seeing(""))], diagnosis
    )

    assert diagnosed == ["now"]


def test_no_other_step_runs_if_the_installation_fails() -> None:
    rows = run_steps(
        [("install", failing(CommandError("helm: no"))), ("uninstall", failing(AssertionError()))], seeing("")
    )

    assert [row.verdict for row in rows] == [Verdict.FAILED, Verdict.NOT_RUN]
    assert not passed(rows)
