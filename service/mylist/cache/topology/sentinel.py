"""The primary of a Sentinel group."""

import asyncio
from collections import Counter
from collections.abc import Iterable

from redis.asyncio import Redis
from redis.exceptions import ConnectionError as RedisConnectionError

from mylist.cache.topology.base import REDIS_ERRORS, DiscoveredTopology, Execute, MakeClient, Primary, close
from mylist.config.redis_timing import SENTINEL_VOTE_TIMEOUT_S
from mylist.config.redis_url import Address


class Sentinel:
    """One Sentinel, asked in the background so that a slow one delays nobody.

    Attributes:
        error: why it did not answer last time; None if it did.
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
        """Ask it for the address of the primary; the result is None if it does not answer."""
        self._asking = asyncio.create_task(self._ask())
        return self._asking

    async def _ask(self) -> Address | None:
        try:
            state = await self._execute("SENTINEL MASTER", self._name)
        except REDIS_ERRORS as error:
            self.error = error
            return None
        self.error = None
        return str(state["ip"]), int(state["port"])

    async def close(self) -> None:
        """Close the connection."""
        if self._asking:
            self._asking.cancel()
            await asyncio.wait([self._asking])
        await close(self._client)


class SentinelTopology(DiscoveredTopology):
    """The primary that a majority of the Sentinels of a group names.

    Once one process has the answer of a majority, no later majority can name an earlier primary: any two majorities
    share a Sentinel, and no Sentinel goes back to a primary that was replaced.
    """

    def __init__(
        self, addresses: Iterable[Address], name: str, make_client: MakeClient, make_sentinel: MakeClient
    ) -> None:
        super().__init__(make_client)
        self._sentinels = [Sentinel(make_sentinel(address, None), name) for address in dict.fromkeys(addresses)]
        self._name = name

    def owner(self, _: str) -> Primary | None:
        """Return the primary."""
        return self.single

    async def watch(self) -> None:
        """Ask the Sentinels: a primary that was replaced may go on answering for a while as if it were not."""
        await self.find()

    async def suspect(self) -> None:
        """Do nothing: the Sentinels are asked before the next heartbeat."""

    async def _find(self) -> None:
        # An answer to an earlier question does not count: it may be from before a failover that others know of.
        asked = [sentinel.ask() for sentinel in self._sentinels if not sentinel.is_asked]
        votes: Counter[Address | None] = Counter()
        try:
            for answer in asyncio.as_completed(asked, timeout=SENTINEL_VOTE_TIMEOUT_S):
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
        """Close every connection."""
        await super().close()
        for sentinel in self._sentinels:
            await sentinel.close()
