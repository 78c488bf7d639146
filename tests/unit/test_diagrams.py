"""The diagrams of the documents: Mermaid renders each, and docs/design.md has those that a newcomer needs."""

from pathlib import Path

import pytest

from devtools.diagrams import Diagram, DiagramError, diagrams, render

ROOT = Path(__file__).parents[2]
DESIGN = ROOT / "docs" / "design.md"
FOUND = [diagram for document in sorted((ROOT / "docs").rglob("*.md")) for diagram in diagrams(document)]
BROKEN = {
    "unknown kind": "flowchrt LR\n  a --> b\n",
    "arrow without an end": "flowchart LR\n  a -->| b\n",
    "message without a text": "sequenceDiagram\n  a->>\n",
    "block without an end": "sequenceDiagram\n  alt hit\n  a->>b: one\n",
    "wrong arrow between states": "stateDiagram-v2\n  [*] -> a\n",
    "empty": "",
}


@pytest.mark.parametrize("diagram", FOUND, ids=lambda diagram: f"{diagram.document.stem}: {diagram.heading}")
def test_mermaid_renders_each_diagram(diagram: Diagram) -> None:
    svg = render(diagram)

    assert svg.startswith("<svg")
    assert "Syntax error" not in svg


@pytest.mark.parametrize("source", BROKEN.values(), ids=BROKEN.keys())
def test_a_broken_diagram_is_refused_with_its_document_and_heading(source: str) -> None:
    with pytest.raises(DiagramError, match=r"^design\.md, 'A hit': .*"):
        render(Diagram(DESIGN, "A hit", source))


def test_the_design_document_has_the_diagrams_that_a_newcomer_needs() -> None:
    pictured = {diagram.heading for diagram in diagrams(DESIGN)}

    assert pictured >= {
        "The components",
        "A hit and a miss",
        "A write",
        "The states of a key",
        "Redis dies, and comes back",
        "A primary of Redis is replaced",
        "A primary of MongoDB is replaced",
        "One process loses Redis",
    }


def test_a_diagram_is_found_under_its_heading(tmp_path: Path) -> None:
    document = tmp_path / "a.md"
    document.write_text("# A\n\n```mermaid\nflowchart LR\n```\n\n## B\n\n```text\nno\n```\n\n```mermaid\nx\n```\n")

    assert [(each.heading, each.source) for each in diagrams(document)] == [("A", "flowchart LR\n"), ("B", "x\n")]
