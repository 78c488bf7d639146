"""A TCP proxy that holds back each answer for a while: `python delay.py HOST PORT SECONDS`.

It prints the port that it listens on, and ends with its standard input. It is a process of its own so that nothing but
the delay is added.
"""

import asyncio
import sys
from contextlib import suppress

import uvloop


async def main(host: str, port: int, seconds: float) -> None:
    async def serve(theirs: asyncio.StreamReader, ours: asyncio.StreamWriter) -> None:
        upstream, sending = await asyncio.open_connection(host, port)
        with suppress(asyncio.CancelledError, OSError):  # at the end of one side, or of all
            await asyncio.gather(_pass(theirs, sending, 0), _pass(upstream, ours, seconds))

    server = await asyncio.start_server(serve, "127.0.0.1")
    sys.stdout.write(f"{server.sockets[0].getsockname()[1]}\n")
    sys.stdout.flush()
    ended = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(ended), sys.stdin)
    await ended.read()


async def _pass(source: asyncio.StreamReader, target: asyncio.StreamWriter, seconds: float) -> None:
    loop = asyncio.get_running_loop()
    while data := await source.read(65536):
        loop.call_later(seconds, target.write, data)
    loop.call_later(seconds, target.close)


if __name__ == "__main__":
    uvloop.run(main(sys.argv[1], int(sys.argv[2]), float(sys.argv[3])))
