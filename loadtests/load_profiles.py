"""Load profiles: the share of a scenario's users at each moment of the run."""

from collections.abc import Callable

LoadProfile = Callable[[float], float]
"""Maps a moment of the run, 0 to 1, to the share of the users, 0 to 1."""

_CALM = 0.2
_SPIKE = (0.4, 0.6)
_STEPS = 10


def steady(_: float) -> float:
    """All users, all the time."""
    return 1.0


def spike(moment: float) -> float:
    """20 % of the users; all of them in the middle 20 % of the run."""
    begin, end = _SPIKE
    return 1.0 if begin <= moment < end else _CALM


def ramp(moment: float) -> float:
    """From 10 % to 100 % of the users in ten equal steps."""
    return min(int(moment * _STEPS) + 1, _STEPS) / _STEPS
