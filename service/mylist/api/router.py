"""All routes, and their registration in the application's router."""

from collections.abc import Sequence
from typing import Any

from sanic import HTTPResponse, Sanic

from mylist.api.openapi import document
from mylist.api.route import Route
from mylist.api.routes import changes, docs, health, items, limits, metrics, whole_list
from mylist.http.dispatch import Endpoint, Handler
from mylist.http.request import ApiRequest
from mylist.http.responses import json_response
from mylist.telemetry.answered_request import RouteLabels, route_template

ROUTES: Sequence[Route] = (
    *items.route.routes,
    *changes.route.routes,
    *whole_list.route.routes,
    *limits.route.routes,
    *health.route.routes,
)
"""Every route of the API, in the order of the OpenAPI document."""


def register_routes(app: Sanic[Any, Any], *, auth_mode: str, with_docs: bool) -> None:
    """Register all routes of the API, and the routes for tools: metrics, OpenAPI and the documentation."""
    for route in ROUTES:
        _add(
            app,
            route.endpoint,
            route.path,
            route.methods,
            name=route.operation,
        )
    _add_tool(app, metrics.expose, "/metrics")
    _add_tool(app, _openapi(document(ROUTES, auth_mode)), "/openapi.json")
    if with_docs:
        pages = docs.handlers()
        for path, handler in pages.items():
            # The path of a file has no trailing slash; the path of the page may have one.
            _add_tool(app, handler, path, strict_slashes=path != "/docs")
        if pages:
            _add_tool(app, docs.lead_there, "/")


def _openapi(body: bytes) -> Handler:
    async def openapi(request: ApiRequest) -> HTTPResponse:
        return json_response(request, body)

    return openapi


def _add_tool(
    app: Sanic[Any, Any],
    handler: Handler,
    path: str,
    *,
    strict_slashes: bool = False,
) -> None:
    name = path.strip("/").replace("/", "-").replace(".", "-") or "root"
    endpoint = Endpoint(handler=handler, labels=RouteLabels(route_template(path), "other"))
    _add(app, endpoint, path, ("GET", "HEAD"), name=name, strict_slashes=strict_slashes)


def _add(  # noqa: PLR0913 - private, one line per part of a route
    app: Sanic[Any, Any],
    endpoint: Endpoint,
    path: str,
    methods: Sequence[str],
    *,
    name: str,
    strict_slashes: bool = False,
) -> None:
    app.route(
        path,
        methods=list(methods),
        name=name,
        unquote=True,
        strict_slashes=strict_slashes,
        ctx_endpoint=endpoint,
    )(endpoint.handler)
