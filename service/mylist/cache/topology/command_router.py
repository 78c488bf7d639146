"""Finds the primaries of keys and follows the redirections of a Cluster."""

from collections.abc import Iterable
from typing import Any

from redis.exceptions import AskError, MovedError

from mylist.cache.topology.base import Primary, Topology


class Router:
    """Sends each command to the primary of its key.

    Every method raises one of `REDIS_ERRORS` if Redis does not answer in time or rejects the command.

    Attributes:
        topology: the primaries.
    """

    def __init__(self, topology: Topology) -> None:
        self.topology = topology

    async def owner(self, key: str) -> Primary:
        """Return the primary of a key."""
        return self.topology.owner(key) or await self.topology.find_owner(key, None)

    async def places_by_owner(self, keys: Iterable[str]) -> dict[Primary, list[int]]:
        """Return, for each primary, the indices of its keys in `keys`."""
        places: dict[Primary, list[int]] = {}
        for place, key in enumerate(keys):
            places.setdefault(await self.owner(key), []).append(place)
        return places

    async def send(self, primary: Primary, key: str, *command: str | bytes | int) -> Any:  # noqa: ANN401 - as Redis answers
        """Send a command to the primary of its key, or to where that primary redirects; return the answer."""
        try:
            return await primary.execute(*command)
        except AskError as redirection:
            return await self.redirect(redirection, primary, key, *command)

    async def redirect(self, redirection: AskError, former: Primary, key: str, *command: str | bytes | int) -> Any:  # noqa: ANN401 - as Redis answers
        """Send a command to the node to which the `former` primary of its key redirects; return the answer."""
        if isinstance(redirection, MovedError):
            owner = await self.topology.find_owner(key, former)
            return await owner.execute(*command)
        # ASK: the key's slot is being moved, and this key is no longer on the source node.
        host, port = redirection.node_addr
        importing = self.topology.importing(host, port, former)
        pipeline = importing.client.pipeline(transaction=False)
        pipeline.execute_command("ASKING")
        pipeline.execute_command(*command)
        return (await pipeline.execute())[-1]
