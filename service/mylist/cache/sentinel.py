"""The primary of a Sentinel group."""

import asyncio
from collections import Counter
from collections.abc import Iterable

from redis.asyncio import Redis
from redis.exceptions import ConnectionError as RedisConnectionError

from mylist.cache.primaries import FAILURES, DiscoveredPrimaries, Execute, MakeClient, Primary, close
from mylist.cache.redis_url import Address

# Seconds that most Sentinels have to answer; with the ping that follows it has to fit into `link.DOUBT_AFTER`.
_PATIENCE = 0.25


class Sentinel:
    """One Sentinel, asked in the background so that a slow one delays nobody.

    Attributes:
        error: why it did not answer the last time; None if it did.
    """

    def __init__(self, client: Redis, name: str) -> None:
        self.error: Exception | None = None
        self._client = client
        self._execute: Execute = client.execute_command
        self._name = name
        self._asking: asyncio.Task[Address | None] | None = None

    @property
    def is_asked(self) -> bool:
        """Whether it has yet to answer."""
        return self._asking is not None and not self._asking.done()

    def ask(self) -> asyncio.Task[Address | None]:
        """Asks it where the primary is; None when it does not tell."""
        self._asking = asyncio.create_task(self._ask())
        return self._asking

    async def _ask(self) -> Address | None:
        try:
            state = await self._execute("SENTINEL MASTER", self._name)
        except FAILURES as error:
            self.error = error
            return None
        self.error = None
        return str(state["ip"]), int(state["port"])

    async def close(self) -> None:
        """Closes the connection."""
        if self._asking:
            self._asking.cancel()
            await asyncio.wait([self._asking])
        await close(self._client)


class SentinelGroup(DiscoveredPrimaries):
    """The primary that most Sentinels of a group tell of.

    Once a process was told by most of them, no other that asks later is told by most of them what was before: any two
    majorities share a Sentinel, and none goes back to a primary that was replaced.
    """

    def __init__(
        self, addresses: Iterable[Address], name: str, make_client: MakeClient, make_sentinel: MakeClient
    ) -> None:
        super().__init__(make_client)
        self._sentinels = [Sentinel(make_sentinel(address, None), name) for address in dict.fromkeys(addresses)]
        self._name = name

    def owner(self, _: str) -> Primary | None:
        """Gives the primary."""
        return self.all[0] if self.all else None

    async def watch(self) -> None:
        """Asks the Sentinels: a primary that was replaced may go on answering for a while as if it were not."""
        await self.find()

    async def suspect(self) -> None:
        """Does nothing: they are asked before the next heartbeat."""

    async def _find(self) -> None:
        # An answer to an earlier question counts for nothing: it may be from before the failover that another knows of.
        asked = [sentinel.ask() for sentinel in self._sentinels if not sentinel.is_asked]
        votes: Counter[Address | None] = Counter()
        try:
            for answer in asyncio.as_completed(asked, timeout=_PATIENCE):
                address = await answer
                votes[address] += 1
                if address and votes[address] > len(self._sentinels) / 2:
                    self._adopt([address])
                    await self._drop_others()
                    return
        except TimeoutError:
            pass
        why = next((f": {sentinel.error}" for sentinel in self._sentinels if sentinel.error), "")
        raise RedisConnectionError(f"most Sentinels do not tell, or not the same, where {self._name} is{why}")

    async def close(self) -> None:
        """Closes every connection."""
        await super().close()
        for sentinel in self._sentinels:
            await sentinel.close()
