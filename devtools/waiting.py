"""Waiting for a condition, instead of sleeping for a guessed time."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

_T = TypeVar("_T")
_INTERVAL = 0.01


def wait_until(condition: Callable[[], _T | None], *, within: float) -> _T:
    """Ask until the answer is true and return it; fail after `within` seconds."""
    deadline = time.monotonic() + within
    while not (answer := condition()):
        assert time.monotonic() < deadline, f"not within {within:g} seconds; the last answer was {answer!r}"
        time.sleep(_INTERVAL)
    return answer


async def eventually(condition: Callable[[], Awaitable[_T | None]], *, within: float) -> _T:
    """Do as `wait_until` for an asynchronous condition, while the event loop goes on."""
    deadline = time.monotonic() + within
    while not (answer := await condition()):
        assert time.monotonic() < deadline, f"not within {within:g} seconds; the last answer was {answer!r}"
        await asyncio.sleep(_INTERVAL)
    return answer
