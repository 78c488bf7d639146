"""The charts of a run: one for each group whose rows are compared."""

from bench import svg_bars
from bench.driver_comparison import CHANGE, FIND, MOTOR, PYMONGO, TASKS, name
from bench.groups import CONNECTIONS, EMPTY, GROUPS, ITEMS, Group
from bench.results import Row, Run


def draw(run: Run) -> dict[str, str]:
    """Draw the charts of a run; return each as SVG, by the name of its group."""
    own = {"connections": _connections, "changes": _changes, "drivers": _drivers}
    measured = {result.name for result in run.groups}
    groups = [group for group in GROUPS if group.name in measured]
    return {
        group.name: own[group.name](run) if group.name in own else _ratios(run, group)
        for group in groups
        if any(row.ratio for row in _rows(run, group.name))
    }


def _ratios(run: Run, group: Group) -> str:
    ratios = {row.name: row.ratio.middle for row in _rows(run, group.name) if row.ratio}
    table = group.tables[0]
    compared = table.operations if table.compared == "rate" else table.compared
    title = f"{group.heading}: {compared}, {table.reference}"
    return svg_bars.draw(group.name, title, list(ratios), {"": list(ratios.values())}, "{:.2f}")


def _connections(run: Run) -> str:
    rates = {
        case: [row.quantities["rate"].middle for row in _rows(run, "connections") if row.name.startswith(case)]
        for case in (EMPTY.name, ITEMS.name)
    }
    return svg_bars.draw("connections", "Requests/s, by connections", list(map(str, CONNECTIONS)), rates, "{:,.0f}")


def _changes(run: Run) -> str:
    times = {row.name: row.quantities["p50"].middle for row in _rows(run, "changes")}
    title = "Changes, and the first read after one: median, in ms"
    return svg_bars.draw("changes", title, list(times), {"": list(times.values())}, "{:.2f}")


def _drivers(run: Run) -> str:
    rows = {row.name: row for row in _rows(run, "drivers")}
    cases = [(operation, tasks) for operation in (FIND, CHANGE) for tasks in TASKS]
    times = {
        driver: [rows[name(driver, *case)].quantities["processor"].middle for case in cases]
        for driver in (PYMONGO, MOTOR)
    }
    title = "Processor time of the client for each operation, in µs"
    return svg_bars.draw("drivers", title, [name("", *case).removeprefix(": ") for case in cases], times, "{:,.0f}")


def _rows(run: Run, group: str) -> list[Row]:
    """Return the rows of a group's first table."""
    return next(result.tables[0] for result in run.groups if result.name == group)
