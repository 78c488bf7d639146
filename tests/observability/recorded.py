"""Recorded metrics of exporters that cannot run in the tests; each file says where and how it was recorded."""

import re
from pathlib import Path

EXPOSITIONS = Path(__file__).with_name("expositions")
_SERIES = re.compile(r"^(\w+)\{([^}]*)\}", re.MULTILINE)
_LABEL = re.compile(r'(\w+)="')


def labels(name: str) -> dict[str, set[str]]:
    """Return the labels of every metric of a recording."""
    found: dict[str, set[str]] = {}
    for metric, written in _SERIES.findall((EXPOSITIONS / f"{name}.txt").read_text()):
        found.setdefault(metric, set()).update(_LABEL.findall(written))
    return found
