"""Tasks that go on when the request that started them goes away."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

_T = TypeVar("_T")


def spawn(work: Coroutine[Any, Any, _T]) -> asyncio.Task[_T]:
    """Start a task that ends by itself and that several callers may await through `asyncio.shield`.

    Its failure concerns those who await it. It is not logged when nobody does any more.
    """
    task = asyncio.create_task(work)
    task.add_done_callback(_retrieve)
    return task


def _retrieve(task: asyncio.Task[Any]) -> None:
    if not task.cancelled():
        task.exception()
