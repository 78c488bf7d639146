"""Reads of cached pages at a pace, for `bench.neighbours`: `python -m bench.neighbours_process URL SECONDS`."""

import asyncio
import sys
import time
from urllib.parse import urlsplit

import msgspec

from bench.samples import Sample, percentile
from mylist.seeding.synthetic_data import user_id

_READERS = 8
_PAUSE_S = 0.01
_LENGTH = b"content-length: "


class _Readers:
    """Users who read their first pages, each over a connection of its own.

    Attributes:
        seconds: how long each read took.
        lost: how many were not answered with 200.
    """

    def __init__(self, host: str, port: int, *, duration: float) -> None:
        self._address = host, port
        self._end = time.monotonic() + duration
        self.seconds: list[float] = []
        self.lost = 0

    async def read(self, user: str) -> None:
        """Read until the time is up."""
        reader, writer = await asyncio.open_connection(*self._address)
        asked = f"GET /api/mylist/items HTTP/1.1\r\nHost: x\r\nuser-id: {user}\r\n\r\n".encode()
        while time.monotonic() < self._end:
            began = time.perf_counter()
            writer.write(asked)
            head = (await reader.readuntil(b"\r\n\r\n")).lower()
            await reader.readexactly(int(head.partition(_LENGTH)[2].partition(b"\r\n")[0]))
            self.seconds.append(time.perf_counter() - began)
            self.lost += not head.startswith(b"http/1.1 200 ")
            await asyncio.sleep(_PAUSE_S)
        writer.close()


async def _measure(url: str, duration: float) -> Sample:
    parts = urlsplit(url)
    readers = _Readers(str(parts.hostname), int(parts.port or 80), duration=duration)
    await asyncio.gather(*(readers.read(user_id(number)) for number in range(1, _READERS + 1)))
    seconds = readers.seconds
    return Sample(
        rate=len(seconds) / duration,
        p50=percentile(seconds, 50) * 1000,
        p99=percentile(seconds, 99) * 1000,
        lost=readers.lost / len(seconds),
    )


if __name__ == "__main__":
    sys.stdout.buffer.write(msgspec.json.encode(asyncio.run(_measure(sys.argv[1], float(sys.argv[2])))))
