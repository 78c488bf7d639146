"""The targets of the faults: service processes behind a round robin, Redis and MongoDB."""

import asyncio
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from devtools.http_client import NotAnsweredError, NotSentError, Pool, request
from devtools.service_process import Service
from devtools.waiting import eventually
from tests.faults.freshness.mongodb import MongoDB
from tests.faults.freshness.redis import Redis

PROCESSES = 3
DATABASE = "freshness"

_PROBE_INTERVAL_S = 0.1
_START_PATIENCE = 120.0
_STOP_PATIENCE = 60.0
_LAST_WORDS = 60
_READYZ = request("GET", "/readyz")
_SETTINGS = {
    "SHUTDOWN_DELAY": "0.5",  # several probes long
    "LOG_LEVEL": "warning",
}


class Replica:
    """One place in the round robin, taken by one service process after the other."""

    def __init__(self, number: int, folder: Path, settings: Mapping[str, str], program: Sequence[str]) -> None:
        self.number = number
        self.ready = False
        """Whether the last probe, or the last attempt to connect, found the process ready."""
        self.writing = 0
        """The number of changes in flight."""
        self.hits = 0
        """How many reads it answered from the cache."""
        self._folder = folder
        self._settings = settings
        self._program = program
        self._services: list[Service] = []
        self._probe: asyncio.Task[None] | None = None

    @property
    def service(self) -> Service:
        """The process that has the place now."""
        return self._services[-1]

    @property
    def settings(self) -> Mapping[str, str]:
        """The settings of the next process."""
        return self._settings

    @property
    def is_running(self) -> bool:
        """Whether a process has the place now."""
        return bool(self._services) and self.service.process.poll() is None

    def use(self, redis_url: str) -> None:
        """Have the next process use this Redis."""
        self._settings = {**self._settings, "REDIS_URL": redis_url}

    def launch(self) -> None:
        """Start a process, and do not wait for it."""
        folder = self._folder / f"process-{self.number}-start-{len(self._services) + 1}"
        folder.mkdir()
        self._services.append(Service(folder, self._settings, program=("-X", "faulthandler", *self._program)))
        self.pool = Pool(self.service.url)
        self._probe = asyncio.create_task(self._keep_probing())

    async def until_ready(self) -> None:
        """Wait until the process is ready."""

        async def is_ready() -> bool:
            assert self.service.process.poll() is None, f"ended at start\n{self._last_words()}"
            return self.ready

        await eventually(is_ready, within=_START_PATIENCE)

    async def kill(self) -> None:
        """End the process by SIGKILL."""
        self.service.kill()
        await self._vacate()

    async def drain(self) -> None:
        """End the process by SIGTERM; it must end by itself, with status 0 and without a traceback in its log."""
        try:
            await asyncio.to_thread(self._stop)
        finally:
            await self._vacate()

    def tracebacks(self) -> int:
        """Count the tracebacks in the logs of all processes that had the place."""
        return sum(service.log.read_text(errors="replace").count("Traceback") for service in self._services)

    def _stop(self) -> None:
        process = self.service.process
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(_STOP_PATIENCE)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGABRT)  # the process logs its stack
            process.wait()
            raise AssertionError(f"not ended by SIGTERM\n{self._last_words()}") from None
        self.service.stop()  # checks how the process has ended

    def _last_words(self) -> str:
        return "\n".join(self.service.log.read_text(errors="replace").splitlines()[-_LAST_WORDS:])

    async def _vacate(self) -> None:
        self.ready = False
        self.pool.close()
        if self._probe is not None:
            self._probe.cancel()
            with suppress(asyncio.CancelledError):
                await self._probe

    async def _keep_probing(self) -> None:
        probing = Pool(self.service.url)
        try:
            while True:
                try:
                    self.ready = (await probing.ask(_READYZ)).status == 200
                except (NotSentError, NotAnsweredError):
                    self.ready = False
                await asyncio.sleep(_PROBE_INTERVAL_S)
        finally:
            probing.close()


class Deployment:
    """Everything that a fault can strike; `folder` takes data and logs."""

    def __init__(
        self, folder: Path, redis: Redis, mongodb: MongoDB, settings: Mapping[str, str], program: Sequence[str]
    ) -> None:
        self.mongodb = mongodb
        self.redis = redis
        self._folder = folder
        self._settings = {**_SETTINGS, **settings}
        self._program = program
        self.replicas: list[Replica] = []
        self._turn = 0

    async def start(self) -> None:
        """Start the service processes; MongoDB and Redis run already."""
        uris = self.mongodb.uris(DATABASE)
        for number, (url, uri) in enumerate(zip(self.redis.urls, uris, strict=True)):
            stores = {"MONGODB_URI": uri, "REDIS_URL": url}
            self.replicas.append(Replica(number, self._folder, stores | self._settings, self._program))
        try:
            for replica in self.replicas:
                replica.launch()
            for replica in self.replicas:
                await replica.until_ready()
        except BaseException:
            await self.stop()
            raise

    def next_replica(self) -> Replica:
        """Return the next ready process of the round robin, or the next one if none is ready."""
        for _ in range(PROCESSES):
            self._turn = (self._turn + 1) % PROCESSES
            if self.replicas[self._turn].ready:
                break
        return self.replicas[self._turn]

    async def until_caching(self, *, within: float) -> None:
        """Wait until every process answers reads from the cache again."""
        wanted = [replica.hits + 3 for replica in self.replicas]

        async def all_hit() -> bool:
            return all(replica.hits >= hits for replica, hits in zip(self.replicas, wanted, strict=True))

        await eventually(all_hit, within=within)

    async def stop(self) -> list[str]:
        """End the service processes; return a line for each process that did not end as it should."""
        ends = await asyncio.gather(
            *(replica.drain() for replica in self.replicas if replica.is_running),
            return_exceptions=True,
        )
        return [f"{end}" for end in ends if isinstance(end, BaseException)]


def now() -> float:
    """The one clock of a run, in seconds."""
    return time.monotonic()
