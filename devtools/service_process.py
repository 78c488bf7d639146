"""The service in a process of its own, started and stopped like in production."""

import os
import signal
import ssl
import subprocess
import sys
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from pathlib import Path
from urllib.parse import urlsplit

from devtools.http_client import Client, NotAnsweredError, NotSentError, request
from devtools.ports import free_port
from devtools.waiting import wait_until
from mylist.config.settings import explain

NO_TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
"""For `verify=` of httpx, which otherwise reads all authorities for each client and takes longer than many requests."""

_PROGRAM = ("-X", "faulthandler", "-m", "mylist")
_START_TIMEOUT_S = 60.0
_STOP_TIMEOUT_S = 60.0
_ANSWER_TIMEOUT_S = 5.0


class Service:
    """A `mylist serve` process with these settings; no other setting of the environment reaches it.

    `program` is what Python runs for `mylist`.
    """

    def __init__(self, folder: Path, settings: Mapping[str, str], *, program: Sequence[str] = _PROGRAM) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.log = folder / f"service-{self.port}.log"
        with self.log.open("wb") as log:
            own = {"HOST": "127.0.0.1", "PORT": str(self.port), "APP_ENV": "test", "SHUTDOWN_DELAY": "0"}
            # The folder holds no .env file.
            self.process = subprocess.Popen(
                self._command(program, own | dict(settings)),
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=folder,
                env=environment(own | dict(settings)),
            )

    def _command(self, program: Sequence[str], settings: Mapping[str, str]) -> list[str]:  # noqa: ARG002 - they are its environment
        return [sys.executable, *program, "serve"]

    def wait_until_ready(self) -> None:
        """Wait for `/readyz` to say so."""
        wait_until(self._is_ready, within=_START_TIMEOUT_S)

    def stop(self) -> None:
        """End it by SIGTERM; it must exit by itself, with status 0 and without a failure in its log."""
        self.process.send_signal(signal.SIGTERM)
        try:
            status = self.process.wait(_STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self.process.send_signal(signal.SIGABRT)  # it writes down where it is
            self.process.wait()
            raise AssertionError(f"not ended by SIGTERM\n{self.log.read_text(errors='replace')}") from None
        assert status == 0, f"exited with {status}\n{self.log.read_text()}"
        assert "traceback" not in self.log.read_text().lower(), self.log.read_text()

    def kill(self) -> None:
        """End it by SIGKILL."""
        self.process.kill()
        self.process.wait()

    def _is_ready(self) -> bool:
        assert self.process.poll() is None, f"exited with {self.process.poll()}\n{self.log.read_text()}"
        return answers(f"{self.url}/readyz")


class Container(Service):
    """The service as a container of an image, as an orchestrator would run it, on the network of this machine."""

    def __init__(self, image: str, folder: Path, settings: Mapping[str, str]) -> None:
        self._image = image
        super().__init__(folder, settings)

    def _command(self, program: Sequence[str], settings: Mapping[str, str]) -> list[str]:  # noqa: ARG002 - the image's own
        # In the foreground: it hands signals on, and ends with the status that the service ends with.
        restricted = ["--read-only", "--cap-drop", "ALL", "--security-opt", "no-new-privileges"]
        variables = [word for name, value in settings.items() for word in ("--env", f"{name}={value}")]
        return ["docker", "run", "--rm", "--network", "host", *restricted, *variables, self._image]


def answers(url: str) -> bool:
    """Return whether a GET is answered, and with success."""
    try:
        with Client(url, timeout_s=_ANSWER_TIMEOUT_S) as client:
            return client.ask(request("GET", urlsplit(url).path)).status == HTTPStatus.OK
    except (NotSentError, NotAnsweredError):
        return False


def environment(settings: Mapping[str, str]) -> dict[str, str]:
    """The environment of a process with these settings, and without the settings of the caller's environment."""
    # Without the variables of an outer make: the tests may run within one, which has options of its own.
    known = {setting.variable for setting in explain()} | {"MAKEFLAGS", "MAKEOVERRIDES", "MAKELEVEL", "MFLAGS", "ARGS"}
    return {name: value for name, value in os.environ.items() if name not in known} | dict(settings)
