"""Decides what an error of the change stream means: reopen the stream, or end with one line for the operator."""

from pymongo.errors import OperationFailure

from mylist.mongodb.collections import LISTS
from mylist.mongodb.database import is_final, reason, refusal

_NO_STREAMS_CODES = frozenset({59, 115, 238, 40324, 40573})
_USELESS_POSITION_CODES = frozenset({9, 14, 260, 280, 286, 40649, 50811})
"""Including a malformed token, and a token whose position is no longer in the oplog."""
UNAUTHORIZED = 13
"""SecantusDB also refuses some resume tokens with this code."""
_ANEW = (
    "changes may be missing: empty the consumer's copy of the lists, then run `mylist events --anew --snapshot` once "
    "(docs/events.md)"
)


class EventsError(Exception):
    """The run cannot go on, and a restart would fail again; the message is one line with the remedy."""


class UselessPositionError(EventsError):
    """No run can resume from the kept position: the consumer must start over."""


def lost(why: str) -> UselessPositionError:
    """Return the error for changes that cannot be reported."""
    return UselessPositionError(f"{why}; {_ANEW}")


def refused_position(error: OperationFailure, address: str) -> UselessPositionError:
    """Return the error for a position that MongoDB refuses."""
    return lost(f"MongoDB at {address} cannot resume from the saved position: {reason(error).rstrip('.')}")


def final_error(error: Exception, address: str) -> EventsError | None:
    """Return the error that ends the run; None if the run may go on once MongoDB recovers."""
    if not isinstance(error, OperationFailure):
        return EventsError(f"MongoDB at {address}: {reason(error)}") if is_final(error) else None
    if error.code in _NO_STREAMS_CODES:
        return EventsError(
            f"MongoDB at {address} has no change streams: `mylist events` needs a replica set, of one member at least, "
            "or a sharded cluster (docs/events.md)"
        )
    if error.code in _USELESS_POSITION_CODES or error.has_error_label("NonResumableChangeStreamError"):
        return refused_position(error, address)
    return EventsError(f"MongoDB at {address} refuses: {refusal(error)}") if is_final(error) else None


def no_pre_images(error: OperationFailure, address: str) -> EventsError:
    """Return the error for a MongoDB without pre-images, or whose user must not enable them."""
    why = "its user lacks the right to change that" if error.code == UNAUTHORIZED else reason(error)
    return EventsError(
        f"MongoDB at {address} keeps no pre-images of {LISTS}, which `mylist events` needs to report removals: "
        f"{why}; run once, "
        f"as an administrator of the database: db.runCommand({{collMod: '{LISTS}', changeStreamPreAndPostImages: "
        "{enabled: true}})"
    )
