"""The way of a request: the files of the service whose functions run between its bytes and its answer.

`python -m devtools.request_way` prints them for a cached `GET /items` and for `POST /add`, in the order of their first
call. The interpreter's profile hook records them, so the list is exact.

The service runs in this process, on the stores of the tests, with tracing off, a standalone Redis and everything warm:
the list is cached, the movie is known, the Lua scripts are loaded. Nothing runs in the background meanwhile.
"""

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, closing, contextmanager
from http import HTTPStatus
from pathlib import Path
from types import CodeType, FrameType
from typing import Any
from uuid import uuid4

from bson import ObjectId

import mylist
from devtools.http_client import Pool, request
from devtools.ports import free_port
from devtools.stores import choose_mongodb, choose_redis
from devtools.waiting import eventually
from mylist.app import build_app, build_services
from mylist.config.settings import Settings
from mylist.http.dispatch import HttpConnection
from mylist.http.services import Services
from mylist.mongodb.indexes import create_indexes

VALUES_AND_MEASURES = ("domain/", "telemetry/")
"""Files without decisions about a request: definitions of values, and metrics. Their names are enough for a reader."""

_PACKAGE = Path(mylist.__file__).parent
_TRUST_WITHIN_S = 60.0
_ATTEMPTS = 20
"""Nothing but these sends heartbeats, which hold for less than half a second."""
_SETTINGS = {"MONGODB_TIMEOUT": "5", "REDIS_TIMEOUT": "0.4", "FRESHNESS_CHECK_EVERY": "0"}


class Way:
    """The files whose functions ran, each with its functions; both in the order in which they were first called."""

    def __init__(self) -> None:
        self.functions: dict[str, dict[str, None]] = {}
        self._seen: dict[CodeType, str | None] = {}

    @property
    def files(self) -> list[str]:
        """The files, as paths within the package."""
        return list(self.functions)

    @property
    def walked(self) -> list[str]:
        """The files that decide or do something about the request: those that a reader must open to follow it."""
        return [file for file in self.files if not file.startswith(VALUES_AND_MEASURES)]

    @contextmanager
    def recording(self) -> Iterator[None]:
        """Record the functions that run in this thread."""
        sys.setprofile(self._note)
        try:
            yield
        finally:
            sys.setprofile(None)

    def _note(self, frame: FrameType, event: str, _: Any) -> None:
        if event != "call":
            return
        code = frame.f_code
        if code not in self._seen:
            self._seen[code] = _file_of(code)
        if file := self._seen[code]:
            self.functions.setdefault(file, {})[code.co_qualname] = None


async def ways(mongodb_uri: str, redis_url: str) -> tuple[Way, Way]:
    """Return the way of a cached read and the way of an add, on these stores."""
    settings = Settings.load({"MONGODB_URI": mongodb_uri, "REDIS_URL": redis_url, **_SETTINGS})
    async with _serving(settings) as (services, url):
        movie = ObjectId()
        await services.database.handle["movies"].insert_one({"_id": movie, "title": "The Matrix"})
        # From Python 3.12 on, a server that is closed waits for its connections.
        with closing(Pool(url)) as pool:
            await _record(services, pool, movie)  # makes everything warm that is not one user's
            for _ in range(_ATTEMPTS):
                if recorded := await _record(services, pool, movie):
                    return recorded
        raise AssertionError("this machine is too busy: no heartbeat was recent enough")


async def _record(services: Services, pool: Pool, movie: ObjectId) -> tuple[Way, Way] | None:
    """Let a new user read and add; return both ways, None if Redis was not trusted all the time."""
    headers = {"user-id": f"user-{uuid4().hex}"}
    get = request("GET", "/api/mylist/items", headers)
    body = b'{"contentId":"%s","contentType":"movie"}' % str(movie).encode()
    post = request("POST", "/api/mylist/add", headers | {"content-type": "application/json"}, body)
    read, add = Way(), Way()
    for _ in range(2):  # a miss, then a hit
        await services.health.heartbeat()
        await pool.ask(get)
    await services.health.heartbeat()
    with read.recording():
        answer = await pool.ask(get)
    is_hit = answer.headers["x-cache"] == "hit"
    await services.health.heartbeat()
    with add.recording():
        answer = await pool.ask(post)
    assert answer.status == HTTPStatus.CREATED, answer
    return (read, add) if is_hit and services.health.is_trusted else None


def _file_of(code: CodeType) -> str | None:
    path = Path(code.co_filename)
    return path.relative_to(_PACKAGE).as_posix() if path.is_relative_to(_PACKAGE) else None


@asynccontextmanager
async def _serving(settings: Settings) -> AsyncIterator[tuple[Services, str]]:
    """Serve in this process as `mylist serve` does, with nothing in the background; yield the services and the URL."""
    services = build_services(settings)
    app = build_app(services)
    port = free_port()
    server = await app.create_server(
        host="127.0.0.1", port=port, protocol=HttpConnection, return_asyncio_server=True, asyncio_server_kwargs={}
    )
    assert server is not None
    await server.startup()  # type: ignore[no-untyped-call]
    await server.start_serving()  # type: ignore[no-untyped-call]
    try:
        await services.database.check()
        await create_indexes(services.database.handle)

        async def is_trusted() -> bool:
            await services.health.heartbeat()
            return services.health.is_trusted

        await eventually(is_trusted, within=_TRUST_WITHIN_S)
        yield services, f"http://127.0.0.1:{port}"
    finally:
        server.close()  # type: ignore[no-untyped-call]
        await server.wait_closed()  # type: ignore[no-untyped-call]
        await services.writer.finish()
        await services.cache.close()
        await services.database.close()


def main() -> None:
    """Print both ways."""
    os.environ.setdefault("SANIC_IGNORE_PRODUCTION_WARNING", "true")
    with choose_mongodb().start() as mongodb_uri, choose_redis().start() as redis_url:
        read, add = asyncio.run(ways(mongodb_uri, redis_url))
    for name, way in (("cached GET /items", read), ("POST /add", add)):
        print(f"{name}: {len(way.files)} files run, {len(way.walked)} of them beside values and measures")
        for file, functions in way.functions.items():
            print(f"  {file:32} {', '.join(functions)}")


if __name__ == "__main__":
    main()
