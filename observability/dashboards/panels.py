"""How the dashboards look: what is the same in all panels of a kind, in the schema of Grafana's SDK."""

from copy import copy
from typing import NamedTuple, Required, TypedDict, Unpack

from grafana_foundation_sdk.models import bargauge as bar_gauge
from grafana_foundation_sdk.models import common, prometheus, statetimeline, timeseries
from grafana_foundation_sdk.models import dashboard as grafana
from grafana_foundation_sdk.models import heatmap as heat_map
from grafana_foundation_sdk.models import stat as single_stat
from grafana_foundation_sdk.models import table as label_table

Panel = grafana.Panel
Variable = grafana.VariableModel
Dashboard = grafana.Dashboard

TAG = "mylist"
"""Every dashboard has it, and by it they find each other."""

DATASOURCE = common.DataSourceRef(type_val="prometheus", uid="${datasource}")
_SCHEMA_OF_GRAFANA_11 = 39
_COLUMNS = 24
_LAST = "lastNotNull"
_CLUSTER_LEGEND = "{{cluster}}"

Thresholds = tuple[tuple[float | None, str], ...]
"""From which value on which colour holds; the first holds from the lowest (None)."""

NEUTRAL: Thresholds = ((None, "blue"),)
ANY_IS_BAD: Thresholds = ((None, "green"), (0.000001, "red"))


def high_is_bad(warning: float, bad: float) -> Thresholds:
    """Return thresholds that are yellow from `warning` on and red from `bad` on."""
    return (None, "green"), (warning, "yellow"), (bad, "red")


def low_is_bad(warning: float, bad: float) -> Thresholds:
    """Return thresholds that are yellow below `warning` and red below `bad`."""
    return (None, "red"), (bad, "yellow"), (warning, "green")


def at_least(goal: float) -> Thresholds:
    """Return thresholds that are red below `goal`."""
    return (None, "red"), (goal, "green")


class State(NamedTuple):
    """The text and the colour that a panel shows for a value."""

    value: int
    word: str
    colour: str


class Query(NamedTuple):
    """An expression, and how its series are called, after the cluster that they are of."""

    expression: str
    legend: str


class Common(TypedDict, total=False):
    """What every panel has. `unit` is one of Grafana's ids; the grid has 24 columns."""

    title: Required[str]
    description: Required[str]
    unit: Required[str]
    queries: Required[tuple[Query, ...]]
    width: int
    height: int
    thresholds: Thresholds
    states: tuple[State, ...]
    decimals: int


def stat(*, reduce: str = _LAST, **rest: Unpack[Common]) -> Panel:
    """Return a large number for each series: its last value, or what `reduce` names of the period shown."""
    panel = _panel("stat", {"width": 6, "height": 4, **rest})
    panel.options = single_stat.Options(
        color_mode=common.BigValueColorMode.BACKGROUND,
        graph_mode=common.BigValueGraphMode.NONE,
        reduce_options=_reduced(reduce),
    )
    return panel


def bars(**rest: Unpack[Common]) -> Panel:
    """Return a bar for each series, from 0 to 1."""
    panel = _panel("bargauge", rest)
    _defaults(panel).min_val, _defaults(panel).max_val = 0, 1
    panel.options = bar_gauge.Options(
        display_mode=common.BarGaugeDisplayMode.BASIC,
        orientation=common.VizOrientation.HORIZONTAL,
        reduce_options=_reduced(_LAST),
    )
    return panel


def graph(*, stacked: bool = False, exemplars: bool = False, **rest: Unpack[Common]) -> Panel:
    """Return lines over time, with dashed ones at the thresholds; stacked where they are parts of a whole."""
    panel = _panel("timeseries", rest)
    for target in _targets(panel):
        target.exemplar = exemplars
    defaults = _defaults(panel)
    defaults.min_val = 0
    defaults.color = grafana.FieldColor(mode=grafana.FieldColorModeId.PALETTE_CLASSIC)
    styles = common.GraphThresholdsStyleMode
    defaults.custom = timeseries.FieldConfig(
        draw_style=common.GraphDrawStyle.LINE,
        line_width=1,
        fill_opacity=40 if stacked else 5,
        show_points=common.VisibilityMode.NEVER,
        span_nulls=False,
        stacking=common.StackingConfig(common.StackingMode.NORMAL if stacked else common.StackingMode.NONE, group="A"),
        thresholds_style=common.GraphThresholdsStyleConfig(styles.DASHED if "thresholds" in rest else styles.OFF),
    )
    panel.options = timeseries.Options(
        legend=common.VizLegendOptions(
            show_legend=True,
            display_mode=common.LegendDisplayMode.TABLE,
            placement=common.LegendPlacement.BOTTOM,
            calcs=[_LAST, "max"],
        ),
        tooltip=common.VizTooltipOptions(common.TooltipDisplayMode.MULTI, common.SortOrder.DESCENDING),
    )
    return panel


