"""The route of the limits."""

import msgspec
from sanic import HTTPResponse

from mylist.api.route import Answer, RouteTable
from mylist.api.schemas import LimitsData, LimitsResponse
from mylist.domain.limits import (
    CHANGE_RETENTION,
    MAX_BODY_BYTES,
    MAX_CHANGES,
    MAX_IDS_PER_REQUEST,
    USER_IMPORTS,
    max_import_bytes,
    max_import_lines,
    max_list_file_bytes,
    user_requests,
)
from mylist.http.request import ApiRequest
from mylist.http.responses import json_response

route = RouteTable()

_encode = msgspec.json.Encoder().encode


@route(
    "GET",
    "/api/mylist/limits",
    operation="getLimits",
    summary="Read the limits of requests and lists",
    kind="read",
    answers={200: Answer(LimitsResponse)},
    has_user=False,
)
async def limits(request: ApiRequest) -> HTTPResponse:
    """Return the limits in force, which are the same for all users."""
    settings = request.app.ctx.settings
    data = LimitsData(
        max_list_size=settings.max_list_size,
        max_items_per_account=settings.max_items_per_account,
        default_page_size=settings.default_page_size,
        max_page_size=settings.max_page_size,
        max_content_ids=MAX_IDS_PER_REQUEST,
        max_changes=MAX_CHANGES,
        changes_known_for_days=CHANGE_RETENTION.days,
        max_body_bytes=MAX_BODY_BYTES,
        max_import_bytes=max_import_bytes(settings.max_list_size),
        max_list_file_bytes=max_list_file_bytes(settings.max_list_size),
        max_import_lines=max_import_lines(settings.max_list_size),
        max_concurrent_requests=user_requests(settings.max_concurrent_requests),
        max_concurrent_imports=USER_IMPORTS,
    )
    return json_response(request, _encode(LimitsResponse(success=True, data=data)))
