"""Sync tokens: how much of a list's change feed a device has, as an opaque token of one user."""

from typing import Annotated

import msgspec
from msgspec import Meta

from mylist.domain.change_feed import LATEST_MS, NEVER_MS, DeliveredChange, FeedPosition, SyncState
from mylist.domain.errors import InvalidSyncTokenError
from mylist.lists.opaque_token import decode_token, encode_token

_PURPOSE = "changes, form 1"
_Milliseconds = Annotated[int, Meta(ge=NEVER_MS, le=LATEST_MS)]


class _Content(msgspec.Struct, array_like=True):
    watermark: _Milliseconds
    resume_at: tuple[_Milliseconds, Annotated[bytes, Meta(min_length=12, max_length=12)]] | None
    is_initial: bool
    delivered: list[DeliveredChange]


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(_Content).decode


def encode_sync_token(user_id: str, state: SyncState) -> str:
    """Return the token of a device's state."""
    content = _Content(state.watermark, state.resume_at, state.is_initial, sorted(state.delivered))
    return encode_token(_encode(content), _PURPOSE, user_id)


def decode_sync_token(user_id: str, token: str) -> SyncState:
    """Return the state of a token.

    Raises:
        InvalidSyncTokenError: the token is damaged or belongs to another user.
    """
    encoded = decode_token(token, _PURPOSE, user_id)
    if encoded is None:
        raise InvalidSyncTokenError
    try:
        content = _decode(encoded)
    except msgspec.DecodeError:  # anybody can make a checksum
        raise InvalidSyncTokenError from None
    resume_at = FeedPosition(*content.resume_at) if content.resume_at else None
    return SyncState(content.watermark, resume_at, content.is_initial, frozenset(content.delivered))
