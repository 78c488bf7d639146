"""The route of the change feed."""

import msgspec
from sanic import HTTPResponse

from mylist.api import parameters
from mylist.api.read_requests import sync_query
from mylist.api.route import Answer, RouteTable
from mylist.api.schemas import ChangedItem, ChangesData, ChangesResponse
from mylist.domain.change_feed import ListChange, SyncState
from mylist.domain.timestamps import iso_format_milliseconds
from mylist.http.request import ApiRequest
from mylist.http.responses import json_response
from mylist.lists.sync_tokens import encode_sync_token

route = RouteTable()

_encode = msgspec.json.Encoder().encode


@route(
    "GET",
    "/api/mylist/changes",
    operation="getChanges",
    summary="Read the changes of the list since a token, oldest first",
    kind="read",
    parameters=[parameters.SINCE, parameters.LIMIT],
    query=sync_query,
    answers={200: Answer(ChangesResponse)},
    errors=[400, 503, 410],
)
async def changes(request: ApiRequest, user_id: str, query: tuple[SyncState | None, int]) -> HTTPResponse:
    """Return the items added to and removed from the user's list since a token was issued, oldest first."""
    known, limit = query
    found, state = await request.app.ctx.change_feed.changes(user_id, known, max_changes=limit)
    token = encode_sync_token(user_id, state)
    data = ChangesData([_changed_item(each) for each in found], token, has_more=not state.is_complete)
    return json_response(request, _encode(ChangesResponse(success=True, data=data)))


def _changed_item(change: ListChange) -> ChangedItem:
    return ChangedItem(
        change="removed" if change.added_at is None else "added",
        content_id=change.content_id.hex(),
        content_type=change.content_type or msgspec.UNSET,
        changed_at=iso_format_milliseconds(change.changed_at).decode(),
        added_at=msgspec.UNSET if change.added_at is None else iso_format_milliseconds(change.added_at).decode(),
    )
