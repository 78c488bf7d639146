"""Takes the lines of an import some at a time, for queries that answer for several."""

from collections.abc import AsyncIterable, AsyncIterator
from typing import TypeVar

_T = TypeVar("_T")


async def some_at_a_time(lines: AsyncIterable[_T], size: int) -> AsyncIterator[list[_T]]:
    """Yield what there is in lists of `size`, in order; the last may be shorter, and none is empty."""
    part: list[_T] = []
    async for line in lines:
        part.append(line)
        if len(part) == size:
            yield part
            part = []
    if part:
        yield part
