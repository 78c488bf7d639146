"""The committed dashboards: their panels and expressions."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

FOLDER = Path(__file__).parents[2] / "charts" / "mylist" / "files" / "dashboards"
# Values for Grafana's own variables, and for the hidden one that it derives from the pods' names. The others are
# choices of the reader, and are replaced by a pattern for all values.
_OF_GRAFANA = {"__rate_interval": "1m", "deployment": "mylist"}
_VARIABLE = re.compile(r"\$\{?(\w+)\}?")


class Expression(NamedTuple):
    """A query of a panel, in Prometheus' form."""

    dashboard: str
    panel: str
    expression: str


def dashboards() -> dict[str, dict[str, Any]]:
    """Return every dashboard by the name of its file."""
    return {path.name: json.loads(path.read_text(encoding="utf-8")) for path in sorted(FOLDER.glob("*.json"))}


def panels(dashboard: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield the panels of a dashboard, without the headings between them."""
    for panel in dashboard["panels"]:
        if panel["type"] == "row":
            yield from panel["panels"]
        else:
            yield panel


def expressions() -> list[Expression]:
    """Return every expression of every panel, with sensible values for Grafana's variables."""
    return [
        Expression(dashboard["title"], panel["title"], substituted(target["expr"]))
        for dashboard in dashboards().values()
        for panel in panels(dashboard)
        for target in panel["targets"]
    ]


def substituted(expression: str) -> str:
    """Return an expression as Prometheus gets it if the reader has chosen nothing."""
    return _VARIABLE.sub(lambda variable: _OF_GRAFANA.get(variable[1], ".*"), expression)
