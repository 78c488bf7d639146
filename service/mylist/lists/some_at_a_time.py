"""Groups the lines of an import, so that one query serves several lines."""

from collections.abc import AsyncIterable, AsyncIterator
from typing import TypeVar

_T = TypeVar("_T")


async def some_at_a_time(lines: AsyncIterable[_T], size: int) -> AsyncIterator[list[_T]]:
    """Yield the lines in lists of `size`, in order. The last list may be shorter; no list is empty."""
    part: list[_T] = []
    async for line in lines:
        part.append(line)
        if len(part) == size:
            yield part
            part = []
    if part:
        yield part
