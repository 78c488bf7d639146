"""The faults and their order: each is injected, lasts and is healed again, all drawn from one seed."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import count
from random import Random

from devtools.waiting import eventually
from tests.faults.freshness.deployment import Deployment, now
from tests.faults.freshness.mongodb import FAULTS as MONGODB_FAULTS
from tests.faults.freshness.mongodb import MongoTopology
from tests.faults.freshness.redis import FAULTS as REDIS_FAULTS
from tests.faults.freshness.redis import MOVE, REPLACED, OneServer, Topology

_RECOVERY_TIMEOUT_S = 120.0
_PAUSE_S = (1.5, 3.0)
"""Seconds from one recovery to the next fault, in which the cache is in use."""


@dataclass(slots=True)
class InjectedFault:
    """A fault that happened: when it began, was healed, and all processes answered from the cache again."""

    name: str
    detail: str
    began: float
    healed: float
    recovered: float | None = None


async def _kill_service(deployment: Deployment, dice: Random) -> str:
    victim = dice.choice(deployment.replicas)

    async def is_writing() -> bool:
        return victim.writing > 0

    await eventually(is_writing, within=_RECOVERY_TIMEOUT_S)
    writing = victim.writing
    await victim.kill()
    await asyncio.sleep(dice.uniform(0, 1))
    victim.launch()
    await victim.until_ready()
    return f"process {victim.number} with {writing} changes under way"


async def _roll(deployment: Deployment, dice: Random) -> str:
    for replica in dice.sample(deployment.replicas, k=len(deployment.replicas)):
        await replica.drain()
        replica.launch()
        await replica.until_ready()
    return f"{len(deployment.replicas)} processes"


async def _cut_and_replace(deployment: Deployment, dice: Random) -> str:
    """Cut one or two processes off Redis, as a new password would, and replace them after a while."""
    redis = deployment.redis
    assert isinstance(redis, OneServer)
    victims = dice.sample(deployment.replicas, k=dice.choice([1, 2]))
    stalled, killed, seconds = dice.random() < 1 / 2, dice.random() < 1 / 2, dice.uniform(1, 4)
    for victim in victims:
        await redis.cut(victim.number, stalled=stalled)
    await asyncio.sleep(seconds)
    for victim in victims:
        await (victim.kill() if killed else victim.drain())
        await redis.heal(victim.number)
        victim.launch()
        await victim.until_ready()
    numbers = " and ".join(str(victim.number) for victim in victims)
    how = f"{'stalled' if stalled else 'cut'} for {seconds:.2f} s, then {'killed' if killed else 'drained'}"
    return f"processes {numbers}: {how}"


async def _move(deployment: Deployment, dice: Random) -> str:
    """Replace some or all processes by ones that use another Redis, and these by ones that use the first Redis."""
    redis = deployment.redis
    assert isinstance(redis, OneServer)
    moved = dice.sample(deployment.replicas, k=dice.randint(1, len(deployment.replicas)))
    seconds = dice.uniform(0, 4)
    for urls in ([redis.other_url] * len(moved), [redis.urls[replica.number] for replica in moved]):
        for replica, url in zip(moved, urls, strict=True):
            await (replica.kill() if dice.random() < 1 / 4 else replica.drain())
            replica.use(url)
            replica.launch()
            await replica.until_ready()
        await asyncio.sleep(seconds)
    return f"{len(moved)} processes, and back after {seconds:.2f} s"


_FAULTS: dict[str, Callable[[Deployment, Random], Awaitable[str]]] = {
    "service-kill": _kill_service,
    "rolling-restart": _roll,
    REPLACED: _cut_and_replace,
    MOVE: _move,
}


def faults_of(redis: Topology, mongodb: MongoTopology) -> tuple[str, ...]:
    """Return all faults that are possible with these topologies of Redis and MongoDB."""
    return "service-kill", *REDIS_FAULTS[redis], *MONGODB_FAULTS[mongodb], "rolling-restart"


def usual_faults(redis: Topology, mongodb: MongoTopology) -> tuple[str, ...]:
    """Return the faults of a run that names none: all, or a replica set's own, each ten times in ten minutes."""
    return tuple(MONGODB_FAULTS[mongodb]) if mongodb is MongoTopology.REPLICA_SET else faults_of(redis, mongodb)


def plan(seed: object, names: Sequence[str]) -> Iterator[tuple[int, str, Random]]:
    """Yield endless rounds, each with every fault once in random order, and the dice of each fault."""
    order = Random(f"{seed} order")
    for number in count() if names else ():
        for name in order.sample(names, k=len(names)):
            yield number, name, Random(f"{seed} {number} {name}")


async def inject(  # noqa: PLR0913 - the plan's parameters, each named at the one call
    deployment: Deployment,
    injected: list[InjectedFault],
    *,
    seed: object,
    names: Sequence[str],
    until: float,
    say: Callable[[str], None],
) -> None:
    """Inject the faults of the plan: the first round, then further ones until a moment. Note each in `injected`."""
    pauses = Random(f"{seed} pauses")
    for number, name, dice in plan(seed, names):
        if number > 0 and now() >= until:
            break
        await asyncio.sleep(pauses.uniform(*_PAUSE_S))
        fault = InjectedFault(name, "", now(), float("inf"))
        injected.append(fault)
        of_store = deployment.redis.faults.get(name) or deployment.mongodb.faults.get(name)
        fault.detail = await (of_store(dice) if of_store else _FAULTS[name](deployment, dice))
        fault.healed = now()
        await deployment.until_caching(within=_RECOVERY_TIMEOUT_S)
        fault.recovered = now()
        say(f"{name} {fault.detail}; caching again after {fault.recovered - fault.healed:.1f} s")
