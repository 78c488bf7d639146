"""The figures of a run as text: for the terminal, and as the generated part of `docs/performance.md`."""

from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec

from bench import charts
from bench.groups import GROUPS, Group, Table
from bench.results import GroupResult, Row, Run, published
from bench.samples import Spread
from bench.thresholds import Verdict

START = '<!-- figures: made by make bench ARGS="--publish" -->\n'
END = "<!-- end of figures -->"
FIGURES = "figures.json"
"""The file with the published figures, beside the pictures."""
PROFILE_PICTURE = "profile.svg"
_ABOUT_SHARES = (
    "The share of the service's own processor time, by the package of the innermost function of each sample. The first "
    "two columns are reads over 16 connections. For the third, each list is removed from Redis before it is read. The "
    "last one is `mylist serve`, from its first instruction until it is ready. py-spy samples the functions of Python; "
    "C code counts for the function that calls it."
)
_MIN_ROUNDS = 10
"""The least number of rounds to publish."""


class PublishError(Exception):
    """The run is not one to publish; the message is one line."""


_FORMS: dict[str, tuple[str, Callable[[Spread], str]]] = {
    "rate": ("", lambda spread: f"{spread.middle:,.0f} ({spread.low:,.0f} to {spread.high:,.0f})"),
    "p50": ("p50, ms", lambda spread: f"{spread.middle:.2f}"),
    "p99": ("p99, ms", lambda spread: f"{spread.middle:.2f}"),
    "size": ("bytes", lambda spread: f"{spread.middle:,.0f}"),
    "generator": ("generator", lambda spread: f"{spread.middle:.0%}"),
    "cached": ("from the cache", lambda spread: f"{spread.middle:.1%}"),
    "processor": ("processor, µs", lambda spread: f"{spread.middle:.0f}"),
    "late": ("sent late", lambda spread: f"{spread.middle:.1%}"),
    "lost": ("lost", lambda spread: f"{spread.middle:.2%}"),
    "blocked": ("longest wait, ms", lambda spread: f"{spread.middle:.1f} ({spread.low:.1f} to {spread.high:.1f})"),
    "memory": ("bytes", lambda spread: f"{spread.middle:,.0f}"),
}
_OUTCOMES = {
    "kept": ("kept   ", "kept"),
    "narrow": ("NO ROOM", "**kept, too close to the limit**"),
    "missed": ("MISSED ", "**missed**"),
}
"""The outcome of a threshold, on the terminal and in the document."""


def publish(run: Run, document: Path, pictures: Path, profile: Path) -> None:
    """Write the figures into the document, and the charts and the profile into the folder of pictures.

    Raises:
        PublishError: groups are missing, the profile is, or there were too few rounds.
    """
    if run.missing:
        raise PublishError(f"only a complete run is published; this one lacks {', '.join(run.missing)}")
    if not (profile.exists() and run.shares):
        raise PublishError("only a complete run is published; this one lacks profile")
    if (rounds := min(result.rounds for result in run.groups)) < _MIN_ROUNDS:
        raise PublishError(f"{rounds} rounds are too few; at least {_MIN_ROUNDS} are published")
    pictures.mkdir(exist_ok=True)
    run = published(run)
    (pictures / FIGURES).write_bytes(msgspec.json.format(msgspec.json.encode(run), indent=1) + b"\n")
    (pictures / PROFILE_PICTURE).write_text(profile.read_text())
    for name, svg in charts.draw(run).items():
        (pictures / f"{name}.svg").write_text(svg)
    document.write_text(with_figures(document.read_text(), run))


def with_figures(text: str, run: Run) -> str:
    """Return the document with the figures of a run in the place of those it has."""
    before, start, rest = text.partition(START)
    _, end, after = rest.partition(END)
    if not (start and end):
        raise PublishError(f"the document lacks {START.strip()} or {END}")
    return before + start + "\n" + "\n".join(_figures(run)) + "\n" + end + after


