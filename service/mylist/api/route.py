"""The declaration of a route: made once, beside its handler.

It feeds the router, the way of a request (`mylist.http.dispatch`: which user, which limit, how query and body are
parsed), the OpenAPI document, the table of routes in docs/api.md, the Postman collection and the labels of the metrics.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import msgspec

from mylist.http.dispatch import Endpoint, Handler
from mylist.http.request import ApiRequest
from mylist.telemetry.answered_request import RouteLabels, route_template

Kind = Literal["read", "write", "import", "other"]
"""What a route does: reads a list, changes a list, imports, or none of these."""
JSON = "application/json"
JSON_LINES = "application/x-ndjson"


@dataclass(frozen=True, slots=True)
class Answer:
    """One successful answer.

    Attributes:
        body: the struct of the body, several that it may be, or None for an answer without a body.
        headers: OpenAPI's header objects, by name.
        content_type: of the body.
        example: of the body; empty where the struct has examples, or needs none.
        others: other media types that the body may have, by OpenAPI's media type objects.
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
        struct: what the OpenAPI document says of it.
        parse: decodes it, given the bytes and the media type; None where the handler reads the body by itself.
        media_types: those that the body may have, the usual one first.
        example: of the body; empty where the struct has examples.
        others: other media types that it may have, by OpenAPI's media type objects.
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
        operation: the operation's id in the OpenAPI document; a GET's begins with `get`, which becomes `head` for HEAD.
        summary: one line.
        kind: what it does.
        handler: called with the request, then the user id, the parsed query and the parsed body, as far as the route
            has them; parameters of the path are keyword arguments.
        answers: the successful answers by status.
        errors: the statuses of the errors, beside those that every route has.
        parameters: OpenAPI's parameter objects.
        query: parses the query string, given the request; None where there is nothing to parse.
        body: the body; None for a route without one.
        has_user: whether the request is a user's.
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
        """The HTTP methods that it answers."""
        return ["GET", "HEAD"] if self.method == "GET" else [self.method]

    @property
    def endpoint(self) -> Endpoint:
        """What the way of a request has to know of the route."""
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
    """The routes of one module; its decorators declare them."""

    def __init__(self) -> None:
        self.routes: list[Route] = []

    def __call__(self, method: str, path: str, **declaration: Any) -> Callable[[Handler], Handler]:  # noqa: ANN401 - as `Route`
        """Declare the route of a handler; see `Route`."""

        def declare(handler: Handler) -> Handler:
            self.routes.append(Route(method=method, path=path, handler=handler, **declaration))
            return handler

        return declare
