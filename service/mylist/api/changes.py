"""What changed on a list since: `/api/mylist/changes`."""

import re
from typing import Annotated
from urllib.parse import parse_qs

import msgspec
from msgspec import Meta
from sanic import Blueprint, HTTPResponse

from mylist.api.request import ApiRequest
from mylist.api.responses import json_response
from mylist.api.schemas import ChangedItem, ChangesData, ChangesResponse
from mylist.api.sealing import seal, unseal
from mylist.errors import InvalidParameterError, InvalidSyncTokenError
from mylist.lists.changes import LATEST, NEVER, Change, Position, Progress, Told
from mylist.lists.item import iso_format_milliseconds

MOST_CHANGES = 1000
"""That one answer tells."""
DEFAULT_CHANGES = 500
_NUMBER = re.compile(r"[0-9]{1,4}", re.ASCII)
_PURPOSE = "changes, form 1"

blueprint = Blueprint("changes", url_prefix="/api/mylist")

_encode = msgspec.json.Encoder().encode


_Moment = Annotated[int, Meta(ge=NEVER, le=LATEST)]


class _Content(msgspec.Struct, array_like=True):
    """What a token says."""

    settled: _Moment
    at: tuple[_Moment, Annotated[bytes, Meta(min_length=12, max_length=12)]] | None
    first: bool
    told: list[Told]


_encode_content = msgspec.msgpack.Encoder().encode
_decode_content = msgspec.msgpack.Decoder(_Content).decode


@blueprint.route("/changes", methods=["GET", "HEAD"])
async def changes(request: ApiRequest) -> HTTPResponse:
    """Tells what was put on the user's list and taken off it since a token was given out, oldest first."""
    user_id = request.user_id
    query = parse_qs(request.query_string, keep_blank_values=True)
    known, most = _since(user_id, query.get("since")), _limit(query.get("limit"))
    context = request.app.ctx
    with context.admission:
        found, progress = await context.lists.changes(user_id, known, most=most)
    data = ChangesData([_changed(each) for each in found], write_token(user_id, progress), progress.at is not None)
    return json_response(request, _encode(ChangesResponse(success=True, data=data)))


def write_token(user_id: str, progress: Progress) -> str:
    """Writes down how far a user's device knows the changes of the list."""
    content = _Content(progress.settled, progress.at, progress.first, sorted(progress.told))
    return seal(_encode_content(content), _PURPOSE, user_id)


def read_token(user_id: str, token: str) -> Progress:
    """Reads what `write_token` wrote.

    Raises:
        InvalidSyncTokenError: it is damaged, or another user's.
    """
    sealed = unseal(token, _PURPOSE, user_id)
    if sealed is None:
        raise InvalidSyncTokenError
    try:
        content = _decode_content(sealed)
    except msgspec.DecodeError:  # anybody can make a checksum
        raise InvalidSyncTokenError from None
    at = Position(*content.at) if content.at else None
    return Progress(content.settled, at, content.first, frozenset(content.told))


def _since(user_id: str, given: list[str] | None) -> Progress | None:
    if given is None:
        return None
    if len(given) != 1:
        raise InvalidSyncTokenError
    return read_token(user_id, given[0])


def _limit(given: list[str] | None) -> int:
    if given is None:
        return DEFAULT_CHANGES
    limit = int(given[0]) if len(given) == 1 and _NUMBER.fullmatch(given[0]) else 0
    if not 1 <= limit <= MOST_CHANGES:
        raise InvalidParameterError("limit", f"a whole number from 1 to {MOST_CHANGES}")
    return limit


def _changed(change: Change) -> ChangedItem:
    removed = change.added_at is None
    return ChangedItem(
        "removed" if removed else "added",
        change.content_id.hex(),
        change.content_type,
        iso_format_milliseconds(change.changed_at).decode(),
        msgspec.UNSET if change.added_at is None else iso_format_milliseconds(change.added_at).decode(),
    )
