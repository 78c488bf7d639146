"""The lifecycle of the process: start, watch, drain, stop.

Order of stopping: readiness fails, and responses ask clients to close their connections. During a pause, requests are
still served while load balancers notice. Sanic closes the port and waits for requests in flight. Then writes in flight
end, owed invalidations are delivered, the process leaves the registry of processes, and the clients of the stores
close.
"""

import asyncio
import gc
import logging
import signal
import time
from collections.abc import Callable, Coroutine
from contextlib import suppress
from functools import partial
from typing import Any

from mylist.app import App, snapshot
from mylist.background import cancel_all
from mylist.cache.registration import Registration
from mylist.domain.errors import DatabaseUnavailableError
from mylist.http.services import Services
from mylist.mongodb.adoption_state import NotAdoptedError, require_adopted
from mylist.mongodb.collections import PROCESSES
from mylist.mongodb.database import MongoRefusedError, address
from mylist.mongodb.indexes import IndexState, create_indexes, indexes_of
from mylist.mongodb.process_registry import ProcessRegistry
from mylist.telemetry import logging_config, metrics, tracing
from mylist.telemetry.line_limit import LineLimit
from mylist.telemetry.state_gauges import StateCollector

_CHECK_INTERVAL_S = 0.5
_INDEX_INTERVAL_S = 60
_SHED_REPORT_INTERVAL_S = 10
_LAG_INTERVAL_S = 0.1
_UNREGISTERED_AFTER_S = 5.0
_UNREGISTERED_REPORT_INTERVAL_S = 30

_logger = logging.getLogger(__name__)


