"""The Postman collection, made from the declarations of the routes.

Every route gets a request whose method, URL, headers, body and expected status follow from its declaration, with the
examples of its parameters and its struct. `_REQUESTS` has what the declarations do not know. A route that is not in
that table gets one plain request at the end of the collection.

The collection can be run any number of times, even after an aborted run. It has a user of its own, first removes the
titles that it will add, and leaves the list empty.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from mylist.api import openapi
from mylist.api.route import Route
from mylist.api.router import ROUTES

Json = dict[str, Any]

VARIABLES = {
    "baseUrl": "http://localhost:3000",
    "userId": "postman-collection",
    "movieId": "507f1f77bcf86cd799439012",
    "contentId": "507f1f77bcf86cd799439012",
}
"""The collection's variables. The movie is part of the sample data; the list of the user is the collection's alone."""

_MOVIE = {"contentId": "{{movieId}}", "contentType": "movie"}
_SHOW = {"contentId": "507f1f77bcf86cd7994390a1", "contentType": "tvshow"}
_NO_TITLE = "f" * 24
_TAKES_EXTERNAL_IDS = "In place of a contentId, an external id does as well, such as imdb:tt0133093 or movie:tmdb:603."
_SCHEMA = "https://schema.getpostman.com/json/collection/v2.1.0/collection.json"
_EMPTY: Json = {"string": "", "integer": 0, "number": 0, "boolean": False, "array": [], "object": {}}


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One request of a route.

    Attributes:
        operation: the operation of the route.
        name: as Postman lists it.
        description: the text beside the request in Postman; the route's summary by default.
        status_test: the name of the test of the status.
        script: lines of JavaScript that follow that test.
        status: the expected status; by default, the first success status that the route declares.
        query: the query string; by default, the parameters that have a default or are required.
        body: the body; by default, the examples of the struct.
    """

    operation: str
    name: str
    description: str = ""
    status_test: str = "is answered"
    script: Sequence[str] = ()
    status: int | None = None
    query: Mapping[str, str] | None = None
    body: str | None = None


@dataclass(frozen=True, slots=True)
class _Operation:
    """The data of a request that its declaration implies."""

    method: str
    path: str
    statuses: Sequence[int]
    summary: str
    has_user: bool = False
    query: Mapping[str, str] | None = None
    content_type: str = ""
    body: str = ""


def _test(name: str, expression: str) -> str:
    return f"pm.test({json.dumps(name)}, () => {expression});"


def _equals(field: str, expected: str) -> str:
    return f"pm.expect(pm.response.json().{field}).to.equal({expected})"


