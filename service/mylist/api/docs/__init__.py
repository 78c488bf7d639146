"""The documentation for a browser: `/docs`, Swagger UI on the document at `/openapi.json`.

Swagger UI comes with a package that was made for MkDocs; nothing but its static files is used.
"""

from collections.abc import Callable, Coroutine
from importlib.resources import files
from typing import Any

from sanic import Blueprint, HTTPResponse

from mylist.api.request import ApiRequest
from mylist.api.responses import File, file_response

_JAVASCRIPT = "text/javascript; charset=utf-8"


def blueprint() -> Blueprint:
    """Makes the routes of the page and of each file that it needs, all of them read now."""
    ours, swagger_ui = files(__name__), files("mkdocs_swagger_ui_tag") / "swagger-ui"
    javascript = swagger_ui / "javascripts" / "swagger-ui-bundle.js"
    style_sheet = swagger_ui / "stylesheets" / "swagger-ui.css"
    routes = {
        "/docs": File((ours / "page.html").read_bytes(), "text/html; charset=utf-8"),
        "/docs/start.js": File((ours / "start.js").read_bytes(), _JAVASCRIPT),
        "/docs/swagger-ui-bundle.js": File(javascript.read_bytes(), _JAVASCRIPT),
        "/docs/swagger-ui.css": File(style_sheet.read_bytes(), "text/css; charset=utf-8"),
    }
    made = Blueprint("docs", strict_slashes=True)  # the page's links are relative to /docs, not to /docs/
    for path, file in routes.items():
        made.add_route(_handler(file), path, methods=["GET", "HEAD"], name=path.rpartition("/")[2].replace(".", "-"))
    return made


def _handler(file: File) -> Callable[[ApiRequest], Coroutine[Any, Any, HTTPResponse]]:
    async def give(request: ApiRequest) -> HTTPResponse:
        return file_response(request, file)

    return give
