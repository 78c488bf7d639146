"""What a dashboard consists of, and the JSON that Grafana reads."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

Json = dict[str, Any]

TAG = "mylist"
"""Every dashboard has it, and by it they find each other."""

DATASOURCE: Json = {"type": "prometheus", "uid": "${datasource}"}
_COLUMNS = 24

Thresholds = tuple[tuple[float | None, str], ...]
"""From which value on which colour holds; the first holds from the lowest (None)."""

NEUTRAL: Thresholds = ((None, "blue"),)
ANY_IS_BAD: Thresholds = ((None, "green"), (0.000001, "red"))


def high_is_bad(warning: float, bad: float) -> Thresholds:
    """Is yellow from `warning` on and red from `bad` on."""
    return (None, "green"), (warning, "yellow"), (bad, "red")


def low_is_bad(warning: float, bad: float) -> Thresholds:
    """Is yellow below `warning` and red below `bad`."""
    return (None, "red"), (bad, "yellow"), (warning, "green")


def at_least(goal: float) -> Thresholds:
    """Is red below `goal`."""
    return (None, "red"), (goal, "green")


@dataclass(frozen=True)
class State:
    """What a value means, in a word and a colour."""

    value: int
    word: str
    colour: str


@dataclass(frozen=True)
class Query:
    """An expression, and how its series are called."""

    expression: str
    legend: str


@dataclass(frozen=True, kw_only=True)
class Panel:
    """One picture. `unit` is one of Grafana's ids; the grid has 24 columns."""

    kind: ClassVar[str]

    title: str
    description: str
    unit: str
    queries: tuple[Query, ...]
    width: int = 12
    height: int = 8
    thresholds: Thresholds = NEUTRAL
    states: tuple[State, ...] = ()
    decimals: int | None = None

    def json(self) -> Json:
        """Gives the panel without its id and place."""
        return {
            "type": self.kind,
            "title": self.title,
            "description": self.description,
            "datasource": DATASOURCE,
            "targets": [
                {"refId": chr(ord("A") + at), "datasource": DATASOURCE, **self._target(query)}
                for at, query in enumerate(self.queries)
            ],
            "fieldConfig": {"defaults": self._defaults(), "overrides": []},
            "options": self._options(),
        }

    def _target(self, query: Query) -> Json:
        return {"expr": query.expression, "legendFormat": query.legend, "editorMode": "code", "range": True}

    def _defaults(self) -> Json:
        defaults: Json = {
            "unit": self.unit,
            "color": {"mode": "thresholds"},
            "mappings": [],
            "thresholds": {
                "mode": "absolute",
                "steps": [{"value": value, "color": colour} for value, colour in self.thresholds],
            },
        }
        if self.decimals is not None:
            defaults["decimals"] = self.decimals
        if self.states:
            words = {str(each.value): {"text": each.word, "color": each.colour} for each in self.states}
            defaults["mappings"] = [{"type": "value", "options": words}]
        return defaults

    def _options(self) -> Json:
        return {}


@dataclass(frozen=True, kw_only=True)
class Stat(Panel):
    """A large number for each series: its last value, or what `reduce` names of the period shown."""

    kind = "stat"

    width: int = 6
    height: int = 4
    reduce: str = "lastNotNull"

    def _options(self) -> Json:
        return {
            "colorMode": "background",
            "graphMode": "none",
            "textMode": "auto",
            "justifyMode": "auto",
            "orientation": "auto",
            "wideLayout": True,
            "reduceOptions": {"calcs": [self.reduce], "fields": "", "values": False},
        }


@dataclass(frozen=True, kw_only=True)
class Bars(Panel):
    """A bar for each series, from 0 to 1."""

    kind = "bargauge"

    def _defaults(self) -> Json:
        return {**super()._defaults(), "min": 0, "max": 1}

    def _options(self) -> Json:
        return {
            "displayMode": "basic",
            "orientation": "horizontal",
            "valueMode": "color",
            "showUnfilled": True,
            "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False},
        }


@dataclass(frozen=True, kw_only=True)
class Graph(Panel):
    """Lines over time, with dashed ones at the thresholds; stacked where they are parts of a whole."""

    kind = "timeseries"

    stacked: bool = False
    exemplars: bool = False

    def _target(self, query: Query) -> Json:
        return {**super()._target(query), "exemplar": self.exemplars}

    def _defaults(self) -> Json:
        return {
            **super()._defaults(),
            "min": 0,
            "color": {"mode": "palette-classic"},
            "custom": {
                "drawStyle": "line",
                "lineWidth": 1,
                "fillOpacity": 40 if self.stacked else 5,
                "showPoints": "never",
                "spanNulls": False,
                "stacking": {"mode": "normal" if self.stacked else "none", "group": "A"},
                "thresholdsStyle": {"mode": "off" if self.thresholds is NEUTRAL else "dashed"},
            },
        }

    def _options(self) -> Json:
        return {
            "legend": {
                "showLegend": True,
                "displayMode": "table",
                "placement": "bottom",
                "calcs": ["lastNotNull", "max"],
            },
            "tooltip": {"mode": "multi", "sort": "desc"},
        }


