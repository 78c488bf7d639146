"""The primary of a Sentinel group."""

import asyncio
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from socket import SOCK_STREAM
from typing import Any

from redis.asyncio import Redis
from redis.exceptions import ConnectionError as RedisConnectionError

from mylist.background import cancel_all
from mylist.cache.topology.base import REDIS_ERRORS, DiscoveredTopology, Execute, MakeClient, Primary, close
from mylist.config.redis_timing import SENTINEL_VOTE_TIMEOUT_S
from mylist.config.redis_url import Address

_SHOWN_RUN_ID = 8
"""Characters of a run id in the log: enough to distinguish servers."""


@dataclass(frozen=True, slots=True)
class Vote:
    """One Sentinel's answer: which server is the primary.

    Attributes:
        address: of the primary, in this Sentinel's spelling.
        run_id: the run id of the primary; empty while the Sentinel does not know it.
        epoch: the config-epoch: the number of the failover that promoted this server.
        resolved: the addresses to which the host resolves; empty until it was looked up.
    """

    address: Address
    run_id: str
    epoch: int
    resolved: frozenset[Address] = frozenset()

    @classmethod
    def of(cls, state: Mapping[str, Any]) -> "Vote":
        """Parse the answer to SENTINEL MASTER."""
        return cls(
            (str(state["ip"]), int(state["port"])), str(state.get("runid") or ""), int(state.get("config-epoch") or 0)
        )

    def means(self, other: "Vote") -> bool:
        """Return whether both votes mean the same server, even if they spell its address differently."""
        if self.address == other.address or (self.run_id and self.run_id == other.run_id):
            return True
        return self.epoch == other.epoch and not self.resolved.isdisjoint(other.resolved)

    def __str__(self) -> str:
        """Return the answer as text for the log."""
        host, port = self.address
        return f"{host}:{port}, run id {self.run_id[:_SHOWN_RUN_ID] or 'unknown'}, config-epoch {self.epoch}"


class Sentinel:
    """One Sentinel, asked in the background, so that a slow Sentinel delays no caller.

    Attributes:
        name: its own address, for the log.
        answer: its last answer, or why it did not answer.
    """

    def __init__(self, client: Redis, address: Address, group: str) -> None:
        host, port = address
        self.name = f"{host}:{port}"
        self.answer: Vote | Exception | None = None
        self._client = client
        self._execute: Execute = client.execute_command
        self._group = group
        self._asking: asyncio.Task[Vote | None] | None = None

    @property
    def is_asked(self) -> bool:
        """Whether its answer is still outstanding."""
        return self._asking is not None and not self._asking.done()

    def ask(self) -> asyncio.Task[Vote | None]:
        """Ask it for the primary; the task returns None if it does not answer."""
        self._asking = asyncio.create_task(self._ask())
        return self._asking

    async def _ask(self) -> Vote | None:
        self.answer = None
        try:
            self.answer = vote = Vote.of(await self._execute("SENTINEL MASTER", self._group))
        except (*REDIS_ERRORS, LookupError, ValueError) as error:  # the last two: a malformed answer
            self.answer = error
            return None
        return vote

    async def close(self) -> None:
        """Close the connection."""
        if self._asking:
            await cancel_all([self._asking])
        await close(self._client)


class SentinelTopology(DiscoveredTopology):
    """The primary that a majority of a group's Sentinels names.

    Once one process has the answer of a majority, no later majority can name an earlier primary: any two majorities
    share a Sentinel, and no Sentinel goes back to a replaced primary. Two votes mean the same server if they have the
    same address, the same run id, or the same failover and hosts that resolve to a common address here.
    """

    def __init__(
        self, addresses: Iterable[Address], name: str, make_client: MakeClient, make_sentinel: MakeClient
    ) -> None:
        super().__init__(make_client)
        self._sentinels = [
            Sentinel(make_sentinel(address, None), address, name) for address in dict.fromkeys(addresses)
        ]
        self._name = name
        self._unreachable: set[Address] = set()

    def owner(self, _: str) -> Primary | None:
        """Return the primary."""
        return self.single

    async def watch(self) -> None:
        """Ask the Sentinels. A replaced primary may go on answering as a primary for a while."""
        await self.find()

    async def suspect(self) -> None:
        """Next time, try another spelling of the address if this spelling never reached a server.

        `watch` asks the Sentinels before the next heartbeat.
        """
        if self.single and not self.single.has_answered:
            self._unreachable.add(self.single.address)

    async def _find(self) -> None:
        # Ignore answers to an earlier question: they may predate a failover that other processes already know.
        asked = [sentinel.ask() for sentinel in self._sentinels if not sentinel.is_asked]
        deadline = asyncio.get_running_loop().time() + SENTINEL_VOTE_TIMEOUT_S
        votes: list[Vote] = []
        try:
            async with asyncio.timeout_at(deadline):
                for answer in asyncio.as_completed(asked):
                    if not (vote := await answer):
                        continue
                    votes.append(vote)
                    if len(votes) > len(self._sentinels) / 2 and not self._majority(votes):
                        votes = [await _resolve(each) for each in votes]
                    if address := self._certain(votes):
                        await self._take(address)
                        return
        except TimeoutError:
            pass
        if majority := self._majority(votes):
            await self._take(self._spelling(majority))
            return
        raise RedisConnectionError(
            f"no majority of the Sentinels names the same address of {self._name}: {self._answers()}"
        )

    async def _take(self, address: Address) -> None:
        self._adopt([address])
        await self._drop_others()

    def _majority(self, votes: Sequence[Vote]) -> Sequence[Vote]:
        """Return the votes of a majority of the Sentinels for the same server; empty without a majority."""
        for vote in votes:
            alike = [each for each in votes if vote.means(each)]
            if len(alike) > len(self._sentinels) / 2:
                return alike
        return []

    def _certain(self, votes: Sequence[Vote]) -> Address | None:
        """Return the address to connect to, if no outstanding vote can change it."""
        spellings = Counter(vote.address for vote in self._majority(votes))
        if self.single and self.single.has_answered and self.single.address in spellings:
            return self.single.address
        return next((address for address, count in spellings.items() if count > len(self._sentinels) / 2), None)

    def _spelling(self, majority: Sequence[Vote]) -> Address:
        """Return the address to connect to: the spelling that most votes of the majority use."""
        spellings = Counter(vote.address for vote in majority)
        if self.single and self.single.has_answered and self.single.address in spellings:
            return self.single.address  # another spelling would count as another server
        if self._unreachable >= set(spellings):
            self._unreachable.clear()
        for address in self._unreachable:
            del spellings[address]
        return max(sorted(spellings), key=spellings.__getitem__)

    def _answers(self) -> str:
        given = [sentinel.answer or "no answer in time" for sentinel in self._sentinels]
        answers = [str(each) or repr(each) for each in given]
        if len(answers) == 1:
            return answers[0]
        return "; ".join(
            f"{sentinel.name} says {answer}" for sentinel, answer in zip(self._sentinels, answers, strict=True)
        )

    async def close(self) -> None:
        """Close every connection."""
        await super().close()
        for sentinel in self._sentinels:
            await sentinel.close()


async def _resolve(vote: Vote) -> Vote:
    """Return the vote with the addresses to which its host resolves here."""
    if vote.resolved:
        return vote
    host, port = vote.address
    try:
        found = await asyncio.get_running_loop().getaddrinfo(host, port, type=SOCK_STREAM)
    except OSError:
        return vote
    addresses = frozenset((str(address[0]), port) for *_, address in found)
    return Vote(vote.address, vote.run_id, vote.epoch, addresses)
