"""How background tasks are cancelled."""

import asyncio

import pytest

from mylist import background
from mylist.background import cancel_all


async def lose_cancellations(times: int) -> None:
    """Swallow so many cancellations, as a driver may."""
    while True:
        try:
            await asyncio.sleep(3600)
        except asyncio.CancelledError:
            if not times:
                raise
            times -= 1


@pytest.mark.parametrize("lost", [0, 1, 3])
async def test_a_task_that_swallows_cancellations_is_still_cancelled(
    lost: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(background, "_CANCEL_INTERVAL_S", 0.01)
    task = asyncio.create_task(lose_cancellations(lost))
    await asyncio.sleep(0)

    await cancel_all([task])

    assert task.cancelled()


async def test_failed_and_finished_tasks_do_not_keep_others_from_being_cancelled() -> None:
    async def fail() -> None:
        raise ValueError

    failed, ended = asyncio.create_task(fail()), asyncio.create_task(asyncio.sleep(0))
    await asyncio.wait((failed, ended))
    going_on = asyncio.create_task(asyncio.sleep(3600))

    await cancel_all([failed, ended, going_on])

    assert going_on.cancelled()
    assert isinstance(failed.exception(), ValueError)
