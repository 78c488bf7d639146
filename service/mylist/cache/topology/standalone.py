"""One Redis server."""

from redis.exceptions import RedisError

from mylist.cache.topology.base import MakeClient, Primary, Topology, name_of
from mylist.config.redis_url import Address


class Standalone(Topology):
    """The one server that the settings name."""

    def __init__(self, address: Address, make_client: MakeClient) -> None:
        super().__init__(make_client)
        self.single = self.at(address)
        self.all = (self.single,)
        self._stray: RedisError | None = None

    def owner(self, _: str) -> Primary:
        """Return the server."""
        return self.all[0]

    async def find_owner(self, *_: object) -> Primary:
        """Raise an error: there is no other server."""
        self._stray = RedisError(
            f"{name_of(self.all[0].client)} is a node of a Redis Cluster; REDIS_URL must begin with redis+cluster://"
        )
        raise self._stray

    async def watch(self) -> None:
        """Raise an error once it is known that the server holds only some of the keys."""
        if self._stray:
            raise self._stray

    async def suspect(self) -> None:
        """Do nothing: there is no other server."""
