"""Is it there, is it alive, does it want traffic: `/health`, `/livez`, `/readyz`."""

from datetime import UTC, datetime
from typing import Literal

import msgspec
from sanic import Blueprint, HTTPResponse

from mylist.api.request import ApiRequest
from mylist.api.responses import json_response
from mylist.api.schemas import HealthResponse, LivenessResponse, ReadinessResponse
from mylist.lists.item import iso_format

blueprint = Blueprint("health")

_encode = msgspec.json.Encoder().encode
_ALIVE = _encode(LivenessResponse(status="ok"))


@blueprint.route("/health", methods=["GET", "HEAD"])
async def health(request: ApiRequest) -> HTTPResponse:
    """Says that the API answers."""
    return json_response(request, _encode(HealthResponse(status="ok", timestamp=iso_format(datetime.now(UTC)))))


@blueprint.route("/livez", methods=["GET", "HEAD"])
async def livez(request: ApiRequest) -> HTTPResponse:
    """Says that the event loop answers, whatever else is out of service."""
    return json_response(request, _ALIVE)


@blueprint.route("/readyz", methods=["GET", "HEAD"])
async def readyz(request: ApiRequest) -> HTTPResponse:
    """Says whether the process wants traffic: once started, until it drains.

    MongoDB is told of and does not decide: without it cached lists are still served, and it would be away for all.
    """
    context = request.app.ctx
    mongodb: Literal["available", "unavailable"] = "available" if context.database.available else "unavailable"
    if context.draining:
        return json_response(request, _encode(ReadinessResponse("draining", mongodb)), status=503)
    if not context.started:
        return json_response(request, _encode(ReadinessResponse("starting", mongodb)), status=503)
    return json_response(request, _encode(ReadinessResponse("ready", mongodb)))