def as_plain_text(run: Run) -> str:
    """Return the tables and verdicts of a run for a terminal."""
    lines = []
    for group, result in _groups(run):
        lines += ["", f"{group.heading} ({result.rounds} rounds)"]
        for table, rows in zip(group.tables, result.tables, strict=True):
            lines += _aligned(_cells(table, rows))
    if run.shares:
        lines += ["", "Which packages take the time", *_aligned(_shares(run))]
    lines += [""] + [
        f"{_OUTCOMES[each.outcome][0]}  {each.says}: {_measured(each)}, {each.bound}{_goal(each, '; the goal is ')}"
        for each in run.verdicts
    ]
    return "\n".join(lines)


def _figures(run: Run) -> Iterator[str]:
    yield f"On {run.machine}; {run.day}."
    yield ""
    yield from _markdown(
        [
            ("threshold", "measured", "limit", "verdict", "goal beyond the limit"),
            *(
                (each.says, _measured(each, emphasis="**"), each.bound, _OUTCOMES[each.outcome][1], _goal(each))
                for each in run.verdicts
            ),
        ]
    )
    drawn = charts.draw(run)
    for group, result in _groups(run):
        yield ""
        yield f"### {group.heading}"
        yield ""
        yield f"{group.about} {result.rounds} rounds."
        for table, rows in zip(group.tables, result.tables, strict=True):
            yield ""
            yield from _markdown(_cells(table, rows))
        if group.name in drawn:
            yield ""
            yield f"![{group.heading}](performance/{group.name}.svg)"
    if run.shares:
        yield ""
        yield "### Which packages take the time"
        yield ""
        yield _ABOUT_SHARES
        yield ""
        yield from _markdown(_shares(run))


def _measured(verdict: Verdict, *, emphasis: str = "") -> str:
    quartiles = " ({:.3g} to {:.3g})".format(*verdict.quartiles) if verdict.quartiles else ""
    return f"{emphasis}{verdict.value:.3g}{emphasis}{quartiles}"


def _goal(verdict: Verdict, before: str = "") -> str:
    if verdict.goal is None:
        return ""
    return f"{before}{verdict.goal:g}, {'reached' if verdict.reached else 'not reached'}"


def _groups(run: Run) -> Iterator[tuple[Group, GroupResult]]:
    figures = {each.name: each for each in run.groups}
    return ((group, figures[group.name]) for group in GROUPS if group.name in figures)


def _cells(table: Table, rows: list[Row]) -> list[tuple[str, ...]]:
    quantities = [each for each in _FORMS if any(each in row.quantities for row in rows)]
    has_ratio = any(row.ratio for row in rows)
    cells = []
    for row in rows:
        values = [row.name]
        for each in quantities:
            values.append(_FORMS[each][1](row.quantities[each]) if each in row.quantities else "")
            if has_ratio and each == table.compared:
                values.append(_ratio(row.ratio))
        cells.append(tuple(values))
    heads = ["case"]
    for each in quantities:
        heads.append(_FORMS[each][0] or table.operations)
        if has_ratio and each == table.compared:
            heads.append(table.reference)
    return [tuple(heads), *cells]


def _shares(run: Run) -> list[tuple[str, ...]]:
    packages = sorted(
        {package for shares in run.shares.values() for package in shares},
        key=lambda package: -max(shares.get(package, 0) for shares in run.shares.values()),
    )
    rows = [(package, *(f"{shares.get(package, 0):.0%}" for shares in run.shares.values())) for package in packages]
    return [("package", *run.shares), *rows]


def _ratio(ratio: Spread | None) -> str:
    return f"{ratio.middle:.2f} ({ratio.low:.2f} to {ratio.high:.2f})" if ratio else ""


def _markdown(cells: list[tuple[str, ...]]) -> Iterator[str]:
    for number, row in enumerate(cells):
        yield f"| {' | '.join(row)} |"
        if not number:
            yield f"| {' | '.join('---' if not column else '---:' for column in range(len(row)))} |"


def _aligned(cells: list[tuple[str, ...]]) -> Iterator[str]:
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    for row in cells:
        first, *rest = (
            cell.ljust(width) if not column else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        yield "  ".join([first, *rest])
