"""PyMongo's private parts: everything that this service overrides in the driver, and why.

Each function is one workaround. Its docstring says what goes wrong without it, in which version, whether PyMongo's
developers know about it, and which test of `tests/integration/test_driver_overrides.py` fails once PyMongo no longer
needs the workaround.
"""

import asyncio
import sys
from collections.abc import Awaitable
from typing import TypeVar

import pymongo.lock

_T = TypeVar("_T")


def wait_for_conditions_in_one_task() -> None:
    """Make the driver wait for a connection or a server within the task that needs it.

    Without it: on Python 3.11 the driver waits in another task, which `asyncio.wait_for` starts. If the request is
    cancelled at the wrong moment, that task keeps the lock of the pool forever: no operation of this process gets a
    connection any more, and SIGTERM does not end the process. From Python 3.12 on, `asyncio.wait_for` starts no task.
    Seen: PyMongo 4.20 under overload. Upstream: no issue known. Test:
    `test_the_unpatched_driver_waits_in_another_task_before_python_3_12`.
    """
    if sys.version_info < (3, 12):
        pymongo.lock.wait_for = _wait_for  # type: ignore[attr-defined,assignment] # private


async def _wait_for(awaitable: Awaitable[_T], timeout: float | None) -> _T:  # noqa: ASYNC109 - as asyncio has it
    async with asyncio.timeout(timeout):
        return await awaitable
