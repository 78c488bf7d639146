"""What may be asked for: `/api/mylist/limits`."""

import msgspec
from sanic import Blueprint, HTTPResponse

from mylist.api.changes import MOST_CHANGES
from mylist.api.request import ApiRequest
from mylist.api.responses import json_response
from mylist.api.schemas import MOST_IDS, LimitsData, LimitsResponse
from mylist.api.whole_list import most_import_bytes, most_import_lines
from mylist.store.lists import RETENTION

blueprint = Blueprint("limits", url_prefix="/api/mylist")

_encode = msgspec.json.Encoder().encode


@blueprint.route("/limits", methods=["GET", "HEAD"])
async def limits(request: ApiRequest) -> HTTPResponse:
    """Publishes the limits in force, which are the same for everybody."""
    settings = request.app.ctx.settings
    data = LimitsData(
        max_list_size=settings.max_list_size,
        default_page_size=settings.default_page_size,
        max_page_size=settings.max_page_size,
        max_content_ids=MOST_IDS,
        max_changes=MOST_CHANGES,
        changes_known_for_days=RETENTION.days,
        max_body_bytes=request.app.config.REQUEST_MAX_SIZE,
        max_import_bytes=most_import_bytes(settings.max_list_size),
        max_import_lines=most_import_lines(settings.max_list_size),
    )
    return json_response(request, _encode(LimitsResponse(success=True, data=data)))
