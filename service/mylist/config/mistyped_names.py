"""Finds variables whose names look like mistyped names of settings.

The environment also has the variables of other programs. So a name counts as mistyped only if it differs from the name
of a setting by one or two slips: a letter added, left out or replaced, or two neighbouring letters swapped. In a short
name only the order of the letters may differ, because other slips make it another word. Upper and lower case count as
equal, and so do `-` and `_`.
"""

from collections.abc import Sequence

_FOREIGN = frozenset({"MONGODB_ROOT_PASSWORD", "MYLIST_TOKEN", "MYLIST_URL"})
"""Variables of `compose.yaml` and of the client, which the service does not read."""
_MAX_SLIPS = 2
_SHORT = 6
"""Letters up to which the name of a setting is short."""
MAX_TOLD_LENGTH = 60
"""Characters of a mistyped name that a message shows."""


def meant(name: str, settings: Sequence[str]) -> str | None:
    """Return the setting that a mistyped name probably means; None for the name of a setting or of something else.

    Args:
        name: the name of a variable.
        settings: the names of all settings.
    """
    if name in settings or name in _FOREIGN:
        return None
    written = name.upper().replace("-", "_")
    slips = {
        setting: _slips(written, setting)
        for setting in settings
        if abs(len(setting) - len(written)) <= _MAX_SLIPS
        and (len(setting) > _SHORT or sorted(setting) == sorted(written))
    }
    nearest = min(slips, key=slips.__getitem__, default=None)
    return nearest if nearest and slips[nearest] <= _MAX_SLIPS else None


def _slips(one: str, other: str) -> int:
    """Return how many letters must be added, left out, replaced or swapped with the next to get the other name."""
    before: list[int] = []
    last = list(range(len(other) + 1))
    for row, letter in enumerate(one, start=1):
        current = [row]
        for column, wanted in enumerate(other, start=1):
            best = min(last[column] + 1, current[-1] + 1, last[column - 1] + (letter != wanted))
            if row > 1 and column > 1 and letter == other[column - 2] and one[row - 2] == wanted:
                best = min(best, before[column - 2] + 1)
            current.append(best)
        before, last = last, current
    return last[-1]
