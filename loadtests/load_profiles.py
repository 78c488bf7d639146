"""How many of a scenario's users are there, moment by moment."""

from collections.abc import Callable

LoadProfile = Callable[[float], float]
"""Gives the share of the users, 0 to 1, at a moment of the run, 0 to 1."""

_CALM = 0.2
_SPIKE = (0.4, 0.6)
_STEPS = 10


def steady(_: float) -> float:
    """All of them, all the time."""
    return 1.0


def spike(moment: float) -> float:
    """A fifth of them; in the middle fifth of the run suddenly all."""
    begin, end = _SPIKE
    return 1.0 if begin <= moment < end else _CALM


def ramp(moment: float) -> float:
    """From a tenth to all in ten equal steps."""
    return min(int(moment * _STEPS) + 1, _STEPS) / _STEPS
