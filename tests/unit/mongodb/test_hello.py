"""Parsing replies to `hello`, from each topology and product, and with missing or malformed fields."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from bson import ObjectId, Timestamp
from bson.int64 import Int64

from mylist.mongodb.hello import Hello

NOW = datetime(2026, 1, 1, 12, 0, 9, 500_000, tzinfo=UTC)
NOW_MS = 1_767_268_809_500
ELECTION = ObjectId("7fffffff0000000000000002")


def op_time(seconds: int, term: int = 2) -> dict[str, Any]:
    return {"ts": Timestamp(seconds, 1), "t": Int64(term)}


def reply(last: Any, majority: Any = None, **fields: Any) -> dict[str, Any]:
    """A primary's reply; the times of its writes are seconds."""
    written: dict[str, Any] = {"opTime": last, "lastWriteDate": NOW}
    if majority is not None:
        written |= {"majorityOpTime": majority, "majorityWriteDate": datetime(2026, 1, 1, 12, tzinfo=UTC)}
    return {"setName": "rs0", "localTime": NOW, "electionId": ELECTION, "lastWrite": written} | fields


def test_a_primary_whose_majority_is_up_to_date_has_replicated_everything() -> None:
    hello = Hello.of(reply(op_time(9), op_time(9)))

    assert hello.topology == "replica set"
    assert hello.election_id == ELECTION
    assert hello.all_is_replicated
    assert hello.has_committed_in_term
    assert hello.local_time == NOW_MS
    assert hello.replicated_until == NOW_MS - 9_500


def test_a_deposed_primary_does_not_claim_replication_beyond_its_last_write() -> None:
    """After it was frozen or cut off, it still reports that a majority has all its writes, and its clock goes on."""
    hello = Hello.of(reply(op_time(9), op_time(9)) | {"localTime": NOW + timedelta(hours=1)})

    assert hello.all_is_replicated
    assert hello.replicated_until == NOW_MS - 9_500


def test_a_primary_whose_majority_lags_has_not_replicated_everything() -> None:
    hello = Hello.of(reply(op_time(9), op_time(1)))

    assert not hello.all_is_replicated
    assert hello.has_committed_in_term
    assert hello.replicated_until == NOW_MS - 9_500


def test_a_new_primary_has_not_yet_committed_anything_in_its_term() -> None:
    assert not Hello.of(reply(op_time(9), op_time(9, term=1))).has_committed_in_term


@pytest.mark.parametrize(
    "fields",
    [{}, {"lastWrite": {}}, {"lastWrite": None}, {"lastWrite": {"opTime": op_time(9), "majorityOpTime": "odd"}}],
    ids=["after a start", "nothing told", "null", "odd"],
)
def test_a_replica_set_that_omits_its_majority_counts_as_not_replicated(fields: dict[str, Any]) -> None:
    hello = Hello.of(reply(op_time(9)) | fields)

    assert not hello.all_is_replicated
    assert not hello.has_committed_in_term
    assert hello.replicated_until is None


@pytest.mark.parametrize(
    ("said", "topology"),
    [
        ({"msg": "isdbgrid", "localTime": NOW}, "sharded"),
        ({"msg": "isdbgrid", "localTime": Int64(NOW_MS)}, "sharded"),
        ({"isWritablePrimary": True, "localTime": NOW}, "standalone"),
        ({"isWritablePrimary": True, "localTime": NOW.replace(tzinfo=None)}, "standalone"),
    ],
    ids=["mongos", "the gateway of DocumentDB", "standalone", "a date without a zone"],
)
def test_a_server_without_a_replica_set_counts_as_fully_replicated(said: dict[str, Any], topology: str) -> None:
    hello = Hello.of(said)

    assert hello.topology == topology
    assert hello.all_is_replicated
    assert hello.has_committed_in_term
    assert hello.election_id is None
    assert hello.replicated_until == NOW_MS


@pytest.mark.parametrize("moment", [None, "noon", True, 1.5, float("nan")])
def test_an_invalid_local_time_gives_no_time_of_replication(moment: Any) -> None:
    assert Hello.of({"localTime": moment}).replicated_until is None


def test_arbiters_are_listed_unless_they_are_malformed() -> None:
    assert Hello.of(reply(op_time(1), op_time(1), arbiters=["c:27017"])).arbiters == ("c:27017",)
    assert Hello.of(reply(op_time(1), op_time(1), arbiters="odd")).arbiters == ()


def test_op_times_of_the_old_replication_protocol_are_read() -> None:
    hello = Hello.of(reply(Timestamp(9, 2), Timestamp(9, 1)))

    assert not hello.all_is_replicated
    assert hello.last == (-1, 9, 2)
