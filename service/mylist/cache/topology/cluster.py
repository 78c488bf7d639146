"""The primaries of a Redis Cluster."""

import asyncio
import logging
import random
from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import count
from typing import Any

from redis.crc import REDIS_CLUSTER_HASH_SLOTS, key_slot
from redis.exceptions import ConnectionError as RedisConnectionError

from mylist.cache.topology.base import DiscoveredTopology, Execute, MakeClient, Primary, close, probe_key
from mylist.config.redis_url import Address

_MAX_ASKED_NODES = 5
"""The number of nodes to ask: enough to outvote a node that was cut off, few enough for a cluster of hundreds."""
_UNKNOWN = b"?"
"""The host of a node that prefers its name as endpoint but has no name."""

_logger = logging.getLogger(__name__)


class ClusterTopology(DiscoveredTopology):
    """The primaries of a Redis Cluster, each with its share of the hash slots."""

    sharded = True

    def __init__(self, addresses: Sequence[Address], make_client: MakeClient, make_asker: MakeClient) -> None:
        super().__init__(make_client)
        self._seeds = tuple(addresses)
        self._nodes = self._seeds
        self._make_asker = make_asker
        self._owners: list[Primary | None] = [None] * REDIS_CLUSTER_HASH_SLOTS
        self._is_whole = False
        self._unnamed: set[Address] = set()

    def owner(self, key: str) -> Primary | None:
        """Return the primary of the key's slot."""
        return self._owners[key_slot(key.encode())]

    async def watch(self) -> None:
        """Ask the nodes while some slots have no primary. Otherwise a replaced node redirects or refuses by itself."""
        if not self._is_whole:
            await self.find()

    async def suspect(self) -> None:
        """Ask the nodes which primary has which slots."""
        await self.find()

    async def _find(self) -> None:
        asked = random.sample(self._nodes, k=min(_MAX_ASKED_NODES, len(self._nodes)))
        answers = await asyncio.gather(*map(self._ask, asked), return_exceptions=True)
        maps = Counter(answer for answer in answers if not isinstance(answer, BaseException))
        if not maps:
            self._nodes = (*dict.fromkeys((*self._nodes, *self._seeds)),)
            raise RedisConnectionError(f"no node of the cluster answered CLUSTER SLOTS: {answers[0]!r}")
        # The other nodes outvote a node that was cut off.
        ((slots, _),) = maps.most_common(1)
        self._adopt(nodes[0] for _, _, nodes in slots)
        self._nodes = (*dict.fromkeys(node for _, _, nodes in slots for node in nodes),)
        former, self._owners = self._owners, [None] * REDIS_CLUSTER_HASH_SLOTS
        for first, last, nodes in slots:
            self._owners[first : last + 1] = [self.at(nodes[0])] * (last + 1 - first)
        for old, new in {(old, new) for old, new in zip(former, self._owners, strict=True) if new and old is not new}:
            self.note_moved(old, new)
        self._choose_probes()
        await self._drop_others()
        self._is_whole = None not in self._owners
        if not self._is_whole:
            raise RedisConnectionError("some slots of the cluster have no primary")

    async def _ask(self, address: Address) -> tuple[tuple[int, int, tuple[Address, ...]], ...]:
        """Return the first slot, the last slot and the nodes, primary first, of each range of slots."""
        client = self._make_asker(address, None)
        try:
            execute: Execute = client.execute_command
            answer = await execute("CLUSTER SLOTS")
        finally:
            await close(client)

        def located(node: Sequence[Any]) -> Address:
            return self._located(node, address[0])

        return tuple(
            (first, last, (located(primary), *sorted(map(located, replicas))))
            for first, last, primary, *replicas in sorted(answer)
        )

    def _located(self, node: Sequence[Any], asked_host: str) -> Address:
        """Return the address of a node: its host, else the host of its metadata, else `asked_host`."""
        host, port, *more = node
        if host and host != _UNKNOWN:
            return host.decode(), port
        # Redis documents that null means the host to which the command was sent. The addresses of the metadata may be
        # of another network.
        found = _metadata(more).get("ip") or _metadata(more).get("hostname") if host is not None else None
        place = found or asked_host, port
        if host == _UNKNOWN and place not in self._unnamed:
            self._unnamed.add(place)
            _logger.warning(
                "A node of the Cluster has no announced name (cluster-announce-hostname); the service uses "
                "%s:%d for it",
                *place,
            )
        return place

    def importing(self, host: str, port: int, former: Primary) -> Primary:
        """Return the node that imports a slot from the `former` primary, even if the redirection has no host."""
        if host.encode() in {b"", _UNKNOWN}:
            alike = [address for address in self._nodes if address[1] == port]
            host = alike[0][0] if len(alike) == 1 else former.address[0]
        return self.at((host, port))

    def _choose_probes(self) -> None:
        without = {primary for primary in self._owners if primary}
        for number in count():
            if not without:
                return
            if (owner := self.owner(probe_key(number))) in without:
                owner.probe = probe_key(number)
                without.discard(owner)


def _metadata(more: Sequence[Any]) -> dict[str, str]:
    """Return the metadata of a node in CLUSTER SLOTS, which follows host, port and id. Older servers send none."""
    fields = more[1] if len(more) > 1 else ()
    pairs = fields.items() if isinstance(fields, Mapping) else zip(fields[::2], fields[1::2], strict=False)
    return {name.decode(): value.decode() for name, value in pairs if value and value != _UNKNOWN}
