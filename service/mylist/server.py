"""Serves the application in this process until SIGINT or SIGTERM."""

import os
import socket
from collections.abc import Callable

from sanic import Sanic

from mylist import logs
from mylist.api.protocol import HttpConnection
from mylist.app import create_app
from mylist.settings import Settings

# Connections that may wait to be accepted; a burst of app starts must not be refused.
_BACKLOG = 2048


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
        raise PortTakenError(
            f"cannot listen on port {settings.port} of {settings.host}: {error.strerror}; "
            f"choose another, as in PORT={settings.port + 1 if settings.port < 65535 else 3000}"  # noqa: PLR2004 - the last port
        ) from None


def run(settings: Settings, *, announce: Callable[[], None] = lambda: None) -> None:
    """Serves until SIGINT or SIGTERM, then drains; `announce` is called once the service is ready.

    Raises:
        PortTakenError: the port is not free.
        StartupError: the service cannot start.
    """
    logs.configure(settings)
    check_port(settings)
    os.environ.setdefault("SANIC_IGNORE_PRODUCTION_WARNING", "true")  # Sanic's hint at its own development mode
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
