"""MongoDB as a target of faults: one server, or a replica set of three with simulated elections."""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from enum import StrEnum
from pathlib import Path
from random import Random

from devtools.scripted_mongodb import ScriptedMongoDB, in_process
from mylist.devserver.embedded_servers import MongoServer, running

KILL, FREEZE = "mongodb-kill", "mongodb-freeze"
STEPDOWN, FAILOVER, FROZEN_PRIMARY = "mongodb-stepdown", "mongodb-failover", "mongodb-frozen-primary"
CUT_PRIMARY, LAG = "mongodb-cut-primary", "mongodb-lag"

Fault = Callable[[Random], Awaitable[str]]
"""Causes a fault and heals it; returns the details."""


REPLACES_PRIMARY = (STEPDOWN, FAILOVER, FROZEN_PRIMARY, CUT_PRIMARY)
"""After these faults, some processes may still read from the old primary, until all know the new one."""


class MongoTopology(StrEnum):
    """The topologies of MongoDB."""

    SERVER = "server"
    REPLICA_SET = "replica-set"


FAULTS = {
    MongoTopology.SERVER: (KILL, FREEZE),
    MongoTopology.REPLICA_SET: (STEPDOWN, FAILOVER, FROZEN_PRIMARY, CUT_PRIMARY, LAG),
}
"""The faults of each topology."""


class MongoDB(ABC):
    """A MongoDB to strike.

    Attributes:
        faults: what can happen to it.
    """

    faults: Mapping[str, Fault]

    def __init__(self, folder: Path, processes: int) -> None:
        self._server = MongoServer(folder)
        self._processes = processes

    @property
    def uri(self) -> str:
        """The URI of the server that holds the data, without the faults in between, while it is running."""
        return self._server.uri

    def rolled_back(self) -> list[tuple[int, int]]:
        """Return the ranges of the server's writes that elections have undone, or that undid others: (after, up to)."""
        return []

    @abstractmethod
    def running(self) -> AbstractContextManager[object]:
        """Start it, and end it at the end."""

    @abstractmethod
    def uris(self, database: str) -> Sequence[str]:
        """Return the MONGODB_URI of each service process, while it is running."""


class OneServer(MongoDB):
    """One server, which all service processes share."""

    def __init__(self, folder: Path, processes: int) -> None:
        super().__init__(folder, processes)
        self.faults = {KILL: self._kill, FREEZE: self._freeze}

    def running(self) -> AbstractContextManager[object]:
        """Start it, and end it at the end."""
        return running(self._server)

    def uris(self, database: str) -> Sequence[str]:
        """Return the MONGODB_URI of each service process: the same for all."""
        return [self._server.database(database)] * self._processes

    async def _kill(self, dice: Random) -> str:
        seconds = dice.uniform(0, 2)
        await asyncio.to_thread(self._server.kill)
        await asyncio.sleep(seconds)
        await asyncio.to_thread(self._server.restart)
        return f"for {seconds:.2f} s"

    async def _freeze(self, dice: Random) -> str:
        # The longest outlast the fence of a change that hangs.
        seconds = dice.uniform(0.5, 7)
        self._server.freeze()
        try:
            await asyncio.sleep(seconds)
        finally:
            self._server.thaw()
        return f"for {seconds:.2f} s"


