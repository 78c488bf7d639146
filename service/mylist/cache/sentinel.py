"""The primary of a Sentinel group."""

import asyncio
import logging
from collections.abc import Iterable

from redis.asyncio import Redis
from redis.exceptions import ConnectionError as RedisConnectionError

from mylist.cache.primaries import FAILURES, DiscoveredPrimaries, Execute, MakeClient, Primary, close
from mylist.cache.redis_url import Address

# Seconds that Sentinels have before a heartbeat goes on with those that answered; well below `link.DOUBT_AFTER`.
_PATIENCE = 0.1

_logger = logging.getLogger(__name__)


class Sentinel:
    """One Sentinel, asked in the background so that a slow one delays nobody.

    Attributes:
        told: the epoch and the primary of its latest answer; None while it does not answer.
        error: why it does not.
    """

    def __init__(self, client: Redis, name: str) -> None:
        self.told: tuple[int, Address] | None = None
        self.error: Exception | None = None
        self._client = client
        self._execute: Execute = client.execute_command
        self._name = name
        self._asking: asyncio.Task[None] | None = None

    def ask(self) -> asyncio.Task[None]:
        """Asks it, unless it has yet to answer."""
        if self._asking is None or self._asking.done():
            self._asking = asyncio.create_task(self._ask())
        return self._asking

    async def _ask(self) -> None:
        try:
            state = await self._execute("SENTINEL MASTER", self._name)
        except FAILURES as error:
            self.told, self.error = None, error
        else:
            self.told = int(state["config-epoch"]), (str(state["ip"]), int(state["port"]))

    async def close(self) -> None:
        """Closes the connection."""
        if self._asking:
            self._asking.cancel()
            await asyncio.wait([self._asking])
        await close(self._client)


class SentinelGroup(DiscoveredPrimaries):
    """The primary that a group of Sentinels agrees on."""

    def __init__(
        self, addresses: Iterable[Address], name: str, make_client: MakeClient, make_sentinel: MakeClient
    ) -> None:
        super().__init__(make_client)
        self._sentinels = [Sentinel(make_sentinel(address, None), name) for address in addresses]
        self._name = name
        self._silent = False

    def owner(self, _: str) -> Primary | None:
        """Gives the primary."""
        return self.all[0] if self.all else None

    async def watch(self) -> None:
        """Asks the Sentinels: a primary that was replaced may go on answering for a while as if it were not."""
        await self.find()

    async def suspect(self) -> None:
        """Does nothing: they are asked before the next heartbeat."""

    async def _find(self) -> None:
        await asyncio.wait([sentinel.ask() for sentinel in self._sentinels], timeout=_PATIENCE)
        told = [sentinel.told for sentinel in self._sentinels if sentinel.told]
        if told:
            # The last failover counts, even if only the Sentinel that led it knows of it yet.
            _, address = max(told)
            self._adopt([address])
            await self._drop_others()
        elif not self.all:
            raise RedisConnectionError(f"no Sentinel tells where {self._name} is: {self._sentinels[0].error}")
        if self._silent is bool(told):
            self._silent = not told
            if self._silent:  # and so no primary is replaced: the one that is known goes on
                _logger.warning("No Sentinel of %s answers: %s", self._name, self._sentinels[0].error)
            else:
                _logger.info("Sentinels of %s answer", self._name)

    async def close(self) -> None:
        """Closes every connection."""
        await super().close()
        for sentinel in self._sentinels:
            await sentinel.close()
