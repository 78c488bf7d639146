"""TCP proxies in front of Redis, one for each service process: `python proxy.py UPSTREAM_PORT PORT...`.

A line on standard input changes one of them, and a line on standard output says that it has: `cut N` resets its
connections and every new one; `stall N` keeps them and passes nothing on; `heal N` lets all pass again, what was held
back included, as a network does. The process ends with its standard input. It is a process of its own so that what it
adds to each round trip does not depend on what else the checker does.
"""

import asyncio
import sys
from typing import cast

import uvloop

_LOOPBACK = "127.0.0.1"


class Link:
    """The connections of one service process to Redis."""

    def __init__(self, upstream_port: int) -> None:
        self.upstream_port = upstream_port
        self.ends: set[End] = set()
        self.is_cut = False
        self.is_stalled = False

    def turn(self, state: str) -> None:
        """Turns to `cut`, `stall` or `heal`."""
        self.is_cut, self.is_stalled = state == "cut", state == "stall"
        for end in list(self.ends):
            if self.is_cut:
                end.abort()
            else:
                end.settle()


class End(asyncio.Protocol):
    """One of the two ends of a connection that passes through; the service's end opens the other."""

    def __init__(self, link: Link, other: "End | None" = None) -> None:
        self._link = link
        self._other = other
        self._transport: asyncio.Transport | None = None
        self._opening: asyncio.Task[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Notes the end and, for the service's, opens the other."""
        self._transport = cast("asyncio.Transport", transport)
        self._link.ends.add(self)
        if self._link.is_cut:
            self.abort()
        elif self._other is None:
            self._transport.pause_reading()
            self._opening = asyncio.get_running_loop().create_task(self._open())
        else:
            self.settle()

    def data_received(self, data: bytes) -> None:
        """Passes on what came."""
        if self._other is not None and self._other._transport is not None:  # noqa: SLF001 - its other half
            self._other._transport.write(data)  # noqa: SLF001

    def connection_lost(self, _: Exception | None) -> None:
        """Takes the other end along."""
        self._transport = None
        self._link.ends.discard(self)
        if self._other is not None:
            self._other.close()

    def settle(self) -> None:
        """Reads, or does not, as the link is."""
        if self._transport is None or self._other is None:
            return
        if self._link.is_stalled:
            self._transport.pause_reading()
        else:
            self._transport.resume_reading()

    def abort(self) -> None:
        """Resets the connection."""
        if self._transport is not None:
            self._transport.abort()

    def close(self) -> None:
        """Closes the connection once what came from the other end is passed on."""
        if self._transport is not None:
            self._transport.close()

    async def _open(self) -> None:
        loop = asyncio.get_running_loop()
        try:
            _, other = await loop.create_connection(lambda: End(self._link, self), _LOOPBACK, self._link.upstream_port)
        except OSError:
            self.abort()
            return
        self._other = other
        if self._transport is None:
            other.abort()
        self.settle()


async def main(upstream_port: int, ports: list[int]) -> None:
    """Passes connections through until standard input ends."""
    loop = asyncio.get_running_loop()
    links = [Link(upstream_port) for _ in ports]
    for link, port in zip(links, ports, strict=True):
        await loop.create_server(lambda link=link: End(link), _LOOPBACK, port)  # type: ignore[misc]
    lines = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    while line := await lines.readline():
        state, number = line.decode().split()
        links[int(number)].turn(state)
        sys.stdout.write("done\n")
        sys.stdout.flush()


if __name__ == "__main__":
    uvloop.run(main(int(sys.argv[1]), [int(argument) for argument in sys.argv[2:]]))
