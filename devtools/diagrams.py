"""The pictures of the documents: Mermaid blocks, rendered by Mermaid itself, without a browser.

`python -m devtools.diagrams` writes them as SVG to build/diagrams, to look at.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import mermaidx  # type: ignore[import-untyped]

ROOT = Path(__file__).parents[1]
TARGET = ROOT / "build" / "diagrams"
_BLOCK = re.compile(r"^```mermaid\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_HEADING = re.compile(r"^#{1,6} (.+)$", re.MULTILINE)


class DiagramError(Exception):
    """Mermaid cannot draw a diagram; the message is one line with the diagram and Mermaid's error."""


@dataclass(frozen=True)
class Diagram:
    """A Mermaid block.

    Attributes:
        document: the file that contains it.
        heading: the heading above it.
        source: its text.
    """

    document: Path
    heading: str
    source: str


def diagrams(document: Path) -> Iterator[Diagram]:
    """Yield the diagrams of a document."""
    text = document.read_text()
    for found in _BLOCK.finditer(text):
        heading = [each[1] for each in _HEADING.finditer(text, 0, found.start())][-1]
        yield Diagram(document, heading, found[1])


def render(diagram: Diagram) -> str:
    """Return a diagram as SVG.

    Raises:
        DiagramError: Mermaid cannot draw it.
    """
    try:
        svg: str = mermaidx.render(diagram.source).svg()
    except RuntimeError as error:
        said = " ".join(str(error).split())
        raise DiagramError(f"{diagram.document.name}, {diagram.heading!r}: {said}") from error
    return svg


def main() -> None:
    """Write all of them."""
    TARGET.mkdir(parents=True, exist_ok=True)
    for document in sorted((ROOT / "docs").rglob("*.md")):
        for number, diagram in enumerate(diagrams(document), 1):
            path = TARGET / f"{document.stem}-{number}.svg"
            path.write_text(render(diagram))
            print(path.relative_to(ROOT))


if __name__ == "__main__":
    main()
