"""Faults of MongoDB that the service notices, in its checks and when operations fail."""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest
from bson import ObjectId

from devtools.scripted_mongodb import ScriptedMongoDB, Topology
from devtools.waiting import eventually
from mylist.config.settings import Settings
from mylist.domain.errors import DatabaseRefusedError, DatabaseUnavailableError, OutcomeUnknownError, UnavailableError
from mylist.domain.item import Item
from mylist.mongodb import database as mongodb_database
from mylist.mongodb.database import Database, MongoRefusedError, connect
from mylist.mongodb.lists import ListStore
from mylist.telemetry.outage_reasons import OutageReasons
from tests.conftest import PATIENT
from tests.content_ids import content_id

NAME = "mylist-test-checks"
MAX_COMMANDS = 20
AT_ONCE = [6, 7, 89, 134, 262, 9001]
"""Codes that the driver retries without a pause."""
READS = ("find",)
WRITES = ("update", "insert", "delete", "findAndModify")


@pytest.fixture(scope="module", params=[Topology.REPLICA_SET, Topology.SHARDED])
def deployment(mongodb_server: str, request: pytest.FixtureRequest) -> Iterator[ScriptedMongoDB]:
    with ScriptedMongoDB(mongodb_server, request.param) as mongodb:
        yield mongodb


@asynccontextmanager
async def opened(mongodb: ScriptedMongoDB, **changes: str) -> AsyncIterator[Database]:
    """A database that was checked once."""
    settings = Settings.load({"MONGODB_URI": mongodb.uri(NAME)} | PATIENT | changes)
    client = connect(settings)
    database = Database(client, settings)
    try:
        await database.check()
        yield database
    finally:
        mongodb.mend()
        await database.close()


@pytest.fixture
async def database(deployment: ScriptedMongoDB) -> AsyncIterator[Database]:
    async with opened(deployment) as database:
        yield database
    deployment.forget_commands()


def add(store: ListStore, number: int = 1) -> Awaitable[None]:
    return store.insert("somebody", Item(0, content_id(number), "movie"))


async def remove(store: ListStore, user_id: str, number: int = 1) -> None:
    async with store.removing(user_id, content_id(number)) as remove:
        await remove()


