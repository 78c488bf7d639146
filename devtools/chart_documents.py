"""The tables of charts/mylist/README.md, generated from the comments of the values."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple, cast

import yaml

ROOT = Path(__file__).parents[1]
CHART = ROOT / "charts" / "mylist"
README = CHART / "README.md"
_TABLE = re.compile(r"(<!-- values of (\S+): [^\n]* -->\n).*?(<!-- end of values -->)", re.DOTALL)
_COMMENT = re.compile(r"^ *# -- (.+)$")


class Value(NamedTuple):
    """A row of a table: where the value is, its default as JSON, what it means."""

    path: str
    default: str
    meaning: str


def documented(path: Path) -> list[Value]:
    """Return every value that the file has a comment for, as `# -- meaning` on the line above it."""
    text = path.read_text()
    root = cast("yaml.MappingNode", yaml.compose(text, Loader=yaml.SafeLoader))
    return list(_documented(root, text.splitlines(), ""))


def undocumented(path: Path) -> list[str]:
    """Return the values without a comment, of their own or of a parent."""
    covered = tuple(value.path for value in documented(path))
    return [
        leaf
        for leaf in _leaves(yaml.safe_load(path.read_text()), "")
        if not any(leaf == each or leaf.startswith(f"{each}.") for each in covered)
    ]


def readme() -> str:
    """Return the README with its tables regenerated."""

    def table(found: re.Match[str]) -> str:
        rows = ["| Value | Default | Meaning |", "| --- | --- | --- |"]
        rows += [
            f"| `{each.path}` | `{_in_cell(each.default)}` | {_in_cell(each.meaning)} |"
            for each in documented(CHART / found[2])
        ]
        return "\n".join([found[1], *rows, "", found[3]])

    return _TABLE.sub(table, README.read_text())


def write() -> None:
    """Write the README."""
    README.write_text(readme())


def _in_cell(text: str) -> str:
    return text.replace("|", "\\|")


def _documented(mapping: yaml.MappingNode, lines: list[str], prefix: str) -> Iterator[Value]:
    for key, value in mapping.value:
        path = f"{prefix}{key.value}"
        if comment := _COMMENT.match(lines[key.start_mark.line - 1]):
            constructed = yaml.SafeLoader("").construct_object(value, deep=True)
            yield Value(path, json.dumps(constructed, ensure_ascii=False), comment[1])
        elif isinstance(value, yaml.MappingNode):
            yield from _documented(value, lines, f"{path}.")


def _leaves(value: object, path: str) -> Iterator[str]:
    if isinstance(value, dict) and value:
        for key, each in value.items():
            yield from _leaves(each, f"{path}.{key}" if path else str(key))
    else:
        yield path
