"""The overrides of PyMongo are still needed, and still fit."""

import asyncio
import sys
from typing import Any

import pymongo.lock
import pytest

from mylist.mongodb.driver_overrides import wait_for_conditions_in_one_task


class _Condition:
    """A condition that records which task waits for it."""

    waited_in: asyncio.Task[object] | None = None

    def __init__(self, wait_s: float = 0.0) -> None:
        self._wait_s = wait_s

    async def wait(self) -> bool:
        self.waited_in = asyncio.current_task()
        await asyncio.sleep(self._wait_s)
        return True


async def wait_for(condition: _Condition, seconds: float | None) -> bool:
    wait: Any = pymongo.lock._async_cond_wait  # noqa: SLF001 - the driver's own
    return bool(await wait(condition, seconds))


async def _waits_in_its_own_task() -> bool:
    condition = _Condition()
    assert await wait_for(condition, 5.0)
    return condition.waited_in is asyncio.current_task()


async def test_a_wait_for_a_connection_runs_in_the_task_that_needs_it() -> None:
    wait_for_conditions_in_one_task()

    assert await _waits_in_its_own_task()


@pytest.mark.parametrize(("seconds", "is_met"), [(None, True), (5.0, True), (0.01, False), (0.0, False), (-1.0, False)])
async def test_a_wait_returns_whether_the_condition_was_met_in_time(seconds: float | None, is_met: bool) -> None:
    wait_for_conditions_in_one_task()

    condition = _Condition(0.0 if is_met else 60.0)
    assert await wait_for(condition, seconds) is is_met


async def test_the_unpatched_driver_waits_in_another_task_before_python_3_12(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pymongo.lock, "wait_for", asyncio.wait_for)

    assert await _waits_in_its_own_task() == (sys.version_info >= (3, 12))
