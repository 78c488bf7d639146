"""A long steady load on one service process: its memory, its file descriptors and its latency must stay flat.

    python -m tests.faults.soak --seconds 600

Prints a line per window and a verdict; the exit status is the verdict, and `build/soak.json` holds the figures. The
load is light enough for two cores, because the test looks for drift, not speed. Linux only: it reads `/proc`.
"""

import argparse
import asyncio
import json
import random
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median, quantiles
from tempfile import TemporaryDirectory

from bson import ObjectId
from pymongo import MongoClient

from devtools.http_client import Pool, request
from devtools.service_process import Service
from mylist.devserver.embedded_servers import MongoServer, ValkeyServer, running

WORKERS = 16
REQUESTS_PER_S = 40  # requests a second of each worker
USERS = 2_000
TITLES = [f"{number:024x}" for number in range(1, 501)]
WINDOWS = 20

# Flat means: the last quarter is compared with the first quarter after a warm-up of one quarter.
MAX_MEMORY_GROWTH = 1.05
MAX_LATENCY_GROWTH = 1.5
MAX_NEW_DESCRIPTORS = 4


@dataclass(frozen=True, slots=True)
class Window:
    """One part of the run: requests, those that failed, latency in milliseconds, resident memory in MiB."""

    requests: int
    failed: int
    p50: float
    p99: float
    memory: float
    descriptors: int


class Load:
    """People who open the app, look around, and now and then change their list."""

    def __init__(self, pool: Pool, seed: int) -> None:
        self._pool = pool
        self._random = random.Random(seed)
        self.latencies: list[float] = []
        self.failed = 0

    async def run(self, until: float) -> None:
        """Send requests at the worker's rate until then."""
        due = time.monotonic() + self._random.random() / REQUESTS_PER_S
        while due < until:
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            began = time.monotonic()
            answer = await self._pool.ask(self._request())
            self.latencies.append((time.monotonic() - began) * 1000)
            self.failed += answer.status >= 500
            due += 1 / REQUESTS_PER_S

    def _request(self) -> bytes:
        kind, title = self._random.random(), self._random.choice(TITLES)
        headers = {"user-id": f"user-{self._random.randrange(USERS)}"}
        if kind < 0.9:
            return request("GET", f"/api/mylist/items?page={1 + int(kind * 2)}", headers)
        if kind < 0.95:
            return request("GET", "/api/mylist/stats", headers)
        if kind < 0.98:
            body = json.dumps({"contentId": title, "contentType": "movie"}).encode()
            return request("POST", "/api/mylist/add", headers | {"content-type": "application/json"}, body)
        return request("DELETE", f"/api/mylist/remove/{title}", headers)


async def soak(service: Service, seconds: float) -> list[Window]:
    """Load the service for that long and return the windows."""
    pool = Pool(service.url)
    windows: list[Window] = []
    for number in range(WINDOWS):
        until = time.monotonic() + seconds / WINDOWS
        loads = [Load(pool, number * WORKERS + worker) for worker in range(WORKERS)]
        await asyncio.gather(*(load.run(until) for load in loads))
        latencies = [latency for load in loads for latency in load.latencies]
        window = Window(
            requests=len(latencies),
            failed=sum(load.failed for load in loads),
            p50=round(median(latencies), 2),
            p99=round(quantiles(latencies, n=100)[98], 2),
            memory=round(_memory(service.process.pid), 1),
            descriptors=_descriptors(service.process.pid),
        )
        windows.append(window)
        sys.stdout.write(f"{number + 1:3d}  {window}\n")
        sys.stdout.flush()
    pool.close()
    return windows


def verdict(windows: list[Window]) -> list[str]:
    """Return the figures that are not flat; an empty list is a pass."""
    quarter = len(windows) // 4
    first, last = windows[quarter : 2 * quarter], windows[-quarter:]
    memory = median(each.memory for each in last) / median(each.memory for each in first)
    latency = median(each.p99 for each in last) / median(each.p99 for each in first)
    descriptors = max(each.descriptors for each in last) - max(each.descriptors for each in first)
    failed = sum(each.failed for each in windows)
    found = []
    if memory > MAX_MEMORY_GROWTH:
        found.append(f"memory grew to {memory:.2f} times, allowed {MAX_MEMORY_GROWTH}")
    if latency > MAX_LATENCY_GROWTH:
        found.append(f"p99 grew to {latency:.2f} times, allowed {MAX_LATENCY_GROWTH}")
    if descriptors > MAX_NEW_DESCRIPTORS:
        found.append(f"{descriptors} more file descriptors, allowed {MAX_NEW_DESCRIPTORS}")
    if failed:
        found.append(f"{failed} requests failed")
    return found


def _descriptors(pid: int) -> int:
    return len(list(Path(f"/proc/{pid}/fd").iterdir()))


def _memory(pid: int) -> float:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    raise ProcessLookupError(pid)


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(prog="soak", description=__doc__)
    parser.add_argument("--seconds", type=float, default=600, help="how long, in seconds (default 600)")
    seconds = parser.parse_args().seconds
    with TemporaryDirectory() as name:
        folder = Path(name)
        mongodb, redis = MongoServer(folder / "mongodb"), ValkeyServer(folder / "redis")
        with running(mongodb, redis):
            with MongoClient[dict[str, object]](mongodb.uri) as client:
                titles = [{"_id": ObjectId(title), "title": f"Movie {title}"} for title in TITLES]
                client["soak"]["movies"].insert_many(titles)
            service = Service(folder, {"MONGODB_URI": mongodb.database("soak"), "REDIS_URL": redis.uri})
            try:
                service.wait_until_ready()
                windows = asyncio.run(soak(service, seconds))
            finally:
                service.stop()
    found = verdict(windows)
    build = Path("build")
    build.mkdir(exist_ok=True)
    figures = {"seconds": seconds, "windows": [asdict(window) for window in windows], "verdict": found or ["flat"]}
    (build / "soak.json").write_text(json.dumps(figures, indent=2))
    sys.stdout.write("".join(f"NOT FLAT: {each}\n" for each in found) or "flat\n")
    sys.exit(bool(found))


if __name__ == "__main__":
    main()
