"""The members' replies to `hello`."""

from collections.abc import Sequence
from datetime import UTC, datetime
from enum import StrEnum

from bson import ObjectId, Timestamp
from bson.int64 import Int64

from devtools.scripted_mongodb.replica_set import Member, OpTime, ReplicaSet
from devtools.scripted_mongodb.wire import Document

SET_NAME = "rs0"


class Topology(StrEnum):
    """The deployment as a client sees it."""

    REPLICA_SET = "replica-set"
    """MongoDB: three members."""
    SHARDED = "sharded"
    """MongoDB: three mongos, and a shard behind them."""
    STANDALONE = "standalone"
    """MongoDB: one server that replicates nothing."""
    DOCUMENTDB = "documentdb"
    """Amazon DocumentDB: a replica set without retryable writes and without majority fields."""
    DOCUMENTDB_GATEWAY = "documentdb-gateway"
    """The open-source DocumentDB, and Cosmos DB built on it: like one mongos, with a number for the time."""

    @property
    def members(self) -> int:
        """How many servers clients see."""
        return 1 if self in {Topology.STANDALONE, Topology.DOCUMENTDB_GATEWAY} else 3

    @property
    def is_set(self) -> bool:
        """Whether clients see a replica set."""
        return self in {Topology.REPLICA_SET, Topology.DOCUMENTDB}

    @property
    def max_wire_version(self) -> int:
        """The wire versions: those of MongoDB 8.0, and of the products that the other deployments claim to be."""
        return 13 if self is Topology.DOCUMENTDB else 25


def hello(  # noqa: PLR0913 - what a reply is made of
    topology: Topology,
    replica_set: ReplicaSet,
    member: Member,
    addresses: Sequence[str],
    *,
    with_majority: bool,
    streams: bool,
) -> Document:
    """Return the reply of a member.

    Args:
        topology: the kind of the deployment.
        replica_set: the state of the set.
        member: the member that replies.
        addresses: of the members, where the client is.
        with_majority: whether a member of a set knows the place of the majority.
        streams: whether it sends its `topologyVersion`, so that drivers learn of a change at once.
    """
    now = datetime.now(UTC)
    is_primary = not topology.is_set or member.is_primary
    reply: Document = {
        "helloOk": True,
        "isWritablePrimary": is_primary,
        "ismaster": is_primary,
        "maxBsonObjectSize": 16 * 1024 * 1024,
        "maxMessageSizeBytes": 48_000_000,
        "maxWriteBatchSize": 100_000,
        "localTime": Int64(now.timestamp() * 1000) if topology is Topology.DOCUMENTDB_GATEWAY else now,
        "logicalSessionTimeoutMinutes": 30,
        "connectionId": 1,
        "minWireVersion": 0,
        "maxWireVersion": topology.max_wire_version,
        "readOnly": False,
        "ok": 1.0,
    }
    if topology in {Topology.SHARDED, Topology.DOCUMENTDB_GATEWAY}:
        reply["msg"] = "isdbgrid"
    if streams and topology is not Topology.DOCUMENTDB_GATEWAY:
        reply["topologyVersion"] = topology_version(replica_set, member)
    if topology.is_set:
        reply |= _of_a_set(replica_set, member, addresses, with_majority and topology is Topology.REPLICA_SET)
    return reply


def topology_version(replica_set: ReplicaSet, member: Member) -> Document:
    """Return a value that changes with each change of the reply."""
    return {"processId": member.process_id, "counter": Int64(replica_set.version)}


def _of_a_set(replica_set: ReplicaSet, member: Member, addresses: Sequence[str], with_majority: bool) -> Document:
    arbiters = [addresses[each.number] for each in replica_set.members if each.is_arbiter]
    said: Document = {
        "setName": SET_NAME,
        "setVersion": 1,
        "hosts": [address for address in addresses if address not in arbiters],
        "me": addresses[member.number],
        "secondary": not member.is_primary and not member.is_arbiter,
    }
    if arbiters:
        said["arbiters"] = arbiters
    if member.is_arbiter:
        return said | {"arbiterOnly": True}
    known = member if member.is_primary else replica_set.primary
    if known is not None:
        said["primary"] = addresses[known.number]
    if member.term is not None:
        said["electionId"] = _election_id(member.term.number)
    progress = replica_set.progress_of(member)
    last_write = _op_time(progress.written, "opTime", "lastWriteDate")
    if with_majority:
        last_write |= _op_time(progress.committed, "majorityOpTime", "majorityWriteDate")
    return said | {"lastWrite": last_write}


def _op_time(time: OpTime, name: str, date: str) -> Document:
    # MongoDB reports whole seconds.
    at = datetime.fromtimestamp(time.seconds, UTC)
    return {name: {"ts": Timestamp(time.seconds, time.ordinal), "t": Int64(time.term)}, date: at}


def _election_id(term: int) -> ObjectId:
    return ObjectId(b"\x7f\xff\xff\xff" + term.to_bytes(8, "big"))
