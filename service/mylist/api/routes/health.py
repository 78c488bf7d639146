"""The routes of probes: does the API answer, is the process alive, does it want traffic."""

from datetime import UTC, datetime
from typing import Literal

import msgspec
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
    summary="Whether the API answers",
    kind="other",
    answers={200: Answer(HealthResponse)},
    has_user=False,
)
async def health(request: ApiRequest) -> HTTPResponse:
    """Return that the API answers."""
    return json_response(request, _encode(HealthResponse(status="ok", timestamp=iso_format(datetime.now(UTC)))))


@route(
    "GET",
    "/livez",
    operation="getLiveness",
    summary="Whether the process is alive",
    kind="other",
    answers={200: Answer(LivenessResponse)},
    has_user=False,
)
async def livez(request: ApiRequest) -> HTTPResponse:
    """Return that the event loop answers, whatever else is out of service."""
    return json_response(request, _ALIVE)


@route(
    "GET",
    "/readyz",
    operation="getReadiness",
    summary="Whether the process wants traffic",
    kind="other",
    answers={200: Answer(ReadinessResponse), 503: Answer(ReadinessResponse)},
    has_user=False,
)
async def readyz(request: ApiRequest) -> HTTPResponse:
    """Return whether the process wants traffic: once it has started, until it drains.

    MongoDB's state is reported and does not decide: cached lists are served without it, and it would be away for all
    processes at once.
    """
    services = request.app.ctx
    mongodb: Literal["available", "unavailable"] = "available" if services.database.available else "unavailable"
    if services.state.draining:
        return json_response(request, _encode(ReadinessResponse("draining", mongodb)), status=503)
    if not services.state.started:
        return json_response(request, _encode(ReadinessResponse("starting", mongodb)), status=503)
    return json_response(request, _encode(ReadinessResponse("ready", mongodb)))
