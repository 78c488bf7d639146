"""The memory for request bodies is bounded; bodies that stall give way to new ones."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from mylist.domain.errors import OverloadedError
from mylist.http.body_memory import BodyMemory


async def parts(*sizes: int, then: asyncio.Event | None = None) -> AsyncIterator[bytes]:
    """Yield parts of these sizes; then wait for an event, if there is one."""
    for size in sizes:
        yield bytes(size)
        await asyncio.sleep(0)
    if then:
        await then.wait()


async def receive(memory: BodyMemory, arriving: AsyncIterator[bytes]) -> int:
    async with memory.receive(arriving) as body:
        return len(body)


async def stopped(memory: BodyMemory, *sizes: int) -> asyncio.Task[int]:
    """Begin to receive a body that stalls."""
    task = asyncio.create_task(receive(memory, parts(*sizes, then=asyncio.Event())))
    await asyncio.sleep(0.01)
    return task


async def test_a_body_is_held_for_as_long_as_it_is_used() -> None:
    memory = BodyMemory(100)

    async with memory.receive(parts(10, 20)) as body:
        assert (len(body), memory.held_bytes) == (30, 30)
    assert memory.held_bytes == 0


async def test_the_oldest_stalled_body_is_dropped_to_make_room() -> None:
    memory = BodyMemory(100)
    first, second = await stopped(memory, 40), await stopped(memory, 40)

    assert await receive(memory, parts(30, 20)) == 50
    with pytest.raises(OverloadedError):
        await first
    assert not second.done()
    assert memory.held_bytes == 40
    second.cancel()
    await asyncio.wait({second})
    assert memory.held_bytes == 0


async def test_bodies_that_have_received_no_data_do_not_use_up_the_memory() -> None:
    memory = BodyMemory(100)
    waiting = [await stopped(memory) for _ in range(55)]

    assert await receive(memory, parts(100)) == 100
    assert not any(task.done() for task in waiting)
    for task in waiting:
        task.cancel()


async def test_a_body_in_use_is_not_dropped_to_make_room() -> None:
    memory = BodyMemory(100)

    async with memory.receive(parts(60)):
        with pytest.raises(OverloadedError):
            await receive(memory, parts(30, 30))
        assert memory.held_bytes == 60
    assert memory.held_bytes == 0


async def test_a_body_that_fails_midway_is_released() -> None:
    async def broken() -> AsyncIterator[bytes]:
        yield bytes(50)
        raise ValueError("broken")

    memory = BodyMemory(100)
    with pytest.raises(ValueError, match="broken"):
        await receive(memory, broken())
    assert memory.held_bytes == 0