class TestOperation:
    @pytest.mark.parametrize("code", [*AT_ONCE, 91, 133, 189, 10107, 11602, 112, 50])
    @pytest.mark.parametrize("writes", [False, True], ids=["read", "change"])
    async def test_sends_few_commands_for_any_error_code(
        self, deployment: ScriptedMongoDB, database: Database, code: int, writes: bool
    ) -> None:
        store = ListStore(database)
        deployment.fail_command(*READS, *WRITES, code=code, count=None)
        deployment.forget_commands()

        with pytest.raises(OutcomeUnknownError if writes else DatabaseUnavailableError):
            await (add(store) if writes else store.load("somebody"))
        assert 1 <= deployment.count(*READS, *WRITES) <= MAX_COMMANDS

    @pytest.mark.parametrize("code", AT_ONCE)
    async def test_is_retried_once_after_an_error_that_the_driver_retries_without_a_pause(
        self, deployment: ScriptedMongoDB, database: Database, code: int
    ) -> None:
        failure = deployment.fail_command("find", code=code, count=1)

        assert await ListStore(database).load("nobody") == []
        assert failure.hits == 1

    async def test_that_fails_does_not_shorten_the_deadline_of_the_next_one(
        self, deployment: ScriptedMongoDB, database: Database
    ) -> None:
        """The shorter deadline of the retries does not apply to later operations."""
        store = ListStore(database)
        deployment.fail_command("find", code=6, count=2)
        with pytest.raises(DatabaseUnavailableError):
            await store.load("nobody")

        assert await store.load("nobody") == []

    async def test_is_not_sent_while_the_breaker_is_open_after_20_failures(
        self, deployment: ScriptedMongoDB, database: Database, caplog: pytest.LogCaptureFixture
    ) -> None:
        store = ListStore(database)
        deployment.fail_command(*READS, code=6, count=None)
        deployment.forget_commands()
        caplog.set_level(logging.INFO, "mylist.mongodb.database")

        for _ in range(500):
            with pytest.raises(DatabaseUnavailableError):
                await store.load("somebody")
        assert deployment.count(*READS) == 20
        assert (database.breaker, database.available) == ("open", True)
        for _ in range(3):
            await database.check()
            assert database.breaker == "half_open"
            answers = await asyncio.gather(*(store.load("somebody") for _ in range(50)), return_exceptions=True)
            assert {type(each) for each in answers} == {DatabaseUnavailableError}
        assert deployment.count(*READS) == 26, "one at a time tries again, after each check"
        deployment.mend()
        await database.check()
        assert await store.load("nobody") == []
        assert database.breaker == "closed"
        told = [each.getMessage() for each in caplog.records if each.getMessage().startswith("MongoDB at")]
        assert len(told) == 2
        assert "one operation after the other fails: " in told[0]
        assert told[1].endswith("executes operations again")

    async def test_on_an_unavailable_shard_does_not_block_those_on_other_shards(
        self, deployment: ScriptedMongoDB, database: Database
    ) -> None:
        store = ListStore(database)
        for _ in range(20):
            failure = deployment.fail_command("find", code=133, count=1)
            with pytest.raises(DatabaseUnavailableError):
                await store.load("of the shard that is away")
            assert failure.hits == 1
            assert await store.load("of another") == []

    @pytest.mark.parametrize("code", [13, 20, 61, 72, 301, 323])
    async def test_that_is_rejected_raises_database_refused_error(
        self, deployment: ScriptedMongoDB, database: Database, code: int, caplog: pytest.LogCaptureFixture
    ) -> None:
        store = ListStore(database)
        deployment.fail_command(*WRITES, code=code, count=2, database=NAME)

        for change in (add(store), remove(store, "somebody")):
            with pytest.raises(UnavailableError) as refused:
                await change
            assert type(refused.value) is DatabaseRefusedError
        assert ("add retryWrites=false to MONGODB_URI" in caplog.text) is (code in {20, 301})
        assert ("readWrite" in caplog.text) is (code == 13)

    @pytest.mark.parametrize(
        "first", [{"closes": "after"}, {"write_concern_error": 91}], ids=["unheard", "unconfirmed"]
    )
    async def test_that_is_rejected_on_its_retry_has_an_unknown_outcome(
        self, deployment: ScriptedMongoDB, database: Database, first: dict[str, Any]
    ) -> None:
        deployment.fail_command(*WRITES, **first, count=1)
        deployment.fail_command(*WRITES, code=13, count=None)

        with pytest.raises(OutcomeUnknownError):
            await add(ListStore(database), number=2)


