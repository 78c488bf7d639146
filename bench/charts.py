"""The charts of a run: one for each group."""

from bench import bars
from bench.comparison import CHANGE, FIND, MOTOR, PYMONGO, TASKS, name
from bench.figures import Row, Run
from bench.groups import CONNECTIONS, EMPTY, GROUPS, ITEMS, Group

_BY_RATIO = {"reads", "observation", "lengths", "selections", "distance", "others"}


def draw(run: Run) -> dict[str, str]:
    """Draws the charts of a run; gives each as SVG, by the name of its group."""
    measured = _BY_RATIO & {figures.name for figures in run.groups}
    charts = {group.name: _ratios(run, group) for group in GROUPS if group.name in measured}
    return charts | {"connections": _connections(run), "changes": _changes(run), "drivers": _drivers(run)}


def _ratios(run: Run, group: Group) -> str:
    ratios = {row.name: row.ratio.middle for row in _rows(run, group.name) if row.ratio}
    title = f"{group.heading}: requests/s, {group.tables[0].reference}"
    return bars.draw(group.name, title, list(ratios), {"": list(ratios.values())}, "{:.2f}")


def _connections(run: Run) -> str:
    rates = {
        case: [row.quantities["rate"].middle for row in _rows(run, "connections") if row.name.startswith(case)]
        for case in (EMPTY.name, ITEMS.name)
    }
    return bars.draw("connections", "Requests/s, by connections", list(map(str, CONNECTIONS)), rates, "{:,.0f}")


def _changes(run: Run) -> str:
    times = {row.name: row.quantities["p50"].middle for row in _rows(run, "changes")}
    title = "Changes, and the first read after one: median, in ms"
    return bars.draw("changes", title, list(times), {"": list(times.values())}, "{:.2f}")


def _drivers(run: Run) -> str:
    rows = {row.name: row for row in _rows(run, "drivers")}
    cases = [(operation, tasks) for operation in (FIND, CHANGE) for tasks in TASKS]
    times = {
        driver: [rows[name(driver, *case)].quantities["processor"].middle for case in cases]
        for driver in (PYMONGO, MOTOR)
    }
    title = "Processor time of the client for each operation, in µs"
    return bars.draw("drivers", title, [name("", *case).removeprefix(": ") for case in cases], times, "{:,.0f}")


def _rows(run: Run, group: str) -> list[Row]:
    """Gives the rows of a group's first table."""
    return next(figures.tables[0] for figures in run.groups if figures.name == group)
