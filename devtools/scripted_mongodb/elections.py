"""Elections and lag: the new primary, the data that each member continues with, and the writes that are rolled back.

Elections and lag begin while the server executes no command, so each command runs entirely before or after them.
"""

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial

from devtools.scripted_mongodb.data import Data, Snapshots
from devtools.scripted_mongodb.replica_set import Member, ReplicaSet, Term
from devtools.scripted_mongodb.waiting import Gate


class Elections:
    """Changes the state of a replica set together with its data.

    The live data is always that of the primary of the latest term.

    Args:
        replica_set: the state.
        live: the live data.
        snapshots: makes copies of the live data.
        gate: lets commands through to the server.
    """

    def __init__(self, replica_set: ReplicaSet, live: Data, snapshots: Snapshots, gate: Gate) -> None:
        self._set = replica_set
        self._live = live
        self._snapshots = snapshots
        self._gate = gate
        self._later: set[asyncio.Task[None]] = set()

    @property
    def primary(self) -> int | None:
        """The number of the primary of the latest term; None while there is none."""
        return None if self._set.primary is None else self._set.primary.number

    def cancel(self) -> None:
        """Let nothing happen later."""
        for task in self._later:
            task.cancel()

    async def step_down(self, successor: int, after_s: float, code: int, reads_from: Data | None) -> None:
        """Let the primary step down, and elect another member after a delay in seconds."""
        async with self._gate.alone():
            assert self._set.primary is not None, "there is no primary to step down"
            self._set.step_down(self._set.primary, code)
        await self.elect(successor, after_s, reads_from)

    async def inform(self, number: int) -> None:
        """Let a member that believes to be primary step down."""
        async with self._gate.alone():
            self._retire(self._set.members[number])

    async def elect(self, successor: int, after_s: float = 0.0, reads_from: Data | None = None) -> None:
        """Make a member primary, at once or after a delay in seconds."""
        if after_s:
            self._do_later(after_s, partial(self.elect, successor, reads_from=reads_from))
            return
        async with self._gate.alone():
            member = self._set.members[successor]
            assert not member.is_arbiter, "an arbiter cannot become primary"
            assert member is not self._set.primary, "it is primary already"
            self._retire(member)
            former = self._set.term
            committed = former.committed_data
            if self._set.primary is not None:
                # It continues with copies, because it does not know that it was replaced.
                former.data = await self._snapshots.take(self._live)
                if committed is self._live:
                    former.committed_data = await self._snapshots.take(self._live)
                former.is_copied = False
            if committed is not self._live:
                await self._snapshots.copy(committed, self._live)  # rolls back the writes that a majority does not have
                if self._set.primary is None:
                    self._snapshots.release(committed)
            self._set.elect(member, self._live, reads_from or self._live)

    async def remember(self) -> Data:
        """Return a snapshot of the data that a majority has."""
        async with self._gate.alone():
            return await self._snapshots.take(self._set.term.committed_data)

    async def lose_majority(self, for_s: float | None) -> None:
        """Let no secondary copy the primary's writes, for a time in seconds or until `regain_majority`."""
        async with self._gate.alone():
            term = self._set.term
            if term.committed_data is term.data:
                term.committed_data = await self._snapshots.take(term.data)
            term.is_copied = False
            term.note()  # a primary makes a note every few seconds, so it is ahead without any other write
        if for_s is not None:
            self._do_later(for_s, partial(self._regain, term))

    async def regain_majority(self) -> None:
        """Let the secondaries copy all that the primary has written."""
        await self._regain(self._set.term)

    async def _regain(self, term: Term) -> None:
        async with self._gate.alone():
            # Members do not copy a deposed primary.
            if self._set.primary is not None and term is self._set.term:
                self._snapshots.release(term.committed_data)
                term.is_copied = True
                term.commit()

    def _retire(self, member: Member) -> None:
        former = member.term
        if former is None:
            return
        self._set.step_down(member)
        if former is not self._set.term:
            self._snapshots.release(former.data)
            self._snapshots.release(former.committed_data)

    def _do_later(self, seconds: float, what: Callable[[], Awaitable[None]]) -> None:
        async def waiting() -> None:
            await asyncio.sleep(seconds)
            await what()

        task = asyncio.create_task(waiting())
        self._later.add(task)
        task.add_done_callback(self._later.discard)
