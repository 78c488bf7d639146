"""Operations above the limit wait in order while earlier ones end, and are shed if none ends."""

import asyncio

import pytest

from mylist.domain.errors import DatabaseBusyError
from mylist.mongodb.operation_limit import OperationLimit


async def full(maximum: int) -> OperationLimit:
    """Return a limit that is reached."""
    limit = OperationLimit(maximum)
    for _ in range(maximum):
        await limit.enter()
    return limit


async def waiting(limit: OperationLimit, count: int) -> list[asyncio.Task[None]]:
    """Begin operations that must wait."""
    tasks = [asyncio.create_task(limit.enter()) for _ in range(count)]
    await asyncio.sleep(0)
    return tasks


async def test_waiting_operations_run_in_order() -> None:
    limit = await full(2)
    first, second = await waiting(limit, 2)

    limit.leave()
    await first
    assert not second.done()
    limit.leave()
    await second

    for _ in range(2):
        limit.leave()
    assert limit.running == 0


async def test_an_operation_is_shed_if_no_other_ends() -> None:
    limit = await full(1)

    with pytest.raises(DatabaseBusyError):
        await limit.enter()

    limit.leave()
    assert limit.running == 0


async def test_an_operation_keeps_waiting_while_others_end() -> None:
    limit = await full(1)
    tasks = await waiting(limit, 2)

    for task in tasks:
        await asyncio.sleep(0.04)
        limit.leave()
        await task


async def test_an_operation_that_waits_too_long_is_shed() -> None:
    limit = await full(20)
    tasks = await waiting(limit, 40)

    for _ in range(40):
        await asyncio.sleep(0.04)
        limit.leave()

    answers = await asyncio.gather(*tasks, return_exceptions=True)
    served = answers.count(None)
    assert 0 < served < 40
    assert all(isinstance(answer, DatabaseBusyError) for answer in answers[served:])


async def test_at_most_twice_the_limit_may_wait_and_more_are_shed_at_once() -> None:
    limit = await full(2)
    tasks = await waiting(limit, 4)

    with pytest.raises(DatabaseBusyError):
        async with asyncio.timeout(0):
            await limit.enter()

    for task in tasks:
        limit.leave()
        await task


async def test_the_turn_of_a_cancelled_operation_goes_to_the_next() -> None:
    limit = await full(2)
    given_up, late, patient = await waiting(limit, 3)

    given_up.cancel()
    await asyncio.wait({given_up})
    limit.leave()
    late.cancel()  # its turn has come, but it has not run yet
    await patient

    assert late.cancelled()
    for _ in range(2):
        limit.leave()
    assert limit.running == 0
