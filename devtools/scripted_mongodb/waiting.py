"""Synchronization between the parts of the deployment."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class Changes:
    """Something to wait for again and again."""

    def __init__(self) -> None:
        self._event = asyncio.Event()

    def tell(self) -> None:
        """Wake all waiters."""
        event, self._event = self._event, asyncio.Event()
        event.set()

    async def wait(self) -> None:
        """Wait for the next time."""
        await self._event.wait()


class Gate:
    """Lets many in at once, or one alone."""

    def __init__(self) -> None:
        self._inside = 0
        self._is_taken = False
        self._changes = Changes()

    @asynccontextmanager
    async def shared(self) -> AsyncIterator[None]:
        """Be in with others."""
        while self._is_taken:
            await self._changes.wait()
        self._inside += 1
        try:
            yield
        finally:
            self._inside -= 1
            self._changes.tell()

    @asynccontextmanager
    async def alone(self) -> AsyncIterator[None]:
        """Be in when all others have left, and before any comes."""
        while self._is_taken:
            await self._changes.wait()
        self._is_taken = True
        try:
            while self._inside:
                await self._changes.wait()
            yield
        finally:
            self._is_taken = False
            self._changes.tell()