class Lifecycle:
    """Watches the stores of an application while it runs, and stops it in order.

    Args:
        app: the application.
        announce: called once the application is ready for requests.
    """

    def __init__(self, app: App, announce: Callable[[], None]) -> None:
        self._app = app
        self._services: Services = app.ctx
        self._announce = announce
        self._registration = Registration(
            ProcessRegistry(self._services.database),
            self._services.agreement,
            self._services.health,
            strict=self._services.settings.cache_strict,
            clock=time.monotonic,
        )
        self._indexed = asyncio.Event()
        self._unregistered_lines = LineLimit(1, period_s=_UNREGISTERED_REPORT_INTERVAL_S)
        self._collector = StateCollector(partial(snapshot, self._services))
        self._watchers: list[asyncio.Task[None]] = []
        self._draining: asyncio.Task[None] | None = None
        self._closing: asyncio.Task[None] | None = None
        app.after_server_start(self.start)
        app.before_server_stop(self.drain)
        app.after_server_stop(self.close)

    async def start(self, _: App) -> None:
        """Begin to watch the stores. The process is ready once MongoDB has its index and keys for tokens are loaded."""
        watches = (
            self._services.health.heartbeats(),
            self._watch_mongodb(),
            self._create_indexes(),
            self._register(),
            self._report_shed(),
            _watch_event_loop(),
            self._services.keys.keep_fresh(),
        )
        self._watchers = [asyncio.create_task(self._keep(watch)) for watch in watches]
        metrics.REGISTRY.register(self._collector)
        # The objects that exist by now stay. Traversing them in each full collection would block the event loop for 20
        # ms.
        gc.collect()
        gc.freeze()
        asyncio.get_running_loop().add_signal_handler(
            signal.SIGUSR1, logging_config.switch_debug, self._services.settings
        )

    async def drain(self, _: App) -> None:
        """Make load balancers and clients go elsewhere; requests are still served meanwhile."""
        if self._draining is None:
            self._draining = asyncio.create_task(self._drain())
        # Sanic calls this again if a signal interrupts it. The drain that has begun goes on.
        await asyncio.shield(self._draining)

    async def close(self, _: App) -> None:
        """End what is in flight and close the clients."""
        if self._closing is None:
            self._closing = asyncio.create_task(self._close())
        await asyncio.shield(self._closing)

    async def _drain(self) -> None:
        # A second signal must not cut the drain short; SIGKILL always can.
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_IGN)
        self._services.state.draining = True
        self._app.config.KEEP_ALIVE = False
        await asyncio.sleep(self._services.settings.shutdown_delay)

    async def _close(self) -> None:
        services = self._services
        await services.writer.finish()
        await services.cache.finish()
        await cancel_all(self._watchers)
        await services.keys.close()
        if services.health.pending:
            await services.health.heartbeat()
        if services.health.pending:
            _logger.warning(
                "Redis did not recover before the shutdown: %d cached lists lack changes, so all processes "
                "discard their cached lists",
                len(services.health.pending),
            )
        if services.database.available:
            with suppress(DatabaseUnavailableError, MongoRefusedError):  # the others notice that this process is gone
                await self._registration.leave()
        await services.cache.close()
        await services.database.close()
        await asyncio.to_thread(tracing.stop)
        with suppress(KeyError):  # the task had not started
            metrics.REGISTRY.unregister(self._collector)

    async def _watch_mongodb(self) -> None:
        database, state = self._services.database, self._services.state
        while True:
            try:
                await database.check()
            except MongoRefusedError as error:
                if not state.has_indexes:
                    self._fail_for_mongodb(error)
                    return
            if state.is_registered and not state.started and self._services.keys.available:
                state.started = True
                self._announce()
            await asyncio.sleep(_CHECK_INTERVAL_S)

    async def _create_indexes(self) -> None:
        """Create missing indexes until none is missing. The checks of MongoDB do not wait for a long build."""
        database, state = self._services.database, self._services.state
        told: set[IndexState] = set()
        wanted = indexes_of(self._services.settings.external_ids)
        while True:
            if database.available:
                try:
                    await require_adopted(database.handle, address(self._services.settings))
                    state.indexes = await create_indexes(database.handle, wanted)
                    if not state.has_indexes:
                        await database.try_write()
                except DatabaseUnavailableError:
                    pass  # it is retried, because every failure here may be temporary
                except MongoRefusedError as error:
                    if not state.has_indexes:
                        self._fail_for_mongodb(error)
                        return
                else:
                    state.has_indexes = True
                    self._indexed.set()
                    problems = {index for index in state.indexes if index.problem}
                    for index in sorted(problems - told, key=lambda index: index.full_name):
                        _logger.warning(
                            "Index %s is missing, and %s without it: %s",
                            index.full_name,
                            "two titles may have the same id" if index.is_unique else "requests may be slow",
                            index.problem,
                        )
                    told = problems
                    if not any(index.is_missing for index in problems):
                        return
            await asyncio.sleep(_INDEX_INTERVAL_S if state.has_indexes else _CHECK_INTERVAL_S)

    async def _register(self) -> None:
        """Keep this process in the registry of processes, but only once all lists are known to be there."""
        await self._indexed.wait()
        state, database, agreement = self._services.state, self._services.database, self._services.agreement
        failing_since: float | None = None
        while True:
            try:
                await self._registration.renew()
            except MongoRefusedError as error:
                if not state.is_registered:
                    self._fail_for_mongodb(error)
                    return
                self._tell_unregistered(str(error))
            except DatabaseUnavailableError as error:
                # Do not log a single failure, or one while MongoDB is away: that is known.
                failing_since = failing_since or time.monotonic()
                if database.available and time.monotonic() - failing_since > _UNREGISTERED_AFTER_S:
                    self._tell_unregistered(f"this process cannot register in {PROCESSES}: {error.__cause__ or error}")
            else:
                failing_since = None
                state.is_registered = state.is_registered or agreement.is_settled
            await self._registration.pause()

    def _tell_unregistered(self, problem: str) -> None:
        if self._unregistered_lines.allows():
            _logger.error(
                "MongoDB at %s: %s; until this process can register, every read goes to MongoDB, and soon every change "
                "fails",
                address(self._services.settings),
                problem,
            )

    async def _report_shed(self) -> None:
        shed = self._services.state.shed
        reported = shed.copy()
        while True:
            await asyncio.sleep(_SHED_REPORT_INTERVAL_S)
            if new := shed - reported:
                counts = ", ".join(f"{code} {count}" for code, count in sorted(new.items()))
                _logger.warning("Rejected in the last %d s: %s", _SHED_REPORT_INTERVAL_S, counts)
                reported = shed.copy()

    def _fail_for_mongodb(self, error: MongoRefusedError) -> None:
        refused = f"MongoDB at {address(self._services.settings)} refuses: {error}"
        self._fail(str(error) if isinstance(error, NotAdoptedError) else refused)

    def _fail(self, reason: str) -> None:
        self._services.state.failure = reason
        self._app.stop(terminate=False)

    async def _keep(self, watch: Coroutine[Any, Any, None]) -> None:
        try:
            await watch
        except Exception:
            # A process that no longer watches its stores must end.
            _logger.exception("A background check failed")
            self._fail("a background check failed; see the error above, and start again")


async def _watch_event_loop() -> None:
    while True:
        began = time.perf_counter()
        await asyncio.sleep(_LAG_INTERVAL_S)
        metrics.EVENT_LOOP_LAG.observe(time.perf_counter() - began - _LAG_INTERVAL_S)
