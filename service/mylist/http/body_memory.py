"""Limits the memory for the bodies of imports, which are received before an import occupies a place."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from mylist.domain.errors import OverloadedError


@dataclass(slots=True, eq=False)
class _Arrival:
    """A body that is arriving or has arrived.

    Attributes:
        patience: the timeout that ends the receiving when the body must give way.
        held_bytes: bytes of it that are held in memory.
    """

    patience: asyncio.Timeout
    held_bytes: int = 0


class BodyMemory:
    """Limits the total bytes of all bodies held at once.

    If there is no room, the oldest bodies that are still arriving give way. So clients that stop sending cannot keep
    other clients out.

    Attributes:
        max_bytes: maximum bytes of all bodies together.
        held_bytes: bytes of all bodies that are arriving or in use.
    """

    def __init__(self, max_bytes: int) -> None:
        self.max_bytes = max_bytes
        self.held_bytes = 0
        self._arriving: dict[_Arrival, None] = {}

    @asynccontextmanager
    async def receive(self, parts: AsyncIterator[bytes]) -> AsyncIterator[bytearray]:
        """Receive a body, and hold it until the end of the block.

        Raises:
            OverloadedError: there is no room for the body, or the body gave way to another body.
        """
        arrival = _Arrival(asyncio.timeout(None))
        try:
            yield await self._receive(parts, arrival)
        finally:
            self.held_bytes -= arrival.held_bytes

    async def _receive(self, parts: AsyncIterator[bytes], arrival: _Arrival) -> bytearray:
        body = bytearray()
        self._arriving[arrival] = None
        try:
            async with arrival.patience:
                async for part in parts:
                    self._make_room(len(part), arrival)
                    body += part
        except TimeoutError:
            raise OverloadedError from None
        finally:
            self._arriving.pop(arrival, None)
        return body

    def _make_room(self, size: int, arrival: _Arrival) -> None:
        while arrival in self._arriving and self.held_bytes + size > self.max_bytes:
            first = next(iter(self._arriving))
            del self._arriving[first]
            self.held_bytes -= first.held_bytes
            first.held_bytes = 0
            first.patience.reschedule(0)
        if arrival not in self._arriving:
            raise OverloadedError
        arrival.held_bytes += size
        self.held_bytes += size