@dataclass(frozen=True, kw_only=True)
class Heatmap(Panel):
    """How many fell into each bucket of a histogram over time, and single traced requests as points."""

    kind = "heatmap"

    def _target(self, query: Query) -> Json:
        return {**super()._target(query), "format": "heatmap", "exemplar": True}

    def _options(self) -> Json:
        return {
            "calculate": False,
            "yAxis": {"unit": self.unit, "axisPlacement": "left", "reverse": False},
            "rowsFrame": {"layout": "auto"},
            "color": {"mode": "scheme", "scheme": "Spectral", "steps": 64, "exponent": 0.5, "reverse": False},
            "cellGap": 1,
            "filterValues": {"le": 1e-9},
            "exemplars": {"color": "rgba(255,0,255,0.7)"},
            "legend": {"show": True},
            "tooltip": {"mode": "single", "yHistogram": True, "showColorScale": False},
            "showValue": "never",
        }


@dataclass(frozen=True, kw_only=True)
class Timeline(Panel):
    """A band for each series, coloured by its state."""

    kind = "state-timeline"

    def _options(self) -> Json:
        return {
            "mergeValues": True,
            "showValue": "auto",
            "alignValue": "left",
            "rowHeight": 0.9,
            "legend": {"showLegend": True, "displayMode": "list", "placement": "bottom"},
            "tooltip": {"mode": "single", "sort": "none"},
        }


@dataclass(frozen=True, kw_only=True)
class Table(Panel):
    """The labels of each series, a row each; the value is left out."""

    kind = "table"

    def _target(self, query: Query) -> Json:
        return {**super()._target(query), "range": False, "instant": True, "format": "table"}

    def json(self) -> Json:
        """Gives the panel without its id and place."""
        hidden = {"Time": True, "Value": True}
        return {
            **super().json(),
            "transformations": [{"id": "organize", "options": {"excludeByName": hidden}}],
        }

    def _options(self) -> Json:
        return {"showHeader": True, "cellHeight": "sm"}


@dataclass(frozen=True)
class Row:
    """Panels under one heading; they flow from left to right."""

    title: str
    panels: tuple[Panel, ...]


@dataclass(frozen=True, kw_only=True)
class Variable:
    """What a reader can choose at the top: by default everything that `query` finds.

    `regex` takes a part of what is found. `everything` stands for all of it where the label may be missing.
    """

    name: str
    label: str
    query: str
    regex: str = ""
    everything: str | None = None
    hidden: bool = False

    def json(self) -> Json:
        """Gives the variable as Grafana has it."""
        variable: Json = {
            "name": self.name,
            "label": self.label,
            "type": "query",
            "datasource": DATASOURCE,
            "query": self.query,
            "regex": self.regex,
            "refresh": 2,  # with the time range
            "sort": 1,
            "hide": 2 if self.hidden else 0,
            "multi": True,
            "includeAll": True,
            "current": {"selected": True, "text": ["All"], "value": ["$__all"]},
        }
        if self.everything is not None:
            variable["allValue"] = self.everything
        return variable


_CHOICE_OF_DATASOURCE: Json = {
    "name": "datasource",
    "label": "Data source",
    "type": "datasource",
    "query": "prometheus",
    "refresh": 1,
    "regex": "",
    "hide": 0,
    "multi": False,
    "includeAll": False,
}


@dataclass(frozen=True, kw_only=True)
class Dashboard:
    """One page. `since` is where the period begins that it opens with, such as `now-3h`."""

    uid: str
    title: str
    description: str
    since: str
    variables: tuple[Variable, ...]
    rows: tuple[Row, ...]

    def json(self) -> Json:
        """Gives the dashboard as Grafana imports it."""
        return {
            "uid": self.uid,
            "title": self.title,
            "description": self.description,
            "tags": [TAG],
            "schemaVersion": 39,
            "version": 1,
            "editable": False,
            "graphTooltip": 1,
            "timezone": "browser",
            "refresh": "30s",
            "time": {"from": self.since, "to": "now"},
            "links": [
                {
                    "title": "My List",
                    "type": "dashboards",
                    "tags": [TAG],
                    "asDropdown": False,
                    "includeVars": True,
                    "keepTime": True,
                    "targetBlank": False,
                }
            ],
            "annotations": {"list": []},
            "templating": {"list": [_CHOICE_OF_DATASOURCE, *(each.json() for each in self.variables)]},
            "panels": [{"id": number, **panel} for number, panel in enumerate(_placed(self.rows), start=1)],
        }


def _placed(rows: tuple[Row, ...]) -> Iterator[Json]:
    """Gives headings and panels with their places: side by side until the line is full, then below the tallest."""
    top = 0
    for row in rows:
        place = {"x": 0, "y": top, "w": _COLUMNS, "h": 1}
        yield {"type": "row", "title": row.title, "collapsed": False, "panels": [], "gridPos": place}
        top += 1
        left = tallest = 0
        for panel in row.panels:
            if left + panel.width > _COLUMNS:
                top += tallest
                left = tallest = 0
            place = {"x": left, "y": top, "w": panel.width, "h": panel.height}
            yield {**panel.json(), "gridPos": place}
            left += panel.width
            tallest = max(tallest, panel.height)
        top += tallest