_REQUESTS: Sequence[Request] = (
    Request(
        operation="getHealth",
        name="Health Check",
        description="Check that the API answers.",
        status_test="answers",
        script=[_test("is ok", _equals("status", '"ok"'))],
    ),
    Request(
        operation="discardItem",
        name="Discard Item",
        description=(
            "204 whether it was there or not: safe to repeat. "
            "So the collection can be run after a run that was cut off."
        ),
        status_test="is not on the list",
    ),
    Request(
        operation="addItem",
        name="Add Movie to List",
        description="201; 409 when it is on the list already.",
        status_test="is added",
        script=[_test("gives the new item", _equals("data.contentId", 'pm.collectionVariables.get("movieId")'))],
    ),
    Request(
        operation="getItems",
        name="Get My List Items",
        description="One page of the list, newest first, each item with its movie or show.",
        status_test="answers",
        script=[
            _test(
                "has the new item first",
                _equals("data.items[0].contentId", 'pm.collectionVariables.get("movieId")'),
            )
        ],
    ),
    Request(
        operation="getItems",
        name="Get Movies by Title",
        description=(
            "The movies of the list, by title; `genre`, `order` and `view=ids` go with it, and `Link` leads on."
        ),
        status_test="answers",
        query={"type": "movie", "sort": "title", "pageSize": "20"},
        script=[
            _test(
                "has movies only",
                'pm.response.json().data.items.forEach((item) => pm.expect(item.contentType).to.equal("movie"))',
            )
        ],
    ),
    Request(
        operation="getItems",
        name="Search My List",
        description=(
            "What has these words in its title; `genre`, `notGenre`, `addedAfter`, `addedBefore` and `available` go "
            "with it."
        ),
        status_test="answers",
        query={"q": "matr", "view": "ids"},
        script=[
            _test(
                "finds the movie",
                _equals("data.items[0].contentId", 'pm.collectionVariables.get("movieId")'),
            )
        ],
    ),
    Request(
        operation="getItems",
        name="Shuffle My List",
        description="Another order for each `seed`. Without one, the service chooses it, and `Link` has it.",
        status_test="answers",
        query={"sort": "random", "seed": "today"},
    ),
    Request(
        operation="getStats",
        name="Get List Stats",
        description="How many items the list has, in all and by type.",
        status_test="answers",
        script=[
            _test(
                "counts both types",
                "{ const data = pm.response.json().data; "
                "pm.expect(data.byType.movie + data.byType.tvshow).to.equal(data.total); }",
            )
        ],
    ),
    Request(
        operation="removeItem",
        name="Remove from List",
        description="200; 404 when it is not on the list.",
        status_test="is removed",
        script=[_test("says so", _equals("message", '"Item removed from your list"'))],
    ),
    Request(
        operation="putItem",
        name="Put Item",
        description="201 when it was put there, 200 with the same body when it was there already: safe to repeat.",
        status_test="is put on the list",
        status=201,
        script=[_test("gives its entry", _equals("data.contentId", 'pm.collectionVariables.get("contentId")'))],
    ),
    Request(
        operation="containsItems",
        name="Contains",
        description="Whether each of up to 100 movies and shows is on the list.",
        body=json.dumps({"contentIds": ["{{movieId}}", _NO_TITLE]}),
        script=[
            _test(
                "in the order of the question",
                "pm.expect(pm.response.json().data.contains).to.eql([true, false])",
            )
        ],
    ),
    Request(
        operation="changeItems",
        name="Batch",
        description=(
            "Adds and removes up to 100 movies and shows at once, removals first; returns an outcome for each id."
        ),
        status_test="is done",
        body=json.dumps({"add": [_MOVIE], "remove": [_NO_TITLE]}),
        script=[_test("returns an outcome for each", _equals("data.remove[0].outcome", '"missing"'))],
    ),
    Request(
        operation="importItems",
        name="Import List",
        description="Puts the items of an export on the list, a line each; mode=replace makes them the list.",
        body=f"{json.dumps(_MOVIE)}\n{json.dumps(_SHOW)}\n",
    ),
    Request(
        operation="getItems",
        name="Walk My List by Cursor",
        description=(
            "The first items of the list; `nextCursor` is the `cursor` of the next request, and null at the end."
        ),
        status_test="answers",
        query={"cursor": "", "pageSize": "1"},
        script=[
            _test("tells where to go on", 'pm.expect(pm.response.json().data.nextCursor).to.be.a("string")'),
        ],
    ),
    Request(
        operation="getChanges",
        name="Changes",
        description=(
            "What was added to the list and removed from it since a token was given out, oldest first; "
            "ask with since={{syncToken}} next."
        ),
        query={"limit": "100"},
        script=['pm.collectionVariables.set("syncToken", pm.response.json().data.token);'],
    ),
    Request(operation="getExport", name="Export List", description="The whole list as JSON Lines, newest first."),
    Request(
        operation="clearItems",
        name="Clear List",
        description=(
            "Removes everything from the list; it has to be confirmed, or sent with If-Match. The list is that of "
            "`userId`: it is empty before the collection is run, and again here."
        ),
        query={"confirm": "true"},
        script=[_test("the list is empty", 'pm.expect(pm.response.json().data.removed).to.be.a("number")')],
    ),
    Request(operation="getLimits", name="Limits", description="The limits of requests."),
    Request(
        operation="getLiveness",
        name="Liveness",
        description="Check that the process is alive, whatever else is out of service.",
        status_test="is alive",
    ),
    Request(
        operation="getReadiness",
        name="Readiness",
        description="Check that the process is ready for traffic; 503 while it starts or stops.",
        status_test="is ready",
        script=[_test("says so", _equals("status", '"ready"'))],
    ),
    Request(
        operation="openapi",
        name="OpenAPI Document",
        description="The API as an OpenAPI 3.1 document.",
        status_test="answers",
        script=[_test("is OpenAPI 3.1", r"pm.expect(pm.response.json().openapi).to.match(/^3\.1\./)")],
    ),
)
"""The requests, in the order in which each of them succeeds, run after run."""

_TOOLS = {"openapi": _Operation("GET", "/openapi.json", [200], "The API as an OpenAPI 3.1 document")}
"""The parts of the collection beside the routes of the API."""


def collection(routes: Sequence[Route] = ROUTES) -> str:
    """Return the collection as JSON.

    Raises:
        ValueError: the table of requests names an operation, or expects a status, that is not declared.
    """
    content = {
        "info": {
            "name": "My List OTT API",
            "description": "Every request of the API, in an order in which each succeeds on the titles of the sample, "
            "however often: start the service with `make run`, import this file and run the collection. It changes the "
            "list of `userId`, a user of its own, and leaves it empty.",
            "schema": _SCHEMA,
        },
        "variable": [{"key": key, "value": value, "type": "string"} for key, value in VARIABLES.items()],
        "item": list(_items(routes)),
    }
    return json.dumps(content, indent=2, ensure_ascii=False) + "\n"


