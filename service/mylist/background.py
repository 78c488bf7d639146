"""Tasks that go on when the request that started them goes away, and how tasks are ended."""

import asyncio
from collections.abc import Coroutine, Iterable
from contextvars import Context
from typing import Any, TypeVar

_T = TypeVar("_T")

_CANCEL_INTERVAL_S = 0.5


def spawn(work: Coroutine[Any, Any, _T], *, context: Context | None = None) -> asyncio.Task[_T]:
    """Start a task that ends by itself and that several callers may await through `asyncio.shield`.

    It has the deadline of the request that starts it, and is part of its trace, unless it gets a context of its own.
    Its failure concerns those who await it. It is not logged when nobody does any more.
    """
    task = asyncio.create_task(work, context=context)
    task.add_done_callback(_retrieve)
    return task


def spawn_for_process(work: Coroutine[Any, Any, _T]) -> asyncio.Task[_T]:
    """Start a task as `spawn` does, that belongs to the process and not to the request which gives rise to it.

    It must not have the deadline of that request, after which all that it does would fail at once.
    """
    return spawn(work, context=Context())


async def cancel_all(tasks: Iterable[asyncio.Task[Any]]) -> None:
    """Cancel tasks, and wait until they have ended, however they do.

    A task is cancelled again while it goes on: `asyncio.wait_for` of Python 3.11, which drivers use, may lose a
    cancellation that comes as its work ends.
    """
    running = {task for task in tasks if not task.done()}
    while running:
        for task in running:
            task.cancel()
        _, running = await asyncio.wait(running, timeout=_CANCEL_INTERVAL_S)


def _retrieve(task: asyncio.Task[Any]) -> None:
    if not task.cancelled():
        task.exception()
