"""The links from service processes to Redis, each of which can be cut while the others hold."""

import asyncio
import sys
from asyncio.subprocess import PIPE, Process
from pathlib import Path
from typing import Self

from devtools.ports import free_port

_PROXY = Path(__file__).with_name("proxy.py")
_PATIENCE = 10.0


class Links:
    """The proxies in front of Redis; `ports` are where each service process finds its own."""

    def __init__(self, process: Process, orders: asyncio.StreamWriter, says: asyncio.StreamReader, ports: list[int]):
        self.ports = ports
        self._process = process
        self._orders = orders
        self._says = says

    @classmethod
    async def start(cls, redis_port: int, count: int) -> Self:
        """Starts the proxies."""
        ports = [free_port() for _ in range(count)]
        # In a session of its own the terminal's Ctrl-C does not reach it: it ends when its standard input does.
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-P", str(_PROXY), str(redis_port), *map(str, ports)),
            stdin=PIPE,
            stdout=PIPE,
            start_new_session=True,
        )
        assert process.stdin is not None
        assert process.stdout is not None
        links = cls(process, process.stdin, process.stdout, ports)
        await links._expect(b"ready\n")
        return links

    async def turn(self, number: int, state: str) -> None:
        """Has one link `cut`, `stall` or `heal`; it has when this returns."""
        self._orders.write(f"{state} {number}\n".encode())
        await self._expect(b"done\n")

    async def stop(self) -> None:
        """Ends the proxies."""
        self._orders.close()
        try:
            await asyncio.wait_for(self._process.wait(), _PATIENCE)
        except TimeoutError:
            self._process.kill()
            await self._process.wait()

    async def _expect(self, line: bytes) -> None:
        async with asyncio.timeout(_PATIENCE):
            said = await self._says.readline()
        assert said == line, f"the proxies say {said!r}"
