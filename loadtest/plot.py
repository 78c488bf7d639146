"""A plot of latency by percentile: as Locust saw it, and as the service counted it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pygal  # type: ignore[import-untyped]


def draw(figures: Mapping[str, Any], path: Path) -> None:
    """Writes the SVG of a run's figures, as `verdict.as_data` gives them."""
    chart = pygal.Line(
        title=f"{figures['scenario']}: latency by percentile, in milliseconds",
        x_title="percentile",
        js=[],  # nothing is loaded from elsewhere when it is opened
        legend_at_bottom=True,
        legend_at_bottom_columns=2,
        min_scale=6,
        range=(0, None),
    )
    for route, figure in figures["routes"].items():
        for whose in ("locust", "service"):
            if percentiles := figure[whose]:
                chart.x_labels = list(percentiles)
                chart.add(f"{route}, {whose}", list(percentiles.values()))
    chart.render_to_file(str(path))
