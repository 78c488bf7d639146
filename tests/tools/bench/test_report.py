"""The published document is made of the published figures, and only of a complete run."""

import re
from pathlib import Path

import msgspec
import pytest

from bench import charts
from bench.groups import GROUPS
from bench.report import END, FIGURES, START, PublishError, as_plain_text, publish, with_figures
from bench.results import Run
from bench.thresholds import Verdict
from tests.tools.bench.runs import complete

ROOT = Path(__file__).parents[3]
DOCUMENT = ROOT / "docs" / "performance.md"
PICTURES = ROOT / "docs" / "performance"
AGAIN = 'run make bench ARGS="--publish"'


@pytest.fixture(scope="module")
def published() -> Run:
    return msgspec.json.decode((PICTURES / FIGURES).read_bytes(), type=Run)


def test_the_document_has_the_published_figures(published: Run) -> None:
    text = DOCUMENT.read_text()
    assert text == with_figures(text, published), AGAIN


def test_new_figures_replace_the_old_ones() -> None:
    text = f"# Performance\n{START}those before\n{END}\nthe end\n"

    written = with_figures(text, complete())

    assert written.startswith(f"# Performance\n{START}")
    assert written.endswith(f"{END}\nthe end\n")
    assert "those before" not in written
    assert with_figures(written, complete()) == written


def test_every_row_is_in_the_document_and_on_the_terminal() -> None:
    run = complete()
    written, printed = with_figures(START + END, run), as_plain_text(run)
    for group in GROUPS:
        for table in group.tables:
            for name in table.part.references:
                assert f"| {name} |" in written
                assert name in printed


def test_a_row_has_its_ratio_in_the_unit_of_its_table() -> None:
    written = with_figures(START + END, complete())

    assert "| case | requests/s | ratio to the empty route |" in written
    # The second row has half the rate of the first.
    assert re.search(r"\| a fixed body as long as a page of 20 \| 10,004 \([^)]+\) \| 0\.50 \(", written)
    assert "| case | p50, ms | ratio to the empty route |" in written
    assert re.search(r"\| add \| \d\.00 \| \d\.00 \(", written)


def test_a_missed_limit_is_named() -> None:
    run = complete()
    assert not run.kept
    threshold = "throughput of `stats`, relative to the empty route"
    missed = rf"^MISSED   {threshold}: 0\.111 \(0\.111 to 0\.111\), at least 0\.6$"
    assert re.search(missed, as_plain_text(run), re.MULTILINE)
    row = f"| {threshold} | **0.111** (0.111 to 0.111) | at least 0.6 | **missed** |  |"
    assert row in with_figures(START + END, run)


def test_a_figure_too_close_to_its_limit_is_named_and_fails_the_run() -> None:
    narrow = Verdict("a", "at least 0.5", 0.51, kept=True, has_room=False, quartiles=(0.4, 0.6))
    run = msgspec.structs.replace(complete(), verdicts=[narrow])

    assert not run.kept
    assert "NO ROOM  a: 0.51 (0.4 to 0.6), at least 0.5" in as_plain_text(run)
    row = "| a | **0.51** (0.4 to 0.6) | at least 0.5 | **kept, too close to the limit** |  |"
    assert row in with_figures(START + END, run)
    assert msgspec.structs.replace(run, verdicts=[msgspec.structs.replace(narrow, has_room=True)]).kept


@pytest.mark.parametrize(("reached", "told"), [(False, "0.75, not reached"), (True, "0.75, reached")])
def test_a_goal_is_told_and_does_not_fail_the_run(reached: bool, told: str) -> None:
    verdict = Verdict("a", "at least 0.5", 0.7, kept=True, goal=0.75, reached=reached)
    run = msgspec.structs.replace(complete(), verdicts=[verdict])

    assert run.kept
    assert f"kept     a: 0.7, at least 0.5; the goal is {told}" in as_plain_text(run)
    assert f"| a | **0.7** | at least 0.5 | kept | {told} |" in with_figures(START + END, run)


def test_a_run_without_the_original_is_complete() -> None:
    assert complete(without="original").missing == []
    assert complete(without="reads").missing == ["reads"]


def test_publishing_writes_document_figures_and_pictures(tmp_path: Path) -> None:
    document, pictures, profile = tmp_path / "performance.md", tmp_path / "performance", tmp_path / "profile.svg"
    document.write_text(START + END)
    profile.write_text("<svg/>")

    publish(complete(), document, pictures, profile)

    written = {path.name for path in pictures.iterdir()}
    assert written == {FIGURES, "profile.svg", *(f"{name}.svg" for name in charts.draw(complete()))}
    # Everything that the document shows exists, and everything is shown; the profile has a place of its own in it.
    shown = re.findall(r"\(performance/(.+)\)", document.read_text())
    assert {*shown, "profile.svg", FIGURES} == written
    assert '"samples"' not in (pictures / FIGURES).read_text()
    assert document.read_text() == with_figures(START + END, complete())


def test_the_packages_are_shown_with_the_one_first_that_takes_most_of_any_work() -> None:
    published = with_figures(START + END, complete())

    table = ["| package | reads | loads |", "| --- | ---: | ---: |", "| PyMongo | 25% | 100% |", "| Sanic | 75% | 0% |"]
    assert "\n".join(table) in published
    assert "PyMongo    25%   100%" in as_plain_text(complete())


@pytest.mark.parametrize(
    ("run", "has_profile", "says"),
    [
        (msgspec.structs.replace(complete(), shares={}), True, "lacks profile"),
        (complete(without="drivers"), True, "lacks drivers"),
        (complete(), False, "lacks profile"),
        (complete(rounds=2), True, "2 rounds are too few"),
    ],
    ids=["the packages are missing", "a group is missing", "the profile is missing", "too few rounds"],
)
def test_an_incomplete_run_is_not_published(tmp_path: Path, run: Run, has_profile: bool, says: str) -> None:
    document, profile = tmp_path / "performance.md", tmp_path / "profile.svg"
    document.write_text(START + END)
    if has_profile:
        profile.write_text("<svg/>")

    with pytest.raises(PublishError, match=says):
        publish(run, document, tmp_path / "performance", profile)
    assert document.read_text() == START + END


def test_a_document_without_a_place_for_figures_is_refused() -> None:
    with pytest.raises(PublishError, match="the document lacks"):
        with_figures("# Performance\n", complete())
