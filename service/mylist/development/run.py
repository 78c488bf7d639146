"""`mylist dev`: the whole system in one command, with what it needs and something to try it on.

The stores that the settings do not name are started as embedded servers with their data in `.data`. The sample is
added, and the service runs in this process. Ctrl-C or SIGTERM ends everything, at whatever point it comes.
"""

import asyncio
import fcntl
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

from mylist import server
from mylist.development.servers import MongoServer, StartAbandonedError, ValkeyServer, running
from mylist.seeding import sample
from mylist.seeding.target import opened
from mylist.settings import Settings, explain
from mylist.store.connection import DEFAULT_DATABASE

_DATA = Path(".data")
_ANY_ADDRESS = {"0.0.0.0", "::"}  # noqa: S104 - compared with, not listened on


class DataFolderError(Exception):
    """The data folder cannot be used; the message is one line."""


def run() -> None:
    """Runs everything until SIGINT or SIGTERM, then ends every process that it started.

    Raises:
        InvalidSettingError: a setting cannot be used.
        DataFolderError: another run uses the folder, or it cannot be written.
        PortTakenError, StartupError: as `mylist.server.run`.
        ServerMissingError, ServerStartError: as `mylist.development.servers.running`.
        TargetError: as `mylist.seeding.target.opened`.
    """
    settings = Settings.from_environment()
    given = {each.variable for each in explain() if each.source != "default"}
    if "SHUTDOWN_DELAY" not in given:
        settings = replace(settings, shutdown_delay=0.0)
    mongodb = None if "MONGODB_URI" in given else MongoServer(_DATA / "mongodb")
    valkey = None if given & {"REDIS_HOST", "REDIS_URL"} else ValkeyServer(_DATA / "valkey")
    end = _End()
    with _locked(_DATA), suppress(StartAbandonedError):
        server.check_port(settings)
        with running(*filter(None, (mongodb, valkey)), abandon=end.is_asked_for):
            if mongodb:
                uri = mongodb.database(DEFAULT_DATABASE)
                settings = replace(settings, mongodb_uri=uri, mongodb_user="", mongodb_password="")
            if valkey:
                settings = replace(settings, redis_url=valkey.uri, redis_password="")
            asyncio.run(_seed(settings))
            if not end.is_asked_for():
                _serve(settings, end, _announcement(settings, mongodb, valkey))


class _End:
    """Notes SIGINT and SIGTERM until the service handles them itself.

    They raise nothing: an exception out of nowhere, in the middle of an import or an event loop, may be swallowed
    there or leave something half done.
    """

    def __init__(self) -> None:
        self._asked_for = False
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._note)

    def _note(self, *_: object) -> None:
        self._asked_for = True

    def is_asked_for(self) -> bool:
        """Whether one of the signals came."""
        return self._asked_for

    def ignore(self) -> None:
        """Makes further signals do nothing: the end has come, and should not be cut short."""
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_IGN)


def _serve(settings: Settings, end: _End, announcement: str) -> None:
    def announce() -> None:
        if end.is_asked_for():  # before the service began to handle the signals
            os.kill(os.getpid(), signal.SIGTERM)
            return
        sys.stdout.write(announcement)
        sys.stdout.flush()

    try:
        server.run(settings, announce=announce)
    finally:
        end.ignore()


async def _seed(settings: Settings) -> None:
    async with opened(settings) as database:
        await sample.seed(database)


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Keeps other runs off the folder. The lock goes with the process, so a killed run leaves none behind."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        file = (folder / "lock").open("a+")
    except OSError as error:
        raise DataFolderError(f"the data folder {folder} cannot be written: {error.strerror}") from error
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            raise DataFolderError(
                f"the data folder {folder} is in use by process {file.read()}; stop that, or run in another folder"
            ) from None
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield


def _announcement(settings: Settings, mongodb: MongoServer | None, valkey: ValkeyServer | None) -> str:
    host = "localhost" if settings.host in _ANY_ADDRESS else settings.host
    url = f"http://{host}:{settings.port}"
    lines = [f"\nMy List serves on {url}"]
    if settings.docs:
        lines.append(f"  Docs     {url}/docs")
    if mongodb:
        lines.append(f"  MongoDB  {mongodb.uri}  ({mongodb.name}, data in {_DATA})")
    if valkey:
        lines.append(f"  Redis    {valkey.uri}  ({valkey.name})")
    lines.append(_examples(url))
    if mongodb:
        lines.append(f'# Fill it, from another terminal\nMONGODB_URI={mongodb.uri} make seed ARGS="--users 1000"\n')
    return "\n".join([*lines, "Ctrl-C ends it all.\n\n"])


def _examples(url: str) -> str:
    base, user = f"{url}/api/mylist", f'-H "user-id: {sample.USER_ID}"'
    return f"""
# The list of the sample user
curl {base}/items {user}
curl "{base}/items?page=2&pageSize=10" {user}

# Add The Matrix, count, and remove it
curl -X POST {base}/add \\
  -H "Content-Type: application/json" \\
  {user} \\
  -d '{{"contentId": "{sample.MATRIX_ID}", "contentType": "movie"}}'
curl {base}/stats {user}
curl -X DELETE {base}/remove/{sample.MATRIX_ID} {user}

# The service
curl {url}/health
curl {url}/openapi.json
"""
