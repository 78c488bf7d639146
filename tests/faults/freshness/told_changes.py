"""Do the lines of `mylist events` keep the promises to consumers? Decided from all lines of its processes."""

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from typing import Any

Line = Mapping[str, Any]
Contents = dict[tuple[str, str], str]
"""The `addedAt` of each item, by user and content id."""


@dataclass(frozen=True, slots=True)
class ToldChanges:
    """Counts of lines and changes, and of the faults in them.

    Attributes:
        changes: changes of lists that no election rolled back.
        lines: lines for one of them.
        duplicates: lines for a change that already has a line.
        lost: changes without a line.
        unreal: lines for changes that an election rolled back, or that never were.
        wrong: lines that differ from their change.
        disordered: lines for a change after a line for a later one of the same user: by the same process, or before the
            change had any line.
        repeated: lines for a change that already has a line of the same process.
        cut: lines that a consumer cannot read.
        misleading: items that a consumer has and MongoDB has not, or the other way round, or with another date.
    """

    changes: int
    lines: int
    duplicates: int
    lost: int
    unreal: int
    wrong: int
    disordered: int
    repeated: int
    cut: int
    misleading: int

    @property
    def troubles(self) -> list[str]:
        """The faults, one line each."""
        counts = asdict(self)
        return [f"events: {counts[name]} {what}" for name, what in _TROUBLES.items() if counts[name]]


_TROUBLES = {
    "lost": "changes are missing from events",
    "unreal": "lines tell what an election rolled back, or what never was",
    "wrong": "lines say something else than the change",
    "disordered": "lines are out of order for their user",
    "repeated": "lines were told again by the same process",
    "cut": "lines are cut",
    "misleading": "items of whoever applied the lines differ from MongoDB's lists",
}


def compare(
    written: Sequence[bytes], changes: Sequence[Line], *, before: Contents | None = None, after: Contents | None = None
) -> ToldChanges:
    """Compare lines with the changes.

    Args:
        written: what each process wrote, one after the other.
        changes: the line that each change should have, in the order of the changes.
        before: what was on the lists before the first change; nothing by default.
        after: what is on them after the last change; by default what the changes make of `before`.
    """
    places = {change["token"]: place for place, change in enumerate(changes)}
    copy = dict(before or {})
    told: Counter[str] = Counter()
    latest: dict[str, int] = {}
    counts: Counter[str] = Counter()
    for output in written:
        own: set[str] = set()
        latest_own: dict[str, int] = {}
        for line in _lines(output, counts):
            token, user = line["token"], line["userId"]
            apply(line, copy)
            place = places.get(token)
            if place is None:
                counts["unreal"] += 1
                continue
            counts["wrong"] += line != changes[place]
            counts["repeated"] += token in own
            is_late = place < latest_own.get(user, -1) and token not in own
            counts["disordered"] += is_late or (token not in told and place < latest.get(user, -1))
            own.add(token)
            told[token] += 1
            latest_own[user] = max(place, latest_own.get(user, -1))
            latest[user] = max(place, latest.get(user, -1))
    if after is None:
        after = dict(before or {})
        for change in changes:
            apply(change, after)
    return ToldChanges(
        changes=len(changes),
        lines=told.total(),
        duplicates=told.total() - len(told),
        lost=len(places.keys() - told.keys()),
        unreal=counts["unreal"],
        wrong=counts["wrong"],
        disordered=counts["disordered"],
        repeated=counts["repeated"],
        cut=counts["cut"],
        misleading=len({item for item, _ in copy.items() ^ after.items()}),
    )


def apply(line: Line, contents: Contents) -> None:
    """Apply a line as docs/events.md requires of a consumer."""
    item = line["userId"], line["contentId"]
    if line["change"] == "added":
        contents[item] = line["addedAt"]
    else:
        contents.pop(item, None)


def _lines(output: bytes, counts: Counter[str]) -> Iterable[Line]:
    for text in output.splitlines(keepends=True):
        line = None
        with suppress(ValueError):
            line = json.loads(text)
        if isinstance(line, dict) and text.endswith(b"\n"):
            yield line
        else:
            counts["cut"] += 1