class TestCheck:
    @pytest.mark.parametrize("code", [2, 13, 18, 67, 72, 85, 86, 115, 197, 238, 8000, 11000])
    async def test_raises_mongo_refused_error_for_a_permanent_error(
        self, deployment: ScriptedMongoDB, database: Database, code: int
    ) -> None:
        deployment.fail_command("hello", code=code, count=None, database=NAME)

        with pytest.raises(MongoRefusedError) as refused:
            await database.check()
        assert not database.available
        assert "\n" not in str(refused.value)
        assert ("readWrite" in str(refused.value)) is (code in {13, 8000})
        assert ("MONGODB_PASSWORD" in str(refused.value)) is (code in {18, 8000})

    @pytest.mark.parametrize("code", [6, 24, 50, 89, 91, 133, 211, 276, 11601])
    async def test_marks_mongodb_as_unavailable_for_a_transient_error_and_recovers(
        self, deployment: ScriptedMongoDB, database: Database, code: int, caplog: pytest.LogCaptureFixture
    ) -> None:
        deployment.fail_command("hello", code=code, count=None, database=NAME, message="in its words")
        deployment.forget_commands()

        await database.check()
        assert not database.available
        assert " is not available: in its words" in caplog.text
        assert deployment.count("hello") <= MAX_COMMANDS
        deployment.mend()

        async def is_available() -> bool:
            await database.check()
            return database.available

        await eventually(is_available, within=30)

    async def test_that_fails_for_a_new_reason_logs_it(
        self, deployment: ScriptedMongoDB, database: Database, caplog: pytest.LogCaptureFixture
    ) -> None:
        database._reasons = OutageReasons(period_s=0)  # noqa: SLF001 - half a minute, otherwise
        for message in ("the first reason", "another reason", "another reason"):
            deployment.fail_command("hello", code=91, count=None, database=NAME, message=message)
            await database.check()
            assert database.problem == f"{message}; start it or fix MONGODB_URI; the service retries"
            deployment.mend()

        [first, other] = [line for line in caplog.messages if "available: " in line]
        assert " is not available: the first reason; " in first
        assert " is still not available: another reason; " in other

        async def is_available() -> bool:
            await database.check()
            return database.available

        await eventually(is_available, within=30)
        assert database.problem == ""


class TestTryWrite:
    @pytest.mark.parametrize("topology", [Topology.DOCUMENTDB])
    async def test_without_retryable_writes_raises_an_error_with_the_setting_to_add(
        self, mongodb_server: str, topology: Topology
    ) -> None:
        with ScriptedMongoDB(mongodb_server, topology) as mongodb:
            async with opened(mongodb) as database:
                with pytest.raises(MongoRefusedError, match="add retryWrites=false to MONGODB_URI"):
                    await database.try_write()
            async with opened(mongodb, MONGODB_URI=mongodb.uri(NAME, options="retryWrites=false")) as database:
                await database.try_write()
                store = ListStore(database)
                await store.insert("documentdb", Item(0, content_id(1), "movie"))
                await remove(store, "documentdb")

    @pytest.mark.parametrize("code", [13, 20, 301])
    async def test_that_is_rejected_raises_mongo_refused_error(
        self, deployment: ScriptedMongoDB, database: Database, code: int
    ) -> None:
        deployment.fail_command("update", code=code, count=None)
        with pytest.raises(MongoRefusedError):
            await database.try_write()

    @pytest.mark.parametrize("code", [6, 50, 91, 112])
    async def test_that_fails_transiently_raises_nothing(
        self, deployment: ScriptedMongoDB, database: Database, code: int
    ) -> None:
        deployment.fail_command("update", code=code, count=None)
        await database.try_write()

    async def test_changes_nothing(self, database: Database) -> None:
        before = await database.handle["mylist"].count_documents({})
        await database.try_write()
        assert await database.handle["mylist"].count_documents({}) == before


@pytest.fixture
async def replica_set(mongodb_server: str) -> AsyncIterator[tuple[ScriptedMongoDB, Database]]:
    with ScriptedMongoDB(mongodb_server) as mongodb:
        async with opened(mongodb, MONGODB_TIMEOUT="1") as database:
            yield mongodb, database


