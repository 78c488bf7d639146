"""The steps' observations, as a table."""

import textwrap
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

_WIDTH = 88
"""Characters of an observation per line; a longer one takes more lines."""


class Verdict(StrEnum):
    """How a step ended."""

    PASSED = "passed"
    FAILED = "FAILED"
    NOT_RUN = "not run"


@dataclass(frozen=True, slots=True)
class Row:
    """One step; its duration is in seconds."""

    step: str
    seen: str
    seconds: float
    verdict: Verdict


def table(rows: Sequence[Row]) -> str:
    """Return the table, with a line that sums it up."""
    cells = [
        ("step", "what was seen", "seconds", "verdict"),
        *((row.step, row.seen, f"{row.seconds:.0f}", row.verdict) for row in rows),
    ]
    wrapped = [(step, textwrap.wrap(seen, _WIDTH) or [""], *rest) for step, seen, *rest in cells]
    names = max(len(step) for step, *_ in wrapped)
    widest = max(len(line) for _, lines, *_ in wrapped for line in lines)
    text = []
    for step, [first, *others], seconds, verdict in wrapped:
        text.append(f"{step:<{names}}  {first:<{widest}}  {seconds:>7}  {verdict}")
        text += (f"{'':<{names}}  {line}" for line in others)
    text.insert(1, "-" * max(map(len, text)))
    return "\n".join([*text, "", _sum(rows)])


def passed(rows: Iterable[Row]) -> bool:
    """Return whether every step did."""
    return all(row.verdict is Verdict.PASSED for row in rows)


def _sum(rows: Sequence[Row]) -> str:
    count = sum(row.verdict is Verdict.PASSED for row in rows)
    return f"{count} of {len(rows)} steps passed"
