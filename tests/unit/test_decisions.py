"""The index of decisions: every record is in it with its status, and both sides of an amendment name each other."""

from pathlib import Path

import pytest

from devtools import decision_index, documents
from devtools.decision_index import DecisionError, decisions, index, text_of

FIRST = "# 1. One\n\nStatus: accepted, May 2026.\n\n## Context\n\nText.\n"
SECOND = (
    "# 2. Two\n\nStatus: accepted, June 2026. Amends [0001](0001-one.md). Rewritten since.\n\n## Context\n\nText.\n"
)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(decision_index, "FOLDER", tmp_path)
    monkeypatch.setattr(decision_index, "INDEX", tmp_path / "README.md")
    (tmp_path / "README.md").write_text("# Decisions\n")
    (tmp_path / "0001-one.md").write_text(FIRST)
    return tmp_path


def test_index_has_every_decision() -> None:
    assert decision_index.INDEX.read_text() == documents.decisions(), f"run {documents.COMMAND}"
    listed = decision_index.INDEX.read_text()
    assert [path.name for path in decision_index.FOLDER.glob("0*.md") if f"({path.name})" not in listed] == []


def test_every_decision_names_those_that_amend_it() -> None:
    among = decisions()
    written = {each.file: (decision_index.FOLDER / each.file).read_text() for each in among.values()}

    assert len(among) >= 25
    assert {each.file: text_of(each, among) for each in among.values()} == written, f"run {documents.COMMAND}"


def test_an_amendment_is_recorded_in_both_decisions_and_in_the_index(folder: Path) -> None:
    (folder / "0002-two.md").write_text(SECOND)
    decision_index.write()

    assert (folder / "0001-one.md").read_text() == FIRST.replace("2026.", "2026. Amended by [0002](0002-two.md).", 1)
    assert (folder / "0002-two.md").read_text() == SECOND
    assert "| [0001](0001-one.md) One | accepted |  | [0002](0002-two.md) |" in index(decisions())
    assert "| [0002](0002-two.md) Two | accepted | [0001](0001-one.md) |  |" in index(decisions())

    (folder / "0002-two.md").write_text(SECOND.replace(" Amends [0001](0001-one.md).", ""))
    decision_index.write()
    assert (folder / "0001-one.md").read_text() == FIRST


def test_a_status_line_without_its_label_is_completed(folder: Path) -> None:
    (folder / "0001-one.md").write_text(FIRST.replace("Status: accepted", "Accepted"))
    decision_index.write()

    assert (folder / "0001-one.md").read_text() == FIRST


@pytest.mark.parametrize(
    ("file", "text", "message"),
    [
        ("0002-two.md", SECOND.replace("Status: accepted, June 2026.", "Decided."), "followed by `Status: accepted"),
        ("0002-two.md", SECOND.replace("accepted", "done"), "followed by `Status: accepted"),
        ("0002-two.md", SECOND.replace("accepted, June 2026.", "accepted."), "followed by `Status: accepted"),
        ("0002-two.md", SECOND.replace("# 2.", "# 3."), "the number of the file's name"),
        ("two.md", SECOND, "the number of the file's name"),
        ("0002-two.md", SECOND.replace("0001", "0003"), "no earlier decision 0003"),
        ("0001-another.md", FIRST, "has this number already"),
    ],
)
def test_a_malformed_decision_is_refused(folder: Path, file: str, text: str, message: str) -> None:
    (folder / file).write_text(text)

    with pytest.raises(DecisionError, match=message):
        decisions()
