"""A plot of a run: latency by percentile, as Locust saw it and as the service counted it, and replicas over time.

A run in a cluster prints its verdict. `python -m loadtests.plot FILE` draws such a verdict and saves the plot in the
same folder.
"""

import json
import sys
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pygal  # type: ignore[import-untyped]

_WIDTH, _HEIGHT = 800, 600
_STYLE: Mapping[str, Any] = {
    "js": [],  # nothing is loaded from elsewhere when it is opened
    "legend_at_bottom": True,
    "legend_at_bottom_columns": 2,
    "width": _WIDTH,
    "height": _HEIGHT,
}


def draw(verdict: Mapping[str, Any], path: Path) -> None:
    """Write the SVG of a run's verdict, as `verdict.as_data` gives it."""
    panels = [_latency(verdict)]
    if (verdict["autoscaler"] or {}).get("samples"):
        panels.append(_replicas(verdict["autoscaler"]))
    ET.register_namespace("", "http://www.w3.org/2000/svg")
    whole = ET.Element("{http://www.w3.org/2000/svg}svg", {"viewBox": f"0 0 {_WIDTH} {_HEIGHT * len(panels)}"})
    for number, panel in enumerate(panels):
        drawn = ET.fromstring(panel.render())  # noqa: S314 - it was made here
        drawn.attrib |= {"y": str(number * _HEIGHT), "width": str(_WIDTH), "height": str(_HEIGHT)}
        whole.append(drawn)
    ET.ElementTree(whole).write(path, encoding="utf-8", xml_declaration=True)


def _latency(verdict: Mapping[str, Any]) -> pygal.Line:
    chart = pygal.Line(
        title=f"{verdict['scenario']}: latency by percentile, in milliseconds",
        x_title="percentile",
        min_scale=6,
        range=(0, None),
        **_STYLE,
    )
    for route, figure in verdict["routes"].items():
        for whose in ("locust", "service"):
            if percentiles := figure[whose]:
                chart.x_labels = list(percentiles)
                chart.add(f"{route}, {whose}", list(percentiles.values()))
    return chart


def _replicas(scaling: Mapping[str, Any]) -> pygal.XY:
    samples = scaling["samples"]
    chart = pygal.XY(
        title=f"{scaling['name']}: replicas",
        x_title="seconds",
        range=(0, scaling["max_replicas"]),
        dots_size=1,
        **_STYLE,
    )
    for which in ("current", "desired"):
        # A number holds until another is seen.
        steps = [(later["second"], earlier[which]) for earlier, later in pairwise(samples)]
        points = [(sample["second"], sample[which]) for sample in samples]
        chart.add(which, [point for pair in zip(points, [*steps, points[-1]], strict=True) for point in pair])
    ends = (samples[0]["second"], samples[-1]["second"])
    for which in ("min_replicas", "max_replicas"):
        chart.add(which, [(second, scaling[which]) for second in ends], stroke_style={"dasharray": "4, 4"})
    return chart


if __name__ == "__main__":
    for given in map(Path, sys.argv[1:]):
        draw(json.loads(given.read_text()), given.with_suffix(".svg"))