def heatmap(**rest: Unpack[Common]) -> Panel:
    """Return how many fell into each bucket of a histogram over time, and single traced requests as points."""
    panel = _panel("heatmap", rest)
    for target in _targets(panel):
        target.format_val = prometheus.PromQueryFormat.HEATMAP
        target.exemplar = True
    panel.options = heat_map.Options(
        y_axis=heat_map.YAxisConfig(unit=rest["unit"], axis_placement=common.AxisPlacement.LEFT, reverse=False),
        rows_frame=heat_map.RowsHeatmapOptions(layout=common.HeatmapCellLayout.AUTO),
        color=heat_map.HeatmapColorOptions(
            mode=heat_map.HeatmapColorMode.SCHEME, scheme="Spectral", steps=64, exponent=0.5
        ),
        filter_values=heat_map.FilterValueRange(le=1e-9),
        exemplars=heat_map.ExemplarConfig("rgba(255,0,255,0.7)"),
        legend=heat_map.HeatmapLegend(show=True),
        tooltip=heat_map.HeatmapTooltip(common.TooltipDisplayMode.SINGLE, y_histogram=True, show_color_scale=False),
        show_value=common.VisibilityMode.NEVER,
    )
    return panel


def timeline(**rest: Unpack[Common]) -> Panel:
    """Return a band for each series, coloured by its state."""
    panel = _panel("state-timeline", rest)
    panel.options = statetimeline.Options(
        show_value=common.VisibilityMode.AUTO,
        align_value=common.TimelineValueAlignment.LEFT,
        legend=common.VizLegendOptions(
            show_legend=True, display_mode=common.LegendDisplayMode.LIST, placement=common.LegendPlacement.BOTTOM
        ),
        tooltip=common.VizTooltipOptions(common.TooltipDisplayMode.SINGLE, common.SortOrder.NONE),
    )
    return panel


def table(**rest: Unpack[Common]) -> Panel:
    """Return the labels of each series, a row each; the value is left out."""
    panel = _panel("table", rest)
    for target in _targets(panel):
        target.format_val = prometheus.PromQueryFormat.TABLE
        target.range_val, target.instant = False, True
    hidden = {"Time": True, "Value": True}
    panel.transformations = [grafana.DataTransformerConfig("organize", options={"excludeByName": hidden})]
    panel.options = label_table.Options(cell_height=common.TableCellHeight.SM)
    return panel


def variable(  # noqa: PLR0913 - one argument for each part of it
    name: str, label: str, query: str, *, regex: str = "", everything: str | None = None, hidden: bool = False
) -> Variable:
    """Return what a reader can choose at the top: by default everything that `query` finds.

    `regex` takes a part of each value. `everything` is the regex for "All" where series may lack the label.
    """
    return Variable(
        grafana.VariableType.QUERY,
        name,
        label,
        datasource=DATASOURCE,
        query=query,
        regex=regex,
        refresh=grafana.VariableRefresh.ON_TIME_RANGE_CHANGED,
        sort=grafana.VariableSort.ALPHABETICAL_ASC,
        hide=grafana.VariableHide.HIDE_VARIABLE if hidden else grafana.VariableHide.DONT_HIDE,
        multi=True,
        include_all=True,
        all_value=everything,
        current=grafana.VariableOption(selected=True, text=["All"], value=["$__all"]),
    )


class Row(NamedTuple):
    """Panels under one heading; they flow from left to right."""

    title: str
    panels: tuple[Panel, ...]


