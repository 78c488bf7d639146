"""`mylist dev`: the service, its stores and the sample data in one command.

It starts an embedded server for each store that the settings do not name, with its data in `.data`, adds the sample,
and runs the service in this process. Ctrl-C or SIGTERM ends everything, at any time.
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
from mylist.auth.development_token import LIFETIME_S, development_token
from mylist.config.settings import Settings, explain
from mylist.devserver.embedded_servers import (
    MongoServer,
    ServerStartError,
    StartAbandonedError,
    ValkeyServer,
    running,
)
from mylist.mongodb.database import DEFAULT_DATABASE
from mylist.seeding import sample
from mylist.seeding.open_database import DatabaseError, open_database_to_seed

_DATA_FOLDER = Path(".data")
_EMBEDDED_MONGODB_TIMEOUT_S = 5.0
"""The embedded server takes two seconds to clear a list of 5,000 items."""
_ANY_ADDRESS = {"0.0.0.0", "::"}  # noqa: S104 - for a comparison; nothing listens on them


class DataFolderError(Exception):
    """The data folder cannot be used; the message is one line."""


def run() -> None:
    """Run everything until SIGINT or SIGTERM, then end every process that it started.

    Raises:
        InvalidSettingError: a setting is invalid.
        DataFolderError: another run uses the data folder, the folder cannot be written, or its content is damaged.
        PortTakenError, StartupError: as `mylist.server.run`.
        ServerMissingError, ServerStartError: as `mylist.devserver.embedded_servers.running`.
        DatabaseError: as `mylist.seeding.open_database.open_database`.
    """
    settings = Settings.from_environment()
    configured = {each.variable for each in explain() if each.source != "default"}
    if "SHUTDOWN_DELAY" not in configured:
        settings = replace(settings, shutdown_delay=0.0)
    mongodb = None if "MONGODB_URI" in configured else MongoServer(_DATA_FOLDER / "mongodb")
    valkey = None if configured & {"REDIS_HOST", "REDIS_URL"} else ValkeyServer(_DATA_FOLDER / "valkey")
    signals = _StopSignals()
    with _locked(_DATA_FOLDER), suppress(StartAbandonedError), _remedies(mongodb):
        server.check_port(settings)
        with running(*filter(None, (mongodb, valkey)), abandon=signals.received):
            if mongodb:
                uri = mongodb.database(DEFAULT_DATABASE)
                settings = replace(settings, mongodb_uri=uri, mongodb_user="", mongodb_password="")
                if "MONGODB_TIMEOUT" not in configured:
                    settings = replace(settings, mongodb_timeout=_EMBEDDED_MONGODB_TIMEOUT_S)
            if valkey:
                settings = replace(settings, redis_url=valkey.uri, redis_password="")
            asyncio.run(_seed(settings))
            if not signals.received():
                _serve(settings, signals, _announcement(settings, mongodb, valkey))


class _StopSignals:
    """Records SIGINT and SIGTERM until the service handles them itself.

    The handlers raise no exception: within an import or an event loop it could be swallowed, or leave work half done.
    """

    def __init__(self) -> None:
        self._received = False
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._record)

    def _record(self, *_: object) -> None:
        self._received = True

    def received(self) -> bool:
        """Return whether one of the signals was received."""
        return self._received

    def ignore(self) -> None:
        """Ignore further signals, which must not interrupt the shutdown."""
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_IGN)


def _serve(settings: Settings, signals: _StopSignals, announcement: str) -> None:
    def announce() -> None:
        if signals.received():  # before the service began to handle them
            os.kill(os.getpid(), signal.SIGTERM)
            return
        sys.stdout.write(announcement)
        sys.stdout.flush()

    try:
        server.run(settings, announce=announce)
    finally:
        signals.ignore()


async def _seed(settings: Settings) -> None:
    async with open_database_to_seed(settings) as database:
        await sample.seed(database, settings)


@contextmanager
def _remedies(mongodb: MongoServer | None) -> Iterator[None]:
    """Say what to do where a start fails because the embedded MongoDB does, or one that was named instead."""
    try:
        yield
    except ServerStartError as error:
        if mongodb and mongodb.log.exists() and mongodb.finds_damage():
            raise DataFolderError(_damaged(mongodb)) from error
        raise
    except DatabaseError as error:
        if mongodb is None:
            raise DatabaseError(
                f"{error}; or remove MONGODB_URI, also from .env: then `mylist dev` starts its own"
            ) from error
        if mongodb.finds_damage():
            raise DataFolderError(_damaged(mongodb)) from error
        raise DatabaseError(f"{error}; see the log {mongodb.log}") from error


def _damaged(mongodb: MongoServer) -> str:
    folder = _DATA_FOLDER / "mongodb"
    return (
        f"the data in {folder} are damaged ({mongodb.last_words()}); move them away (mv {folder} {folder}.damaged) and "
        "start again, which adds the sample"
    )


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Lock the folder against other runs. The lock ends with the process, even if it is killed."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        file = (folder / "lock").open("a+")
    except OSError as error:
        raise DataFolderError(
            f"the data folder {folder} cannot be written: {error.strerror}; make it a folder that you may write, or "
            "run in another one"
        ) from error
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
        lines.append(f"  MongoDB  {mongodb.uri}  ({mongodb.name}, data in {_DATA_FOLDER})")
    if valkey:
        lines.append(f"  Redis    {valkey.uri}  ({valkey.name})")
    lines.append(_examples(url, settings))
    if mongodb:
        lines.append(_seeding(mongodb, valkey))
    return "\n".join([*lines, "Ctrl-C stops everything.\n\n"])


def _seeding(mongodb: MongoServer, valkey: ValkeyServer | None) -> str:
    stores = f"MONGODB_URI={mongodb.uri}" + (f" REDIS_URL={valkey.uri}" if valkey else "")
    return f"""# From another terminal: restore removed items of the sample, or add a load-test data set
{stores} make seed ARGS=--reset
{stores} make seed ARGS="--users 1000"
"""


def _examples(url: str, settings: Settings) -> str:
    base, (prepared, user) = f"{url}/api/mylist", _identity(settings)
    return f"""{prepared}
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


def _identity(settings: Settings) -> tuple[str, str]:
    """Return the command to type first, and the curl option that then identifies the sample user."""
    if settings.auth_mode == "header":
        return "", f'-H "user-id: {sample.USER_ID}"'
    about, token = "# A token of your identity provider, which names the owner of the list", "..."
    if settings.jwt_secret and not settings.jwt_profile_claim:  # the sample user is not a profile
        hours = LIFETIME_S // 3600
        about = f"# A token of the sample user, good for {hours} hours; `mylist token --user ID` makes others"
        token = development_token(settings, sample.USER_ID)
    return f"\n{about}\ntoken={token}\n", '-H "Authorization: Bearer $token"'
