"""The OpenAPI document, made from the declarations of the routes and the structs that they name."""

import re
from collections.abc import Iterable, Iterator, Sequence
from http import HTTPStatus

import msgspec

from mylist import __version__
from mylist.api.parameters import ETAG, IF_NONE_MATCH, REQUEST_ID, RETRY_AFTER, USER_ID, WWW_AUTHENTICATE, Json
from mylist.api.route import Answer, Route
from mylist.api.schemas import NAMED_FORM, AddRequest, BatchRequest, ContainsRequest, ErrorResponse, PutRequest
from mylist.domain.content import CONTENT_TYPES
from mylist.domain.limits import MAX_IDS_PER_REQUEST

_PARAMETER = re.compile(r"<(\w+)(?::\w+)?>")


def document(routes: Sequence[Route], auth_mode: str = "header") -> bytes:
    """Return the document of these routes as indented JSON, for this `AUTH_MODE`."""
    by_token = auth_mode == "jwt"
    components: Json = {"schemas": _schemas(routes)}
    if by_token:
        components["securitySchemes"] = {"bearer": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}}
    content = {
        "openapi": "3.1.0",
        "info": {
            "title": "My List",
            "version": __version__,
            "description": "Each user's saved movies and TV shows.",
            "license": {"name": "ISC", "identifier": "ISC"},
        },
        # Relative to this document, so that it is correct behind any path prefix of a gateway.
        "servers": [{"url": "."}],
        "paths": _paths(routes, by_token=by_token),
        "components": components,
    }
    return msgspec.json.format(msgspec.json.encode(content), indent=2)


def openapi_path(route: Route) -> str:
    """Return the path of a route as OpenAPI writes it, with `{contentId}` for a parameter."""
    return _PARAMETER.sub(lambda found: "{" + _camel_case(found[1]) + "}", route.path)


def operation_id(route: Route, method: str) -> str:
    """Return the id of a route's operation for one of its methods."""
    return f"head{route.operation.removeprefix('get')}" if method == "HEAD" else route.operation


def _camel_case(name: str) -> str:
    first, *others = name.split("_")
    return first + "".join(map(str.capitalize, others))


def _schemas(routes: Iterable[Route]) -> Json:
    structs = dict.fromkeys((*_structs_of(routes), ErrorResponse))
    _, schemas = msgspec.json.schema_components(structs, ref_template="#/components/schemas/{name}")
    # The contract requires these fields. The structs make them optional only so that a missing field gets its
    # documented message.
    for request in (schemas[AddRequest.__name__], schemas[PutRequest.__name__]):
        request["required"] = list(request["properties"])
        request["properties"] = {name: _required_text(each) for name, each in request["properties"].items()}
        request["properties"]["contentType"]["enum"] = list(CONTENT_TYPES)
    for struct in (AddRequest, PutRequest, BatchRequest):  # refused after the checks of the documented errors
        schemas[struct.__name__]["additionalProperties"] = False
    contains = schemas[ContainsRequest.__name__]
    contains["required"] = ["contentIds"]
    contains["properties"]["contentIds"] = {
        "type": "array",
        "items": {"type": "string", "description": NAMED_FORM},
        "maxItems": MAX_IDS_PER_REQUEST,
        "examples": [["507f1f77bcf86cd799439012"]],
    }
    return dict(schemas)


def _structs_of(routes: Iterable[Route]) -> Iterator[type[msgspec.Struct]]:
    for route in routes:
        if route.body:
            yield route.body.struct
        for answer in route.answers.values():
            yield from _bodies(answer)


def _required_text(schema: Json) -> Json:
    text = {"type": "string", "minLength": 1}
    return text | {name: schema[name] for name in ("description", "examples") if name in schema}


def _paths(routes: Iterable[Route], *, by_token: bool) -> dict[str, Json]:
    paths: dict[str, Json] = {}
    for route in routes:
        item = paths.setdefault(openapi_path(route), {})
        for method in route.methods:
            item[method.lower()] = _operation(route, method, by_token=by_token)
    return paths


def _operation(route: Route, method: str, *, by_token: bool) -> Json:
    is_read, is_head = route.method == "GET", method == "HEAD"
    is_users_token = route.has_user and by_token
    operation: Json = {
        "operationId": operation_id(route, method),
        "tags": ["list" if route.path.startswith("/api/") else "health"],
        "summary": f"{route.summary} (headers only)" if is_head else route.summary,
        "parameters": [
            *([USER_ID] if route.has_user and not by_token else []),
            *route.parameters,
            *([IF_NONE_MATCH] if is_read else []),
        ],
        "responses": {},
    }
    responses = operation["responses"]
    for status, answer in route.answers.items():
        responses[str(status)] = _response(status, None if is_head else answer)
        if is_read and status == HTTPStatus.OK:
            responses["304"] = _response(304, None)
            for each in ("200", "304"):
                responses[each]["headers"] |= ETAG | dict(answer.headers)
        else:
            responses[str(status)]["headers"] |= answer.headers
    for status in route.errors:
        responses[str(status)] = _response(status, None if is_head else Answer(ErrorResponse))
        if status == HTTPStatus.SERVICE_UNAVAILABLE:
            responses[str(status)]["headers"] |= RETRY_AFTER
    if route.has_user:
        responses["429"] = _response(429, None if is_head else Answer(ErrorResponse))
        responses["429"]["headers"] |= RETRY_AFTER
    if is_users_token:
        operation["security"] = [{"bearer": []}]
        responses["401"] = _response(401, None if is_head else Answer(ErrorResponse))
        responses["401"]["headers"] |= WWW_AUTHENTICATE
    if route.body:
        content = _content(route.body.media_types, route.body.example, _reference_to(route.body.struct))
        content |= route.body.others
        operation["requestBody"] = {"required": True, "content": content}
    return operation


def _response(status: int, answer: Answer | None) -> Json:
    response: Json = {"description": HTTPStatus(status).phrase, "headers": dict(REQUEST_ID)}
    bodies = _bodies(answer) if answer else ()
    if answer and bodies:
        references = [_reference_to(each) for each in bodies]
        schema = references[0] if len(references) == 1 else {"anyOf": references}
        response["content"] = _content([answer.content_type], answer.example, schema) | dict(answer.others)
    return response


def _content(media_types: Sequence[str], example: str, schema: Json) -> Json:
    # For JSON Lines this is the schema of one line: OpenAPI 3.1 cannot describe a sequence of lines.
    media = {"schema": schema} | ({"example": example} if example else {})
    return dict.fromkeys(media_types, media)


def _bodies(answer: Answer) -> tuple[type[msgspec.Struct], ...]:
    if answer.body is None:
        return ()
    return answer.body if isinstance(answer.body, tuple) else (answer.body,)


def _reference_to(struct: type[msgspec.Struct]) -> Json:
    return {"$ref": f"#/components/schemas/{struct.__name__}"}
