"""MongoDB's reply to the command `hello`, for every topology and every compatible server. Nothing here connects."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal, Self

from bson import ObjectId, Timestamp

from mylist.domain.timestamps import to_milliseconds

Topology = Literal["replica set", "sharded", "standalone"]
OpTime = tuple[int, int, int]
"""Orders the writes of a replica set: the term, then the seconds and the counter of the oplog's timestamp."""

_NO_TERM = -1


@dataclass(frozen=True, slots=True)
class Hello:
    """A reply to `hello`. Times are milliseconds since 1970 UTC, by the clock of the server that replied.

    Attributes:
        topology: what the server belongs to.
        local_time: the server's time; None if the reply has none.
        election_id: id of the election that made the server primary, higher for a later election; None without
            elections.
        last: the last write of the primary; None if it is not reported, as by a standalone or a mongos.
        majority: the last write that a majority has; None if unknown, as just after a start and in a rollback.
        majority_time: when that write was made, in whole seconds; None if unknown.
        arbiters: the members that vote and hold no data.
    """

    topology: Topology
    local_time: int | None = None
    election_id: ObjectId | None = None
    last: OpTime | None = None
    majority: OpTime | None = None
    majority_time: int | None = None
    arbiters: tuple[str, ...] = ()

    @classmethod
    def of(cls, reply: Mapping[str, Any]) -> Self:
        """Parse a reply. A field that is missing or has an unexpected type is unknown."""
        last_write = reply.get("lastWrite")
        if not isinstance(last_write, Mapping):
            last_write = {}
        election_id, arbiters = reply.get("electionId"), reply.get("arbiters")
        return cls(
            topology=_topology(reply),
            local_time=_milliseconds(reply.get("localTime")),
            election_id=election_id if isinstance(election_id, ObjectId) else None,
            last=_op_time(last_write.get("opTime")),
            majority=_op_time(last_write.get("majorityOpTime")),
            majority_time=_milliseconds(last_write.get("majorityWriteDate")),
            arbiters=tuple(map(str, arbiters)) if isinstance(arbiters, list) else (),
        )

    @property
    def all_is_replicated(self) -> bool:
        """Whether a majority has all writes; always true if the reply names no members to replicate to."""
        return self.topology != "replica set" or (self.last is not None and self.last == self.majority)

    @property
    def has_committed_in_term(self) -> bool:
        """Whether a majority has a write of the primary's own term; always true without elections.

        Before that, a read with majority read concern may miss writes that the primary's predecessor acknowledged.
        """
        if self.topology != "replica set":
            return True
        return self.last is not None and self.majority is not None and self.last[0] == self.majority[0]

    @property
    def replicated_until(self) -> int | None:
        """The time up to which a majority has every write; None if unknown.

        For a replica set, the value is the time of the last write that a majority has, even if that is the primary's
        last write. A replaced primary that does not know it yet may have replicated all writes that it knows, but it
        lacks the writes of its successor. An idle set writes something every ten seconds.
        """
        if self.topology != "replica set":
            return self.local_time
        if self.local_time is None or self.majority_time is None:
            return None
        return min(self.local_time, self.majority_time)


def _topology(reply: Mapping[str, Any]) -> Topology:
    if reply.get("msg") == "isdbgrid":
        return "sharded"
    return "replica set" if "setName" in reply or reply.get("isreplicaset") else "standalone"


def _milliseconds(moment: object) -> int | None:
    """Return a date, or the number that some servers send instead, as milliseconds since 1970 UTC."""
    if isinstance(moment, datetime):
        return to_milliseconds(moment if moment.tzinfo else moment.replace(tzinfo=UTC))
    return int(moment) if isinstance(moment, int) and not isinstance(moment, bool) else None


def _op_time(value: object) -> OpTime | None:
    term: object = _NO_TERM
    if isinstance(value, Mapping):
        term, value = value.get("t", _NO_TERM), value.get("ts")
    if not isinstance(value, Timestamp) or not isinstance(term, int):
        return None
    return int(term), value.time, value.inc
