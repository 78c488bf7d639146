"""The state of a replica set: the primary of each term, the writes, and those that a majority has.

Nothing here reads or writes data: `hello` reports this state, and the replies to writes wait for it.
"""

import asyncio
import time
from dataclasses import dataclass, field

from bson import ObjectId

from devtools.scripted_mongodb.command import Limit
from devtools.scripted_mongodb.data import Data
from devtools.scripted_mongodb.waiting import Changes

MAX_TIME_MS_EXPIRED = 50
WRITE_CONCERN_TIMEOUT = 64
INTERRUPTED_BY_STATE_CHANGE = 11602
NOT_WRITABLE_PRIMARY = 10107


@dataclass(frozen=True, order=True)
class OpTime:
    """The place of a write in the order of all writes: the term, then the second since 1970 UTC and a number in it."""

    term: int
    seconds: int
    ordinal: int

    def next(self, term: int) -> "OpTime":
        """Return the time of the next write, in a term."""
        now = int(time.time())
        return OpTime(term, now, 1) if now > self.seconds else OpTime(term, self.seconds, self.ordinal + 1)


@dataclass
class Progress:
    """The last write, and the last one that a majority has."""

    written: OpTime
    committed: OpTime


class Term:
    """A primary's time in office.

    Attributes:
        number: rises with every election.
        progress: the writes of this primary, and those that it knows a majority has.
        data: the data that it reads and writes.
        committed_data: the data that it reads with read concern `majority`.
        is_copied: whether secondaries copy its writes.
    """

    def __init__(self, number: int, progress: Progress, data: Data, committed_data: Data) -> None:
        self.number = number
        self.progress = progress
        self.data = data
        self.committed_data = committed_data
        self.is_copied = True
        self._is_over = False
        self._changes = Changes()

    def write(self) -> OpTime:
        """Note a write, which a majority has at once while it is copied; return its time."""
        self.note()
        if self.is_copied:
            self.commit()
        return self.progress.written

    def note(self) -> None:
        """Note a write that a majority does not have."""
        self.progress.written = self.progress.written.next(self.number)

    def commit(self) -> None:
        """Let a majority have all that was written."""
        self.progress.committed = self.progress.written
        self.committed_data = self.data
        self._changes.tell()

    def end(self) -> None:
        """Wake all writes that wait for a majority: this primary has stepped down."""
        self._is_over = True
        self._changes.tell()

    async def majority(self, written: OpTime, limit: Limit) -> int | None:
        """Wait until a majority has a write; return the code of the write concern's error if it does not get it."""
        try:
            async with asyncio.timeout(limit.seconds):
                while self.progress.committed < written:
                    if self._is_over:
                        return INTERRUPTED_BY_STATE_CHANGE
                    await self._changes.wait()
        except TimeoutError:
            return WRITE_CONCERN_TIMEOUT if limit.is_wtimeout else MAX_TIME_MS_EXPIRED
        return None


@dataclass
class Member:
    """One server of the set.

    Attributes:
        number: its place in the set, from 0.
        is_arbiter: whether it only votes.
        term: the term in which it believes that it is primary; None for a secondary.
        refuses_with: the code of its refusal to write as a secondary.
        process_id: of its process; another one after a restart.
    """

    number: int
    is_arbiter: bool = False
    term: Term | None = None
    refuses_with: int = NOT_WRITABLE_PRIMARY
    process_id: ObjectId = field(default_factory=ObjectId)

    @property
    def is_primary(self) -> bool:
        """Return whether it believes that it is primary."""
        return self.term is not None


class ReplicaSet:
    """The members and the order of their terms.

    Attributes:
        members: the servers.
        version: rises whenever a member has something new to say.
        changes: notified of each change.
    """

    def __init__(self, members: int, data: Data, *, has_arbiter: bool = False) -> None:
        self.members = [Member(number, is_arbiter=has_arbiter and number == members - 1) for number in range(members)]
        self.version = 1
        self.changes = Changes()
        first = OpTime(1, int(time.time()), 1)
        self._latest = Term(1, Progress(first, first), data, data)
        self.members[0].term = self._latest

    @property
    def primary(self) -> Member | None:
        """The primary of the latest term; None while there is none."""
        return next((member for member in self.members if member.term is self._latest), None)

    @property
    def term(self) -> Term:
        """The latest term, which may be over."""
        return self._latest

    def progress_of(self, member: Member) -> Progress:
        """Return the place of a member: that of the majority for a secondary."""
        if member.term is not None:
            return member.term.progress
        committed = self._latest.progress.committed
        return Progress(committed, committed)

    def step_down(self, member: Member, code: int = NOT_WRITABLE_PRIMARY) -> None:
        """Make a primary a secondary, which refuses writes with a code."""
        term, member.term = member.term, None
        member.refuses_with = code
        if term is not None:
            term.end()
        self.announce()

    def elect(self, member: Member, data: Data, committed_data: Data) -> None:
        """Make a member the primary of a new term; the previous primary does not learn of the election.

        A new primary begins with a note. A majority has it at once, unless what a majority is said to have is older.
        """
        committed = self._latest.progress.committed
        self._latest = Term(self._latest.number + 1, Progress(committed, committed), data, committed_data)
        self._latest.note()
        if committed_data is data:
            self._latest.commit()
        member.term = self._latest
        self.announce()

    def announce(self) -> None:
        """Let drivers that wait for news of the topology know that there are some."""
        self.version += 1
        self.changes.tell()
