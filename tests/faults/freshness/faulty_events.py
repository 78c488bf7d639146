"""`mylist events` with a fault in it. `python faulty_events.py FAULT events`.

With it the checker shows that it notices changes that a consumer does not get.

faults:
  early      The position is kept before the lines are written: a killed process loses the unwritten lines.
  forgetful  A stream that is opened again begins at that moment: earlier changes are lost.
  repeating  A stream that is opened again begins where the process began.
  shuffled   The changes of one batch come in reverse order.
"""

import asyncio
import sys
from collections.abc import AsyncIterator, Sequence
from functools import partial

from mylist import cli
from mylist.events import follow
from mylist.events.event_lines import Told
from mylist.events.list_stream import ListStream
from mylist.mongodb.database import Document

# Each fault replaces a part of the program from outside.
# ruff: noqa: SLF001
_TOO_EARLY_S = 0.5
"""Seconds from the saved position to the lines: most of a process's time, so that a kill usually comes in between."""
_hand_over = follow._Run._hand_over
_changes = ListStream._changes
_begun: list[Document] = []


async def _keep_early(self: follow._Run, batch: Sequence[Told]) -> None:
    if batch[-1].token is not None:
        await self._kept.save(batch[-1].token)
        await asyncio.sleep(_TOO_EARLY_S)
    await _hand_over(self, batch)


async def _forget(self: ListStream, token: Document) -> AsyncIterator[Told]:
    if _begun:
        token = await self._retried(partial(self._now, None))
    _begun.append(token)
    async for told in _changes(self, token):
        yield told


async def _repeat(self: ListStream, token: Document) -> AsyncIterator[Told]:
    _begun.append(token)
    async for told in _changes(self, _begun[0]):
        yield told


async def _shuffle(self: follow._Run, batch: Sequence[Told]) -> None:
    if all(told.token is not None for told in batch):
        lines = [told.lines for told in reversed(batch)]
        batch = [Told(own, told.token, told.until) for own, told in zip(lines, batch, strict=True)]
    await _hand_over(self, batch)


FAULTS = {
    "early": partial(setattr, follow._Run, "_hand_over", _keep_early),
    "forgetful": partial(setattr, ListStream, "_changes", _forget),
    "repeating": partial(setattr, ListStream, "_changes", _repeat),
    "shuffled": partial(setattr, follow._Run, "_hand_over", _shuffle),
}

if __name__ == "__main__":
    FAULTS[sys.argv.pop(1)]()
    cli.main()
