"""Serves the application in this process: checks the port, and runs Sanic until SIGINT or SIGTERM."""

import errno
import logging
import os
import signal
import socket
from collections.abc import Callable
from contextlib import suppress

from sanic import Sanic

from mylist.app import build_app, build_services
from mylist.config.settings import Settings, doubts
from mylist.http.dispatch import HttpConnection
from mylist.http.request import current_request_id
from mylist.lifecycle import Lifecycle
from mylist.mongodb.database import MongoRefusedError
from mylist.telemetry import logging_config, tracing
from mylist.telemetry.tracing_settings import TracingError

_MAX_BACKLOG = 2048
"""Connections that may wait to be accepted: enough for many apps that start at once."""
_DEFAULT_PORT = 3000
_MAX_PORT = 65535
_OTHER_HOST = "HOST must be an address of this machine"

_logger = logging.getLogger(__name__)


class PortTakenError(Exception):
    """The service cannot listen on the port; the message names the port and the remedy."""


class StartupError(Exception):
    """The service cannot start, and a retry would not help; the message is one line."""


def check_port(settings: Settings) -> None:
    """Raise an error if the service cannot listen on its port.

    Raises:
        PortTakenError: the port is in use or not allowed, or the host is not an address of this machine.
    """
    try:
        _listen_once(settings.host, settings.port)
    except OSError as error:
        of_port = error.errno in {errno.EADDRINUSE, errno.EACCES}
        remedy = f"choose another, as in PORT={_other_port(settings)}" if of_port else _OTHER_HOST
        raise PortTakenError(
            f"cannot listen on port {settings.port} of {settings.host}: {error.strerror}; {remedy}"
        ) from None


def _listen_once(host: str, port: int) -> None:
    family, kind, protocol, _, address = socket.getaddrinfo(
        host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )[0]
    with socket.socket(family, kind, protocol) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind(address)
        probe.listen(1)


def _other_port(settings: Settings) -> int:
    """Return a port on which the service can listen; the default one if none of those after its own is."""
    for port in range(max(settings.port, _DEFAULT_PORT - 1) + 1, _MAX_PORT + 1):
        with suppress(OSError):
            _listen_once(settings.host, port)
            return port
    return _DEFAULT_PORT


def run(settings: Settings, *, announce: Callable[[], None] = lambda: None) -> None:
    """Serve until SIGINT or SIGTERM, then drain.

    Args:
        settings: the settings.
        announce: called once the service is ready.

    Raises:
        PortTakenError: as `check_port`.
        StartupError: the service cannot start.
        InvalidSettingError: `.env` can no longer be read.
    """
    logging_config.configure(settings, current_request_id)
    for doubt in doubts():
        _logger.warning("%s", doubt)
    signal.signal(signal.SIGUSR1, signal.SIG_IGN)  # until the service handles it
    check_port(settings)
    os.environ.setdefault("SANIC_IGNORE_PRODUCTION_WARNING", "true")  # Sanic's hint about its development mode
    try:
        tracing.start()
    except TracingError as error:
        raise StartupError(str(error)) from None
    try:
        services = build_services(settings)
    except MongoRefusedError as error:
        raise StartupError(str(error)) from None
    app = build_app(services)
    Lifecycle(app, announce)
    app.prepare(
        host=settings.host,
        port=settings.port,
        protocol=HttpConnection,
        single_process=True,
        backlog=_MAX_BACKLOG,
        motd=False,
    )
    Sanic.serve_single(app)
    if services.state.failure:
        raise StartupError(services.state.failure)
