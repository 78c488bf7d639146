"""TCP proxies in front of a server of this machine: they hold its answers back, or let their links to it break.

    with TcpProxy(port, links=3) as proxy:
        Redis(port=proxy.ports[1])
        proxy.delay(1, 0.02)
        proxy.cut(1)
        proxy.heal(1)

All links are in one separate process, so that the user's own load does not change the time that they add to a round
trip. As a program, `tcp_proxy.py HOST PORT LINKS` prints the ports that it listens on, one for each link. Each line of
its standard input is a verb, the number of a link and, for `delay`, the seconds; the program prints `done` after each.
It ends with its standard input.
"""

import asyncio
import select
import selectors
import socket
import struct
import subprocess
import sys
from collections import deque
from functools import partial
from typing import Self, cast

_HOST = "127.0.0.1"
_TIMEOUT_S = 10.0
"""Seconds in which the program must answer or end."""
_RESET = struct.pack("ii", 1, 0)
"""For SO_LINGER: closing drops unsent bytes, and resets the connection."""


class TcpProxy:
    """The links to a server. Use it as a context manager.

    Args:
        port: of the server.
        host: of the server.
        links: how many; at first they pass everything on at once.

    Attributes:
        ports: of this machine, where each link listens.
    """

    def __init__(self, port: int, *, host: str = _HOST, links: int = 1) -> None:
        self.ports: list[int] = []
        self._command = [sys.executable, "-P", __file__, host, str(port), str(links)]

    def __enter__(self) -> Self:
        # In a session of its own the terminal's Ctrl-C does not reach it: it ends when its standard input does.
        self._process = subprocess.Popen(
            self._command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True
        )
        try:
            self.ports = [int(port) for port in self._read_line().split()]
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        with self._process as process:
            try:
                process.communicate(timeout=_TIMEOUT_S)
            except subprocess.TimeoutExpired:
                process.kill()

    def delay(self, link: int, seconds: float) -> None:
        """Hold back each answer of the server from now on; 0 seconds ends the delay."""
        self._order(f"delay {link} {seconds}")

    def cut(self, link: int) -> None:
        """Reset the connections of a link, and every new one."""
        self._order(f"cut {link}")

    def stall(self, link: int) -> None:
        """Keep the connections of a link open and pass nothing on, like a network that loses every packet."""
        self._order(f"stall {link}")

    def heal(self, link: int) -> None:
        """Let a link that was cut or stalled pass all bytes again, including those that came meanwhile."""
        self._order(f"heal {link}")

    def _order(self, line: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(f"{line}\n")
        self._process.stdin.flush()
        answer = self._read_line()
        assert answer == "done\n", f"the TCP proxy answers {answer!r}"

    def _read_line(self) -> str:
        assert self._process.stdout is not None
        # It prints one line at a time, so none waits in the buffer of this process.
        readable, _, _ = select.select([self._process.stdout], [], [], _TIMEOUT_S)
        assert readable, f"the TCP proxy does not answer within {_TIMEOUT_S:g} seconds"
        return self._process.stdout.readline()


class _Link:
    """The connections that come in on one port.

    Attributes:
        server: where they lead, host and port.
        seconds: how long answers are held back.
        ends: of connections, open ones.
    """

    def __init__(self, server: tuple[str, int]) -> None:
        self.server = server
        self.seconds = 0.0
        self.is_cut = False
        self.is_stalled = False
        self.ends: set[_End] = set()

    def obey(self, verb: str, *seconds: str) -> None:
        """Do as a line of the standard input says."""
        if verb == "delay":
            self.seconds = float(seconds[0])
            return
        self.is_cut, self.is_stalled = verb == "cut", verb == "stall"
        for end in list(self.ends):
            if self.is_cut:
                end.reset()
            else:
                end.settle()


class _End(asyncio.Protocol):
    """One end of a connection that passes through."""

    def __init__(self, link: _Link) -> None:
        self.link = link
        self.transport: asyncio.Transport | None = None
        self.other: _End | None = None
        self._early: list[bytes] = []
        """The bytes of a paused connection. Python 3.11.2 reads once from a transport that `connection_made` pauses."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)
        self.link.ends.add(self)
        if self.link.is_cut:
            self.reset()
        else:
            self.settle()

    def connection_lost(self, _: Exception | None) -> None:
        self.transport = None
        self.link.ends.discard(self)

    def settle(self) -> None:
        """Read or stop reading, depending on the link and the other end."""
        if self.transport is None:
            return
        if self._has_to_wait:
            self.transport.pause_reading()
            return
        early, self._early = self._early, []
        for data in early:
            self.pass_on(data)
        self.transport.resume_reading()

    @property
    def _has_to_wait(self) -> bool:
        return self.link.is_stalled or self.other is None

    def data_received(self, data: bytes) -> None:
        if self._has_to_wait:
            self._early.append(data)
            self.settle()
        else:
            self.pass_on(data)

    def pass_on(self, data: bytes) -> None:
        """Hand bytes to the other end."""
        assert self.other is not None
        self.other.write(data)

    def write(self, data: bytes) -> None:
        """Pass on the bytes that the other end received."""
        if self.transport is not None:
            self.transport.write(data)

    def close(self) -> None:
        """Close the connection once everything is passed on."""
        if self.transport is not None:
            self.transport.close()

    def reset(self) -> None:
        """Reset the connection."""
        if self.transport is not None:
            self.transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
            self.transport.abort()


class _ClientEnd(_End):
    """The end of the client, who is passed on at once."""

    other: "_ServerEnd | None"

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self._opening = asyncio.get_running_loop().create_task(self._open())

    def connection_lost(self, reason: Exception | None) -> None:
        super().connection_lost(reason)
        if self.other is None:
            self._opening.cancel()
        else:
            self.other.close()

    async def _open(self) -> None:
        try:
            _, other = await asyncio.get_running_loop().create_connection(
                lambda: _ServerEnd(self.link, self), *self.link.server
            )
        except OSError:
            self.close()
            return
        self.other = other
        self.settle()


class _ServerEnd(_End):
    """The end of the server, whose answers are held back."""

    other: _ClientEnd

    def __init__(self, link: _Link, client: _ClientEnd) -> None:
        super().__init__(link)
        self.other = client
        self._held: deque[bytes | None] = deque()
        """Bytes that are due later; None for the end of the connection."""

    def pass_on(self, data: bytes) -> None:
        if self.link.seconds or self._held:
            self._hold(data)
        else:
            super().pass_on(data)

    def connection_lost(self, reason: Exception | None) -> None:
        super().connection_lost(reason)
        self._hold(None)

    def _hold(self, data: bytes | None) -> None:
        self._held.append(data)
        # Not bound to this data: timers that are due together may fire in any order.
        asyncio.get_running_loop().call_later(self.link.seconds, self._release)

    def _release(self) -> None:
        data = self._held.popleft()
        if data is None:
            self.other.close()
        else:
            self.other.write(data)


async def _main(host: str, port: int, count: int) -> None:
    loop = asyncio.get_running_loop()
    links = [_Link((host, port)) for _ in range(count)]
    servers = [await loop.create_server(partial(_ClientEnd, link), _HOST, 0) for link in links]
    lines = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)
    print(*(server.sockets[0].getsockname()[1] for server in servers), flush=True)
    while line := await lines.readline():
        verb, number, *seconds = line.decode().split()
        links[int(number)].obey(verb, *seconds)
        print("done", flush=True)


def _exact_loop() -> asyncio.AbstractEventLoop:
    """Return an event loop whose timers are exact: those of epoll and of uvloop are up to a millisecond late.

    It has room for some 500 connections. uvloop does not let a transport pause before its first read.
    """
    return asyncio.SelectorEventLoop(selectors.SelectSelector())


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=_exact_loop) as runner:
        runner.run(_main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3])))
