"""The declaration of a route, next to its handler.

The router, the dispatch of requests (`mylist.http.dispatch`: user, limits, parsing of query and body), the OpenAPI
document, the table of routes in docs/api.md, the Postman collection and the labels of the metrics all use it.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import msgspec

from mylist.http.dispatch import Endpoint, Handler
from mylist.http.request import ApiRequest
from mylist.telemetry.answered_request import RouteLabels, route_template

Kind = Literal["read", "write", "import", "other"]
"""The kind of a route: it reads a list, changes a list, imports, or does none of these."""
JSON = "application/json"
JSON_LINES = "application/x-ndjson"


@dataclass(frozen=True, slots=True)
class Answer:
    """One successful answer.

    Attributes:
        body: the struct of the body, or several structs if the body may be one of them; None without a body.
        headers: OpenAPI's header objects, by name.
        content_type: media type of the body.
        example: example of the body; empty if the struct has examples or needs none.
        others: other media types of the body, as OpenAPI's media type objects.
    """

    body: type[msgspec.Struct] | tuple[type[msgspec.Struct], ...] | None = None
    headers: Mapping[str, Any] = field(default_factory=dict)
    content_type: str = JSON
    example: str = ""
    others: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Body:
    """The body of a request.

    Attributes:
        struct: describes the body in the OpenAPI document.
        parse: decodes the body, given its bytes and media type; None if the handler reads the body itself.
        media_types: the accepted media types, the usual one first.
        example: example of the body; empty if the struct has examples.
        others: other accepted media types, as OpenAPI's media type objects.
    """

    struct: type[msgspec.Struct]
    parse: Callable[[bytes, str], Any] | None = None
    media_types: Sequence[str] = (JSON,)
    example: str = ""
    others: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """One method of one path.

    Attributes:
        method: HTTP method; GET is answered for HEAD as well.
        path: in Sanic's notation.
        operation: the operation's id in the OpenAPI document. A GET's id begins with `get`, which becomes `head` for
            HEAD.
        summary: one line for the documentation.
        kind: what the route does.
        handler: called with the request, then the user id, the parsed query and the parsed body, if the route has them.
            Path parameters are keyword arguments.
        answers: the successful answers, by status.
        errors: the statuses of its errors, in addition to those of every route.
        parameters: OpenAPI's parameter objects.
        query: parses the query string of the request; None without parameters.
        body: the body; None for a route without one.
        has_user: whether the request must name a user.
    """

    method: str
    path: str
    operation: str
    summary: str
    kind: Kind
    handler: Handler
    answers: Mapping[int, Answer]
    errors: Sequence[int] = ()
    parameters: Sequence[Mapping[str, Any]] = ()
    query: Callable[[ApiRequest], Any] | None = None
    body: Body | None = None
    has_user: bool = True

    @property
    def methods(self) -> list[str]:
        """The HTTP methods that the route answers."""
        return ["GET", "HEAD"] if self.method == "GET" else [self.method]

    @property
    def endpoint(self) -> Endpoint:
        """The data that dispatch needs about the route."""
        return Endpoint(
            handler=self.handler,
            labels=RouteLabels(route_template(self.path), self.kind),
            has_user=self.has_user,
            is_import=self.kind == "import",
            parse_query=self.query,
            parse_body=self.body.parse if self.body else None,
            media_types=frozenset((*self.body.media_types, *self.body.others) if self.body else ()),
        )


class RouteTable:
    """The routes of one module, declared by decorators."""

    def __init__(self) -> None:
        self.routes: list[Route] = []

    def __call__(self, method: str, path: str, **declaration: Any) -> Callable[[Handler], Handler]:  # noqa: ANN401 - as `Route`
        """Declare the route of a handler. The arguments are the attributes of `Route`."""

        def declare(handler: Handler) -> Handler:
            self.routes.append(Route(method=method, path=path, handler=handler, **declaration))
            return handler

        return declare
