"""Imports take turns at the stores, even if their clients disconnect."""

import asyncio
from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import cast

import pytest

from mylist.api.routes.whole_list import _outcomes
from mylist.http.services import Services
from mylist.lists.list_import import LineResult
from mylist.lists.writer import ListWriter
from tests.unit.fakes import FakeCatalogue, FakeListCache, FakeListStore


class World:
    """Imports that share a single turn. Each step of an import waits for `go`."""

    def __init__(self) -> None:
        self.turns = asyncio.Semaphore(1)
        store = FakeListStore()
        self.writer = ListWriter(store, FakeListCache(store), FakeCatalogue({}), max_items=10)
        self.go = asyncio.Event()
        self.begun = 0

    async def steps(self) -> AsyncIterator[list[LineResult]]:
        for number in (1, 2):
            self.begun += 1
            await self.go.wait()
            yield [LineResult(number, None, "invalid", "Not JSON")]

    async def begin(self) -> asyncio.Task[list[bytes]]:
        services = cast("Services", SimpleNamespace(import_turns=self.turns, writer=self.writer))
        task = asyncio.create_task(_outcomes(services, self.steps()))
        await asyncio.sleep(0.01)
        return task


@pytest.fixture
def world() -> World:
    return World()


async def leave(task: asyncio.Task[list[bytes]]) -> None:
    task.cancel()
    await asyncio.sleep(0.01)


async def test_an_import_waits_for_the_step_of_another(world: World) -> None:
    first, second = await world.begin(), await world.begin()
    assert world.begun == 1

    world.go.set()
    assert [len(parts) for parts in await asyncio.gather(first, second)] == [2, 2]
    assert world.begun == 4


async def test_a_running_step_keeps_its_turn_even_if_its_client_disconnects(world: World) -> None:
    first = await world.begin()
    await leave(first)
    second = await world.begin()
    assert world.begun == 1
    assert not first.done()

    world.go.set()
    await second
    assert first.cancelled()
    await world.writer.finish()
    assert not world.turns.locked()


async def test_an_import_whose_client_disconnects_before_its_turn_never_begins(world: World) -> None:
    first = await world.begin()
    await leave(await world.begin())

    world.go.set()
    await first
    assert world.begun == 2
    assert not world.turns.locked()