def dashboard(  # noqa: PLR0913 - one argument for each part of it
    *, uid: str, title: str, description: str, since: str, variables: tuple[Variable, ...], rows: tuple[Row, ...]
) -> Dashboard:
    """Return one page. `since` is where the period begins that it opens with, such as `now-3h`."""
    datasource = Variable(
        grafana.VariableType.DATASOURCE,
        "datasource",
        "Data source",
        query="prometheus",
        regex="",
        refresh=grafana.VariableRefresh.ON_DASHBOARD_LOAD,
        hide=grafana.VariableHide.DONT_HIDE,
    )
    return Dashboard(
        uid=uid,
        title=title,
        description=description,
        tags=[TAG],
        schema_version=_SCHEMA_OF_GRAFANA_11,
        version=1,
        editable=False,
        graph_tooltip=grafana.DashboardCursorSync.CROSSHAIR,
        refresh="30s",
        time=grafana.DashboardDashboardTime(from_val=since),
        links=[
            _LinkInSight("My List", grafana.DashboardLinkType.DASHBOARDS, tags=[TAG], include_vars=True, keep_time=True)
        ],
        annotations=grafana.AnnotationContainer([]),
        templating=grafana.DashboardDashboardTemplating([datasource, *variables]),
        panels=_placed(rows),
    )


class _LinkInSight(grafana.DashboardLink):
    """A link beside the choices; the SDK knows no place for one but a menu."""

    def to_json(self) -> dict[str, object]:
        return {name: value for name, value in super().to_json().items() if name != "placement"}


def _panel(kind: str, given: Common) -> Panel:
    """Return what the panels of all kinds have in common."""
    words = {str(each.value): grafana.ValueMappingResult(each.word, each.colour) for each in given.get("states", ())}
    return Panel(
        kind,
        title=given["title"],
        description=given["description"],
        datasource=DATASOURCE,
        targets=[
            prometheus.Dataquery(
                ref_id=chr(ord("A") + at),
                datasource=DATASOURCE,
                expr=query.expression,
                legend_format=query.legend if kind == "heatmap" else f"{_CLUSTER_LEGEND} {query.legend}",
                editor_mode=prometheus.QueryEditorMode.CODE,
                range_val=True,
            )
            for at, query in enumerate(given["queries"])
        ],
        field_config=grafana.FieldConfigSource(
            grafana.FieldConfig(
                unit=given["unit"],
                decimals=given.get("decimals"),
                color=grafana.FieldColor(grafana.FieldColorModeId.THRESHOLDS),
                mappings=[grafana.ValueMap(words)] if words else [],
                thresholds=grafana.ThresholdsConfig(
                    steps=[grafana.Threshold(*step) for step in given.get("thresholds", NEUTRAL)]
                ),
            ),
            overrides=[],
        ),
        grid_pos=grafana.GridPos(h=given.get("height", 8), w=given.get("width", 12)),
    )


def _defaults(panel: Panel) -> grafana.FieldConfig:
    assert panel.field_config  # noqa: S101 - `_panel` has put it there
    return panel.field_config.defaults


def _targets(panel: Panel) -> list[prometheus.Dataquery]:
    return [each for each in panel.targets or () if isinstance(each, prometheus.Dataquery)]


def _reduced(calculation: str) -> common.ReduceDataOptions:
    return common.ReduceDataOptions(values=False, calcs=[calculation], fields="")


def _placed(rows: tuple[Row, ...]) -> list[Panel | grafana.RowPanel]:
    """Return headings and panels with their places: side by side until the line is full, then below the tallest."""
    placed: list[Panel | grafana.RowPanel] = []
    top = 0
    for row in rows:
        place = grafana.GridPos(h=1, w=_COLUMNS, y=top)
        placed.append(grafana.RowPanel(title=row.title, grid_pos=place, id_val=len(placed) + 1))
        top += 1
        left = tallest = 0
        for each in row.panels:
            panel = copy(each)  # that is on other dashboards too
            assert panel.grid_pos  # noqa: S101 - `_panel` has put it there
            width, height = panel.grid_pos.w, panel.grid_pos.h
            if left + width > _COLUMNS:
                top += tallest
                left = tallest = 0
            panel.id_val = len(placed) + 1
            panel.grid_pos = grafana.GridPos(h=height, w=width, x=left, y=top)
            placed.append(panel)
            left += width
            tallest = max(tallest, height)
        top += tallest
    return placed