class TestMajority:
    async def test_loss_and_recovery_are_measured_and_logged(
        self,
        replica_set: tuple[ScriptedMongoDB, Database],
        monkeypatch: pytest.MonkeyPatch,
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        mongodb, database = replica_set
        monkeypatch.setattr(mongodb_database, "_MAJORITY_LOST_AFTER_S", 0.3)
        caplog.set_level(logging.INFO, "mylist.mongodb.database")
        assert database.majority_lag_s == 0
        mongodb.lose_majority()
        with pytest.raises(OutcomeUnknownError):
            await add(ListStore(database), number=3)

        await eventually(lag_of(database, lambda lag_s: lag_s > 0.5), within=30)
        assert database.available, "reads go on"
        mongodb.regain_majority()
        await eventually(lag_of(database, lambda lag_s: lag_s == 0), within=30)

        told = [each.getMessage() for each in caplog.records if "majority" in each.getMessage()]
        assert len(told) == 2
        assert "has no majority for a write" in told[0]
        assert "OUTCOME_UNKNOWN; restore the members" in told[0]
        assert "has a majority again, after" in told[1]

    async def test_that_mongodb_does_not_report_makes_only_the_change_feed_unavailable(
        self, replica_set: tuple[ScriptedMongoDB, Database]
    ) -> None:
        mongodb, database = replica_set
        mongodb.hide_majority()

        with pytest.raises(DatabaseUnavailableError):
            await ListStore(database).clock()
        await database.check()
        assert database.available
        mongodb.hide_majority(hides=False)
        now, watermark = await ListStore(database).clock()
        assert watermark < now

    async def test_that_includes_an_arbiter_is_logged_once(
        self, mongodb_server: str, caplog: pytest.LogCaptureFixture
    ) -> None:
        with ScriptedMongoDB(mongodb_server, has_arbiter=True) as mongodb:
            async with opened(mongodb) as database:
                await database.check()
        told = [each.getMessage() for each in caplog.records if "has arbiters" in each.getMessage()]
        assert len(told) == 1
        assert "replace arbiters with members that hold data" in told[0]


def lag_of(database: Database, fits: Callable[[float], bool]) -> Callable[[], Awaitable[bool]]:
    async def checked() -> bool:
        await database.check()
        return fits(database.majority_lag_s or 0.0)

    return checked


class TestElections:
    async def test_have_increasing_ids(self, replica_set: tuple[ScriptedMongoDB, Database]) -> None:
        mongodb, database = replica_set
        first = database.election_id
        mongodb.step_down(1)

        async def is_replaced() -> bool:
            await database.check()
            return database.available and database.election_id != first

        await eventually(is_replaced, within=30)
        assert first
        assert database.election_id
        assert database.election_id > first
        assert database.hello
        assert database.hello.has_committed_in_term

    async def test_are_known_over_a_direct_connection_to_one_member(
        self, replica_set: tuple[ScriptedMongoDB, Database]
    ) -> None:
        mongodb, database = replica_set
        async with opened(mongodb, MONGODB_URI=mongodb.member_uri(0, NAME)) as alone:
            assert alone.election_id == database.election_id

    async def test_are_known_from_the_driver_before_the_next_check(
        self, replica_set: tuple[ScriptedMongoDB, Database]
    ) -> None:
        mongodb, database = replica_set
        first, hello = database.reigns.seen(), database.hello
        mongodb.step_down(1)

        async def is_seen() -> bool:
            return database.reigns.seen() > first

        await eventually(is_seen, within=30)
        assert database.hello is hello

    async def test_are_known_from_the_answer_to_a_check_before_the_driver_knows_them(
        self, replica_set: tuple[ScriptedMongoDB, Database]
    ) -> None:
        _, database = replica_set
        assert database.hello
        assert database.reigns.seen() == str(database.election_id)
        later = ObjectId("7f" + "ff" * 11)

        database.hello = replace(database.hello, election_id=later)
        assert database.reigns.seen() == str(database.election_id) == str(later)

    @pytest.mark.parametrize("topology", [Topology.SHARDED, Topology.STANDALONE, Topology.DOCUMENTDB_GATEWAY])
    async def test_are_unknown_without_a_replica_set(self, mongodb_server: str, topology: Topology) -> None:
        with ScriptedMongoDB(mongodb_server, topology) as mongodb:
            async with opened(mongodb) as database:
                assert database.available
                assert (database.election_id, database.majority_lag_s) == (None, None)
                now, watermark = await ListStore(database).clock()
                assert watermark < now
