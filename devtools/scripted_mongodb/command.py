"""The properties of a command that matter to the topology of a deployment."""

import time
from dataclasses import dataclass
from typing import Any

from devtools.scripted_mongodb.wire import Document

HELLOS = frozenset({"hello", "ismaster", "isMaster"})
_WRITES = frozenset(
    {
        "insert",
        "update",
        "delete",
        "findAndModify",
        "findandmodify",
        "bulkWrite",
        "create",
        "createIndexes",
        "drop",
        "dropDatabase",
        "dropIndexes",
        "renameCollection",
        "collMod",
    }
)
_READS = frozenset({"find", "aggregate", "count", "distinct", "listCollections", "listIndexes"})


@dataclass(frozen=True)
class Command:
    """One command of a client.

    Attributes:
        document: the command, with its document sequences as lists.
        member: the number of the member that it came to.
        site: the number of the site that it came from.
        at: when it came, by `time.monotonic`.
    """

    document: Document
    member: int
    site: int
    at: float

    @property
    def name(self) -> str:
        """The name, as `update`."""
        return next(iter(self.document))

    @property
    def database(self) -> str:
        """The database that it is sent to."""
        return str(self.document.get("$db", "admin"))

    @property
    def collection(self) -> str:
        """Its collection; empty for none."""
        value = self.document.get("collection") if self.name == "getMore" else self.document[self.name]
        return value if isinstance(value, str) else ""

    @property
    def is_hello(self) -> bool:
        """Return whether it asks for the server's description (`hello`)."""
        return self.name in HELLOS

    @property
    def is_write(self) -> bool:
        """Return whether it is a write, which only a primary may execute."""
        return self.name in _WRITES or any(
            stage in step for step in self.document.get("pipeline", ()) for stage in ("$out", "$merge")
        )

    @property
    def is_read(self) -> bool:
        """Return whether it begins to read data. An open cursor continues even when its server changes state."""
        return self.name in _READS and not self.is_write

    @property
    def opens_change_stream(self) -> bool:
        """Return whether it subscribes to changes, from now or from some other moment."""
        return self.name == "aggregate" and any("$changeStream" in step for step in self.document["pipeline"][:1])

    @property
    def reads_majority(self) -> bool:
        """Return whether it reads with read concern `majority`."""
        return bool(self.document.get("readConcern", {}).get("level") == "majority")

    @property
    def allows_secondary(self) -> bool:
        """Whether a secondary may answer it."""
        return bool(self.document.get("$readPreference", {}).get("mode", "primary") != "primary")

    @property
    def waits_for_majority(self) -> bool:
        """Whether its reply must wait until a majority has it; that is a server's default."""
        return self.is_write and self.document.get("writeConcern", {}).get("w", "majority") == "majority"

    @property
    def is_numbered(self) -> bool:
        """Return whether it is a retryable write."""
        return "txnNumber" in self.document

    def limit(self) -> "Limit":
        """Return how long its reply may wait for a majority."""
        write_concern: dict[str, Any] = self.document.get("writeConcern", {})
        limits = []
        if timeout_ms := write_concern.get("wtimeout"):
            limits.append(Limit(timeout_ms / 1000, is_wtimeout=True))
        if timeout_ms := self.document.get("maxTimeMS"):
            limits.append(Limit(max(0.0, self.at + timeout_ms / 1000 - time.monotonic()), is_wtimeout=False))
        return min(limits, key=lambda limit: limit.seconds, default=Limit(None, is_wtimeout=False))


@dataclass(frozen=True)
class Limit:
    """Return the seconds that a reply may wait, None for ever, and whether they come from the write concern."""

    seconds: Any
    is_wtimeout: bool
