"""The service does not start with handlers or middleware that a request would bypass."""

import re
from collections.abc import Callable
from typing import Any

import pytest
from sanic import HTTPResponse, Request, Sanic
from sanic.response import empty

from mylist.app import build_app, build_services
from mylist.config.settings import Settings
from mylist.http.dispatch import BypassedError, refuse_bypassed
from tests.integration.plain_sanic import plain_app, started

App = Sanic[Any, Any]


async def nothing(*_: object, **__: object) -> None:
    """Do nothing, as middleware or as the listener of a signal."""


async def handler(_: Request) -> HTTPResponse:
    return empty()


def synchronous(_: Request) -> HTTPResponse:
    return empty()


BYPASSED: dict[str, Callable[[App], object]] = {
    "middleware nothing": lambda app: app.on_request(nothing),
    "middleware nothing (of responses)": lambda app: app.register_middleware(nothing, "response"),
    "signal http.lifecycle.request": lambda app: app.signal("http.lifecycle.request")(nothing),
    "signal http.routing.before": lambda app: app.signal("http.routing.before")(nothing),
    "streaming to 'stream'": lambda app: app.post("/stream", stream=True)(handler),
    "web socket of 'socket'": lambda app: app.websocket("/socket")(nothing),
    "handler of 'handler', which is not a coroutine": lambda app: app.get("/handler")(synchronous),
    "host of 'host'": lambda app: app.get("/host", host="localhost")(handler),
}


@pytest.mark.parametrize("name", BYPASSED)
def test_a_handler_or_middleware_that_would_never_run_is_refused(name: str) -> None:
    app = plain_app()
    refuse_bypassed(app)
    BYPASSED[name](app)

    with pytest.raises(BypassedError, match=re.escape(name.removesuffix(" (of responses)"))):
        refuse_bypassed(app)


def test_listeners_and_other_signals_are_accepted() -> None:
    app = plain_app()
    app.before_server_start(nothing)
    app.signal("mylist.list.changed")(nothing)

    refuse_bypassed(app)


async def test_the_service_does_not_start_with_middleware() -> None:
    services = build_services(Settings())
    app = build_app(services)
    app.on_request(nothing)

    with pytest.raises(BypassedError, match="middleware nothing"):
        await started(app)

    await services.cache.close()
    await services.database.close()
    Sanic.unregister_app(app)
