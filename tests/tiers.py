"""The tiers of tests: the tests in each, the command that runs it, and the report about tiers that a run left out.

The folder decides. `pytest.mark.extended` moves a test of `standard` up, because it takes minutes or needs a program
that no package registry has.
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

_HERE = Path(__file__).parent


@dataclass(frozen=True)
class Tier:
    """One tier; `folders` are those in `tests`, and modules of others, which are marked `extended` too."""

    name: str
    command: str
    holds: str
    folders: tuple[str, ...]


TIERS = (
    Tier("fast", "make test-fast", "the rules, without a server", ("unit",)),
    Tier(
        "standard",
        "make test",
        "the API, the stores, the cache protocol, outages, the chart, the rules and dashboards",
        ("contract", "integration", "faults", "chart", "observability"),
    ),
    Tier(
        "extended",
        "make test-all",
        "long fault runs, Sentinel and Cluster, other Redis builds, browser, Prometheus, tools",
        # Of the modules, what they import is not installed for the tiers before.
        ("tools", "contract/test_docs_in_browser.py", "contract/test_schemathesis.py"),
    ),
    Tier(
        "mongodb",
        "make test-mongodb",
        "what depends on the MongoDB at hand: plans, races, failures, failovers, shards",
        ("mongodb",),
    ),
)


_STANDARD, _EXTENDED = TIERS[1:3]
_GENERATED = _HERE / "contract" / "test_schemathesis.py"
"""Its tests are collected by a plug-in that takes seconds to load."""


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--tier",
        action="append",
        choices=[tier.name for tier in TIERS],
        help="the tests of this tier; repeat it for more; every tier unless given",
    )


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Leave the folders of other tiers unread: what they import need not be installed."""
    chosen = _chosen(config)
    unread = [tier for tier in TIERS if tier not in chosen and not (tier == _STANDARD and _EXTENDED in chosen)]
    return True if collection_path in {_HERE / folder for tier in unread for folder in tier.folders} else None


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    chosen = _chosen(config)
    left_out: list[pytest.Item] = []
    kept: list[pytest.Item] = []
    for item in items:
        (kept if tier_of(item) in chosen else left_out).append(item)
    items[:] = kept
    if left_out:
        config.hook.pytest_deselected(items=left_out)


def pytest_configure(config: pytest.Config) -> None:
    config.pluginmanager.register(_Counter(), "tiers")
    paths = [config.invocation_params.dir / argument.partition("::")[0] for argument in config.args]
    if _EXTENDED in _chosen(config) and any(_GENERATED.is_relative_to(path) for path in paths):
        config.pluginmanager.import_plugin("schemathesis.pytest.plugin")


class _Counter:
    """Counts what ran, also what ran in other processes, and reports it."""

    def __init__(self) -> None:
        self.ran: dict[str, int] = {}
        self.skipped: list[str] = []

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.skipped and not hasattr(report, "wasxfail"):
            self.skipped.append(report.nodeid)
        elif report.when == "call":
            tier = _tier(report.nodeid.split("/")[1], "extended" in report.keywords)
            self.ran[tier.name] = self.ran.get(tier.name, 0) + 1

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        terminalreporter.section("tiers")
        for line in table(self.ran):
            terminalreporter.line(line)
        if self._must_not_skip():
            terminalreporter.line(f"{len(self.skipped)} skipped, which fails this run: CI is set", red=True)

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Fail a run in CI that skipped a test: no other run would catch it."""
        if self._must_not_skip() and session.exitstatus == pytest.ExitCode.OK:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def _must_not_skip(self) -> bool:
        return bool(self.skipped) and "CI" in os.environ


def table(ran: dict[str, int]) -> Iterator[str]:
    """Return a line for each tier: how many of its tests ran, or the one command that runs it."""
    for tier in TIERS:
        count = ran.get(tier.name)
        yield f"{tier.name:<9} {f'{count} ran' if count else f'not run: {tier.command}':<26} {tier.holds}"


def tier_of(item: pytest.Item) -> Tier:
    """Return the tier of a test."""
    return _tier(_folder(item.path), item.get_closest_marker("extended") is not None)


@cache
def _folder(path: Path) -> str:
    return path.relative_to(_HERE).parts[0]


def _tier(folder: str, extended: bool) -> Tier:
    return _EXTENDED if extended else next(tier for tier in TIERS if folder in tier.folders)


def _chosen(config: pytest.Config) -> list[Tier]:
    names = config.getoption("--tier")
    return [tier for tier in TIERS if not names or tier.name in names]
