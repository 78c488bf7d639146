"""A bound on the memory for the bodies of imports, which are received before an import takes a place."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from mylist.domain.errors import OverloadedError


@dataclass(slots=True, eq=False)
class _Arrival:
    """A body that arrives, or has arrived.

    Attributes:
        patience: ends the receiving when the body has to give way.
        held_bytes: how many bytes of it are held.
    """

    patience: asyncio.Timeout
    held_bytes: int = 0


class BodyMemory:
    """Bounds the bytes of all bodies that are held at once.

    When there is no room, the bodies that began first and still arrive give way: so clients that stop in the middle
    keep no other client out.

    Attributes:
        max_bytes: maximum of bytes of all bodies.
        held_bytes: bytes of the bodies that arrive, and of those that have arrived and are in use.
    """

    def __init__(self, max_bytes: int) -> None:
        self.max_bytes = max_bytes
        self.held_bytes = 0
        self._arriving: dict[_Arrival, None] = {}

    @asynccontextmanager
    async def receive(self, parts: AsyncIterator[bytes]) -> AsyncIterator[bytearray]:
        """Receive a body, and hold it for as long as the block lasts.

        Raises:
            OverloadedError: there is no room for it, or it had to give way to another.
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