class ReplicaSet(MongoDB):
    """Three members, seen by each service process from a site of its own.

    Elections take less than the 10 to 12 seconds of a real set, so that more of them fit into a run. After one,
    majority reads show the majority's data from shortly before, until the new primary has committed (SERVER-53813).
    """

    _MEMBERS = 3

    def __init__(self, folder: Path, processes: int) -> None:
        super().__init__(folder, processes)
        self._set: ScriptedMongoDB
        self.faults = {
            STEPDOWN: self._step_down,
            FAILOVER: self._fail_over,
            FROZEN_PRIMARY: self._freeze_primary,
            CUT_PRIMARY: self._cut_primary,
            LAG: self._lag,
        }

    @contextmanager
    def running(self) -> Iterator[None]:
        """Start the server and the set in front of it, and end both at the end."""
        with running(self._server), in_process(self.uri, sites=self._processes) as self._set:
            yield

    def uris(self, database: str) -> Sequence[str]:
        """Return the MONGODB_URI of each service process: the members as seen from its site."""
        return [self._set.uri(database, site=site) for site in range(self._processes)]

    def rolled_back(self) -> list[tuple[int, int]]:
        """Return the ranges of the server's writes that elections have undone, or that undid others: (after, up to)."""
        return self._set.rolled_back()

    async def _step_down(self, dice: Random) -> str:
        primary, successor = await self._primary_and_another(dice)
        without_s, stale_s = dice.uniform(0.2, 2), dice.uniform(0, 1)
        before = await self._remember(dice)
        await asyncio.to_thread(self._set.step_down, successor, after_s=without_s, reads_from=before)
        await self._until_primary(successor)
        await self._read_stale(stale_s)
        return f"member {successor} for {primary} after {without_s:.2f} s, its reads stale for {stale_s:.2f} s"

    async def _fail_over(self, dice: Random) -> str:
        primary, successor = await self._primary_and_another(dice)
        without_s, stale_s = dice.uniform(1, 4), dice.uniform(0, 1)
        before = await self._remember(dice)
        await asyncio.to_thread(self._set.kill, primary)
        await asyncio.sleep(without_s)
        await asyncio.to_thread(self._set.elect, successor, reads_from=before)
        await self._read_stale(stale_s)
        await asyncio.to_thread(self._set.revive, primary)
        return f"member {primary} killed, {successor} after {without_s:.2f} s, its reads stale for {stale_s:.2f} s"

    async def _freeze_primary(self, dice: Random) -> str:
        primary, successor = await self._primary_and_another(dice)
        without_s, frozen_s, unaware_s = dice.uniform(0.2, 2), dice.uniform(0.5, 4), dice.uniform(0, 2)
        await asyncio.to_thread(self._set.freeze, primary)
        await asyncio.sleep(without_s)
        await asyncio.to_thread(self._set.elect, successor)
        await asyncio.sleep(frozen_s)
        await asyncio.to_thread(self._set.thaw, primary)
        await asyncio.sleep(unaware_s)
        await asyncio.to_thread(self._set.inform, primary)
        return f"member {primary}, {successor} after {without_s:.2f} s; it thaws and is unaware for {unaware_s:.2f} s"

    async def _cut_primary(self, dice: Random) -> str:
        primary, successor = await self._primary_and_another(dice)
        site, without_s, apart_s = dice.randrange(self._processes), dice.uniform(0.2, 2), dice.uniform(2, 6)
        others = [member for member in range(self._MEMBERS) if member != primary]
        for member in others:
            await asyncio.to_thread(self._set.cut, member, site=site)
        await asyncio.sleep(without_s)
        await asyncio.to_thread(self._set.elect, successor)
        await asyncio.sleep(apart_s)
        await asyncio.to_thread(self._set.inform, primary)
        for member in others:
            await asyncio.to_thread(self._set.heal, member, site=site)
        return f"member {primary} with process {site} for {apart_s:.2f} s after the election of {successor}"

    async def _lag(self, dice: Random) -> str:
        seconds = dice.uniform(0.5, 5)
        await asyncio.to_thread(self._set.lose_majority)
        await asyncio.sleep(seconds)
        await asyncio.to_thread(self._set.regain_majority)
        return f"no majority for {seconds:.2f} s"

    async def _primary_and_another(self, dice: Random) -> tuple[int, int]:
        primary = await asyncio.to_thread(self._set.primary)
        assert primary is not None, "the set has a primary between two faults"
        return primary, dice.choice([member for member in range(self._MEMBERS) if member != primary])

    async def _until_primary(self, member: int) -> None:
        while await asyncio.to_thread(self._set.primary) != member:
            await asyncio.sleep(0.02)

    async def _remember(self, dice: Random) -> int:
        """Remember what a majority has, and let some changes follow."""
        before = await asyncio.to_thread(self._set.remember)
        await asyncio.sleep(dice.uniform(0.1, 0.5))
        return before

    async def _read_stale(self, seconds: float) -> None:
        """Keep a new primary from committing for a while."""
        await asyncio.to_thread(self._set.lose_majority)
        await asyncio.sleep(seconds)
        await asyncio.to_thread(self._set.regain_majority)


def make(topology: MongoTopology, folder: Path, processes: int) -> MongoDB:
    """Return a MongoDB for so many service processes; it is not started yet."""
    return (OneServer if topology is MongoTopology.SERVER else ReplicaSet)(folder, processes)
