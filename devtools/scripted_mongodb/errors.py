"""Error replies in MongoDB's words."""

from collections.abc import Sequence

from devtools.scripted_mongodb.command import Command
from devtools.scripted_mongodb.wire import Document

NAMES = {
    2: "BadValue",
    6: "HostUnreachable",
    7: "HostNotFound",
    13: "Unauthorized",
    18: "AuthenticationFailed",
    20: "IllegalOperation",
    24: "LockTimeout",
    26: "NamespaceNotFound",
    43: "CursorNotFound",
    46: "LockBusy",
    50: "MaxTimeMSExpired",
    61: "ShardKeyNotFound",
    64: "WriteConcernTimeout",
    67: "CannotCreateIndex",
    72: "InvalidOptions",
    79: "UnknownReplWriteConcern",
    85: "IndexOptionsConflict",
    86: "IndexKeySpecsConflict",
    89: "NetworkTimeout",
    91: "ShutdownInProgress",
    100: "UnsatisfiableWriteConcern",
    112: "WriteConflict",
    115: "CommandNotSupported",
    117: "ConflictingOperationInProgress",
    133: "FailedToSatisfyReadPreference",
    134: "ReadConcernMajorityNotAvailableYet",
    189: "PrimarySteppedDown",
    197: "InvalidIndexSpecificationOption",
    202: "NetworkInterfaceExceededTimeLimit",
    211: "KeyNotFound",
    238: "NotImplemented",
    246: "SnapshotUnavailable",
    262: "ExceededTimeLimit",
    276: "IndexBuildAborted",
    286: "ChangeStreamHistoryLost",
    301: "RetryableWritesNotSupported",
    323: "APIStrictError",
    462: "IngressRequestRateLimitExceeded",
    8000: "AtlasError",
    9001: "SocketException",
    10107: "NotWritablePrimary",
    11000: "DuplicateKey",
    11600: "InterruptedAtShutdown",
    11601: "Interrupted",
    11602: "InterruptedDueToReplStateChange",
    13388: "StaleConfig",
    13435: "NotPrimaryNoSecondaryOk",
    13436: "NotPrimaryOrSecondary",
    14031: "OutOfDiskSpace",
}
"""The names of codes; a reply with another code has no name."""
RETRYABLE = frozenset({6, 7, 89, 91, 134, 189, 262, 9001, 10107, 11600, 11602, 13435, 13436})
"""A server labels a retryable write that fails with one of these codes as retryable."""
STATE_CHANGES = frozenset({91, 189, 10107, 11600, 11602, 13435, 13436})
"""A driver searches for the primary again after one of these codes."""


def failed(command: Command, code: int, message: str = "", labels: Sequence[str] | None = None) -> Document:
    """Return the reply to a command that is refused, with the labels that a server gives it unless others are named."""
    return {"ok": 0.0, **_named(code, message), **_labels(command, code, labels)}


def write_failed(command: Command, code: int, message: str = "") -> Document:
    """Return the reply to a write whose first document is refused."""
    modified = {"nModified": 0} if command.name == "update" else {}
    return {"ok": 1.0, "n": 0, **modified, "writeErrors": [{"index": 0, **_named(code, message)}]}


def add_write_concern_error(
    reply: Document, command: Command, code: int, message: str = "", labels: Sequence[str] | None = None
) -> Document:
    """Return a reply that also says that the write concern failed."""
    error: Document = _named(code, message)
    if code == 64:
        error["errInfo"] = {"wtimeout": True}
    return {**reply, "writeConcernError": error, **_labels(command, code, labels)}


def _named(code: int, message: str) -> Document:
    name = {"codeName": NAMES[code]} if code in NAMES else {}
    return {"code": code, **name, "errmsg": message or f"scripted: {NAMES.get(code, code)}"}


def _labels(command: Command, code: int, labels: Sequence[str] | None) -> Document:
    if labels is None:
        labels = ["RetryableWriteError"] if command.is_numbered and code in RETRYABLE else []
    return {"errorLabels": list(labels)} if labels else {}
