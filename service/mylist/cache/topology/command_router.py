"""Sends commands to the primaries of their keys, and follows redirections of a Cluster."""

import asyncio
from collections.abc import Iterable, Sequence
from typing import Any

from redis.exceptions import AskError, MovedError, NoScriptError

from mylist.cache.scripts import ScriptCall
from mylist.cache.topology.base import Primary, Topology


class Router:
    """Knows where a command goes.

    Every method raises one of `REDIS_ERRORS` when Redis does not answer in time, or refuses.

    Attributes:
        topology: the primaries.
    """

    def __init__(self, topology: Topology) -> None:
        self.topology = topology

    async def owner(self, key: str) -> Primary:
        """Return the primary of a key."""
        return self.topology.owner(key) or await self.topology.find_owner(key, None)

    async def places_by_owner(self, keys: Iterable[str]) -> dict[Primary, list[int]]:
        """Return the places in `keys` of the keys of each primary."""
        places: dict[Primary, list[int]] = {}
        for place, key in enumerate(keys):
            places.setdefault(await self.owner(key), []).append(place)
        return places

    async def run(self, primary: Primary, call: ScriptCall) -> Any:  # noqa: ANN401 - as Redis answers
        """Run a script at the primary of its key; return the answer."""
        try:
            return await self.send(primary, call.key, *call.by_digest())
        except NoScriptError:  # not loaded yet, or not any more; this loads it
            return await self.send(primary, call.key, *call.by_source())

    async def run_many(self, calls: Sequence[ScriptCall]) -> None:
        """Run scripts, in one round trip to each primary concerned."""
        places = await self.places_by_owner(call.key for call in calls)
        await asyncio.gather(
            *(self._run_at(primary, [calls[place] for place in theirs]) for primary, theirs in places.items())
        )

    async def _run_at(self, primary: Primary, calls: Sequence[ScriptCall]) -> None:
        pipeline = primary.client.pipeline(transaction=False)
        for call in calls:
            pipeline.execute_command(*call.by_digest())
        for call, answer in zip(calls, await pipeline.execute(raise_on_error=False), strict=True):
            if isinstance(answer, (NoScriptError, AskError)):  # the script is not loaded there, or the key is elsewhere
                await self.run(await self.owner(call.key), call)
            elif isinstance(answer, Exception):
                raise answer

    async def send(self, primary: Primary, key: str, *command: str | bytes | int) -> Any:  # noqa: ANN401 - as Redis answers
        """Send a command to the primary of its key, or to where that one redirects; return the answer."""
        try:
            return await primary.execute(*command)
        except AskError as redirection:
            return await self._redirect(redirection, primary, key, *command)

    async def _redirect(self, redirection: AskError, former: Primary, key: str, *command: str | bytes | int) -> Any:  # noqa: ANN401 - as Redis answers
        if isinstance(redirection, MovedError):
            owner = await self.topology.find_owner(key, former)
            return await owner.execute(*command)
        # ASK: the key's slot is being moved, and this key is not at the source any more.
        host, port = redirection.node_addr
        importing = self.topology.importing(host, port, former)
        pipeline = importing.client.pipeline(transaction=False)
        pipeline.execute_command("ASKING")
        pipeline.execute_command(*command)
        return (await pipeline.execute())[-1]
