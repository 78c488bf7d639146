"""Work that goes on when the request that began it goes away."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

_T = TypeVar("_T")


def start(work: Coroutine[Any, Any, _T]) -> asyncio.Task[_T]:
    """Starts work that several may wait for, by `asyncio.shield`, and that ends by itself.

    Its failure concerns those who wait. When nobody does any more, it is no news for the log.
    """
    task = asyncio.create_task(work)
    task.add_done_callback(_retrieve)
    return task


def _retrieve(task: asyncio.Task[Any]) -> None:
    if not task.cancelled():
        task.exception()
