"""Serves the application in this process until SIGINT or SIGTERM."""

import errno
import os
import signal
import socket
from collections.abc import Callable

from sanic import Sanic

from mylist import logs, tracing
from mylist.api.protocol import HttpConnection
from mylist.app import create_app
from mylist.settings import Settings
from mylist.store import connection
from mylist.store.connection import StoreRefusedError

# Connections that may wait to be accepted; a burst of app starts must not be refused.
_BACKLOG = 2048
_FIRST_USUAL_PORT = 3000
_LAST_PORT = 65535


class PortTakenError(Exception):
    """The port cannot be listened on; the message says which, and how to choose another."""


class StartupError(Exception):
    """The service cannot start, and trying again would not help; the message is one line."""


def check_port(settings: Settings) -> None:
    """Makes sure that the port is free.

    Raises:
        PortTakenError: it is not.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            settings.host, settings.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
            probe.listen(1)
    except OSError as error:
        another = settings.port + 1 if settings.port < _LAST_PORT else _FIRST_USUAL_PORT
        of_port = error.errno in {errno.EADDRINUSE, errno.EACCES}
        remedy = f"choose another, as in PORT={another}" if of_port else "HOST may be an address of this machine"
        raise PortTakenError(
            f"cannot listen on port {settings.port} of {settings.host}: {error.strerror}; {remedy}"
        ) from None


def _check_mongodb_uri(settings: Settings) -> None:
    # The service makes its client when there is a server already, whose start a bad string would break in the middle.
    try:
        connection.connect(settings)
    except StoreRefusedError as error:
        raise StartupError(str(error)) from None


def run(settings: Settings, *, announce: Callable[[], None] = lambda: None) -> None:
    """Serves until SIGINT or SIGTERM, then drains; `announce` is called once the service is ready.

    Raises:
        PortTakenError: the port is not free.
        StartupError: the service cannot start.
    """
    logs.configure(settings)
    signal.signal(signal.SIGUSR1, signal.SIG_IGN)  # until the service listens to it
    _check_mongodb_uri(settings)
    check_port(settings)
    os.environ.setdefault("SANIC_IGNORE_PRODUCTION_WARNING", "true")  # Sanic's hint at its own development mode
    try:
        tracing.start()
    except tracing.TracingError as error:
        raise StartupError(str(error)) from None
    app = create_app(settings, announce=announce)
    app.prepare(
        host=settings.host,
        port=settings.port,
        protocol=HttpConnection,
        single_process=True,
        backlog=_BACKLOG,
        motd=False,
    )
    Sanic.serve_single(app)
    if app.ctx.failure:
        raise StartupError(app.ctx.failure)
