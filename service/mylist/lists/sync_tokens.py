"""Sync tokens: opaque tokens that say how much of one user's change feed a device has."""

from typing import Annotated

import msgspec
from msgspec import Meta

from mylist.domain.change_feed import LATEST_STAMP_MS, FeedPosition, SyncState
from mylist.domain.errors import InvalidSyncTokenError, SyncTokenExpiredError
from mylist.lists.opaque_token import decode_token, encode_token

_PURPOSE = "changes, form 2"
_FORMER_PURPOSE = "changes, form 1"
_Stamp = Annotated[int, Meta(ge=0, le=LATEST_STAMP_MS)]
_Id = Annotated[bytes, Meta(min_length=12, max_length=12)]
_ContentId = Annotated[str, Meta(pattern=r"\A([0-9a-fA-F]{24})?\Z")]


class _Content(msgspec.Struct, array_like=True):
    watermark: _Stamp
    list_after: _ContentId | None
    resume_at: tuple[_Stamp, _Id] | None
    delivered: list[tuple[_Stamp, _Id, int | None]]


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(_Content).decode


def encode_sync_token(user_id: str, state: SyncState) -> str:
    """Return the token of a device's state."""
    delivered = sorted(state.delivered, key=lambda each: each[:2])
    content = _Content(state.watermark, state.list_after, state.resume_at, delivered)
    return encode_token(_encode(content), _PURPOSE, user_id)


def decode_sync_token(user_id: str, token: str) -> SyncState:
    """Return the state of a token.

    Raises:
        InvalidSyncTokenError: the token is damaged or belongs to another user.
        SyncTokenExpiredError: an earlier version of the service issued the token. The device must start over.
    """
    encoded = decode_token(token, _PURPOSE, user_id)
    if encoded is None:
        if decode_token(token, _FORMER_PURPOSE, user_id) is not None:
            raise SyncTokenExpiredError
        raise InvalidSyncTokenError
    try:
        content = _decode(encoded)
    except msgspec.DecodeError:  # the checksum proves nothing: anyone can compute it
        raise InvalidSyncTokenError from None
    resume_at = FeedPosition(*content.resume_at) if content.resume_at else None
    return SyncState(content.watermark, content.list_after, resume_at, frozenset(content.delivered))
