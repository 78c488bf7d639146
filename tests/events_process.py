"""`mylist events` as a process, and its lines."""

import json
import signal
import subprocess
import sys
import threading
import time
from io import BytesIO
from typing import IO, Any

from devtools.service_process import environment

PATIENCE_S = 30.0


class Events:
    """A `mylist events` process.

    Args:
        uri: of MongoDB.
        arguments: of the command.
        reads: whether it reads the lines as they come; else the test reads `pipe`.
        stdout: where they go instead.

    Attributes:
        pipe: its standard output.
        lines: lines that the test has not taken yet.
    """

    def __init__(self, uri: str, *arguments: str, reads: bool = True, stdout: IO[bytes] | None = None) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "mylist", "events", *arguments],
            stdout=stdout or subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=environment({"MONGODB_URI": uri, "MONGODB_TIMEOUT": "5", "HOST": "127.0.0.1", "LOG_LEVEL": "info"}),
        )
        assert self.process.stderr is not None
        self.pipe: IO[bytes] = self.process.stdout or BytesIO()
        self.lines: list[dict[str, Any]] = []
        self._error = self.process.stderr
        self._log: list[str] = []
        self._threads = [threading.Thread(target=self._read_log)]
        if reads and stdout is None:
            self._threads.append(threading.Thread(target=self._read_lines))
        for thread in self._threads:
            thread.start()

    @property
    def log(self) -> str:
        """Its standard error so far."""
        return "".join(self._log)

    def until_log(self, words: str) -> None:
        """Wait for these words in its log."""
        deadline = time.monotonic() + PATIENCE_S
        while words not in self.log and self.process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.01)
        assert words in self.log, self.log

    def take(self, count: int) -> list[dict[str, Any]]:
        """Wait for so many lines, and take them away."""
        deadline = time.monotonic() + PATIENCE_S
        while len(self.lines) < count and self.process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.01)
        assert len(self.lines) >= count, (self.lines, self.log)
        taken, self.lines[:count] = self.lines[:count], []
        return taken

    def end(self, number: int | None = signal.SIGTERM) -> int:
        """End it by a signal, or by itself for None; return the exit status."""
        if number is not None and self.process.poll() is None:
            self.process.send_signal(number)
        status = self.process.wait(PATIENCE_S)
        for thread in self._threads:
            thread.join()
        self._error.close()
        self.pipe.close()
        assert "traceback" not in self.log.lower(), self.log
        return status

    def _read_lines(self) -> None:
        for line in self.pipe:
            self.lines.append(json.loads(line))

    def _read_log(self) -> None:
        for line in self._error:
            self._log.append(line.decode())