def _items(routes: Sequence[Route]) -> Iterator[Json]:
    schemas = json.loads(openapi.document(routes))["components"]["schemas"]
    operations = _TOOLS | {route.operation: _operation(route, schemas) for route in routes}
    named = {request.operation for request in _REQUESTS}
    if unknown := named - operations.keys():
        raise ValueError(f"no route declares {', '.join(sorted(unknown))}")
    for request in _REQUESTS:
        yield _item(operations[request.operation], request)
    for name, operation in operations.items():
        if name not in named:
            yield _item(operation, Request(operation=name, name=_title(name)))


def _operation(route: Route, schemas: Json) -> _Operation:
    body = content_type = ""
    if route.body:
        content_type = route.body.media_types[0]
        body = json.dumps(_example("", schemas[route.body.struct.__name__], schemas))
        body = body.replace(VARIABLES["movieId"], "{{movieId}}")
    return _Operation(
        route.method,
        _path(route),
        list(route.answers),
        route.summary,
        has_user=route.has_user,
        query=dict(_default_query(route)),
        content_type=content_type,
        body=body,
    )


def _path(route: Route) -> str:
    """Return the path of a route with a variable, or else its example, in place of each parameter."""
    examples = {each["name"]: each.get("example", "") for each in route.parameters}

    def value(found: re.Match[str]) -> str:
        return f"{{{{{found[1]}}}}}" if found[1] in VARIABLES else str(examples.get(found[1], ""))

    return re.sub(r"{(\w+)}", value, openapi.openapi_path(route))


def _default_query(route: Route) -> Iterator[tuple[str, str]]:
    for parameter in route.parameters:
        schema = parameter["schema"]
        if parameter["in"] == "query" and ("default" in schema or parameter.get("required")):
            yield parameter["name"], str(parameter.get("example", _example(parameter["name"], schema, {})))


def _example(name: str, schema: Json, schemas: Json) -> Any:
    """Return an example of a value: its own, or one that is built from the examples of its parts.

    Args:
        name: the name of the property that has the value.
        schema: the schema of the value.
        schemas: the schemas that it may refer to, by name.
    """
    if "$ref" in schema:
        return _example(name, schemas[schema["$ref"].rpartition("/")[2]], schemas)
    for found in (schema.get("examples"), schema.get("enum")):
        if found:
            return found[0]
    if "default" in schema:
        return schema["default"]
    if "properties" in schema:
        required = schema.get("required", ())
        return {
            each: _example(each, value, schemas)
            for each, value in schema["properties"].items()
            if each in required or "examples" in value
        }
    return f"{{{{{name}}}}}" if name in VARIABLES else _EMPTY.get(schema.get("type", ""))


def _item(operation: _Operation, request: Request) -> Json:
    status = request.status or operation.statuses[0]
    if status not in operation.statuses:
        raise ValueError(f"{operation.method} {operation.path} does not declare {status}, which {request.name} expects")
    test = _test(request.status_test, f"pm.response.to.have.status({status})")
    return {
        "name": request.name,
        "event": [{"listen": "test", "script": {"type": "text/javascript", "exec": [test, *request.script]}}],
        "request": _request(operation, request),
        "response": [],
    }


def _request(operation: _Operation, request: Request) -> Json:
    headers = {}
    if operation.content_type:
        headers["Content-Type"] = operation.content_type
    if operation.has_user:
        headers["user-id"] = "{{userId}}"
    made: Json = {
        "method": operation.method,
        "header": [{"key": name, "value": value} for name, value in headers.items()],
    }
    if operation.content_type:
        made["body"] = {"mode": "raw", "raw": operation.body if request.body is None else request.body}
        if operation.content_type == "application/json":
            made["body"]["options"] = {"raw": {"language": "json"}}
    made["url"] = _url(operation.path, operation.query if request.query is None else request.query)
    description = request.description or f"{operation.summary}."
    names_title = "{{contentId}}" in operation.path or "contentId" in made.get("body", {}).get("raw", "")
    made["description"] = f"{description} {_TAKES_EXTERNAL_IDS}" if names_title else description
    return made


def _url(path: str, query: Mapping[str, str] | None) -> Json:
    steps = path.strip("/").split("/")
    url: Json = {"raw": "/".join(["{{baseUrl}}", *steps]), "host": ["{{baseUrl}}"], "path": steps}
    if query:
        url["raw"] += f"?{urlencode(query, safe='{}')}"
        url["query"] = [{"key": name, "value": value} for name, value in query.items()]
    return url


def _title(operation: str) -> str:
    """Return the words of an operation's id, with a capital each."""
    return " ".join(word.capitalize() for word in re.findall(r"[A-Za-z][a-z]*", operation))
