"""Tasks that outlive the request that started them, and how tasks are ended."""

import asyncio
from collections.abc import Coroutine, Iterable
from contextvars import Context
from typing import Any, TypeVar

_T = TypeVar("_T")

_CANCEL_INTERVAL_S = 0.5


def spawn(work: Coroutine[Any, Any, _T], *, context: Context | None = None) -> asyncio.Task[_T]:
    """Start a task that ends by itself. Several callers may await it through `asyncio.shield`.

    The task has the deadline of the request that starts it and is part of its trace, unless it gets a context of its
    own. A failure is raised to its callers. It is not logged if no caller awaits the task any more.
    """
    task = asyncio.create_task(work, context=context)
    task.add_done_callback(_retrieve)
    return task


def spawn_for_process(work: Coroutine[Any, Any, _T]) -> asyncio.Task[_T]:
    """Start a task as `spawn` does, but one that belongs to the process, not to the request that causes it.

    Such a task must not have the deadline of the request: after it, every operation of the task would fail at once.
    """
    return spawn(work, context=Context())


async def cancel_all(tasks: Iterable[asyncio.Task[Any]]) -> None:
    """Cancel tasks, and wait until they have ended in any way.

    A task that goes on is cancelled again: `asyncio.wait_for` of Python 3.11, which drivers use, may lose a
    cancellation that arrives as its work ends.
    """
    running = {task for task in tasks if not task.done()}
    while running:
        for task in running:
            task.cancel()
        _, running = await asyncio.wait(running, timeout=_CANCEL_INTERVAL_S)


def _retrieve(task: asyncio.Task[Any]) -> None:
    if not task.cancelled():
        task.exception()
