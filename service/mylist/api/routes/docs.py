"""The documentation page `/docs`: Swagger UI for the document at `/openapi.json`.

Swagger UI's files come from a package that was made for Flask. It is installed without Flask, so it is never imported.
"""

import logging
from collections.abc import Mapping
from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path

from sanic import HTTPResponse

from mylist.http.dispatch import Handler
from mylist.http.request import ApiRequest
from mylist.http.responses import File, file_response, json_response

_HTML = "text/html; charset=utf-8"
_JAVASCRIPT = "text/javascript; charset=utf-8"

_LINKS = b'{"docs":"docs","openapi":"openapi.json","health":"health"}'
"""Relative, like the redirect: a gateway may serve everything below a path of its own."""

_logger = logging.getLogger(__name__)


def handlers() -> Mapping[str, Handler]:
    """Read the files now, and return the handlers of the page and of each file, by path.

    If Swagger UI's files are not installed, return none and log it.
    """
    ours, swagger_ui = files("mylist.api") / "docs_page", _swagger_ui()
    if swagger_ui is None:
        _logger.warning("DOCS is true, but /docs is not served: Swagger UI's files are not installed (locks/docs.txt)")
        return {}
    page = (ours / "page.html").read_bytes()
    below = page.replace(b'"docs/', b'"')  # the links are relative, and /docs/ is one level deeper
    others = {
        "/docs/start.js": File((ours / "start.js").read_bytes(), _JAVASCRIPT),
        "/docs/swagger-ui-bundle.js": File((swagger_ui / "swagger-ui-bundle.js").read_bytes(), _JAVASCRIPT),
        "/docs/swagger-ui.css": File((swagger_ui / "swagger-ui.css").read_bytes(), "text/css; charset=utf-8"),
    }
    return {"/docs": _handler(File(page, _HTML), File(below, _HTML))} | {
        path: _handler(file) for path, file in others.items()
    }


async def lead_there(request: ApiRequest) -> HTTPResponse:
    """Redirect `/` to the page; the body has links for clients that follow no redirect."""
    return json_response(request, _LINKS, status=307, headers={"location": "docs"})


def _swagger_ui() -> Path | None:
    package = find_spec("flask_swagger_ui")
    folders = (Path(each, "dist") for each in (package and package.submodule_search_locations) or ())
    return next((folder for folder in folders if folder.is_dir()), None)


def _handler(file: File, with_slash: File | None = None) -> Handler:
    """Return a handler that serves a file, or a second file if the path has a trailing slash."""

    async def give(request: ApiRequest) -> HTTPResponse:
        return file_response(request, with_slash if with_slash and request.path.endswith("/") else file)

    return give
