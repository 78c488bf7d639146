"""The routes of probes: whether the API answers, the process is alive, and the process accepts traffic."""

from datetime import UTC, datetime
from typing import Literal

import msgspec
from msgspec import UNSET
from sanic import HTTPResponse

from mylist.api.route import Answer, RouteTable
from mylist.api.schemas import HealthResponse, LivenessResponse, ReadinessResponse
from mylist.domain.timestamps import iso_format
from mylist.http.request import ApiRequest
from mylist.http.responses import json_response

route = RouteTable()

_encode = msgspec.json.Encoder().encode
_ALIVE = _encode(LivenessResponse(status="ok"))


@route(
    "GET",
    "/health",
    operation="getHealth",
    summary="Check that the API answers",
    kind="other",
    answers={200: Answer(HealthResponse)},
    has_user=False,
)
async def health(request: ApiRequest) -> HTTPResponse:
    """Return 200: the API answers."""
    return json_response(request, _encode(HealthResponse(status="ok", timestamp=iso_format(datetime.now(UTC)))))


@route(
    "GET",
    "/livez",
    operation="getLiveness",
    summary="Check that the process is alive",
    kind="other",
    answers={200: Answer(LivenessResponse)},
    has_user=False,
)
async def livez(request: ApiRequest) -> HTTPResponse:
    """Return 200: the event loop answers, even if a store is out of service."""
    return json_response(request, _ALIVE)


@route(
    "GET",
    "/readyz",
    operation="getReadiness",
    summary="Check that the process is ready for traffic",
    kind="other",
    answers={200: Answer(ReadinessResponse), 503: Answer(ReadinessResponse)},
    has_user=False,
)
async def readyz(request: ApiRequest) -> HTTPResponse:
    """Return whether the process accepts traffic: from the end of its start until it drains.

    MongoDB's state is reported but does not affect readiness: the process serves cached lists without MongoDB, and
    MongoDB would be away for all processes at once. The same applies to the keys of tokens once the process has had
    any.
    """
    services = request.app.ctx
    state = services.state
    status = _status(state.started, state.draining)
    has_keys = services.keys.available
    keys = _availability(has_keys) if services.tokens else UNSET
    answer = ReadinessResponse(
        status,
        _availability(services.database.available),
        keys,
        services.database.problem or UNSET,
        (not has_keys and services.keys.problem) or UNSET,
    )
    return json_response(request, _encode(answer), status=200 if status == "ready" else 503)


def _status(started: bool, draining: bool) -> Literal["ready", "starting", "draining"]:
    if draining:
        return "draining"
    return "ready" if started else "starting"


def _availability(is_there: bool) -> Literal["available", "unavailable"]:
    return "available" if is_there else "unavailable"
