"""Bar charts as static pictures: without scripts and external files; equal figures make equal files."""

import sys
import xml.etree.ElementTree as ET
from collections.abc import Mapping, Sequence

import pygal  # type: ignore[import-untyped]
from pygal.style import Style  # type: ignore[import-untyped]

# It looks for pygal's maps, which are not installed here, and makes Python 3.11 warn at each import from then on.
sys.meta_path[:] = [finder for finder in sys.meta_path if not isinstance(finder, pygal.PluginImportFixer)]

_SVG = "http://www.w3.org/2000/svg"
_WIDTH = 900
_BAR_HEIGHT = 34
_FRAME_HEIGHT = 150
# On white with dark letters, which reads on a dark page as well as on a light one.
_STYLE = Style(
    background="white",
    plot_background="white",
    foreground="#333333",
    foreground_strong="#111111",
    foreground_subtle="#777777",
    colors=("#8db9e2", "#f2b872"),
    value_colors=("#111111", "#111111"),
    guide_stroke_color="#dddddd",
    major_guide_stroke_color="#dddddd",
    opacity="1",
    font_family="sans-serif",
    label_font_size=13,
    value_font_size=12,
    title_font_size=16,
    legend_font_size=13,
    transition="0s",
)


def draw(identity: str, title: str, labels: Sequence[str], series: Mapping[str, Sequence[float]], form: str) -> str:
    """Draw horizontal bars, from top to bottom; return the SVG.

    Args:
        identity: of the picture.
        title: what it shows, and the unit.
        labels: of the bars, or of the groups of bars.
        series: the values by the name of their series, one for each label; a single series is not named.
        form: of a value, as for `str.format`.
    """
    chart = pygal.HorizontalBar(
        title=title,
        style=_STYLE,
        width=_WIDTH,
        height=_FRAME_HEIGHT + len(labels) * len(series) * _BAR_HEIGHT,
        print_values=True,
        formatter=form.format,
        range=(0, None),
        show_legend=len(series) > 1,
        legend_at_bottom=True,
        truncate_label=-1,
        x_labels=labels[::-1],
        js=[],
    )
    chart.uuid = identity  # by itself it would be another one each time
    for name, values in series.items():
        chart.add(name, values[::-1])
    return _still(chart.render())


def _still(svg: bytes) -> str:
    ET.register_namespace("", _SVG)
    root = ET.fromstring(svg)  # noqa: S314 - what pygal has just drawn; its comments go on the way
    for parent in list(root.iter()):
        for script in parent.findall(f"{{{_SVG}}}script"):
            parent.remove(script)
    return ET.tostring(root, encoding="unicode") + "\n"
