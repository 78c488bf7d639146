"""What goes wrong, and in which order: each fault strikes, lasts and is healed again, all drawn from one seed."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import count
from random import Random

from tests.faults.freshness.deployment import Deployment, now
from tests.waiting import eventually

LINK_CUT = "link-cut"

_RECOVERY_PATIENCE = 30.0
_PAUSE = (1.5, 3.0)
"""Seconds from one recovery to the next fault, in which the cache is in use."""
_FLUSHES = 8


@dataclass(slots=True)
class Struck:
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

    await eventually(is_writing, within=_RECOVERY_PATIENCE)
    writing = victim.writing
    await victim.kill()
    await asyncio.sleep(dice.uniform(0, 1))
    victim.launch()
    await victim.until_ready()
    return f"process {victim.number} with {writing} changes under way"


async def _kill_redis(deployment: Deployment, dice: Random) -> str:
    seconds = _short_or_long(dice)
    await asyncio.to_thread(deployment.redis.kill)
    await asyncio.sleep(seconds)
    await asyncio.to_thread(deployment.redis.restart)
    return f"for {seconds:.2f} s"


async def _freeze_redis(deployment: Deployment, dice: Random) -> str:
    seconds = _short_or_long(dice)
    deployment.redis.freeze()
    try:
        await asyncio.sleep(seconds)
    finally:
        deployment.redis.thaw()
    return f"for {seconds:.2f} s"


async def _flush(deployment: Deployment, dice: Random) -> str:
    for _ in range(_FLUSHES):
        await deployment.flush_redis()
        await asyncio.sleep(dice.uniform(0, 0.3))
    return f"{_FLUSHES} times"


async def _cut_link(deployment: Deployment, dice: Random) -> str:
    victim, how, seconds = dice.randrange(len(deployment.replicas)), dice.choice(["cut", "stall"]), dice.uniform(1.5, 5)
    await deployment.links.turn(victim, how)
    try:
        await asyncio.sleep(seconds)
    finally:
        await deployment.links.turn(victim, "heal")
    return f"{how} for process {victim} for {seconds:.2f} s"


async def _kill_mongodb(deployment: Deployment, dice: Random) -> str:
    seconds = dice.uniform(0, 2)
    await asyncio.to_thread(deployment.mongodb.kill)
    await asyncio.sleep(seconds)
    await asyncio.to_thread(deployment.mongodb.restart)
    return f"for {seconds:.2f} s"


async def _freeze_mongodb(deployment: Deployment, dice: Random) -> str:
    # The longest outlast the fence of a change that hangs.
    seconds = dice.uniform(0.5, 7)
    deployment.mongodb.freeze()
    try:
        await asyncio.sleep(seconds)
    finally:
        deployment.mongodb.thaw()
    return f"for {seconds:.2f} s"


async def _roll(deployment: Deployment, dice: Random) -> str:
    for replica in dice.sample(deployment.replicas, k=len(deployment.replicas)):
        await replica.drain()
        replica.launch()
        await replica.until_ready()
    return f"{len(deployment.replicas)} processes"


def _short_or_long(dice: Random) -> float:
    # Short: about the deadlines by which the service decides that Redis is away.
    return dice.choice([dice.uniform(0, 0.9), dice.uniform(1, 4)])


FAULTS: dict[str, Callable[[Deployment, Random], Awaitable[str]]] = {
    "service-kill": _kill_service,
    "redis-kill": _kill_redis,
    "redis-freeze": _freeze_redis,
    "redis-flush": _flush,
    LINK_CUT: _cut_link,
    "mongodb-kill": _kill_mongodb,
    "mongodb-freeze": _freeze_mongodb,
    "rolling-restart": _roll,
}


def plan(seed: int, names: Sequence[str]) -> Iterator[tuple[int, str, Random]]:
    """Gives rounds without end, each with every fault once in random order, and the dice of each fault."""
    order = Random(f"{seed} order")
    for number in count() if names else ():
        for name in order.sample(names, k=len(names)):
            yield number, name, Random(f"{seed} {number} {name}")


async def strike(  # noqa: PLR0913 - the plan's parameters, each named at the one call
    deployment: Deployment,
    struck: list[Struck],
    *,
    seed: int,
    names: Sequence[str],
    until: float,
    say: Callable[[str], None],
) -> None:
    """Carries out the plan, the first round and then on until a moment, and notes in `struck` what has happened."""
    pauses = Random(f"{seed} pauses")
    for number, name, dice in plan(seed, names):
        if number > 0 and now() >= until:
            break
        await asyncio.sleep(pauses.uniform(*_PAUSE))
        fault = Struck(name, "", now(), float("inf"))
        struck.append(fault)
        fault.detail = await FAULTS[name](deployment, dice)
        fault.healed = now()
        await deployment.until_caching(within=_RECOVERY_PATIENCE)
        fault.recovered = now()
        say(f"{name} {fault.detail}; caching again after {fault.recovered - fault.healed:.1f} s")
